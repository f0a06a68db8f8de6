//! The same seed gives the same business, outcomes depend on the history as documented, and the true
//! probabilities agree with what happens.

use super::*;
use crate::{
    history::{AttributeValue, Event, History},
    time::Time,
};

fn business(customers: usize) -> Business {
    Business { customers, ..Business::new(7, "2026-01-01".parse().unwrap()) }
}

fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn times(customer: &SimulatedCustomer, kind: &str) -> Vec<Time> {
    let those = customer.interactions.iter().filter(|interaction| interaction.kind == kind);
    those.map(|interaction| interaction.occur_time).collect()
}

fn happens(times: &[Time], after: Time, days: i64) -> bool {
    times.iter().any(|time| *time > after && *time <= after.plus_days(days))
}

#[test]
fn the_same_seed_gives_the_same_business() {
    let all = |business: Business| business.iter().collect::<Vec<_>>();
    let (one, same) = (all(business(50)), all(business(50)));
    assert_eq!(format!("{one:?}"), format!("{same:?}"));
    assert_ne!(one, all(Business { seed: 8, ..business(50) }));
    let single = business(1).customer(42);
    assert_eq!(single, one[42], "a customer does not depend on the others");
    assert_eq!(single.customer_id, "C00042");
    assert!(one.iter().enumerate().all(|(n, customer)| {
        !one[..n].iter().any(|c| c.name == customer.name && c.create_time == customer.create_time)
    }));
}

#[test]
fn interactions_are_in_order_and_within_the_limits() {
    for business in [business(300), Business { subscription: true, days: 400, ..business(300) }] {
        let start = business.end.plus_days(-i64::from(business.days));
        for customer in business.iter() {
            assert!(customer.create_time >= start && customer.create_time < business.end);
            let key = |i: &SimulatedInteraction| (i.occur_time, i.interaction_id.clone());
            assert!(customer.interactions.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
            let mut bought = 0;
            for interaction in &customer.interactions {
                let SimulatedInteraction { kind, occur_time, amount_minor, properties, .. } = interaction;
                assert!(*occur_time > customer.create_time && *occur_time < business.end);
                assert!(interaction.interaction_id.len() <= 256 && kind.len() <= 64);
                assert!(properties.iter().all(|(key, value)| key.len() <= 64 && value.len() <= 1_024));
                match *kind {
                    "purchase" => bought = amount_minor.unwrap(),
                    "return" => assert!(amount_minor.unwrap() <= bought),
                    _ => assert_eq!(*amount_minor, None),
                }
                assert!(amount_minor.is_none_or(|amount| (1..=1_000_000_000_000_000).contains(&amount)));
                let of_the_business = ["email", "resolution"].contains(kind) && !business.subscription;
                let cancels = *kind == "cancel" && Some(*occur_time) == customer.left;
                let there = customer.left.is_none_or(|left| *occur_time < left);
                assert!(there || cancels || of_the_business, "{interaction:?} after leaving");
            }
            let cancels = if business.subscription { Vec::from_iter(customer.left) } else { Vec::new() };
            assert_eq!(times(&customer, "cancel"), cancels);
        }
    }
}

/// The covariates of a lead, computed from the history by independent code.
fn read_lead(history: &History, now: Time) -> [f64; 7] {
    let version = history.version_at(now, now).unwrap();
    let seen = |kind: &str, days: i64| {
        let slot = history.kind_slot(kind);
        let since = now.plus_days(-days);
        let is_it = |event: &Event| Some(event.kind) == slot && event.occur_time > since;
        history.visible(now, now).filter(is_it).count() as f64
    };
    let size = match version.attributes.get("company_size") {
        Some(AttributeValue::Number(size)) => (size / 20.0).ln(),
        _ => 0.0,
    };
    let referral = AttributeValue::Text("referral".to_owned());
    [
        1.0,
        (1.0 + seen("visit", 28)).ln(),
        (1.0 + seen("email_open", 28)).ln(),
        seen("meeting", 10_000).min(3.0),
        f64::from(version.attributes["source"] == referral),
        size,
        (1.0 + now.days_since(version.create_time) / 7.0).ln(),
    ]
}

/// The covariates of a buyer, likewise.
fn read_buyer(customer: &SimulatedCustomer, now: Time) -> [f64; 8] {
    let seen = || customer.interactions.iter().filter(|interaction| interaction.occur_time <= now);
    let of = |kind: &'static str| seen().filter(move |interaction| interaction.kind == kind);
    let last = |kind| of(kind).next_back().map(|interaction| interaction.occur_time);
    let open = of("complaint").filter(|complaint| Some(complaint.occur_time) > last("resolution"));
    let satisfaction = of("survey").next_back().map_or(0.0, |survey| {
        let number = |name| survey.properties[name].parse::<f64>().unwrap();
        number("score") / number("expected") - 1.0
    });
    let (purchases, first) = (of("purchase").count() as f64, of("purchase").next().unwrap().occur_time);
    let discounted = of("purchase").filter(|purchase| purchase.properties.contains_key("discount_percent"));
    let last_purchase = last("purchase").unwrap();
    let mean_gap = (last_purchase.days_since(first) + 42.0) / purchases;
    let north = AttributeValue::Text("north".to_owned());
    [
        1.0,
        (open.count() as f64).min(3.0),
        satisfaction,
        discounted.count() as f64 / purchases,
        (1.0 + now.days_since(last_purchase) / mean_gap).ln(),
        (1.0 + now.days_since(first) / 7.0).ln(),
        f64::from(last("referral").is_some()),
        f64::from(customer.attributes["region"] == north),
    ]
}

#[test]
fn covariates_are_those_of_the_history() {
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
    for customer in business(150).iter() {
        let history = customer.history();
        for week in &customer.lead_weeks {
            let read = read_lead(&history, week.start);
            assert!(close(&read, &week.covariates), "{read:?} {week:?}");
            assert_eq!(week.happened, happens(&times(&customer, "purchase"), week.start, 7));
        }
        for week in &customer.buyer_weeks {
            let read = read_buyer(&customer, week.start);
            assert!(close(&read, &week.covariates), "{read:?} {week:?}");
            assert_eq!(week.happened, happens(&Vec::from_iter(customer.left), week.start, 7));
        }
    }
}

#[test]
fn base_rates_are_neither_trivial_nor_extreme() {
    let business = business(1_500);
    let customers: Vec<_> = business.iter().collect();
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let interactions = customers.iter().map(|customer| customer.interactions.len()).sum::<usize>();
    assert!((25.0..45.0).contains(&share(interactions, customers.len())));

    let old = || customers.iter().filter(|customer| customer.create_time < business.end.plus_days(-84));
    for (days, range) in [(30, 0.2..0.3), (84, 0.35..0.48)] {
        let converts = |c: &&SimulatedCustomer| happens(&times(c, "purchase"), c.create_time, days);
        let converting = share(old().filter(converts).count(), old().count());
        assert!(range.contains(&converting), "{converting} within {days} days");
    }
    let cutoff = business.end.plus_days(-180);
    let purchases = customers.iter().map(|customer| times(customer, "purchase"));
    let buyers: Vec<_> = purchases.filter(|times| times.first().is_some_and(|t| *t <= cutoff)).collect();
    let churned = buyers.iter().filter(|times| !happens(times, cutoff, 90)).count();
    assert!((0.28..0.42).contains(&share(churned, buyers.len())), "{churned} of {}", buyers.len());
}

/// Logistic regression by Newton's method: the coefficients and their standard errors.
fn fit<const N: usize>(weeks: &[Week<N>]) -> ([f64; N], [f64; N]) {
    let (mut coefficients, mut errors) = ([0.0; N], [0.0; N]);
    for _ in 0..12 {
        // The information matrix, and beside it the unit matrix, which elimination turns into the inverse.
        let (mut rows, mut gradient) = (vec![vec![0.0; 2 * N]; N], [0.0; N]);
        for Week { covariates: x, happened, .. } in weeks {
            let p = sigmoid(coefficients.iter().zip(x).map(|(b, x)| b * x).sum());
            for i in 0..N {
                gradient[i] += (f64::from(*happened) - p) * x[i];
                for j in 0..N {
                    rows[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        for i in 0..N {
            rows[i][N + i] = 1.0;
        }
        for i in 0..N {
            let pivot: Vec<f64> = rows[i].iter().map(|value| value / rows[i][i]).collect();
            for (j, row) in rows.iter_mut().enumerate() {
                let factor = if j == i { row[i] - 1.0 } else { row[i] };
                row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
        for i in 0..N {
            coefficients[i] += (0..N).map(|j| rows[i][N + j] * gradient[j]).sum::<f64>();
            errors[i] = rows[i][N + i].sqrt();
        }
    }
    (coefficients, errors)
}

fn recovers<const N: usize>(truth: &[(&str, f64); N], weeks: &[Week<N>]) {
    let (coefficients, errors) = fit(weeks);
    for (((name, true_value), fitted), error) in truth.iter().zip(coefficients).zip(errors) {
        assert!(error < 0.35, "{name} has too few weeks: ± {error}");
        assert!((fitted - true_value).abs() < 4.0 * error, "{name}: {fitted} ± {error}, not {true_value}");
    }
}

#[test]
fn the_true_coefficients_are_recovered() {
    let customers: Vec<_> = business(3_000).iter().collect();
    recovers(&CONVERTING, &customers.iter().flat_map(|c| c.lead_weeks.clone()).collect::<Vec<_>>());
    recovers(&LEAVING, &customers.iter().flat_map(|c| c.buyer_weeks.clone()).collect::<Vec<_>>());
}

/// Asserts that predictions agree with what happened, in the lowest, middle and highest third, and
/// returns the area under the ROC curve.
fn calibrated(mut predictions: Vec<(f64, bool)>) -> f64 {
    assert!(predictions.len() > 300);
    predictions.sort_by(|a, b| a.0.total_cmp(&b.0));
    for third in predictions.chunks(predictions.len().div_ceil(3)) {
        let surplus: f64 = third.iter().map(|(p, happened)| f64::from(*happened) - p).sum();
        // The draws add a hundredth of the variance; where nothing is uncertain, one surprise is allowed.
        let noise = third.iter().map(|(p, _)| p * (1.0 - p)).sum::<f64>().max(1.0).sqrt();
        assert!(surplus.abs() < 3.5 * noise, "{surplus} ± {noise} more than predicted");
    }
    let (mut negatives, mut pairs) = (0.0, 0.0);
    for (_, happened) in &predictions {
        if *happened { pairs += negatives } else { negatives += 1.0 }
    }
    pairs / (negatives * (predictions.len() as f64 - negatives))
}

#[test]
fn true_probabilities_of_converting_agree_with_what_happens() {
    let business = business(1_000);
    let mut predictions = Vec::new();
    for (n, customer) in business.iter().enumerate() {
        for age in [0, 30] {
            let as_of = customer.create_time.plus_days(age);
            if as_of.plus_days(30) < business.end
                && let Some(probability) = business.true_lead_probability(n, as_of, 30, 100)
            {
                let purchases = times(&customer, "purchase");
                assert!(purchases.first().is_none_or(|first| *first > as_of), "a lead");
                predictions.push((probability, happens(&purchases, as_of, 30)));
            }
        }
    }
    let auc = calibrated(predictions);
    assert!((0.72..0.85).contains(&auc), "{auc}");
}

#[test]
fn true_probabilities_of_churn_agree_with_what_happens() {
    for (subscription, range) in [(false, 0.8..0.9), (true, 0.7..0.9)] {
        let business = Business { subscription, ..business(1_000) };
        let mut predictions = Vec::new();
        for (n, customer) in business.iter().enumerate() {
            let purchases = times(&customer, "purchase");
            for as_of in [100, 200, 300, 400].map(|days| business.end.plus_days(-days)) {
                let probability = business.true_churn_probability(n, as_of, 90, 100);
                let is_buyer = purchases.first().is_some_and(|first| *first <= as_of);
                let has_cancelled = subscription && customer.left.is_some_and(|left| left <= as_of);
                if !is_buyer || has_cancelled {
                    assert!(probability.is_none() || (subscription && !has_cancelled));
                    continue;
                }
                let cancels = happens(&times(&customer, "cancel"), as_of, 90);
                let churns = if subscription { cancels } else { !happens(&purchases, as_of, 90) };
                predictions.push((probability.unwrap(), churns));
            }
        }
        let auc = calibrated(predictions);
        assert!(range.contains(&auc), "{auc} with subscription = {subscription}");
    }
}

#[test]
fn ineligible_customers_have_no_true_probability() {
    let business = business(100);
    let buyer = (0..100).find(|n| business.customer(*n).left.is_some()).unwrap();
    let customer = business.customer(buyer);
    let (created, left) = (customer.create_time, customer.left.unwrap());
    assert_eq!(business.true_lead_probability(buyer, created.plus_days(-1), 30, 10), None, "unknown");
    assert!(business.true_lead_probability(buyer, created, 30, 10).is_some());
    assert_eq!(business.true_churn_probability(buyer, created, 90, 10), None, "a lead");
    assert_eq!(business.true_lead_probability(buyer, left, 30, 10), None, "a buyer");
    assert!(
        business.true_churn_probability(buyer, left, 90, 10).is_some(),
        "the business does not know that it left"
    );
    assert_eq!(business.true_churn_probability(buyer, left, 90, 0), None, "no draws");
    assert_eq!(business.true_churn_probability(buyer, business.end.plus_days(1), 90, 10), None, "the future");
    let subscription = Business { subscription: true, ..business };
    assert_eq!(subscription.true_churn_probability(buyer, left, 90, 10), None, "it has cancelled");
}
