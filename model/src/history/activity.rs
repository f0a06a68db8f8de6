//! How much happens on each day, and whether that has stopped: the data of an old export end long before the
//! moment that is asked about, so that everybody looks gone. The same is true of purchases alone when their feed ends
//! and visits go on.

use super::{History, kind};
use crate::{
    counted,
    time::{DAY, Time},
};

/// Fewer active days than this say nothing about the usual pace.
const FEWEST_ACTIVE_DAYS: usize = 10;
/// The days whose gaps are the usual pace: as many before the end of the data.
const PACE_DAYS: usize = 730;
/// A silence of up to this many days is never remarkable.
const SHORTEST_SILENCE: i64 = 14;
/// The same when a few interactions came in it, since a business may also fade out.
const SHORTEST_WITH_STRAGGLERS: i64 = 60;
/// One interaction in so many may come after the end of the data, such as a test of the connection.
const STRAGGLERS: u64 = 1_000;

/// The number of interactions on each UTC day: of all, and of the kinds that are outcomes.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    all: DailyActivity,
    purchases: DailyActivity,
    cancels: DailyActivity,
}

/// The number of interactions on each UTC day.
#[derive(Clone, Debug, Default)]
struct DailyActivity {
    /// The number of the first day.
    first: usize,
    /// From that day on.
    counts: Vec<u32>,
}

/// A silence before a moment that is longer than the usual pace of interactions explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The kind of interaction that is missing; None when there is none of any kind.
    pub kind: Option<&'static str>,
    /// The days without interactions.
    pub days: i64,
    /// The end of the last day before them.
    pub since: Time,
    /// The longest usual time between two days with interactions, in days.
    pub usual_days: i64,
    /// The few interactions that came after `since` all the same.
    pub stragglers: u64,
}

impl Activity {
    /// Counts the interactions of a customer that happened by `as_of` and were known at `known_at`.
    pub fn add(&mut self, history: &History, as_of: Time, known_at: Time) {
        let place = |kind: &str| history.kinds().iter().position(|known| **known == *kind);
        let (purchase, cancel) = (place(kind::PURCHASE), place(kind::CANCEL));
        for event in history.visible(as_of, known_at) {
            let kind = Some(event.kind as usize);
            self.all.count(event.occur_time);
            if kind == purchase {
                self.purchases.count(event.occur_time);
            } else if kind == cancel {
                self.cancels.count(event.occur_time);
            }
        }
    }

    /// Adds the interactions of other customers.
    pub fn merge(&mut self, others: &Self) {
        self.all.merge(&others.all);
        self.purchases.merge(&others.purchases);
        self.cancels.merge(&others.cancels);
    }

    /// The first and the last day with interactions, as the moments at which they begin.
    #[must_use]
    pub fn range(&self) -> Option<(Time, Time)> {
        self.all.range()
    }

    /// Whether there are interactions in every month of the calendar, over more than a year, when the last `days`
    /// days do not count.
    #[must_use]
    pub fn covers_every_month_before_the_last(&self, days: u32) -> bool {
        self.all.covers_every_month_before_the_last(days)
    }

    /// The silence before `as_of`, when it lasts more than twice as long as the longest usual gap between two days
    /// with interactions: of any kind, or else of the one that decides the outcome.
    #[must_use]
    pub fn silence(&self, as_of: Time, deciding: &'static str) -> Option<Silence> {
        let of_deciding = if deciding == kind::CANCEL { &self.cancels } else { &self.purchases };
        let of_kind = |silence| Silence { kind: Some(deciding), ..silence };
        self.all.silence(as_of).or_else(|| of_deciding.silence(as_of).map(of_kind))
    }
}

impl DailyActivity {
    /// Counts an interaction.
    fn count(&mut self, occur_time: Time) {
        let day = usize::try_from(occur_time.day_number()).unwrap_or(0);
        self.add_to(day, 1);
    }

    fn add_to(&mut self, day: usize, count: u32) {
        if self.counts.is_empty() {
            self.first = day;
        }
        if day < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - day));
            self.first = day;
        }
        let place = day - self.first;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] = self.counts[place].saturating_add(count);
    }

    /// Adds the interactions of other customers.
    fn merge(&mut self, others: &Self) {
        for (day, count) in others.days() {
            self.add_to(day, count);
        }
    }

    /// The days with interactions and their number, in order.
    fn days(&self) -> impl DoubleEndedIterator<Item = (usize, u32)> + '_ {
        (self.first..self.first + self.counts.len())
            .zip(self.counts.iter().copied())
            .filter(|(_, count)| *count > 0)
    }

    /// The first and the last day with interactions, as the moments at which they begin.
    fn range(&self) -> Option<(Time, Time)> {
        let moment = |(day, _): (usize, u32)| Time(day as i64 * DAY);
        Some((self.days().next().map(moment)?, self.days().next_back().map(moment)?))
    }

    /// Whether there are interactions in every month of the calendar, over more than a year, when the last `days`
    /// days do not count.
    fn covers_every_month_before_the_last(&self, days: u32) -> bool {
        let Some((first, last)) = self.range() else { return false };
        let end = last.plus_days(-i64::from(days));
        let counted = self.days().map(|(day, _)| Time(day as i64 * DAY)).take_while(|day| *day <= end);
        let months = counted.fold(0_u32, |months, day| months | 1 << day.month());
        months == (1 << 12) - 1 && first.plus_days(365) < end
    }

    /// The silence before `as_of`, when it lasts more than twice as long as the longest usual gap between two
    /// days with interactions.
    fn silence(&self, as_of: Time) -> Option<Silence> {
        let all: u64 = self.days().map(|(_, count)| u64::from(count)).sum();
        self.silence_but_for(0, as_of).or_else(|| self.silence_but_for(all / STRAGGLERS, as_of))
    }

    /// The same when up to `most` interactions at the end do not count.
    fn silence_but_for(&self, most: u64, as_of: Time) -> Option<Silence> {
        let (end, stragglers) = self.end_of_data(most)?;
        let pace = (end + 1).saturating_sub(PACE_DAYS)..=end;
        let active: Vec<(usize, u32)> = self.days().filter(|(day, _)| pace.contains(day)).collect();
        if active.len() < FEWEST_ACTIVE_DAYS {
            return None;
        }
        let longest = longest_span(&active, most) as i64;
        let days = as_of.day_number() - end as i64;
        let since = Time((end as i64 + 1) * DAY - SECOND);
        let shortest = if stragglers == 0 { SHORTEST_SILENCE } else { SHORTEST_WITH_STRAGGLERS };
        let is_unusual = days > shortest.max(2 * longest);
        is_unusual.then_some(Silence { kind: None, days, since, usual_days: longest, stragglers })
    }

    /// The last day before the final `most` interactions, and the number of those after it.
    fn end_of_data(&self, most: u64) -> Option<(usize, u64)> {
        let mut after = 0;
        for (day, count) in self.days().rev() {
            if after + u64::from(count) > most {
                return Some((day, after));
            }
            after += u64::from(count);
        }
        None
    }
}

/// The longest time between two of these days with at most `most` interactions in between, in days: the winters of a
/// business that lives in summer are usual, also if a few come in winter.
fn longest_span(active: &[(usize, u32)], most: u64) -> usize {
    let (mut longest, mut first, mut between) = (1, 0, 0_u64);
    for last in 1..active.len() {
        // The days after the first and before the last one.
        while between > most {
            first += 1;
            between -= u64::from(active[first].1);
        }
        longest = longest.max(active[last].0 - active[first].0);
        between += u64::from(active[last].1);
    }
    longest
}

const SECOND: i64 = 1_000_000;

impl Silence {
    /// What was found, as a sentence without its full stop.
    #[must_use]
    pub fn message(&self, as_of: Time) -> String {
        let Self { days, since, usual_days, stragglers, .. } = self;
        let interaction = self.interaction();
        let what = match stragglers {
            0 => format!("no {interaction}"),
            1 => format!("only one {interaction}"),
            few => format!("only {few} {interaction}s"),
        };
        let days = counted(*days, "day", "days");
        let (consequence, data) = match self.kind {
            None => ("everybody looks inactive", "the data".to_owned()),
            Some(kind::CANCEL) => ("nobody seems to leave", format!("the {interaction}s")),
            Some(_) => ("nobody seems to buy", format!("the {interaction}s")),
        };
        let usual = if *usual_days == 1 { "a day".to_owned() } else { format!("{usual_days} days") };
        format!(
            "{what} in the {days} before {as_of}, so that {consequence}: {data} end on {}, and before that \
             {interaction}s were at most {usual} apart",
            date(*since)
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let (since, interaction) = (self.since, self.interaction());
        match self.kind {
            None => {
                format!(
                    "did you mean `--as-of {since}`, the end of the data? Otherwise import what happened since"
                )
            }
            Some(_) => format!(
                "import the {interaction}s since then, or use `--as-of {since}`, where they end, as long as they are \
                 missing"
            ),
        }
    }

    fn interaction(&self) -> String {
        self.kind.map_or_else(|| "interaction".to_owned(), |kind| format!("`{kind}` interaction"))
    }
}

/// The UTC date of a moment.
fn date(time: Time) -> String {
    time.to_string().chars().take("2026-01-31".len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(days: impl Iterator<Item = i64>) -> DailyActivity {
        let mut activity = DailyActivity::default();
        days.for_each(|day| activity.count(Time(day * DAY + DAY / 2)));
        activity
    }

    fn silent_days(activity: &DailyActivity, as_of_day: i64) -> Option<i64> {
        activity.silence(Time(as_of_day * DAY)).map(|silence| silence.days)
    }

    #[test]
    fn a_silence_is_measured_by_the_usual_pace() {
        let daily = activity(18_000..18_500);
        assert_eq!(silent_days(&daily, 18_513), None, "two weeks are a holiday");
        assert_eq!(silent_days(&daily, 18_514), Some(15));
        // Somebody buys every 20 days: a silence of 40 days is not unusual.
        let rare = activity((18_000..18_500).step_by(20));
        assert_eq!(silent_days(&rare, 18_520), None);
        assert_eq!(silent_days(&rare, 18_521), Some(41));
    }

    #[test]
    fn purchases_may_end_while_visits_go_on() {
        let at = |day: i64| Time(day * DAY + DAY / 2);
        let mut history = History::default();
        for day in 18_000..18_500 {
            history.push("visit", at(day), at(day), None, None);
            if day < 18_400 {
                history.push(kind::PURCHASE, at(day), at(day), Some(100), None);
            }
        }
        let mut activity = Activity::default();
        let as_of = Time(18_500 * DAY);
        activity.add(&history, as_of, as_of);
        let silence = activity.silence(as_of, kind::PURCHASE).unwrap();
        assert_eq!((silence.days, silence.kind), (101, Some(kind::PURCHASE)));
        assert_eq!(activity.silence(as_of, kind::CANCEL), None, "nobody has ever cancelled");
        let later = Time(18_600 * DAY);
        assert_eq!(activity.silence(later, kind::PURCHASE).unwrap().kind, None, "nothing happens at all");
    }

    #[test]
    fn a_straggler_does_not_end_a_silence() {
        let mut tested = activity((0..2_000).map(|n| 18_000 + n / 4));
        tested.count(Time(18_699 * DAY));
        let silence = tested.silence(Time(18_700 * DAY)).unwrap();
        assert_eq!((silence.days, silence.stragglers), (201, 1));
        assert_eq!(silence.since, "2020-08-25T23:59:59Z".parse().unwrap());
    }

    #[test]
    fn winters_with_few_interactions_are_usual() {
        // Summers of 200 days with 20 interactions a day, and one in every 20 days of the winters.
        let mut seasonal = DailyActivity::default();
        for day in 18_000..18_730 {
            let count = if (day - 18_000) % 365 < 200 { 20 } else { i64::from(day % 20 == 0) };
            (0..count).for_each(|_| seasonal.count(Time(day * DAY)));
        }
        assert_eq!(silent_days(&seasonal, 18_720), None, "the second winter is like the first");
        let days: Vec<(usize, u32)> = vec![(0, 5), (10, 1), (30, 1), (35, 5), (50, 5)];
        assert_eq!([0, 1, 2, 4].map(|most| longest_span(&days, most)), [20, 30, 35, 35]);
        assert_eq!(longest_span(&days, 100), 50);
    }

    #[test]
    fn every_month_is_covered_by_more_than_a_year() {
        let daily = |days: i64| activity(18_000..18_000 + days);
        let covers = |activity: &DailyActivity| activity.covers_every_month_before_the_last(90);
        assert!(!covers(&daily(365 + 91)) && covers(&daily(365 + 92)));
        // Two years of which nothing is known in June (the days 151 to 180 of the year).
        let without_june = (18_000..18_730).filter(|day| Time(day * DAY).month() != 5);
        assert!(!covers(&activity(without_june)));
        assert!(!covers(&DailyActivity::default()));
    }

    #[test]
    fn few_interactions_have_no_pace() {
        assert_eq!(silent_days(&activity(18_000..18_009), 19_000), None);
        assert_eq!(silent_days(&DailyActivity::default(), 19_000), None);
    }
}
