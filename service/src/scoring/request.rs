//! What a score is asked for by, and the score of one customer. A single id, a batch and the whole
//! population take the same path, so that a customer's score is the same bits in each.

use std::sync::Arc;

use tally_model::{
    history::History,
    scoring::{Score, ScoreView},
    time::Time,
};
use tally_store::Prediction;

use crate::{
    catalog::Model,
    histories::{Histories, WarmHistory},
    listing::latest_moment,
    platform::error::Result,
};

/// What is asked about a customer.
#[derive(Clone)]
pub struct ScoreRequest {
    /// The model that scores.
    pub model: Arc<Model>,
    /// The moment that the score is about.
    pub as_of: Time,
    /// Only what was recorded by this moment counts.
    pub known_at: Time,
    /// How many reasons the score carries at most.
    pub max_reasons: usize,
}

impl ScoreRequest {
    /// A request made `now`. A score about an earlier moment counts only what was known then, as in
    /// training: what was recorded later would make looking back too easy.
    #[must_use]
    pub fn new(model: Arc<Model>, as_of: Time, now: Time, max_reasons: usize) -> Self {
        Self { model, as_of, known_at: as_of.min(now), max_reasons }
    }

    /// Scores one history. The prediction has no id, since it is not stored.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when the model is not about such a customer.
    pub fn score(&self, customer_id: String, history: &History) -> Result<Prediction> {
        self.score_with(customer_id, history, into_prediction)
    }

    /// Whether the customer may be listed `now`: is eligible, also by interactions that are about the next day.
    pub(super) fn may_be_listed(&self, history: &History, now: Time) -> bool {
        self.model.scorer.artifact().outcome.eligible(history, latest_moment(now), now).is_ok()
    }

    /// Scores one history and passes the score to `f`.
    pub(super) fn score_with<T>(
        &self,
        customer_id: String,
        history: &History,
        f: impl FnOnce(ScoredCustomer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
        Ok(model.scorer.score(history, *as_of, *known_at, *max_reasons, f)?)
    }

    /// Scores a warm customer, by what is kept of it where that is still valid. What the model makes of
    /// a customer is kept from the second score on.
    pub(super) fn score_warm<T>(
        &self,
        customer_id: String,
        known: &Arc<WarmHistory>,
        histories: &Histories,
        f: impl FnOnce(ScoredCustomer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let kept = known.prepared(model.name);
        if let Some(prepared) = kept.filter(|kept| kept.is_valid_at(*as_of, *known_at, *max_reasons)) {
            let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
            return Ok(model.scorer.with_view(prepared, *as_of, *max_reasons, f));
        }
        if !known.asked_again() || !histories.has_room() {
            return known.history.with(|history| self.score_with(customer_id, history, f))?;
        }
        let prepared = known
            .history
            .with(|history| model.scorer.prepared(history, *as_of, *known_at, *max_reasons))??;
        let id = customer_id.clone();
        let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
        let result = model.scorer.with_view(&prepared, *as_of, *max_reasons, f);
        histories.keep(&id, known, model.name, prepared);
        Ok(result)
    }
}

/// A customer's score, as long as it is borrowed from the scorer.
pub struct ScoredCustomer<'a> {
    /// The customer.
    pub customer_id: String,
    /// The request that the score answers.
    pub request: &'a ScoreRequest,
    /// The score.
    pub view: &'a ScoreView<'a>,
}

/// The score in the form in which it is stored, but without an id.
#[must_use]
pub fn into_prediction(scored: ScoredCustomer<'_>) -> Prediction {
    let ScoredCustomer { customer_id, request, view } = scored;
    let ScoreRequest { model, as_of, known_at, .. } = request;
    let score = Score::of(view);
    Prediction {
        prediction_id: String::new(),
        customer_id,
        target: model.name.target,
        model_version: model.name.version,
        as_of: *as_of,
        known_at: *known_at,
        score_time: *known_at,
        horizon_days: model.scorer.artifact().outcome.horizon_days,
        probability: score.probability,
        lower: score.lower,
        upper: score.upper,
        grade: score.grade,
        basis: score.basis,
        base_log_odds: score.base_log_odds,
        reasons: score.reasons,
        missing_features: score.missing_features,
        notes: score.notes,
        backfill_time: None,
    }
}
