//! Checks of a trained model: whether it can be right. What they find is kept beside the artifact.

mod attribute_changes;
mod base_rate;
mod data;
mod leakage;
mod population;
mod refit;
mod single_feature;

use serde::{Deserialize, Serialize};

pub use attribute_changes::AttributeChanges;
pub use base_rate::BARELY_BETTER;

use crate::{
    features::profile::DataProfile,
    training::{snapshot::Snapshots, train::Trained},
};

/// A check that a model fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheck {
    /// The stable name of the check, such as `SILENCE`.
    pub code: String,
    /// Whether the model cannot be right, so that it is not promoted without force; otherwise it is a remark.
    pub blocking: bool,
    /// What was found, with numbers.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl FailedCheck {
    fn blocking(code: &str, message: String, remedy: String) -> Self {
        Self { code: code.to_owned(), blocking: true, message, remedy }
    }

    fn remark(code: &str, message: String, remedy: String) -> Self {
        Self { blocking: false, ..Self::blocking(code, message, remedy) }
    }
}

/// What the checks look at.
pub struct CheckInput<'a> {
    /// The model and its evaluation.
    pub trained: &'a Trained,
    /// The snapshots, by customer and moment, and the customers as they would be scored now.
    pub rows: &'a Snapshots,
    /// The data that were known.
    pub profile: &'a DataProfile,
    /// How the attributes changed within the horizons.
    pub changes: &'a AttributeChanges,
}

/// The checks that a model fails, the blocking ones first.
#[must_use]
pub fn failed_checks(input: &CheckInput<'_>) -> Vec<FailedCheck> {
    let mut failed: Vec<FailedCheck> = data::silence(input).into_iter().collect();
    let single = single_feature::SingleFeatures::new(input);
    failed.extend(leakage::predicting_alone(input, &single));
    failed.extend(base_rate::no_better(input));
    failed.extend(base_rate::worse_than_one_feature(input));
    // A feature that predicts alone explains it.
    if failed.iter().all(|check| check.code != leakage::PREDICTS_ALONE) {
        failed.extend(leakage::too_accurate(input));
    }
    failed.extend(leakage::changing_with_the_outcome(input));
    failed.extend(single.too_few());
    failed.extend(data::cancel_is_not_the_event(input));
    failed.extend(population::out_of_range(input));
    failed.extend(refit::differs(input));
    failed.extend(data::unknown_names(input));
    failed.sort_by_key(|check| !check.blocking);
    failed
}
