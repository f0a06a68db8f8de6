//! The connections of a store, which are replaced when the server has become silent.
//!
//! A server that ends closes its connections. One that hangs or is cut off does not, and the driver, which sets no
//! keepalive, would wait for ever. So an operation that takes long has a new connection opened: if the server says
//! nothing to that either, all connections are given up, and so are the operations on them.

use std::{
    mem,
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::connect::{OPENED_WITHIN, Opener};
use crate::error::{Result, StoreError};

/// How long an operation takes before the server is asked whether it is there, and how long its answer counts.
const DOUBTED_AFTER: Duration = Duration::from_secs(3);

/// All connections of a store. Clones of the store share them.
pub(super) struct Connections {
    opener: Opener,
    current: RwLock<Arc<Pools>>,
    /// When the server has last answered to a doubt.
    answered: Mutex<Option<Instant>>,
    /// Whether an operation has succeeded since the last doubt.
    is_heard: AtomicBool,
}

/// Connections that live and end together.
pub(super) struct Pools {
    pub(super) writers: PgPool,
    pub(super) readers: PgPool,
    /// Reads histories, on few connections: planning the statement takes longer than reading a customer, and each
    /// connection plans for itself.
    pub(super) histories: PgPool,
    /// Cancelled when they are given up.
    pub(super) given_up: CancellationToken,
}

impl Pools {
    pub(super) fn all(&self) -> [&PgPool; 3] {
        [&self.readers, &self.histories, &self.writers]
    }
}

impl Connections {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            current: RwLock::new(Arc::new(opener.pools())),
            opener,
            answered: Mutex::new(None),
            is_heard: AtomicBool::new(false),
        }
    }

    pub(super) fn pools(&self) -> Arc<Pools> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs an operation, unless the server falls silent.
    pub(super) async fn unless_silent<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let given_up = self.pools().given_up.clone();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    if done.is_ok() {
                        self.is_heard.store(true, Relaxed);
                    }
                    return done;
                }
                () = given_up.cancelled() => {
                    return Err(StoreError::Unavailable("PostgreSQL does not answer".to_owned()));
                }
                () = sleep(DOUBTED_AFTER) => {
                    let connections = Arc::clone(self);
                    tokio::spawn(async move { connections.doubt().await });
                }
            }
        }
    }

    /// Asks the server whether it is there. Any answer will do, also a refusal.
    async fn doubt(&self) {
        let Ok(mut answered) = self.answered.try_lock() else { return };
        if answered.is_some_and(|moment| moment.elapsed() < DOUBTED_AFTER) {
            return;
        }
        self.is_heard.store(false, Relaxed);
        match timeout(OPENED_WITHIN, self.opener.connect()).await {
            Ok(Ok(connection)) => drop(connection.close().await),
            Ok(Err(_)) => {}
            // Others are answered: the silence was over before the time was.
            Err(_) if self.is_heard.load(Relaxed) => {}
            Err(_) => return self.give_up(),
        }
        *answered = Some(Instant::now());
    }

    fn give_up(&self) {
        let new = Arc::new(self.opener.pools());
        let old = mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
        old.given_up.cancel();
        for pool in old.all() {
            // Callers that wait for a connection get an error at once. Nothing here waits for the connections in use.
            drop(pool.close());
        }
    }
}

/// Takes a connection from a pool: one that becomes free within `free_within`, or a new one.
pub(super) async fn acquire(pool: &PgPool, free_within: Duration) -> sqlx::Result<PoolConnection<Postgres>> {
    let mut acquired = pin!(pool.acquire());
    match timeout(free_within, &mut acquired).await {
        Ok(acquired) => acquired,
        Err(_) if pool.size() >= pool.options().get_max_connections() => Err(sqlx::Error::PoolTimedOut),
        // One is being opened, which may take longer.
        Err(_) => acquired.await,
    }
}
