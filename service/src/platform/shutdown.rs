//! How a program is told to end, and what it does before.

use std::{fs, io, time::Duration};

use tally_store::Store;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

/// How long the writes in progress may take.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// Waits for the writes in progress and closes the database, so that a SQLite file is complete in itself.
pub async fn close(store: &dyn Store) {
    match timeout(CLOSES_WITHIN, store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the database was not closed in order; nothing is lost"),
        Err(_) => tracing::warn!("the database was still in use after {CLOSES_WITHIN:?}; nothing is lost"),
    }
}

/// The signals that tell a program to end: SIGTERM, SIGINT (Ctrl-C), and SIGHUP when its terminal is closed.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// None under `nohup`, which has the program ignore it.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Begins to listen for the signals, which from then on do not end the program by themselves.
    ///
    /// # Errors
    /// When the system refuses to listen for a signal.
    pub fn new() -> io::Result<Self> {
        let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    /// Waits for one of the signals.
    pub async fn wait(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether the program was started to ignore SIGHUP, the first bit of a mask that Linux tells.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
