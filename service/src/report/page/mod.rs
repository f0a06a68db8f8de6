//! The report as one self-contained HTML page: no script, no font, no address outside the page.
//!
//! The page is an `askama` template, compiled into the program and checked by the compiler. askama is preferred
//! to `maud`, which writes HTML as Rust macros, because its templates are plain HTML files that editors and web
//! designers understand; a change of words or style touches no Rust. It is licensed as this project is, costs
//! five small crates at build time and next to nothing at run time.
//!
//! Names of attributes and their levels come from customers' data. The engine escapes every value; the only
//! exceptions are the shapes of plots (`|safe` in `plot.html`), in which the plot library has escaped the text.
//!
//! Templates hold the words and the number formats, except for the labels inside plots; the views in this
//! folder hold what needs computing.

mod drift;
mod effect;
mod effects;
mod filters;
mod holdout;
mod pairs;
mod selection;

use std::path::Path;

use askama::Template;
use tally_model::{
    artifact::{Artifact, ArtifactError},
    scoring::Scorer,
    training::{
        assessment::Assessment,
        slices::{HoldoutSlice, grouped},
    },
};

use self::{
    drift::DriftView, effects::EffectsView, holdout::HoldoutView, pairs::PairView, selection::SelectionView,
};
use super::{plots::PlotError, recipe::fitted_as};
use crate::{
    catalog::ModelName,
    lifecycle::training::{ChampionDrift, PromotionDecision, TrainingResult},
    lifecycle::{eligible, predicts},
};

/// Why a page could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The model is not fit to serve.
    #[error(transparent)]
    Model(#[from] ArtifactError),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Never, when rendered to a string.
    #[error(transparent)]
    Template(#[from] askama::Error),
}

/// Whether the file name of a report asks for a page.
#[must_use]
pub fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}

/// Renders the report as an HTML page.
///
/// # Errors
/// When the model is not fit to serve or a plot cannot be drawn.
pub fn render(result: TrainingResult) -> Result<String, PageError> {
    let TrainingResult { name, artifact, assessment, verdict, holdout, drift } = result;
    let scorer = Scorer::new(artifact)?;
    let findings = ModelFindings { assessment: &assessment, verdict: &verdict, drift: drift.as_ref() };
    Ok(ReportPage::new(name, &scorer, &holdout, findings)?.render()?)
}

/// What was found out about the model.
#[derive(Clone, Copy)]
struct ModelFindings<'a> {
    assessment: &'a Assessment,
    verdict: &'a PromotionDecision,
    drift: Option<&'a ChampionDrift>,
}

/// What the page shows. Templates read plain figures from the artifact; the views hold the rest.
#[derive(Template)]
#[template(path = "report/page.html")]
struct ReportPage<'a> {
    name: String,
    predicts: String,
    eligible: String,
    /// The recipe of this model, or its stack.
    fitted_as: String,
    artifact: &'a Artifact,
    assessment: &'a Assessment,
    verdict: &'a PromotionDecision,
    holdout: HoldoutView<'a>,
    /// The holdout by groups.
    slices: Vec<&'a [HoldoutSlice]>,
    effects: EffectsView,
    /// The crossed pairs of features, the strongest first.
    pairs: Vec<PairView>,
    /// How the fit of this model was chosen.
    chosen: SelectionView<'a>,
    /// How the fit that was judged on the holdout was chosen.
    evaluated: SelectionView<'a>,
    /// None without a champion to compare with.
    drift: Option<DriftView<'a>>,
}

impl<'a> ReportPage<'a> {
    fn new(
        name: ModelName,
        scorer: &'a Scorer,
        scores: &[(f64, bool)],
        findings: ModelFindings<'a>,
    ) -> Result<Self, PlotError> {
        let ModelFindings { assessment, verdict, drift } = findings;
        let artifact = scorer.artifact();
        let name = name.to_string();
        Ok(Self {
            predicts: predicts(&artifact.outcome),
            eligible: eligible(&artifact.outcome),
            fitted_as: fitted_as(&artifact.card.chosen),
            artifact,
            assessment,
            verdict,
            holdout: HoldoutView::new(&artifact.card, scores)?,
            slices: grouped(&assessment.slices).collect(),
            effects: EffectsView::new(scorer)?,
            pairs: PairView::all(artifact),
            chosen: SelectionView::new(&artifact.card.chosen, Some(&artifact.card.evaluated)),
            evaluated: SelectionView::new(&artifact.card.evaluated, None),
            drift: drift.map(DriftView::new).transpose()?,
            name,
        })
    }
}
