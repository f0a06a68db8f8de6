//! What the reader of a list has to know beside its items.

use tally_model::insight::WorkKinds;
use tally_store::Pass;

use crate::insight::Insights;

impl Insights {
    /// What makes a list of these kinds questionable: it will not be handed out, kinds can have no items, their settings
    /// name what nobody has, and what makes the lifetime values questionable that it goes by.
    #[must_use]
    pub fn worklist_warnings(&self, pass: &Pass, kinds: WorkKinds) -> Vec<String> {
        let population = &pass.population;
        let without_items = kinds.kinds().filter_map(|kind| population.why_nobody(kind));
        let unused = kinds.kinds().filter_map(|kind| population.unused_settings(kind));
        let of_list = self.other_settings(pass).into_iter().chain(without_items).chain(unused);
        of_list.chain(population.value.warnings()).collect()
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
