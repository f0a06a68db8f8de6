//! `tally insights value`: the model behind the lifetime values, and how the one of a horizon ago did.

use jiff::Timestamp;
use tally_proto::v1::{BgNbd, GammaGamma, GetValueModelRequest, StageBacktest, ValueBacktest, ValueModel};

use super::reply;
use crate::{
    connection::Connection,
    error::ClientError,
    output::{
        Currency, count, counted, cut, datetime, decimals, growth, moment, narrow_table, narrow_text,
        printable, ratio,
    },
    time,
};

/// The most columns of the name of a stage.
const NAME: usize = 20;

/// Prints the model.
pub(super) async fn value(
    server: &Connection,
    as_of: Option<Timestamp>,
    json: bool,
) -> Result<(), ClientError> {
    let request = GetValueModelRequest { as_of_time: as_of.map(time::timestamp) };
    let reply = server.insights().get_value_model(request).await.map_err(|status| server.error(&status))?;
    reply::show(server, reply.get_ref(), json, page).await
}

fn page(model: &ValueModel, currency: &Currency) -> String {
    let title = format!(
        "lifetime values as of {}: the profit that customers will bring in the {} after it",
        moment(model.as_of_time.as_ref()),
        days(model.horizon_days)
    );
    let new = match model.new_customer_clv_minor {
        Some(clv) => format!(
            "a customer who buys for the first time now brings a profit of {}, this purchase included",
            currency.money(clv)
        ),
        None => "there are no lifetime values".to_owned(),
    };
    let rates = format!(
        "{} of the revenue counts as profit, and what comes a year later counts {} less",
        ratio(Some(model.margin_rate)),
        ratio(Some(model.discount_rate))
    );
    let (purchases, money) =
        (model.bg_nbd.clone().unwrap_or_default(), model.gamma_gamma.clone().unwrap_or_default());
    let mut parts = vec![
        narrow_text(&format!("{title}\n{new}\n{rates}")),
        parameters(&purchases, &money, currency),
        narrow_text(&legend(&purchases, &money, currency)),
    ];
    let of_fit = [
        ("purchases", model.bg_nbd.as_ref().map(|fit| &fit.problem)),
        ("money", model.gamma_gamma.as_ref().map(|fit| &fit.problem)),
    ];
    let problems: Vec<String> = of_fit
        .into_iter()
        .filter_map(|(name, problem)| problem.filter(|problem| !problem.is_empty()).map(|text| (name, text)))
        .map(|(name, problem)| format!("{name}: {}", printable(problem)))
        .collect();
    parts.extend((!problems.is_empty()).then(|| narrow_text(&problems.join("\n"))));
    parts.extend(reply::warnings(&model.warnings));
    match &model.backtest {
        Some(backtest) => {
            parts.push(narrow_text(&in_hindsight(backtest, model.horizon_days, currency)));
            parts.extend((!backtest.stages.is_empty()).then(|| by_stage(backtest, currency)));
        }
        None => {
            let ago = days(model.horizon_days);
            parts.push(narrow_text(&format!("a model of {ago} ago could not be fitted")));
        }
    }
    parts.join("\n\n")
}

fn parameters(purchases: &BgNbd, money: &GammaGamma, currency: &Currency) -> String {
    let rows = [
        vec![
            "purchases (BG/NBD)".to_owned(),
            format!(
                "r {:.3}, α {:.3} weeks, a {:.3}, b {:.3}",
                purchases.r, purchases.alpha, purchases.a, purchases.b
            ),
            count(purchases.customers),
            decimals(Some(purchases.log_likelihood), 1),
        ],
        vec![
            "money (Gamma-Gamma)".to_owned(),
            format!("p {:.3}, q {:.3}, v {}", money.p, money.q, currency.mean(Some(money.v))),
            count(money.customers),
            decimals(Some(money.log_likelihood), 1),
        ],
    ];
    narrow_table(&["model of", "parameters", "customers", "log-likelihood"], &[2, 3], rows)
}

/// What the columns mean, and the parameters of a model that could be fitted.
fn legend(purchases: &BgNbd, money: &GammaGamma, currency: &Currency) -> String {
    let mut lines = Vec::new();
    if purchases.converged && purchases.problem.is_empty() {
        lines.push(format!(
            "purchases: while they stay, customers buy {} times a week on average (r / α), and after a purchase {} of \
             them leave (a / (a + b))",
            decimals(Some(purchases.r / purchases.alpha), 3),
            ratio(Some(purchases.a / (purchases.a + purchases.b)))
        ));
    }
    if money.converged && money.problem.is_empty() {
        let mean = money.p * money.v / (money.q - 1.0);
        lines.push(format!(
            "money: a day on which a customer buys brings {} on average (p · v / (q − 1))",
            currency.mean(Some(mean))
        ));
    }
    lines.push(
        "customers: those that the model is fitted to; log-likelihood: the greater, the better it fits them"
            .to_owned(),
    );
    lines.join("\n")
}

/// What the model of a horizon ago expected, beside what came.
fn in_hindsight(backtest: &ValueBacktest, horizon_days: i32, currency: &Currency) -> String {
    format!(
        "tested on the past: as of {}, by what had happened until then, a profit of {} was expected from {} in the {} \
         after it; they brought {}. Of each buyer the model gives a 95 % interval; {} of them brought what is inside of \
         theirs",
        datetime(backtest.as_of_time.as_ref()),
        currency.money(backtest.expected_minor),
        counted(backtest.customers, "buyer", "buyers"),
        days(horizon_days),
        currency.money(backtest.actual_minor),
        ratio(Some(backtest.inside_interval))
    )
}

/// The same by the stage of the life cycle, and what the columns mean.
fn by_stage(backtest: &ValueBacktest, currency: &Currency) -> String {
    let row = |stage: &StageBacktest| {
        let [expected, actual] = [stage.expected_minor, stage.actual_minor];
        let difference = (expected > 0).then(|| actual as f64 / expected as f64 - 1.0);
        vec![
            cut(&stage.life_cycle, NAME),
            count(stage.customers),
            currency.amount(expected),
            currency.amount(actual),
            growth(difference),
            ratio(Some(stage.inside_interval)),
        ]
    };
    let header = ["stage then", "buyers", "expected", "brought", "difference", "inside"];
    let table = narrow_table(&header, &[1, 2, 3, 4, 5], backtest.stages.iter().map(row));
    let legend = format!(
        "stage: of the life cycle, as of that time; lists by lifetime value rank a stage too high that brought less than \
         was expected, and one too low that brought more. Of the revenue, {} counts as profit in what was expected and in \
         what they brought",
        ratio(Some(backtest.margin_rate))
    );
    format!("{table}\n\n{}", narrow_text(&legend))
}

fn days(number: i32) -> String {
    counted(number, "day", "days")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::{assert_fits, euro, moment};

    fn stage(life_cycle: &str, customers: i64, [expected_minor, actual_minor]: [i64; 2]) -> StageBacktest {
        let life_cycle = life_cycle.to_owned();
        StageBacktest { life_cycle, customers, expected_minor, actual_minor, inside_interval: 0.95 }
    }

    fn model() -> ValueModel {
        ValueModel {
            as_of_time: moment("2011-12-10"),
            bg_nbd: Some(BgNbd {
                r: 0.243,
                alpha: 4.414,
                a: 0.793,
                b: 2.426,
                log_likelihood: -9_582.4,
                customers: 2_357,
                converged: true,
                problem: String::new(),
            }),
            gamma_gamma: Some(GammaGamma {
                p: 6.25,
                q: 3.74,
                v: 1_544.0,
                log_likelihood: -4_055.9,
                customers: 946,
                converged: true,
                problem: String::new(),
            }),
            margin_rate: 0.4,
            discount_rate: 0.1,
            horizon_days: 365,
            new_customer_clv_minor: Some(3_517),
            fit_seconds: 0.25,
            backtest: Some(ValueBacktest {
                as_of_time: moment("2010-12-10"),
                customers: 1_024,
                expected_minor: 1_234_567,
                actual_minor: 1_250_000,
                inside_interval: 0.9512,
                stages: vec![
                    stage("new", 600, [234_567, 300_000]),
                    stage("mature", 124, [900_000, 912_000]),
                    stage("lost", 300, [100_000, 38_000]),
                ],
                margin_rate: 0.38,
            }),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_value_model_is_a_page() {
        insta::assert_snapshot!(page(&model(), &euro()), @r"
        lifetime values as of 2011-12-10T00:00:00Z: the profit that customers will bring in the 365 days
          after it
        a customer who buys for the first time now brings a profit of 35.17 EUR, this purchase included
        40.0 % of the revenue counts as profit, and what comes a year later counts 10.0 % less

        model of             parameters                                customers  log-likelihood
        ─────────────────────────────────────────────────────────────────────────────────────────
        purchases (BG/NBD)   r 0.243, α 4.414 weeks, a 0.793, b 2.426      2,357        -9,582.4
        money (Gamma-Gamma)  p 6.250, q 3.740, v 15.44                       946        -4,055.9

        purchases: while they stay, customers buy 0.055 times a week on average (r / α), and after a
          purchase 24.6 % of them leave (a / (a + b))
        money: a day on which a customer buys brings 35.22 on average (p · v / (q − 1))
        customers: those that the model is fitted to; log-likelihood: the greater, the better it fits them

        tested on the past: as of 2010-12-10T00:00:00Z, by what had happened until then, a profit of
          12,345.67 EUR was expected from 1,024 buyers in the 365 days after it; they brought 12,500.00
          EUR. Of each buyer the model gives a 95 % interval; 95.1 % of them brought what is inside of
          theirs

        stage then  buyers  expected   brought  difference  inside
        ───────────────────────────────────────────────────────────
        new            600  2,345.67  3,000.00     +27.9 %  95.0 %
        mature         124  9,000.00  9,120.00      +1.3 %  95.0 %
        lost           300  1,000.00    380.00     -62.0 %  95.0 %

        stage: of the life cycle, as of that time; lists by lifetime value rank a stage too high that
          brought less than was expected, and one too low that brought more. Of the revenue, 38.0 % counts
          as profit in what was expected and in what they brought
        ");
    }

    #[test]
    fn stages_of_any_size_fit_and_of_nothing_there_is_no_difference() {
        let mut model = model();
        if let Some(backtest) = &mut model.backtest {
            backtest.stages =
                vec![stage(&"won_back".repeat(20), i64::MAX, [i64::MAX; 2]), stage("new", 1, [0, 5])];
        }
        let text = page(&model, &euro());
        assert_fits(&text);
        assert!(text.contains("\nnew ") && text.contains(" – "), "{text}");
        // A server of before knows neither stages nor the margin of then.
        if let Some(backtest) = &mut model.backtest {
            backtest.stages.clear();
        }
        assert!(!page(&model, &euro()).contains("stage"));
    }

    #[test]
    fn warnings_are_shown() {
        let warnings = ["one customer has 99.9 % of the money", "the backtest rests on little"];
        let warnings = warnings.map(|warning| format!("{warning}{}", ", at length".repeat(20))).to_vec();
        let text = page(&ValueModel { warnings, ..model() }, &euro());
        assert_fits(&text);
        assert!(text.contains("\nwarning: one customer has 99.9 % of the money, at"), "{text}");
        assert!(text.contains("\nwarning: the backtest rests on little, at"), "{text}");
    }

    #[test]
    fn what_cannot_be_fitted_is_said() {
        let mut model = ValueModel { backtest: None, new_customer_clv_minor: None, ..model() };
        if let Some(fit) = &mut model.bg_nbd {
            fit.problem = format!("too few{}", " customers".repeat(20));
            fit.log_likelihood = f64::MIN;
        }
        let text = page(&model, &euro());
        assert_fits(&text);
        assert!(
            text.contains("there are no lifetime values") && text.contains("purchases: too few"),
            "{text}"
        );
        assert!(text.contains("a model of 365 days ago could not be fitted"), "{text}");
    }
}
