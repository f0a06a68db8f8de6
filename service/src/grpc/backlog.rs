//! Reads connections no faster than calls begin to run.
//!
//! The HTTP/2 layer starts a task for each request that it reads, and the runtime runs tasks about in the order in which
//! they become ready. If one client sends thousands of requests at once, all others wait behind them, health checks
//! included. So connections are not read while many calls wait for the first turn of their task. When there is room
//! again, the connection that has sent least is read first, by start-time fair queueing (Goyal, Vin, Cheng: Start-time
//! fair queueing, 1997): a connection that sends little does not wait for those that send much.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

/// Calls that wait while connections are still read: some milliseconds of work. The last read may begin more of them.
const MOST: usize = 64;

/// The calls of one server that wait for the first turn of their task, and the connections that wait to be read.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: AtomicUsize,
    /// Whether any connection waits, so that calls lock the list only then.
    any_readers: AtomicBool,
    readers: Mutex<Readers>,
}

/// Connections wait only while calls do; the last call that has its turn wakes all, so that none is forgotten. One that was
/// woken holds no place: it may be unable to read, as when its client takes no responses.
#[derive(Default)]
struct Readers {
    /// By their start tags, then in the order in which they came.
    wakers: BTreeMap<(u64, u64), Waker>,
    /// How many have come.
    come: u64,
    /// Connections that were woken, and have not been polled since.
    woken: usize,
    /// The greatest start tag of those that were read, in bytes.
    virtual_time: u64,
}

impl Backlog {
    /// Counts a call until its task has its first turn, which drops the result.
    pub(super) fn begin(self: &Arc<Self>) -> WaitingCall {
        self.waiting.fetch_add(1, SeqCst);
        WaitingCall(Arc::clone(self))
    }

    /// The turns of a new connection.
    pub(super) fn connection(self: &Arc<Self>) -> ReadTurns {
        ReadTurns { backlog: Arc::clone(self), place: None, in_turn: false, finish: 0 }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the first connection that waits, or all of them.
    fn wake(&self, all: bool) {
        let mut readers = self.readers();
        let woken = match all {
            true => std::mem::take(&mut readers.wakers),
            false => readers.wakers.pop_first().into_iter().collect(),
        };
        readers.woken += woken.len();
        self.any_readers.store(!readers.wakers.is_empty(), SeqCst);
        drop(readers);
        woken.into_values().for_each(Waker::wake);
    }
}

/// A call whose task has not run yet.
pub(super) struct WaitingCall(Arc<Backlog>);

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let others = self.0.waiting.fetch_sub(1, SeqCst) - 1;
        if others < MOST && self.0.any_readers.load(SeqCst) {
            self.0.wake(others == 0);
        }
    }
}

/// When a connection may be read.
pub(super) struct ReadTurns {
    backlog: Arc<Backlog>,
    /// Its place among those that wait, by the start tag of its next turn; it has lost it when it was woken.
    place: Option<(u64, u64)>,
    /// Whether the next read is that of a turn that it has waited for.
    in_turn: bool,
    /// The start tag of its last turn, and what it has read then.
    finish: u64,
}

impl ReadTurns {
    /// Whether the connection may be read once; otherwise its task is woken when it may. While others wait, it is read
    /// in its turn only, for whatever reason its task runs.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        self.in_turn = false;
        let waiting = || self.backlog.waiting.load(SeqCst);
        if self.place.is_none() && !self.backlog.any_readers.load(SeqCst) && waiting() < MOST {
            return Poll::Ready(());
        }
        let mut readers = self.backlog.readers();
        let was_woken = self.place.is_some_and(|place| !readers.wakers.contains_key(&place));
        readers.woken -= usize::from(was_woken);
        let place = match self.place {
            Some(place) if !was_woken => place,
            before => {
                readers.come += 1;
                let start = before.map_or(readers.virtual_time.max(self.finish), |(start, _)| start);
                (start, readers.come)
            }
        };
        readers.wakers.insert(place, context.waker().clone());
        self.backlog.any_readers.store(true, SeqCst);
        let is_first = readers.woken == 0 && readers.wakers.keys().next() == Some(&place);
        // Looked at after the store: a call that has had its turn meanwhile has not seen that somebody waits.
        let may_read = match waiting() {
            0 => true,
            calls => calls < MOST && (was_woken || is_first),
        };
        if !may_read {
            self.place = Some(place);
            return Poll::Pending;
        }
        readers.wakers.remove(&place);
        self.backlog.any_readers.store(!readers.wakers.is_empty(), SeqCst);
        readers.virtual_time = readers.virtual_time.max(place.0);
        (self.place, self.in_turn, self.finish) = (None, true, place.0);
        Poll::Ready(())
    }

    /// Notes how many bytes were read.
    pub(super) const fn read(&mut self, bytes: usize) {
        if self.in_turn {
            self.finish += bytes as u64;
        }
    }
}

impl Drop for ReadTurns {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut readers = self.backlog.readers();
            let was_woken = readers.wakers.remove(&place).is_none();
            readers.woken -= usize::from(was_woken);
            self.backlog.any_readers.store(!readers.wakers.is_empty(), SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct Connection {
        turns: ReadTurns,
        woken: Arc<Woken>,
    }

    impl Connection {
        fn new(backlog: &Arc<Backlog>) -> Self {
            Self { turns: backlog.connection(), woken: Arc::default() }
        }

        /// Reads so many bytes if it may.
        fn read(&mut self, bytes: usize) -> bool {
            let waker = Waker::from(Arc::clone(&self.woken));
            let may = self.turns.poll(&Context::from_waker(&waker)).is_ready();
            if may {
                self.turns.read(bytes);
            }
            may
        }

        fn woken(&self) -> usize {
            self.woken.0.load(SeqCst)
        }
    }

    fn calls(backlog: &Arc<Backlog>, number: usize) -> Vec<WaitingCall> {
        (0..number).map(|_| backlog.begin()).collect()
    }

    #[test]
    fn connections_are_read_while_few_calls_wait() {
        let backlog = Arc::default();
        let mut connection = Connection::new(&backlog);
        let mut waiting = calls(&backlog, MOST - 1);
        assert!(connection.read(1));
        waiting.push(backlog.begin());
        assert!(!connection.read(1));
        waiting.pop();
        assert_eq!(connection.woken(), 1);
        assert!(connection.read(1));
    }

    #[test]
    fn the_connection_that_has_sent_least_is_read_first() {
        let backlog = Arc::default();
        let mut waiting = calls(&backlog, MOST);
        let [mut much, mut little] = [(); 2].map(|()| Connection::new(&backlog));
        assert!(!much.read(0));
        waiting.pop();
        assert!(much.read(1_000));
        waiting.push(backlog.begin());
        // Then it is first to come, and little sends in its place a hundred times.
        for round in 0..100 {
            assert!(!much.read(1_000) && !little.read(10));
            waiting.pop();
            assert_eq!((much.woken(), little.woken()), (1, round + 1));
            assert!(!much.read(1_000), "there is room, but it is not its turn");
            assert!(little.read(10));
            waiting.push(backlog.begin());
        }
        assert!(!much.read(1_000) && !little.read(10));
        waiting.pop();
        assert_eq!((much.woken(), little.woken()), (2, 100), "but it comes in its turn");
    }

    #[test]
    fn all_connections_are_woken_when_no_call_waits() {
        let backlog = Arc::default();
        let waiting = calls(&backlog, MOST);
        let mut connections: Vec<_> = (0..3 * MOST).map(|_| Connection::new(&backlog)).collect();
        for connection in &mut connections {
            assert!(!connection.read(1) && !connection.read(1));
        }
        drop(waiting);
        for connection in &mut connections {
            assert_eq!(connection.woken(), 1, "once, although it was polled twice");
            assert!(connection.read(1));
        }
    }

    #[test]
    fn connections_that_were_woken_and_do_not_read_keep_nobody_out() {
        let backlog = Arc::default();
        let waiting = calls(&backlog, MOST);
        let mut stuck: Vec<_> = (0..3 * MOST).map(|_| Connection::new(&backlog)).collect();
        assert!(stuck.iter_mut().all(|connection| !connection.read(1)));
        drop(waiting);
        let mut other = Connection::new(&backlog);
        assert!(other.read(1));
        let mut waiting = calls(&backlog, MOST);
        for _ in 0..100 {
            assert!(!other.read(1));
            waiting.pop();
            assert!(other.read(1));
            waiting.push(backlog.begin());
        }
    }

    #[test]
    fn a_connection_that_has_ended_is_forgotten() {
        let backlog = Arc::default();
        let mut waiting = calls(&backlog, MOST);
        let [mut gone, mut other] = [(); 2].map(|()| Connection::new(&backlog));
        assert!(!gone.read(1) && !other.read(1));
        let woken = Arc::clone(&gone.woken);
        drop(gone);
        waiting.pop();
        assert_eq!((woken.0.load(SeqCst), other.woken()), (0, 1));
    }
}
