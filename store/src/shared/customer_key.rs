//! The key of a database, with which the ids of customers are hashed where they must not stand.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key.
#[derive(Clone, Default)]
pub(crate) struct CustomerKey(pub(crate) Vec<u8>);

impl CustomerKey {
    /// HMAC-SHA-256 of an id.
    pub(crate) fn hash(&self, customer_id: &str) -> Vec<u8> {
        // A key of any length is valid.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map(|mac| mac.chain_update(customer_id));
        mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hashed_as_in_rfc_4231() {
        // Test case 2 of section 4.3.
        let hash = CustomerKey(b"Jefe".to_vec()).hash("what do ya want for nothing?");
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
