//! The sockets of systemd (`LISTEN_FDS`, sd_listen_fds(3)): they stay open while a server restarts, so that no client is
//! refused meanwhile.

use std::io;

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// The listeners that this process was given, in the order of the unit: the one of gRPC first, then that of HTTP.
pub struct InheritedListeners {
    listeners: ListenFd,
    next: usize,
}

impl InheritedListeners {
    /// Takes them, so that no process that is started from here takes them as well.
    #[must_use]
    pub fn take() -> Self {
        Self { listeners: ListenFd::from_env(), next: 0 }
    }

    /// The next listener, None when there are no more.
    ///
    /// # Errors
    /// When it is not a TCP socket that listens.
    pub fn take_next(&mut self) -> io::Result<Option<TcpListener>> {
        if self.next >= self.listeners.len() {
            return Ok(None);
        }
        let listener = self.listeners.take_tcp_listener(self.next)?;
        self.next += 1;
        let Some(listener) = listener else { return Ok(None) };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    }
}
