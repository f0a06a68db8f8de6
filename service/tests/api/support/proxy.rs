//! A network between a server and the cluster of the tests, from which packets can vanish.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    task::JoinHandle,
};

use super::{Database, pgbouncer::place};

/// A proxy to a database, which ends with its handle.
pub struct Proxy {
    address: SocketAddr,
    database: String,
    /// Whether the packets of the connections that are opened now vanish.
    silent: Arc<Mutex<Arc<AtomicBool>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(database: &Database) -> Self {
        let (folder, name) = place(&database.url);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new(Mutex::new(Arc::new(AtomicBool::new(false))));
        let of_new = Arc::clone(&silent);
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = UnixStream::connect(Path::new(&folder).join(".s.PGSQL.5432")).await.unwrap();
                let silent = Arc::clone(&of_new.lock().unwrap());
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, Arc::clone(&silent)));
                tokio::spawn(carry(far_in, near_out, silent));
            }
        });
        Self { address, database: name, silent, accepting }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/{}?sslmode=disable", self.address, self.database)
    }

    /// From now on everything is taken and leads nowhere.
    pub fn swallow(&self) {
        self.silent.lock().unwrap().store(true, Relaxed);
    }

    /// Carries what is sent on connections that are opened from now on.
    pub fn carry_new_connections(&self) {
        *self.silent.lock().unwrap() = Arc::default();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, silent: Arc<AtomicBool>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !silent.load(Relaxed) && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // An end is a packet, too.
    if silent.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}
