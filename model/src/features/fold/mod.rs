//! The fold: a feature vector is a pure function of (history, as_of, known_at).
//!
//! Training asks for it at past moments, serving asks for it now, replay asks for it as it was; all
//! run [`Fold::row`]. Only what had happened at `as_of` *and* was known at `known_at` counts, so
//! that neither leakage nor a skew between training and serving can be written. A window of w days
//! is (as_of − w, as_of].
//!
//! Most values change only when something happens, becomes known or leaves a window. Until then a row *stands*:
//! only its [`ElapsedTime`]s run, by which whoever scores the same customers again and again is spared the fold.

mod tallies;

use std::ptr;

use self::tallies::Tallies;
use crate::{
    features::Plan,
    features::bg_nbd::Purchases,
    history::{History, Version},
    time::{DAY, Time},
};

/// The windows of the trend, in days.
const TREND: [u32; 2] = [30, 120];

/// A value that grows as time goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElapsedTime {
    /// When it began to run. Before that it is 0.
    since: Time,
    /// In so many days it grows by one; above 0.
    unit: f64,
}

impl ElapsedTime {
    /// What it shows.
    #[must_use]
    pub fn value(&self, as_of: Time) -> f64 {
        as_of.days_since(self.since).max(0.0) / self.unit
    }

    /// A moment up to which it certainly shows no more than this: at most a millisecond too early, which is far
    /// more than what is lost in rounding.
    #[must_use]
    pub fn at_most_until(&self, value: f64) -> Time {
        const MARGIN: f64 = 1e3;
        let after = value * self.unit * DAY as f64 - MARGIN;
        // What is beyond all times becomes the greatest number.
        Time(self.since.0.saturating_add(after as i64))
    }
}

/// The values of a customer at a moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// [`Plan::width`] numbers in the order of [`Plan::measures`]; none when nothing is known of the customer.
    pub raw: Vec<f64>,
    /// The places of the values that run, rising. All others stand.
    pub clocks: Vec<(usize, ElapsedTime)>,
    /// The moment, and what was known.
    pub as_of: Time,
    /// See `as_of`.
    pub known_at: Time,
}

impl Default for Row {
    /// Of a moment before everything.
    fn default() -> Self {
        let before = Time(i64::MIN);
        Self { raw: Vec::new(), clocks: Vec::new(), as_of: before, known_at: before }
    }
}

impl Plan {
    /// Appends the raw feature values of `history` at `as_of`, as known at `known_at`, to `row`: see
    /// [`Fold::row`].
    pub fn fold(&self, history: &History, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        Fold::new(self, history).row(as_of, known_at, row);
    }

    /// The first moment, as `as_of` or `known_at`, at which a later row may differ by more than its clocks. It may
    /// name one at which nothing happens after all, never one that is too late.
    #[must_use]
    pub fn valid_until(&self, history: &History, as_of: Time, known_at: Time) -> Time {
        let windows = self.windows_days.iter().chain(&TREND).map(|days| i64::from(*days));
        let leaves = windows.filter_map(|days| {
            let oldest = history.first_after(as_of.plus_days(-days))?;
            (oldest <= as_of).then(|| oldest.plus_days(days))
        });
        // The forecast counts whole days.
        let midnight = self.forecast.map(|_| Time((as_of.day_number() + 1) * DAY));
        leaves.chain(midnight).fold(history.next_news(as_of, known_at), Time::min)
    }
}

/// A plan set to a history, for rows at as many moments as one likes: what is looked up by name is looked
/// up once.
pub struct Fold<'a> {
    plan: &'a Plan,
    history: &'a History,
    tallies: Tallies<'a>,
    /// Per kind and property of the history their place in the plan.
    places: Vec<Option<usize>>,
    /// Per property of the plan.
    properties: Vec<PropertyTally>,
    /// Per property of the plan and stretch of time.
    property_sums: Vec<f64>,
    /// The version of the customer record that was read last, and per attribute of the plan what it says.
    version: Option<&'a Version>,
    attributes: Vec<f64>,
    /// Of the row that was made last.
    clocks: Vec<(usize, ElapsedTime)>,
}

/// A row that is being written.
struct Out<'a> {
    as_of: Time,
    row: &'a mut Vec<f64>,
    /// Where it begins.
    begin: usize,
    clocks: &'a mut Vec<(usize, ElapsedTime)>,
}

impl Out<'_> {
    fn push(&mut self, value: f64) {
        self.row.push(value);
    }

    /// A value that runs, in units of so many days; missing when it has not begun.
    fn push_clock(&mut self, since: Option<Time>, unit: f64) {
        let clock = since.map(|since| ElapsedTime { since, unit });
        self.clocks.extend(clock.map(|clock| (self.row.len() - self.begin, clock)));
        self.row.push(clock.map_or(f64::NAN, |clock| clock.value(self.as_of)));
    }
}

/// What a property of the plan comes to at a moment.
#[derive(Clone, Copy)]
struct PropertyTally {
    count: u64,
    last: f64,
}

impl PropertyTally {
    const NONE: Self = Self { count: 0, last: f64::NAN };
}

impl<'a> Fold<'a> {
    /// Sets a plan to a history.
    #[must_use]
    pub fn new(plan: &'a Plan, history: &'a History) -> Self {
        let width = history.properties().len();
        let mut places = Vec::new();
        if !plan.properties.is_empty() {
            places.resize(history.kinds().len() * width, None);
        }
        for (place, (kind, name)) in plan.properties.iter().enumerate() {
            if let Some((kind, property)) = history.kind_slot(kind).zip(history.property_slot(name)) {
                places[kind as usize * width + property as usize] = Some(place);
            }
        }
        Self {
            plan,
            history,
            tallies: Tallies::new(plan, history),
            places,
            properties: vec![PropertyTally::NONE; plan.properties.len()],
            property_sums: vec![0.0; plan.properties.len() * (plan.windows_days.len() + 1)],
            version: None,
            attributes: vec![f64::NAN; plan.attributes.len()],
            clocks: Vec::new(),
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
        self.clocks.clear();
        let begin = row.len();
        let out = &mut Out { as_of, row, begin, clocks: &mut self.clocks };
        self.tallies.write_kinds(out);
        self.write_properties(as_of, known_at, row);
        let out = &mut Out { as_of, row, begin, clocks: &mut self.clocks };
        self.tallies.write_silence(out);
        self.tallies.write_active_days(out);
        self.tallies.write_purchases(out);
        self.tallies.write_complaints(out);
        out.push(satisfaction(history, as_of, known_at));
        self.tallies.write_trend(out);
        out.push_clock(history.create_time(as_of, known_at), 1.0);
        self.read_attributes(history.version_at(as_of, known_at));
        row.extend_from_slice(&self.attributes);
        if let Some(forecast) = &plan.forecast {
            row.extend(forecast.values(self.purchases(as_of).as_ref()));
        }
    }

    /// The places of the values that run in the row made last, rising.
    #[must_use]
    pub fn clocks(&self) -> &[(usize, ElapsedTime)] {
        &self.clocks
    }

    /// From moment to moment it is mostly the same version.
    fn read_attributes(&mut self, version: Option<&'a Version>) {
        if self.version.map(ptr::from_ref) == version.map(ptr::from_ref) {
            return;
        }
        self.version = version;
        for ((name, scale), value) in self.plan.attributes.iter().zip(&mut self.attributes) {
            *value = version.map_or(f64::NAN, |version| scale.read(&version.attributes, name));
        }
    }

    /// As the BG/NBD model looks at the purchases of the row that was made last, which was about `as_of`.
    #[must_use]
    pub fn purchases(&self, as_of: Time) -> Option<Purchases> {
        self.tallies.purchases(as_of)
    }

    /// The part of the row that is about properties. A sum of floating point numbers depends on its
    /// order: it goes from the newest to the oldest, and a window goes on from the next shorter one.
    fn write_properties(&mut self, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        let Self { plan, history, places, properties, property_sums, .. } = self;
        if properties.is_empty() {
            return;
        }
        let stretches = plan.windows_days.len() + 1;
        let width = history.properties().len();
        properties.fill(PropertyTally::NONE);
        property_sums.fill(0.0);
        for number in history.numbers_until(as_of).iter().rev() {
            let Some(kind) = history.kind_if_visible(number.event, as_of, known_at) else { continue };
            if let Some(place) = places[kind as usize * width + number.property as usize] {
                let age = as_of.0 - history.occur_time(number.event).0;
                let stretch = plan.windows_days.iter().position(|days| age < i64::from(*days) * DAY);
                property_sums[place * stretches + stretch.unwrap_or(stretches - 1)] += number.value;
                let property = &mut properties[place];
                if property.count == 0 {
                    property.last = number.value;
                }
                property.count += 1;
            }
        }
        for (sums, property) in property_sums.chunks(stretches).zip(properties) {
            let mut sum = 0.0;
            row.extend(sums.iter().map(|new| {
                sum += new;
                sum
            }));
            row.push(if property.count == 0 { f64::NAN } else { sum / property.count as f64 });
            row.push(property.last);
        }
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
