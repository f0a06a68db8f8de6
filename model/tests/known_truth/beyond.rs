//! Values beyond what a model has learned from: they move its score by little, and its words say so.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tally_model::{
    artifact::SplitKind,
    encode::Form,
    evaluation::drift::Counts,
    features::{Plan, Scale},
    history::{AttributeValue, History, Version},
    scoring::{Score, Scorer, probability},
    spec::Target,
    time::{DAY, Time},
    training::snapshot::Snapshots,
};

use crate::studies::fit;

const ROWS: usize = 3_000;
const NOW: Time = Time(10_000 * DAY);

/// A model of leads whose only feature that varies is the attribute "rate", from exactly 1 to 4; `log_odds` is the
/// truth.
fn model(log_odds: fn(f64) -> f64) -> Scorer {
    let plan = Plan { attributes: vec![("rate".to_owned(), Scale::Number)], ..Plan::default() };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut rows = Snapshots::default();
    for row in 0..ROWS {
        let rate = 1.0 + 3.0 * (row * 7 % ROWS) as f64 / (ROWS - 1) as f64;
        let chance = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        rows.customers.push(row.to_string());
        rows.customer.push(row as u32);
        rows.as_of.push(Time(row as i64 * DAY));
        rows.label.push(chance < probability(log_odds(rate)));
        rows.features.extend(vec![0.0; plan.width() - 1]);
        rows.features.push(rate);
    }
    let trained = fit(plan, &mut rows, Target::Lead, NOW, SplitKind::Random).unwrap();
    Scorer::new(trained.artifact).unwrap()
}

/// The score of a new lead with this rate.
fn score(scorer: &Scorer, rate: f64) -> Score {
    let mut history = History::default();
    history.push_version(Version {
        effective_time: NOW,
        record_time: NOW,
        create_time: NOW,
        attributes: [("rate".to_owned(), AttributeValue::Number(rate))].into(),
    });
    scorer.score(&history, NOW, NOW, usize::MAX, Score::of).unwrap()
}

/// A line is followed a quarter beyond the range, bins not at all; their line is.
#[test]
fn an_attribute_moves_the_log_odds_no_further_than_a_quarter_beyond_its_range() {
    let line = model(|rate| rate - 2.5);
    let bins = model(|rate| if (rate as usize).is_multiple_of(2) { 1.5 } else { -1.5 } + rate / 4.0);
    assert_ne!(line.artifact().encoder.form, Form::Steps);
    assert_eq!(bins.artifact().encoder.form, Form::Steps);
    for scorer in [line, bins] {
        let moved = |rate: f64| score(&scorer, rate).reasons[0].contribution;
        for (end, bound, far) in [(4.0, 4.75, 1e6), (1.0, 0.25, -1e6)] {
            assert_eq!(moved(far).to_bits(), moved(bound).to_bits(), "{end}");
            assert_ne!(moved(bound).to_bits(), moved(end).to_bits(), "{end}");
        }
    }
}

#[test]
fn reasons_and_drift_say_what_lies_beyond() {
    let scorer = model(|rate| rate - 2.5);
    let text = |rate: f64| score(&scorer, rate).reasons[0].text.clone();
    assert_eq!(text(4.8), "rate is 4.8, beyond what was learned from (1 to 4); typical is 2.5");
    assert_eq!(text(-1e6), "rate is -1000000, beyond what was learned from (1 to 4); typical is 2.5");
    assert_eq!(
        (text(1.0).as_str(), text(4.0).as_str()),
        ("rate is 1; typical is 2.5", "rate is 4; typical is 2.5")
    );
    let artifact = scorer.artifact();
    let mut counts = Counts::new(&artifact.reference);
    let mut raw = vec![0.0; artifact.plan.width()];
    for rate in [0.9, 1.0, 2.0, 4.0, f64::NAN] {
        *raw.last_mut().unwrap() = rate;
        counts.add(&artifact.reference, &raw, 0.5);
    }
    let report = artifact.drift(&counts);
    assert_eq!((report.features[0].0.as_str(), report.features[0].1.beyond), ("attribute.rate", Some(0.2)));
    assert_eq!(report.score.beyond, None);
}
