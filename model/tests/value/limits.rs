//! Tables against direct sums, extremes, and samples that do not suffice.

use proptest::prelude::*;
use tally_model::{
    features::bg_nbd::BgNbd,
    insight::{Facts, GammaGamma, Money, PurchaseDays, ValueModel, ValueSample, ValueSpec},
    time::{DAY, Time},
};

use crate::{buyer, cdnow, value_model};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn tables_agree_with_the_sums(
        [r, alpha, a, b] in prop::array::uniform4(-2.0..=2.0).prop_map(|powers: [f64; 4]| powers.map(|power| 10_f64.powf(power))),
        horizon_days in prop_oneof![1_u32..30, 1_u32..800],
        customers in prop::collection::vec((prop_oneof![0_u32..6, 0_u32..400], 0.0..1.0, 0.0..600.0), 1..6),
    ) {
        let mut model = value_model(BgNbd { r, alpha, a, b }, GammaGamma { p: 6.25, q: 3.74, v: 1_544.0 });
        model.spec = ValueSpec { horizon_days, ..ValueSpec::default() };
        let prepared = model.prepared();
        for (x, recency, weeks) in customers {
            let age = weeks + f64::from(x) / 7.0;
            let recency = if x == 0 { 0.0 } else { f64::from(x) / 7.0 + recency * weeks };
            let customer = buyer(x, recency, age, i64::from(x) * 1_000);
            let (direct, tabulated) = (model.value(&customer).unwrap(), prepared.value(&customer).unwrap());
            prop_assert_eq!(tabulated.p_alive, direct.p_alive);
            for (one, other) in [(tabulated.clv, direct.clv), (tabulated.expected_purchases, direct.expected_purchases)] {
                prop_assert!((one - other).abs() <= 1e-11 * other, "{customer:?}: {one} {other}");
            }
        }
    }

    #[test]
    fn more_money_is_worth_more(
        frequency in 0_u32..200, silence in 0.0..100.0, revenue in 1_i64..1_000_000_000, more in 1.1..10.0
    ) {
        let model = cdnow();
        let last = f64::from(frequency) * 2.0;
        let [one, other] = [1.0, more].map(|times| {
            let customer = buyer(frequency, last, last + silence, (revenue as f64 * times) as i64 + 1);
            (model.value(&customer).unwrap().clv, model.interval(&customer).unwrap())
        });
        prop_assert!(one.0 <= other.0 && one.1[1] <= other.1[1] * (1.0 + 1e-9), "{one:?} {other:?}");
        prop_assert!(0.0 <= one.1[0] && one.1[0] <= one.1[1]);
    }
}

#[test]
fn extremes_are_finite_and_in_order() {
    let years = 52.0 * 30.0;
    let customers = [
        buyer(0, 0.0, 0.0, 0),
        buyer(0, 0.0, years, 0),
        buyer(1, 1.0 / 7.0, years, 1),
        buyer(1, years, years, 1_000_000_000_000_000),
        buyer(3_000, years, years, i64::MAX),
        buyer(3_000, 3_000.0 / 7.0, 3_000.0 / 7.0, 1),
        buyer(3_000, 3_000.0 / 7.0, years, 1_000_000),
    ];
    for horizon_days in [1, 365, 3_650] {
        let mut model = cdnow();
        model.spec = ValueSpec { horizon_days, discount_rate: 10.0, ..ValueSpec::default() };
        let prepared = model.prepared();
        for customer in &customers {
            let value = prepared.value(customer).unwrap();
            assert!(value.clv.is_finite() && value.clv >= 0.0, "{customer:?} {value:?}");
            let [lower, upper] = model.interval(customer).unwrap();
            assert!(0.0 <= lower && lower <= upper && upper.is_finite(), "{customer:?} {lower} {upper}");
            if upper > 0.0 {
                for (share, inside) in [(0.9, lower <= 0.9 * upper), (1.0 - 1e-9, true), (1.0 + 1e-9, false)]
                {
                    assert_eq!(model.contains(customer, share * upper), Some(inside), "{customer:?} {share}");
                }
            }
            if lower > 0.0 {
                assert_eq!(model.contains(customer, lower * (1.0 - 1e-9)), Some(false));
                assert_eq!(model.contains(customer, lower * (1.0 + 1e-9)), Some(true));
            }
            assert_eq!(model.contains(customer, 0.0), Some(lower == 0.0));
        }
    }
}

/// Buyers of two purchase days, by the money of the second.
fn fitted(money: impl Iterator<Item = i64>) -> ValueModel {
    let mut sample = ValueSample::default();
    for (n, repeat_revenue) in money.enumerate() {
        let (first_purchase, last_purchase) = (Time(n as i64 % 50 * DAY), Time((60 + n as i64 % 37) * DAY));
        let money = Money { revenue: 1_000 + repeat_revenue, orders: 2, ..Money::default() };
        let purchases = Some(PurchaseDays { first_purchase, last_purchase, count: 2 });
        sample.add(
            &Facts { ever: money, window: money, purchases, repeat_revenue, ..Facts::default() },
            Time(150 * DAY),
        );
    }
    ValueModel::fit(&sample, &ValueSpec::default())
}

#[test]
fn samples_that_do_not_suffice_are_reported() {
    let problem = |model: ValueModel| model.gamma_gamma.problem.unwrap();
    let few = "9 customers have the money of repeat purchases; need 10";
    assert_eq!(problem(fitted([500; 9].into_iter().chain([0, -7]))), few);
    let same = problem(fitted([500; 100].into_iter()));
    assert!(same.starts_with("no maximum"), "{same}");
    // The quantiles of a Pareto distribution without a mean.
    let endless =
        problem(fitted((0..200).map(|n| (1_000.0 * (200.0 / (f64::from(n) + 0.5)).powf(1.5)) as i64)));
    assert!(endless.contains("the mean money of a purchase is not finite"), "{endless}");
}

#[test]
fn the_ends_of_an_interval_are_where_the_tails_begin() {
    let mut model = cdnow();
    for problem in [None, Some("none".to_owned())] {
        model.gamma_gamma.problem = problem;
        for money_variance in [0.0, 100.0, 10_000.0, 400_000.0, 4_000_000.0, 1e9] {
            model.money_variance = money_variance;
            for frequency in [0, 1, 3, 12, 100] {
                let weeks = f64::from(frequency) / 2.0;
                for age in [weeks + 1.0, weeks + 20.0] {
                    let customer = buyer(frequency, weeks, age, i64::from(frequency) * 1_300);
                    let [lower, upper] = model.interval(&customer).unwrap();
                    let case = format!("{money_variance} {frequency} {age}: {lower} to {upper}");
                    for (end, inside) in [(lower, 1.001), (upper, 0.999)] {
                        if end == 0.0 {
                            continue;
                        }
                        assert_eq!(model.contains(&customer, end * inside), Some(true), "{case}");
                        assert_eq!(model.contains(&customer, end / inside), Some(false), "{case}");
                    }
                    assert!(upper > 0.0 || model.contains(&customer, 0.0) == Some(true), "{case}");
                }
            }
        }
    }
}

#[test]
fn without_money_parameters_everybody_spends_like_all() {
    let mut model = cdnow();
    model.gamma_gamma.problem = Some("none".to_owned());
    let customer = buyer(12, 50.0, 52.0, 70_000);
    assert_eq!(model.expected_money(&customer), 1_000.0);
    let value = model.value(&customer).unwrap();
    let width = |model: &ValueModel| {
        let [lower, upper] = model.interval(&customer).unwrap();
        assert!(lower < value.clv && value.clv < upper);
        upper - lower
    };
    let varied = width(&model);
    model.money_variance = 4_000_000.0;
    assert!(width(&model) > 1.1 * varied, "the more the money varies, the wider it is");
    // Of a stored model the variance may not be known; and all purchases may bring the same.
    model.money_variance = 0.0;
    let factor = value.clv / value.expected_purchases;
    for end in model.interval(&customer).unwrap() {
        let purchases = end / factor;
        assert!((purchases - purchases.round()).abs() <= 0.03 * purchases, "{purchases}");
    }
    assert!(width(&model) < varied);
    model.mean_money = 0.0;
    assert_eq!(model.interval(&customer), Some([0.0, 0.0]));
    model = ValueModel { mean_money: 1_000.0, margin_rate: 0.0, ..model };
    assert_eq!(model.interval(&customer), Some([0.0, 0.0]));
    assert_eq!((model.contains(&customer, 0.0), model.contains(&customer, 1.0)), (Some(true), Some(false)));
}
