//! The checks of a trained model, and its holdout by groups.

use tally_model::{
    features::profile::DataProfile,
    training::{
        assessment::Assessment,
        checks::{CheckInput, failed_checks},
        slices::SlicedHoldout,
        train::Trained,
    },
};

use super::snapshots::SnapshotBatch;

/// Checks a model, and divides its holdout also by these attributes.
pub(super) fn assess(
    trained: &Trained,
    batch: &SnapshotBatch,
    profile: &DataProfile,
    by: &[String],
) -> Assessment {
    let SnapshotBatch { rows, changes, .. } = batch;
    let input = CheckInput { trained, rows, profile, changes };
    let measures = trained.artifact.plan.measures();
    let outcome = &trained.artifact.outcome;
    let sliced = SlicedHoldout { measures: &measures, rows, holdout: &trained.holdout, outcome };
    Assessment { failed_checks: failed_checks(&input), slices: sliced.slices(by) }
}
