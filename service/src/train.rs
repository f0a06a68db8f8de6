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
    /// When there is no champion, or the new model has the lower log loss on its holdout.
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
/// [`JobError`]; then nothing is stored.
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
    let plan = census.plan(&order.spec.features);

    listener(Step::Begin("taking snapshots".to_owned(), customers));
    let sampling = Sampling::new(order.target, &order.spec, order.as_of);
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
    let verdict = judge(order.promote, champion.as_ref(), &trained, &rows, &rival);
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
        store.promote(order.target, version, now()).await?;
    }
    Ok(Outcome { name: ModelName { target: order.target, version }, artifact, verdict })
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
    rows: Snapshots,
    sampling: Sampling,
    listener: &Listener,
) -> Result<(Trained, Snapshots), JobError> {
    let listener = Arc::clone(listener);
    off_the_workers(move || {
        let step = |what: &str| listener(Step::Begin(what.to_owned(), 0));
        let trained = train(&rows, plan, &order.spec, sampling.outcome, order.as_of, order.options, &step)?;
        Ok((trained, rows))
    })
    .await?
}

/// Compares the new model with the champion on the rows of the holdout that both can score.
fn judge(
    promote: Promote,
    champion: Option<&Model>,
    trained: &Trained,
    rows: &Snapshots,
    rival: &[Option<f64>],
) -> Verdict {
    let compared = champion.and_then(|champion| {
        let loss = |p: f64, row: usize| log_loss_of_log_odds((p / (1.0 - p)).ln(), rows.label[row]);
        let both = trained.holdout.iter().filter_map(|(row, p)| {
            let other = (*rival.get(*row)?)?;
            Some((loss(*p, *row), loss(other, *row)))
        });
        let (n, new, old) = both.fold((0, 0.0, 0.0), |(n, new, old), (a, b)| (n + 1, new + a, old + b));
        (n > 0).then(|| Rival {
            model: champion.name.to_string(),
            log_loss: old / f64::from(n),
            candidate_log_loss: new / f64::from(n),
            rows: n as usize,
        })
    });
    let (promoted, reason) = match (promote, champion, &compared) {
        (Promote::Always, ..) => (true, "promotion was asked for".to_owned()),
        (Promote::Never, ..) => (false, "promotion was not wanted".to_owned()),
        (Promote::Auto, None, _) => (true, "there was no champion".to_owned()),
        (Promote::Auto, Some(champion), None) => {
            (false, format!("{} foretells something else (event or horizon): not comparable", champion.name))
        }
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
