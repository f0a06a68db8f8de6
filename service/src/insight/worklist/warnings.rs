//! What the reader of a list has to know beside its items.

use tally_model::insight::WorkKinds;
use tally_store::{EffectFilter, Pass};

use crate::{insight::Insights, platform::error::Result};

impl Insights {
    /// What makes a list of these kinds questionable: it will not be handed out, kinds can have no items, their settings
    /// name what nobody has, its data or those of the effects are old, and what makes the lifetime values questionable
    /// that it goes by.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn worklist_warnings(&self, pass: &Pass, kinds: WorkKinds) -> Result<Vec<String>> {
        let population = &pass.population;
        let without_items = kinds.kinds().filter_map(|kind| population.why_nobody(kind));
        let unused = kinds.kinds().filter_map(|kind| population.unused_settings(kind));
        let of_list = self.other_settings(pass).into_iter().chain(without_items).chain(unused);
        let of_data = self.missing_data(pass, kinds).await?;
        let of_values = population.range_warning().into_iter().chain(population.value.warnings());
        Ok(of_list.chain(of_data).chain(of_values).collect())
    }

    /// Says that data seem to be missing: since long before the list, or in the time of lists whose effect ranks it.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn missing_data(&self, pass: &Pass, kinds: WorkKinds) -> Result<Vec<String>> {
        let now = self.clock.now();
        let is_ranked = pass.population.spec.ranks_by_gain();
        let unheard = match is_ranked {
            true => self.unheard(EffectFilter { kinds, from: None, to: now, now }).await?,
            false => None,
        };
        Ok(pass.population.silences.iter().cloned().chain(unheard).collect())
    }

    /// Why the list of a pass cannot be handed out: it was made with other settings than those of this server. None when
    /// it was not.
    pub(super) fn other_settings(&self, pass: &Pass) -> Option<String> {
        let (of_pass, own) = (&pass.population.spec, &self.spec);
        (of_pass.worklist != own.worklist || of_pass.playbook != own.playbook).then(|| {
            format!(
                "the pass as of {} has other settings of the worklist than this server; a new pass has these \
                 (RefreshInsights, `tally insights refresh`)",
                pass.as_of
            )
        })
    }
}
