//! A PostgreSQL cluster in a temporary folder, reached by its Unix socket only.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The running cluster.
pub struct PostgresCluster {
    folder: PathBuf,
}

impl PostgresCluster {
    /// The cluster of this test program, started by the first caller.
    pub fn get() -> &'static Self {
        static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tally-pg-").tempdir().unwrap().keep();
        let installation = Installation::find();
        if installation.as_root {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let data = folder.join("data");
        let mut initdb = installation.tool("initdb");
        // A locale unlike SQLite's byte order, so that a query that orders by it cannot pass.
        let locale = ["--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"];
        run(initdb
            .args(["--auth=trust", "--username=postgres", "--no-sync"])
            .args(locale)
            .arg("-D")
            .arg(&data));
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=300 \
             -c shared_buffers=64MB",
            folder.display()
        );
        run(installation
            .tool("pg_ctl")
            .args(["start", "-w", "-s", "-o", &options, "-l"])
            .arg(folder.join("log"))
            .arg("-D")
            .arg(&data));
        stop_with_this_program(&installation, &folder, &data);
        Self { folder }
    }
}

/// Starts a process that stops the cluster and removes its folder once this program has ended, however it
/// ends: the end closes the pipe from which the process reads.
fn stop_with_this_program(installation: &Installation, folder: &Path, data: &Path) {
    let script = format!(
        "cat >/dev/null; '{}' stop -D '{}' -m immediate -s; rm -rf '{}'",
        installation.programs.join("pg_ctl").display(),
        data.display(),
        folder.display()
    );
    let mut watchdog = installation.command("sh".as_ref());
    watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::mem::forget(watchdog.spawn().unwrap());
}

/// Where PostgreSQL is installed, and how to run it: it refuses to run as root.
struct Installation {
    programs: PathBuf,
    as_root: bool,
}

impl Installation {
    /// The programs on the PATH, or those of the newest version in Debian's folders.
    fn find() -> Self {
        let on_path = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        });
        let debian = || {
            let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
            versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).max()
        };
        let programs = on_path
            .or_else(debian)
            .expect("PostgreSQL's initdb is installed (on Debian: apt-get install postgresql)");
        let as_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        Self { programs, as_root }
    }

    fn tool(&self, name: &str) -> Command {
        self.command(self.programs.join(name).as_os_str())
    }

    /// A command that root runs as PostgreSQL's own user.
    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(if self.as_root { "setpriv".as_ref() } else { program });
        if self.as_root {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        }
        command.current_dir("/");
        command
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
