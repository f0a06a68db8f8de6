//! Figures that were published, and formulas worked out by hand.

use tally_model::insight::{MarginRate, ValueModel, ValueSample, ValueSpec};

use crate::{buyer, cdnow};

#[track_caller]
fn assert_near(got: f64, wanted: f64, error: f64) {
    assert!((got - wanted).abs() <= error, "{got}, not {wanted}");
}

#[test]
fn the_figures_of_cdnow_are_those_of_the_papers() {
    let model = cdnow();
    // Fader and Hardie 2013, section 4: 22.35 dollars over two purchases, and a customer who bought once. The parameters
    // are rounded there.
    assert_near(model.expected_money(&buyer(2, 30.43, 38.86, 4_470)), 2_466.0, 1.0);
    assert_near(model.expected_money(&buyer(0, 0.0, 38.86, 0)), 3_517.0, 6.0);
    // Fader, Hardie and Lee 2005, section 3: customer 1 in the next 39 weeks.
    let spec = ValueSpec { horizon_days: 273, ..ValueSpec::default() };
    let value = ValueModel { spec, ..model }.value(&buyer(2, 30.43, 38.86, 4_470)).unwrap();
    assert_near(value.expected_purchases, 1.226, 0.000_6);
}

#[test]
fn purchases_are_discounted_from_the_ends_of_their_weeks() {
    let mut model = cdnow();
    model.margin_rate = 0.4;
    model.spec = ValueSpec { horizon_days: 17, discount_rate: 0.5, ..ValueSpec::default() };
    let customer = buyer(2, 30.43, 38.86, 4_470);
    let within = |days: f64| model.bg_nbd.model.expected_purchases(&customer.purchases, days / 7.0);
    let factor = |days: f64| 1.5_f64.powf(-days / 365.0);
    let discounted = factor(7.0) * within(7.0)
        + factor(14.0) * (within(14.0) - within(7.0))
        + factor(17.0) * (within(17.0) - within(14.0));
    let value = model.value(&customer).unwrap();
    assert_near(value.clv / (0.4 * 2_466.4 * discounted), 1.0, 1e-4);
    assert_near(value.expected_purchases, within(17.0), 1e-12);
    assert_eq!(value.p_alive, model.bg_nbd.model.probability_alive(&customer.purchases));

    let newcomer = buyer(0, 0.0, 0.0, 0);
    let now = 0.4 * model.expected_money(&newcomer);
    let wanted = now + model.value(&newcomer).unwrap().clv;
    assert_eq!(model.new_customer_clv(), Some(wanted));
}

#[test]
fn customers_without_the_money_of_repeat_purchases_count_like_new_ones() {
    let model = cdnow();
    let once = model.expected_money(&buyer(0, 0.0, 50.0, 0));
    for revenue in [0, -5_000] {
        assert_eq!(model.expected_money(&buyer(3, 20.0, 50.0, revenue)), once);
    }
}

#[test]
fn without_buyers_nothing_is_said() {
    let model = ValueModel::fit(&ValueSample::default(), &ValueSpec::default());
    let customer = buyer(2, 30.0, 40.0, 5_000);
    assert_eq!(
        model.bg_nbd.problem.as_deref(),
        Some("0 of 0 customers bought on more than one day; need 10")
    );
    let money = "0 customers have the money of repeat purchases; need 10";
    assert_eq!(model.gamma_gamma.problem.as_deref(), Some(money));
    assert_eq!((model.value(&customer), model.prepared().value(&customer)), (None, None));
    assert_eq!((model.interval(&customer), model.contains(&customer, 1.0)), (None, None));
    assert_eq!((model.new_customer_clv(), model.mean_money, model.margin_rate), (None, 0.0, 1.0));
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<ValueModel>(&text).unwrap(), model);
}

#[test]
fn the_margin_is_that_of_the_buyers() {
    use tally_model::{
        insight::{Facts, Money, PurchaseDays},
        time::Time,
    };
    let facts = |revenue, returns, cost| Facts {
        ever: Money { revenue, returns, cost, orders: 2 },
        window: Money { revenue, returns, cost, orders: 2 },
        purchases: Some(PurchaseDays { first_purchase: Time(0), last_purchase: Time(0), count: 1 }),
        ..Facts::default()
    };
    let fitted = |customers: &[Facts], margin_rate| {
        let mut sample = ValueSample::default();
        customers.iter().for_each(|facts| sample.add(facts, Time(0)));
        ValueModel::fit(&sample, &ValueSpec { margin_rate, ..ValueSpec::default() })
    };
    let lead = Facts { purchases: None, ..facts(0, 0, 999) };
    let some = fitted(&[facts(1_000, 100, 300), facts(3_000, 0, 0), lead], MarginRate::Auto);
    assert_eq!((some.margin_rate, some.mean_money), (0.9, 2_000.0));
    assert_eq!(fitted(&[facts(1_000, 100, 3_000)], MarginRate::Auto).margin_rate, 0.0);
    assert_eq!(fitted(&[facts(0, 100, 3_000)], MarginRate::Auto).margin_rate, 1.0);
    assert_eq!(fitted(&[facts(1_000, 0, 0)], MarginRate::Rate(0.25)).margin_rate, 0.25);
    let greatest = facts(i64::MAX, 0, 0);
    assert_eq!(fitted(&[greatest.clone(), greatest], MarginRate::Auto).margin_rate, 1.0);
}
