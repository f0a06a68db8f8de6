//! The playbook: which action a customer gets, by why it may leave and what it brings.

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::{
    insight::{
        AbcClass,
        spec::{check, is_name},
    },
    spec::SpecError,
};

/// The most that an action may cost, in minor units.
const MOST_MINOR: i64 = 1_000_000_000_000;

/// An entry of the playbook, a `[[playbook]]` table. The first that applies to a customer counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PlaybookEntry {
    /// The cause; None for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The ABC class, `A`, `B`, `C` or `none`; empty for any.
    #[serde(default)]
    pub abc: String,
    /// The action.
    pub action: String,
    /// What the action costs, in minor units.
    #[serde(default)]
    pub cost_minor: i64,
}

impl PlaybookEntry {
    fn new(cause: Option<Cause>, abc: &str, action: &str) -> Self {
        Self { cause, abc: abc.to_owned(), action: action.to_owned(), cost_minor: 0 }
    }

    fn applies(&self, cause: Cause, abc: AbcClass) -> bool {
        self.cause.is_none_or(|own| own == cause) && (self.abc.is_empty() || self.abc == abc.name())
    }
}

/// The playbook unless the settings have one. It has few actions, since the effect of each is measured by itself.
#[must_use]
pub fn default_playbook() -> Vec<PlaybookEntry> {
    vec![
        PlaybookEntry::new(None, "A", "personal call"),
        PlaybookEntry::new(Some(Cause::OpenComplaint), "", "solve complaint"),
        PlaybookEntry::new(Some(Cause::Price), "", "offer"),
        PlaybookEntry::new(None, "C", "standard mail"),
        PlaybookEntry::new(None, "", "personal mail"),
    ]
}

/// The entry that applies to a customer. A playbook that was validated has one for everybody.
#[must_use]
pub fn play(playbook: &[PlaybookEntry], cause: Cause, abc: AbcClass) -> Option<&PlaybookEntry> {
    playbook.iter().find(|entry| entry.applies(cause, abc))
}

/// Checks that a playbook has an action for everybody, that an action has one cost, and that each entry applies to
/// somebody.
pub(in crate::insight) fn validate(playbook: &[PlaybookEntry]) -> Result<(), SpecError> {
    check(playbook.len() <= 100, "playbook", playbook.len(), "up to 100 entries")?;
    for (n, entry) in playbook.iter().enumerate() {
        let before = playbook.get(..n).unwrap_or_default();
        entry.validate(before).map_err(|error| error.within(format!("playbook entry {}", n + 1)))?;
    }
    for (cause, abc) in everybody() {
        let missing = format!("nothing for {} and class {}", cause.name(), abc.name());
        let allowed = "playbooks with an action for every cause and class, such as a last entry with neither";
        check(play(playbook, cause, abc).is_some(), "playbook", missing, allowed)?;
    }
    Ok(())
}

/// Every cause and class.
fn everybody() -> impl Iterator<Item = (Cause, AbcClass)> {
    Cause::ALL.into_iter().flat_map(|cause| AbcClass::ALL.map(|abc| (cause, abc)))
}

impl PlaybookEntry {
    fn validate(&self, before: &[Self]) -> Result<(), SpecError> {
        let is_class = self.abc.is_empty() || AbcClass::ALL.iter().any(|class| class.name() == self.abc);
        let allowed = r#""A", "B", "C", "none", and "" for any class"#;
        check(is_class, "abc", format!("{:?}", self.abc), allowed)?;
        let allowed = "1 to 64 characters, none of them a control character, no blank at an end";
        check(is_name(&self.action), "action", format!("{:?}", self.action), allowed)?;
        let allowed = "whole numbers from 0 to 1000000000000";
        check((0..=MOST_MINOR).contains(&self.cost_minor), "cost_minor", self.cost_minor, allowed)?;
        let first = before.iter().position(|other| other.action == self.action);
        if let Some((n, first)) = first.and_then(|n| Some((n, before.get(n)?))) {
            let shown = format!(
                "{}, and {} in entry {} of the same action",
                self.cost_minor,
                first.cost_minor,
                n + 1
            );
            let allowed = "the same costs in all entries of an action; without cost_minor they are 0";
            check(first.cost_minor == self.cost_minor, "cost_minor", shown, allowed)?;
        }
        let applies =
            everybody().any(|(cause, abc)| self.applies(cause, abc) && play(before, cause, abc).is_none());
        let cause = self.cause.map_or("any", Cause::name);
        let abc = if self.abc.is_empty() { "any" } else { &self.abc };
        let shown = format!("{cause}, abc = {abc}");
        check(applies, "cause", shown, "causes and classes that the entries before it do not cover")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_that_applies_counts() {
        let playbook = default_playbook();
        let action = |cause, abc| play(&playbook, cause, abc).unwrap().action.as_str();
        assert_eq!(action(Cause::OpenComplaint, AbcClass::A), "personal call");
        assert_eq!(action(Cause::OpenComplaint, AbcClass::C), "solve complaint");
        assert_eq!(action(Cause::Price, AbcClass::None), "offer");
        assert_eq!(action(Cause::FallingUse, AbcClass::C), "standard mail");
        assert_eq!(action(Cause::Unknown, AbcClass::None), "personal mail");
        assert_eq!(action(Cause::Neglect, AbcClass::B), "personal mail");
    }
}
