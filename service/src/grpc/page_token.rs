//! Page tokens: opaque to callers, authenticated, and bound to their list.
//!
//! A token is base64url of a truncated HMAC-SHA-256 and the cursor as JSON. The MAC also covers the
//! scope (the RPC and its filter), so that forged tokens and tokens of other lists are refused. The key
//! is stored in the database, so that servers on one database accept each other's tokens.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use uuid::Uuid;

use crate::platform::error::{Error, Result};
use tally_store::Store;

/// Bytes of the MAC that a token carries.
const MAC_BYTES: usize = 16;

/// Writes and reads page tokens. Clones share the key.
#[derive(Clone)]
pub struct PageTokens {
    key: Arc<[u8]>,
}

impl PageTokens {
    /// Reads the deployment's key, which is made by the first server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(store: &dyn Store) -> Result<Self> {
        let fresh = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Ok(Self { key: store.setting("page_token_key", &fresh, None).await?.into() })
    }

    fn seal(&self, scope: &impl Serialize, cursor: &impl Serialize) -> Result<String> {
        let body = serde_json::to_vec(cursor).map_err(bug)?;
        let mac = self.mac(scope, &body)?.finalize().into_bytes();
        Ok(URL_SAFE_NO_PAD.encode([&mac[..MAC_BYTES], &body].concat()))
    }

    /// The token of the page behind `cursor`; empty without one.
    ///
    /// # Errors
    /// INTERNAL when the cursor cannot be written as JSON, which is a bug.
    pub fn next(&self, scope: &impl Serialize, cursor: Option<impl Serialize>) -> Result<String> {
        cursor.map_or_else(|| Ok(String::new()), |cursor| self.seal(scope, &cursor))
    }

    /// The cursor in a token; None for the empty token of a first page.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when the token is not one of this list.
    pub fn open<T: DeserializeOwned>(&self, scope: &impl Serialize, token: &str) -> Result<Option<T>> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused =
            || Error::invalid("page_token", "is not a next_page_token of this list with the same filter");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let (mac, body) = bytes.split_at_checked(MAC_BYTES).ok_or_else(refused)?;
        self.mac(scope, body)?.verify_truncated_left(mac).map_err(|_| refused())?;
        serde_json::from_slice(body).map(Some).map_err(bug)
    }

    fn mac(&self, scope: &impl Serialize, body: &[u8]) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(bug)?;
        let scope = serde_json::to_vec(scope).map_err(bug)?;
        mac.update(&(scope.len() as u64).to_be_bytes());
        mac.update(&scope);
        mac.update(body);
        Ok(mac)
    }
}

fn bug(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("page token: {error}"))
}
