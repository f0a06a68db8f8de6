//! The report as one HTML page that needs nothing beside itself: no script, no font, no address.
//!
//! Names of attributes and their levels come from customers' data: everything passes [`Escaped`].

use std::{
    collections::HashMap,
    fmt::{self, Write},
    path::Path,
};

use tally_model::{
    artifact::{Artifact, ArtifactError, Card, Study},
    evaluation::drift::{Bin, Counts, Report, Share, Shift, Verdict as Drifted},
    evaluation::metrics::{Curves, Metrics},
    features::bg_nbd,
    features::explain::FeatureValue,
    scoring::{Effect, Scorer},
    training::snapshot::SplitKind,
};

use super::plots::{Axis, BLUE, Chart, GREY, Mark, ORANGE, PlotError, bars, number};
use crate::{
    catalog::ModelName,
    lifecycle::predicts,
    lifecycle::training::{ChampionDrift, TrainingResult, Verdict},
};

/// Features whose effect is drawn: the most important ones.
const EFFECTS: usize = 12;
/// Levels of a category that are drawn: the commonest ones.
const LEVELS: usize = 12;
/// Features whose drift is listed: those that moved most.
const MOVED: usize = 15;
const PLOT: (u32, u32) = (356, 300);
const SMALL: (u32, u32) = (350, 220);

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 1120px; margin: 2rem auto; padding: 0 1.5rem; }
h1 { margin-bottom: .2rem; } h2 { margin: 2.4rem 0 .6rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .22rem .8rem .22rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee; overflow-wrap: anywhere; }
th { font-weight: 600; } .figure { text-align: right; white-space: nowrap; }
tr.chosen td { font-weight: 600; background: #eef4fc; }
.verdict { padding: .7rem 1rem; border-left: 4px solid #b36b00; background: #fdf6ea; } .verdict.serves { border-color: #1b7f3b; background: #edf8f0; }
.plots { display: flex; flex-wrap: wrap; gap: 1.2rem; } figure { margin: 0; max-width: 100%; } svg { max-width: 100%; height: auto; display: block; }
figcaption { font-size: 14px; max-width: 350px; overflow-wrap: anywhere; }
.note { color: #555; } .blue { color: #1f62bd; } .orange { color: #d66a0a; } .grey { color: #767676; } .blue, .orange { font-weight: 600; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; } summary { cursor: pointer; }
";

/// A text of whatever origin, as it may stand in HTML, in an attribute too.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The model is not fit to serve.
    #[error(transparent)]
    Model(#[from] ArtifactError),
    /// See [`PlotError`].
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Never, when written to a string.
    #[error(transparent)]
    Write(#[from] fmt::Error),
}

type Result<T = ()> = std::result::Result<T, PageError>;

/// Whether a report of this name is a page.
#[must_use]
pub fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}

/// The page of a training.
///
/// # Errors
/// See [`Page::html`], or the model is not fit to serve.
pub fn of(outcome: TrainingResult) -> Result<String> {
    let TrainingResult { name, artifact, verdict, holdout, drift } = outcome;
    let scorer = Scorer::new(artifact)?;
    Page { name, scorer: &scorer, verdict: &verdict, holdout: &holdout, drift: drift.as_ref() }.html()
}

/// All that the page tells of a model.
pub struct Page<'a> {
    /// The model.
    pub name: ModelName,
    /// Its content.
    pub scorer: &'a Scorer,
    /// Whether it serves, and why.
    pub verdict: &'a Verdict,
    /// Probabilities and outcomes of the holdout, or of a sample of it; some of each outcome.
    pub holdout: &'a [(f64, bool)],
    /// How far its training is from that of the champion before.
    pub drift: Option<&'a ChampionDrift>,
}

impl Page<'_> {
    /// The page.
    ///
    /// # Errors
    /// When a plot cannot be drawn.
    pub fn html(&self) -> Result<String> {
        let name = self.name.to_string();
        let mut out = String::new();
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
            Escaped(&name)
        )?;
        let artifact = self.scorer.artifact();
        self.verdict(&mut out)?;
        self.training(&mut out)?;
        self.holdout(&mut out)?;
        self.effects(&mut out)?;
        crosses(&mut out, artifact)?;
        studies(&mut out, &artifact.card)?;
        if let Some(fitted) = &artifact.card.bg_nbd {
            purchases(&mut out, fitted)?;
        }
        self.drift(&mut out)?;
        out.push_str("</body>\n</html>\n");
        Ok(out)
    }

    fn verdict(&self, out: &mut String) -> Result {
        let outcome = self.scorer.artifact().outcome;
        writeln!(
            out,
            "<p>The probability of {} ({}).</p>",
            Escaped(&predicts(outcome)),
            outcome.target.name()
        )?;
        let (class, state) =
            if self.verdict.promoted { (" serves", "Promoted") } else { ("", "Not promoted") };
        writeln!(out, "<p class=\"verdict{class}\"><b>{state}</b>: {}.</p>", Escaped(&self.verdict.reason))?;
        let (Some(champion), Some(c)) = (&self.verdict.champion, &self.verdict.comparison) else {
            return Ok(());
        };
        let head =
            ["rows", "with the outcome", "customers", &self.name.to_string(), champion, "difference", "95 %"];
        let row = [
            c.rows.to_string(),
            c.positives.to_string(),
            c.customers.to_string(),
            four(c.candidate_log_loss),
            four(c.champion_log_loss),
            signed(c.difference),
            format!("{} to {}", signed(c.lower), signed(c.upper)),
        ];
        out.push_str("<p>Log loss on holdout rows that neither of the two has learned from:</p>\n");
        table(out, &head, 0, [row])
    }

    fn training(&self, out: &mut String) -> Result {
        let artifact = self.scorer.artifact();
        let card = &artifact.card;
        let share = percent(card.positives as f64 / card.rows as f64);
        let calibration = match artifact.calibration.as_ref() {
            Some(curve) => curve.name(),
            None => "none was needed",
        };
        heading(out, "What it has learned from")?;
        let facts = [
            ("data up to", artifact.as_of.to_string()),
            ("snapshots", format!("{}, {} with the outcome ({share})", card.rows, card.positives)),
            ("customers", card.customers.to_string()),
            ("moments of the snapshots", format!("{} to {}", card.from, card.to)),
            ("snapshots within reach", card.rows_within_reach.to_string()),
            ("holdout", format!("{} split, seed {}", card.split.name(), card.seed)),
            (
                "design",
                format!("{} columns of {} features", artifact.weights.len(), artifact.encoder.features.len()),
            ),
            ("penalty λ", artifact.penalty.to_string()),
            ("recalibration", calibration.to_owned()),
            ("features (SHA-256)", artifact.schema_hash()),
        ];
        table(out, &[], 2, facts.map(|(name, fact)| [name.to_owned(), fact]))?;
        let spec = artifact.spec.to_string();
        writeln!(out, "<details><summary>Spec</summary><pre>{}</pre></details>", Escaped(&spec))?;
        Ok(())
    }

    fn holdout(&self, out: &mut String) -> Result {
        let card = &self.scorer.artifact().card;
        heading(out, "How well it foretells")?;
        writeln!(
            out,
            "<p>On the holdout: {} snapshots, {} with the outcome ({}), judged by a fit that had not seen them.</p>",
            card.holdout.rows,
            card.holdout.positives,
            percent(card.holdout.positives as f64 / card.holdout.rows as f64)
        )?;
        let head = ["", "AUC", "PR-AUC", "log loss", "Brier", "ECE", "lift at 10 %"];
        let own =
            [(self.name.to_string(), &card.holdout), ("before recalibration".to_owned(), &card.uncalibrated)];
        let own = own.into_iter().take(if card.evaluated.calibration.is_some() { 2 } else { 1 });
        let baselines = card.baselines.iter().map(|(name, metrics)| (name.clone(), metrics));
        table(out, &head, 1, own.chain(baselines).map(|(name, metrics)| judged(name, metrics)))?;
        out.push_str("<div class=\"plots\">\n");
        self.reliability(out)?;
        self.curves(out)?;
        out.push_str("</div>\n");
        Ok(())
    }

    fn reliability(&self, out: &mut String) -> Result {
        let card = &self.scorer.artifact().card;
        let bins = card.reliability.iter().chain(&card.uncalibrated_reliability);
        let high = bins.flat_map(|bin| [bin.predicted, bin.observed]).fold(0.0, f64::max).min(1.0);
        let points = |bins: &[tally_model::evaluation::metrics::ReliabilityBin]| {
            bins.iter().map(|bin| (bin.predicted, bin.observed)).collect::<Vec<_>>()
        };
        let mut marks = vec![Mark::Dashed(GREY, vec![(0.0, 0.0), (high, high)])];
        let mut caption = "<b>Reliability</b>: tenths of the holdout".to_owned();
        if let Some(name) = &card.evaluated.calibration {
            marks.push(Mark::Dots(ORANGE, points(&card.uncalibrated_reliability)));
            write!(
                caption,
                ", <span class=\"orange\">before</span> and <span class=\"blue\">after</span> recalibration ({})",
                Escaped(name)
            )?;
        } else {
            caption.push_str("; no recalibration was needed");
        }
        marks.push(Mark::Dots(BLUE, points(&card.reliability)));
        let chart = Chart {
            title: "Reliability diagram",
            size: PLOT,
            x: (Axis::shares(high), "predicted"),
            y: (Axis::shares(high), "observed"),
            marks,
        };
        figure(out, &chart.draw()?, &caption)
    }

    fn curves(&self, out: &mut String) -> Result {
        let card = &self.scorer.artifact().card;
        let (probabilities, outcomes): (Vec<f64>, Vec<bool>) = self.holdout.iter().copied().unzip();
        let curves = Curves::new(&probabilities, &outcomes);
        let all = || Axis::shares(1.0);
        let rate = card.holdout.positives as f64 / card.holdout.rows as f64;
        let plot = |title, x, y, marks| Chart { title, size: PLOT, x, y, marks }.draw();

        let chance = Mark::Dashed(GREY, vec![(0.0, 0.0), (1.0, 1.0)]);
        let x = (all(), "share of those without the outcome");
        let y = (all(), "share of those with it");
        let roc = plot("ROC curve", x, y, vec![chance, Mark::Line(BLUE, curves.roc)])?;
        figure(out, &roc, &format!("<b>ROC</b>: AUC {}", three(card.holdout.auc)))?;

        let chance = Mark::Dashed(GREY, vec![(0.0, rate), (1.0, rate)]);
        let marks = vec![chance, Mark::Line(BLUE, curves.precision_recall)];
        let drawn = plot("Precision-recall curve", (all(), "recall"), (all(), "precision"), marks)?;
        let caption =
            format!("<b>Precision and recall</b>: average precision {}", three(card.holdout.pr_auc));
        figure(out, &drawn, &caption)?;

        let high = curves.lift.iter().map(|(_, lift)| *lift).fold(1.0, f64::max) * 1.05;
        let chance = Mark::Dashed(GREY, vec![(0.0, 1.0), (1.0, 1.0)]);
        let x = (all(), "the likeliest …");
        let y = (Axis::numbers(0.0, high, 5, number), "times likelier than average");
        let lift = plot("Lift", x, y, vec![chance, Mark::Line(BLUE, curves.lift)])?;
        let at_ten = card.holdout.lift_at_10_percent;
        figure(out, &lift, &format!("<b>Lift</b>: {at_ten:.2} among the likeliest 10 %"))?;

        let histogram = &curves.histogram;
        let bars = |of: &[f64]| -> Vec<(f64, f64, f64)> {
            let edge = |n: usize| n as f64 * histogram.width;
            of.iter().enumerate().map(|(n, share)| (edge(n), edge(n + 1), *share)).collect()
        };
        let high = histogram.positives.iter().chain(&histogram.negatives).copied().fold(0.0, f64::max);
        let marks = vec![
            Mark::Bars(BLUE, bars(&histogram.negatives)),
            Mark::Bars(ORANGE, bars(&histogram.positives)),
        ];
        let x = (Axis::shares(histogram.width * histogram.positives.len() as f64), "probability");
        let y = (Axis::shares(high), "share of the rows of that outcome");
        figure(
            out,
            &plot("Distribution of the scores by outcome", x, y, marks)?,
            "<b>Scores</b> of those <span class=\"orange\">with</span> and <span class=\"blue\">without</span> the outcome",
        )
    }

    fn effects(&self, out: &mut String) -> Result {
        let artifact = self.scorer.artifact();
        // Nobody's counts: only the shares of the training are of interest.
        let counts = Counts::new(&artifact.reference);
        let report = Report::new(&artifact.plan.measures(), &artifact.reference, &counts);
        let bins: HashMap<String, Vec<Share>> =
            report.features.into_iter().map(|(name, shift)| (name, shift.bins)).collect();
        let mut effects: Vec<(f64, Effect)> = self
            .scorer
            .effects()
            .into_iter()
            .map(|effect| (importance(&effect, bins.get(&effect.feature).map_or(&[], Vec::as_slice)), effect))
            .collect();
        effects.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let all = effects.len();
        effects.truncate(EFFECTS);
        heading(out, "What each feature does")?;
        writeln!(
            out,
            "<p>What a value adds to the log-odds, other features being average: the {} most important of {all} \
             features, by the standard deviation of what they add over the training rows (±){}{}.</p>",
            effects.len(),
            if artifact.encoder.crosses.is_empty() { "" } else { "; what pairs add beyond that comes below" },
            if artifact.calibration.is_some() { "; recalibrated as an average customer is" } else { "" }
        )?;
        let ends = effects.iter().flat_map(|(_, effect)| effect.curve.iter().map(|(_, log_odds)| *log_odds));
        let (low, high) = ends.fold((0.0, 0.0), |(low, high): (f64, f64), z| (low.min(z), high.max(z)));
        let pad = 0.05 * (high - low);
        let axis = Axis::numbers(low - pad, high + pad, 4, number);
        out.push_str("<div class=\"plots effects\">\n");
        for (importance, effect) in &effects {
            let caption = format!("<b>{}</b> ± {importance:.3}", Escaped(&effect.feature));
            draw_effect(out, effect, caption, &axis)?;
        }
        out.push_str("</div>\n");
        Ok(())
    }

    fn drift(&self, out: &mut String) -> Result {
        let Some(moved) = self.drift else { return Ok(()) };
        heading(out, &format!("Drift since the champion {}", moved.champion))?;
        writeln!(
            out,
            "<p>{} snapshots of this training against the {} that {} has learned from, as that one sees them. \
             The population stability index (PSI) is large from 0.25 on, moderate from 0.1 on.</p>",
            moved.compared, moved.learned_from, moved.champion
        )?;
        let score = std::iter::once(("score", &moved.report.score));
        let features = moved.report.features.iter().map(|(name, shift)| (name.as_str(), shift)).take(MOVED);
        let shifts: Vec<(&str, &Shift)> = score.chain(features).collect();
        let psi: Vec<(String, f64)> =
            shifts.iter().map(|(name, shift)| ((*name).to_owned(), shift.psi)).collect();
        let high = psi.iter().map(|(_, psi)| *psi).fold(0.3, f64::max);
        let x = (Axis::numbers(0.0, high, 6, number), "PSI");
        let drawn = bars("Drift against the champion", 640, x, &psi)?;
        figure(out, &drawn, "<b>Drift</b> of the score and of the features that moved most")?;
        let head = ["", "PSI", "by chance", "verdict", "mean moved by (sd)", "missing moved by"];
        let rows = shifts.iter().map(|(name, shift)| {
            [
                (*name).to_owned(),
                four(shift.psi),
                four(shift.chance),
                match shift.verdict {
                    Drifted::Stable => "stable",
                    Drifted::TooFew => "too few to tell",
                    Drifted::Moderate => "moderate",
                    Drifted::Large => "large",
                }
                .to_owned(),
                shift.mean_difference.map_or_else(|| "–".to_owned(), |moved| format!("{moved:+.2}")),
                format!("{:+.1} %", 100.0 * shift.missing_difference),
            ]
        });
        table(out, &head, 1, rows)
    }
}

/// The standard deviation of what a feature adds over the rows of the training, in the bins that are
/// kept to watch drift; a bin counts as the mean of the points of the curve in it.
fn importance(effect: &Effect, bins: &[Share]) -> f64 {
    let holds = |bin: &Bin, value: &FeatureValue| match (bin, value) {
        (Bin::Missing, FeatureValue::Missing) => true,
        (Bin::Range(above, to), FeatureValue::Number(x)) => {
            above.is_none_or(|above| *x > above) && to.is_none_or(|to| *x <= to)
        }
        (Bin::Level(level), value) => level == value,
        _ => false,
    };
    let added: Vec<(f64, f64)> = bins
        .iter()
        .filter_map(|share| {
            let inside = || effect.curve.iter().filter(|(value, _)| holds(&share.bin, value));
            let n = inside().count();
            (n > 0).then(|| (share.training, inside().map(|(_, z)| z).sum::<f64>() / n as f64))
        })
        .collect();
    let mean = |of: &dyn Fn(f64) -> f64| {
        added.iter().map(|(share, z)| share * of(*z)).sum::<f64>()
            / added.iter().map(|(share, _)| share).sum::<f64>()
    };
    if added.is_empty() {
        return 0.0;
    }
    let centre = mean(&|z| z);
    mean(&|z| (z - centre).powi(2)).sqrt()
}

/// Numbers as a line, with missing ones as a dashed one; categories as bars.
fn draw_effect(out: &mut String, effect: &Effect, mut caption: String, log_odds: &Axis) -> Result {
    let numbers: Vec<(f64, f64)> = effect
        .curve
        .iter()
        .filter_map(|(value, z)| if let FeatureValue::Number(x) = value { Some((*x, *z)) } else { None })
        .collect();
    let missing = effect.curve.iter().find(|(value, _)| *value == FeatureValue::Missing).map(|(_, z)| *z);
    let (Some((low, _)), Some((high, _))) = (numbers.first().copied(), numbers.last().copied()) else {
        let levels: Vec<(String, f64)> = effect
            .curve
            .iter()
            .take(LEVELS)
            .map(|(value, z)| {
                let name = match value {
                    FeatureValue::Missing => "(missing)".to_owned(),
                    FeatureValue::Number(x) => number(*x),
                    FeatureValue::Boolean(truth) => truth.to_string(),
                    FeatureValue::Text(level) => level.clone(),
                };
                (name, *z)
            })
            .collect();
        if levels.is_empty() {
            return Ok(());
        }
        if let Some(more @ 1..) = effect.curve.len().checked_sub(levels.len()) {
            write!(caption, "; the commonest levels, {more} more")?;
        }
        let title = format!("Effect of {}", effect.feature);
        let drawn = bars(&title, SMALL.0, (log_odds.clone(), "log-odds"), &levels)?;
        return figure(out, &drawn, &caption);
    };
    let median = numbers[numbers.len() / 2].0;
    let skewed = low >= 0.0 && high > 8.0 * median.max(1.0);
    let x = if skewed { Axis::skewed(low, high) } else { Axis::numbers(low, high, 6, number) };
    let mut marks = vec![Mark::Dashed(GREY, vec![(low, 0.0), (high, 0.0)])];
    if let Some(z) = missing {
        marks.push(Mark::Dashed(ORANGE, vec![(low, z), (high, z)]));
        write!(caption, "; <span class=\"orange\">missing {}</span>", signed(z))?;
    }
    marks.push(Mark::Line(BLUE, numbers));
    let title = format!("Effect of {}", effect.feature);
    let chart = Chart { title: &title, size: SMALL, x: (x, ""), y: (log_odds.clone(), "log-odds"), marks };
    figure(out, &chart.draw()?, &caption)
}

fn crosses(out: &mut String, artifact: &Artifact) -> Result {
    let encoder = &artifact.encoder;
    if encoder.crosses.is_empty() {
        return Ok(());
    }
    heading(out, "Pairs of features")?;
    out.push_str("<p>What a pair adds to the log-odds beyond what its two features add apart, before recalibration.</p>\n");
    let name = |n: usize| encoder.features[n].measure.to_string();
    let mut rows: Vec<(f64, [String; 5])> = encoder
        .cross_columns()
        .map(|(cross, columns)| {
            let mut row = vec![0.0; columns.len()];
            let weights = &artifact.weights[columns];
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for cell in 0..cross.count() {
                cross.write(cell, &mut row);
                let z: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                (low, high) = (low.min(z), high.max(z));
            }
            let [first, second] = cross.features.map(name);
            (high - low, [first, second, cross.count().to_string(), signed(low), signed(high)])
        })
        .collect();
    rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let head = ["first", "second", "cells", "least", "greatest"];
    table(out, &head, 2, rows.into_iter().map(|(_, row)| row))
}

fn studies(out: &mut String, card: &Card) -> Result {
    heading(out, "How it was chosen")?;
    out.push_str(
        "<p>By the log loss on validation rows; the simpler way is kept unless a richer one is better by more than \
         the standard error. Excess is over the least log loss of those that were compared.</p>\n",
    );
    study(out, &card.chosen)?;
    out.push_str("<details><summary>How the fit that was judged on the holdout was chosen, from the rows before it</summary>\n");
    study(out, &card.evaluated)?;
    out.push_str("</details>\n");
    Ok(())
}

fn study(out: &mut String, study: &Study) -> Result {
    let validation = match study.validation {
        SplitKind::Temporal => "later than those fitted to",
        SplitKind::Random => "of other customers than those fitted to",
    };
    writeln!(out, "<p class=\"note\">Validation rows were {validation}.</p>")?;
    let head =
        ["form", "pairs", "features", "reach (days)", "penalty λ", "log loss", "excess", "± standard error"];
    let rows = study.candidates.iter().map(|candidate| {
        let recipe = &candidate.recipe;
        [
            recipe.form.name().to_owned(),
            recipe.pairs.to_string(),
            format!("{:.0} %", 100.0 * recipe.feature_fraction),
            recipe.lookback_days.map_or_else(|| "all".to_owned(), |days| days.to_string()),
            recipe.penalty.to_string(),
            four(candidate.log_loss),
            signed(candidate.excess),
            format!("± {}", four(candidate.standard_error)),
        ]
    });
    let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
    marked_table(out, &head, 1, rows, chosen)
}

fn purchases(out: &mut String, fitted: &bg_nbd::Fitted) -> Result {
    heading(out, "Purchases (BG/NBD)")?;
    let model = &fitted.model;
    let state = match &fitted.problem {
        None => "converged".to_owned(),
        Some(problem) => format!("not the maximum of the likelihood: {problem}"),
    };
    let facts = [
        ("r", format!("{:.5}", model.r)),
        ("α (weeks)", format!("{:.5}", model.alpha)),
        ("a", format!("{:.5}", model.a)),
        ("b", format!("{:.5}", model.b)),
        ("log-likelihood", format!("{:.2}", fitted.log_likelihood)),
        ("customers", fitted.customers.to_string()),
        ("Newton steps", fitted.iterations.to_string()),
        ("gradient", format!("{:.1e}", fitted.gradient)),
        ("state", state),
    ];
    table(out, &[], 2, facts.map(|(name, fact)| [name.to_owned(), fact]))
}

fn judged(name: String, m: &Metrics) -> [String; 7] {
    let lift = format!("{:.2}", m.lift_at_10_percent);
    [name, three(m.auc), three(m.pr_auc), four(m.log_loss), four(m.brier), three(m.ece), lift]
}

fn heading(out: &mut String, text: &str) -> Result {
    Ok(writeln!(out, "<h2>{}</h2>", Escaped(text))?)
}

/// A plot, and its caption as HTML.
fn figure(out: &mut String, svg: &str, caption: &str) -> Result {
    Ok(writeln!(out, "<figure>{svg}<figcaption>{caption}</figcaption></figure>")?)
}

/// A table whose first columns, so many, are words and the others figures.
fn table<const N: usize>(
    out: &mut String,
    head: &[&str],
    words: usize,
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result {
    marked_table(out, head, words, rows, None)
}

/// The same with one row marked.
fn marked_table<const N: usize>(
    out: &mut String,
    head: &[&str],
    words: usize,
    rows: impl IntoIterator<Item = [String; N]>,
    marked: Option<usize>,
) -> Result {
    let class = |column: usize| if column < words { "" } else { " class=\"figure\"" };
    out.push_str("<table>\n");
    if !head.is_empty() {
        out.push_str("<tr>");
        for (column, name) in head.iter().enumerate() {
            write!(out, "<th{}>{}</th>", class(column), Escaped(name))?;
        }
        out.push_str("</tr>\n");
    }
    for (n, row) in rows.into_iter().enumerate() {
        out.push_str(if marked == Some(n) { "<tr class=\"chosen\">" } else { "<tr>" });
        for (column, cell) in row.iter().enumerate() {
            write!(out, "<td{}>{}</td>", class(column), Escaped(cell))?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    Ok(())
}

fn three(x: f64) -> String {
    format!("{x:.3}")
}

fn four(x: f64) -> String {
    format!("{x:.4}")
}

fn signed(x: f64) -> String {
    // Adding 0 makes a negative zero positive.
    format!("{:+.4}", (x * 1e4).round() / 1e4 + 0.0)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
