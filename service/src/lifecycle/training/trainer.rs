//! The training job, from the store to the next version of a model.

use std::sync::Arc;

use tally_model::{
    artifact::{Artifact, CENTS},
    features::{Plan, profile::DataProfile},
    training::{
        assessment::Assessment,
        compare::sample,
        slices::categories,
        snapshot::{Sampling, Snapshots},
        train::{Trained, TrainingInput, train},
    },
};
use tally_store::{HoldoutScore, Promotion, PromotionKind, Store, StoredEvaluation, StoredModel};
use tally_terminal::NewFile;

use super::{
    JobError, Promote, PromotionDecision, TrainingJob, TrainingResult,
    assess::assess,
    incumbent::Incumbent,
    lack_of_data, matrix,
    snapshots::{self, SnapshotBatch, SnapshotTaker},
};
use crate::{
    catalog::ModelName,
    deployment::Deployment,
    lifecycle::{
        Gate,
        champion_state::ChampionState,
        gate::{NO_BETTER_THAN_CHAMPION, PromotionCandidate},
        predicts,
        refusal::note_refusal,
    },
    platform::{
        actor::Actor,
        blocking::Cores,
        clock::Clock,
        error::{Error, Result},
        progress::{ProgressListener, ProgressStep},
    },
};

/// Holdout rows that are stored for comparisons with other models; a larger holdout is sampled.
const STORED_ROWS: usize = 20_000;

/// Trains models from the interactions in a store.
pub struct Trainer {
    /// Holds the interactions, and gets the models.
    pub store: Arc<dyn Store>,
    /// Says when a model was made and promoted.
    pub clock: Arc<Clock>,
    /// Who trains.
    pub actor: Actor,
    /// Receives the steps of the training.
    pub progress: ProgressListener,
    /// The cores that it uses.
    pub cores: Cores,
}

/// The snapshots of a training, the data that they were taken from, and the champion's part in them.
struct TrainingData {
    plan: Plan,
    sampling: Sampling,
    incumbent: Option<Incumbent>,
    batch: SnapshotBatch,
    profile: DataProfile,
    customers: u64,
}

impl Trainer {
    /// Trains a model, stores it, and promotes it when the job wants that. Writes the training matrix to
    /// `matrix`, if given.
    ///
    /// # Errors
    /// [`JobError`]; then nothing is stored, unless the store fails between the model and its promotion.
    #[tracing::instrument(name = "training", skip_all, fields(target = %job.target))]
    pub async fn train(&self, job: TrainingJob, matrix: Option<NewFile>) -> Result<TrainingResult, JobError> {
        let data = self.take_snapshots(&job).await?;
        let drift = data.incumbent.as_ref().zip(data.batch.counts.as_ref());
        let drift = drift.map(|(incumbent, counts)| incumbent.drift(job.target, counts));
        let (lag, why) = (data.profile.recording_lag(), data.why_they_do_not_suffice(&job));

        self.begin("training", 0);
        let fitted = self.fit(job.clone(), data).await;
        (self.progress)(ProgressStep::End);
        let (trained, assessment, data) = fitted.map_err(|error| error.explained_by(lag, why))?;
        if lag.is_mostly_late() {
            tracing::warn!(
                interactions = lag.interactions,
                late = lag.late,
                "most interactions were recorded more than a day after they happened, and the model has not learned from \
                 them; if they are history, import them again with --backfill and train again"
            );
        }
        let (rows, incumbent) = (data.batch.rows, data.incumbent);
        if let Some(file) = matrix {
            matrix::write(file, &trained, &rows)?;
        }
        let evaluation = StoredEvaluation {
            evaluated: trained.evaluated.to_bytes().map_err(Error::from)?,
            incumbent: incumbent.map(|incumbent| incumbent.version),
            scores: holdout_scores(&trained, &rows, &data.batch.incumbent_probabilities),
        };
        let holdout =
            trained.holdout.iter().map(|(row, probability)| (*probability, rows.label[*row])).collect();
        let amount_decimals = Deployment::new(Arc::clone(&self.store)).settings().await?.amount_decimals;
        let artifact = Artifact { amount_decimals: amount_decimals.unwrap_or(CENTS), ..trained.artifact };
        let model = StoredModel {
            target: job.target,
            version: 0,
            create_time: self.clock.now(),
            created_by: self.actor.name.clone(),
            artifact: artifact.to_bytes().map_err(Error::from)?,
            assessment: assessment.clone(),
            champion: false,
        };
        (self.progress)(ProgressStep::Store);
        let version = self.store.insert_model(model, evaluation).await?;
        let name = ModelName { target: job.target, version };
        let candidate =
            PromotionCandidate { name, artifact: &artifact, failed_checks: &assessment.failed_checks };
        let verdict = self.promote(job.promote, &candidate).await?;
        Ok(TrainingResult { name, artifact, assessment, verdict, holdout, drift })
    }

    async fn take_snapshots(&self, job: &TrainingJob) -> Result<TrainingData, JobError> {
        let customers = self.store.count_customers().await?;
        let incumbent = Incumbent::load(&*self.store, job.target).await?;

        self.begin("reading histories", customers);
        let (profile, pages) =
            snapshots::profile(&self.store, (job.partition, job.as_of), &self.cores, &self.progress).await?;

        self.begin("taking snapshots", customers);
        let sampling = Sampling::new(job.target, &job.spec, &profile, job.as_of);
        let mut plan = profile.plan(&job.spec.features);
        sampling.outcome.add_features(&profile, &mut plan);
        check_categories(&job.by, &plan)?;
        let predicted = predicts(&sampling.outcome);
        let incumbent = incumbent.filter(|incumbent| predicts(incumbent.outcome()) == predicted);
        let incumbent = incumbent.map(|incumbent| incumbent.beside(&plan));
        let taker = SnapshotTaker { plan, sampling, incumbent };
        let progress = Arc::clone(&self.progress);
        let (SnapshotTaker { plan, sampling, incumbent }, batch) =
            self.cores.run(move || taker.take_all(pages, &progress)).await??;
        Ok(TrainingData { plan, sampling, incumbent, batch, profile, customers })
    }

    async fn fit(
        &self,
        job: TrainingJob,
        mut data: TrainingData,
    ) -> Result<(Trained, Assessment, TrainingData), JobError> {
        let progress = Arc::clone(&self.progress);
        let fit = move || {
            let step = |what: &str| progress(ProgressStep::Begin(what.to_owned(), 0));
            let input = TrainingInput {
                spec: &job.spec,
                outcome: &data.sampling.outcome,
                as_of: job.as_of,
                lead_ages: data.profile.lead_ages(),
                options: job.options,
            };
            let trained = train(&mut data.batch.rows, data.plan.clone(), &input, &step)?;
            step("checking the model");
            let assessment = assess(&trained, &data.batch, &data.profile, &job.by);
            Ok((trained, assessment, data))
        };
        self.cores.run(fit).await?
    }

    /// Promotes a new model as the job wants it, through the gate. When somebody else moves the champion
    /// meanwhile, the new model is compared with that one.
    async fn promote(
        &self,
        promote: Promote,
        candidate: &PromotionCandidate<'_>,
    ) -> Result<PromotionDecision> {
        let (store, name) = (&*self.store, candidate.name);
        loop {
            let state = ChampionState::read(store, name.target).await?;
            let gate = Gate::examine(store, candidate, state.champion).await?;
            let (promoted, reason) = match promote {
                Promote::Auto => (gate.is_better(), gate.verdict()),
                Promote::Always => (true, format!("promotion was asked for; {gate}")),
                Promote::Never => (false, format!("promotion was not wanted; {gate}")),
            };
            if promoted {
                let why = if promote == Promote::Always { "asked for" } else { "passed the gate" };
                let kind = PromotionKind::Training;
                let next = state.next(name, kind, &self.actor, why.to_owned(), &self.clock);
                let forced = gate.refusal(name).is_some();
                let promotion = Promotion { forced, gate_result: gate.to_string(), ..next };
                if !store.promote(promotion, &self.actor.request_id).await? {
                    continue;
                }
            }
            // That a training makes a model which is no better is nothing that has gone wrong, nor that chance makes it
            // look a little worse.
            if let Some(refusal) = gate.refusal(name).filter(|refusal| {
                let is_wrong = gate.is_stopped_by_checks() || !gate.is_worse_by_chance();
                let is_no_better = refusal.reason() == NO_BETTER_THAN_CHAMPION;
                promote == Promote::Auto && !promoted && !is_no_better && is_wrong
            }) {
                note_refusal(store, name, refusal.reason(), self.clock.now()).await;
            }
            let stopped_by_checks = promote == Promote::Auto && gate.is_stopped_by_checks();
            let (champion, comparison) = gate.comparison().unzip();
            let champion = champion.map(|champion| champion.to_string());
            return Ok(PromotionDecision { promoted, reason, stopped_by_checks, champion, comparison });
        }
    }

    fn begin(&self, what: &str, total: u64) {
        (self.progress)(ProgressStep::Begin(what.to_owned(), total));
    }
}

impl TrainingData {
    /// What is missing when there are no snapshots, or hardly any with one of the outcomes.
    fn why_they_do_not_suffice(&self, job: &TrainingJob) -> Option<String> {
        let Sampling { outcome, now, .. } = &self.sampling;
        let rows = &self.batch.rows;
        let why = match rows.is_empty() {
            true => Some(lack_of_data::without_snapshots(&self.profile, outcome, *now, self.customers)),
            false => lack_of_data::one_sided(&self.profile, outcome, rows.len(), rows.positives()),
        };
        match job.partition.of {
            1 => why,
            of => {
                let sampled = format!("--one-in {of} leaves most customers out");
                Some(why.map_or_else(|| sampled.clone(), |why| format!("{why}; {sampled}")))
            }
        }
    }
}

/// Checks that the holdout can be divided by these attributes.
fn check_categories(names: &[String], plan: &Plan) -> Result<()> {
    let measures = plan.measures();
    let Some(unknown) = names.iter().find(|name| !categories(&measures).any(|own| own == **name)) else {
        return Ok(());
    };
    let allowed: Vec<&str> = categories(&measures).collect();
    let allowed = if allowed.is_empty() { "there is none".to_owned() } else { allowed.join(", ") };
    Err(Error::invalid(
        "--by",
        format!(
            "`{unknown}` is not an attribute with categories that the model may use; those are: {allowed}"
        ),
    ))
}

/// The holdout rows that later models can be compared on.
fn holdout_scores(
    trained: &Trained,
    rows: &Snapshots,
    incumbent_probabilities: &[Option<f64>],
) -> Vec<HoldoutScore> {
    sample(rows, &trained.holdout, STORED_ROWS)
        .into_iter()
        .map(|(row, probability)| HoldoutScore {
            customer_id: rows.customer_id(row).to_owned(),
            as_of: rows.as_of[row],
            label: rows.label[row],
            probability,
            incumbent: incumbent_probabilities.get(row).copied().flatten(),
        })
        .collect()
}
