//! JSON Web Tokens (RFC 7519) of an identity provider, verified with the keys of a JWKS file (RFC 7517).
//!
//! Only what access tokens of identity providers need: a compact JWS (RFC 7515) signed with RS256, ES256 or EdDSA (RFC
//! 7518, RFC 8037) by a key of the file, whose kind decides the algorithm. The common crate needs a second cryptographic
//! library, or one of its own with known weaknesses, and reads the machine's clock; ring, which rustls brings, verifies
//! all three.

use std::{collections::HashSet, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use quick_cache::sync::Cache;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tally_model::time::Time;

use super::{
    caller::Caller,
    refusal::Refusal,
    reload::{FileContent, Reloadable, SettingsFile},
    scope::{Scope, Scopes},
};
use crate::platform::error::Result;

/// The algorithms, by their names in headers and keys.
const RS256: &str = "RS256";
const ES256: &str = "ES256";
const EDDSA: &str = "EdDSA";
/// How far the clocks of the provider and of this server may differ, in microseconds.
const LEEWAY: i64 = 60_000_000;
/// The longest subject, in bytes.
const SUBJECT_BYTES: usize = 256;
/// The bits of the shortest RSA key that is taken.
const RSA_BITS: usize = 2_048;
/// How many verified tokens are remembered, so that their signatures are not verified at each call.
const REMEMBERED: usize = 4_096;

/// What a token has to say.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// Who issues it (`iss`).
    pub issuer: String,
    /// Whom it is for (`aud`).
    pub audience: String,
}

/// The keys of an identity provider.
pub struct KeySet {
    settings: JwtSettings,
    keys: Vec<Key>,
    /// By the hash of the token, those that had a good signature and good claims.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

struct Key {
    id: Option<String>,
    public: PublicKey,
}

enum PublicKey {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

/// A token with a good signature, for this issuer and audience.
struct Verified {
    caller: Arc<Caller>,
    not_before: Option<Time>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key of the file. Members and keys of other uses are ignored, as RFC 7517 says.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood; none is.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMore,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    scope: Option<String>,
    scp: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl KeySet {
    /// Reads the file, and again when it changes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the file and what is wrong with it.
    pub fn open(file: SettingsFile, settings: JwtSettings) -> Result<Reloadable<Self>> {
        Reloadable::open(vec![file], move |files| {
            let keys = files.iter().map(keys).collect::<Result<Vec<_>>>()?;
            Ok(Self {
                settings: settings.clone(),
                keys: keys.into_iter().flatten().collect(),
                verified: Cache::new(REMEMBERED),
            })
        })
    }

    /// Whose token this is.
    pub(super) fn caller(&self, token: &str, now: Time) -> Result<Arc<Caller>, Refusal> {
        let hash = Sha256::digest(token).into();
        let verified = match self.verified.get(&hash) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.verify(token).ok_or(Refusal::Unknown)?);
                self.verified.insert(hash, Arc::clone(&verified));
                verified
            }
        };
        if verified.not_before.is_some_and(|begin| now.0 < begin.0.saturating_sub(LEEWAY)) {
            return Err(Refusal::NotYetValid);
        }
        Ok(Arc::clone(&verified.caller))
    }

    /// Verifies signature, issuer and audience. What exactly is wrong is of no use to an honest caller.
    fn verify(&self, token: &str) -> Option<Verified> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        let key = self.key(header.kid.as_deref())?;
        if header.crit.is_some() || header.alg != key.public.algorithm() {
            return None;
        }
        key.public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)?;
        self.accept(&decode(claims)?)
    }

    /// The key of this id. Without an id, the only key.
    fn key(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [key]) => Some(key),
            (None, _) => None,
        }
    }

    fn accept(&self, claims: &Claims) -> Option<Verified> {
        let JwtSettings { issuer, audience } = &self.settings;
        let subject = &claims.sub;
        let has_subject = (1..=SUBJECT_BYTES).contains(&subject.len()) && !subject.contains(char::is_control);
        if claims.iss != *issuer || !claims.aud.as_slice().contains(audience) || !has_subject {
            return None;
        }
        let listed = claims.scp.as_ref().map(OneOrMore::as_slice).unwrap_or_default();
        let names = claims.scope.iter().chain(listed).flat_map(|names| names.split(' '));
        let scopes: Scopes = names.filter_map(|name| name.parse::<Scope>().ok()).collect();
        let not_before = match claims.nbf {
            Some(begin) => Some(time(begin)?),
            None => None,
        };
        let expires = Some(Time(time(claims.exp)?.0.saturating_add(LEEWAY)));
        let caller = Caller { name: format!("jwt:{subject}"), scopes, expires };
        Some(Verified { caller: Arc::new(caller), not_before })
    }
}

impl PublicKey {
    /// The only algorithm that the key is used with, so that a token cannot choose another one.
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => RS256,
            Self::P256(_) => ES256,
            Self::Ed25519(_) => EDDSA,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let verified = match self {
            Self::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Self::P256(key) | Self::Ed25519(key) => key.verify(message, signature),
        };
        verified.ok()
    }
}

/// Reads the keys that verify signatures of tokens.
fn keys(file: &FileContent<'_>) -> Result<Vec<Key>> {
    let set: Jwks = serde_json::from_slice(&file.bytes)
        .map_err(|error| file.invalid(format!("is not a JSON Web Key Set: {error}")))?;
    let mut keys = Vec::new();
    let mut ids = HashSet::new();
    for (n, jwk) in set.keys.into_iter().enumerate() {
        let public = jwk.public().map_err(|what| file.invalid(format!("keys[{n}]: {what}")))?;
        let Some(public) = public else { continue };
        if jwk.kid.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
            return Err(file.invalid(format!("keys[{n}]: kid is that of an earlier key")));
        }
        keys.push(Key { id: jwk.kid, public });
    }
    if keys.is_empty() {
        return Err(file.invalid("has no key for RS256, ES256 or EdDSA"));
    }
    Ok(keys)
}

impl Jwk {
    /// The algorithm that the key is for, None when that is none of those that count.
    fn algorithm(&self) -> Option<&'static str> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => RS256,
            ("EC", Some("P-256")) => ES256,
            ("OKP", Some("Ed25519")) => EDDSA,
            _ => return None,
        };
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let fits = self.alg.as_deref().is_none_or(|named| named == algorithm);
        Some(algorithm).filter(|_| signs && fits)
    }

    /// The key, None when it is for something else.
    fn public(&self) -> Result<Option<PublicKey>, String> {
        Ok(match self.algorithm() {
            Some(RS256) => {
                let n = number(&self.n, "n")?;
                if n.len() * 8 < RSA_BITS {
                    return Err(format!("n has fewer than {RSA_BITS} bits"));
                }
                Some(PublicKey::Rsa(RsaPublicKeyComponents { n, e: number(&self.e, "e")? }))
            }
            Some(ES256) => {
                let point = [vec![4], coordinate(&self.x, "x")?, coordinate(&self.y, "y")?].concat();
                Some(PublicKey::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)))
            }
            Some(EDDSA) => {
                Some(PublicKey::Ed25519(UnparsedPublicKey::new(&ED25519, coordinate(&self.x, "x")?)))
            }
            _ => None,
        })
    }
}

fn bytes(member: &Option<String>, name: &str) -> Result<Vec<u8>, String> {
    let text = member.as_ref().ok_or_else(|| format!("{name} is missing"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name} is not base64url"))
}

/// An unsigned number, whose leading zeros some providers keep, which ring refuses.
fn number(member: &Option<String>, name: &str) -> Result<Vec<u8>, String> {
    Ok(bytes(member, name)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn coordinate(member: &Option<String>, name: &str) -> Result<Vec<u8>, String> {
    let bytes = bytes(member, name)?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(format!("{name} does not have 32 bytes")) }
}

fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Seconds since 1970, with a fraction or without. None for what is no time since then.
fn time(seconds: f64) -> Option<Time> {
    let microseconds = seconds * 1e6;
    (microseconds.is_finite() && microseconds >= 0.0).then(|| Time(microseconds as i64).min(Time::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 7515, A.2.1 and A.3.1, and of RFC 8037, A.2.
    const PUBLISHED: &str = r#"{"keys": [
        {"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
        {"kty": "EC", "kid": "p256", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {"kty": "RSA", "kid": "enc", "use": "enc", "e": "AQAB", "n": "AQAB"}
    ]}"#;

    fn read(text: &str) -> Result<Vec<Key>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        std::fs::write(&path, text).unwrap();
        let file = SettingsFile::new("--jwks", &path);
        let read = Reloadable::open(vec![file], |files| keys(&files[0]).map(std::sync::Mutex::new));
        let read = read.map_err(|error| error.to_string())?;
        let found = std::mem::take(&mut *read.current().lock().unwrap());
        Ok(found)
    }

    #[test]
    fn the_published_signatures_verify_and_changed_ones_do_not() {
        let keys = read(PUBLISHED).unwrap();
        assert_eq!(
            keys.iter().map(|key| key.public.algorithm()).collect::<Vec<_>>(),
            ["RS256", "ES256", "EdDSA"]
        );
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        // RFC 7515, A.2.1 and A.3.1; RFC 8037, A.4.
        for (key, signed, signature) in [
            (
                &keys[0],
                format!("eyJhbGciOiJSUzI1NiJ9.{claims}"),
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            ),
            (
                &keys[1],
                format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
            (
                &keys[2],
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            ),
        ] {
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(key.public.verify(signed.as_bytes(), &signature).is_some(), "{signed}");
            for n in 0..signature.len() {
                let mut changed = signature.clone();
                changed[n] ^= 1;
                assert!(key.public.verify(signed.as_bytes(), &changed).is_none(), "{signed} {n}");
            }
            assert!(key.public.verify(&signed.as_bytes()[1..], &signature).is_none());
        }
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_key() {
        for (text, message) in [
            ("", "is not a JSON Web Key Set"),
            (r#"{"keys": []}"#, "has no key for RS256, ES256 or EdDSA"),
            (r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#, "has no key"),
            (
                r#"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}"#,
                "keys[0]: n has fewer than 2048 bits",
            ),
            (
                r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "AQAB"}]}"#,
                "keys[0]: x does not have 32 bytes",
            ),
            (r#"{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}"#, "keys[0]: x is missing"),
            (r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "+"}]}"#, "keys[0]: x is not base64url"),
            (&PUBLISHED.replace("\"ed\"", "\"rsa\""), "keys[2]: kid is that of an earlier key"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.starts_with("--jwks: ") && error.contains(message), "{text}: {error}");
        }
    }
}
