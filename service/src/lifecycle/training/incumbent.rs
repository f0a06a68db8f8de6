//! The incumbent: the champion that a new model is compared with.

use tally_model::{
    evaluation::drift::Counts, features::Plan, history::History, label::LabelDefinition, scoring::Scorer,
    spec::Target, time::Time, training::snapshot::Snapshots,
};
use tally_store::{Store, StoredModel};

use super::ChampionDrift;
use crate::{
    catalog::{Model, ModelName},
    platform::error::{Error, Result},
};

/// The champion that a new model is compared with.
pub(super) struct Incumbent {
    pub(super) version: i64,
    /// The model that serves, and the same model as it was evaluated.
    fits: [Scorer; 2],
    /// Whether its features are those of the training, so that their rows can be shared.
    is_like: bool,
}

impl Incumbent {
    /// Returns None when no model serves, or none that can be read; the gate then says so.
    pub(super) async fn load(store: &dyn Store, target: Target) -> Result<Option<Self>> {
        let Some(version) = store.champion(target).await? else { return Ok(None) };
        let Some(stored) = store.model(target, version).await? else { return Ok(None) };
        let Some(evaluated) = store.evaluated(target, version).await? else { return Ok(None) };
        let evaluated = StoredModel { artifact: evaluated, ..stored.clone() };
        let both = async {
            let serving = Model::prepare(stored).await?;
            Ok::<_, Error>([serving.scorer, Model::prepare(evaluated).await?.scorer])
        };
        match both.await {
            Ok(fits) => Ok(Some(Self { version, fits, is_like: false })),
            Err(error) => {
                tracing::warn!(model = %ModelName { target, version }, %error, "the champion cannot be read");
                Ok(None)
            }
        }
    }

    /// Prepares it for a training with this plan, which predicts the same.
    pub(super) fn beside(self, plan: &Plan) -> Self {
        let is_like = self.fits.iter().all(|fit| fit.artifact().plan.is_like(plan));
        Self { is_like, ..self }
    }

    pub(super) const fn outcome(&self) -> &LabelDefinition {
        &self.fits[0].artifact().outcome
    }

    /// The probability by the later of its fits that has not learned from the snapshot, if there is one.
    /// The fit that serves has learned from newer snapshots than the one that was evaluated.
    pub(super) fn probability(&self, history: &History, rows: &Snapshots, row: usize) -> Option<f64> {
        let as_of = rows.as_of[row];
        let fit = self.fits.iter().find(|fit| fit.artifact().has_not_seen(as_of))?;
        let plan = &fit.artifact().plan;
        let mut raw = Vec::with_capacity(plan.width());
        match self.is_like {
            true => rows.row_of(plan, row, &mut raw),
            false => plan.fold(history, as_of, as_of, &mut raw),
        }
        Some(fit.probability_of(&raw))
    }

    /// Counts a customer as it would be scored `now` in the bins of the fit that serves.
    pub(super) fn count(&self, history: &History, now: Time, counts: &mut Counts) {
        let serving = &self.fits[0];
        let artifact = serving.artifact();
        let mut raw = Vec::with_capacity(artifact.plan.width());
        artifact.plan.fold(history, now, now, &mut raw);
        counts.add(&artifact.reference, &raw, serving.probability_of(&raw));
    }

    /// Empty counts for the bins of the fit that serves.
    pub(super) fn empty_counts(&self) -> Counts {
        Counts::new(&self.fits[0].artifact().reference)
    }

    pub(super) fn drift(&self, target: Target, counts: &Counts) -> ChampionDrift {
        let artifact = self.fits[0].artifact();
        ChampionDrift {
            champion: ModelName { target, version: self.version },
            reference: artifact.reference.rows(),
            compared: counts.customers,
            report: artifact.drift(counts),
        }
    }
}
