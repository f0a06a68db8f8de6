//! The fold: a feature vector is a pure function of (history, as_of, known_at).
//!
//! Training asks for it at past moments, serving asks for it now, replay asks for it as it was; all
//! run [`Fold::row`]. Only what had happened at `as_of` *and* was known at `known_at` counts, so
//! that neither leakage nor a skew between training and serving can be written. A window of w days
//! is (as_of − w, as_of].
//!
//! A new feature is a variant of [`Measure`], its name, and its value in [`Fold::row`]; its
//! sentence for people stands in [`crate::explain`].

use std::{fmt, ptr};

use serde::{Deserialize, Serialize};

use crate::{
    bg_nbd::{BgNbd, Purchases},
    history::{AttributeValue, Attributes, Event, History, Version, kind},
    time::{DAY, Time},
};

/// What one feature measures. Values are `f64`, `NaN` stands for missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "measure", rename_all = "snake_case")]
pub enum Measure {
    /// Interactions of a kind in a window, or ever.
    Count {
        /// The kind of interaction.
        kind: String,
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// The sum of their amounts, in minor units of money.
    Amount {
        /// The kind of interaction.
        kind: String,
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// Days since the last interaction of a kind; missing when there is none.
    DaysSinceLast {
        /// The kind of interaction.
        kind: String,
    },
    /// Days since the first interaction of a kind; missing when there is none.
    DaysSinceFirst {
        /// The kind of interaction.
        kind: String,
    },
    /// The sum of a numeric property over the interactions of a kind in a window, or ever.
    PropertySum {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// Its mean over the interactions of the kind that carry it as a number; missing without.
    PropertyMean {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// The one that the latest of these interactions carries; missing without.
    PropertyLast {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// Days since the last interaction of any kind; missing when there is none.
    SilenceDays,
    /// Distinct UTC days with any interaction in a window, or ever.
    ActiveDays {
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// Distinct UTC days with a purchase.
    PurchaseDays,
    /// Mean days between consecutive purchases; missing below two purchases.
    MeanGapDays,
    /// Days since the last purchase divided by the mean gap; missing without a gap above 0.
    RecencyOverGap,
    /// Mean amount of the purchases that carry one, in minor units of money; missing without.
    AverageAmount,
    /// Returns divided by purchases; missing without a purchase.
    ReturnShare,
    /// Complaints without a later resolution.
    OpenComplaints,
    /// `score / expected` of the last survey that has both; missing without.
    Satisfaction,
    /// Interactions in the last 30 days against a third of those in the 90 days before, both plus
    /// one: above 1 is rising.
    Trend,
    /// Days since the relation began, at least 0; missing when that is unknown.
    TenureDays,
    /// Purchases to be expected in so many days, by the BG/NBD model; missing without a purchase.
    ExpectedPurchases {
        /// Days ahead.
        days: u32,
    },
    /// The probability of no purchase in so many days, by the BG/NBD model; missing without a purchase.
    NoPurchaseProbability {
        /// Days ahead.
        days: u32,
    },
    /// An attribute of the customer; missing when it has no (readable) value.
    Attribute {
        /// The attribute's name.
        name: String,
        /// How its values are read.
        #[serde(flatten)]
        scale: Scale,
    },
}

/// How an attribute's values are read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "scale", rename_all = "snake_case")]
pub enum Scale {
    /// A number, as it is.
    Number,
    /// 0 for false, 1 for true.
    Boolean,
    /// The index of the value among the levels; `levels.len()` stands for any other.
    Category {
        /// The commonest values, commonest first.
        levels: Vec<String>,
    },
}

/// The feature's name, unique within a plan: `purchase.count_30d`, `tenure_days`, `attribute.region`.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = |days: &Option<u32>| days.map_or("ever".to_owned(), |days| format!("{days}d"));
        match self {
            Self::Count { kind, days } => write!(f, "{kind}.count_{}", window(days)),
            Self::Amount { kind, days } => write!(f, "{kind}.amount_minor_{}", window(days)),
            Self::DaysSinceLast { kind } => write!(f, "{kind}.days_since_last"),
            Self::DaysSinceFirst { kind } => write!(f, "{kind}.days_since_first"),
            Self::PropertySum { kind, property, days } => {
                write!(f, "{kind}.{property}_sum_{}", window(days))
            }
            Self::PropertyMean { kind, property } => write!(f, "{kind}.{property}_mean"),
            Self::PropertyLast { kind, property } => write!(f, "{kind}.{property}_last"),
            Self::SilenceDays => f.write_str("days_since_last"),
            Self::ActiveDays { days } => write!(f, "active_days_{}", window(days)),
            Self::PurchaseDays => f.write_str("purchase.days_ever"),
            Self::MeanGapDays => f.write_str("purchase.mean_gap_days"),
            Self::RecencyOverGap => f.write_str("purchase.recency_over_gap"),
            Self::AverageAmount => f.write_str("purchase.average_amount_minor"),
            Self::ReturnShare => f.write_str("return_share"),
            Self::OpenComplaints => f.write_str("open_complaints"),
            Self::Satisfaction => f.write_str("satisfaction"),
            Self::Trend => f.write_str("trend"),
            Self::TenureDays => f.write_str("tenure_days"),
            Self::ExpectedPurchases { days } => write!(f, "purchase.expected_{days}d"),
            Self::NoPurchaseProbability { days } => write!(f, "purchase.none_probability_{days}d"),
            Self::Attribute { name, .. } => write!(f, "attribute.{name}"),
        }
    }
}

/// The BG/NBD model's view of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Days ahead.
    pub days: u32,
    /// Fitted in training; before, or when the purchases do not suffice, the features are missing.
    pub model: Option<BgNbd>,
}

impl Forecast {
    /// How many features there are.
    pub const WIDTH: usize = 2;

    /// The expected purchases, and the probability of none.
    #[must_use]
    pub fn values(&self, purchases: Option<&Purchases>) -> [f64; Self::WIDTH] {
        let weeks = f64::from(self.days) / 7.0;
        match (&self.model, purchases) {
            (Some(model), Some(purchases)) => {
                [model.expected_purchases(purchases, weeks), model.probability_of_none(purchases, weeks)]
            }
            _ => [f64::NAN; Self::WIDTH],
        }
    }
}

/// What the features are made of: the spec, resolved against the data that a model is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Lengths of the windows in days, rising.
    pub windows_days: Vec<u32>,
    /// The kinds of interaction that get features of their own.
    pub kinds: Vec<String>,
    /// The numeric properties that get features: kind of interaction and name.
    pub properties: Vec<(String, String)>,
    /// The attributes that get a feature: name and scale.
    pub attributes: Vec<(String, Scale)>,
    /// The BG/NBD features, which come last; churn by inactivity has them.
    pub forecast: Option<Forecast>,
}

impl Plan {
    /// All features in the order of the fold's row.
    #[must_use]
    pub fn measures(&self) -> Vec<Measure> {
        let windows = || self.windows_days.iter().copied().map(Some).chain([None]);
        let mut all = Vec::new();
        for kind in &self.kinds {
            let kind = || kind.clone();
            all.extend(windows().map(|days| Measure::Count { kind: kind(), days }));
            all.extend(windows().map(|days| Measure::Amount { kind: kind(), days }));
            all.extend([Measure::DaysSinceLast { kind: kind() }, Measure::DaysSinceFirst { kind: kind() }]);
        }
        for (kind, property) in &self.properties {
            let own = || (kind.clone(), property.clone());
            all.extend(windows().map(|days| {
                let (kind, property) = own();
                Measure::PropertySum { kind, property, days }
            }));
            let (kind, property) = own();
            all.push(Measure::PropertyMean { kind, property });
            let (kind, property) = own();
            all.push(Measure::PropertyLast { kind, property });
        }
        all.push(Measure::SilenceDays);
        all.extend(windows().map(|days| Measure::ActiveDays { days }));
        all.extend([
            Measure::PurchaseDays,
            Measure::MeanGapDays,
            Measure::RecencyOverGap,
            Measure::AverageAmount,
            Measure::ReturnShare,
            Measure::OpenComplaints,
            Measure::Satisfaction,
            Measure::Trend,
            Measure::TenureDays,
        ]);
        all.extend(
            self.attributes
                .iter()
                .map(|(name, scale)| Measure::Attribute { name: name.clone(), scale: scale.clone() }),
        );
        if let Some(Forecast { days, .. }) = self.forecast {
            all.extend([Measure::ExpectedPurchases { days }, Measure::NoPurchaseProbability { days }]);
        }
        all
    }

    /// How many features a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        let windows = self.windows_days.len() + 1;
        self.kinds.len() * (2 * windows + 2)
            + self.properties.len() * (windows + 2)
            + windows
            + 10
            + self.attributes.len()
            + self.forecast.map_or(0, |_| Forecast::WIDTH)
    }

    /// Whether the features are those of another plan, the same parameters of the forecast left aside.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { windows_days, kinds, properties, attributes, forecast } = self;
        *windows_days == other.windows_days
            && *kinds == other.kinds
            && *properties == other.properties
            && *attributes == other.attributes
            && forecast.map(|forecast| forecast.days) == other.forecast.map(|forecast| forecast.days)
    }

    /// Appends the raw feature values of `history` at `as_of`, as known at `known_at`, to `row`: see
    /// [`Fold::row`].
    pub fn fold(&self, history: &History, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        Fold::new(self, history).row(as_of, known_at, row);
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
        self.tallies.write_kinds(as_of, row);
        self.write_properties(as_of, known_at, row);
        let tallies = &self.tallies;
        row.push(tallies.run.last.map_or(f64::NAN, |last| as_of.days_since(last)));
        tallies.write_active_days(row);
        tallies.write_purchases(as_of, row);
        row.push(tallies.run.open_complaints as f64);
        row.push(satisfaction(history, as_of, known_at));
        let (recent, before) = (tallies.run.last_30_days as f64, tallies.run.the_90_before as f64);
        row.push((recent + 1.0) / (before / 3.0 + 1.0));
        row.push(match history.create_time(as_of, known_at) {
            Some(create_time) => as_of.days_since(create_time).max(0.0),
            None => f64::NAN,
        });
        self.read_attributes(history.version_at(as_of, known_at));
        row.extend_from_slice(&self.attributes);
        if let Some(forecast) = &plan.forecast {
            row.extend(forecast.values(self.purchases(as_of).as_ref()));
        }
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
        let Run { purchase_span, purchase_days, .. } = &self.tallies.run;
        purchase_span.map(|span| Purchases::new(*purchase_days, span.first, span.last, as_of))
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

impl Scale {
    /// The value of attribute `name` on this scale, `NaN` when there is none that fits.
    fn read(&self, attributes: &Attributes, name: &str) -> f64 {
        match (self, attributes.get(name)) {
            (Self::Number, Some(AttributeValue::Number(number))) => *number,
            (Self::Boolean, Some(AttributeValue::Boolean(truth))) => f64::from(*truth),
            (Self::Category { levels }, Some(value)) => {
                let level = level_name(value);
                levels.iter().position(|known| *known == *level).unwrap_or(levels.len()) as f64
            }
            _ => f64::NAN,
        }
    }
}

/// How a value is called when it is a level of a category.
#[must_use]
pub fn level_name(value: &AttributeValue) -> std::borrow::Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Number(number) => number.to_string().into(),
        AttributeValue::Boolean(truth) => truth.to_string().into(),
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

/// Count and sum of one kind in one stretch of time. The sum is wide enough for any number of amounts.
#[derive(Clone, Copy, Default)]
struct Bucket {
    count: u64,
    amount: i128,
}

/// First and last moment of one kind.
#[derive(Clone, Copy)]
struct Span {
    first: Time,
    last: Time,
}

/// What a history's kind means to the fold.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Purchase,
    Return,
    Complaint,
    Resolution,
    Other,
}

/// All sums of one row. Events are added newest first.
struct Tallies<'a> {
    plan: &'a Plan,
    /// Per kind of the history: its place in the plan, if it has one, and its role.
    slots: Vec<(Option<usize>, Role)>,
    /// Per kind of the plan: `windows + 1` buckets, each holding what the shorter windows do not.
    buckets: Vec<Bucket>,
    /// Per kind of the plan.
    spans: Vec<Option<Span>>,
    /// Per stretch: days whose newest event lies in it.
    active_days: Vec<u64>,
    run: Run,
}

/// What is summed up without regard to the plan.
#[derive(Default)]
struct Run {
    /// The stretch that the event at hand lies in: the first window that holds it.
    stretch: usize,
    /// When the newest event happened.
    last: Option<Time>,
    last_day: Option<i64>,
    purchases: u64,
    purchase_days: u32,
    purchase_span: Option<Span>,
    purchase_amounts: Bucket,
    returns: u64,
    last_resolution: Option<Time>,
    open_complaints: u64,
    last_30_days: u64,
    the_90_before: u64,
}

impl<'a> Tallies<'a> {
    fn new(plan: &'a Plan, history: &History) -> Self {
        let stretches = plan.windows_days.len() + 1;
        let slot = |kind: &str| {
            let role = match kind {
                kind::PURCHASE => Role::Purchase,
                kind::RETURN => Role::Return,
                kind::COMPLAINT => Role::Complaint,
                kind::RESOLUTION => Role::Resolution,
                _ => Role::Other,
            };
            (plan.kinds.iter().position(|known| known == kind), role)
        };
        Self {
            plan,
            slots: history.kinds().iter().map(|kind| slot(kind)).collect(),
            buckets: vec![Bucket::default(); plan.kinds.len() * stretches],
            spans: vec![None; plan.kinds.len()],
            active_days: vec![0; stretches],
            run: Run::default(),
        }
    }

    fn clear(&mut self) {
        self.buckets.fill(Bucket::default());
        self.spans.fill(None);
        self.active_days.fill(0);
        self.run = Run::default();
    }

    fn add(&mut self, event: Event, as_of: Time) {
        let age = as_of.0 - event.occur_time.0;
        let within = |days: u32| age < i64::from(days) * DAY;
        while self.plan.windows_days.get(self.run.stretch).is_some_and(|days| !within(*days)) {
            self.run.stretch += 1;
        }
        self.run.last = self.run.last.or(Some(event.occur_time));
        let day = event.occur_time.day_number();
        if self.run.last_day != Some(day) {
            self.run.last_day = Some(day);
            self.active_days[self.run.stretch] += 1;
        }
        if within(30) {
            self.run.last_30_days += 1;
        } else if within(120) {
            self.run.the_90_before += 1;
        }
        let amount = event.amount_minor.map(i128::from);
        let (place, role) = self.slots[event.kind as usize];
        if let Some(place) = place {
            let bucket = &mut self.buckets[place * self.active_days.len() + self.run.stretch];
            bucket.count += 1;
            bucket.amount += amount.unwrap_or(0);
            extend(&mut self.spans[place], event.occur_time);
        }
        match role {
            Role::Purchase => {
                self.run.purchases += 1;
                // The span begins at the purchase that was added last.
                let same_day = self.run.purchase_span.is_some_and(|span| span.first.day_number() == day);
                self.run.purchase_days += u32::from(!same_day);
                extend(&mut self.run.purchase_span, event.occur_time);
                self.run.purchase_amounts.count += u64::from(amount.is_some());
                self.run.purchase_amounts.amount += amount.unwrap_or(0);
            }
            Role::Return => self.run.returns += 1,
            Role::Resolution => {
                self.run.last_resolution = self.run.last_resolution.or(Some(event.occur_time));
            }
            // Newest first: any later resolution has been seen already.
            Role::Complaint => {
                let resolved =
                    self.run.last_resolution.is_some_and(|resolution| resolution > event.occur_time);
                self.run.open_complaints += u64::from(!resolved);
            }
            Role::Other => {}
        }
    }

    fn write_kinds(&self, as_of: Time, row: &mut Vec<f64>) {
        for (buckets, span) in self.buckets.chunks(self.active_days.len()).zip(&self.spans) {
            let mut count = 0;
            row.extend(buckets.iter().map(|bucket| {
                count += bucket.count;
                count as f64
            }));
            let mut amount = 0;
            row.extend(buckets.iter().map(|bucket| {
                amount += bucket.amount;
                real(amount)
            }));
            row.push(span.map_or(f64::NAN, |span| as_of.days_since(span.last)));
            row.push(span.map_or(f64::NAN, |span| as_of.days_since(span.first)));
        }
    }

    fn write_active_days(&self, row: &mut Vec<f64>) {
        let mut days = 0;
        row.extend(self.active_days.iter().map(|new| {
            days += new;
            days as f64
        }));
    }

    fn write_purchases(&self, as_of: Time, row: &mut Vec<f64>) {
        let gap = match self.run.purchase_span {
            Some(span) if self.run.purchases > 1 => {
                span.last.days_since(span.first) / (self.run.purchases - 1) as f64
            }
            _ => f64::NAN,
        };
        let recency = self.run.purchase_span.map_or(f64::NAN, |span| as_of.days_since(span.last));
        let share = |part: f64, whole: u64| if whole == 0 { f64::NAN } else { part / whole as f64 };
        row.push(f64::from(self.run.purchase_days));
        row.push(gap);
        row.push(if gap > 0.0 { recency / gap } else { f64::NAN });
        row.push(share(real(self.run.purchase_amounts.amount), self.run.purchase_amounts.count));
        row.push(share(self.run.returns as f64, self.run.purchases));
    }
}

/// The nearest `f64`. Nearly all sums fit into 64 bits, which the processor converts by itself.
fn real(sum: i128) -> f64 {
    /// Out of line, or else the compiler finds that both ways are this one.
    #[cold]
    #[inline(never)]
    fn wide(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| wide(sum), |sum| sum as f64)
}

/// Widens the span to an event that is not later than any before it.
fn extend(span: &mut Option<Span>, occur_time: Time) {
    match span {
        Some(span) => span.first = occur_time,
        None => *span = Some(Span { first: occur_time, last: occur_time }),
    }
}
