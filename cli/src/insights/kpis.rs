//! `tally insights kpis`: key figures by period.

use std::collections::HashMap;

use tally_proto::v1::{GetKpisRequest, GetKpisResponse, KpiRow};

use super::{
    periods::{Names, PARTIAL, Range},
    reply,
};
use crate::{
    args::KpisArgs,
    connection::Connection,
    error::ClientError,
    output::{
        Currency, DASH, count, cut, decimals, fits, growth, narrow_table, narrow_text, points, printable,
        ratio,
    },
};

/// The most periods beside each other.
const PERIODS: usize = 6;
/// The most columns of the name of a metric.
const NAME: usize = 28;

/// The unit of amounts of money.
const MONEY: &str = "money_minor";

/// Prints the key figures.
pub(super) async fn kpis(server: &Connection, args: &KpisArgs, json: bool) -> Result<(), ClientError> {
    let Range { from_time, to_time, period, time_zone } = Range::of(&args.range);
    let metrics = args.metrics.clone();
    let market_size = args.market_size.unwrap_or_default();
    let request = GetKpisRequest { metrics, from_time, to_time, period, time_zone, market_size };
    let reply = server.insights().get_kpis(request).await.map_err(|status| server.error(&status))?;
    let text = |reply: &GetKpisResponse, currency: &Currency| {
        page(reply, &Names::of(&args.range), !args.metrics.is_empty(), currency)
    };
    reply::show(server, reply.get_ref(), json, text).await
}

/// The figures as rows, with what they mean if `with_definitions`.
fn page(reply: &GetKpisResponse, names: &Names, with_definitions: bool, currency: &Currency) -> String {
    let periods: Vec<&[KpiRow]> =
        reply.rows.chunk_by(|one, next| one.period_start == next.period_start).collect();
    let Some(last) = periods.last() else { return "no purchases in this time".to_owned() };
    let units = reply.definitions.iter().map(|one| (one.metric.as_str(), one.unit.as_str())).collect();
    let figures = Figures { names, units, currency };
    let mut notes = Vec::new();
    let mut shown = 1;
    let table = if periods.len() == 1 {
        format!("{}\n\n{}", figures.period(last), figures.one_period(last))
    } else {
        let table;
        (table, shown) = figures.several_periods(&periods);
        notes
            .extend((shown < periods.len()).then(|| {
                format!("the last {shown} of {} {}; --json has all", periods.len(), names.plural())
            }));
        table
    };
    if periods.iter().rev().take(shown).any(|period| period.iter().any(|row| row.partial)) {
        notes.push(PARTIAL.to_owned());
    }
    notes.push(format!("typical interval between purchases: {:.1} days", reply.typical_interval_days));
    if reply.definitions.iter().any(|one| one.unit == MONEY) {
        notes.extend(currency.note());
    }
    let mut parts = vec![table, narrow_text(&notes.join("\n"))];
    // Several periods are shown without what they are compared with.
    parts.extend(reply::warnings(&reply.warnings).filter(|_| periods.len() == 1));
    if with_definitions {
        let definitions = reply.definitions.iter();
        let lines: Vec<String> = definitions
            .map(|one| format!("{}: {}", printable(&one.metric), printable(&one.definition)))
            .collect();
        parts.push(narrow_text(&lines.join("\n")));
    }
    parts.join("\n\n")
}

/// How figures are shown.
struct Figures<'a> {
    names: &'a Names,
    units: HashMap<&'a str, &'a str>,
    currency: &'a Currency,
}

impl Figures<'_> {
    /// The name of the period that the rows are about.
    fn period(&self, rows: &[KpiRow]) -> String {
        let first = rows.first().cloned().unwrap_or_default();
        self.names.name(first.period_start.as_ref(), first.period_end.as_ref(), first.partial)
    }

    /// A period beside what it is compared with: the one before and the one of the year before, if any.
    fn one_period(&self, rows: &[KpiRow]) -> String {
        if rows.iter().all(|row| row.previous_value.is_none() && row.year_before_value.is_none()) {
            let row = |row: &KpiRow| vec![cut(&row.metric, NAME), self.figure(&row.metric, row.value)];
            return narrow_table(&["", "value"], &[1], rows.iter().map(row));
        }
        let row = |row: &KpiRow| {
            vec![
                cut(&row.metric, NAME),
                self.figure(&row.metric, row.value),
                self.figure(&row.metric, row.previous_value),
                self.change(row),
                self.figure(&row.metric, row.year_before_value),
            ]
        };
        let header = ["", "value", "previous", "change", "year before"];
        narrow_table(&header, &[1, 2, 3, 4], rows.iter().map(row))
    }

    /// As many of the last periods as have room, and how many they are.
    fn several_periods(&self, periods: &[&[KpiRow]]) -> (String, usize) {
        let mut shown = periods.len().min(PERIODS);
        loop {
            let (_, last) = periods.split_at(periods.len() - shown);
            let mut header = vec![String::new()];
            header.extend(last.iter().map(|rows| self.period(rows)));
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = metrics(last).into_iter().map(|name| self.row(name, last)).collect();
            if shown == 1 || fits(&header, &rows) {
                let numbers: Vec<usize> = (1..header.len()).collect();
                return (narrow_table(&header, &numbers, rows), shown);
            }
            shown -= 1;
        }
    }

    /// A metric in each of the periods.
    fn row(&self, metric: &str, periods: &[&[KpiRow]]) -> Vec<String> {
        let value = |rows: &&[KpiRow]| rows.iter().find(|row| row.metric == metric).and_then(|row| row.value);
        let mut cells = vec![cut(metric, NAME)];
        cells.extend(periods.iter().map(|rows| self.figure(metric, value(rows))));
        cells
    }

    fn unit(&self, metric: &str) -> &str {
        self.units.get(metric).copied().unwrap_or_default()
    }

    fn figure(&self, metric: &str, value: Option<f64>) -> String {
        match self.unit(metric) {
            "customers" | "orders" | "complaints" => {
                value.map_or_else(|| DASH.to_owned(), |value| count(value.round() as i64))
            }
            MONEY => self.currency.mean(value),
            "ratio" => ratio(value),
            "hours" | "days" => decimals(value, 1),
            _ => decimals(value, 2),
        }
    }

    /// The change since the period before: of a ratio in percentage points, else the growth.
    fn change(&self, row: &KpiRow) -> String {
        let Some((now, before)) = row.value.zip(row.previous_value) else { return DASH.to_owned() };
        match self.unit(&row.metric) {
            "ratio" => points(now - before),
            _ => growth((before > 0.0).then(|| (now - before) / before)),
        }
    }
}

/// The names of the metrics, in their order.
fn metrics<'a>(periods: &[&'a [KpiRow]]) -> Vec<&'a str> {
    let mut metrics = Vec::new();
    for row in periods.iter().copied().flatten() {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(row.metric.as_str());
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tally_proto::v1::KpiDefinition;

    use super::*;
    use crate::{
        args::{Args, Command, InsightsCommand},
        insights::samples::{assert_fits, euro, long_name, moment},
    };

    const UNITS: [(&str, &str); 8] = [
        ("customers_active", "customers"),
        ("retention_rate", "ratio"),
        ("revenue", "money_minor"),
        ("orders", "orders"),
        ("satisfaction_index", "index"),
        ("complaints_open", "complaints"),
        ("hours_to_resolution", "hours"),
        ("days_to_conversion", "days"),
    ];

    fn names(period: &str) -> Names {
        let args = Args::try_parse_from(["tally", "insights", "kpis", "--period", period]).unwrap();
        let Command::Insights(InsightsCommand::Kpis(args)) = args.command else { panic!("{args:?}") };
        Names::of(&args.range)
    }

    fn definitions() -> Vec<KpiDefinition> {
        let definition = |(metric, unit): (&str, &str)| KpiDefinition {
            metric: metric.to_owned(),
            definition: format!("what {metric} counts"),
            unit: unit.to_owned(),
        };
        UNITS.map(definition).into()
    }

    /// All metrics of a month; the values grow with the month and the number of the metric.
    fn month(month: u32, partial: bool) -> Vec<KpiRow> {
        let row = |(n, (metric, unit)): (usize, (&str, &str))| {
            let size = f64::from(month) * (n + 1) as f64;
            let value = match unit {
                "ratio" => size / 100.0,
                "money_minor" => size * 3_456_789.0,
                "hours" | "days" | "index" => size / 7.0,
                _ => size * 100.0,
            };
            KpiRow {
                metric: metric.to_owned(),
                period_start: moment(&format!("2011-{month:02}-01")),
                period_end: moment(&format!("2011-{:02}-01", month + 1)),
                partial,
                // Nobody has resolved anything.
                value: (unit != "hours").then_some(value),
                previous_value: (!partial && unit != "days").then_some(value * 0.8),
                ..KpiRow::default()
            }
        };
        UNITS.into_iter().enumerate().map(row).collect()
    }

    fn reply(rows: Vec<KpiRow>) -> GetKpisResponse {
        let definitions = definitions();
        GetKpisResponse { rows, definitions, typical_interval_days: 34.25, ..GetKpisResponse::default() }
    }

    #[test]
    fn several_periods_are_beside_each_other() {
        let rows = (3..=11).flat_map(|n| month(n, n == 11)).collect();
        insta::assert_snapshot!(page(&reply(rows), &names("month"), false, &euro()), @r"
                                2011-06     2011-07     2011-08     2011-09       2011-10      2011-11*
        ────────────────────────────────────────────────────────────────────────────────────────────────
        customers_active            600         700         800         900         1,000         1,100
        retention_rate           12.0 %      14.0 %      16.0 %      18.0 %        20.0 %        22.0 %
        revenue              622,222.02  725,925.69  829,629.36  933,333.03  1,037,036.70  1,140,740.37
        orders                    2,400       2,800       3,200       3,600         4,000         4,400
        satisfaction_index         4.29        5.00        5.71        6.43          7.14          7.86
        complaints_open           3,600       4,200       4,800       5,400         6,000         6,600
        hours_to_resolution           –           –           –           –             –             –
        days_to_conversion          6.9         8.0         9.1        10.3          11.4          12.6

        the last 6 of 9 months; --json has all
        * not over yet, or cut by the beginning or the end of the report
        typical interval between purchases: 34.2 days
        amounts in EUR
        ");
    }

    #[test]
    fn one_period_is_beside_the_one_before() {
        let mut rows = month(10, false);
        rows[0].year_before_value = Some(0.0);
        rows[1].previous_value = Some(0.25);
        rows[2].previous_value = Some(-100.0);
        insta::assert_snapshot!(page(&reply(rows), &names("month"), true, &euro()), @r"
        2011-10

                                    value  previous   change  year before
        ──────────────────────────────────────────────────────────────────
        customers_active            1,000       800  +25.0 %            0
        retention_rate             20.0 %    25.0 %  -5.0 pp            –
        revenue              1,037,036.70     -1.00        –            –
        orders                      4,000     3,200  +25.0 %            –
        satisfaction_index           7.14      5.71  +25.0 %            –
        complaints_open             6,000     4,800  +25.0 %            –
        hours_to_resolution             –       8.0        –            –
        days_to_conversion           11.4         –        –            –

        typical interval between purchases: 34.2 days
        amounts in EUR

        customers_active: what customers_active counts
        retention_rate: what retention_rate counts
        revenue: what revenue counts
        orders: what orders counts
        satisfaction_index: what satisfaction_index counts
        complaints_open: what complaints_open counts
        hours_to_resolution: what hours_to_resolution counts
        days_to_conversion: what days_to_conversion counts
        ");
    }

    #[test]
    fn a_partial_period_is_marked_in_the_title() {
        let text = page(&reply(month(10, true)), &names("all"), false, &euro());
        assert!(text.starts_with("2011-10-01 to 2011-10-31*\n\n") && text.contains(PARTIAL), "{text}");
        let whole = page(&reply(month(10, false)), &names("all"), false, &euro());
        assert!(!whole.contains('*'), "{whole}");
    }

    #[test]
    fn large_numbers_take_the_place_of_periods() {
        let mut rows: Vec<KpiRow> = (5..=11).flat_map(|n| month(n, false)).collect();
        for row in &mut rows {
            row.value = Some(1e17);
        }
        let text = page(&reply(rows), &names("month"), false, &euro());
        assert_fits(&text);
        assert!(
            text.contains("the last 2 of 7 months") && text.contains("1,000,000,000,000,000.00"),
            "{text}"
        );
    }

    #[test]
    fn long_names_fit() {
        let mut rows = month(10, false);
        rows[0].metric = long_name();
        let mut reply = reply(rows);
        reply.definitions[0].metric = long_name();
        reply.definitions[0].definition = long_name();
        assert_fits(&page(&reply, &names("month"), true, &euro()));
    }

    #[test]
    fn nothing_is_a_sentence() {
        assert_eq!(page(&reply(vec![]), &names("month"), true, &euro()), "no purchases in this time");
    }
}
