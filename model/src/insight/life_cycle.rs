//! The relation with one customer: when it begins, ends and begins again, by its purchases and cancels. It knows neither
//! what was known when nor any period; the caller hands over what counts, in order.

use super::{ExpectedInterval, Interval, LifeCycleSpec};
use crate::time::{DAY, Time};

/// What happens to the relation with a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationChange {
    /// The first purchase ever.
    New,
    /// A loss: a cancel, or no purchase for too long.
    Lost,
    /// The first purchase after a loss.
    WonBack,
}

/// A walk through the purchases and cancels of one customer, in order of time. It reports the changes of the relation in
/// order; the loss that no purchase has followed yet is [`Relation::loss`].
///
/// A cancel at the very time of a purchase ends nothing, whichever comes first in the history.
///
/// ```
/// use tally_model::{
///     insight::{Interval, LifeCycleSpec, Relation, RelationChange},
///     time::Time,
/// };
///
/// let [january, july] = ["2026-01-05T10:00:00Z", "2026-07-09T12:00:00Z"].map(|time| time.parse::<Time>().unwrap());
/// let mut changes = Vec::new();
/// let mut relation = Relation::new(Interval::days(30.0), &LifeCycleSpec::default());
///
/// relation.purchase(january, |change, time| changes.push((change, time)));
/// // Three times 30 days after the midnight of the purchase day.
/// let loss: Time = "2026-04-05".parse().unwrap();
/// assert_eq!(relation.loss(), Some(loss));
///
/// relation.purchase(july, |change, time| changes.push((change, time)));
/// let expected = [(RelationChange::New, january), (RelationChange::Lost, loss), (RelationChange::WonBack, july)];
/// assert_eq!(changes, expected);
/// ```
#[derive(Clone, Debug)]
pub struct Relation {
    typical: Interval,
    lost_after: f64,
    /// None before the first purchase.
    stretch: Option<Stretch>,
}

/// The purchases so far.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first_day: i64,
    last_day: i64,
    purchase_days: i64,
    last_purchase: Time,
    /// Whether a loss ended on the last day.
    won_back: bool,
    /// The first cancel later than the last purchase.
    cancel: Option<Time>,
}

impl Relation {
    /// A customer who has not bought yet.
    #[must_use]
    pub const fn new(typical: Interval, spec: &LifeCycleSpec) -> Self {
        Self { typical, lost_after: spec.lost_after, stretch: None }
    }

    /// The next purchase. Calls `changed` with the changes up to it.
    pub fn purchase(&mut self, time: Time, mut changed: impl FnMut(RelationChange, Time)) {
        let day = time.day_number();
        let Some(before) = self.stretch else {
            changed(RelationChange::New, time);
            self.stretch = Some(Stretch::first(time));
            return;
        };
        let loss = self.loss_before(&before, time);
        if let Some(loss) = loss {
            changed(RelationChange::Lost, loss);
            changed(RelationChange::WonBack, time);
        }
        let same_day = day == before.last_day;
        self.stretch = Some(Stretch {
            first_day: before.first_day,
            last_day: day,
            purchase_days: before.purchase_days + i64::from(!same_day),
            last_purchase: time,
            won_back: loss.is_some() || same_day && before.won_back,
            cancel: None,
        });
    }

    /// The next cancel.
    pub fn cancel(&mut self, time: Time) {
        if let Some(stretch) = self.stretch.as_mut().filter(|stretch| time > stretch.last_purchase) {
            stretch.cancel.get_or_insert(time);
        }
    }

    /// When the customer is lost unless it buys before; None before the first purchase. It may lie after everything that
    /// is known. The customer is current up to this moment, and lost from it on.
    #[must_use]
    pub fn loss(&self) -> Option<Time> {
        let stretch = self.stretch.as_ref()?;
        let silent = self.silent_until(stretch);
        Some(stretch.cancel.map_or(silent, |cancel| cancel.min(silent)))
    }

    /// The first cancel later than the last purchase.
    #[must_use]
    pub fn cancel_time(&self) -> Option<Time> {
        self.stretch?.cancel
    }

    /// The days with a purchase so far.
    #[must_use]
    pub fn purchase_days(&self) -> i64 {
        self.stretch.map_or(0, |stretch| stretch.purchase_days)
    }

    /// The first and the last day with a purchase, as of [`Time::day_number`].
    #[must_use]
    pub fn first_and_last_day(&self) -> Option<(i64, i64)> {
        self.stretch.map(|stretch| (stretch.first_day, stretch.last_day))
    }

    /// Whether the last purchase day ended a loss.
    #[must_use]
    pub fn is_won_back(&self) -> bool {
        self.stretch.is_some_and(|stretch| stretch.won_back)
    }

    /// The days after which another purchase can be expected; None before the first purchase.
    #[must_use]
    pub fn expected_interval(&self) -> Option<ExpectedInterval> {
        self.stretch.as_ref().map(|stretch| self.expected_after(stretch))
    }

    fn expected_after(&self, stretch: &Stretch) -> ExpectedInterval {
        ExpectedInterval::new(stretch.first_day, stretch.last_day, stretch.purchase_days, self.typical)
    }

    /// When the customer has been silent for too long.
    fn silent_until(&self, stretch: &Stretch) -> Time {
        self.expected_after(stretch).reached(stretch.last_day, self.lost_after)
    }

    /// The loss between the purchases so far and one at `time`.
    fn loss_before(&self, stretch: &Stretch, time: Time) -> Option<Time> {
        let day = time.day_number();
        // An expected interval is never shorter than a day.
        let silent = (day > stretch.last_day).then(|| self.silent_until(stretch));
        let silent = silent.filter(|silent| *silent < Time(day.saturating_mul(DAY)));
        match (silent, stretch.cancel.filter(|cancel| *cancel < time)) {
            (Some(silent), Some(cancel)) => Some(silent.min(cancel)),
            (silent, cancel) => silent.or(cancel),
        }
    }
}

impl Stretch {
    const fn first(time: Time) -> Self {
        Self {
            first_day: time.day_number(),
            last_day: time.day_number(),
            purchase_days: 1,
            last_purchase: time,
            won_back: false,
            cancel: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{RelationChange::*, *};

    const HOUR: i64 = DAY / 24;

    /// What happens, in order.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Buy(Time),
        Cancel(Time),
    }
    use Act::{Buy, Cancel};

    fn walk(typical_days: f64, acts: &[Act]) -> (Vec<(RelationChange, i64)>, Relation) {
        let mut relation = Relation::new(Interval::days(typical_days), &LifeCycleSpec::default());
        let mut changes = Vec::new();
        for act in acts {
            let changed = |change, time: Time| changes.push((change, time.0));
            match act {
                Buy(time) => relation.purchase(*time, changed),
                Cancel(time) => relation.cancel(*time),
            }
        }
        (changes, relation)
    }

    /// The changes when a typical interval is 10 days.
    fn changes(acts: &[Act]) -> Vec<(RelationChange, i64)> {
        walk(10.0, acts).0
    }

    fn at(day: i64, hour: i64) -> Time {
        Time(day * DAY + hour * HOUR)
    }

    #[test]
    fn a_customer_is_lost_after_three_expected_intervals() {
        let first = at(100, 15);
        let loss = 130 * DAY;
        assert_eq!(walk(10.0, &[Buy(first)]).1.loss(), Some(Time(loss)), "30 days after its midnight");
        // The day that begins at the moment of the loss saves it, also by a purchase late on that day.
        assert_eq!(changes(&[Buy(first), Buy(at(130, 23))]), [(New, first.0)]);
        let late = Time(131 * DAY);
        assert_eq!(changes(&[Buy(first), Buy(late)]), [(New, first.0), (Lost, loss), (WonBack, late.0)]);
        assert_eq!(changes(&[Buy(first), Buy(Time(131 * DAY - 1))]), [(New, first.0)]);
    }

    #[test]
    fn a_day_that_begins_before_the_loss_saves_the_customer() {
        // After two purchase days: (3 + 10) / 2 = 6.5 days, three times that 19.5 days, after day 103.
        let bought = [Buy(at(100, 1)), Buy(at(103, 1))];
        let (_, relation) = walk(10.0, &bought);
        assert_eq!(relation.loss(), Some(at(122, 12)));
        assert_eq!(relation.expected_interval().unwrap().as_days(), 6.5);
        let then = |next: Time| changes(&[bought[0], bought[1], Buy(next)]).len();
        assert_eq!([then(at(122, 13)), then(Time(123 * DAY - 1)), then(at(123, 0))], [1, 1, 3]);
    }

    #[test]
    fn the_loss_may_be_a_microsecond_after_the_day_begins() {
        // Three times 10.000001 days are 30 days and 259,200 µs.
        let first = Buy(at(100, 0));
        assert_eq!(walk(10.000_001, &[first]).1.loss(), Some(Time(130 * DAY + 259_200)));
        assert_eq!(walk(10.000_001, &[first, Buy(at(130, 1))]).0.len(), 1);
        // Three times 9.999999 days end before day 130 begins.
        assert_eq!(walk(9.999_999, &[first, Buy(at(130, 0))]).0.len(), 3);
        assert_eq!(walk(9.999_999, &[first, Buy(Time(130 * DAY - 1))]).0.len(), 1);
    }

    #[test]
    fn a_cancel_ends_the_relation() {
        let (first, cancel, next) = (at(100, 10), at(101, 0), at(102, 0));
        let (found, relation) = walk(10.0, &[Buy(first), Cancel(cancel)]);
        assert_eq!((found, relation.loss()), (vec![(New, first.0)], Some(cancel)));
        assert_eq!(relation.cancel_time(), Some(cancel));
        assert_eq!(walk(10.0, &[Buy(first), Cancel(cancel), Buy(next)]).1.cancel_time(), None);
        assert_eq!(walk(10.0, &[Cancel(cancel)]).1.cancel_time(), None);
        let expected = [(New, first.0), (Lost, cancel.0), (WonBack, next.0)];
        assert_eq!(changes(&[Buy(first), Cancel(cancel), Cancel(at(101, 5)), Buy(next)]), expected);
        assert_eq!(changes(&[Cancel(at(99, 0)), Buy(first)]), [(New, first.0)], "nothing had begun");
    }

    #[test]
    fn the_earlier_of_cancel_and_silence_counts() {
        let first = at(100, 10);
        let loss = |cancel: Time| walk(10.0, &[Buy(first), Cancel(cancel)]).1.loss().unwrap().0;
        let silent = 130 * DAY;
        assert_eq!([-1, 0, 1].map(|by| loss(Time(silent + by))), [silent - 1, silent, silent]);
        // A purchase day that begins up to the silence leaves only the cancel.
        let (cancel, next) = (at(130, 1), at(130, 2));
        let expected = [(New, first.0), (Lost, cancel.0), (WonBack, next.0)];
        assert_eq!(changes(&[Buy(first), Cancel(cancel), Buy(next)]), expected);
        let (_, relation) = walk(10.0, &[Buy(first), Cancel(cancel), Buy(next)]);
        assert!(relation.is_won_back());
        // With a later purchase the silence came first.
        let expected = [(New, first.0), (Lost, silent), (WonBack, at(131, 0).0)];
        assert_eq!(changes(&[Buy(first), Cancel(cancel), Buy(at(131, 0))]), expected);
    }

    #[test]
    fn a_cancel_at_the_time_of_a_purchase_ends_nothing() {
        let (first, second) = (at(100, 10), at(105, 10));
        let new = [(New, first.0)];
        assert_eq!(changes(&[Buy(first), Cancel(second), Buy(second)]), new);
        let reversed = [Buy(first), Buy(second), Cancel(second)];
        assert_eq!(changes(&reversed), new);
        assert!(!walk(10.0, &reversed).1.is_won_back());
        assert_eq!(walk(10.0, &reversed).1.loss(), Some(Time(105 * DAY + DAY / 2 * 45)), "not lost by it");
        assert_eq!(changes(&[Buy(first), Cancel(first)]), new);
        assert_eq!(changes(&[Cancel(first), Buy(first)]), new);
        let (by, after) = (Time(first.0 + 1), Time(first.0 + 2));
        assert_eq!(
            changes(&[Buy(first), Cancel(by), Buy(after), Cancel(after)]),
            [(New, first.0), (Lost, by.0), (WonBack, after.0)],
        );
    }

    #[test]
    fn purchases_of_one_day_are_one_purchase_day() {
        let (found, relation) = walk(10.0, &[Buy(at(100, 0)), Buy(at(100, 23)), Buy(at(102, 1))]);
        assert_eq!(found.len(), 1);
        assert_eq!((relation.purchase_days(), relation.first_and_last_day()), (2, Some((100, 102))));
        assert!(!relation.is_won_back());
        // A loss that ended on the last day is remembered by all purchases of that day.
        let (_, relation) = walk(10.0, &[Buy(at(100, 0)), Buy(at(200, 1)), Buy(at(200, 2))]);
        assert!(relation.is_won_back());
        assert!(!walk(10.0, &[Buy(at(100, 0)), Buy(at(200, 1)), Buy(at(201, 2))]).1.is_won_back());
    }

    #[test]
    fn nothing_is_known_before_the_first_purchase() {
        let (found, relation) = walk(10.0, &[Cancel(at(1, 0))]);
        assert!(found.is_empty());
        assert_eq!((relation.loss(), relation.purchase_days()), (None, 0));
        assert!(relation.expected_interval().is_none() && !relation.is_won_back());
    }

    /// The changes in the most obvious way: stretch by stretch between the distinct times of purchases.
    fn naive(typical_days: f64, acts: &[Act]) -> Vec<(RelationChange, i64)> {
        let times = |pick: fn(&Act) -> Option<i64>| {
            let mut times: Vec<i64> = acts.iter().filter_map(pick).collect();
            times.dedup();
            times
        };
        let bought = times(|act| if let Buy(time) = act { Some(time.0) } else { None });
        let cancelled = times(|act| if let Cancel(time) = act { Some(time.0) } else { None });
        let mut changes = Vec::new();
        for (n, purchase) in bought.iter().enumerate() {
            if n == 0 {
                changes.push((New, *purchase));
                continue;
            }
            let before = bought[n - 1];
            let mut days: Vec<i64> = bought[..n].iter().map(|time| time / DAY).collect();
            days.dedup();
            let (first, last) = (days[0], days[days.len() - 1]);
            let expected = ((last - first) as f64 + typical_days) / days.len() as f64;
            let silent = last * DAY + (3.0 * expected * DAY as f64).ceil() as i64;
            let by_silence = (purchase / DAY * DAY > silent).then_some(silent);
            let by_cancel = cancelled.iter().copied().find(|time| *time > before && time < purchase);
            if let Some(loss) = by_silence.into_iter().chain(by_cancel).min() {
                changes.push((Lost, loss));
                changes.push((WonBack, *purchase));
            }
        }
        changes
    }

    proptest! {
        #[test]
        fn changes_are_those_of_the_naive_walk(
            acts in prop::collection::vec((0_i64..6_000, any::<bool>(), any::<bool>()), 0..40)
        ) {
            let mut acts: Vec<(i64, bool)> = acts
                .into_iter()
                .map(|(hour, whole_day, cancel)| (if whole_day { hour / 24 * 24 } else { hour }, cancel && hour % 3 == 0))
                .collect();
            acts.sort_by_key(|(hour, _)| *hour);
            let acts: Vec<Act> = acts
                .into_iter()
                .map(|(hour, cancel)| if cancel { Cancel(at(0, hour)) } else { Buy(at(0, hour)) })
                .collect();
            let found = changes(&acts);
            let naive = naive(10.0, &acts);
            prop_assert_eq!(found.len(), naive.len(), "{:?} and {:?}", &found, &naive);
            for (found, naive) in found.iter().zip(&naive) {
                prop_assert!(found.0 == naive.0 && (found.1 - naive.1).abs() <= 1, "{found:?} and {naive:?}");
            }
        }
    }
}
