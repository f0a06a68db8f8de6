//! The token file: the hashes of bearer tokens and the names in certificates of clients, each with its scopes.
//!
//! A token is looked up by its SHA-256. What the time of a look-up shows is how much of a *hash* is known, and nobody can
//! choose a token by its hash, so a comparison in constant time is not needed.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tally_model::time::Time;

use super::{
    caller::Caller,
    certificate::PeerCertificate,
    reload::{FileContent, Reloadable, SettingsFile},
    scope::{Scope, Scopes},
};
use crate::platform::error::Result;

/// The longest name of a caller, in characters.
const NAME_CHARS: usize = 64;

/// The callers of a token file.
pub struct TokenFile {
    by_hash: HashMap<[u8; 32], Arc<Caller>>,
    by_name_in_certificate: HashMap<String, Arc<Caller>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    token: Vec<TokenEntry>,
    #[serde(default)]
    certificate: Vec<CertificateEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    sha256: String,
    scopes: Vec<String>,
    expires: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    name: String,
    san: String,
    scopes: Vec<String>,
}

impl TokenFile {
    /// Reads the file, and again when it changes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the file, the entry and what is allowed.
    pub fn open(file: SettingsFile) -> Result<Reloadable<Self>> {
        Reloadable::open(vec![file], |files| match files {
            [file] => Self::read(file),
            _ => Ok(Self { by_hash: HashMap::new(), by_name_in_certificate: HashMap::new() }),
        })
    }

    fn read(file: &FileContent<'_>) -> Result<Self> {
        let text = std::str::from_utf8(&file.bytes).map_err(|_| file.invalid("is not UTF-8"))?;
        Self::parse(text).map_err(|what| file.invalid(what))
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The error itself would repeat the line, which may hold what is none of the log's business.
        let entries: Entries = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            match text.lines().nth(line - 1).map(str::trim) {
                Some(header @ ("[token]" | "[certificate]")) => {
                    format!("line {line}: {header} begins one table; every entry begins with [{header}]")
                }
                _ => format!("line {line}: {}", error.message()),
            }
        })?;
        if entries.token.is_empty() && entries.certificate.is_empty() {
            return Err("has no [[token]] and no [[certificate]]".to_owned());
        }
        Self::new(entries)
    }

    fn new(entries: Entries) -> Result<Self, String> {
        let mut by_hash = HashMap::new();
        for (n, entry) in entries.token.into_iter().enumerate() {
            let of_entry = |what: String| format!("[[token]] {}: {what}", n + 1);
            let hash = hash(&entry.sha256).map_err(of_entry)?;
            let expires = entry.expires.as_ref().map(expiry).transpose().map_err(of_entry)?;
            let caller = caller(entry.name, &entry.scopes, expires).map_err(of_entry)?;
            if by_hash.insert(hash, Arc::new(caller)).is_some() {
                return Err(of_entry("sha256 is that of an earlier entry".to_owned()));
            }
        }
        let mut by_name_in_certificate = HashMap::new();
        for (n, entry) in entries.certificate.into_iter().enumerate() {
            let of_entry = |what: String| format!("[[certificate]] {}: {what}", n + 1);
            let caller = caller(entry.name, &entry.scopes, None).map_err(of_entry)?;
            if entry.san.is_empty() || entry.san.contains('*') {
                let allowed = "san has to be a DNS name or a URI as in the certificate, without `*`";
                return Err(of_entry(allowed.to_owned()));
            }
            if by_name_in_certificate.insert(entry.san, Arc::new(caller)).is_some() {
                return Err(of_entry("san is that of an earlier entry".to_owned()));
            }
        }
        Ok(Self { by_hash, by_name_in_certificate })
    }

    /// Whose token this is.
    pub(super) fn of_token(&self, token: &str) -> Option<&Arc<Caller>> {
        self.by_hash.get::<[u8; 32]>(&Sha256::digest(token).into())
    }

    /// Whose certificate this is: of its names, the first one that has an entry.
    pub(super) fn of_certificate(&self, certificate: &PeerCertificate) -> Option<&Arc<Caller>> {
        certificate.names().iter().find_map(|name| self.by_name_in_certificate.get(name))
    }
}

fn caller(name: String, scopes: &[String], expires: Option<Time>) -> Result<Caller, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.len() > NAME_CHARS || !name.chars().all(is_allowed) {
        return Err(format!("name has to have 1 to {NAME_CHARS} of a-z, A-Z, 0-9 and ._-@"));
    }
    let scope = |name: &String| name.parse::<Scope>().map_err(|what| format!("scopes: `{name}` {what}"));
    let set: Vec<Scope> = scopes.iter().map(scope).collect::<Result<_, _>>()?;
    if set.is_empty() {
        return Err("scopes is empty; allowed are score, read, write and admin".to_owned());
    }
    Ok(Caller { name, scopes: Scopes::from_iter(set), expires })
}

/// Reads 64 hexadecimal digits. What is none is not repeated: it may be the token.
fn hash(text: &str) -> Result<[u8; 32], String> {
    let refused = || "sha256 has to be the 64 hexadecimal digits that `tally token new` prints".to_owned();
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused());
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| refused())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
    }
    Ok(hash)
}

/// Reads a time, as TOML writes it or as a text.
fn expiry(value: &toml::Value) -> Result<Time, String> {
    let text = match value {
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::String(text) => text.clone(),
        _ => return Err("expires has to be a time, such as 2027-01-31T13:45:00Z".to_owned()),
    };
    text.parse().map_err(|error| format!("expires: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf tally_abc | sha256sum`
    const HASH: &str = "869224cdcb84458768fba8e82c6b3874e208b1751f43f5d0f2e8ebceefe868d0";

    fn entry(hash: &str, rest: &str) -> String {
        format!("[[token]]\nname = \"crm\"\nsha256 = \"{hash}\"\n{rest}\n")
    }

    #[test]
    fn a_token_is_found_by_its_hash() {
        for (expires, ends) in [
            ("", None),
            ("expires = 2027-01-01T00:00:00Z", Some("2027-01-01")),
            ("expires = 2027-01-01", Some("2027-01-01")),
            ("expires = \"2027-01-01T01:00:00+01:00\"", Some("2027-01-01")),
        ] {
            let file = TokenFile::parse(&entry(HASH, &format!("scopes = [\"score\", \"read\"]\n{expires}")))
                .unwrap();
            let caller = file.of_token("tally_abc").unwrap();
            assert_eq!(caller.name, "crm");
            assert_eq!(caller.scopes, Scopes::from_iter([Scope::Score, Scope::Read]));
            assert_eq!(caller.expires, ends.map(|ends| ends.parse().unwrap()), "{expires}");
            for other in ["", "tally_ab", "tally_abd", "TALLY_abc", HASH] {
                assert!(file.of_token(other).is_none(), "{other}");
            }
        }
    }

    #[test]
    fn no_token_like_a_good_one_is_found() {
        const TOKEN: &str = "tally_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
        let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = TokenFile::parse(&entry(&hash, "scopes = [\"read\"]")).unwrap();
        assert!(file.of_token(TOKEN).is_some());
        let mut tried = 0;
        for place in 0..TOKEN.len() {
            for byte in b' '..=b'~' {
                let mut changed = TOKEN.as_bytes().to_vec();
                changed[place] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert!(changed == TOKEN || file.of_token(&changed).is_none(), "{changed}");
                tried += 1;
            }
            assert!(file.of_token(&TOKEN[..place]).is_none() && file.of_token(&TOKEN[place + 1..]).is_none());
        }
        assert!(tried > 4_000);
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_entry_and_without_what_it_holds() {
        let good = entry(HASH, "scopes = [\"read\"]");
        let certificate =
            |san: &str| format!("[[certificate]]\nname = \"b\"\nsan = \"{san}\"\nscopes = [\"read\"]\n");
        for (text, message) in [
            (String::new(), "has no [[token]]"),
            ("[token]\n".to_owned(), "line 1: [token] begins one table; every entry begins with [[token]]"),
            (
                entry("tally_canary", "scopes = [\"read\"]"),
                "[[token]] 1: sha256 has to be the 64 hexadecimal digits",
            ),
            (entry(&HASH[1..], "scopes = [\"read\"]"), "[[token]] 1: sha256 has to be"),
            (entry(HASH, "scopes = []"), "[[token]] 1: scopes is empty"),
            (
                entry(HASH, "scopes = [\"all\"]"),
                "`all` is no scope; allowed are score, read, write and admin",
            ),
            (entry(HASH, ""), "missing field `scopes`"),
            (entry(HASH, "scopes = [\"read\"]\ntoken = \"tally_canary\""), "line 5: unknown field `token`"),
            (entry(HASH, "scopes = [\"read\"]\nexpires = 2027"), "expires has to be a time"),
            (entry(HASH, "scopes = [\"read\"]\nexpires = 07:00:00"), "expires: "),
            (good.replace("crm", "c m"), "[[token]] 1: name has to have"),
            (good.replace("crm", &"c".repeat(65)), "name has to have"),
            (
                format!("{good}{}", good.replace("crm", "other")),
                "[[token]] 2: sha256 is that of an earlier entry",
            ),
            (certificate("*.example.com"), "[[certificate]] 1: san has to be"),
            (certificate("a") + &certificate("a"), "[[certificate]] 2: san is that of an earlier entry"),
        ] {
            let error = TokenFile::parse(&text).err().unwrap();
            assert!(error.contains(message), "{text}: {error}");
            assert!(!error.contains("canary") && !error.contains('\n'), "{error}");
        }
    }
}
