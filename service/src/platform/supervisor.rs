//! The supervisor of background tasks: it starts and names them, restarts the ones that die, and ends
//! them in order.

use std::{panic::AssertUnwindSafe, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::Instrument;

use super::metrics::MetricsRegistry;

/// The longest wait before a restart; the first one is a second.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A task that ran this long before it died is restarted as if it had never died.
const STABLE_AFTER: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: &'static str,
}

/// Runs the background tasks of one server.
pub struct Supervisor {
    tasks: Vec<SupervisedTask>,
    restarts: Family<TaskLabel, Counter>,
}

struct SupervisedTask {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor without tasks, which counts restarts in `metrics`.
    #[must_use]
    pub fn new(metrics: &MetricsRegistry) -> Self {
        let help = "Restarts of background tasks that panicked or ended";
        Self { tasks: Vec::new(), restarts: metrics.register("tally_task_restarts", help) }
    }

    /// Starts a task that runs until it is stopped. `task` is called again for each restart.
    pub fn start<F>(&mut self, name: &'static str, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let restarts = self.restarts.get_or_create_owned(&TaskLabel { task: name });
        let supervised = supervise(name, task, restarts).instrument(tracing::info_span!("task", name));
        self.tasks.push(SupervisedTask { name, handle: tokio::spawn(supervised) });
    }

    /// Stops the task of this name and waits for its end.
    pub async fn stop(&mut self, name: &str) {
        if let Some(place) = self.tasks.iter().position(|task| task.name == name) {
            self.tasks.remove(place).stop().await;
        }
    }

    /// Stops all tasks, the last one started first, and waits for their ends.
    pub async fn stop_all(mut self) {
        while let Some(task) = self.tasks.pop() {
            task.stop().await;
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.handle.abort());
    }
}

impl SupervisedTask {
    /// A task is dropped at its next await point. Writes run to their ends in tasks of their own.
    async fn stop(self) {
        self.handle.abort();
        // Its result is that it was aborted.
        let _ = self.handle.await;
        tracing::debug!(task = self.name, "stopped");
    }
}

async fn supervise<F: Future<Output = ()>>(name: &str, task: impl Fn() -> F, restarts: Counter) {
    let mut waits = backoff();
    loop {
        let started = Instant::now();
        match AssertUnwindSafe(task()).catch_unwind().await {
            Ok(()) => tracing::error!(task = name, "a background task ended; it is restarted"),
            Err(_) => tracing::error!(task = name, "a background task panicked; it is restarted"),
        }
        restarts.inc();
        if started.elapsed() > STABLE_AFTER {
            waits = backoff();
        }
        sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default().with_max_delay(LONGEST_WAIT).without_max_times().build()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_dies_is_restarted_and_counted() {
        let metrics = MetricsRegistry::default();
        let mut supervisor = Supervisor::new(&metrics);
        let (runs, (sender, mut started)) = (Arc::new(AtomicU32::new(0)), mpsc::channel(10));
        supervisor.start("unlucky", move || {
            let (run, sender) = (runs.fetch_add(1, Ordering::Relaxed), sender.clone());
            async move {
                sender.send(run).await.unwrap();
                match run {
                    0 => panic!("{}", "on purpose"),
                    1 => {}
                    _ => std::future::pending().await,
                }
            }
        });
        for run in 0..3 {
            assert_eq!(started.recv().await, Some(run));
        }
        assert!(metrics.text().unwrap().contains("tally_task_restarts_total{task=\"unlucky\"} 2"));
        supervisor.stop_all().await;
        assert_eq!(started.recv().await, None, "stopped tasks are gone");
    }

    #[tokio::test]
    async fn tasks_end_in_the_opposite_order_of_their_starts() {
        struct Ending(&'static str, mpsc::UnboundedSender<&'static str>);
        impl Drop for Ending {
            fn drop(&mut self) {
                self.1.send(self.0).unwrap();
            }
        }
        let mut supervisor = Supervisor::new(&MetricsRegistry::default());
        let (sender, mut ended) = mpsc::unbounded_channel();
        let (running, mut begun) = mpsc::channel(3);
        for name in ["first", "second", "third"] {
            let (sender, running) = (sender.clone(), running.clone());
            supervisor.start(name, move || {
                let (ending, running) = (Ending(name, sender.clone()), running.clone());
                async move {
                    let _ending = ending;
                    running.send(()).await.unwrap();
                    std::future::pending::<()>().await;
                }
            });
        }
        for _ in 0..3 {
            begun.recv().await.unwrap();
        }
        supervisor.stop("second").await;
        supervisor.stop_all().await;
        let order: Vec<_> = std::iter::from_fn(|| ended.try_recv().ok()).collect();
        assert_eq!(order, ["second", "third", "first"]);
    }
}
