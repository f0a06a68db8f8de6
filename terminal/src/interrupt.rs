//! The signals by which a person, a closed terminal or a scheduler asks a program to end.

use std::{fmt, fs, io, process};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The signal of a write beyond the largest size that files may have (`ulimit -f`), on all systems but MIPS.
const SIGXFSZ: i32 = 25;

/// A signal that asks a program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGHUP: the terminal was closed.
    HangUp,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a scheduler ends the program.
    Terminate,
}

impl StopSignal {
    /// The exit code of a program that the signal has interrupted, as shells show it: 128 and the signal's number.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "SIGINT (Ctrl-C)",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Receives the signals, so that they do not end the program at once. The first one is kept; a SIGINT after it, a second
/// Ctrl-C, ends the program without more ado.
#[derive(Clone, Debug)]
pub struct Interrupts(watch::Receiver<Option<StopSignal>>);

impl Interrupts {
    /// Receives signals from now on. Needs a runtime of tokio, whose threads do not all compute.
    ///
    /// A program under `nohup` ignores SIGHUP, and goes on to do so. SIGXFSZ ends no program any more: the write fails.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn listen() -> io::Result<Self> {
        // The handler stays.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let first = tokio::select! {
                _ = interrupt.recv() => StopSignal::Interrupt,
                _ = terminate.recv() => StopSignal::Terminate,
                () = received(hang_up.as_mut()) => StopSignal::HangUp,
            };
            sender.send_replace(Some(first));
            interrupt.recv().await;
            process::exit(StopSignal::Interrupt.exit_code().into());
        });
        Ok(Self(receiver))
    }

    /// Waits for the first signal; returns it at once when it has come before.
    pub async fn received(&self) -> StopSignal {
        match self.0.clone().wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            // The runtime ends.
            _ => std::future::pending().await,
        }
    }

    /// The first signal, if one has come.
    #[must_use]
    pub fn get(&self) -> Option<StopSignal> {
        *self.0.borrow()
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is ignored, as `nohup` has it. Only Linux tells without unsafe code.
fn ignores_hang_up() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is signal 1.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
