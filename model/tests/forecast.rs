//! The forecast of simulated buyers, and the stages of simulated customers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod buyers;

use buyers::Sampler;
use tally_model::{
    features::bg_nbd::BgNbd,
    history::History,
    insight::{
        Facts, Forecast, ForecastActual, ForecastMeasure, ForecastSample, GammaGamma, InsightSpec, LifeCycle,
        Placement, Population, PopulationSample,
    },
    simulate::Business,
    time::{DAY, Time},
};

/// The moment of the forecasts, at noon.
const AS_OF: Time = Time(20_000 * DAY + DAY / 2);
const STEPS: u32 = 4;
const OFTEN: BgNbd = BgNbd { r: 1.5, alpha: 14.0, a: 0.5, b: 6.0 };
const MONEY: GammaGamma = GammaGamma { p: 4.0, q: 4.5, v: 3_000.0 };

/// A buyer whose first purchase was up to two years before [`AS_OF`], with the purchases of the steps after it.
fn history(sampler: &mut Sampler, money: &GammaGamma) -> History {
    let mut history = History::default();
    let rate = sampler.gamma(OFTEN.r) / OFTEN.alpha;
    let dropout = sampler.beta(OFTEN.a, OFTEN.b);
    let spending = sampler.gamma(money.q) / money.v;
    let mut time = -730.0 * sampler.uniform();
    let mut last_day = i64::MIN;
    while time <= f64::from(STEPS) * 30.0 {
        let moment = Time(AS_OF.0 + (time * DAY as f64) as i64);
        if moment.day_number() > last_day {
            let amount = sampler.gamma(money.p) / spending;
            history.push("purchase", moment, moment, Some(amount.round() as i64), None);
            last_day = moment.day_number();
        }
        if history.len() > 1 && sampler.uniform() < dropout {
            break;
        }
        time += 7.0 * sampler.exponential() / rate;
    }
    history
}

fn population(histories: &[History], spec: &InsightSpec) -> Population {
    let mut sample = PopulationSample::default();
    for history in histories {
        if let Some(facts) = Facts::of(history, AS_OF, Time::MAX, spec) {
            sample.add(&facts, None, AS_OF, spec);
        }
    }
    sample.population(AS_OF, spec)
}

fn forecast<'a>(
    histories: impl IntoIterator<Item = &'a History>,
    population: &Population,
    steps: u32,
) -> (Forecast, ForecastActual) {
    let (mut sample, mut actual) = (ForecastSample::default(), ForecastActual::new(steps));
    for history in histories {
        let mut one = ForecastSample::default();
        one.add(history, Time::MAX, population);
        sample.merge(one);
        actual.add(history, Time::MAX, population);
    }
    (sample.forecast(population, steps), actual)
}

#[test]
fn what_comes_is_within_the_intervals() {
    let widths = widths_that_hold_what_comes(&MONEY, |_| {});
    assert!(widths[0] < 0.35 && widths[1] < 0.45, "{widths:?}");
}

#[test]
fn what_comes_is_within_the_intervals_also_without_money_parameters() {
    // All customers are alike in what they spend.
    let alike = GammaGamma { p: 0.5, q: 1e9, v: 2e12 };
    let widths = widths_that_hold_what_comes(&alike, |population| {
        population.value.gamma_gamma.problem = Some("all are alike".to_owned());
        population.value.gamma_gamma_covariance = None;
    });
    assert!(widths[1] > widths[0] && widths[1] < 0.6, "{widths:?}");
}

/// Checks that the intervals of purchases and revenue hold what comes. Returns how wide they are by what is expected.
fn widths_that_hold_what_comes(money: &GammaGamma, change: impl Fn(&mut Population)) -> [f64; 2] {
    let mut sampler = Sampler::new(5);
    let spec = InsightSpec::default();
    let (mut inside, mut all) = (0, 0);
    let (mut totals_inside, mut totals) = (0, 0);
    let mut widths = [0.0; 2];
    for _ in 0..40 {
        let histories: Vec<History> = (0..1_000).map(|_| history(&mut sampler, money)).collect();
        let mut population = population(&histories, &spec);
        change(&mut population);
        let (forecast, actual) = forecast(&histories, &population, STEPS);
        for row in &forecast.rows {
            let measure = match row.measure {
                ForecastMeasure::Purchases => 0,
                ForecastMeasure::Revenue => 1,
                ForecastMeasure::Stage(_) => continue,
            };
            let [lower, upper] = row.interval.unwrap();
            let came = actual.of(row).unwrap();
            all += 1;
            inside += u32::from((lower..=upper).contains(&came));
            widths[measure] += (upper - lower) / row.value;
        }
        for row in &forecast.totals {
            let [lower, upper] = row.interval.unwrap();
            totals += 1;
            totals_inside += u32::from((lower..=upper).contains(&actual.of(row).unwrap()));
        }
    }
    // Of 80 numbers, two of a population; 95 % ± three standard deviations.
    assert!(totals == 80 && totals_inside >= 70, "{totals_inside} of {totals}");
    // The steps of a population share the errors of its parameters.
    let share = f64::from(inside) / f64::from(all);
    assert!(all == 40 * 2 * STEPS && (0.91..=0.985).contains(&share), "{inside} of {all}");
    widths.map(|width| width / f64::from(40 * STEPS))
}

#[test]
fn neither_the_order_of_customers_nor_a_longer_forecast_changes_a_bit() {
    let mut sampler = Sampler::new(6);
    let histories: Vec<History> = (0..400).map(|_| history(&mut sampler, &MONEY)).collect();
    let population = population(&histories, &InsightSpec::default());
    let one = forecast(&histories, &population, STEPS).0;
    assert_eq!(forecast(histories.iter().rev(), &population, STEPS).0, one);
    assert_eq!(one.totals.iter().map(|total| total.step).collect::<Vec<_>>(), [0, 0]);
    for total in &one.totals {
        let steps = one.rows.iter().filter(|row| row.measure == total.measure);
        let sum: f64 = steps.map(|row| row.value).sum();
        assert!((total.value / sum - 1.0).abs() < 1e-8, "{total:?}: {sum}");
        assert_eq!((total.from, total.to), (AS_OF, AS_OF.plus_days(30 * i64::from(STEPS))));
    }
    let short = forecast(&histories, &population, 2).0;
    for (short, one) in short.rows.iter().zip(&one.rows) {
        assert_eq!((short.step, short.measure), (one.step, one.measure));
        assert!((short.value - one.value).abs() <= 1e-9 * one.value, "{short:?} {one:?}");
    }
    let buyers: Vec<_> = histories
        .iter()
        .filter_map(|history| {
            tally_model::insight::BuyerPurchases::of(
                &Facts::of(history, AS_OF, Time::MAX, &population.spec)?,
                AS_OF,
            )
        })
        .collect();
    // The first steps are what the value model expects of their days, one by one.
    let days = |days: f64| -> f64 {
        buyers
            .iter()
            .map(|buyer| population.value.bg_nbd.model.expected_purchases(&buyer.purchases, days / 7.0))
            .sum()
    };
    let revenue: f64 = buyers
        .iter()
        .map(|buyer| {
            let often =
                |days: f64| population.value.bg_nbd.model.expected_purchases(&buyer.purchases, days / 7.0);
            (often(60.0) - often(30.0)) * population.value.expected_money(buyer)
        })
        .sum();
    let value =
        |step, measure| one.rows.iter().find(|row| row.step == step && row.measure == measure).unwrap().value;
    for (got, wanted) in [
        (value(1, ForecastMeasure::Purchases), days(30.0)),
        (value(3, ForecastMeasure::Purchases), days(90.0) - days(60.0)),
        (value(2, ForecastMeasure::Revenue), revenue),
    ] {
        assert!((got / wanted - 1.0).abs() < 1e-8, "{got} {wanted}");
    }
}

#[test]
fn stages_are_those_of_the_placements_at_each_moment() {
    let now = Time(1_767_225_600_000_000);
    let spec = InsightSpec::default();
    let business = Business { customers: 300, ..Business::new(1, now) };
    let histories: Vec<History> = business.iter().map(|customer| customer.history()).collect();
    let past = now.plus_days(-90);
    let mut sample = PopulationSample::default();
    for history in &histories {
        if let Some(facts) = Facts::of(history, past, now, &spec) {
            sample.add(&facts, None, past, &spec);
        }
    }
    let population = sample.population(past, &spec);
    let (forecast, actual) = {
        let (mut sample, mut actual) = (ForecastSample::default(), ForecastActual::new(3));
        for history in &histories {
            sample.add(history, now, &population);
            actual.add(history, now, &population);
        }
        (sample.forecast(&population, 3), actual)
    };
    let stage = |history: &History, moment: Time| {
        let facts = Facts::of(history, moment, now, &spec)?;
        Some(Placement::of(history, &facts, (moment, now), &population).life_cycle)
    };
    let mut counts = [[0_u64; 7]; 7];
    for history in &histories {
        let path: Vec<_> = (-12..=0).map(|step| stage(history, past.plus_days(30 * step))).collect();
        for step in path.windows(2) {
            if let [Some(from), Some(to)] = step {
                counts[*from as usize][*to as usize] += 1;
            }
        }
    }
    let mut total = 0;
    for transition in &forecast.transitions {
        assert_eq!(
            transition.customers, counts[transition.from as usize][transition.to as usize],
            "{transition:?}"
        );
        total += transition.customers;
    }
    assert_eq!(total, counts.iter().flatten().sum::<u64>());
    assert!(total > 1_000);
    let existing: Vec<&History> = histories.iter().filter(|history| stage(history, past).is_some()).collect();
    for row in &forecast.rows {
        let ForecastMeasure::Stage(wanted) = row.measure else { continue };
        let came = existing.iter().filter(|history| stage(history, row.to) == Some(wanted)).count();
        assert_eq!(actual.of(row), Some(came as f64), "{row:?}");
    }
    let all = |step: u32| -> f64 {
        let is_stage = |measure| matches!(measure, ForecastMeasure::Stage(_));
        forecast
            .rows
            .iter()
            .filter(|row| row.step == step && is_stage(row.measure))
            .map(|row| row.value)
            .sum()
    };
    assert!((all(3) - existing.len() as f64).abs() < 1e-9 * existing.len() as f64, "nobody goes away");
    assert_eq!(forecast.steps_to_loss.last(), Some(&(LifeCycle::Lost, Some(0.0))));
}
