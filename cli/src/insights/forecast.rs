//! `tally insights forecast`: what comes, and how the same forecast did before.

use jiff::Timestamp;
use tally_proto::v1::{ForecastRow, GetForecastRequest, GetForecastResponse};

use super::reply;
use crate::{
    connection::Connection,
    error::ClientError,
    output::{
        Currency, DASH, count, cut, datetime, decimals, moment, narrow_table, narrow_text, printable, ratio,
    },
    time,
};

/// What the names of rows begin with that count the customers of a stage.
const STAGE: &str = "stage:";
/// What purchases and revenue leave out.
const LEFT_OUT: &str =
    "left out: purchases of leads, who have not bought yet, and of customers who come later";
/// The most columns of the name of a stage.
const NAME: usize = 20;

/// Prints the forecast.
pub(super) async fn forecast(
    server: &Connection,
    as_of: Option<Timestamp>,
    steps: i32,
    json: bool,
) -> Result<(), ClientError> {
    let request = GetForecastRequest { as_of_time: as_of.map(time::timestamp), steps };
    let reply = server.insights().get_forecast(request).await.map_err(|status| server.error(&status))?;
    reply::show(server, reply.get_ref(), json, page).await
}

fn page(reply: &GetForecastResponse, currency: &Currency) -> String {
    let title = format!(
        "what is to be expected after {}, of the customers there are",
        moment(reply.as_of_time.as_ref())
    );
    let mut parts = vec![narrow_text(&title)];
    let business = business(&reply.rows, &reply.totals, currency);
    if !reply.problem.is_empty() {
        let lacks = match business {
            None => "no purchases are expected",
            Some(_) => "every purchase is taken to bring the mean money",
        };
        parts.push(narrow_text(&format!("{lacks}: {}", printable(&reply.problem))));
    }
    parts.extend(reply::warnings(&reply.warnings));
    parts.extend(business);
    parts.push(stages(reply));
    let compared: Vec<&ForecastRow> = reply.backtest.iter().filter(|row| row.actual.is_some()).collect();
    if !compared.is_empty() {
        let title = format!(
            "the same forecast after {}, beside what came",
            datetime(reply.backtest_as_of_time.as_ref())
        );
        let table = backtest(&compared, &reply.backtest_totals, currency);
        parts.push(format!("{}\n\n{table}", narrow_text(&title)));
    }
    parts.push(narrow_text(
        "purchase days: the days on which a customer buys, however often on each; total: of all steps, with an \
         interval of its own, since those of the steps do not add up\n\
         intervals of 95 %: of chance and of the parameters; no step is taken for a better season than another; --json \
         has all rows",
    ));
    parts.join("\n\n")
}

/// Purchase days and revenue by step, and of all steps, and what they leave out; None when they are not expected.
fn business(rows: &[ForecastRow], totals: &[ForecastRow], currency: &Currency) -> Option<String> {
    let of = |measure: &'static str| rows.iter().chain(totals).filter(move |row| row.measure == measure);
    let lines: Vec<Vec<String>> = of("purchases")
        .zip(of("revenue_minor"))
        .map(|(purchases, revenue)| {
            vec![
                day(purchases),
                number(purchases.value),
                between(purchases, number),
                currency.mean(Some(revenue.value)),
                between(revenue, |value| currency.mean(Some(value))),
            ]
        })
        .collect();
    let header = ["30 days up to", "purchase days", "95 %", "revenue", "95 %"];
    (!lines.is_empty())
        .then(|| format!("{}\n\n{}", narrow_table(&header, &[1, 2, 3, 4], lines), narrow_text(LEFT_OUT)))
}

/// The customers of each stage after the last step, and how long they stay.
fn stages(reply: &GetForecastResponse) -> String {
    let last = reply.rows.last().map_or(0, |row| row.step);
    let line = |row: &ForecastRow| {
        let stage = row.measure.strip_prefix(STAGE)?;
        let stays =
            |one: &&tally_proto::v1::StageTransition| one.from_segment == stage && one.to_segment == stage;
        let staying = reply.transitions.iter().find(stays).map(|one| one.probability);
        let loss = reply.steps_to_loss.iter().find(|one| one.segment == stage).and_then(|one| one.steps);
        Some(vec![
            cut(stage, NAME),
            number(row.value),
            between(row, number),
            ratio(staying),
            decimals(loss, 1),
        ])
    };
    let rows = reply.rows.iter().filter(|row| row.step == last);
    let header = [&format!("after step {last}"), "customers", "95 %", "stay a step", "steps to loss"];
    narrow_table(&header, &[1, 2, 3, 4], rows.filter_map(line))
}

/// What was expected of the last step of a backtest, and what came; of money and purchases of every step, and of all.
fn backtest(rows: &[&ForecastRow], totals: &[ForecastRow], currency: &Currency) -> String {
    let last = rows.last().map_or(0, |row| row.step);
    let is_stage = |row: &ForecastRow| row.measure.starts_with(STAGE);
    let shown = rows.iter().filter(|row| !is_stage(row) || row.step == last);
    let line = |row: &ForecastRow| {
        let show = |value: f64| {
            if row.measure == "revenue_minor" { currency.mean(Some(value)) } else { number(value) }
        };
        let mark = if is_inside(row) { "" } else { "*" };
        vec![
            day(row),
            name(&row.measure),
            show(row.value),
            between(row, show),
            row.actual.map_or_else(|| DASH.to_owned(), |actual| format!("{}{mark}", show(actual))),
        ]
    };
    let table = narrow_table(
        &["up to", "", "expected", "95 %", "came"],
        &[2, 3, 4],
        shown.copied().chain(totals).map(line),
    );
    let inside = rows.iter().filter(|row| is_inside(row)).count();
    let note =
        format!("{inside} of {} numbers, of all steps, are inside their interval; * is outside", rows.len());
    format!("{table}\n\n{}", narrow_text(&note))
}

/// Whether what came is inside the interval, as far as there is one.
fn is_inside(row: &ForecastRow) -> bool {
    let Some(actual) = row.actual else { return true };
    row.lower.is_none_or(|lower| lower <= actual) && row.upper.is_none_or(|upper| actual <= upper)
}

/// What a row is about, in words.
fn name(measure: &str) -> String {
    if measure == "purchases" {
        return "purchase days".to_owned();
    }
    cut(measure.strip_prefix(STAGE).or(measure.strip_suffix("_minor")).unwrap_or(measure), NAME)
}

/// The day on which a step ends, or that the row is of all of them.
fn day(row: &ForecastRow) -> String {
    if row.step == 0 {
        return "total".to_owned();
    }
    datetime(row.to_time.as_ref()).chars().take("2011-12-10".len()).collect()
}

fn number(value: f64) -> String {
    count(value.round() as i64)
}

fn between(row: &ForecastRow, show: impl Fn(f64) -> String) -> String {
    match (row.lower, row.upper) {
        (Some(lower), Some(upper)) => format!("{} to {}", show(lower), show(upper)),
        _ => DASH.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{StageTransition, StepsToLoss};

    use super::*;
    use crate::insights::samples::{assert_fits, euro, long_name, moment};

    fn row(step: i32, measure: &str, value: f64) -> ForecastRow {
        ForecastRow {
            step,
            from_time: moment("2011-11-10"),
            to_time: moment(if step == 1 { "2011-12-10" } else { "2012-01-09" }),
            measure: measure.to_owned(),
            value,
            lower: Some(value * 0.9),
            upper: Some(value * 1.1),
            actual: None,
        }
    }

    fn reply() -> GetForecastResponse {
        let measures = [
            ("purchases", 1_234.4),
            ("revenue_minor", 9_876_543.0),
            ("stage:lead", 420.0),
            ("stage:lost", 77.5),
        ];
        let rows: Vec<ForecastRow> = [1, 2]
            .into_iter()
            .flat_map(|step| measures.map(|(name, value)| row(step, name, value)))
            .collect();
        let came = |row: &ForecastRow| ForecastRow { actual: Some(row.value * 1.05), ..row.clone() };
        let transition = |from: &str, to: &str, probability| StageTransition {
            from_segment: from.to_owned(),
            to_segment: to.to_owned(),
            customers: 10,
            probability,
        };
        let total = |one: &ForecastRow| ForecastRow { step: 0, ..row(1, &one.measure, 2.0 * one.value) };
        let totals: Vec<ForecastRow> = rows[..2].iter().map(total).collect();
        GetForecastResponse {
            backtest_totals: totals.iter().map(came).collect(),
            totals,
            warnings: Vec::new(),
            backtest: rows.iter().map(came).collect(),
            rows,
            transitions: vec![transition("lead", "lead", 0.9), transition("lost", "lost", 1.0)],
            steps_to_loss: vec![
                StepsToLoss { segment: "lead".to_owned(), steps: None },
                StepsToLoss { segment: "lost".to_owned(), steps: Some(0.0) },
            ],
            as_of_time: moment("2011-11-10"),
            known_time: moment("2011-11-10"),
            backtest_as_of_time: moment("2011-09-11"),
            problem: String::new(),
        }
    }

    #[test]
    fn a_forecast_is_a_page() {
        insta::assert_snapshot!(page(&reply(), &euro()), @r"
        what is to be expected after 2011-11-10T00:00:00Z, of the customers there are

        30 days up to  purchase days            95 %     revenue                      95 %
        ───────────────────────────────────────────────────────────────────────────────────
        2011-12-10             1,234  1,111 to 1,358   98,765.43   88,888.89 to 108,641.97
        2012-01-09             1,234  1,111 to 1,358   98,765.43   88,888.89 to 108,641.97
        total                  2,469  2,222 to 2,716  197,530.86  177,777.77 to 217,283.95

        left out: purchases of leads, who have not bought yet, and of customers who come later

        after step 2  customers        95 %  stay a step  steps to loss
        ────────────────────────────────────────────────────────────────
        lead                420  378 to 462       90.0 %              –
        lost                 78    70 to 85      100.0 %            0.0

        the same forecast after 2011-09-11T00:00:00Z, beside what came

        up to                        expected                      95 %        came
        ────────────────────────────────────────────────────────────────────────────
        2011-12-10  purchase days       1,234            1,111 to 1,358       1,296
        2011-12-10  revenue         98,765.43   88,888.89 to 108,641.97  103,703.70
        2012-01-09  purchase days       1,234            1,111 to 1,358       1,296
        2012-01-09  revenue         98,765.43   88,888.89 to 108,641.97  103,703.70
        2012-01-09  lead                  420                378 to 462         441
        2012-01-09  lost                   78                  70 to 85          81
        total       purchase days       2,469            2,222 to 2,716       2,592
        total       revenue        197,530.86  177,777.77 to 217,283.95  207,407.40

        8 of 8 numbers, of all steps, are inside their interval; * is outside

        purchase days: the days on which a customer buys, however often on each; total: of all steps, with
          an interval of its own, since those of the steps do not add up
        intervals of 95 %: of chance and of the parameters; no step is taken for a better season than
          another; --json has all rows
        ");
    }

    #[test]
    fn large_numbers_and_long_names_fit() {
        let mut large = reply();
        let lists = [&mut large.rows, &mut large.totals, &mut large.backtest, &mut large.backtest_totals];
        for row in lists.into_iter().flatten() {
            row.value = 1e14;
            (row.lower, row.upper, row.actual) = (Some(9e13), Some(2e14), Some(1e14));
        }
        large.rows[3].measure = format!("stage:{}", long_name());
        assert_fits(&page(&large, &euro()));
    }

    #[test]
    fn what_is_not_expected_is_said() {
        let mut none = reply();
        none.rows.retain(|row| row.measure.starts_with(STAGE));
        none.totals.clear();
        none.problem = format!("too few{}", " customers".repeat(20));
        none.backtest.clear();
        let text = page(&none, &euro());
        assert_fits(&text);
        assert!(text.contains("no purchases are expected: too few") && !text.contains("came"), "{text}");
        let warnings = vec![format!("nobody leaves{}", ", they say".repeat(20))];
        let text = page(&GetForecastResponse { warnings, ..reply() }, &euro());
        assert_fits(&text);
        assert!(text.contains("\n\nwarning: nobody leaves, they say"), "{text}");
        let mean = GetForecastResponse { problem: "q = 0.9".to_owned(), ..reply() };
        let text = page(&mean, &euro());
        assert!(text.contains("every purchase is taken to bring the mean money: q = 0.9"), "{text}");
    }
}
