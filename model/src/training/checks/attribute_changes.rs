//! How often attributes change within the horizon of a snapshot, by its label.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    history::{Attributes, History},
    label::LabelDefinition,
    time::Time,
};

/// Per attribute the snapshots within whose horizon it changed: those without the outcome, and those with it.
#[derive(Clone, Debug, Default)]
pub struct AttributeChanges {
    pub(super) counts: BTreeMap<String, [usize; 2]>,
}

impl AttributeChanges {
    /// Counts the snapshots of a customer, each a moment and its label, by what is known `now`.
    pub fn add(
        &mut self,
        history: &History,
        snapshots: impl Iterator<Item = (Time, bool)>,
        outcome: &LabelDefinition,
        now: Time,
    ) {
        // Few customers have more than one version.
        if history.versions().len() < 2 {
            return;
        }
        for (as_of, label) in snapshots {
            let Some(before) = history.version_at(as_of, now) else { continue };
            let end = outcome.horizon_end(as_of);
            let later = history.versions().iter().filter(|version| {
                as_of < version.effective_time && version.effective_time <= end && version.record_time <= now
            });
            let changed: BTreeSet<&String> =
                later.flat_map(|later| differing(&before.attributes, &later.attributes)).collect();
            for name in changed {
                self.counts.entry(name.clone()).or_default()[usize::from(label)] += 1;
            }
        }
    }

    /// Adds the snapshots of other customers.
    pub fn merge(&mut self, others: Self) {
        for (name, counts) in others.counts {
            let sum = self.counts.entry(name).or_default();
            sum[0] += counts[0];
            sum[1] += counts[1];
        }
    }
}

/// The names whose values differ.
fn differing<'a>(before: &'a Attributes, after: &'a Attributes) -> impl Iterator<Item = &'a String> {
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    let removed = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changed.chain(removed).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        features::profile::DataProfile,
        history::{AttributeValue, Version},
        spec::{Spec, Target},
    };

    #[test]
    fn a_change_within_the_horizon_is_counted_by_the_label() {
        let time = |text: &str| text.parse::<Time>().unwrap();
        let mut history = History::default();
        for (effective, status) in [("2026-01-01", "open"), ("2026-02-10", "won"), ("2026-02-11", "closed")] {
            let status = ("status".to_owned(), AttributeValue::Text(status.to_owned()));
            history.push_version(Version {
                effective_time: time(effective),
                record_time: time(effective),
                create_time: time("2026-01-01"),
                attributes: [status, ("source".to_owned(), AttributeValue::Boolean(true))].into(),
            });
        }
        let outcome = LabelDefinition::new(Target::Lead, &Spec::default(), &DataProfile::default());
        // The horizon of the first ends before the change, that of the second contains it, the third begins after.
        let snapshots = [("2026-01-05", false), ("2026-01-30", true), ("2026-02-12", false)];
        let mut changes = AttributeChanges::default();
        let moments = snapshots.map(|(as_of, label)| (time(as_of), label));
        changes.add(&history, moments.into_iter(), &outcome, time("2026-06-01"));
        assert_eq!(changes.counts, [("status".to_owned(), [0, 1])].into());
    }
}
