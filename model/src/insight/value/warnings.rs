//! What makes the numbers of the value model questionable, in words for those who decide by them. Lifetime values and
//! the forecast follow from the same model, so that both say the same.

use super::{BuyerPurchases, ValueModel, spec::WEEK};
use crate::{
    counted,
    insight::{ForecastMeasure, ForecastRow},
    special::ln_beta,
};

/// The least share of buyers that leave within the horizon: of fewer, the model has hardly seen anybody leave.
const FEWEST_LEAVING: f64 = 0.01;
/// With fewer customers with a repeat purchase before it, a backtest rests on little.
const FEWEST_REPEAT_BUYERS: u64 = 30;
/// Of a stage with fewer customers in the backtest, nothing is said.
const FEWEST_IN_STAGE: u64 = 30;
/// The part that is inside when intervals hold what they promise.
const INSIDE: f64 = 0.95;
/// How much less than that is no failure, whatever chance says.
const TOLERATED: f64 = 0.05;
/// By which part the total of a backtest may be missed: a business that grows, or has a good year, is off by less, and a
/// sum that is a quarter off is none to plan with.
const TOLERATED_OF_TOTAL: f64 = 0.25;
/// More standard deviations than this are not chance.
const CHANCE: f64 = 3.0;

impl ValueModel {
    /// What makes the model questionable; empty when nothing does.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let of_fit = self.nobody_leaves().into_iter().chain(self.earns_more_than_it_takes());
        of_fit.chain(self.warning.clone()).collect()
    }

    /// The warning that the customers bring more profit than revenue.
    fn earns_more_than_it_takes(&self) -> Option<String> {
        (self.margin_rate > 1.0).then(|| {
            format!(
                "the margin is {}: by the costs that are stated, customers bring more profit than revenue; are costs stored \
                 with the wrong sign?",
                percent(self.margin_rate)
            )
        })
    }

    /// The warning that by the model hardly any buyer leaves.
    fn nobody_leaves(&self) -> Option<String> {
        let model = self.usable_bg_nbd()?;
        let days = self.spec.horizon_days;
        // A customer who has not left after n purchases has a probability of (b)ₙ/(a+b)ₙ; n is what the mean rate makes.
        let purchases = model.r / model.alpha * f64::from(days) / WEEK;
        let leaving = 1.0 - (ln_beta(model.a, model.b + purchases) - ln_beta(model.a, model.b)).exp();
        (leaving < FEWEST_LEAVING).then(|| {
            format!(
                "by the fitted model {} of the buyers leave within {} (a {:.5}, b {:.1}): it has hardly seen \
                 anybody leave, so that the lifetime values, the forecast and p_alive are those of customers who never leave",
                percent(leaving.max(0.0)),
                counted(days, "day", "days"),
                model.a,
                model.b
            )
        })
    }
}

/// What a model of the past was fitted to, to be compared with what came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BacktestBasis {
    /// The days that are held out.
    pub held_out_days: i64,
    /// Customers with two purchase days or more before these.
    pub repeat_buyers: u64,
    /// The days from the first purchase of all to the first day that is held out.
    pub history_days: i64,
}

impl BacktestBasis {
    /// The basis of a model of these buyers, as they were `held_out_days` ago.
    pub fn of<'a>(buyers: impl Iterator<Item = &'a BuyerPurchases>, held_out_days: i64) -> Self {
        let mut basis = Self { held_out_days, ..Self::default() };
        for BuyerPurchases { purchases, .. } in buyers {
            basis.repeat_buyers += u64::from(purchases.frequency > 0);
            basis.history_days = basis.history_days.max((WEEK * purchases.age_weeks).round() as i64);
        }
        basis
    }

    /// The warning that the backtest rests on little. `shorter` says, as the beginning of a sentence that ends with
    /// "leaves as many days before", how to hold out at most so many days; None when that cannot be done.
    #[must_use]
    pub fn warning(&self, shorter: impl FnOnce(i64) -> Option<String>) -> Option<String> {
        let Self { held_out_days, repeat_buyers, history_days } = *self;
        let few = (repeat_buyers < FEWEST_REPEAT_BUYERS).then(|| {
            let buyers = counted(repeat_buyers, "customer", "customers");
            format!("{buyers} had bought on more than one day (a backtest needs {FEWEST_REPEAT_BUYERS})")
        });
        let short = (history_days < held_out_days).then(|| {
            let days = counted(history_days, "day", "days");
            format!("purchases are known of {days}, fewer than it holds out")
        });
        let known_days = history_days + held_out_days;
        // Of data that begin in the days that are held out, it is not known how long they are.
        let remedy = (short.is_some() && history_days > 0).then(|| remedy(shorter, known_days)).flatten();
        let why: Vec<String> = few.into_iter().chain(short).collect();
        (!why.is_empty()).then(|| {
            format!(
                "the backtest rests on little: before the {} that it holds out, {}; whether it looks good or bad \
                 says little about the model of now{}",
                counted(held_out_days, "day", "days"),
                why.join(", and "),
                remedy.unwrap_or_default()
            )
        })
    }
}

/// The warning that the lifetime values of `held_out_days` ago could not be computed, so that there is no backtest;
/// purchases are known of `known_days`.
#[must_use]
pub fn no_backtest(held_out_days: i64, known_days: i64) -> String {
    let remedy = match known_days < 2 * held_out_days {
        true => remedy(shorter_horizon, known_days).unwrap_or_default(),
        false => String::new(),
    };
    format!(
        "there is no backtest: it holds out {}, purchases are known of {}, and what had happened before is too little for a \
         model{remedy}",
        counted(held_out_days, "day", "days"),
        counted(known_days, "day", "days")
    )
}

/// How to hold out at most so many days of the lifetime values, see [`BacktestBasis::warning`].
#[must_use]
pub fn shorter_horizon(most_days: i64) -> Option<String> {
    (most_days > 0).then(|| format!("`horizon_days` of at most {most_days} in `[value]` of the settings"))
}

/// How a backtest can have as much before the days that it holds out as in these.
fn remedy(shorter: impl FnOnce(i64) -> Option<String>, known_days: i64) -> Option<String> {
    Some(format!("; {} leaves as many days before as it holds out", shorter(known_days / 2)?))
}

/// The warning that customers have brought in total much more or less than was expected of them: by more than a quarter,
/// and chance does not explain it. `squares` is the sum of the squares of what each customer brought beside what was
/// expected of it: the variance of the total, if the expectations were right.
#[must_use]
pub fn missed_total([expected, actual]: [f64; 2], squares: f64) -> Option<String> {
    is_missed([expected, actual], squares).then(|| {
        format!(
            "the backtest missed the total: the buyers brought {} {} than was expected of them, more than chance explains; \
             the model knows no growth and no change of the business, and the lifetime values of now may be as far off",
            percent((actual - expected).abs() / expected),
            if actual > expected { "more" } else { "less" }
        )
    })
}

/// The warning that this has happened to the `customers` of a stage, and that it is no matter of the `total` of all
/// buyers, which is expected and actual as well: by more than a quarter they have also missed what would have come if
/// everybody had brought more or less by the same part. Then they are ranked wrongly among the others.
#[must_use]
pub fn missed_stage(
    stage: &str,
    customers: u64,
    ([expected, actual], squares): ([f64; 2], f64),
    total: [f64; 2],
) -> Option<String> {
    let alike = expected * total[1] / total[0];
    let is_more = actual > expected;
    let is_ranked_wrongly = match is_more {
        true => actual > (1.0 + TOLERATED_OF_TOTAL) * alike,
        false => actual < (1.0 - TOLERATED_OF_TOTAL) * alike,
    };
    let is_missed = customers >= FEWEST_IN_STAGE && is_missed([expected, actual], squares);
    (is_missed && is_ranked_wrongly).then(|| {
        format!(
            "the backtest missed the stage `{stage}`: its customers brought {} {} than was expected of them, more than \
             chance explains; lists by lifetime value rank such customers too {}",
            percent((actual - expected).abs() / expected),
            if is_more { "more" } else { "less" },
            if is_more { "low" } else { "high" }
        )
    })
}

/// Whether customers have brought over a quarter more or less than was expected, and chance does not explain it.
fn is_missed([expected, actual]: [f64; 2], squares: f64) -> bool {
    let missed = (actual - expected).abs();
    // Of less than a minor unit, no share can be told.
    expected >= 1.0 && missed > TOLERATED_OF_TOTAL * expected && missed > CHANCE * squares.sqrt()
}

/// The warning that a forecast of the past has missed its totals, each beside what came: by more than a quarter, and
/// outside of the 95 % interval. One without an interval is not judged.
#[must_use]
pub fn missed_forecast(totals: &[(ForecastRow, f64)]) -> Option<String> {
    let missed = totals.iter().filter_map(|(row, actual)| {
        let name = match row.measure {
            ForecastMeasure::Purchases => "purchase days",
            ForecastMeasure::Revenue => "revenue",
            ForecastMeasure::Stage(_) => return None,
        };
        let ([lower, upper], missed) = (row.interval?, actual - row.value);
        let is_outside = *actual < lower || *actual > upper;
        // Of less than a minor unit, or a day, no share can be told.
        let is_missed = row.value >= 1.0 && is_outside && missed.abs() > TOLERATED_OF_TOTAL * row.value;
        let direction = if missed > 0.0 { "above" } else { "below" };
        is_missed.then(|| (name, format!("{} {direction}", percent(missed.abs() / row.value))))
    });
    let (names, parts): (Vec<_>, Vec<_>) = missed.unzip();
    (!names.is_empty()).then(|| {
        format!(
            "the backtest missed the total {}: what came was {} what was expected, outside of the 95 % interval; the \
             forecast knows no growth, no season and no change of the business, and the one of now may be as far off",
            names.join(" and "),
            parts.join(" and ")
        )
    })
}

/// The warning that intervals of 95 % have failed: of `all` numbers, which are `what`, far fewer than 95 % are `inside`,
/// and chance does not explain it. `independent` is how many of the numbers tell something of their own.
#[must_use]
pub fn failed_intervals([inside, all]: [u64; 2], independent: u64, what: &str) -> Option<String> {
    let share = inside as f64 / all as f64;
    let chance = CHANCE * (INSIDE * (1.0 - INSIDE) / independent as f64).sqrt();
    (all > 0 && share < INSIDE - chance.max(TOLERATED)).then(|| {
        format!(
            "the intervals failed in the backtest: {inside} of {all} {what}, {}, were inside their 95 % interval; expect \
             more to fall outside the intervals of now than they promise",
            percent(share)
        )
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        features::bg_nbd::{BgNbd, Purchases},
        insight::{ValueSample, ValueSpec},
        time::Time,
    };

    fn model(bg_nbd: BgNbd) -> ValueModel {
        let mut model = ValueModel::fit(&ValueSample::default(), &ValueSpec::default());
        model.bg_nbd.model = bg_nbd;
        (model.bg_nbd.iterations, model.bg_nbd.log_likelihood, model.bg_nbd.problem) = (1, -1.0, None);
        model
    }

    #[test]
    fn a_model_in_which_nobody_leaves_is_a_warning() {
        let music = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
        assert_eq!(model(music).warnings(), Vec::<String>::new());
        for loyal in [BgNbd { a: 1e-5, ..music }, BgNbd { b: 1e5, ..music }] {
            let warnings = model(loyal).warnings();
            assert!(
                warnings[0].starts_with("by the fitted model 0.0 % of the buyers leave within 365 days"),
                "{warnings:?}"
            );
        }
        // One of two leaves at once and the others never: leaving is rare after a purchase of those who are left.
        assert_eq!(model(BgNbd { a: 1e-5, b: 1e-5, ..music }).warnings(), Vec::<String>::new());
        // One of 4,000 leaves after a purchase, of whom an average customer makes 40 in the horizon.
        let often = BgNbd { r: 4.0, alpha: 4.0 * 365.0 / 280.0, a: 1.0, b: 3_999.0 };
        assert!(model(often).warnings()[0].contains(" 1.0 % of the buyers"), "40 / 4,039");
        assert_eq!(model(BgNbd { b: 3_900.0, ..often }).warnings(), Vec::<String>::new(), "40 / 3,940");
        let mut unusable = model(BgNbd { a: 1e-5, ..music });
        unusable.bg_nbd.iterations = 0;
        assert_eq!(unusable.warnings(), Vec::<String>::new(), "`problem` says so");
        // The money of one customer is a warning beside it.
        let money =
            ValueModel { warning: Some("one customer".to_owned()), ..model(BgNbd { b: 1e5, ..music }) };
        assert_eq!((money.warnings().len(), money.warnings()[1].as_str()), (2, "one customer"));
        // Costs with the wrong sign.
        let profitable = |margin_rate| ValueModel { margin_rate, ..model(music) };
        assert_eq!(profitable(1.0).warnings(), Vec::<String>::new());
        assert!(profitable(1.5).warnings()[0].starts_with("the margin is 150.0 %: "));
    }

    #[test]
    fn a_backtest_needs_repeat_buyers_and_a_history() {
        let buyer = |frequency: u32, days: f64| BuyerPurchases {
            purchases: Purchases { frequency, recency_weeks: 0.0, age_weeks: days / 7.0 },
            repeat_revenue: 0,
        };
        let basis = |repeat: usize, days: f64| {
            let buyers = [vec![buyer(1, 10.0); repeat], vec![buyer(0, days)]].concat();
            BacktestBasis::of(buyers.iter(), 365)
        };
        let warning = |basis: BacktestBasis| basis.warning(shorter_horizon);
        assert_eq!(warning(basis(30, 365.0)), None);
        let few = warning(basis(29, 365.0)).unwrap();
        assert!(few.contains("before the 365 days that it holds out, 29 customers had bought"), "{few}");
        assert!(few.ends_with(" about the model of now"), "{few}");
        let short = warning(basis(30, 363.0)).unwrap();
        assert!(short.contains("holds out, purchases are known of 363 days"), "{short}");
        let remedy = "; `horizon_days` of at most 364 in `[value]` of the settings leaves as many days before as it holds out";
        assert!(short.ends_with(remedy), "{short}");
        assert_eq!(warning(BacktestBasis { held_out_days: 364, history_days: 364, ..basis(30, 0.0) }), None);
        let both = warning(BacktestBasis::of([].iter(), 180)).unwrap();
        assert!(both.ends_with(" about the model of now"), "{both}");
        assert!(
            both.contains("0 customers") && both.contains(", and purchases are known of 0 days"),
            "{both}"
        );
    }

    #[test]
    fn without_a_backtest_the_remedy_is_a_shorter_horizon() {
        let short = no_backtest(365, 380);
        assert!(
            short
                .starts_with("there is no backtest: it holds out 365 days, purchases are known of 380 days,")
        );
        assert!(
            short.contains("; `horizon_days` of at most 190 in `[value]` of the settings leaves as many"),
            "{short}"
        );
        // More days are no remedy for few customers.
        assert!(no_backtest(365, 730).ends_with(" is too little for a model"));
        assert!(no_backtest(365, 1).ends_with(" is too little for a model"));
    }

    #[test]
    fn a_total_that_was_missed_is_a_warning() {
        // A hundred customers, each a little off.
        let of = |actual: f64| missed_total([1_000.0, actual], (actual - 1_000.0).powi(2) / 100.0);
        assert_eq!((of(750.0), of(1_000.0), of(1_250.0)), (None, None, None));
        let less = of(580.0).unwrap();
        assert!(
            less.contains("the buyers brought 42.0 % less than was expected of them, more than"),
            "{less}"
        );
        assert!(of(1_251.0).unwrap().contains(" 25.1 % more than"));
        // One customer makes all of the difference, or a few do.
        assert_eq!(missed_total([1_000.0, 3_000.0], 2_000.0_f64.powi(2)), None);
        assert_eq!(missed_total([1_000.0, 3_000.0], 9.0 * (2_000.0_f64 / 9.0).powi(2)), None);
        assert!(missed_total([1_000.0, 3_000.0], 10.0 * (2_000.0_f64 / 10.0).powi(2)).is_some());
        assert_eq!(missed_total([0.0, 0.0], 0.0), None, "a margin of 0");
        assert_eq!(missed_total([1e-9, 0.0], 1e-20), None, "nothing to speak of was expected");
        assert_eq!(missed_total([1e-9, 1e6], 1.0), None);
    }

    #[test]
    fn a_stage_that_was_missed_is_a_warning() {
        // A tenth of what is expected of all, and a hundred customers who are each a little off.
        let of = |actual: f64, customers: u64, total: f64| {
            let sums = ([1_000.0, actual], (actual - 1_000.0).powi(2) / 100.0);
            missed_stage("lost", customers, sums, [10_000.0, total])
        };
        let less = of(380.0, 30, 10_000.0).unwrap();
        assert_eq!(
            less,
            "the backtest missed the stage `lost`: its customers brought 62.0 % less than was expected of them, more than \
             chance explains; lists by lifetime value rank such customers too high"
        );
        let more = of(1_251.0, 30, 10_000.0).unwrap();
        assert!(more.contains(" 25.1 % more than ") && more.ends_with(" too low"), "{more}");
        assert_eq!((of(750.0, 30, 10_000.0), of(1_250.0, 30, 10_000.0)), (None, None));
        assert_eq!(of(380.0, 29, 10_000.0), None, "too few");
        let by_chance = ([1_000.0, 380.0], 620.0_f64.powi(2) / 9.0);
        assert_eq!(missed_stage("lost", 30, by_chance, [10_000.0, 10_000.0]), None);
        // Everybody brought less, so that lists rank nobody wrongly, unless it is much less than the others.
        assert_eq!((of(300.0, 30, 4_000.0), of(299.0, 30, 4_000.0).is_some()), (None, true));
        assert_eq!(of(0.0, 30, 0.0), None, "nobody brought anything");
        assert_eq!((of(2_500.0, 30, 20_000.0), of(2_501.0, 30, 20_000.0).is_some()), (None, true));
        assert_eq!(of(700.0, 30, 5_000.0), None, "less, and too low");
        let nothing = missed_stage("new", 30, ([0.0, 0.0], 0.0), [0.0, 0.0]);
        assert_eq!(nothing, None, "a margin of 0");
    }

    #[test]
    fn totals_of_a_forecast_that_were_missed_are_a_warning() {
        let total = |measure, value, interval| {
            let row = ForecastRow { step: 0, from: Time(0), to: Time(1), measure, value, interval };
            move |actual: f64| (row, actual)
        };
        let revenue = total(ForecastMeasure::Revenue, 1_000.0, Some([900.0, 1_100.0]));
        let days = total(ForecastMeasure::Purchases, 100.0, Some([50.0, 150.0]));
        let of = |one, other| missed_forecast(&[days(one), revenue(other)]);
        assert_eq!((of(100.0, 750.0), of(150.0, 1_250.0)), (None, None), "by a quarter, or inside");
        assert_eq!(
            of(50.0, 380.0).unwrap(),
            "the backtest missed the total revenue: what came was 62.0 % below what was expected, outside of the 95 % \
             interval; the forecast knows no growth, no season and no change of the business, and the one of now may be as \
             far off"
        );
        let both = of(151.0, 749.0).unwrap();
        assert!(
            both.contains(
                "total purchase days and revenue: what came was 51.0 % above and 25.1 % below what was"
            ),
            "{both}"
        );
        let endless = total(ForecastMeasure::Revenue, 1_000.0, None);
        let nothing = total(ForecastMeasure::Purchases, 0.0, Some([0.0, 0.0]));
        assert_eq!(missed_forecast(&[nothing(9.0), endless(0.0)]), None);
        assert_eq!(missed_forecast(&[]), None);
    }

    #[test]
    fn intervals_that_failed_are_a_warning() {
        let of = |inside: u64, all: u64| failed_intervals([inside, all], all, "buyers");
        assert_eq!((of(900, 1_000), of(950, 1_000), of(0, 0)), (None, None, None));
        let failed = of(899, 1_000).unwrap();
        assert!(failed.contains("899 of 1000 buyers, 89.9 %, were inside"), "{failed}");
        // Of few numbers, more may be outside by chance.
        assert_eq!((of(25, 30), of(24, 30).is_some()), (None, true));
        // Numbers that say the same count once.
        assert_eq!(failed_intervals([24, 30], 9, "numbers"), None);
    }
}
