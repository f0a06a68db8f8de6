//! Lines on their way to standard error.
//!
//! A pipe whose reader stops takes no more than 64 KiB, and a program that waits for room there stops as well. So lines
//! wait in memory for a thread that writes them; those for which there is no room are dropped, and counted.

use std::{
    io::{self, Write},
    mem,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

/// What lines that wait take at most. A busy server logs some 100 bytes a call, and writes many at once.
const MOST_BYTES: usize = 1 << 20;
/// How long a program that ends waits for its last lines to be read.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// The lines of this process. Like standard error itself, there is one of them.
static LINES: Mutex<Lines> = Mutex::new(Lines { waiting: Vec::new(), being_written: false });
static CHANGED: Condvar = Condvar::new();
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

struct Lines {
    waiting: Vec<u8>,
    being_written: bool,
}

impl Lines {
    fn lock() -> MutexGuard<'static, Self> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many lines were dropped since the start of the process.
pub(super) fn dropped() -> Counter {
    DROPPED.clone()
}

/// Starts the thread that writes what is logged.
pub(super) fn start() {
    thread::spawn(|| write_lines(io::stderr()));
}

/// Adds lines to those that wait, or drops them if too many do.
pub(super) fn add(text: &[u8]) {
    let mut lines = Lines::lock();
    if lines.waiting.len() + text.len() <= MOST_BYTES {
        lines.waiting.extend_from_slice(text);
        CHANGED.notify_all();
    } else {
        DROPPED.inc_by(count(text));
    }
}

/// Waits a moment until all lines are written.
pub(super) fn flush() {
    let unwritten = |lines: &mut Lines| lines.being_written || !lines.waiting.is_empty();
    drop(CHANGED.wait_timeout_while(Lines::lock(), FLUSHED_WITHIN, unwritten));
}

/// Writes what is added, for ever. When lines were dropped, it says so once it can write again.
fn write_lines(mut output: impl Write) {
    let (mut taken, mut told) = (Vec::new(), 0);
    loop {
        let waited = CHANGED.wait_while(Lines::lock(), |lines| lines.waiting.is_empty());
        let mut lines = waited.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut lines.waiting, &mut taken);
        lines.being_written = true;
        drop(lines);
        let written = output.write_all(&taken);
        if written.is_err() {
            DROPPED.inc_by(count(&taken));
        } else if DROPPED.get() > told {
            let lines = DROPPED.get() - told;
            told += lines;
            tracing::warn!(lines, "log lines were dropped, since nobody read them");
        }
        taken.clear();
        Lines::lock().being_written = false;
        CHANGED.notify_all();
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The output of the subscriber, which writes each line as a whole.
pub(super) struct LogOutput;

impl Write for LogOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
