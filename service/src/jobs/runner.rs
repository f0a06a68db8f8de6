//! Runs the jobs of one server.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tally_store::{EndedRun, JobRunState, Store, StoredJob};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tracing::Instrument;

use super::{
    Job, JobMetrics,
    lease::{self, GIVES_UP_AFTER, Heartbeats, POLL},
    list::LOST,
    metrics::of,
    schedule::{moved_slot, retry_time, retry_time_of_lost, slot_after},
    work::{JobWork, RunResult},
};
use crate::{
    insight::Insights,
    platform::{
        actor,
        clock::Clock,
        error::{Error, Result},
    },
};

/// How long the end of a run may take at shutdown.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// What a server runs by itself, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobPlan {
    /// How often it makes a pass of insight.
    pub score_every: Option<Duration>,
    /// How often it trains both models.
    pub train_every: Option<Duration>,
}

impl JobPlan {
    /// The jobs, in the order in which they run when several are due, each with its interval in seconds.
    fn jobs(self) -> Vec<(Job, i64)> {
        let every = |job: Job| if job.is_training() { self.train_every } else { self.score_every };
        let seconds = |job| Some((job, i64::try_from(every(job)?.as_secs()).unwrap_or(i64::MAX)));
        Job::ALL.into_iter().filter_map(seconds).collect()
    }

    /// Whether there is nothing to run.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.jobs().is_empty()
    }
}

/// Runs the jobs of one server, one at a time.
pub struct JobRunner {
    work: JobWork,
    jobs: Vec<(Job, i64)>,
    metrics: JobMetrics,
    /// The name of this server, for people.
    server: String,
    stop: watch::Sender<bool>,
    /// Held while it looks for a job and runs it.
    busy: Mutex<()>,
}

/// A run that this server has claimed.
struct ClaimedRun {
    job: Job,
    run_id: i64,
    began: Instant,
}

/// Why a run is over.
enum Ended {
    ByItself(RunResult),
    Stopped,
    LeaseLost,
}

impl JobRunner {
    /// A runner of the jobs of `plan`, which makes passes with `insights`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        insights: Insights,
        clock: Arc<Clock>,
        metrics: JobMetrics,
        plan: JobPlan,
    ) -> Self {
        let jobs = plan.jobs();
        jobs.iter().for_each(|(job, _)| metrics.prepare(*job));
        Self {
            work: JobWork { store, insights, clock },
            jobs,
            metrics,
            server: format!("{}, process {}", actor::of_this_process().name, process::id()),
            stop: watch::Sender::new(false),
            busy: Mutex::default(),
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.work.store
    }

    /// Runs jobs when they are due, until it is stopped or cancelled. Errors are logged and retried in the next round.
    pub async fn run(&self) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heartbeats, mut failing) = (Heartbeats::default(), false);
        let (mut scheduled, mut compared) = (false, false);
        loop {
            ticks.tick().await;
            let _busy = self.busy.lock().await;
            // Under the lock, so that nothing begins once `stop` has had it.
            if *self.stop.borrow() {
                break;
            }
            let mut round = async || {
                if !scheduled {
                    self.schedule().await?;
                    scheduled = true;
                }
                let comparison = if compared { Ok(true) } else { self.compare_settings().await };
                compared = matches!(comparison, Ok(true));
                self.round(&mut heartbeats).await.and(comparison.map(drop))
            };
            let failed = round().await.err();
            if let Some(error) = failed.as_ref().filter(|_| !failing) {
                tracing::warn!(%error, "the state of jobs could not be read; trying on");
            }
            failing = failed.is_some();
        }
        // The supervisor ends the task; it would start one that has ended again.
        std::future::pending::<()>().await;
    }

    /// Stops a run that goes on, so that another server may take it over at once, and begins no more. Waits for the end of
    /// the run for a short while.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if timeout(STOPS_WITHIN, self.idle()).await.is_err() {
            tracing::warn!("a job has not ended after {STOPS_WITHIN:?}; it is run again when its lease ends");
        }
    }

    async fn idle(&self) {
        drop(self.busy.lock().await);
    }

    /// Makes the jobs known to the database with the intervals of this server.
    async fn schedule(&self) -> Result<()> {
        for (job, interval) in &self.jobs {
            self.store().add_job(job.name(), *interval, self.work.clock.now()).await?;
            loop {
                let jobs = self.store().jobs().await?;
                let Some(known) = of(*job, &jobs) else { break };
                let slot = moved_slot(known, *interval, self.work.clock.now());
                if (known.interval_seconds, known.slot) == (*interval, slot)
                    || self.store().change_interval(known, *interval, slot).await?
                {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes a pass due at once if this server makes passes and the latest one has other settings. Once a start: servers
    /// with different settings would take turns for ever. Returns false while a pass is being made, perhaps with other
    /// settings: what it leaves behind is to be compared.
    async fn compare_settings(&self) -> Result<bool> {
        if self.jobs.iter().all(|(job, _)| *job != Job::Insights) {
            return Ok(true);
        }
        let jobs = self.store().jobs().await?;
        if of(Job::Insights, &jobs).is_some_and(|known| known.holder.is_some()) {
            return Ok(false);
        }
        if self.work.insights.latest_pass_has_other_settings().await? {
            tracing::info!("the latest pass has other settings than this server; a new one is due");
            self.store().bring_forward(Job::Insights.name(), self.work.clock.now()).await?;
        }
        Ok(true)
    }

    /// Looks at all jobs once, and runs the first that is due and free.
    async fn round(&self, heartbeats: &mut Heartbeats) -> Result<()> {
        let jobs = self.store().jobs().await?;
        for (job, _) in &self.jobs {
            let Some(known) = of(*job, &jobs) else { continue };
            if known.holder.is_some() {
                if heartbeats.is_still(known) {
                    self.take_over(*job, known).await?;
                }
            } else if self.may_begin(*job, known, &jobs).await? && self.claim(*job, known).await? {
                let run = ClaimedRun { job: *job, run_id: known.run_id + 1, began: Instant::now() };
                let span = tracing::info_span!("job", name = job.name(), run = run.run_id);
                self.run_claimed(run).instrument(span).await;
                // The state of the others is old by now.
                break;
            }
        }
        Ok(())
    }

    /// Whether a job that nobody runs is due. Without customers there is nothing to do yet; and the first pass is made
    /// with the first models.
    async fn may_begin(&self, job: Job, known: &StoredJob, jobs: &[StoredJob]) -> Result<bool> {
        let now = self.work.clock.now();
        if known.due > now || self.store().customer_ids("", 1).await?.is_empty() {
            return Ok(false);
        }
        let first_pass = job == Job::Insights && known.run_id == 0;
        let trainings = self.jobs.iter().filter(|(other, _)| other.is_training());
        let mut trainings = trainings.filter_map(|(other, _)| of(*other, jobs));
        Ok(!(first_pass && trainings.any(|training| training.holder.is_some() || training.due <= now)))
    }

    async fn claim(&self, job: Job, known: &StoredJob) -> Result<bool> {
        let now = self.work.clock.now();
        Ok(self.store().claim_run(job.name(), known.run_id, &self.server, now).await?)
    }

    /// Ends the run of a server that is dead. The next one may begin at once, here or elsewhere.
    async fn take_over(&self, job: Job, known: &StoredJob) -> Result<()> {
        let (now, retries) = (self.work.clock.now(), known.retries + 1);
        let ended = EndedRun {
            job: known.job.clone(),
            run_id: known.run_id,
            heartbeat: Some(known.heartbeat),
            end: now,
            state: JobRunState::Interrupted,
            result: LOST.to_owned(),
            slot: known.slot,
            due: retry_time_of_lost(now, retries, known.interval_seconds),
            retries,
        };
        if self.store().end_run(ended).await? {
            tracing::warn!(job = job.name(), holder = known.holder, "the server that ran a job is dead");
            self.metrics.ended(job, JobRunState::Interrupted, None);
        }
        Ok(())
    }

    /// Runs a job to its end, or until this server stops or loses the lease.
    async fn run_claimed(&self, run: ClaimedRun) {
        tracing::info!("a job begins");
        let (mut stop, storing) = (self.stop.subscribe(), Arc::new(AtomicBool::new(false)));
        let mut task = JoinSet::new();
        task.spawn(self.work.clone().run(run.job, Arc::clone(&storing)).in_current_span());
        let ended = {
            let lost = lease::keep(self.store(), run.job.name(), run.run_id);
            tokio::select! {
                result = run_result(run.job, &mut task) => Ended::ByItself(result),
                () = lost => Ended::LeaseLost,
                // Fails only without a sender, which is `self`.
                _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
            }
        };
        let ended = match ended {
            // What is being stored is complete in a moment.
            Ended::Stopped if storing.load(Ordering::Relaxed) => {
                Ended::ByItself(run_result(run.job, &mut task).await)
            }
            ended => ended,
        };
        task.shutdown().await;
        match ended {
            Ended::ByItself(result) => self.end(&run, result, false).await,
            Ended::Stopped => {
                let text = "its server was stopped".to_owned();
                self.end(&run, RunResult { state: JobRunState::Interrupted, text }, true).await;
            }
            Ended::LeaseLost => tracing::warn!("the lease is lost, so the job stops here"),
        }
    }

    /// Stores how a run ended. While the database does not answer, it tries on for as long as nobody else takes over.
    async fn end(&self, run: &ClaimedRun, result: RunResult, stopped: bool) {
        let took = run.began.elapsed();
        tracing::info!(
            state = result.state.name(),
            result = result.text,
            seconds = took.as_secs_f64(),
            "a job ended"
        );
        let since = Instant::now();
        loop {
            match self.store_end(run, &result, stopped).await {
                Ok(true) => break self.metrics.ended(run.job, result.state, Some(took)),
                Ok(false) => break tracing::warn!("another server has taken the job over"),
                Err(error) if since.elapsed() < GIVES_UP_AFTER => {
                    tracing::warn!(%error, "the end of a job could not be stored; trying on");
                }
                Err(error) => break tracing::warn!(%error, "the end of a job is not stored; it is run again"),
            }
            sleep(POLL).await;
        }
    }

    /// Stores how a run ended, and when the next one is due. A run that was stopped is repeated at once, without counting
    /// as one that did not succeed.
    async fn store_end(&self, run: &ClaimedRun, result: &RunResult, stopped: bool) -> Result<bool> {
        // Its interval may have changed since it began.
        let jobs = self.store().jobs().await?;
        let Some(known) = of(run.job, &jobs) else { return Ok(false) };
        let (now, interval) = (self.work.clock.now(), known.interval_seconds);
        let (slot, due, retries) = match result.state {
            JobRunState::Succeeded => {
                let next = slot_after(now, known.slot, interval);
                (next, next, 0)
            }
            _ if stopped => (known.slot, known.due, known.retries),
            _ => (known.slot, retry_time(now, known.retries + 1, interval), known.retries + 1),
        };
        let ended = EndedRun {
            job: known.job.clone(),
            run_id: run.run_id,
            heartbeat: None,
            end: now,
            state: result.state,
            result: result.text.clone(),
            slot,
            due,
            retries,
        };
        Ok(self.store().end_run(ended).await?)
    }
}

/// Waits for the end of the only task.
async fn run_result(job: Job, task: &mut JoinSet<RunResult>) -> RunResult {
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => RunResult::failed(job, &Error::Internal(format!("a job panicked: {error}"))),
        None => RunResult::failed(job, &Error::Internal("a job has no task".to_owned())),
    }
}
