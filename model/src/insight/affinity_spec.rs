//! The settings of affinities.

use serde::{Deserialize, Serialize};

use super::spec::{check, is_name};
use crate::spec::SpecError;

/// The `[affinity]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct AffinitySpec {
    /// The property of purchases whose values are suggested to customers, 1 to 64 characters.
    pub property: String,
}

impl Default for AffinitySpec {
    fn default() -> Self {
        Self { property: "category".to_owned() }
    }
}

impl AffinitySpec {
    pub(super) fn validate(&self) -> Result<(), SpecError> {
        let allowed = "names of 1 to 64 characters, none of them a control character, no blank at an end";
        check(is_name(&self.property), "affinity.property", format!("{:?}", self.property), allowed)
    }
}
