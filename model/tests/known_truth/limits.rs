//! Too little data, constant features and absurd numbers.

use tally_model::{
    artifact::{Artifact, SplitKind},
    features::Plan,
    history::{AttributeValue, History},
    spec::Target,
    time::{DAY, Time},
    training::{snapshot::Snapshots, train::TrainError},
};

use crate::studies::{business, fit, histories, snapshots};

/// Snapshots of as many customers, some with the outcome, in which only the first feature is not 0.
fn plain_rows(rows: usize, positives: usize, first: fn(usize) -> f64) -> (Plan, Snapshots) {
    let kinds = vec!["visit".to_owned()];
    let plan = Plan { windows_days: Vec::new(), kinds, ..Plan::default() };
    let mut snapshots = Snapshots::default();
    for row in 0..rows {
        snapshots.customers.push(row.to_string());
        snapshots.customer.push(row as u32);
        snapshots.as_of.push(Time(row as i64 * DAY));
        snapshots.label.push(row * positives / rows != (row + 1) * positives / rows);
        snapshots.features.push(first(row));
        snapshots.features.extend(vec![0.0; plan.width() - 1]);
    }
    assert_eq!(snapshots.positives(), positives);
    (plan, snapshots)
}

#[test]
fn too_little_data_is_refused_with_have_and_need() {
    let fit = |rows, positives| {
        let (plan, mut snapshots) = plain_rows(rows, positives, |row| (row % 7) as f64);
        fit(plan, &mut snapshots, Target::Lead, Time(10_000 * DAY), SplitKind::Temporal)
    };
    for (rows, positives) in
        [(0, 0), (1, 1), (199, 60), (199, 139), (200, 49), (200, 151), (5_000, 0), (5_000, 5_000)]
    {
        let error = fit(rows, positives).unwrap_err();
        let negatives = rows - positives;
        let snapshots = if rows == 1 { "snapshot" } else { "snapshots" };
        assert_eq!(
            error.to_string(),
            format!(
                "too little data: have {rows} {snapshots}, {positives} with the outcome and {negatives} without; \
                 need 200 snapshots, 50 of each"
            )
        );
        assert!(
            matches!(error, TrainError::TooLittle { rows: r, positives: p } if (r, p) == (rows, positives))
        );
    }
    for positives in [50, 150] {
        let trained = fit(200, positives).unwrap();
        assert_eq!(trained.artifact.card.split, SplitKind::Random, "too few for the latest as a holdout");
        Artifact::from_bytes(&trained.artifact.to_bytes().unwrap()).unwrap();
    }
}

#[test]
fn constant_features_are_refused() {
    let (plan, mut snapshots) = plain_rows(400, 150, |_| 3.0);
    let error = fit(plan, &mut snapshots, Target::Lead, Time(10_000 * DAY), SplitKind::Temporal).unwrap_err();
    assert!(matches!(error, TrainError::NothingVaries(_)), "{error}");
}

/// A single absurd number does not prevent a model.
#[test]
fn absurd_numbers_do_not_stop_a_training() {
    let business = business(400);
    for huge in [1e155, 1e300, f64::MAX] {
        let mut histories = histories(business);
        for (n, (_, history)) in histories.iter_mut().enumerate() {
            let mut version = history.versions()[0].clone();
            let value = if n == 0 { huge } else { n as f64 };
            version.attributes.insert("absurd".to_owned(), AttributeValue::Number(value));
            let mut again = History::default();
            for event in history.events() {
                let kind = &history.kinds()[event.kind as usize];
                let survey = Some((huge, 1.0 / huge));
                again.push(kind, event.occur_time, event.record_time, event.amount_minor, survey);
            }
            again.push_version(version);
            *history = again;
        }
        let (plan, mut rows) = snapshots(&histories, Target::Churn, business.end);
        let trained = fit(plan, &mut rows, Target::Churn, business.end, SplitKind::Random).unwrap();
        Artifact::from_bytes(&trained.artifact.to_bytes().unwrap()).unwrap();
        assert!(trained.artifact.card.holdout.auc > 0.7, "{huge}");
    }
}
