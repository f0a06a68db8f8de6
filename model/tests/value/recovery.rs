//! Simulated buyers: their parameters are recovered, and what they bring is what was predicted.

use tally_model::{
    features::bg_nbd::BgNbd,
    insight::{GammaGamma, MarginRate, ValueModel, ValueSpec},
};

use crate::{
    buyer,
    buyers::Sampler,
    cdnow,
    simulation::{Life, lives, sample},
    value_model,
};

const OFTEN: BgNbd = BgNbd { r: 2.0, alpha: 8.0, a: 0.3, b: 8.0 };
const MONEY: GammaGamma = GammaGamma { p: 4.0, q: 3.5, v: 3_000.0 };

/// What came, discounted.
fn actual(life: &Life, spec: &ValueSpec) -> f64 {
    life.later.iter().map(|(day, money)| money * spec.discount(*day as f64)).sum()
}

#[test]
fn money_parameters_are_recovered_within_their_errors() {
    for (seed, money) in (1..).zip([
        MONEY,
        GammaGamma { p: 0.8, q: 2.2, v: 9_000.0 },
        GammaGamma { p: 20.0, q: 8.0, v: 500.0 },
    ]) {
        let model = ValueModel::fit(&sample(&lives(seed, 10_000, &OFTEN, &money)), &ValueSpec::default());
        let fitted = &model.gamma_gamma;
        assert_eq!(fitted.problem, None);
        let covariance = model.gamma_gamma_covariance.unwrap();
        let GammaGamma { p, q, v } = fitted.model;
        for (n, ratio) in [p / money.p, q / money.q, v / money.v].into_iter().enumerate() {
            let error = f64::sqrt(covariance[n][n]);
            assert!(
                f64::abs(ratio.ln()) < 4.0 * error && error < 0.2,
                "{n}: {ratio} ± {error} of {fitted:?}"
            );
        }
    }
}

#[test]
fn what_comes_is_what_was_predicted() {
    let spec = ValueSpec { margin_rate: MarginRate::Rate(1.0), ..ValueSpec::default() };
    let lives = lives(7, 20_000, &OFTEN, &MONEY);
    let model = ValueModel::fit(&sample(&lives), &spec);
    assert_eq!((&model.bg_nbd.problem, &model.gamma_gamma.problem), (&None, &None));
    assert_predicted(&lives, &model);
}

/// Customers who are alike in what they spend: no parameters of the money exist.
#[test]
fn what_comes_is_predicted_also_without_money_parameters() {
    let spec = ValueSpec { margin_rate: MarginRate::Rate(1.0), ..ValueSpec::default() };
    let alike = GammaGamma { p: 0.8, q: 1e9, v: 2e12 };
    let lives = lives(7, 20_000, &OFTEN, &alike);
    let mut model = ValueModel::fit(&sample(&lives), &spec);
    assert!((model.mean_money / 1_600.0 - 1.0).abs() < 0.02, "{}", model.mean_money);
    assert!((model.money_variance / (1_600.0 * 2_000.0) - 1.0).abs() < 0.05, "{}", model.money_variance);
    model.gamma_gamma.problem = Some("all are alike".to_owned());
    assert_predicted(&lives, &model);
}

/// The sum of the values is near to what came, and 95 % of the customers brought what is inside their intervals, which are
/// no wider than they must be.
fn assert_predicted(lives: &[Life], model: &ValueModel) {
    let spec = &model.spec;
    let prepared = model.prepared();
    let expected: f64 = lives.iter().map(|life| prepared.value(&life.buyer()).unwrap().clv).sum();
    let came: f64 = lives.iter().map(|life| actual(life, spec)).sum();
    assert!((expected / came - 1.0).abs() < 0.05, "{expected}, and {came} came");

    let (mut inside, mut above, mut below, mut with_lower) = (0, 0, 0, 0);
    let some = &lives[..4_000];
    for life in some {
        let [lower, upper] = model.interval(&life.buyer()).unwrap();
        let actual = actual(life, spec);
        let is_inside = (lower..=upper).contains(&actual);
        assert_eq!(model.contains(&life.buyer(), actual), Some(is_inside));
        inside += u32::from(is_inside);
        above += u32::from(actual > upper);
        below += u32::from(actual < lower);
        with_lower += u32::from(lower > 0.0);
    }
    let share = |count: u32, of: u32| f64::from(count) / f64::from(of);
    let all = some.len() as u32;
    assert!((0.93..=0.99).contains(&share(inside, all)), "{inside} of {all}");
    // No wider than it must be: 2.5 % bring more, and as many less where that is possible.
    assert!((0.018..=0.032).contains(&share(above, all)), "{above} of {all}");
    assert!(
        with_lower > 300 && (0.01..=0.045).contains(&share(below, with_lower)),
        "{below} of {with_lower}"
    );
}

#[test]
fn the_interval_is_that_of_drawn_futures() {
    const DRAWS: u32 = 40_000;
    let spending = GammaGamma { p: 0.7, q: 2.5, v: 4_000.0 };
    let models = [cdnow(), value_model(OFTEN, MONEY), value_model(OFTEN, spending)];
    let customers = [
        buyer(0, 0.0, 2.0, 0),
        buyer(2, 30.43, 38.86, 4_470),
        buyer(12, 50.0, 52.0, 70_000),
        buyer(60, 103.0, 104.0, 90_000),
    ];
    let mut sampler = Sampler::new(11);
    for (model, customer) in models.iter().flat_map(|model| customers.map(|customer| (model, customer))) {
        let value = model.value(&customer).unwrap();
        let factor = value.clv / (value.expected_purchases * model.expected_money(&customer));
        let [lower, upper] = model.interval(&customer).unwrap();
        let (mut below, mut above) = (0, 0);
        for _ in 0..DRAWS {
            let money = factor * future(&mut sampler, model, &customer);
            below += u32::from(money < lower);
            above += u32::from(money > upper);
        }
        let share = |count: u32| f64::from(count) / f64::from(DRAWS);
        // Four standard errors.
        assert!((share(above) - 0.025).abs() < 0.003_2, "{customer:?}: {} above {upper}", share(above));
        let wanted = if lower > 0.0 { 0.025 } else { 0.0 };
        assert!((share(below) - wanted).abs() < 0.003_2, "{customer:?}: {} below {lower}", share(below));
    }
}

/// The money of 365 days of a customer whose rate, dropout and spending are drawn given its history.
fn future(sampler: &mut Sampler, model: &ValueModel, customer: &tally_model::insight::BuyerPurchases) -> f64 {
    let (often, money, past) = (model.bg_nbd.model, model.gamma_gamma.model, customer.purchases);
    if sampler.uniform() > often.probability_alive(&past) {
        return 0.0;
    }
    let x = f64::from(past.frequency);
    let rate = sampler.gamma(often.r + x) / (often.alpha + past.age_weeks);
    let dropout = sampler.beta(often.a, often.b + x);
    let spending = sampler.gamma(money.q + money.p * x) / (money.v + customer.repeat_revenue as f64);
    let (mut week, mut sum) = (0.0, 0.0);
    loop {
        week += sampler.exponential() / rate;
        if week > 365.0 / 7.0 {
            return sum;
        }
        sum += sampler.gamma(money.p) / spending;
        if sampler.uniform() < dropout {
            return sum;
        }
    }
}

#[test]
fn neither_the_unit_of_money_nor_the_order_of_customers_matters() {
    let mut lives = lives(3, 3_000, &OFTEN, &MONEY);
    let spec = ValueSpec::default();
    let model = ValueModel::fit(&sample(&lives), &spec);
    lives.reverse();
    assert_eq!(ValueModel::fit(&sample(&lives), &spec), model);
    for life in &mut lives {
        for money in
            [&mut life.facts.repeat_revenue, &mut life.facts.ever.revenue, &mut life.facts.window.revenue]
        {
            *money *= 1_000_000;
        }
    }
    let scaled = ValueModel::fit(&sample(&lives), &spec).gamma_gamma;
    let (one, other) = (scaled.model, model.gamma_gamma.model);
    for ratio in [one.p / other.p, one.q / other.q, one.v / (1e6 * other.v)] {
        assert!((ratio - 1.0).abs() < 1e-7, "{one:?} {other:?}");
    }
    let shift = scaled.customers as f64 * 1e6_f64.ln();
    assert!((scaled.log_likelihood + shift - model.gamma_gamma.log_likelihood).abs() < 1e-6 * shift);
}
