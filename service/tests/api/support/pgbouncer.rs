//! PgBouncer in front of the cluster of the tests, reached by a Unix socket.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{Database, eventually, text};

/// The port names the socket; in a folder of its own none is taken.
const PORT: u16 = 6432;

/// A running PgBouncer, killed with its handle.
pub struct PgBouncer {
    process: Child,
    folder: TempDir,
    database: String,
}

impl PgBouncer {
    /// Starts PgBouncer in transaction mode with this many connections to the database.
    pub async fn start(database: &Database, connections: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("tally-pgbouncer-").tempdir().unwrap();
        let (server, name) = place(&database.url);
        let path = text(folder.path());
        let settings = format!(
            "[databases]\n{name} = host={server} dbname={name} user=postgres\n[pgbouncer]\nlisten_addr =\n\
             listen_port = {PORT}\nunix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 200\nlogfile = {path}/log\n"
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let mut process = start(folder.path());
        let socket = folder.path().join(format!(".s.PGSQL.{PORT}"));
        eventually(async || {
            let ended = process.try_wait().unwrap();
            assert_eq!(ended, None, "PgBouncer is installed (on Debian: apt-get install pgbouncer)");
            UnixStream::connect(&socket).is_ok()
        })
        .await;
        Self { process, database: name, folder }
    }

    pub fn url(&self) -> String {
        let folder = text(self.folder.path());
        format!("postgres://postgres@localhost:{PORT}/{}?host={folder}", self.database)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder of the server's socket and the name of the database.
pub(super) fn place(url: &str) -> (String, String) {
    let (rest, folder) = url.split_once("?host=").expect("a database of the cluster");
    (folder.to_owned(), rest.rsplit('/').next().unwrap().to_owned())
}

/// PgBouncer refuses to run as root.
fn start(folder: &Path) -> Child {
    let as_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if as_root {
        assert!(Command::new("chown").args(["-R", "postgres"]).arg(folder).status().unwrap().success());
    }
    let mut command = Command::new(if as_root { "setpriv" } else { "sh" });
    if as_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
    }
    // Debian has it where only root looks.
    command.args(["-c", "PATH=$PATH:/usr/sbin exec pgbouncer pgbouncer.ini"]).current_dir(folder);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}
