//! The metrics of jobs.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tally_model::time::Time;
use tally_store::{JobRunState, StoredJob};

use super::{Job, schedule::next_due};
use crate::platform::metrics::{MetricsRegistry, RealGauge};

/// Upper ends of the buckets of durations, in seconds.
const SECONDS: [f64; 9] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    job: &'static str,
    result: &'static str,
}

/// The metrics of jobs. Counters and durations are of the runs of this server, gauges of what the database knows, on every
/// server.
#[derive(Clone)]
pub struct JobMetrics {
    metrics: Arc<MetricsRegistry>,
    runs: Family<RunLabels, Counter>,
    seconds: Family<JobLabel, Histogram, fn() -> Histogram>,
    running: Family<JobLabel, Gauge>,
    next_due: Family<JobLabel, RealGauge>,
    last_success: Family<JobLabel, RealGauge>,
}

impl JobMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(metrics: &Arc<MetricsRegistry>) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        metrics.register_made("tally_job_duration_seconds", "How long runs of jobs took", seconds.clone());
        Self {
            runs: metrics
                .register("tally_job_runs", "Runs of jobs that this server has ended, by their result"),
            seconds,
            running: metrics.register("tally_job_running", "Whether a server runs the job"),
            next_due: metrics.register(
                "tally_job_next_due_seconds",
                "When the next run of the job may begin, in seconds since 1970",
            ),
            last_success: metrics.register(
                "tally_job_last_success_seconds",
                "When the last run of the job that succeeded ended, in seconds since 1970",
            ),
            metrics: Arc::clone(metrics),
        }
    }

    /// Begins to count the runs of a job: increases from 0 are seen by those who read the metrics.
    pub(super) fn prepare(&self, job: Job) {
        for state in JobRunState::ALL.into_iter().filter(|state| *state != JobRunState::Running) {
            drop(self.runs.get_or_create(&RunLabels { job: job.name(), result: state.name() }));
        }
    }

    /// Counts a run that has ended.
    pub(super) fn ended(&self, job: Job, state: JobRunState, took: Option<Duration>) {
        self.runs.get_or_create(&RunLabels { job: job.name(), result: state.name() }).inc();
        if let Some(took) = took {
            self.seconds.get_or_create(&JobLabel { job: job.name() }).observe(took.as_secs_f64());
        }
    }

    /// Shows the state of all jobs, of which those have a holder whose server runs them.
    pub(super) fn show(&self, jobs: &[StoredJob], now: Time) {
        let seconds = |time: Time| time.0 as f64 / 1e6;
        self.metrics.replace(|| {
            for (job, state) in Job::ALL.iter().filter_map(|job| Some((job.name(), of(*job, jobs)?))) {
                let label = JobLabel { job };
                self.running.get_or_create(&label).set(state.holder.is_some().into());
                self.next_due.get_or_create(&label).set(seconds(next_due(state, now)));
                if let Some(success) = state.last_success {
                    self.last_success.get_or_create(&label).set(seconds(success));
                }
            }
        });
    }
}

/// The state of a job.
pub(super) fn of(job: Job, jobs: &[StoredJob]) -> Option<&StoredJob> {
    jobs.iter().find(|state| state.job == job.name())
}
