//! The choice of how to fit: encoding, penalty, pairs, features and how far back to look, by the log
//! loss on rows that are later than those fitted to.
//!
//! What may bend more may also mislead more when times change, so the simpler way is kept unless a
//! richer one is better by more than the standard error of the difference ("one standard error
//! rule": Breiman and others 1984). The holdout is never looked at.

use std::collections::BTreeMap;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use crate::{
    encode::{Encoder, Form, Sample},
    evaluation::metrics::log_loss_of_log_odds,
    features::Measure,
    parallel::each,
    time::{DAY, Time},
    training::calibrate::Calibration,
    training::design::Design,
    training::fit::{Fit, FitError},
    training::pairs::{by_importance, strongest},
    training::snapshot::{FEWEST_OF_A_CLASS, LabelDefinition, Snapshots, SplitKind, folds},
};

/// The penalties that are tried, strongest first: each fit starts from the one before.
pub const PENALTIES: [f64; 11] = [10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1];
/// The first penalty that is tried for a variation of a recipe, as a multiple of that recipe's.
const STRONGER: f64 = 11.0;
/// Rows that a round fits to, at most; whole customers.
const ROUND_ROWS: usize = 10_000;
/// Stretches of time that a validation in time is parted into.
const TIMES: usize = 8;
/// The 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom.
const STUDENT: [f64; 7] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365];
/// Where validation begins, as shares of the rows in the order of time.
const ORIGINS: [f64; 3] = [0.4, 0.6, 0.8];
/// Parts of the customers for a validation that is not in time.
const FOLDS: usize = 5;
/// Above so many rows one round of validation is precise enough.
const PLENTY_OF_ROWS: usize = 20_000;
/// Numbers of pairs that are tried.
const PAIRS: [usize; 1] = [10];
/// Shares of the features that are tried, beside all.
const SHARES: [f64; 2] = [0.5, 0.25];
/// Shares of the time looked back that are tried, beside all.
const REACHES: [i64; 2] = [2, 4];

/// How to fit. Artifacts keep the field names that they were first written with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How rich the curves of numbers are.
    pub form: Form,
    /// λ of the penalty ½·λ·‖w‖² on the summed loss.
    pub penalty: f64,
    /// How many pairs of features are crossed.
    pub pairs: usize,
    /// The share of the features that are kept, the most important ones.
    #[serde(rename = "share")]
    pub feature_fraction: f64,
    /// Only snapshots of so many days before the latest one are fitted to; None for all.
    #[serde(rename = "reach_days")]
    pub lookback_days: Option<i64>,
}

/// One way that was tried, at its best penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// What it was.
    pub recipe: Recipe,
    /// Mean log loss on the validation rows.
    pub log_loss: f64,
    /// How much greater that is than the least of those it was compared with.
    pub excess: f64,
    /// The standard error of `excess`, customers being independent.
    pub standard_error: f64,
}

/// What was chosen, and from what.
pub struct Choice {
    /// The way to fit.
    pub recipe: Recipe,
    /// All ways that were tried, in the order of trying.
    pub candidates: Vec<Candidate>,
    /// Whether validation rows were later than those fitted to.
    pub validation: SplitKind,
    /// The curve that makes scores mean what they say, when they did not.
    pub calibration: Option<Calibration>,
}

/// An encoder and a regression, fitted to the same rows.
pub struct Fitted {
    /// Raw row -> design row.
    pub encoder: Encoder,
    /// The regression.
    pub fit: Fit,
    /// The rows fitted to, in the order of the design.
    pub rows: Vec<usize>,
    /// Their design.
    pub design: Design,
}

/// The rows that a choice is made on.
#[derive(Clone, Copy)]
pub struct Dataset<'a> {
    /// What the columns measure.
    pub measures: &'a [Measure],
    /// All snapshots.
    pub rows: &'a Snapshots,
    /// What is foretold.
    pub outcome: LabelDefinition,
}

impl Dataset<'_> {
    /// The outcomes of some rows.
    #[must_use]
    pub fn labels(&self, chosen: &[usize]) -> Vec<bool> {
        chosen.iter().map(|row| self.rows.label[*row]).collect()
    }

    /// The design of some rows.
    #[must_use]
    pub fn design(&self, encoder: &Encoder, chosen: &[usize]) -> Design {
        Design::new(encoder, &self.rows.features, self.measures.len(), chosen)
    }

    fn sample<'b>(&'b self, chosen: &'b [usize]) -> Sample<'b> {
        let positives = chosen.iter().filter(|row| self.rows.label[**row]).count();
        Sample {
            measures: self.measures,
            raw: &self.rows.features,
            rows: chosen,
            rarer: positives.min(chosen.len() - positives),
        }
    }

    fn newest(&self, chosen: &[usize]) -> Time {
        chosen.iter().map(|row| self.rows.as_of[*row]).max().unwrap_or(Time(0))
    }

    /// The rows within reach of the newest.
    fn within(&self, chosen: &[usize], lookback_days: Option<i64>) -> Vec<usize> {
        let since = lookback_days.map(|days| self.newest(chosen).plus_days(-days));
        let near = |row: &usize| since.is_none_or(|since| self.rows.as_of[*row] > since);
        chosen.iter().copied().filter(near).collect()
    }

    fn has_both(&self, chosen: &[usize], fewest: usize) -> bool {
        let positives = chosen.iter().filter(|row| self.rows.label[**row]).count();
        positives >= fewest && chosen.len() - positives >= fewest
    }

    /// The encoder that `recipe` gives for some rows.
    fn encoder(&self, recipe: &Recipe, chosen: &[usize]) -> Result<Encoder, FitError> {
        let (sample, labels) = (self.sample(chosen), self.labels(chosen));
        let mut encoder = Encoder::fit(sample, recipe.form, None);
        if recipe.feature_fraction < 1.0 {
            let fit = Fit::rough(&self.design(&encoder, chosen), &labels, recipe.penalty, None)?;
            let mut keep = by_importance(&encoder, &fit, sample);
            keep.truncate((keep.len() as f64 * recipe.feature_fraction).ceil() as usize);
            encoder = Encoder::fit(sample, recipe.form, Some(&keep));
        }
        if recipe.pairs > 0 {
            let design = self.design(&encoder, chosen);
            let fit = Fit::rough(&design, &labels, recipe.penalty, None)?;
            let pairs = strongest(&encoder, &fit, sample, &fit.log_odds(&design), &labels, recipe.pairs);
            encoder = encoder.with_crosses(sample, &pairs);
        }
        Ok(encoder)
    }

    /// Fits to some rows, as far as they are within reach. None when no feature varies.
    ///
    /// # Errors
    /// When the optimum is not reached.
    pub fn fit(&self, recipe: &Recipe, chosen: &[usize]) -> Result<Option<Fitted>, FitError> {
        let rows = self.within(chosen, recipe.lookback_days);
        let encoder = self.encoder(recipe, &rows)?;
        if encoder.width() == 0 {
            return Ok(None);
        }
        let design = self.design(&encoder, &rows);
        let fit = Fit::new(&design, &self.labels(&rows), recipe.penalty, None)?;
        Ok(Some(Fitted { encoder, fit, rows, design }))
    }

    /// Chooses how to fit to `chosen`, with a validation in time if `split` is. `step` hears what is tried.
    ///
    /// # Errors
    /// When an optimum is not reached.
    pub fn choose(
        &self,
        chosen: &[usize],
        split: SplitKind,
        seed: u64,
        step: &dyn Fn(&str),
    ) -> Result<Choice, FitError> {
        let in_time = match split {
            SplitKind::Temporal => self.rounds_in_time(chosen),
            SplitKind::Random => Vec::new(),
        };
        let (validation, rounds) = if in_time.is_empty() {
            (SplitKind::Random, self.rounds_by_customer(chosen, seed))
        } else {
            (SplitKind::Temporal, in_time)
        };
        let mut selection = Selection { table: *self, validation, rounds, candidates: Vec::new() };
        let recipe = |form| Recipe {
            form,
            penalty: PENALTIES[0],
            pairs: 0,
            feature_fraction: 1.0,
            lookback_days: None,
        };

        // How far back: all, unless less is better by more than chance.
        step("choosing how far to look back");
        let Some(mut best) = selection.run(recipe(Form::Log))? else {
            // Nothing varies; whoever fits will say so.
            let recipe = recipe(Form::Plain);
            return Ok(Choice { recipe, candidates: Vec::new(), validation, calibration: None });
        };
        if validation == SplitKind::Temporal {
            let oldest = chosen.iter().map(|row| self.rows.as_of[*row]).min().unwrap_or(Time(0));
            let span = (self.newest(chosen).0 - oldest.0) / DAY;
            for part in REACHES {
                let near = Recipe { lookback_days: Some(span / part), ..best.recipe };
                if let Some(trial) = selection.run(near)? {
                    best = selection.significantly_better(best, trial);
                }
            }
        }
        // Straight lines on either scale are equally simple.
        if let Some(plain) = selection.run(Recipe { form: Form::Plain, ..best.recipe })? {
            best = selection.lesser(best, plain);
        }
        step("choosing the encoding");
        for form in [Form::Spline, Form::Steps] {
            if let Some(trial) = selection.run(Recipe { form, ..best.recipe })? {
                best = selection.better(best, trial);
            }
        }
        step("searching pairs of features");
        for pairs in PAIRS {
            if let Some(trial) = selection.run(Recipe { pairs, ..best.recipe })? {
                best = selection.better(best, trial);
            }
        }
        // The penalty holds back what does not help: to leave features out for good, it takes more than a
        // lucky draw among the shares.
        step("screening the features");
        for feature_fraction in SHARES {
            if let Some(trial) = selection.run(Recipe { feature_fraction, ..best.recipe })? {
                best = selection.significantly_better(best, trial);
            }
        }
        let calibration = selection.calibration(&best);
        Ok(Choice { recipe: best.recipe, candidates: selection.candidates, validation, calibration })
    }

    /// Rounds whose validation rows begin where the horizons of the rows fitted to are over.
    fn rounds_in_time(&self, chosen: &[usize]) -> Vec<Round> {
        let mut moments: Vec<Time> = chosen.iter().map(|row| self.rows.as_of[*row]).collect();
        moments.sort_unstable();
        let some = if chosen.len() > PLENTY_OF_ROWS { &ORIGINS[2..] } else { &ORIGINS[..] };
        let mut origins: Vec<Time> =
            some.iter().map(|q| moments[(q * moments.len() as f64) as usize]).collect();
        origins.dedup();
        let ends: Vec<Time> = origins.iter().copied().skip(1).chain([Time::MAX]).collect();
        let round = |(origin, end): (&Time, Time)| {
            let learn = chosen
                .iter()
                .copied()
                .filter(|row| self.outcome.horizon_end(self.rows.as_of[*row]) <= *origin);
            let judge = chosen.iter().copied().filter(|row| (*origin..end).contains(&self.rows.as_of[*row]));
            Round { learn: learn.collect(), judge: judge.collect() }
        };
        let enough = |part: &[usize]| self.has_both(part, FEWEST_OF_A_CLASS);
        let rounds = origins.iter().zip(ends).map(round).map(|round| self.thinned(round));
        rounds.filter(|round| enough(&round.learn) && enough(&round.judge)).collect()
    }

    /// A round that fits to some of the customers, when there are more rows than it takes to compare.
    fn thinned(&self, mut round: Round) -> Round {
        let parts = round.learn.len().div_ceil(ROUND_ROWS);
        if parts > 1 {
            let part = folds(self.rows, 0, parts);
            round.learn.retain(|row| part[*row] == 0);
        }
        round
    }

    /// Rounds that judge customers who were not learned from.
    fn rounds_by_customer(&self, chosen: &[usize], seed: u64) -> Vec<Round> {
        let fold = folds(self.rows, seed, FOLDS);
        let tried = if chosen.len() > PLENTY_OF_ROWS { 1 } else { FOLDS };
        let round = |validation| {
            let (judge, learn) = chosen.iter().partition(|row| fold[**row] == validation);
            self.thinned(Round { learn, judge })
        };
        (0..tried)
            .map(round)
            .filter(|round: &Round| self.has_both(&round.learn, 1) && !round.judge.is_empty())
            .collect()
    }
}

/// Rows to fit to and rows to judge on.
struct Round {
    learn: Vec<usize>,
    judge: Vec<usize>,
}

/// A round, encoded by a recipe.
struct Prepared {
    design: Design,
    labels: Vec<bool>,
    judged: Design,
    /// At the penalty before.
    fit: Option<Fit>,
}

/// A recipe at its best penalty, and the log-odds it gives to the validation rows, round by round.
struct Trial {
    recipe: Recipe,
    log_odds: Vec<f64>,
}

/// Recipes judged on the same rounds.
struct Selection<'a> {
    table: Dataset<'a>,
    validation: SplitKind,
    rounds: Vec<Round>,
    candidates: Vec<Candidate>,
}

impl Selection<'_> {
    /// Tries `recipe` with falling penalties, from just above its own on until the loss rises. None when
    /// the rows within reach do not suffice.
    fn run(&mut self, recipe: Recipe) -> Result<Option<Trial>, FitError> {
        let prepare = |round: &Round| -> Result<Option<Prepared>, FitError> {
            let learn = self.table.within(&round.learn, recipe.lookback_days);
            if recipe.lookback_days.is_some() && !self.table.has_both(&learn, FEWEST_OF_A_CLASS) {
                return Ok(None);
            }
            let encoder = self.table.encoder(&recipe, &learn)?;
            if encoder.width() == 0 {
                return Ok(None);
            }
            let design = self.table.design(&encoder, &learn);
            let judged = self.table.design(&encoder, &round.judge);
            Ok(Some(Prepared { design, labels: self.table.labels(&learn), judged, fit: None }))
        };
        let prepared =
            each(self.rounds.iter(), prepare).into_iter().collect::<Result<Option<Vec<_>>, _>>()?;
        let Some(mut prepared) = prepared else { return Ok(None) };
        let mut best: Option<(f64, Trial)> = None;
        // A recipe that changes another one has a similar penalty.
        let strongest = STRONGER * recipe.penalty;
        for penalty in PENALTIES.into_iter().filter(|penalty| *penalty <= strongest) {
            let judge = |prepared: &mut Prepared| -> Result<Array1<f64>, FitError> {
                let next = Fit::rough(&prepared.design, &prepared.labels, penalty, prepared.fit.as_ref())?;
                let log_odds = next.log_odds(&prepared.judged);
                prepared.fit = Some(next);
                Ok(log_odds)
            };
            let judged = each(prepared.iter_mut(), judge).into_iter().collect::<Result<Vec<_>, _>>()?;
            let log_odds: Vec<f64> = judged.into_iter().flatten().collect();
            let loss = self.losses(&log_odds).iter().sum::<f64>() / log_odds.len() as f64;
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, Trial { recipe: Recipe { penalty, ..recipe }, log_odds }));
            } else {
                break;
            }
        }
        let Some((log_loss, trial)) = best else { return Ok(None) };
        self.candidates.push(Candidate { recipe: trial.recipe, log_loss, excess: 0.0, standard_error: 0.0 });
        Ok(Some(trial))
    }

    /// Per validation row.
    fn losses(&self, log_odds: &[f64]) -> Vec<f64> {
        let judged = self.rounds.iter().flat_map(|round| &round.judge);
        judged.zip(log_odds).map(|(row, z)| log_loss_of_log_odds(*z, self.table.rows.label[*row])).collect()
    }

    /// How much greater the mean loss of `a` is than that of `b`, and its standard error.
    fn excess(&self, a: &[f64], b: &[f64]) -> (f64, f64) {
        let differences: Vec<f64> = self.losses(a).iter().zip(self.losses(b)).map(|(a, b)| a - b).collect();
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        // By id, so that the sum does not depend on the order in which the customers came.
        let mut customers = BTreeMap::<&str, f64>::new();
        for (row, difference) in self.rounds.iter().flat_map(|round| &round.judge).zip(differences) {
            *customers.entry(self.table.rows.customer_id(*row)).or_default() += difference - mean;
        }
        (mean, customers.values().map(|sum| sum * sum).sum::<f64>().sqrt() / n)
    }

    /// The richer trial, when it is better by more than a standard error, else the simpler.
    fn better(&mut self, simple: Trial, rich: Trial) -> Trial {
        let (excess, standard_error) = self.note(&simple, &rich);
        if -excess > standard_error { rich } else { simple }
    }

    /// The second trial, when it is better not only by chance, else the first.
    fn significantly_better(&mut self, one: Trial, other: Trial) -> Trial {
        self.note(&one, &other);
        if self.is_lasting(&other.log_odds, &one.log_odds) { other } else { one }
    }

    /// Whether `a` has the lesser loss at so many different times that it is not by chance (95 %).
    ///
    /// What follows the times, such as a base rate that rises, concerns all customers at once: rows of
    /// the same time are not independent, however many there are. So the times are the sample: up to
    /// [`TIMES`] stretches of the validation, compared by a t-test. Validations by customer have no
    /// times; there the standard error over customers decides.
    fn is_lasting(&self, a: &[f64], b: &[f64]) -> bool {
        if self.validation == SplitKind::Random {
            let (excess, standard_error) = self.excess(a, b);
            return -excess > 1.96 * standard_error;
        }
        let judged: Vec<usize> = self.rounds.iter().flat_map(|round| round.judge.iter().copied()).collect();
        let mut moments: Vec<Time> = judged.iter().map(|row| self.table.rows.as_of[*row]).collect();
        moments.sort_unstable();
        let mut edges: Vec<Time> = (1..TIMES).map(|n| moments[n * moments.len() / TIMES]).collect();
        edges.dedup();
        let mut gains = vec![(0.0, 0.0); edges.len() + 1];
        for ((row, a), b) in judged.iter().zip(self.losses(a)).zip(self.losses(b)) {
            let gain = &mut gains[edges.partition_point(|edge| *edge <= self.table.rows.as_of[*row])];
            *gain = (gain.0 + b - a, gain.1 + 1.0);
        }
        let gains: Vec<f64> = gains.iter().filter(|(_, n)| *n > 0.0).map(|(sum, n)| sum / n).collect();
        let n = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let quantile = gains.len().checked_sub(2).and_then(|n| STUDENT.get(n));
        quantile.is_some_and(|quantile| mean > quantile * (variance / n).sqrt())
    }

    /// The one with the lesser loss.
    fn lesser(&mut self, one: Trial, other: Trial) -> Trial {
        if self.note(&one, &other).0 <= 0.0 { other } else { one }
    }

    /// Compares the latest trial with the best so far and notes the result with the candidate.
    fn note(&mut self, best: &Trial, latest: &Trial) -> (f64, f64) {
        let compared = self.excess(&latest.log_odds, &best.log_odds);
        if let Some(candidate) = self.candidates.last_mut() {
            (candidate.excess, candidate.standard_error) = compared;
        }
        compared
    }

    /// The curve that makes the scores of the validation mean what they say. It has to prove itself on
    /// validation rows that it was not fitted to, later ones where there are; else there is none.
    fn calibration(&self, trial: &Trial) -> Option<Calibration> {
        let judged: Vec<usize> = self.rounds.iter().flat_map(|round| round.judge.iter().copied()).collect();
        let scores: Vec<(f64, bool)> =
            trial.log_odds.iter().zip(&judged).map(|(z, row)| (*z, self.table.rows.label[*row])).collect();
        let block = self.blocks(&judged);
        let blocks = block.iter().max().map_or(0, |last| last + 1);
        let part = |wanted: &dyn Fn(usize) -> bool| -> Vec<(f64, bool)> {
            scores.iter().zip(&block).filter(|(_, block)| wanted(**block)).map(|(score, _)| *score).collect()
        };
        let mut best: Option<(Vec<f64>, Calibration)> = None;
        for method in [Calibration::platt, Calibration::isotonic] {
            let mut calibrated = trial.log_odds.clone();
            // In time nothing is known before the first block.
            for test in usize::from(self.validation == SplitKind::Temporal)..blocks {
                let curve = method(&part(&|block| match self.validation {
                    SplitKind::Temporal => block < test,
                    SplitKind::Random => block != test,
                }));
                let tested = calibrated.iter_mut().zip(&block).filter(|(_, block)| **block == test);
                if let Some(curve) = curve {
                    tested.for_each(|(z, _)| *z = curve.apply(*z));
                }
            }
            let against = best.as_ref().map_or(&trial.log_odds, |(calibrated, _)| calibrated);
            if self.is_lasting(&calibrated, against)
                && let Some(curve) = method(&scores)
            {
                best = Some((calibrated, curve));
            }
        }
        best.map(|(_, curve)| curve)
    }

    /// Parts of the validation rows that a curve is tested on in turn: thirds in the order of time, or
    /// halves of the customers.
    fn blocks(&self, judged: &[usize]) -> Vec<usize> {
        if self.validation == SplitKind::Temporal {
            let mut moments: Vec<Time> = judged.iter().map(|row| self.table.rows.as_of[*row]).collect();
            moments.sort_unstable();
            let edges = [moments[moments.len() / 3], moments[moments.len() * 2 / 3]];
            let block =
                |row: &usize| edges.iter().filter(|edge| self.table.rows.as_of[*row] > **edge).count();
            return judged.iter().map(block).collect();
        }
        let fold = folds(self.table.rows, 0, 2);
        judged.iter().map(|row| fold[*row]).collect()
    }
}
