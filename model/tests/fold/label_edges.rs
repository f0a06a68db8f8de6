//! The edges of labels and snapshots, one by one.

use tally_model::{
    features::{Plan, profile::DataProfile},
    label::LabelDefinition,
    spec::{ChurnEvent, Selector, Spec, Target},
    time::Time,
    training::snapshot::{Sampling, Snapshots},
};

use crate::{
    cases::{AS_OF, ago, with},
    reference::{Interaction, MICROSECONDS_A_DAY},
};

#[test]
fn a_label_looks_from_just_after_as_of_to_the_end_of_the_horizon() {
    let lead = LabelDefinition {
        target: Target::Lead,
        event: ChurnEvent::Inactivity,
        horizon_days: 30,
        start_kinds: Vec::new(),
    };
    let churn = LabelDefinition { target: Target::Churn, horizon_days: 90, ..lead.clone() };
    let cancel = LabelDefinition { event: ChurnEvent::Cancel, ..churn.clone() };
    for (outcome, kind, positive) in
        [(lead, "purchase", true), (churn, "purchase", false), (cancel, "cancel", true)]
    {
        let end = i64::from(outcome.horizon_days) * MICROSECONDS_A_DAY;
        for (after, inside) in
            [(-1, false), (0, false), (1, true), (end - 1, true), (end, true), (end + 1, false)]
        {
            let history = with([ago(kind, -after)]).history();
            let label = outcome.label(&history, Time(AS_OF), Time(AS_OF + 2 * end));
            assert_eq!(label, inside == positive, "{kind} {after} µs after, {outcome:?}");
        }
        let history = with([ago(kind, -5)]).history();
        assert_eq!(outcome.label(&history, Time(AS_OF), Time(AS_OF + 4)), !positive, "not yet known");
        assert_eq!(outcome.label(&history, Time(AS_OF), Time(AS_OF + 5)), positive);
    }
}

#[test]
fn a_snapshot_whose_horizon_is_not_over_is_not_used() {
    let mut spec = Spec::default();
    spec.lead.ages_days = Selector::List(vec![0, 7, 30]);
    let plan = Plan { windows_days: vec![7], kinds: Vec::new(), ..Plan::default() };
    let history = with([ago("visit", 0)]).history();
    let rows = |target: Target, now: i64| {
        let mut rows = Snapshots::default();
        rows.add(
            "somebody",
            &history,
            &plan,
            &Sampling::new(target, &spec, &DataProfile::default(), Time(now)),
        );
        rows.as_of
    };
    let days = |days: i64| AS_OF + days * MICROSECONDS_A_DAY;
    assert_eq!(rows(Target::Lead, days(30) - 1), []);
    assert_eq!(rows(Target::Lead, days(30)), [Time(AS_OF)]);
    assert_eq!(rows(Target::Lead, days(37)), [Time(AS_OF), Time(days(7))]);
    assert_eq!(rows(Target::Churn, days(500)), [], "not a buyer");
}

#[test]
fn a_purchase_reported_late_neither_makes_a_lead_nor_is_known_to_it() {
    let purchase = ago("purchase", -3 * MICROSECONDS_A_DAY);
    let reported = |after: i64| {
        let customer = with([
            ago("visit", 0),
            Interaction { record: AS_OF + after * MICROSECONDS_A_DAY, ..purchase.clone() },
        ]);
        let kinds = vec!["purchase".to_owned()];
        let plan = Plan { windows_days: Vec::new(), kinds, ..Plan::default() };
        let mut rows = Snapshots::default();
        let now = Time(AS_OF + 60 * MICROSECONDS_A_DAY);
        let (mut spec, profile) = (Spec::default(), DataProfile::default());
        spec.lead.ages_days = Selector::List(vec![0, 7, 30]);
        let sampling = Sampling::new(Target::Lead, &spec, &profile, now);
        rows.add("somebody", &customer.history(), &plan, &sampling);
        let counts: Vec<f64> = rows.features.chunks(plan.width()).map(|row| row[0]).collect();
        (rows.as_of.len(), rows.label, counts)
    };
    assert_eq!(reported(40), (1, vec![true], vec![0.0]), "no lead at the age of 7 days, as known now");
    assert_eq!(reported(60), (1, vec![true], vec![0.0]), "known at the last moment");
    assert_eq!(reported(61), (3, vec![false; 3], vec![0.0; 3]), "not known yet");
}
