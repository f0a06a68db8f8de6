//! Who may call, and encrypted connections: through the real programs, with certificates and tokens made for each test.

mod audit;
mod certificates;
mod client;
mod jwts;
mod pki;
mod programs;
mod scopes;
mod secrets;
mod startup;
mod tokens;

use std::{fs, net::SocketAddr, path::PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::{client::Client, pki::Authority};
use crate::support::{Database, ServeProcess, text};

/// An entry of a token file.
pub fn token_entry(name: &str, token: &str, scopes: &str, rest: &str) -> String {
    let hash: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let scopes: Vec<String> = scopes.split(',').map(|scope| format!("\"{scope}\"")).collect();
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nscopes = [{}]\n{rest}\n", scopes.join(","))
}

/// A folder with the files of a secured server.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file, in one step for those who read it. Returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let next = self.path("next");
        fs::write(&next, content).unwrap();
        fs::rename(next, self.path(name)).unwrap();
        text(&self.path(name)).to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A server with its files and an authority for certificates.
pub struct Secured {
    pub folder: Folder,
    pub authority: Authority,
    pub process: ServeProcess,
    pub encrypted: bool,
    pub database: Database,
}

impl Secured {
    /// A server that checks callers by this token file, without TLS.
    pub fn with_tokens(tokens: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let path = folder.write("tokens.toml", tokens);
        Self::start(folder, Authority::new("tests"), &[&["--tokens", &path], arguments].concat(), false)
    }

    /// A server with TLS that checks callers by this token file.
    pub fn with_tls(tokens: &str, arguments: &[&str]) -> Self {
        let (folder, authority) = (Folder::new(), Authority::new("tests"));
        let path = folder.write("tokens.toml", tokens);
        let identity = authority.server();
        let (certificate, key) =
            (folder.write("cert.pem", identity.certificate), folder.write("key.pem", identity.key));
        let tls = ["--tokens", &path, "--tls-cert", &certificate, "--tls-key", &key];
        Self::start(folder, authority, &[&tls, arguments].concat(), true)
    }

    pub fn start(folder: Folder, authority: Authority, arguments: &[&str], encrypted: bool) -> Self {
        let database = Database::sqlite();
        folder.write("ca.pem", &authority.pem);
        let process = ServeProcess::start(&database.url, arguments);
        Self { folder, authority, process, encrypted, database }
    }

    /// A connection without a certificate of its own.
    pub async fn client(&self) -> Client {
        match self.encrypted {
            true => Client::connect(&self.process.address, Some((&self.authority.pem, None))).await.unwrap(),
            false => Client::connect(&self.process.address, None).await.unwrap(),
        }
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.encrypted { "https" } else { "http" }, self.process.address)
    }

    /// Where metrics and probes are.
    pub fn http(&self) -> SocketAddr {
        let (_, address) = self.process.banner.split_once("://").unwrap();
        address.split_once('/').unwrap().0.parse().unwrap()
    }
}
