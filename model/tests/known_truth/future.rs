//! The models know nothing of the future.

use std::collections::BTreeMap;

use tally_model::{
    artifact::SplitKind,
    features::Plan,
    history::{AttributeValue, Event, History, Version},
    spec::Target,
    time::{DAY, Time},
    training::{snapshot::Snapshots, train::Trained},
};

use crate::studies::{business, fit, histories, snapshots};

/// A hint that reveals the outcome of a snapshot: when it happened, and when it was recorded.
type Hint = (Time, Time);

/// The history with hints, as interactions of a kind of their own and, since records can be revised as well, as
/// versions of the record in force from the hint on. Surveys lose their answers.
fn add_hints(history: &History, hints: &[Hint]) -> History {
    let mut events: Vec<(&str, Event)> =
        history.events().map(|event| (&*history.kinds()[event.kind as usize], event)).collect();
    let hint = |(occur_time, record_time): &Hint| {
        let (amount_minor, kind) = (None, 0);
        (
            "hint",
            Event {
                occur_time: *occur_time,
                record_time: *record_time,
                retract_time: None,
                amount_minor,
                kind,
            },
        )
    };
    events.extend(hints.iter().map(hint));
    events.sort_by_key(|(_, event)| event.occur_time);
    let mut hinted = History::default();
    for (kind, event) in events {
        hinted.push(kind, event.occur_time, event.record_time, event.amount_minor, None);
    }
    let record = &history.versions()[0];
    hinted.push_version(record.clone());
    for (effective_time, record_time) in hints.iter().copied() {
        let mut version = Version { effective_time, record_time, ..record.clone() };
        version.attributes.insert("hinted".to_owned(), AttributeValue::Boolean(true));
        hinted.push_version(version);
    }
    hinted
}

/// Trains with a hint at the `as_of` of every snapshot with the outcome, recorded `late` microseconds later; None
/// leaves the hints out.
fn trained_with_hints(customers: usize, target: Target, late: Option<i64>) -> (Plan, Snapshots, Trained) {
    let now = business(customers).end;
    let plain = histories(business(customers));
    let (_, rows) = snapshots(&plain, target, now);
    let mut hints = BTreeMap::<&str, Vec<Hint>>::new();
    for row in (0..rows.len()).filter(|row| late.is_some() && rows.label[*row]) {
        let as_of = rows.as_of[row];
        let hint = (as_of, Time(as_of.0 + late.unwrap_or_default()));
        hints.entry(&rows.customers[rows.customer[row] as usize]).or_default().push(hint);
    }
    let with_hints = |(id, history): &(String, History)| {
        (id.clone(), add_hints(history, hints.get(id.as_str()).map_or(&[], Vec::as_slice)))
    };
    let (plan, mut hinted) = snapshots(&plain.iter().map(with_hints).collect::<Vec<_>>(), target, now);
    assert_eq!((&hinted.as_of, &hinted.label), (&rows.as_of, &rows.label), "the same snapshots");
    let trained = fit(plan.clone(), &mut hinted, target, now, SplitKind::Temporal).unwrap();
    (plan, hinted, trained)
}

fn knows_of_hints(plan: &Plan) -> bool {
    plan.kinds.iter().any(|kind| kind == "hint") && plan.attributes.iter().any(|(name, _)| name == "hinted")
}

#[test]
fn hints_known_after_the_horizon_of_a_lead_change_no_probability() {
    // When it is known after the end of the horizon, no other snapshot of the lead sees the hint either.
    let late = 30 * DAY + 1;
    let (plan, _, plain) = trained_with_hints(600, Target::Lead, None);
    assert!(!knows_of_hints(&plan));
    let (plan, _, planted) = trained_with_hints(600, Target::Lead, Some(late));
    assert!(knows_of_hints(&plan), "the features are there");
    assert_eq!(planted.holdout, plain.holdout, "and have no information");
    assert_eq!(planted.artifact.card.holdout, plain.artifact.card.holdout);
}

#[test]
fn a_hint_known_a_microsecond_late_is_not_in_the_row_and_one_in_time_is() {
    for (late, seen) in [(1, false), (0, true)] {
        let (plan, rows, trained) = trained_with_hints(600, Target::Lead, Some(late));
        let count =
            plan.measures().iter().position(|measure| measure.to_string() == "hint.count_ever").unwrap();
        let first_of_lead =
            (0..rows.len()).filter(|row| *row == 0 || rows.customer[*row] != rows.customer[row - 1]);
        for row in first_of_lead {
            assert_eq!(
                rows.features[row * plan.width() + count],
                f64::from(u8::from(seen && rows.label[row]))
            );
        }
        assert!(!seen || trained.artifact.card.holdout.auc > 0.99, "the model uses a hint that it sees");
    }
}

#[test]
fn hints_known_after_the_horizon_do_not_help_to_predict_churn() {
    let auc = |late| trained_with_hints(400, Target::Churn, late).2.artifact.card.holdout.auc;
    let (plain, planted) = (auc(None), auc(Some(90 * DAY + 1)));
    assert!(planted < plain + 0.01, "{planted}, without the future {plain}");
    let seen = auc(Some(0));
    assert!(seen > 0.99, "{seen}: a hint in time is used");
}
