//! The snapshots with the measures of their columns, and fits to some of them.

use crate::{
    artifact::Recipe,
    encode::{Encoder, Sample},
    features::Measure,
    label::LabelDefinition,
    spec::Target,
    time::Time,
    training::{
        design::Design,
        fit::{Fit, FitError},
        pairs::{PairSearch, by_importance},
        snapshot::Snapshots,
    },
};

/// The training rows of a model.
#[derive(Clone, Copy)]
pub struct Dataset<'a> {
    /// The measures of the columns.
    pub measures: &'a [Measure],
    /// All snapshots.
    pub rows: &'a Snapshots,
    /// What is predicted.
    pub outcome: &'a LabelDefinition,
}

/// An encoder and a regression, fitted to the same rows.
pub struct EncodedFit {
    /// Raw row -> design row.
    pub encoder: Encoder,
    /// The regression.
    pub fit: Fit,
    /// The rows fitted to, in the order of the design.
    pub rows: Vec<usize>,
    /// Their design.
    pub design: Design,
}

/// A fit without crosses.
#[derive(Clone, Copy)]
pub(super) struct Uncrossed<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) fit: &'a Fit,
}

/// [`Fit::new`] or [`Fit::rough`].
pub(super) type Fitting = fn(&Design, &[bool], f64, Option<&Fit>) -> Result<Fit, FitError>;

impl Dataset<'_> {
    /// The labels of some rows.
    #[must_use]
    pub fn labels(&self, chosen: &[usize]) -> Vec<bool> {
        chosen.iter().map(|row| self.rows.label[*row]).collect()
    }

    /// The design of some rows.
    #[must_use]
    pub fn design(&self, encoder: &Encoder, chosen: &[usize]) -> Design {
        Design::new(encoder, &self.rows.features, self.measures.len(), chosen)
    }

    /// How many of some rows have the outcome.
    #[must_use]
    pub fn positives(&self, chosen: &[usize]) -> usize {
        chosen.iter().filter(|row| self.rows.label[**row]).count()
    }

    /// Whether some rows include at least `fewest` of either label.
    pub(super) fn has_both(&self, chosen: &[usize], fewest: usize) -> bool {
        let positives = self.positives(chosen);
        positives >= fewest && chosen.len() - positives >= fewest
    }

    /// The latest `as_of` of some rows.
    pub(super) fn newest(&self, chosen: &[usize]) -> Time {
        chosen.iter().map(|row| self.rows.as_of[*row]).max().unwrap_or(Time(0))
    }

    /// The rows within the lookback of the newest.
    pub(super) fn within(&self, chosen: &[usize], lookback_days: Option<i64>) -> Vec<usize> {
        let since = lookback_days.map(|days| self.newest(chosen).plus_days(-days));
        let is_near = |row: &usize| since.is_none_or(|since| self.rows.as_of[*row] > since);
        chosen.iter().copied().filter(is_near).collect()
    }

    /// The first of each customer's rows: for leads the one of the youngest age. Rows of later ages are those that have
    /// not bought, and mostly never will.
    fn first_rows(&self, chosen: &[usize]) -> Vec<usize> {
        let customers = chosen.chunk_by(|a, b| self.rows.customer[*a] == self.rows.customer[*b]);
        customers.filter_map(|of_one| of_one.first().copied()).collect()
    }

    pub(super) fn sample<'b>(&'b self, chosen: &'b [usize], customers: &'b [usize]) -> Sample<'b> {
        let positives = self.positives(chosen);
        Sample {
            measures: self.measures,
            raw: &self.rows.features,
            rows: chosen,
            customers,
            rarer: positives.min(chosen.len() - positives),
        }
    }

    /// The encoder that `recipe` gives for some rows, without its crosses.
    pub(super) fn uncrossed_encoder(&self, recipe: &Recipe, chosen: &[usize]) -> Result<Encoder, FitError> {
        let customers = match self.outcome.target {
            Target::Lead => self.first_rows(chosen),
            Target::Churn => chosen.to_vec(),
        };
        let sample = self.sample(chosen, &customers);
        let is_used = |place: &usize| {
            let measure = &self.measures[*place];
            (recipe.habits || !measure.is_habit()) && (recipe.calendar || !measure.is_calendar())
        };
        let used: Vec<usize> = (0..self.measures.len()).filter(is_used).collect();
        let encoder = Encoder::fit(sample, recipe.form, &used);
        if recipe.feature_fraction >= 1.0 {
            return Ok(encoder);
        }
        let fit = Fit::rough(&self.design(&encoder, chosen), &self.labels(chosen), recipe.penalty, None)?;
        let mut keep = by_importance(&encoder, &fit, sample);
        keep.truncate((keep.len() as f64 * recipe.feature_fraction).ceil() as usize);
        Ok(Encoder::fit(sample, recipe.form, &keep))
    }

    /// The encoder of a fit to some rows, with crosses of the pairs that the fit misses most.
    pub(super) fn crossed_encoder(
        &self,
        recipe: &Recipe,
        chosen: &[usize],
        uncrossed: Uncrossed<'_>,
    ) -> Encoder {
        let Uncrossed { encoder, fit } = uncrossed;
        let (sample, labels) = (self.sample(chosen, chosen), self.labels(chosen));
        let log_odds = fit.log_odds(&self.design(encoder, chosen));
        let search = PairSearch { encoder, fit, sample, log_odds: &log_odds, labels: &labels };
        encoder.clone().with_crosses(sample, &search.strongest(recipe.pairs), recipe.pair_ratio)
    }

    /// Fits to rows by `fit`. Crosses are added to `uncrossed`, which is the fit of the same recipe without crosses to
    /// the same rows, if it is known. None when no feature varies.
    pub(super) fn fit_by(
        &self,
        fit: Fitting,
        recipe: &Recipe,
        rows: Vec<usize>,
        uncrossed: Option<Uncrossed<'_>>,
    ) -> Result<Option<EncodedFit>, FitError> {
        let labels = self.labels(&rows);
        if recipe.pairs == 0 {
            let encoder = self.uncrossed_encoder(recipe, &rows)?;
            if encoder.width() == 0 {
                return Ok(None);
            }
            let design = self.design(&encoder, &rows);
            let fit = fit(&design, &labels, recipe.penalty, None)?;
            return Ok(Some(EncodedFit { encoder, fit, rows, design }));
        }
        let Some(uncrossed) = uncrossed else {
            let Some(known) = self.fit_by(Fit::rough, &recipe.uncrossed(), rows.clone(), None)? else {
                return Ok(None);
            };
            return self.fit_by(fit, recipe, rows, Some(known.as_uncrossed()));
        };
        let encoder = self.crossed_encoder(recipe, &rows, uncrossed);
        let design = self.design(&encoder, &rows);
        let start = uncrossed.fit.widened(encoder.width());
        let fit = fit(&design, &labels, recipe.penalty, Some(&start))?;
        Ok(Some(EncodedFit { encoder, fit, rows, design }))
    }

    /// Fits to those of some rows that are within the lookback. None when no feature varies.
    ///
    /// # Errors
    /// [`FitError`] when the optimum is not reached.
    pub fn fit(&self, recipe: &Recipe, chosen: &[usize]) -> Result<Option<EncodedFit>, FitError> {
        self.fit_by(Fit::new, recipe, self.within(chosen, recipe.lookback_days), None)
    }
}

impl EncodedFit {
    pub(super) const fn as_uncrossed(&self) -> Uncrossed<'_> {
        Uncrossed { encoder: &self.encoder, fit: &self.fit }
    }
}
