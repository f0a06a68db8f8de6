//! The architecture as a test: which crate may depend on which, which files may name a library, and which tests documents
//! may name.
//!
//! It reads manifests and sources and needs no tool but cargo. Each failure names the rule's reason. A commit that
//! changes the picture, by a new crate for example, changes the tables here too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cycles;
mod dependencies;
mod documents;
mod libraries;
mod source;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Fails with all violations at once.
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
