//! The holdout: customers who never get an action, so that the others have something to be compared with.

use sha2::{Digest, Sha256};

/// Whether a customer is held out: when the first 8 bytes, big-endian, of SHA-256(salt, "\n", customer_id) are below
/// share · 2⁶⁴. The same for ever, on every server and database, whatever the customer does.
#[must_use]
pub fn is_held_out(share: f64, salt: &str, customer_id: &str) -> bool {
    let digest = Sha256::new().chain_update(salt).chain_update("\n").chain_update(customer_id).finalize();
    let place = digest.iter().take(8).fold(0_u64, |place, byte| place << 8 | u64::from(*byte));
    // The product is exact, and a whole number is below it when it is below the next whole one.
    u128::from(place) < (share * 2_f64.powi(64)).ceil() as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_another_implementation() {
        // sha256sum of "1\nada" and so on: the first 16 digits, by 2⁶⁴.
        for (salt, id, place) in [
            ("1", "ada", 0x6d5b_88f2_10bc_7c5b_u64),
            ("1", "bob", 0x872b_30eb_01b8_ee31),
            ("2", "ada", 0x7a18_9cb4_ec6e_118a),
            ("1", "Zoë Müller", 0xf2f2_f259_177f_412f),
        ] {
            let share = place as f64 / 2_f64.powi(64);
            assert!(is_held_out(share * 1.000_001, salt, id), "{salt} {id}");
            assert!(!is_held_out(share * 0.999_999, salt, id), "{salt} {id}");
        }
    }

    #[test]
    fn nobody_and_everybody_can_be_held_out() {
        for n in 0..1_000 {
            let id = n.to_string();
            assert!(!is_held_out(0.0, "1", &id) && is_held_out(1.0, "1", &id));
        }
    }

    #[test]
    fn the_share_is_that_of_the_settings() {
        for share in [0.05, 0.1, 0.5] {
            let n = 20_000;
            let held_out = (0..n).filter(|n| is_held_out(share, "1", &format!("c{n}"))).count();
            let error = (share * (1.0 - share) / f64::from(n)).sqrt();
            assert!((held_out as f64 / f64::from(n) - share).abs() < 4.0 * error, "{share}: {held_out}");
        }
    }
}
