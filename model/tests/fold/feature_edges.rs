//! The edges of the features, one by one.

use std::collections::BTreeSet;

use tally_model::{
    features::{Category, Habits, Measure, Plan, Scale},
    history::{AttributeValue, Version},
    time::Time,
};

use crate::{
    cases::{AS_OF, NOW, ago, minutes, value, with},
    random::{DAYS, KINDS},
    reference::{Customer, GREATEST, Interaction, MICROSECONDS_A_DAY, Moment},
};

#[test]
fn a_window_is_open_at_its_start_and_closed_at_its_end() {
    for (microseconds, week, month, ever) in [
        (-1, 0.0, 0.0, 0.0),
        (0, 1.0, 1.0, 1.0),
        (1, 1.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY - 1, 1.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY, 0.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY + 1, 0.0, 1.0, 1.0),
        (30 * MICROSECONDS_A_DAY - 1, 0.0, 1.0, 1.0),
        (30 * MICROSECONDS_A_DAY, 0.0, 0.0, 1.0),
    ] {
        let customer = with([minutes("12", microseconds)]);
        for (window, wanted) in [("7d", week), ("30d", month), ("ever", ever)] {
            for (feature, scale) in [
                ("visit.count_", 1.0),
                ("visit.amount_minor_", 100.0),
                ("visit.minutes_sum_", 12.0),
                ("active_days_", 1.0),
            ] {
                let got = value(&customer, NOW, &format!("{feature}{window}"));
                assert_eq!(got, wanted * scale, "{feature}{window} of a visit {microseconds} µs ago");
            }
        }
    }
}

#[test]
fn a_property_counts_when_it_is_a_known_number() {
    let visits =
        [minutes("1.25", 5), minutes("long", 6), minutes("4", 7), ago("visit", 8), minutes("-0.5", 9)];
    let late = Interaction { record: AS_OF + 1, ..minutes("100", 4) };
    let of_calls = Interaction { kind: "call", ..minutes("1000", 3) };
    let customer = with(visits.into_iter().chain([late, of_calls, minutes("10000", -1)]));
    for (feature, wanted, when_known) in [
        ("visit.minutes_sum_7d", 4.75, 104.75),
        ("visit.minutes_sum_ever", 4.75, 104.75),
        ("visit.minutes_mean", 4.75 / 3.0, 104.75 / 4.0),
        ("visit.minutes_last", 1.25, 100.0),
        ("days_since_last", 3.0 / MICROSECONDS_A_DAY as f64, 3.0 / MICROSECONDS_A_DAY as f64),
    ] {
        assert_eq!(value(&customer, NOW, feature), wanted, "{feature}");
        let later = Moment { known_at: AS_OF + 1, ..NOW };
        assert_eq!(value(&customer, later, feature), when_known, "{feature}");
    }
    let greatest =
        with([minutes("1e15", 1), minutes("1000000000000001", 2), minutes("-1e15", 8 * MICROSECONDS_A_DAY)]);
    assert_eq!(value(&greatest, NOW, "visit.minutes_sum_7d"), 1e15);
    assert_eq!(value(&greatest, NOW, "visit.minutes_sum_30d"), 0.0);
    let without = with([ago("visit", 5), minutes("long", 4)]);
    assert_eq!(value(&without, NOW, "visit.minutes_sum_ever"), 0.0);
    assert!(value(&without, NOW, "visit.minutes_mean").is_nan());
    assert!(value(&without, NOW, "visit.minutes_last").is_nan());
}

#[test]
fn an_event_recorded_a_microsecond_after_known_at_is_unknown() {
    for (late, wanted) in [(-1, 1.0), (0, 1.0), (1, 0.0)] {
        let visit = ago("visit", 5 * MICROSECONDS_A_DAY);
        let customer = with([Interaction { record: AS_OF + late, ..visit }]);
        assert_eq!(value(&customer, NOW, "visit.count_ever"), wanted, "{late} µs late");
        assert_eq!(value(&customer, NOW, "tenure_days").is_nan(), wanted == 0.0);
    }
}

#[test]
fn a_replay_may_know_less_or_more_than_the_moment_itself() {
    let visit = ago("visit", 5 * MICROSECONDS_A_DAY);
    let customer = with([Interaction { record: AS_OF + 10, ..visit }, ago("visit", -5)]);
    let known_at = |offset: i64| Moment { as_of: AS_OF, known_at: AS_OF + offset };
    assert_eq!(value(&customer, known_at(9), "visit.count_ever"), 0.0);
    assert_eq!(value(&customer, known_at(10), "visit.count_ever"), 1.0, "but never what happens later");
}

#[test]
fn days_are_those_of_utc_and_begin_at_midnight() {
    let noon = 12 * 3_600_000_000;
    let customer = |first: i64, second: i64| with([ago("visit", first), ago("visit", second)]);
    assert_eq!(value(&customer(noon, noon + 1), NOW, "active_days_7d"), 2.0, "midnight and just before");
    assert_eq!(value(&customer(0, noon), NOW, "active_days_7d"), 1.0, "midnight and noon");
    let bought = [noon + 1, noon, 5, 0].map(|microseconds| ago("purchase", microseconds));
    assert_eq!(value(&with(bought), NOW, "purchase.days_ever"), 2.0, "one before, three after midnight");
}

#[test]
fn a_resolution_at_the_very_moment_of_a_complaint_does_not_resolve_it() {
    let both = |complaint: i64, resolution: i64| {
        let (complaint, resolution) = (ago("complaint", complaint), ago("resolution", resolution));
        let orders = [[complaint.clone(), resolution.clone()], [resolution, complaint]];
        orders.map(|order| value(&with(order), NOW, "open_complaints"))
    };
    assert_eq!(both(5, 5), [1.0; 2]);
    assert_eq!(both(5, 4), [0.0; 2]);
    assert_eq!(both(5, 6), [1.0; 2]);
}

#[test]
fn of_two_surveys_at_the_same_time_the_one_with_the_greater_id_counts() {
    let survey = |score: f64| Interaction { survey: Some((score, 8.0)), ..ago("survey", 5) };
    assert_eq!(value(&with([survey(4.0), survey(6.0)]), NOW, "satisfaction"), 0.75);
    assert_eq!(value(&with([survey(6.0), survey(4.0)]), NOW, "satisfaction"), 0.5);
    let silent = Interaction { survey: None, ..survey(0.0) };
    assert_eq!(
        value(&with([survey(6.0), silent]), NOW, "satisfaction"),
        0.75,
        "one without a pair is ignored"
    );
}

#[test]
fn sums_beyond_64_bits_are_right() {
    let purchases = |amount: i64, times: usize| {
        std::iter::repeat_n(Interaction { amount: Some(amount), ..ago("purchase", 1) }, times)
    };
    let rich = with(purchases(GREATEST, 20_000));
    assert_eq!(value(&rich, NOW, "purchase.amount_minor_7d"), 2e19);
    assert_eq!(value(&rich, NOW, "purchase.average_amount_minor"), 1e15);
    let poor = with(purchases(-GREATEST, 20_000));
    assert_eq!(value(&poor, NOW, "purchase.amount_minor_ever"), -2e19);
    let even = with(purchases(GREATEST, 10_001).chain(purchases(-GREATEST, 10_000)));
    assert_eq!(value(&even, NOW, "purchase.amount_minor_ever"), 1e15, "no rounding on the way");
}

#[test]
fn the_trend_compares_30_days_with_the_90_before() {
    let trend = |microseconds: i64| value(&with([ago("visit", microseconds)]), NOW, "trend");
    let day = MICROSECONDS_A_DAY;
    assert_eq!(trend(30 * day - 1), 2.0);
    assert_eq!(trend(30 * day), 1.0 / (1.0 / 3.0 + 1.0));
    assert_eq!(trend(120 * day - 1), 1.0 / (1.0 / 3.0 + 1.0));
    assert_eq!(trend(120 * day), 1.0);
}

#[test]
fn the_latest_version_that_is_in_force_and_known_counts() {
    let version = |effective: i64, record: i64, number: f64| Version {
        effective_time: Time(AS_OF + effective),
        record_time: Time(AS_OF + record),
        create_time: Time(AS_OF - MICROSECONDS_A_DAY),
        attributes: [("a".to_owned(), AttributeValue::Number(number))].into(),
    };
    let attribute = |versions: &[Version]| {
        value(&Customer { versions: versions.to_vec(), ..Customer::default() }, NOW, "attribute.a")
    };
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(0, 0, 2.0)]), 2.0);
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(1, 0, 2.0)]), 1.0, "not yet in force");
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(0, 1, 2.0)]), 1.0, "not yet known");
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(-9, -2, 2.0)]), 2.0, "a correction of the past");
    assert!(attribute(&[version(1, 1, 1.0)]).is_nan());
}

#[test]
fn feature_names_are_unique() {
    let attributes = ["a", "b"].map(|name| (name.to_owned(), Scale::Number)).to_vec();
    let own = |(kind, name): (&str, &str)| (kind.to_owned(), name.to_owned());
    let properties = [("visit", "count"), ("call", "amount_minor"), ("call", "x"), ("call.x", "sum_7d")];
    let category = |(kind, property): (&str, &str)| Category {
        kind: kind.to_owned(),
        property: property.to_owned(),
        levels: Vec::new(),
    };
    let habits = Habits {
        trends: true,
        gap_variation: true,
        discount: Some("x".to_owned()),
        arrival_weekday: true,
        month: true,
        channels: ["x", "visit", "last"].map(str::to_owned).to_vec(),
        categories: properties.map(category).to_vec(),
    };
    let plan = Plan {
        windows_days: DAYS.to_vec(),
        kinds: KINDS.iter().copied().chain(["channel"]).map(str::to_owned).collect(),
        properties: properties.map(own).to_vec(),
        attributes,
        habits,
        ..Plan::default()
    };
    let names: BTreeSet<String> = plan.measures().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), plan.width());
}

/// The value of a feature of habits in a plan that has them all.
fn habit(customer: &Customer, measure: &Measure) -> f64 {
    let discount = Some("percent".to_owned());
    let habits = Habits { trends: true, gap_variation: true, discount, ..Habits::default() };
    let kinds = ["visit", "purchase"].map(str::to_owned).to_vec();
    let plan = Plan { kinds, habits, ..Plan::default() };
    let place = plan.measures().iter().position(|known| known == measure).unwrap();
    customer.row(&plan, NOW)[place]
}

#[test]
fn a_kind_has_a_trend_of_its_own() {
    let days = |days: i64| days * MICROSECONDS_A_DAY;
    let visits = [0, 10, 29, 30, 119, 120].map(|age| ago("visit", days(age)));
    let customer = with(visits.into_iter().chain([ago("call", days(1)), ago("purchase", days(100))]));
    // 3 visits in the last 30 days, 2 in the 90 before.
    assert_eq!(habit(&customer, &Measure::KindTrend { kind: "visit".into() }), 4.0 / (2.0 / 3.0 + 1.0));
    assert_eq!(habit(&customer, &Measure::KindTrend { kind: "purchase".into() }), 0.75);
}

#[test]
fn the_variation_of_gaps_is_their_standard_deviation_over_their_mean() {
    let of = |days: &[i64]| {
        let purchases = days.iter().map(|days| ago("purchase", days * MICROSECONDS_A_DAY));
        habit(&with(purchases), &Measure::GapVariation)
    };
    assert!(of(&[0, 10]).is_nan() && of(&[0, 0, 0, 10]).is_nan(), "one gap does not vary");
    assert_eq!(of(&[60, 40, 20, 0]), 0.0);
    // Gaps of 10, 20 and 30 days, one day with two purchases: the standard deviation is √(200/3), the mean 20.
    assert!((of(&[0, 10, 10, 30, 60]) - (200.0_f64 / 3.0).sqrt() / 20.0).abs() < 1e-15);
}

#[test]
fn a_purchase_is_discounted_when_the_property_is_above_0() {
    let purchase = |properties: &[(&'static str, &'static str)]| Interaction {
        properties: properties.iter().copied().collect(),
        ..ago("purchase", 5)
    };
    let share = |purchases: &[Interaction]| {
        let visit = Interaction { kind: "visit", ..purchase(&[("percent", "3")]) };
        let all = purchases.iter().cloned().chain([visit]);
        habit(&with(all), &Measure::DiscountShare { property: "percent".into() })
    };
    let (none, no_discount) = (purchase(&[]), purchase(&[("percent", "0")]));
    let (discount, negative) = (purchase(&[("percent", "3")]), purchase(&[("percent", "-0.25")]));
    assert!(share(&[]).is_nan());
    assert_eq!(share(std::slice::from_ref(&none)), 0.0);
    assert_eq!(share(&[none, no_discount, negative, discount]), 0.25);
}

#[test]
fn the_commonest_channel_is_the_first_of_equal_ones_and_others_count_as_one() {
    let by = |channel: &'static str, age: i64| Interaction { channel, ..ago("visit", age) };
    let channels = |interactions: &[Interaction]| {
        let habits = Habits { channels: ["web", "shop"].map(str::to_owned).to_vec(), ..Habits::default() };
        let plan = Plan { habits, ..Plan::default() };
        let row = with(interactions.iter().cloned()).row(&plan, NOW);
        row[row.len() - 4..].to_vec()
    };
    let nothing = channels(&[by("", 3)]);
    assert!(nothing[0].is_nan() && nothing[1].is_nan() && nothing[2..] == [0.0, 0.0]);
    assert_eq!(channels(&[by("shop", 3), by("web", 2), by("", 1)]), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(channels(&[by("web", 3), by("fair", 2), by("phone", 1)]), [2.0, 2.0, 1.0, 0.0]);
    assert_eq!(channels(&[by("shop", 3), by("shop", 2), by("web", -1)]), [1.0, 1.0, 0.0, 2.0], "the future");
}

#[test]
fn categories_are_counted_by_kind() {
    let bought = |kind: &'static str, category: &'static str, age: i64| Interaction {
        properties: [("category", category)].into(),
        ..ago(kind, age)
    };
    let customer = with([
        bought("purchase", "tea", 5),
        bought("purchase", "tea", 4),
        bought("purchase", "cups", 3),
        bought("purchase", "7", 2),
        bought("return", "coffee", 1),
    ]);
    let category = Category {
        kind: "purchase".into(),
        property: "category".into(),
        levels: ["coffee", "tea"].map(str::to_owned).to_vec(),
    };
    let habits = Habits { categories: vec![category], ..Habits::default() };
    let row = customer.row(&Plan { habits, ..Plan::default() }, NOW);
    assert_eq!(row[row.len() - 2..], [2.0, 1.0], "tea and cups; 7 is a number");
}
