//! What a pass stores of a customer for the worklist.

use tally_model::{
    history::Attributes,
    insight::{
        Cause, Facts, Likelihood, Placement, Population, WorkKinds, is_held_out, next_care_time, play,
        value_at_risk,
    },
};
use tally_store::StoredWork;

/// What a customer needs, by its facts and scores.
pub(in crate::insight) fn work(
    customer_id: &str,
    (facts, placement, attributes): (&Facts, &Placement, Option<&Attributes>),
    (likelihood, cause): (Likelihood, Option<Cause>),
    clv_minor: Option<i64>,
    population: &Population,
) -> StoredWork {
    let (as_of, spec) = (population.as_of, &population.spec);
    let rules = &spec.worklist;
    let first_purchase = facts.purchases.map(|purchases| purchases.first_purchase);
    let next_care = next_care_time(attributes, &rules.care_dates, first_purchase, as_of);
    let moment = (as_of, population.contacts_recorded);
    let kinds = WorkKinds::of((facts, placement), likelihood, next_care, moment, rules);
    let entry = play(&spec.playbook, cause.unwrap_or(Cause::Unknown), placement.abc);
    StoredWork {
        kinds,
        action: entry.map(|entry| entry.action.clone()).unwrap_or_default(),
        value_at_risk: value_at_risk(placement.life_cycle, clv_minor, likelihood.churn),
        next_care,
        held_out: is_held_out(rules.holdout_share, &rules.holdout_salt, customer_id),
    }
}
