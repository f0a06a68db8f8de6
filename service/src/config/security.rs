//! The flags of TLS and of the check of callers.

use std::{fmt, net::SocketAddr, path::PathBuf};

use clap::Args;

use crate::{
    platform::{
        clock::TimeSource,
        error::{Error, Result},
    },
    security::{JwtSettings, KeySet, Security, SettingsFile, Tls, TlsFiles, TokenFile},
};

/// How connections are encrypted and callers checked.
#[derive(Args, Clone, Debug)]
pub struct SecurityArgs {
    /// The certificate of the server, and those that lead to its authority; as PEM
    #[arg(long, env = "TALLY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate; as PEM, without a passphrase
    #[arg(long, env = "TALLY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The authorities of clients, and their lists of revoked certificates; as PEM. Clients then need a certificate
    #[arg(long, env = "TALLY_TLS_CLIENT_CA", value_name = "FILE", requires_all = ["tls_cert", "tokens"])]
    pub tls_client_ca: Option<PathBuf>,
    /// Who may call what: the hashes of tokens and the names in certificates, a TOML file as in docs/security.md [default: everybody]
    #[arg(long, env = "TALLY_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// The keys of an identity provider, whose JWTs are then taken as tokens; a JSON Web Key Set
    #[arg(long, env = "TALLY_JWKS", value_name = "FILE", requires_all = ["jwt_issuer", "jwt_audience"])]
    pub jwks: Option<PathBuf>,
    /// What JWTs say of who issues them (`iss`)
    #[arg(long, env = "TALLY_JWT_ISSUER", value_name = "ISSUER", requires = "jwks",
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub jwt_issuer: Option<String>,
    /// What JWTs say of whom they are for (`aud`)
    #[arg(long, env = "TALLY_JWT_AUDIENCE", value_name = "AUDIENCE", requires = "jwks",
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub jwt_audience: Option<String>,
    /// Serve other machines without TLS or without checking callers
    #[arg(long, env = "TALLY_INSECURE")]
    pub insecure: bool,
}

impl SecurityArgs {
    /// Reads the files.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the flag, the file and what is wrong with it.
    pub fn open(&self, time: TimeSource) -> Result<Security> {
        let file = |flag, path: &PathBuf| SettingsFile::new(flag, path);
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let files = TlsFiles {
                    certificate: file("--tls-cert", certificate),
                    key: file("--tls-key", key),
                    client_authorities: self.tls_client_ca.as_ref().map(|path| file("--tls-client-ca", path)),
                };
                let tls = Tls::open(files, time)?;
                warn_of_readable_key(key);
                Some(tls)
            }
            _ => None,
        };
        let tokens = self.tokens.as_ref().map(|path| TokenFile::open(file("--tokens", path))).transpose()?;
        let keys = match (&self.jwks, &self.jwt_issuer, &self.jwt_audience) {
            (Some(path), Some(issuer), Some(audience)) => {
                let settings = JwtSettings { issuer: issuer.clone(), audience: audience.clone() };
                Some(KeySet::open(file("--jwks", path), settings)?)
            }
            _ => None,
        };
        Ok(Security::new(tls, tokens, keys, time))
    }

    /// Checks that what other machines can reach is secured.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the flag of an address that is neither secured nor of this machine only.
    pub fn check_exposure(&self, addresses: &[(&str, SocketAddr)]) -> Result<()> {
        let missing =
            Missing { tls: self.tls_cert.is_none(), callers: self.tokens.is_none() && self.jwks.is_none() };
        if !missing.tls && !missing.callers {
            return Ok(());
        }
        let exposed = addresses.iter().find(|(_, address)| !address.ip().to_canonical().is_loopback());
        match exposed {
            None => Ok(()),
            Some((flag, address)) if self.insecure => {
                tracing::warn!("{flag}: {address} is served without {missing}, since --insecure says so");
                Ok(())
            }
            Some((flag, address)) => Err(Error::invalid(
                *flag,
                format!(
                    "{address} is reached by other machines, which takes {missing}; --insecure serves without, and \
                     127.0.0.1 is of this machine only"
                ),
            )),
        }
    }
}

/// What a server lacks to be reached by other machines.
struct Missing {
    tls: bool,
    callers: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls.then_some("TLS (--tls-cert, --tls-key)");
        let callers = self.callers.then_some("a check of callers (--tokens or --jwks)");
        let both: Vec<&str> = tls.into_iter().chain(callers).collect();
        f.write_str(&both.join(" and "))
    }
}

/// Warns when every user of the machine may read the key.
#[cfg(unix)]
fn warn_of_readable_key(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS_READ: u32 = 0o004;
    let mode = std::fs::metadata(path).map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & OTHERS_READ != 0) {
        tracing::warn!("--tls-key: every user of this machine can read {}", path.display());
    }
}

#[cfg(not(unix))]
fn warn_of_readable_key(_: &std::path::Path) {}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::ServeArgs;

    fn args(line: &str) -> Result<SecurityArgs, clap::Error> {
        ServeArgs::try_parse_from(["tally-serve"].into_iter().chain(line.split_whitespace()))
            .map(|args| args.security)
    }

    #[test]
    fn flags_that_belong_together_are_given_together() {
        for line in [
            "--tls-cert c",
            "--tls-key k",
            "--tls-client-ca a --tokens t",
            "--tls-client-ca a --tls-cert c --tls-key k",
            "--jwks j",
            "--jwks j --jwt-issuer i",
            "--jwt-issuer i --jwt-audience a",
            "--jwks j --jwt-issuer= --jwt-audience a",
        ] {
            assert!(args(line).is_err(), "{line}");
        }
        assert!(args("--tls-cert c --tls-key k --tokens t --tls-client-ca a").is_ok());
        assert!(args("--jwks j --jwt-issuer i --jwt-audience a").is_ok());
    }

    #[test]
    fn only_what_is_secured_is_served_to_other_machines() {
        let tls = "--tls-cert c --tls-key k";
        for (line, address, missing) in [
            ("", "127.0.0.1:1", None),
            ("", "127.8.8.8:1", None),
            ("", "[::1]:1", None),
            ("", "[::ffff:127.0.0.1]:1", None),
            (
                "",
                "0.0.0.0:1",
                Some("TLS (--tls-cert, --tls-key) and a check of callers (--tokens or --jwks)"),
            ),
            ("", "[::]:1", Some("TLS")),
            ("", "10.0.0.1:1", Some("TLS")),
            (tls, "10.0.0.1:1", Some("which takes a check of callers (--tokens or --jwks);")),
            ("--tokens t", "10.0.0.1:1", Some("which takes TLS (--tls-cert, --tls-key);")),
            ("--insecure", "10.0.0.1:1", None),
            (&format!("{tls} --tokens t"), "0.0.0.0:1", None),
            (&format!("{tls} --jwks j --jwt-issuer i --jwt-audience a"), "0.0.0.0:1", None),
        ] {
            let local = "127.0.0.1:2".parse().unwrap();
            let addresses = [("--listen", local), ("--http", address.parse().unwrap())];
            let checked = args(line).unwrap().check_exposure(&addresses).map_err(|error| error.to_string());
            match (checked, missing) {
                (Ok(()), None) => {}
                (Err(message), Some(missing)) => {
                    assert!(message.starts_with("--http: ") && message.contains(missing), "{message}");
                }
                (checked, _) => panic!("{line} {address}: {checked:?}"),
            }
        }
    }
}
