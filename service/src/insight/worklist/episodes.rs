//! Lists that are handed out, and what came of them.

use tally_model::insight::WorkKinds;
use tally_model::time::Time;
use tally_store::{
    Episode, EpisodeCursor, EpisodeFilter, ListedEpisode, NewOutcome, OutcomeResult, Pass, Published,
    WorkFilter,
};

use super::list::Places;
use crate::{
    insight::Insights,
    platform::{
        actor::Actor,
        error::{Error, Result},
    },
};

/// What a publication did.
pub struct HandedOut {
    /// The pass whose list it is.
    pub pass: Pass,
    /// What was stored.
    pub published: Published,
    /// The places of the day afterwards; None without a capacity.
    pub places: Option<Places>,
    /// What makes the list questionable.
    pub warnings: Vec<String>,
}

impl Insights {
    /// Stores an episode for each item of the list about `as_of`, or of the latest pass, but for customers who have an
    /// open one, for no more than the day has places, and for those that do not pay only if asked for.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when the moment is in the future (NOT_YET), or when the pass is of other settings than those
    /// of this server (OTHER_SETTINGS); when the store fails.
    pub async fn publish_worklist(
        &self,
        kinds: WorkKinds,
        as_of: Option<Time>,
        include_not_paying: bool,
        by: &Actor,
    ) -> Result<HandedOut> {
        let now = self.clock.now();
        if let Some(as_of) = as_of.filter(|as_of| *as_of > now) {
            return Err(Error::Precondition {
                reason: "NOT_YET",
                message: format!(
                    "as_of_time {as_of} is in the future; a list is handed out about now or before"
                ),
            });
        }
        let pass = self.pass(as_of).await?;
        if let Some(message) = self.other_settings(&pass) {
            return Err(Error::Precondition { reason: "OTHER_SETTINGS", message });
        }
        let now = self.clock.now();
        let filter = self.work_filter(&pass, kinds, now).await?;
        let filter = WorkFilter { include_not_paying, ..filter };
        let published = match pass.population.customers {
            // Lists of a later time of the day may have handed out something.
            0 => self.nothing_published(&filter).await?,
            _ => self.store.publish_worklist(&filter, now, by).await?,
        };
        let places = Places::of(self.spec.worklist.capacity, published.handed_out);
        let warnings = self.missing_data(&pass, kinds).await?;
        Ok(HandedOut { pass, published, places, warnings })
    }

    /// What the publication of a list without customers does.
    async fn nothing_published(&self, filter: &WorkFilter) -> Result<Published> {
        let handed_out = match filter.ranking {
            None => None,
            Some(_) => Some(self.store.ranked_count(filter, false).await?.handed_out),
        };
        Ok(Published { published: 0, held_out: 0, still_open: 0, handed_out })
    }

    /// Stores what came of an action, in place of what was reported before.
    ///
    /// # Errors
    /// NOT_FOUND (CUSTOMER_NOT_FOUND, NO_OPEN_EPISODE); FAILED_PRECONDITION (HELD_OUT); INVALID_ARGUMENT when there is an
    /// open episode, but none was open when it happened; when the store fails.
    pub async fn record_outcome(&self, outcome: NewOutcome) -> Result<Episode> {
        let (customer_id, kind, occur_time) =
            (outcome.customer_id.clone(), outcome.kind.name(), outcome.occur_time);
        let settings = &self.spec.worklist;
        match self.store.record_outcome(outcome, settings, self.clock.now()).await? {
            OutcomeResult::Recorded(episode) => Ok(episode),
            OutcomeResult::UnknownCustomer => Err(Error::unknown_customer(&customer_id)),
            OutcomeResult::NoOpenEpisode => Err(Error::NotFound {
                reason: "NO_OPEN_EPISODE",
                message: format!(
                    "customer `{customer_id}` has no open episode of {kind}: it was not on a list that was \
                     handed out, or its time is over (what was done in time can still be reported with the time when \
                     it was done)"
                ),
                about: vec![("customer_id", customer_id), ("kind", kind.to_owned())],
            }),
            OutcomeResult::HeldOut => Err(Error::Precondition {
                reason: "HELD_OUT",
                message: format!(
                    "customer `{customer_id}` is held out, so that others have something to be compared with; \
                     it gets no action"
                ),
            }),
            OutcomeResult::OutsideWindow(Episode { as_of, until, .. }) => Err(Error::invalid(
                "occur_time",
                format!(
                    "is {occur_time}, when no episode was open; the present one is from {as_of} to {until}"
                ),
            )),
        }
    }

    /// At most `limit` episodes that follow `after`, the latest list first, and how many there are.
    ///
    /// # Errors
    /// NOT_FOUND (CUSTOMER_NOT_FOUND) when the customer that the filter names is not stored; when the store fails.
    pub async fn episodes(
        &self,
        mut filter: EpisodeFilter,
        after: Option<&EpisodeCursor>,
        limit: usize,
    ) -> Result<(Vec<ListedEpisode>, u64)> {
        if let Some(customer_id) = &filter.customer_id {
            let customer = self.store.customer(customer_id).await?;
            let customer = customer.ok_or_else(|| Error::unknown_customer(customer_id))?;
            filter.customer_id = Some(customer.customer_id);
        }
        let total = self.store.count_episodes(&filter).await?;
        Ok((self.store.episodes(&filter, after, limit).await?, total))
    }
}
