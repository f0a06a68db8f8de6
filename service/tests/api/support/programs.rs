//! The programs, as a person or a scheduler runs them.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

/// One of the three programs, with a database for those that need one.
pub fn program(name: &str, database: &str) -> Command {
    // Cargo gives the paths of this package's programs only; all programs of the workspace are in one folder.
    let path = Path::new(env!("CARGO_BIN_EXE_tally-serve")).with_file_name(name);
    assert!(path.exists(), "{} is not built; `cargo build --workspace --bins` builds it", path.display());
    let mut command = Command::new(path);
    command.env_clear().env("TALLY_LOG", "warn");
    if name != "tally" {
        command.env("TALLY_DATABASE", database);
    }
    if name == "tally-serve" {
        command.env("TALLY_HTTP", "127.0.0.1:0");
    }
    command
}

/// A running `tally-serve`, killed with its handle.
pub struct ServeProcess {
    child: Child,
    /// What it printed before it listened.
    pub banner: String,
    pub address: String,
}

impl ServeProcess {
    /// Starts the program on a free port and waits until it prints its address.
    pub fn start(database: &str, arguments: &[&str]) -> Self {
        let mut command = program("tally-serve", database);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Self::spawn(command)
    }

    /// Runs this command and waits until it prints its address.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, banner: String::new(), address: String::new() };
        let mut line = String::new();
        while output.read_line(&mut line).unwrap() > 0 {
            if let Some(address) = line.trim_end().strip_prefix("tally-serve listens on ") {
                process.address = address.to_owned();
                return process;
            }
            process.banner.push_str(&std::mem::take(&mut line));
        }
        panic!("the server did not print its address: {}", process.banner);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it serves its metrics.
    pub fn http(&self) -> SocketAddr {
        let address = self.banner.lines().find_map(|line| line.strip_prefix("metrics on http://"));
        address.unwrap().strip_suffix("/metrics").unwrap().parse().unwrap()
    }

    /// Runs `tally` against this server. Returns what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(&self.url(), arguments)
    }

    /// Its log, if the command that was spawned pipes it.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub fn signal_term(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends SIGTERM and waits for the end of the process.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal_term();
        self.wait()
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `tally` against a server. Returns what it prints.
pub fn cli(url: &str, arguments: &[&str]) -> String {
    let output = program("tally", "").args(["--server", url]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
