//! The check of a call's credentials: a bearer token or the certificate of its connection becomes a [`Caller`].

use std::{net::IpAddr, sync::Arc, time::Instant};

use tally_model::time::Time;

use super::{
    caller::Caller, certificate::PeerCertificate, failures::Failures, jwt::KeySet, refusal::Refusal,
    reload::Reloadable, scope::Rule, tls::Tls, tokens::TokenFile,
};
use crate::platform::clock::TimeSource;

/// What a call shows of its caller. It has no `Debug`, since the token is a secret.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The value of `authorization`; an error when there is more than one, or it is not visible ASCII.
    pub authorization: Option<Result<String, Refusal>>,
    /// The certificate of the connection.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Credentials {
    /// Those of a call with these values of `authorization`, on a connection with this certificate.
    pub fn new<'a>(
        mut authorization: impl Iterator<Item = &'a [u8]>,
        certificate: Option<Arc<PeerCertificate>>,
    ) -> Self {
        let first = authorization.next().map(|value| {
            let text = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
            if authorization.next().is_some() { Err(Refusal::Malformed) } else { Ok(text.to_owned()) }
        });
        Self { authorization: first, certificate }
    }
}

/// Checks credentials.
pub struct Access {
    tokens: Option<Arc<Reloadable<TokenFile>>>,
    keys: Option<Arc<Reloadable<KeySet>>>,
    tls: Option<Arc<Reloadable<Tls>>>,
    failures: Failures,
    time: TimeSource,
}

impl Access {
    pub(super) fn new(
        tokens: Option<Arc<Reloadable<TokenFile>>>,
        keys: Option<Arc<Reloadable<KeySet>>>,
        tls: Option<Arc<Reloadable<Tls>>>,
        time: TimeSource,
    ) -> Self {
        Self { tokens, keys, tls, failures: Failures::default(), time }
    }

    /// The time.
    pub fn now(&self) -> Time {
        (self.time)()
    }

    /// What [`check`](Self::check) says of a call from an address that has not guessed too often.
    ///
    /// # Errors
    /// Why the call is refused.
    pub fn admit(
        &self,
        rule: Rule,
        credentials: &Credentials,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<Caller>>, Refusal> {
        let Some(address) = address.filter(|_| rule != Rule::Open) else {
            return self.check(rule, credentials);
        };
        let now = Instant::now();
        if let Some(wait) = self.failures.refused_for(address, now) {
            return Err(Refusal::TooManyFailures { wait });
        }
        self.check(rule, credentials).inspect_err(|refusal| {
            if refusal.is_wrong_guess() {
                self.failures.add(address, now);
            }
        })
    }

    /// Who calls, when the rule allows it; None when the rule allows everybody.
    ///
    /// # Errors
    /// Why the call is refused.
    pub fn check(&self, rule: Rule, credentials: &Credentials) -> Result<Option<Arc<Caller>>, Refusal> {
        if rule == Rule::Open {
            return Ok(None);
        }
        let caller = self.caller(credentials)?;
        if !caller.is_valid_at(self.now()) {
            return Err(Refusal::Expired);
        }
        match rule {
            Rule::Needs(scope) if !caller.scopes.has(scope) => {
                Err(Refusal::Scope { caller: caller.name.clone(), scope })
            }
            _ => Ok(Some(caller)),
        }
    }

    /// A token counts before the certificate of the connection, which may be that of a proxy.
    fn caller(&self, credentials: &Credentials) -> Result<Arc<Caller>, Refusal> {
        match (&credentials.authorization, &credentials.certificate) {
            (Some(Ok(value)), _) => self.bearer(bearer_token(value)?),
            (Some(Err(refusal)), _) => Err(refusal.clone()),
            (None, Some(certificate)) => self.certificate(certificate),
            (None, None) => Err(Refusal::Missing),
        }
    }

    fn bearer(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        // Tokens of the file have no dots, JWTs have two.
        match (&self.tokens, &self.keys) {
            (_, Some(keys)) if token.contains('.') => keys.current().caller(token, self.now()),
            (Some(tokens), _) => tokens.current().of_token(token).cloned().ok_or(Refusal::Unknown),
            _ => Err(Refusal::Unknown),
        }
    }

    fn certificate(&self, certificate: &PeerCertificate) -> Result<Arc<Caller>, Refusal> {
        let valid = self.tls.as_ref().is_some_and(|tls| certificate.is_valid(tls.current(), self.now()));
        if !valid {
            return Err(Refusal::CertificateEnded);
        }
        let tokens = self.tokens.as_ref().map(|tokens| tokens.current());
        let caller = tokens.as_ref().and_then(|tokens| tokens.of_certificate(certificate));
        caller.cloned().ok_or(Refusal::UnknownCertificate)
    }
}

/// The token of `Bearer TOKEN` (RFC 6750).
fn bearer_token(value: &str) -> Result<&str, Refusal> {
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::Malformed)?;
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && is_token { Ok(token) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_one_word_after_its_scheme() {
        assert_eq!(bearer_token("Bearer abc"), Ok("abc"));
        assert_eq!(bearer_token("bEARER a.b-c_d~+/="), Ok("a.b-c_d~+/="));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Basic abc",
            "abc",
            "Bearer\tabc",
            "Bearer é",
        ] {
            assert_eq!(bearer_token(wrong), Err(Refusal::Malformed), "{wrong}");
        }
        let of = |values: &[&str]| Credentials::new(values.iter().map(|value| value.as_bytes()), None);
        assert!(of(&[]).authorization.is_none());
        assert_eq!(of(&["Bearer a"]).authorization, Some(Ok("Bearer a".to_owned())));
        assert_eq!(of(&["Bearer a", "Bearer a"]).authorization, Some(Err(Refusal::Malformed)));
        assert_eq!(
            Credentials::new([&b"Bearer \xff"[..]].into_iter(), None).authorization,
            Some(Err(Refusal::Malformed))
        );
    }
}
