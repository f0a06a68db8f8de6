//! Counts wrong credentials by the address that they come from, so that guessing them is slow.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Wrong credentials of an address before its calls are refused unseen.
const MOST: u32 = 1_000;
/// For how long they count, from the first one on.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// Addresses that are kept in mind, some 500 KB. Nobody guesses 32 random bytes from more of them either.
const ADDRESSES: usize = 10_000;
/// The first bits of an IPv6 address, which are all of a customer of a provider.
const NETWORK: u128 = u128::MAX << 64;

/// The wrong credentials of the last minute.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Failed>>);

struct Failed {
    times: u32,
    since: Instant,
}

impl Failures {
    /// How long calls of an address are refused unseen, None if they are not.
    pub(super) fn refused_for(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.lock();
        let failed = failures.get(&network(address)).filter(|failed| failed.times >= MOST)?;
        COUNTED_FOR.checked_sub(now.saturating_duration_since(failed.since)).filter(|left| !left.is_zero())
    }

    /// Notes that the credentials of a call were wrong.
    pub(super) fn add(&self, address: IpAddr, now: Instant) {
        let mut failures = self.lock();
        let counts = |failed: &Failed| now.saturating_duration_since(failed.since) < COUNTED_FOR;
        let address = network(address);
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            failures.retain(|_, failed| counts(failed));
            if failures.len() >= ADDRESSES {
                return;
            }
        }
        let failed = failures.entry(address).or_insert(Failed { times: 0, since: now });
        if !counts(failed) {
            *failed = Failed { times: 0, since: now };
        }
        failed.times += 1;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_for_the_rest_of_the_minute_and_no_other_is() {
        let (failures, start) = (Failures::default(), Instant::now());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for n in 0..MOST {
            assert_eq!(failures.refused_for(one, start), None, "{n}");
            failures.add(one, start);
        }
        let later = start + Duration::from_secs(59);
        assert_eq!(failures.refused_for(one, later), Some(Duration::from_secs(1)));
        assert_eq!(failures.refused_for(other, later), None);
        let over = start + COUNTED_FOR;
        assert_eq!(failures.refused_for(one, over), None);
        failures.add(one, over);
        assert_eq!(failures.refused_for(one, over), None, "the count starts again");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_memory_is_bounded() {
        let (failures, start) = (Failures::default(), Instant::now());
        for n in 0..MOST {
            failures.add(format!("2001:db8::{n:x}").parse().unwrap(), start);
        }
        assert!(failures.refused_for("2001:db8::ffff".parse().unwrap(), start).is_some());
        assert!(failures.refused_for("2001:db8:0:1::1".parse().unwrap(), start).is_none());
        for n in 0..3 * ADDRESSES as u32 {
            failures.add(IpAddr::V4(n.into()), start);
        }
        assert_eq!(failures.lock().len(), ADDRESSES);
        failures.add(IpAddr::from([10, 0, 0, 1]), start + COUNTED_FOR);
        assert_eq!(failures.lock().len(), 1, "those whose minute is over are forgotten");
    }
}
