//! Which crates a crate of the workspace may depend on, directly and transitively.

use std::process::Command;

use serde_json::Value;

use crate::{assert_none, root};

/// A crate of the workspace and what it may name.
struct Allowed {
    krate: &'static str,
    /// Prefixes of the names of the [`GUARDED`] crates that it may depend on.
    may: &'static [&'static str],
    reason: &'static str,
}

/// Prefixes of the names of crates that only some may depend on. All others are free.
const GUARDED: &[&str] =
    &["axum", "hyper", "linfa", "prometheus", "rusqlite", "sqlx", "tally-", "tokio", "tonic"];

/// Normal and build dependencies; tests may depend on anything.
const ALLOWED: &[Allowed] = &[
    Allowed {
        krate: "tally-proto",
        may: &["tonic"],
        reason: "the contract is messages and generated stubs, nothing of the service",
    },
    Allowed {
        krate: "tally-model",
        may: &["linfa"],
        reason: "the model is pure: no database, no network, no async, so that training, serving and replay \
                 compute the same bits",
    },
    Allowed {
        krate: "tally-store",
        may: &["tally-model", "sqlx", "tokio"],
        reason: "the store is the only crate that names sqlx, and knows nothing of gRPC",
    },
    Allowed {
        krate: "tally-terminal",
        may: &["tokio"],
        reason: "how programs meet the person who runs them has nothing to do with what they are for",
    },
    Allowed {
        krate: "tally-service",
        may: &[
            "tally-proto",
            "tally-model",
            "tally-store",
            "tally-terminal",
            "axum",
            "hyper",
            "prometheus-client",
            "tokio",
            "tonic",
        ],
        reason: "the service reaches databases through tally-store and fits models through tally-model",
    },
    Allowed {
        krate: "tally-cli",
        may: &["tally-proto", "tally-terminal", "tokio", "tonic"],
        reason: "the command is a gRPC client like any other; what it needs beyond the contract, other clients would need too",
    },
    Allowed {
        krate: "tally-fuzz",
        may: &["tally-", "tokio", "tonic"],
        reason: "it runs what is there as it is; it has no SQL, no HTTP and no fit of its own",
    },
];

/// A crate, and prefixes of the names of crates that must not be compiled into it.
const FREE_OF: &[(&str, &[&str])] = &[
    ("tally-proto", &["axum", "linfa", "sqlx", "tally-cli", "tally-model", "tally-service", "tally-store"]),
    (
        "tally-model",
        &[
            "axum",
            "hyper",
            "sqlx",
            "tokio",
            "tonic",
            "tally-cli",
            "tally-proto",
            "tally-service",
            "tally-store",
        ],
    ),
    ("tally-store", &["axum", "tonic", "tally-cli", "tally-proto", "tally-service"]),
    (
        "tally-terminal",
        &["axum", "sqlx", "tonic", "tally-cli", "tally-model", "tally-proto", "tally-service", "tally-store"],
    ),
    ("tally-service", &["tally-cli"]),
    ("tally-cli", &["axum", "linfa", "sqlx", "tally-model", "tally-service", "tally-store"]),
];

#[test]
fn crates_depend_only_on_what_they_may() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let mut violations = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let krate = package["name"].as_str().unwrap();
        let Some(allowed) = ALLOWED.iter().find(|allowed| allowed.krate == krate) else {
            violations
                .push(format!("{krate} has no rule yet: add it to ALLOWED and FREE_OF, with the reason"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let refused = has_prefix(name, GUARDED) && !has_prefix(name, allowed.may);
            if dependency["kind"] != "dev" && refused {
                violations.push(format!("{krate} must not depend on {name}: {}", allowed.reason));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn crates_are_compiled_without_what_they_must_not_know() {
    let mut violations = Vec::new();
    for (krate, free_of) in FREE_OF {
        let tree = cargo(&["tree", "--package", krate, "--edges", "normal", "--prefix", "none"]);
        let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        names.sort_unstable();
        names.dedup();
        let found = names.into_iter().filter(|name| has_prefix(name, free_of));
        violations.extend(found.map(|name| {
            format!("{krate} is compiled with {name}; see `cargo tree -p {krate} -e normal -i {name}`")
        }));
    }
    assert_none(&violations);
}

fn has_prefix(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Runs cargo and returns its output. Neither command needs the network or crates of other platforms.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let done = command.args(arguments).args(["--offline", "--locked"]).current_dir(root()).output().unwrap();
    assert!(done.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
