//! The training job: histories from the store -> snapshots -> model -> the next version, promoted
//! when it is better.
//!
//! The histories are read once and kept packed; two passes go over them, page by page: the census, which
//! settles the features, and the snapshots, after which a page is dropped.

use std::{path::Path, sync::Arc, thread};

use serde::Serialize;
use tally_model::{
    artifact::Artifact,
    evaluation::drift::{Counts, Report},
    features::explain::FeatureValue,
    features::profile::DataProfile,
    features::{Forecast, Measure, Plan},
    history::{History, Packed},
    scoring::Scorer,
    spec::{Spec, Target},
    time::Time,
    training::compare::{Comparison, sample},
    training::snapshot::{LabelDefinition, Sampling, Snapshots},
    training::train::{Options, TrainError, Trained, train},
};

use crate::{
    catalog::models::{Model, ModelName},
    config::user_at_host,
    histories::scan::{CustomerScan, Page, Partition, par_chunks},
    lifecycle::promotion::{self, Actor, ChampionState, predicts},
    platform::error::Error,
    scoring::score::run_blocking,
};
use tally_store::{Evaluation, HoldoutScore, Promotion, PromotionKind, Store, StoreError, StoredModel};

/// Holdout rows that are stored to compare the model with others; a larger holdout is sampled.
const STORED_ROWS: usize = 20_000;
/// Customers whose snapshots are compared with the champion's training, about; of more, every so
/// many-th. Chance gives a PSI of some 9 / 5,000, where 0.1 is worth a look.
const DRIFT_CUSTOMERS: u64 = 5_000;

/// When a new model becomes the champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Promote {
    /// When there is no champion, or the new model has the lower log loss on holdout rows that neither
    /// has learned from.
    Auto,
    /// In any case.
    Always,
    /// Not now.
    Never,
}

/// What to train, and how.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// What the model foretells.
    pub target: Target,
    /// The training's own moment: nothing later is read.
    pub as_of: Time,
    /// The spec.
    pub spec: Spec,
    /// Split and seed.
    pub options: Options,
    /// When the model becomes the champion.
    pub promote: Promote,
    /// The customers that are learned from.
    pub part: Partition,
}

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The data do not suffice, or the fit failed. Nothing was stored.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The store failed.
    #[error(transparent)]
    Service(#[from] Error),
    /// The training matrix could not be written.
    #[error("the training matrix: {0}")]
    Matrix(#[from] csv::Error),
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// What came of a training.
#[derive(Debug)]
pub struct TrainingResult {
    /// The stored version.
    pub name: ModelName,
    /// Its content.
    pub artifact: Artifact,
    /// Whether it serves now, and why.
    pub verdict: Verdict,
    /// The holdout's probabilities and outcomes.
    pub holdout: Vec<(f64, bool)>,
    /// How far the snapshots are from those that the champion before has learned from; None without
    /// a champion that foretells the same.
    pub drift: Option<Moved>,
}

/// How far the snapshots of a training are from those of the champion.
#[derive(Debug)]
pub struct Moved {
    /// The champion.
    pub champion: ModelName,
    /// Snapshots that the champion has learned from.
    pub learned_from: u64,
    /// Snapshots of this training that were compared with them.
    pub compared: u64,
    /// By score and feature of the champion.
    pub report: Report,
}

/// Whether the new model serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether it does.
    pub promoted: bool,
    /// Why.
    pub reason: String,
    /// The champion before, when the two could be compared.
    pub champion: Option<String>,
    /// The two on the same rows.
    pub comparison: Option<Comparison>,
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
    store: &Arc<dyn Store>,
    job: TrainingJob,
    matrix_out: Option<&Path>,
    now: fn() -> Time,
    listener: Listener,
) -> Result<TrainingResult, JobError> {
    let customers = store.count_customers().await?;
    let incumbent = Incumbent::new(&**store, job.target).await?;

    listener(Step::Begin("reading histories".to_owned(), customers));
    let (profile, pages) = read(store, job.part, job.as_of, &listener).await?;

    listener(Step::Begin("taking snapshots".to_owned(), customers));
    let sampling = Sampling::new(job.target, &job.spec, job.as_of);
    let mut plan = profile.plan(&job.spec.features);
    plan.forecast = sampling.outcome.forecast();
    let incumbent = incumbent.filter(|incumbent| predicts(incumbent.outcome()) == predicts(sampling.outcome));
    let incumbent = incumbent.map(|incumbent| incumbent.beside(&plan));
    let snapshots = TakeSnapshots { plan, sampling, incumbent };
    let heard = Arc::clone(&listener);
    let (TakeSnapshots { plan, sampling, incumbent }, taken) =
        run_blocking(move || snapshots.of_all(pages, &heard)).await??;
    let SnapshotBatch { rows, incumbent_probabilities, counts } = taken;
    let drift =
        incumbent.as_ref().zip(counts).map(|(incumbent, counts)| incumbent.moved(job.target, &counts));

    listener(Step::Begin("training".to_owned(), 0));
    let fitted = fit(job.clone(), plan, rows, sampling, &listener).await;
    listener(Step::End);
    let (trained, rows) = fitted?;
    if let Some(path) = matrix_out {
        write_matrix(path, &trained, &rows)?;
    }
    let evaluation = Evaluation {
        evaluated: trained.evaluated.to_bytes().map_err(Error::from)?,
        incumbent: incumbent.map(|incumbent| incumbent.version),
        scores: sample(&rows, &trained.holdout, STORED_ROWS)
            .into_iter()
            .map(|(row, probability)| HoldoutScore {
                customer_id: rows.customer_id(row).to_owned(),
                as_of: rows.as_of[row],
                label: rows.label[row],
                probability,
                incumbent: incumbent_probabilities.get(row).copied().flatten(),
            })
            .collect(),
    };
    let holdout = trained.holdout.iter().map(|(row, probability)| (*probability, rows.label[*row])).collect();
    let artifact = trained.artifact;
    let model = StoredModel {
        target: job.target,
        version: 0,
        create_time: now(),
        created_by: user_at_host(),
        artifact: artifact.to_bytes().map_err(Error::from)?,
        champion: false,
    };
    let version = store.insert_model(model, evaluation).await?;
    let name = ModelName { target: job.target, version };
    let verdict = promote(&**store, job.promote, name, artifact.outcome, now).await?;
    Ok(TrainingResult { name, artifact, verdict, holdout, drift })
}

/// Promotes the new model as the order wants it, by the gate that [`registry::promote`] has. When
/// somebody else moves the champion meanwhile, the new model is judged against that one.
async fn promote(
    store: &dyn Store,
    promote: Promote,
    name: ModelName,
    outcome: LabelDefinition,
    now: fn() -> Time,
) -> Result<Verdict, Error> {
    loop {
        let state = ChampionState::of(store, name.target).await?;
        let gate = promotion::gate(store, name, outcome, state.champion).await?;
        let (promoted, reason) = match promote {
            Promote::Auto => (gate.is_better(), gate.to_string()),
            Promote::Always => (true, format!("promotion was asked for; {gate}")),
            Promote::Never => (false, format!("promotion was not wanted; {gate}")),
        };
        if promoted {
            let why = if promote == Promote::Always { "asked for" } else { "passed the gate" };
            let actor = Actor { who: user_at_host(), reason: why.to_owned(), time: now() };
            let promotion = Promotion {
                forced: gate.refusal(name).is_some(),
                gate_result: gate.to_string(),
                ..state.next(name, PromotionKind::Training, actor)
            };
            if !store.promote(promotion).await? {
                continue;
            }
        }
        let (champion, comparison) = gate.comparison().unzip();
        let champion = champion.map(|champion| champion.to_string());
        return Ok(Verdict { promoted, reason, champion, comparison });
    }
}

/// The champion that a new model will be compared with.
struct Incumbent {
    version: i64,
    /// What serves, and the same model as it was evaluated.
    fits: [Scorer; 2],
    /// Whether its features are those of the training.
    is_like: bool,
}

impl Incumbent {
    /// None when nothing serves, or nothing that can be read: the gate says so then.
    async fn new(store: &dyn Store, target: Target) -> Result<Option<Self>, Error> {
        let Some(version) = store.champion(target).await? else { return Ok(None) };
        let Some(stored) = store.model(target, version).await? else { return Ok(None) };
        let Some(evaluated) = store.evaluated(target, version).await? else { return Ok(None) };
        let evaluated = StoredModel { artifact: evaluated, ..stored.clone() };
        let both = async {
            let serving = Model::load_on_blocking_pool(stored).await?;
            Ok::<_, Error>([serving.scorer, Model::load_on_blocking_pool(evaluated).await?.scorer])
        };
        match both.await {
            Ok(fits) => Ok(Some(Self { version, fits, is_like: false })),
            Err(error) => {
                tracing::warn!(model = %ModelName { target, version }, %error, "the champion cannot be read");
                Ok(None)
            }
        }
    }

    /// Set beside a training with this plan, which foretells the same.
    fn beside(self, plan: &Plan) -> Self {
        let is_like = self.fits.iter().all(|fit| fit.artifact().plan.is_like(plan));
        Self { is_like, ..self }
    }

    const fn outcome(&self) -> LabelDefinition {
        self.fits[0].artifact().outcome
    }

    /// What comes of a snapshot by one of the fits: the raw row, and the probability.
    fn assess(&self, fit: &Scorer, history: &History, rows: &Snapshots, row: usize) -> (Vec<f64>, f64) {
        let (plan, as_of) = (&fit.artifact().plan, rows.as_of[row]);
        let mut raw = Vec::with_capacity(plan.width());
        match self.is_like {
            true => rows.row_of(plan, row, &mut raw),
            false => plan.fold(history, as_of, as_of, &mut raw),
        }
        let probability = fit.probability_of(&raw);
        (raw, probability)
    }

    /// By the later of its fits that has not seen the snapshot, if there is one: what serves has
    /// learned from newer data, but for that from more snapshots than its evaluation had.
    fn probability(&self, history: &History, rows: &Snapshots, row: usize) -> Option<f64> {
        let fit = self.fits.iter().find(|fit| fit.artifact().has_not_seen(rows.as_of[row]))?;
        Some(self.assess(fit, history, rows, row).1)
    }

    /// Counts a snapshot in the bins of what serves, as that sees it.
    fn count(&self, history: &History, rows: &Snapshots, row: usize, counts: &mut Counts) {
        let serving = &self.fits[0];
        let (raw, probability) = self.assess(serving, history, rows, row);
        counts.add(&serving.artifact().reference, &raw, probability);
    }

    fn moved(&self, target: Target, counts: &Counts) -> Moved {
        let artifact = self.fits[0].artifact();
        Moved {
            champion: ModelName { target, version: self.version },
            learned_from: artifact.reference.rows(),
            compared: counts.customers,
            report: Report::new(&artifact.plan.measures(), &artifact.reference, counts),
        }
    }
}

/// Reads the customers once. What is to become of the histories is known only when all have been looked at, so
/// they are kept until then, packed.
async fn read(
    store: &Arc<dyn Store>,
    part: Partition,
    as_of: Time,
    listener: &Listener,
) -> Result<(DataProfile, Vec<Page>), Error> {
    let mut profile = DataProfile::default();
    let mut pages = Vec::new();
    let mut scan = CustomerScan::new(Arc::clone(store), part);
    let mut done = 0;
    while let Some(page) = scan.next().await? {
        let count = move |customers: &[(String, Packed)]| {
            let mut profile = DataProfile::default();
            for (_, history) in customers {
                history.with(|history| profile.add(history, as_of))?;
            }
            Ok::<_, Error>(profile)
        };
        let (page, counts) = run_blocking(move || {
            let counts = par_chunks(&page.histories, count);
            (page, counts)
        })
        .await?;
        for counted in counts {
            profile.merge(counted?);
        }
        done += page.looked_at;
        pages.push(page);
        listener(Step::Done(done));
    }
    Ok((profile, pages))
}

/// How the snapshots of all customers are taken.
struct TakeSnapshots {
    plan: Plan,
    sampling: Sampling,
    /// The champion, when it foretells the same.
    incumbent: Option<Incumbent>,
}

/// The snapshots of some customers.
#[derive(Default)]
struct SnapshotBatch {
    rows: Snapshots,
    /// The champion's probability for each row that it can be asked about.
    incumbent_probabilities: Vec<Option<f64>>,
    /// Where rows lie in the bins of the champion's training.
    counts: Option<Counts>,
}

impl TakeSnapshots {
    /// On all cores, page by page; pages are dropped when they are done.
    fn of_all(self, pages: Vec<Page>, listener: &Listener) -> Result<(Self, SnapshotBatch), Error> {
        let mut all = SnapshotBatch::default();
        let customers: usize = pages.iter().map(|page| page.histories.len()).sum();
        let drift_step = (customers as u64).div_ceil(DRIFT_CUSTOMERS).max(1) as usize;
        let (mut first, mut done) = (0, 0);
        let mut before = Vec::new();
        for page in pages {
            let numbered: Vec<_> = (first..).zip(&page.histories).collect();
            let taken = thread::scope(|scope| {
                // Moving the rows of a page takes so long that it does not wait for the next one.
                scope.spawn(|| before.drain(..).for_each(|part| all.append(part)));
                par_chunks(&numbered, |customers| self.of_some(customers, drift_step))
            });
            before = taken.into_iter().collect::<Result<Vec<_>, Error>>()?;
            if first == 0 {
                // The others will be about as many each: they get their room at once.
                let rows: usize = before.iter().map(|part| part.rows.len()).sum();
                all.rows.reserve(rows * customers / page.histories.len().max(1), self.plan.width());
            }
            first += page.histories.len();
            done += page.looked_at;
            listener(Step::Done(done));
        }
        before.into_iter().for_each(|part| all.append(part));
        Ok((self, all))
    }

    /// Of customers with their numbers among all.
    fn of_some(
        &self,
        customers: &[(usize, &(String, Packed))],
        drift_step: usize,
    ) -> Result<SnapshotBatch, Error> {
        let counts =
            self.incumbent.as_ref().map(|incumbent| Counts::new(&incumbent.fits[0].artifact().reference));
        let mut taken = SnapshotBatch { counts, ..SnapshotBatch::default() };
        for (number, (id, history)) in customers {
            history.with(|history| {
                let SnapshotBatch { rows, incumbent_probabilities, counts } = &mut taken;
                let before = rows.len();
                rows.add(id, history, &self.plan, &self.sampling);
                let Some((incumbent, counts)) = self.incumbent.as_ref().zip(counts.as_mut()) else { return };
                for row in before..rows.len() {
                    incumbent_probabilities.push(incumbent.probability(history, rows, row));
                    if number.is_multiple_of(drift_step) {
                        incumbent.count(history, rows, row, counts);
                    }
                }
            })?;
        }
        Ok(taken)
    }
}

impl SnapshotBatch {
    fn append(&mut self, others: Self) {
        self.rows.append(others.rows);
        self.incumbent_probabilities.extend(others.incumbent_probabilities);
        match (&mut self.counts, others.counts) {
            (Some(counts), Some(others)) => counts.merge(&others),
            (counts, others) => *counts = others.or(counts.take()),
        }
    }
}

async fn fit(
    job: TrainingJob,
    plan: Plan,
    mut rows: Snapshots,
    sampling: Sampling,
    listener: &Listener,
) -> Result<(Trained, Snapshots), JobError> {
    let listener = Arc::clone(listener);
    run_blocking(move || {
        let step = |what: &str| listener(Step::Begin(what.to_owned(), 0));
        let trained = train(&mut rows, plan, &job.spec, sampling.outcome, job.as_of, job.options, &step)?;
        Ok((trained, rows))
    })
    .await?
}

/// Writes the raw snapshots: who, when, what for, the label, and every feature in natural units. Left
/// out are the BG/NBD features, which training makes from the others, by parameters of its own for
/// each set of rows.
fn write_matrix(path: &Path, trained: &Trained, rows: &Snapshots) -> Result<(), csv::Error> {
    let plan = &trained.artifact.plan;
    let mut measures = plan.measures();
    let width = measures.len();
    measures.truncate(width - plan.forecast.map_or(0, |_| Forecast::WIDTH));
    let mut file = csv::Writer::from_path(path)?;
    let fixed = ["customer_id", "as_of", "split", "label"].map(str::to_owned);
    file.write_record(fixed.into_iter().chain(measures.iter().map(Measure::to_string)))?;
    for (row, features) in rows.features.chunks(width).enumerate() {
        let fixed = [
            rows.customers[rows.customer[row] as usize].clone(),
            rows.as_of[row].to_string(),
            trained.parts[row].name().to_owned(),
            u8::from(rows.label[row]).to_string(),
        ];
        let natural =
            measures.iter().zip(features).map(|(measure, raw)| match FeatureValue::of(measure, *raw) {
                FeatureValue::Missing => String::new(),
                FeatureValue::Number(number) => number.to_string(),
                FeatureValue::Boolean(truth) => truth.to_string(),
                FeatureValue::Text(level) => level,
            });
        file.write_record(fixed.into_iter().chain(natural))?;
    }
    file.flush()?;
    Ok(())
}
