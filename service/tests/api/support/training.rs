//! Trainings by the real program.

use std::process::Output;

use super::{Tally, program, text};

impl Tally {
    /// Runs `tally-train`, which promotes the model if it passes the gate. Returns what it prints.
    pub fn train(&self, arguments: &[&str]) -> String {
        let output = self.try_train(arguments);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        shown
    }

    /// Runs `tally-train` with a spec. Returns what it prints.
    pub fn train_with_spec(&self, target: &str, spec: &str, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spec.toml");
        std::fs::write(&path, spec).unwrap();
        self.train(&[[target, "--spec", text(&path)].as_slice(), arguments].concat())
    }

    /// Runs `tally-train`, which may fail.
    pub fn try_train(&self, arguments: &[&str]) -> Output {
        program("tally-train", &self.database.url).args(arguments).output().unwrap()
    }
}
