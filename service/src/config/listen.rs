//! Where a server listens, as people write it: `127.0.0.1:50051`, `localhost:50051`, `[::1]:50051` or `:50051`.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// A host and a port. Names are resolved when the server starts to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// An address or a name; None for all addresses of the machine.
    host: Option<String>,
    port: u16,
}

impl ListenAddress {
    /// This port of the machine itself, which others cannot reach.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self { host: Some(Ipv4Addr::LOCALHOST.to_string()), port }
    }

    /// Listens. Of the addresses of a name, the first that is free is taken.
    ///
    /// # Errors
    /// When the name is not known, or no address of it is free.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        match &self.host {
            Some(host) => TcpListener::bind((host.as_str(), self.port)).await,
            // The address of IPv6 takes connections of IPv4, too. Some machines have no IPv6.
            None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).await
                }
                bound => bound,
            },
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref().unwrap_or_default() {
            host if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "allowed are HOST:PORT, such as 127.0.0.1:50051, localhost:50051 or [::1]:50051, and \
                               :PORT for all addresses of the machine";
        let (host, port) = text.rsplit_once(':').ok_or(ALLOWED)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number).ok_or(ALLOWED)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                rest.strip_suffix(']').filter(|host| host.parse::<Ipv6Addr>().is_ok()).ok_or(ALLOWED)?
            }
            None if host.contains([':', '/', '@', ' ']) => return Err(ALLOWED),
            None => host,
        };
        Ok(Self { host: Some(host.to_owned()).filter(|host| !host.is_empty()), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in ["127.0.0.1:50051", "localhost:0", "[::1]:50051", ":50051", "0.0.0.0:80"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "localhost",
            "50051",
            "::1:50051",
            "[::1]",
            "[localhost]:1",
            "h:65536",
            "h:+80",
            "http://h:1",
        ] {
            assert!(text.parse::<ListenAddress>().unwrap_err().contains("allowed are"), "{text}");
        }
    }
}
