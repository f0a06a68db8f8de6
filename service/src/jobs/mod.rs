//! Jobs: what servers do by themselves at intervals, the training of both models and the pass of insight.
//!
//! Of several servers on a database one runs a job at a time; the store has the lease ([`tally_store::JobStore`]). This
//! room decides when a job is due, runs it, and remembers what came of it. How models are trained and passes are made is
//! the matter of other rooms.

mod job;
mod lease;
mod list;
mod metrics;
mod runner;
mod schedule;
mod work;

pub use job::Job;
pub use list::{JobList, JobStatus};
pub use metrics::JobMetrics;
pub use runner::{JobPlan, JobRunner};
