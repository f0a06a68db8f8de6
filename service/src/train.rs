//! The training job: histories from the store -> snapshots -> model -> the next version, promoted
//! when it is better.
//!
//! Two passes over the histories, page by page: the census, which settles the features, and the
//! snapshots. Only the training matrix is held in memory.

use std::{path::Path, sync::Arc};

use serde::Serialize;
use tally_model::{
    artifact::Artifact,
    census::Census,
    evaluate::log_loss_of_log_odds,
    explain::Natural,
    features::{Measure, Plan},
    history::History,
    snapshot::{Sampling, Snapshots},
    spec::{Spec, Target},
    time::Time,
    train::{Options, TrainError, Trained, train},
};

use crate::{
    error::Error,
    models::{Model, ModelName},
    score::{CHUNK, off_the_workers},
    store::{Store, StoredModel},
};

/// When a new model becomes the champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Promote {
    /// When there is no champion, or the new model has the lower log loss on rows that neither has
    /// learned from.
    Auto,
    /// In any case.
    Always,
    /// Not now.
    Never,
}

/// What to train, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// What the model foretells.
    pub target: Target,
    /// Taken for now: nothing later is read.
    pub as_of: Time,
    /// The spec.
    pub spec: Spec,
    /// Split and seed.
    pub options: Options,
    /// When the model becomes the champion.
    pub promote: Promote,
}

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The data do not suffice, or the fit failed. Nothing was stored.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// The training matrix could not be written.
    #[error("the training matrix: {0}")]
    Matrix(#[from] csv::Error),
}

/// What came of a training.
#[derive(Debug)]
pub struct Outcome {
    /// The stored version.
    pub name: ModelName,
    /// Its content.
    pub artifact: Artifact,
    /// Whether it serves now, and why.
    pub verdict: Verdict,
}

/// Whether the new model serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether it does.
    pub promoted: bool,
    /// Why.
    pub reason: String,
    /// The champion before, on the same holdout.
    pub champion: Option<Rival>,
}

/// How the champion before did on the holdout of the new model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rival {
    /// Its name.
    pub model: String,
    /// Its log loss.
    pub log_loss: f64,
    /// The new model's log loss on the same rows.
    pub candidate_log_loss: f64,
    /// How many rows those are.
    pub rows: usize,
}

/// What a running training tells.
pub enum Step {
    /// A part of the work has begun, with so many things to do (0: unknown).
    Begin(String, u64),
    /// So many of them are done.
    Done(u64),
    /// All is done.
    End,
}

/// Hears of the steps of a training.
pub type Listener = Arc<dyn Fn(Step) + Send + Sync>;

/// Trains, stores and perhaps promotes.
///
/// # Errors
/// [`JobError`]; nothing is stored then, unless the store fails between the model and its promotion.
pub async fn run(
    store: &dyn Store,
    order: Order,
    matrix_out: Option<&Path>,
    now: fn() -> Time,
    listener: Listener,
) -> Result<Outcome, JobError> {
    let customers = store.count_customers().await?;
    let champion = champion(store, order.target).await?;

    listener(Step::Begin("reading histories".to_owned(), customers));
    let mut census = Census::default();
    pages(store, &listener, |_, history| census.add(history, order.as_of)).await?;

    listener(Step::Begin("taking snapshots".to_owned(), customers));
    let sampling = Sampling::new(order.target, &order.spec, order.as_of);
    let mut plan = census.plan(&order.spec.features);
    plan.forecast = sampling.outcome.forecast();
    let mut rows = Snapshots::default();
    // The champion's probability for each row, where it would have given one.
    let mut rival = Vec::new();
    let comparable = champion.as_ref().filter(|c| c.scorer.artifact().outcome == sampling.outcome);
    pages(store, &listener, |id, history| {
        rows.add(id, history, &plan, &sampling);
        if let Some(champion) = comparable {
            let new = rows.as_of[rival.len()..].iter();
            rival.extend(
                new.map(|as_of| Some(champion.scorer.score(history, *as_of, *as_of, 0).ok()?.probability)),
            );
        }
    })
    .await?;

    listener(Step::Begin("training".to_owned(), 0));
    let fitted = fit(order.clone(), plan, rows, sampling, &listener).await;
    listener(Step::End);
    let (trained, rows) = fitted?;
    if let Some(path) = matrix_out {
        write_matrix(path, &trained, &rows)?;
    }
    let mut verdict = judge(order.promote, champion.as_ref(), &trained, &rows, &rival);
    let artifact = trained.artifact;
    let version = store
        .insert_model(StoredModel {
            target: order.target,
            version: 0,
            create_time: now(),
            created_by: created_by(),
            artifact: artifact.to_bytes().map_err(Error::from)?,
            champion: false,
        })
        .await?;
    if verdict.promoted {
        let judged_against = champion.as_ref().map(|champion| champion.name.version);
        verdict = promote(store, &order, version, judged_against, verdict, now).await?;
    }
    Ok(Outcome { name: ModelName { target: order.target, version }, artifact, verdict })
}

/// Promotes in place of the champion that the verdict was about. When another training was faster, a
/// promotion that was asked for goes on top; one that was earned was earned against somebody else.
async fn promote(
    store: &dyn Store,
    order: &Order,
    version: i64,
    mut instead_of: Option<i64>,
    verdict: Verdict,
    now: fn() -> Time,
) -> Result<Verdict, Error> {
    while !store.promote(order.target, version, instead_of, now()).await? {
        if order.promote == Promote::Auto {
            let reason = "another training promoted its model meanwhile; train again to compare".to_owned();
            return Ok(Verdict { promoted: false, reason, ..verdict });
        }
        instead_of = store.champion(order.target).await?;
    }
    Ok(verdict)
}

async fn champion(store: &dyn Store, target: Target) -> Result<Option<Model>, Error> {
    let Some(version) = store.champion(target).await? else { return Ok(None) };
    store.model(target, version).await?.as_ref().map(Model::load).transpose()
}

/// Hands every customer's history to `each`, in the order of the ids.
async fn pages(
    store: &dyn Store,
    listener: &Listener,
    mut each: impl FnMut(&str, &History),
) -> Result<(), Error> {
    let (mut after, mut done) = (String::new(), 0);
    loop {
        let ids = store.customer_ids(&after, CHUNK).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after.clone_from(last);
        for (id, history) in ids.iter().zip(store.histories(&ids).await?) {
            if let Some(history) = history {
                each(id, &history);
            }
        }
        done += ids.len() as u64;
        listener(Step::Done(done));
    }
}

async fn fit(
    order: Order,
    plan: Plan,
    mut rows: Snapshots,
    sampling: Sampling,
    listener: &Listener,
) -> Result<(Trained, Snapshots), JobError> {
    let listener = Arc::clone(listener);
    off_the_workers(move || {
        let step = |what: &str| listener(Step::Begin(what.to_owned(), 0));
        let trained =
            train(&mut rows, plan, &order.spec, sampling.outcome, order.as_of, order.options, &step)?;
        Ok((trained, rows))
    })
    .await?
}

/// Judges whether the new model is better than the champion.
fn judge(
    promote: Promote,
    champion: Option<&Model>,
    trained: &Trained,
    rows: &Snapshots,
    rival: &[Option<f64>],
) -> Verdict {
    let compared = champion.and_then(|champion| compare(champion, trained, rows, rival));
    let (promoted, reason) = match (promote, champion, &compared) {
        (Promote::Always, ..) => (true, "promotion was asked for".to_owned()),
        (Promote::Never, ..) => (false, "promotion was not wanted".to_owned()),
        (Promote::Auto, None, _) => (true, "there was no champion".to_owned()),
        (Promote::Auto, Some(champion), None) => (
            false,
            format!(
                "not comparable with {}: it foretells another outcome, or has learned from the whole holdout",
                champion.name
            ),
        ),
        (Promote::Auto, Some(_), Some(rival)) => {
            let better = rival.candidate_log_loss < rival.log_loss;
            let words = if better { "better than" } else { "not better than" };
            (
                better,
                format!(
                    "{words} {} on the same {} rows: log loss {:.4} against {:.4}",
                    rival.model, rival.rows, rival.candidate_log_loss, rival.log_loss
                ),
            )
        }
    };
    Verdict { promoted, reason, champion: compared }
}

/// Compares both on rows that neither has learned from: those of the holdout that are later than all
/// that the champion has seen. Two trainings on the same data as of the same moment have the same
/// holdout, and were judged on it before they learned from it. None when neither is to be had.
fn compare(champion: &Model, trained: &Trained, rows: &Snapshots, rival: &[Option<f64>]) -> Option<Rival> {
    let (old, new) = (champion.scorer.artifact(), &trained.artifact);
    let loss = |p: f64, row: usize| log_loss_of_log_odds((p / (1.0 - p)).ln(), rows.label[row]);
    let unseen = trained.holdout.iter().filter(|(row, _)| rows.as_of[*row] > old.card.to);
    let both = unseen.filter_map(|(row, p)| Some((loss(*p, *row), loss((*rival.get(*row)?)?, *row))));
    let (n, candidate, former) = both.fold((0, 0.0, 0.0), |(n, a, b), (x, y)| (n + 1, a + x, b + y));
    let model = champion.name.to_string();
    if n > 0 {
        let (log_loss, candidate_log_loss) = (former / f64::from(n), candidate / f64::from(n));
        return Some(Rival { model, log_loss, candidate_log_loss, rows: n as usize });
    }
    let study = |artifact: &Artifact| {
        let card = &artifact.card;
        (
            artifact.outcome,
            artifact.as_of,
            card.split,
            card.seed,
            card.rows,
            card.positives,
            card.holdout.rows,
        )
    };
    (study(old) == study(new)).then_some(Rival {
        model,
        log_loss: old.card.holdout.log_loss,
        candidate_log_loss: new.card.holdout.log_loss,
        rows: new.card.holdout.rows,
    })
}

/// Writes the raw snapshots: who, when, what for, the label, and every feature in natural units.
fn write_matrix(path: &Path, trained: &Trained, rows: &Snapshots) -> Result<(), csv::Error> {
    let measures = trained.artifact.plan.measures();
    let mut file = csv::Writer::from_path(path)?;
    let fixed = ["customer_id", "as_of", "split", "label"].map(str::to_owned);
    file.write_record(fixed.into_iter().chain(measures.iter().map(Measure::to_string)))?;
    for (row, features) in rows.features.chunks(measures.len()).enumerate() {
        let fixed = [
            rows.customers[rows.customer[row] as usize].clone(),
            rows.as_of[row].to_string(),
            trained.parts[row].name().to_owned(),
            u8::from(rows.label[row]).to_string(),
        ];
        let natural = measures.iter().zip(features).map(|(measure, raw)| match Natural::of(measure, *raw) {
            Natural::Missing => String::new(),
            Natural::Number(number) => number.to_string(),
            Natural::Boolean(truth) => truth.to_string(),
            Natural::Text(level) => level,
        });
        file.write_record(fixed.into_iter().chain(natural))?;
    }
    file.flush()?;
    Ok(())
}

/// Who trains: user@host.
fn created_by() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}
