//! What a training finds out about its model beyond the artifact: it is stored beside it, so that the bytes of an
//! artifact depend on nothing but what scoring needs.

use serde::{Deserialize, Serialize};

use super::{checks::FailedCheck, slices::HoldoutSlice};

/// The checks that a model fails, and its holdout by groups. Models of older versions have neither.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assessment {
    /// The checks that the model fails, the blocking ones first.
    pub failed_checks: Vec<FailedCheck>,
    /// The holdout by groups of snapshots.
    pub slices: Vec<HoldoutSlice>,
}
