//! What a server refuses to start with, in one line that names the flag.

use super::{
    Folder,
    pki::{Authority, pem},
    token_entry,
};
use crate::support::{Database, program};

/// Starts a server that must not start. Returns what it says.
fn refused(arguments: &[&str]) -> String {
    let database = Database::sqlite();
    let mut serve = program("tally-serve", &database.url);
    let output =
        serve.env("TALLY_LISTEN", "127.0.0.1:0").env("TALLY_LOG", "error").args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    let file = database.url.strip_prefix("sqlite://").unwrap();
    assert!(!std::path::Path::new(file).exists(), "{arguments:?}: a database was made first");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn wrong_certificates_keys_and_tokens_are_refused_with_the_flag() {
    let (folder, authority) = (Folder::new(), Authority::new("tests"));
    let (good, other) = (authority.server(), authority.server());
    let (certificate, key) =
        (folder.write("good.pem", &good.certificate), folder.write("key.pem", &good.key));
    let other_key = folder.write("other.pem", &other.key);
    let expired = authority.sign(&["localhost"], 2, 2021);
    let (old, old_key) =
        (folder.write("old.pem", &expired.certificate), folder.write("old-key.pem", &expired.key));
    let (empty, garbage) =
        (folder.write("empty.pem", ""), folder.write("garbage.pem", pem("CERTIFICATE", b"garbage")));
    let tokens = folder.write("tokens.toml", token_entry("crm", "tally_t", "read", ""));
    let bad = folder.write("bad.toml", token_entry("crm", "tally_t", "everything", ""));
    let missing = folder.path("missing").to_str().unwrap().to_owned();
    let ca = ["--tls-cert", &certificate, "--tls-key", &key, "--tokens", &tokens, "--tls-client-ca"];
    let jwt = ["--jwt-issuer", "i", "--jwt-audience", "a", "--jwks"];
    for (arguments, says) in [
        (
            vec!["--tls-cert", &certificate, "--tls-key", &other_key],
            "--tls-key: {}: is not the key of the certificate",
        ),
        (vec!["--tls-cert", &certificate, "--tls-key", &empty], "--tls-key: {}: has no private key"),
        (
            vec!["--tls-cert", &old, "--tls-key", &old_key],
            "--tls-cert: {}: has expired, at 2021-01-01T00:00:00Z",
        ),
        (vec!["--tls-cert", &empty, "--tls-key", &key], "--tls-cert: {}: has no certificate"),
        (
            vec!["--tls-cert", &garbage, "--tls-key", &key],
            "--tls-cert: {}: is no certificate that clients take",
        ),
        (vec!["--tls-cert", &missing, "--tls-key", &key], "--tls-cert: {}: No such file"),
        ([&ca[..], &[&empty]].concat(), "--tls-client-ca: {}: has no certificate"),
        ([&ca[..], &[&garbage]].concat(), "--tls-client-ca: {}: cannot be used"),
        ([&ca[..], &[&missing]].concat(), "--tls-client-ca: {}: No such file"),
        (vec!["--tokens", &bad], "--tokens: {}: [[token]] 1: scopes: `everything` is no scope"),
        (vec!["--tokens", &empty], "--tokens: {}: has no [[token]] and no [[certificate]]"),
        (vec!["--tokens", &missing], "--tokens: {}: No such file"),
        ([&jwt[..], &[&tokens]].concat(), "--jwks: {}: is not a JSON Web Key Set"),
    ] {
        let message = refused(&arguments);
        let (before, after) = says.split_once("{}").unwrap();
        assert!(message.starts_with(&format!("error: {before}/")) && message.contains(after), "{message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    }
}

#[test]
fn other_machines_are_served_with_tls_and_a_check_of_callers_only() {
    let (folder, authority) = (Folder::new(), Authority::new("tests"));
    let tokens = folder.write("tokens.toml", token_entry("crm", "tally_t", "read", ""));
    let identity = authority.server();
    let (certificate, key) =
        (folder.write("c.pem", identity.certificate), folder.write("k.pem", identity.key));
    for (flag, arguments, missing) in [
        ("--listen", vec![], "TLS (--tls-cert, --tls-key) and a check of callers (--tokens or --jwks)"),
        ("--listen", vec!["--tokens", &tokens], "takes TLS (--tls-cert, --tls-key);"),
        ("--listen", vec!["--tls-cert", &certificate, "--tls-key", &key], "takes a check of callers"),
        ("--http", vec![], "TLS (--tls-cert, --tls-key) and a check of callers (--tokens or --jwks)"),
    ] {
        let message = refused(&[&[flag, "0.0.0.0:0"], arguments.as_slice()].concat());
        assert!(message.starts_with(&format!("error: {flag}: 0.0.0.0:")), "{message}");
        assert!(message.contains(missing) && message.contains("--insecure"), "{message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, authority) = (Folder::new(), Authority::new("tests"));
    let identity = authority.server();
    let (certificate, key) =
        (folder.write("c.pem", identity.certificate), folder.write("k.pem", identity.key));
    for (mode, warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let database = Database::sqlite();
        let mut serve = program("tally-serve", &database.url);
        let log = folder.path("log");
        serve.args(["--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key]);
        serve.stderr(std::fs::File::create(&log).unwrap());
        drop(crate::support::ServeProcess::spawn(serve));
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.contains("--tls-key: every user of this machine can read"), warned, "{mode:o}: {log}");
    }
}
