//! The fold: a feature vector is a pure function of (history, as_of, known_at).
//!
//! Training asks for it at past moments, serving asks for it now, replay asks for it as it was; all run
//! [`Fold::row`]. Only what happened by `as_of` *and* was known at `known_at` counts, so that neither leakage nor
//! a skew between training and serving can be written. A window of w days is (as_of − w, as_of].
//!
//! Most values change only when something happens, becomes known or leaves a window. Until then
//! ([`Plan::valid_until`]) a row stays valid except for its time-dependent values, which its [`ElapsedTime`]s give
//! at any moment. Scoring the same customers repeatedly needs no fold in between.

mod categories;
mod discounts;
mod properties;
mod tallies;

use std::{iter, ptr};

use self::{categories::Categories, discounts::Discounts, properties::PropertyTallies, tallies::Tallies};
use crate::{
    features::{Measure, Plan, bg_nbd::Purchases},
    history::{History, Version},
    time::{DAY, Time},
};

/// The windows of the trend, in days.
const TREND: [u32; 2] = [30, 120];

/// A value that grows with time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElapsedTime {
    /// When it begins to grow; 0 before.
    since: Time,
    /// The days in which it grows by one; above 0.
    unit: f64,
}

impl ElapsedTime {
    /// The value at `as_of`.
    #[must_use]
    pub fn value(&self, as_of: Time) -> f64 {
        as_of.days_since(self.since).max(0.0) / self.unit
    }

    /// A moment up to which the value is certainly at most `value`: at most a millisecond too early, which is far
    /// more than the error of rounding.
    #[must_use]
    pub fn at_most_until(&self, value: f64) -> Time {
        const MARGIN: f64 = 1e3;
        let after = value * self.unit * DAY as f64 - MARGIN;
        // A moment beyond all times becomes the greatest number.
        Time(self.since.0.saturating_add(after as i64))
    }
}

/// The raw values of a customer at a moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// [`Plan::width`] numbers in the order of [`Plan::measures`]; empty when nothing is known of the customer.
    pub raw: Vec<f64>,
    /// The time-dependent values that are not missing: index in `raw`, rising, and how they grow.
    pub elapsed: Vec<(usize, ElapsedTime)>,
    /// The moment.
    pub as_of: Time,
    /// When that was known.
    pub known_at: Time,
    /// When the relation began, as known then.
    pub create_time: Option<Time>,
}

impl Default for Row {
    /// An empty row at a moment before all others.
    fn default() -> Self {
        let before = Time(i64::MIN);
        Self { raw: Vec::new(), elapsed: Vec::new(), as_of: before, known_at: before, create_time: None }
    }
}

impl Plan {
    /// Appends the raw feature values of `history` at `as_of`, as known at `known_at`, to `row`: see
    /// [`Fold::row`].
    pub fn fold(&self, history: &History, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        Fold::new(self, history).row(as_of, known_at, row);
    }

    /// The first moment, as `as_of` or as `known_at`, at which the row may differ in more than its time-dependent
    /// values. It may be too early, never too late.
    #[must_use]
    pub fn valid_until(&self, history: &History, as_of: Time, known_at: Time) -> Time {
        let windows = self.windows_days.iter().chain(&TREND).map(|days| i64::from(*days));
        let leaves = windows.filter_map(|days| {
            let oldest = history.first_after(as_of.plus_days(-days))?;
            (oldest <= as_of).then(|| oldest.plus_days(days))
        });
        // The forecast counts whole days.
        let midnight = self.forecast.map(|_| Time((as_of.day_number() + 1) * DAY));
        let next_month = self.habits.month.then(|| as_of.next_month());
        leaves.chain(midnight).chain(next_month).fold(history.next_change(as_of, known_at), Time::min)
    }
}

/// Which of the features of habits that take time to compute are wanted; the others are missing in the row. A model
/// reads those of its encoder alone, and is scored from many histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    trends: bool,
    discounts: bool,
    categories: bool,
}

impl Wanted {
    /// All features.
    pub const ALL: Self = Self { trends: true, discounts: true, categories: true };

    /// These features.
    #[must_use]
    pub fn by<'m>(measures: impl Iterator<Item = &'m Measure>) -> Self {
        let mut wanted = Self { trends: false, discounts: false, categories: false };
        for measure in measures {
            match measure {
                Measure::KindTrend { .. } => wanted.trends = true,
                Measure::DiscountShare { .. } => wanted.discounts = true,
                Measure::ChannelLast { .. }
                | Measure::ChannelCommonest { .. }
                | Measure::ChannelCount { .. }
                | Measure::PropertyDistinct { .. }
                | Measure::PropertyCommonest { .. } => wanted.categories = true,
                _ => {}
            }
        }
        wanted
    }
}

/// The fold of one history by one plan, for rows at any number of moments: names are looked up once.
pub struct Fold<'a> {
    plan: &'a Plan,
    wanted: Wanted,
    history: &'a History,
    tallies: Tallies<'a>,
    properties: PropertyTallies<'a>,
    discounts: Option<Discounts<'a>>,
    categories: Option<Categories<'a>>,
    /// The version of the customer record that was read last, and per attribute of the plan its value.
    version: Option<&'a Version>,
    attributes: Vec<f64>,
    /// The time-dependent values of the last row.
    elapsed: Vec<(usize, ElapsedTime)>,
}

/// Writes a row.
struct RowWriter<'a> {
    as_of: Time,
    row: &'a mut Vec<f64>,
    /// Where the row begins.
    begin: usize,
    elapsed: &'a mut Vec<(usize, ElapsedTime)>,
}

impl RowWriter<'_> {
    fn push(&mut self, value: f64) {
        self.row.push(value);
    }

    /// Writes the time elapsed since a moment, in units of days; missing without a moment.
    fn push_elapsed(&mut self, since: Option<Time>, unit: f64) {
        let elapsed = since.map(|since| ElapsedTime { since, unit });
        self.elapsed.extend(elapsed.map(|elapsed| (self.row.len() - self.begin, elapsed)));
        self.row.push(elapsed.map_or(f64::NAN, |elapsed| elapsed.value(self.as_of)));
    }
}

impl<'a> Fold<'a> {
    /// Prepares the fold of a history.
    #[must_use]
    pub fn new(plan: &'a Plan, history: &'a History) -> Self {
        Self::of_wanted(plan, Wanted::ALL, history)
    }

    /// Prepares the fold of a history for rows in which features that are not wanted may be missing.
    #[must_use]
    pub fn of_wanted(plan: &'a Plan, wanted: Wanted, history: &'a History) -> Self {
        let discount = plan.habits.discount.as_ref().filter(|_| wanted.discounts);
        Self {
            plan,
            wanted,
            history,
            tallies: Tallies::new(plan, wanted.trends && plan.habits.trends, history),
            properties: PropertyTallies::new(plan, history),
            discounts: discount.map(|property| Discounts::new(history, property)),
            categories: if wanted.categories { Categories::new(&plan.habits, history) } else { None },
            version: None,
            attributes: vec![f64::NAN; plan.attributes.len()],
            elapsed: Vec::new(),
        }
    }

    /// Appends the raw feature values at `as_of`, as known at `known_at`, to `row`: [`Plan::width`] numbers in
    /// the order of [`Plan::measures`].
    pub fn row(&mut self, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        let (plan, history) = (self.plan, self.history);
        self.tallies.clear();
        for event in history.visible(as_of, known_at).rev() {
            self.tallies.add(event, as_of);
        }
        self.elapsed.clear();
        let begin = row.len();
        let out = &mut RowWriter { as_of, row, begin, elapsed: &mut self.elapsed };
        self.tallies.write_kinds(out);
        self.properties.write(as_of, known_at, out.row);
        self.tallies.write_silence(out);
        self.tallies.write_active_days(out);
        self.tallies.write_purchases(out);
        self.tallies.write_complaints(out);
        out.push(satisfaction(history, as_of, known_at));
        self.tallies.write_trend(out);
        out.push_elapsed(history.create_time(as_of, known_at), 1.0);
        if plan.has_returned() {
            self.tallies.write_returned(out);
        }
        self.read_attributes(history.version_at(as_of, known_at));
        row.extend_from_slice(&self.attributes);
        self.write_habits(as_of, known_at, row);
        if let Some(forecast) = &plan.forecast {
            row.extend(forecast.values(self.purchases(as_of).as_ref()));
        }
    }

    /// Appends the features of habits, after the tallies of the row were taken.
    fn write_habits(&mut self, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        let (habits, wanted) = (&self.plan.habits, self.wanted);
        let leave_out = |row: &mut Vec<f64>, width| row.extend(iter::repeat_n(f64::NAN, width));
        match (habits.trends, wanted.trends) {
            (true, true) => self.tallies.write_kind_trends(row),
            (true, false) => leave_out(row, self.plan.kinds.len()),
            (false, _) => {}
        }
        if habits.gap_variation {
            row.push(self.tallies.gap_variation());
        }
        match &self.discounts {
            Some(discounts) => row.push(discounts.share(as_of, known_at, self.tallies.purchase_count())),
            None => leave_out(row, usize::from(habits.discount.is_some())),
        }
        if habits.arrival_weekday {
            let arrival = self.history.create_time(as_of, known_at);
            row.push(arrival.map_or(f64::NAN, |arrival| arrival.weekday().into()));
        }
        if habits.month {
            row.push(as_of.month().into());
        }
        match &mut self.categories {
            Some(categories) => categories.write(as_of, known_at, row),
            None => leave_out(row, habits.category_width()),
        }
    }

    /// The time-dependent values of the last row that are not missing: index in the row, rising, and how they grow.
    #[must_use]
    pub fn elapsed(&self) -> &[(usize, ElapsedTime)] {
        &self.elapsed
    }

    /// Reads the attributes, unless the version is that of the last row, as it mostly is.
    fn read_attributes(&mut self, version: Option<&'a Version>) {
        if self.version.map(ptr::from_ref) == version.map(ptr::from_ref) {
            return;
        }
        self.version = version;
        for ((name, scale), value) in self.plan.attributes.iter().zip(&mut self.attributes) {
            *value = version.map_or(f64::NAN, |version| scale.read(&version.attributes, name));
        }
    }

    /// The purchases of the last row as the BG/NBD model counts them; `as_of` is that of the row.
    #[must_use]
    pub fn purchases(&self, as_of: Time) -> Option<Purchases> {
        self.tallies.purchases(as_of)
    }
}

/// `score / expected` of the last visible survey that has both.
fn satisfaction(history: &History, as_of: Time, known_at: Time) -> f64 {
    history
        .surveys()
        .iter()
        .rev()
        .find(|survey| history.kind_if_visible(survey.event, as_of, known_at).is_some())
        .map_or(f64::NAN, |survey| survey.satisfaction)
}
