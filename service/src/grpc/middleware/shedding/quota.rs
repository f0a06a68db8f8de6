//! How many calls a caller may make: a bucket for each, of as many tokens as it may use in a second, which fills up
//! evenly.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// From this number of callers on, those who have not called for a second are forgotten.
const MANY: usize = 10_000;

/// The buckets of all callers.
pub(super) struct Quota {
    /// Tokens that a bucket gets in a second, and the most that it holds.
    per_second: f64,
    buckets: Mutex<HashMap<Box<str>, Bucket>>,
}

struct Bucket {
    tokens: f64,
    /// When there were so many.
    at: Instant,
}

impl Quota {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), buckets: Mutex::default() }
    }

    /// Takes a token of a caller.
    ///
    /// # Errors
    /// With the time until there is one, when the bucket is empty.
    pub(super) fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MANY && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| bucket.tokens_at(now, self.per_second) < self.per_second);
        }
        if !buckets.contains_key(caller) {
            buckets.insert(caller.into(), Bucket { tokens: self.per_second, at: now });
        }
        let Some(bucket) = buckets.get_mut(caller) else { return Ok(()) };
        bucket.tokens = bucket.tokens_at(now, self.per_second);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn tokens_at(&self, now: Instant, per_second: f64) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        passed.mul_add(per_second, self.tokens).min(per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_its_calls_a_second_and_takes_none_of_others() {
        let (quota, start) = (Quota::new(5), Instant::now());
        let calls = |caller, at| (0..20).filter(|_| quota.take(caller, at).is_ok()).count();
        assert_eq!((calls("a", start), calls("b", start)), (5, 5));
        assert_eq!(quota.take("a", start), Err(Duration::from_millis(200)));
        assert_eq!(calls("a", start + Duration::from_millis(399)), 1);
        assert_eq!(calls("a", start + Duration::from_secs(60)), 5, "what is not used is not kept");
    }

    #[test]
    fn callers_who_are_gone_are_forgotten() {
        let (quota, start) = (Quota::new(1), Instant::now());
        for n in 0..3 * MANY {
            let late = start + Duration::from_secs(2 * (n / MANY) as u64);
            assert_eq!(quota.take(&n.to_string(), late), Ok(()));
        }
        assert!(quota.buckets.lock().unwrap().len() <= 2 * MANY);
    }
}
