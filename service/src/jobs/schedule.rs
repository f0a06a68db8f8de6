//! When a job is due.
//!
//! The scheduled moments of a job, its slots, are an interval apart and begin when a server first knew the job. They stay
//! where they are when servers restart and runs take long.

use std::time::Duration;

use tally_model::time::Time;
use tally_store::StoredJob;

/// The wait after the first of several runs in a row that did not succeed; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// The longest wait; for short intervals it is a tenth of the interval.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

/// The first slot after `now`, when `slot` is one of them; `slot` itself when that is later.
pub(super) fn slot_after(now: Time, slot: Time, interval_seconds: i64) -> Time {
    let (interval, late) = (interval_seconds.max(1).saturating_mul(1_000_000), now.0.saturating_sub(slot.0));
    match late {
        ..0 => slot,
        late => Time(slot.0.saturating_add((late / interval + 1).saturating_mul(interval))),
    }
}

/// The slot of the next run for a server that starts `now` with this interval. When the interval changes, it counts from the
/// slot before; a run that is the first one, is due, or has not succeeded yet keeps its slot. What is due more than the interval
/// that was and a day ahead was scheduled by a clock that was wrong; its slot is now.
pub(super) fn moved_slot(job: &StoredJob, interval_seconds: i64, now: Time) -> Time {
    let latest = later(now, job.interval_seconds.saturating_mul(1_000_000)).plus_days(1);
    match (job.run_id, job.retries) {
        _ if job.slot.max(job.due) > latest => now,
        // Perhaps it was stopped with its server, to be repeated at once.
        _ if job.slot <= now => job.slot,
        (1.., 0) => later(job.slot, (interval_seconds - job.interval_seconds).saturating_mul(1_000_000)),
        _ => job.slot,
    }
}

/// When a run may begin again after so many in a row that did not succeed.
pub(super) fn retry_time(now: Time, retries: i64, interval_seconds: i64) -> Time {
    let tenth = Duration::from_secs(interval_seconds.unsigned_abs() / 10);
    let doublings = u32::try_from(retries - 1).unwrap_or_default().min(16);
    let wait = FIRST_RETRY.saturating_mul(1 << doublings).min(LONGEST_RETRY).min(tenth);
    later(now, wait.as_micros() as i64)
}

/// The same after a run whose server died: at once after the first one. A job that takes its server down with it must not
/// do so again and again.
pub(super) fn retry_time_of_lost(now: Time, retries: i64, interval_seconds: i64) -> Time {
    if retries <= 1 { now } else { retry_time(now, retries - 1, interval_seconds) }
}

/// When the next run may begin; of a job that runs, the next one after that.
pub(super) fn next_due(job: &StoredJob, now: Time) -> Time {
    if job.holder.is_some() { slot_after(now, job.slot, job.interval_seconds) } else { job.due }
}

const fn later(time: Time, micros: i64) -> Time {
    Time(time.0.saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use tally_model::time::DAY;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn job(run_id: i64, slot: i64, interval_seconds: i64) -> StoredJob {
        StoredJob {
            job: "insights".to_owned(),
            interval_seconds,
            slot: Time(slot),
            due: Time(slot),
            run_id,
            holder: None,
            heartbeat: 0,
            retries: 0,
            last_success: None,
        }
    }

    #[test]
    fn slots_are_an_interval_apart_however_late_and_long_runs_are() {
        let slot = Time(1_000 * SECOND);
        for (now, next) in [(999, 1_000), (1_000, 1_600), (1_001, 1_600), (1_599, 1_600), (1_600, 2_200)] {
            assert_eq!(slot_after(Time(now * SECOND), slot, 600), Time(next * SECOND), "{now}");
        }
        // Ten missed runs become one.
        assert_eq!(slot_after(Time(7_001 * SECOND), slot, 600), Time(7_600 * SECOND));
        assert_eq!(slot_after(Time::MAX, Time::MIN, i64::MAX), Time(i64::MAX));
    }

    #[test]
    fn another_interval_counts_from_the_slot_before() {
        let moved =
            |run_id, interval| moved_slot(&job(run_id, 1_000 * SECOND, 600), interval, Time(500 * SECOND));
        // The slot before is 400.
        assert_eq!([moved(3, 1_200), moved(3, 60)], [1_600, 460].map(|slot| Time(slot * SECOND)));
        assert_eq!(moved(0, 60), Time(1_000 * SECOND), "the first run waits for nothing");
        assert_eq!(moved(3, 600), Time(1_000 * SECOND), "the same interval");
        // From 30 days to 7, a second after a run.
        let monthly = job(3, 30 * DAY, 30 * 86_400);
        assert_eq!(moved_slot(&monthly, 7 * 86_400, Time(SECOND)), Time(7 * DAY));
        let failed = StoredJob { retries: 2, due: Time(600 * SECOND), ..job(3, 400 * SECOND, 600) };
        assert_eq!(moved_slot(&failed, 86_400, Time(500 * SECOND)), failed.slot, "it is tried again");
        let stopped = job(3, 400 * SECOND, 600);
        assert_eq!(moved_slot(&stopped, 86_400, Time(400 * SECOND)), stopped.slot, "it is repeated");
        assert_eq!(moved_slot(&stopped, 60, Time(400 * SECOND)), stopped.slot, "it is due");
    }

    #[test]
    fn a_slot_of_a_clock_that_was_ahead_is_now() {
        let now = Time(500 * SECOND);
        let slot = |slot| moved_slot(&job(3, slot, 600), 600, now);
        let latest = now.0 + 600 * SECOND + DAY;
        assert_eq!([slot(latest), slot(latest + 1), slot(i64::MAX)], [Time(latest), now, now]);
        assert_eq!(moved_slot(&job(0, latest + 1, 600), 600, now), now, "also before the first run");
        let retried = StoredJob { due: Time(latest + 1), ..job(3, 0, 600) };
        assert_eq!(moved_slot(&retried, 600, now), now, "also after a failure");
    }

    #[test]
    fn waits_double_up_to_a_tenth_of_the_interval_and_an_hour() {
        let minutes = |retries, interval_seconds| {
            retry_time(Time(0), retries, interval_seconds).0 as f64 / (60 * SECOND) as f64
        };
        assert_eq!(
            [1, 2, 3, 6, 7, 1_000_000].map(|n| minutes(n, 7 * 86_400)),
            [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
        );
        assert_eq!([1, 2, 3, 4].map(|n| minutes(n, 1_800)), [1.0, 2.0, 3.0, 3.0]);
        let lost = [1, 2, 3].map(|n| retry_time_of_lost(Time(5), n, 7 * 86_400).0 / SECOND);
        assert_eq!(lost, [0, 60, 120]);
    }
}
