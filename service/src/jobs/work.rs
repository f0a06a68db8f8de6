//! What a run does, and what comes of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tally_model::{
    artifact::SplitKind,
    counted,
    spec::{Spec, Target},
    training::train::TrainingOptions,
};
use tally_store::{JobRunState, Store};

use super::Job;
use crate::{
    histories::scan::Partition,
    insight::{InsightPass, Insights, PassPurpose},
    lifecycle::training::{JobError, Promote, Trainer, TrainingJob, TrainingResult},
    platform::{
        actor,
        blocking::Cores,
        clock::Clock,
        error::{Error, Result},
        progress::ProgressStep,
    },
};

/// The seed of a training, the default of `tally-train`.
const SEED: u64 = 1;

/// How a run ended by itself.
#[derive(Debug)]
pub(super) struct RunResult {
    pub(super) state: JobRunState,
    /// What came of it, or why it failed, for people.
    pub(super) text: String,
}

impl RunResult {
    /// A run that failed with this error, whose details the log has.
    pub(super) fn failed(job: Job, error: &Error) -> Self {
        tracing::warn!(%error, job = job.name(), "a job failed; it is tried again");
        Self { state: JobRunState::Failed, text: error.public_message() }
    }

    fn succeeded(text: String) -> Self {
        Self { state: JobRunState::Succeeded, text }
    }
}

/// What the jobs need.
#[derive(Clone)]
pub(super) struct JobWork {
    pub(super) store: Arc<dyn Store>,
    pub(super) insights: Insights,
    pub(super) clock: Arc<Clock>,
}

impl JobWork {
    /// Runs a job to its end. While `storing` is set, the run is about to end and must not be interrupted.
    pub(super) async fn run(self, job: Job, storing: Arc<AtomicBool>) -> RunResult {
        match job {
            Job::Insights => self.refresh_insights().await,
            Job::Train(target) => self.train(target, storing).await,
        }
        .unwrap_or_else(|error| RunResult::failed(job, &error))
    }

    async fn refresh_insights(&self) -> Result<RunResult> {
        let as_of = self.clock.now();
        let mut pass = InsightPass::start(&self.insights, as_of, PassPurpose::Refresh).await?;
        let mut customers = 0;
        while let Some(progress) = pass.next().await? {
            customers = progress.done;
        }
        let warning = Some(pass.warning()).filter(|warning| !warning.is_empty());
        let warning = warning.map_or_else(String::new, |warning| format!("; {warning}"));
        let customers = counted(customers, "customer", "customers");
        Ok(RunResult::succeeded(format!("insights as of {as_of}: {customers} visited{warning}")))
    }

    async fn train(&self, target: Target, storing: Arc<AtomicBool>) -> Result<RunResult> {
        let trainer = Trainer {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            actor: actor::of_this_process(),
            progress: Arc::new(move |step| {
                storing.store(matches!(step, ProgressStep::Store), Ordering::Relaxed);
            }),
            cores: Cores::half()?,
        };
        let job = TrainingJob {
            target,
            as_of: self.clock.now(),
            spec: Spec::default(),
            options: TrainingOptions { split: SplitKind::Temporal, seed: SEED },
            promote: Promote::Auto,
            partition: Partition::WHOLE,
            by: Vec::new(),
        };
        match trainer.train(job, None).await {
            Ok(trained) => self.trained(&trained).await,
            Err(error) if error.is_lack_of_data() => {
                Ok(RunResult { state: JobRunState::NotEnoughData, text: error.to_string() })
            }
            Err(JobError::Service(error)) => Err(error),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }

    /// What came of a training. A new champion is one more reason for a pass, which is due at once.
    async fn trained(&self, trained: &TrainingResult) -> Result<RunResult> {
        let (name, verdict) = (trained.name, &trained.verdict);
        if verdict.promoted {
            self.store.bring_forward(Job::Insights.name(), self.clock.now()).await?;
        }
        let state = if verdict.promoted { "now serves" } else { "is stored and does not serve" };
        Ok(RunResult::succeeded(format!("{name} {state}: {}", verdict.reason)))
    }
}
