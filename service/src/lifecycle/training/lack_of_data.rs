//! Why the data do not suffice: what is stored, what was known when, and what is missing.

use std::cmp::Reverse;

use tally_model::{
    counted,
    features::profile::DataProfile,
    history::kind,
    label::LabelDefinition,
    spec::{ChurnEvent, Target},
    time::Time,
};

/// An outcome is rare when it is that of less than one in so many snapshots.
const RARE: usize = 20;
/// Kinds that are listed.
const KINDS: usize = 10;

/// Explains why no snapshot of `outcome` could be taken as of `now`.
pub(super) fn without_snapshots(
    profile: &DataProfile,
    outcome: &LabelDefinition,
    now: Time,
    customers: u64,
) -> String {
    format!("{}; {}", what_was_known(profile, now, customers), what_is_needed(profile, outcome, now))
}

/// Explains why hardly any of these snapshots are with the outcome, or without it; None when that is no matter of what
/// is stored.
pub(super) fn one_sided(
    profile: &DataProfile,
    outcome: &LabelDefinition,
    rows: usize,
    positives: usize,
) -> Option<String> {
    let is_rare = |count: usize| count * RARE < rows;
    let cancels = profile.kinds().get(kind::CANCEL).copied().unwrap_or(0);
    match (outcome.target, outcome.event) {
        (Target::Churn, ChurnEvent::Inactivity) if is_rare(rows - positives) && cancels > 0 => Some(format!(
            "nearly nobody buys again, but {cancels} `cancel` interactions are stored: did you mean \
             `event = \"cancel\"` under [churn] in the spec?"
        )),
        (Target::Churn, ChurnEvent::Cancel) if cancels == 0 => Some(format!(
            "churn is to be learned from `cancel` interactions, but none is known, only {}; without them, churn is \
             `event = \"inactivity\"` under [churn] in the spec",
            kinds(profile)
        )),
        (Target::Lead, _) if is_rare(rows - positives) => Some(
            "nearly every lead has bought: those who never did are missing; import them as customers, too"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The most frequent kinds of interaction, with their numbers.
fn kinds(profile: &DataProfile) -> String {
    let mut kinds: Vec<(&String, &u64)> = profile.kinds().iter().collect();
    kinds.sort_by_key(|(kind, count)| (Reverse(**count), *kind));
    let shown: Vec<String> =
        kinds.iter().take(KINDS).map(|(kind, count)| format!("{count} {kind}")).collect();
    shown.join(", ")
}

fn what_was_known(profile: &DataProfile, now: Time, customers: u64) -> String {
    let late = match profile.recording_lag() {
        lag if lag.late > 0 => format!(
            " ({} of {} recorded more than a day after they happened)",
            lag.late,
            counted(lag.interactions, "interaction was", "interactions were")
        ),
        _ => String::new(),
    };
    let of = counted(customers, "customer", "customers");
    match profile.activity().range() {
        Some((first, last)) => format!(
            "known at {now} of {of} are {}, the first of {}, the last of {}{late}",
            kinds(profile),
            date(first),
            date(last)
        ),
        None => {
            format!("no interaction of the {of} had happened and was known at {now}{late}")
        }
    }
}

fn what_is_needed(profile: &DataProfile, outcome: &LabelDefinition, now: Time) -> String {
    let latest = now.plus_days(-i64::from(outcome.horizon_days));
    let days = counted(outcome.horizon_days, "day", "days");
    let knows = |kind: &str| profile.kinds().contains_key(kind);
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => format!(
            "leads are learned from before their first purchase and {days} before that moment, at {latest}, at \
             the latest: nobody was known as a lead by then"
        ),
        (Target::Churn, ChurnEvent::Inactivity) if !knows(kind::PURCHASE) => {
            let cancel = if knows(kind::CANCEL) {
                "; `cancel` is: did you mean `event = \"cancel\"` under [churn] in the spec?"
            } else {
                ""
            };
            format!(
                "inactivity is learned from customers who have bought, but no `purchase` is among them{cancel}"
            )
        }
        (Target::Churn, ChurnEvent::Inactivity) => format!(
            "the latest snapshot lies {days} before that moment, at {latest}: nobody was known to have bought by \
             then; more time or a shorter horizon (`--horizon-days`) helps"
        ),
        (Target::Churn, ChurnEvent::Cancel)
            if !outcome.start_kinds.is_empty() && !outcome.start_kinds.iter().any(|kind| knows(kind)) =>
        {
            format!(
                "churn by `cancel` is learned from customers with a relation to end, but no interaction of the \
                 `start_kinds` in the spec is among them: {}",
                outcome.start_kinds.join(", ")
            )
        }
        (Target::Churn, ChurnEvent::Cancel) => format!(
            "the latest snapshot lies {days} before that moment, at {latest}: nobody was known by then who could \
             cancel; more time or a shorter horizon (`--horizon-days`) helps"
        ),
    }
}

fn date(time: Time) -> String {
    time.to_string().chars().take("2026-01-31".len()).collect()
}
