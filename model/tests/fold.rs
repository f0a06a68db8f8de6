//! The fold, the labels and the snapshots against a reference that is written from the documentation
//! of [`Measure`] alone: it keeps unordered interactions, looks at every one of them for every single
//! feature, and knows nothing of how the crate does it. Both must agree to the last bit on random
//! histories that crowd around the edges of the windows, of `as_of` and of `known_at`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    sample::{select, subsequence},
};
use tally_model::{
    features::{Measure, Plan, Scale, fold::Fold},
    history::{AttributeValue, Attributes, History, Version},
    label::{Basis, Ineligible, LabelDefinition},
    spec::{ChurnEvent, Spec, Target},
    time::Time,
    training::snapshot::{Sampling, Snapshots},
};

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;
/// The greatest amount that a service takes.
const GREATEST: i64 = 1_000_000_000_000_000;
/// What happens in the random histories; a plan knows some of it.
const KINDS: [&str; 8] =
    ["purchase", "return", "complaint", "resolution", "survey", "cancel", "visit", "call"];
/// Lengths of windows, and the edges that events crowd at.
const DAYS: [u32; 8] = [1, 7, 30, 60, 90, 120, 365, 3_650];
const LEVELS: [&str; 4] = ["north", "south", "1.5", "true"];
/// What properties say, and the number that it is. Sums of these are exact in whatever order.
const VALUES: [(&str, Option<f64>); 16] = [
    ("3", Some(3.0)),
    (" 12\t", Some(12.0)),
    ("-0.25", Some(-0.25)),
    ("+.5", Some(0.5)),
    ("1e3", Some(1_000.0)),
    ("0", Some(0.0)),
    ("-0", Some(0.0)),
    ("1000000000000001", None),
    ("-1e16", None),
    ("inf", None),
    ("NaN", None),
    ("0x10", None),
    ("1,5", None),
    ("12 units", None),
    ("north", None),
    ("", None),
];

// ---------------------------------------------------------------------------------------------------
// The reference
// ---------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Interaction {
    id: String,
    kind: &'static str,
    occur: i64,
    record: i64,
    amount: Option<i64>,
    survey: Option<(f64, f64)>,
    properties: BTreeMap<&'static str, &'static str>,
}

/// A customer as somebody would write it down who never heard of a fold.
#[derive(Clone, Debug, Default)]
struct Customer {
    interactions: Vec<Interaction>,
    versions: Vec<Version>,
}

/// What is asked: a moment, and how much is known of it.
#[derive(Clone, Copy, Debug)]
struct Moment {
    as_of: i64,
    known_at: i64,
}

impl Interaction {
    /// The number that a property of this interaction is.
    fn number(&self, property: &str) -> Option<f64> {
        let (_, number) = *VALUES.iter().find(|(text, _)| self.properties.get(property) == Some(text))?;
        number
    }
}

impl Customer {
    /// What a store would hand over: ordered by time, equal times by interaction id.
    fn history(&self) -> History {
        let mut ordered: Vec<&Interaction> = self.interactions.iter().collect();
        ordered.sort_by_key(|interaction| (interaction.occur, &interaction.id));
        let mut history = History::default();
        for Interaction { kind, occur, record, amount, survey, properties, .. } in ordered {
            history.push(kind, Time(*occur), Time(*record), *amount, *survey);
            properties.iter().for_each(|(name, text)| history.push_property(name, text));
        }
        self.versions.iter().cloned().for_each(|version| history.push_version(version));
        history
    }

    fn row(&self, plan: &Plan, at: Moment) -> Vec<f64> {
        let mut row = Vec::new();
        plan.fold(&self.history(), Time(at.as_of), Time(at.known_at), &mut row);
        row
    }

    fn seen(&self, at: Moment) -> Vec<&Interaction> {
        let is_seen = |i: &&Interaction| i.occur <= at.as_of && i.record <= at.known_at;
        self.interactions.iter().filter(is_seen).collect()
    }

    fn version(&self, at: Moment) -> Option<&Version> {
        let is_seen = |v: &&Version| v.effective_time.0 <= at.as_of && v.record_time.0 <= at.known_at;
        self.versions.iter().rfind(is_seen)
    }

    fn created(&self, at: Moment) -> Option<i64> {
        let first = || self.seen(at).iter().map(|interaction| interaction.occur).min();
        self.version(at).map(|version| version.create_time.0).or_else(first)
    }

    fn feature(&self, measure: &Measure, at: Moment) -> f64 {
        let within = |interaction: &Interaction, days: Option<u32>| {
            days.is_none_or(|days| interaction.occur > at.as_of - i64::from(days) * MICROSECONDS_A_DAY)
        };
        let seen = || self.seen(at).into_iter();
        let of = |kind: &str| {
            let kind = kind.to_owned();
            self.seen(at).into_iter().filter(move |interaction| interaction.kind == kind)
        };
        let purchases = || of("purchase").map(|purchase| purchase.occur);
        let age = |moment: i64| days_between(moment, at.as_of);
        match measure {
            Measure::ExpectedPurchases { .. } | Measure::NoPurchaseProbability { .. } => f64::NAN, // None of these plans has a forecast.
            Measure::Count { kind, days } => of(kind).filter(|i| within(i, *days)).count() as f64,
            Measure::Amount { kind, days } => sum(of(kind).filter(|i| within(i, *days))),
            Measure::DaysSinceLast { kind } => of(kind).map(|i| i.occur).max().map_or(f64::NAN, age),
            Measure::DaysSinceFirst { kind } => of(kind).map(|i| i.occur).min().map_or(f64::NAN, age),
            Measure::PropertySum { kind, property, days } => {
                of(kind).filter(|i| within(i, *days)).filter_map(|i| i.number(property)).sum::<f64>() + 0.0
            }
            Measure::PropertyMean { kind, property } => {
                let numbers: Vec<f64> = of(kind).filter_map(|i| i.number(property)).collect();
                match numbers.len() {
                    0 => f64::NAN,
                    many => (numbers.iter().sum::<f64>() + 0.0) / many as f64,
                }
            }
            Measure::PropertyLast { kind, property } => {
                let told = of(kind).filter_map(|i| Some((i.occur, &i.id, i.number(property)?)));
                told.max_by_key(|(occur, id, _)| (*occur, *id)).map_or(f64::NAN, |(.., number)| number)
            }
            Measure::SilenceDays => seen().map(|i| i.occur).max().map_or(f64::NAN, age),
            Measure::PurchaseDays => {
                let days = purchases().map(|occur| occur.div_euclid(MICROSECONDS_A_DAY));
                days.collect::<BTreeSet<_>>().len() as f64
            }
            Measure::ActiveDays { days } => {
                let days =
                    seen().filter(|i| within(i, *days)).map(|i| i.occur.div_euclid(MICROSECONDS_A_DAY));
                days.collect::<BTreeSet<_>>().len() as f64
            }
            Measure::MeanGapDays => mean_gap(purchases().collect()),
            Measure::RecencyOverGap => match mean_gap(purchases().collect()) {
                gap if gap > 0.0 => age(purchases().max().unwrap()) / gap,
                _ => f64::NAN,
            },
            Measure::AverageAmount => match of("purchase").filter(|p| p.amount.is_some()).count() {
                0 => f64::NAN,
                carrying => sum(of("purchase")) / carrying as f64,
            },
            Measure::ReturnShare => match purchases().count() {
                0 => f64::NAN,
                bought => of("return").count() as f64 / bought as f64,
            },
            Measure::OpenComplaints => {
                let resolutions: Vec<i64> = of("resolution").map(|resolution| resolution.occur).collect();
                let open = |complaint: &&Interaction| !resolutions.iter().any(|time| *time > complaint.occur);
                of("complaint").filter(open).count() as f64
            }
            Measure::Satisfaction => of("survey")
                .filter_map(|survey| Some((survey.occur, &survey.id, readable(survey.survey?)?)))
                .max_by_key(|(occur, id, _)| (*occur, *id))
                .map_or(f64::NAN, |(.., (score, expected))| score / expected),
            Measure::Trend => {
                let recent = seen().filter(|i| within(i, Some(30))).count();
                let before = seen().filter(|i| !within(i, Some(30)) && within(i, Some(120))).count();
                (recent as f64 + 1.0) / (before as f64 / 3.0 + 1.0)
            }
            Measure::TenureDays => match self.created(at) {
                None => f64::NAN,
                Some(created) if created >= at.as_of => 0.0,
                Some(created) => age(created),
            },
            Measure::Attribute { name, scale } => self
                .version(at)
                .and_then(|version| version.attributes.get(name))
                .map_or(f64::NAN, |v| read(v, scale)),
        }
    }

    fn has(&self, kind: &str, at: Moment) -> bool {
        self.seen(at).iter().any(|interaction| interaction.kind == kind)
    }

    fn eligible(&self, outcome: LabelDefinition, at: Moment) -> Result<Basis, Ineligible> {
        let nothing_told = self.version(at).is_none_or(|version| version.attributes.is_empty());
        match (outcome.target, outcome.event) {
            (Target::Lead, _) if self.has("purchase", at) => Err(Ineligible::NotALead),
            (Target::Churn, ChurnEvent::Inactivity) if !self.has("purchase", at) => {
                Err(Ineligible::NotABuyer)
            }
            (Target::Churn, ChurnEvent::Cancel) if self.has("cancel", at) => {
                Err(Ineligible::AlreadyCancelled)
            }
            _ if self.seen(at).is_empty() && nothing_told => Ok(Basis::Cold),
            _ => Ok(Basis::Model),
        }
    }

    fn label(&self, outcome: LabelDefinition, at: Moment) -> bool {
        let until = at.as_of + i64::from(outcome.horizon_days) * MICROSECONDS_A_DAY;
        let happens = |kind: &str| {
            let it = |i: &Interaction| i.kind == kind && i.occur > at.as_of && i.occur <= until;
            self.interactions.iter().any(|i| it(i) && i.record <= at.known_at)
        };
        match (outcome.target, outcome.event) {
            (Target::Lead, _) => happens("purchase"),
            (Target::Churn, ChurnEvent::Inactivity) => !happens("purchase"),
            (Target::Churn, ChurnEvent::Cancel) => happens("cancel"),
        }
    }

    /// Where the spec wants snapshots, earliest first, those of the ineligible not yet taken out.
    fn moments(&self, spec: &Spec, outcome: LabelDefinition, now: i64) -> Vec<i64> {
        let day = |days: u32| i64::from(days) * MICROSECONDS_A_DAY;
        let latest = now - day(outcome.horizon_days);
        match outcome.target {
            Target::Churn => (0..24).rev().map(|n| latest - day(n * spec.churn.cutoff_every_days)).collect(),
            Target::Lead => {
                let created = self.created(Moment { as_of: now, known_at: now });
                let ages = spec.lead.ages_days.iter();
                ages.filter_map(|age| Some(created? + day(*age))).filter(|as_of| *as_of <= latest).collect()
            }
        }
    }
}

fn days_between(earlier: i64, later: i64) -> f64 {
    (later - earlier) as f64 / MICROSECONDS_A_DAY as f64
}

fn sum<'a>(interactions: impl Iterator<Item = &'a Interaction>) -> f64 {
    interactions.filter_map(|interaction| interaction.amount).map(i128::from).sum::<i128>() as f64
}

fn mean_gap(mut moments: Vec<i64>) -> f64 {
    moments.sort_unstable();
    let gaps: Vec<i64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    match gaps.len() {
        0 => f64::NAN,
        many => days_between(0, gaps.iter().sum()) / many as f64,
    }
}

fn readable((score, expected): (f64, f64)) -> Option<(f64, f64)> {
    let fine = score.is_finite() && expected.is_finite() && expected > 0.0 && (score / expected).is_finite();
    fine.then_some((score, expected))
}

fn read(value: &AttributeValue, scale: &Scale) -> f64 {
    match (scale, value) {
        (Scale::Number, AttributeValue::Number(number)) => *number,
        (Scale::Boolean, AttributeValue::Boolean(truth)) => f64::from(u8::from(*truth)),
        (Scale::Number | Scale::Boolean, _) => f64::NAN,
        (Scale::Category { levels }, value) => {
            let called = match value {
                AttributeValue::Boolean(truth) => truth.to_string(),
                AttributeValue::Number(number) => number.to_string(),
                AttributeValue::Text(text) => text.clone(),
            };
            levels.iter().position(|level| *level == called).unwrap_or(levels.len()) as f64
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// Random histories
// ---------------------------------------------------------------------------------------------------

/// Microseconds off an edge.
fn nudge() -> impl Strategy<Value = i64> {
    select(&[-1_i64, 0, 0, 1][..])
}

/// A moment relative to `as_of`: at an edge of a window or of a day, or anywhere.
fn around(as_of: i64) -> impl Strategy<Value = i64> {
    let midnight = as_of.div_euclid(MICROSECONDS_A_DAY) * MICROSECONDS_A_DAY;
    prop_oneof![
        4 => (select(&DAYS[..]), nudge())
            .prop_map(move |(days, nudge)| as_of - i64::from(days) * MICROSECONDS_A_DAY + nudge),
        2 => nudge().prop_map(move |nudge| as_of + nudge),
        2 => (0_i64..5, nudge()).prop_map(move |(days, nudge)| midnight - days * MICROSECONDS_A_DAY + nudge),
        4 => (-500 * MICROSECONDS_A_DAY..40 * MICROSECONDS_A_DAY).prop_map(move |offset| as_of + offset),
    ]
}

/// When something was recorded.
#[derive(Clone, Copy, Debug)]
enum Record {
    /// So long after it happened.
    After(i64),
    /// At this moment.
    At(i64),
}

impl Record {
    const fn time(self, occur: i64) -> i64 {
        match self {
            Self::After(delay) => occur + delay,
            Self::At(time) => time,
        }
    }
}

/// Mostly at once, else later (or sooner, by a clock that is wrong), or close to `known_at`.
fn record(known_at: i64) -> impl Strategy<Value = Record> {
    prop_oneof![
        6 => Just(Record::After(0)),
        2 => (-MICROSECONDS_A_DAY..100 * MICROSECONDS_A_DAY).prop_map(Record::After),
        2 => nudge().prop_map(move |nudge| Record::At(known_at + nudge)),
    ]
}

fn amount() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        (-10_000_i64..100_000).prop_map(Some),
        select(&[GREATEST, -GREATEST, i64::MAX, -i64::MAX][..]).prop_map(Some),
    ]
}

fn answer() -> impl Strategy<Value = Option<(f64, f64)>> {
    let odd = [(5.0, 0.0), (5.0, -1.0), (f64::NAN, 5.0), (5.0, f64::INFINITY), (-2.0, 5.0), (0.0, 3.0)];
    prop_oneof![Just(None), (0.0..10.0, 1.0..10.0).prop_map(Some), select(odd.to_vec()).prop_map(Some),]
}

prop_compose! {
    fn interaction(at: Moment)(
        id in any::<u16>(),
        kind in select(&KINDS[..]),
        occur in around(at.as_of),
        record in record(at.known_at),
        amount in amount(),
        survey in answer(),
        properties in properties(),
    ) -> Interaction {
        let record = record.time(occur);
        Interaction { id: format!("{id:04x}"), kind, occur, record, amount, survey, properties }
    }
}

fn properties() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    let value = select(&VALUES[..]).prop_map(|(text, _)| text);
    prop_oneof![
        Just(BTreeMap::new()),
        prop::collection::btree_map(select(&["units", "minutes", "note"][..]), value, 0..3),
    ]
}

/// Interactions with ids of their own. Some come many times, and now and then so often that their
/// amounts add up to more than an `i64` holds; those have no properties, whose sums would not be exact.
fn interactions(at: Moment) -> impl Strategy<Value = Vec<Interaction>> {
    let copies = prop_oneof![60 => Just(1_usize), 10 => 2_usize..5, 1 => 9_300_usize..9_400];
    let one = (interaction(at), copies).prop_map(|(interaction, copies)| {
        let is_paired_off = ["complaint", "resolution"].contains(&interaction.kind);
        let mut interaction = interaction;
        if copies > 5 {
            interaction.properties.clear();
        }
        vec![interaction; if is_paired_off { copies.min(5) } else { copies }]
    });
    prop::collection::vec(one, 0..40).prop_map(|bunches| {
        let mut all = bunches.concat();
        for (n, interaction) in all.iter_mut().enumerate() {
            interaction.id += &format!("-{n}");
        }
        all
    })
}

fn attribute() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<bool>().prop_map(AttributeValue::Boolean),
        select(&[-3.0, 0.0, 1.5, 1e15][..]).prop_map(AttributeValue::Number),
        select(&["north", "south", "1.5", "true", "elsewhere", ""][..])
            .prop_map(|text| AttributeValue::Text(text.to_owned())),
    ]
}

prop_compose! {
    fn version(at: Moment)(
        effective in around(at.as_of),
        record in record(at.known_at),
        create in around(at.as_of),
        attributes in prop::collection::btree_map(select(&["a", "b", "c"][..]), attribute(), 0..4),
    ) -> Version {
        let attributes: Attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Version {
            effective_time: Time(effective),
            record_time: Time(record.time(effective)),
            create_time: Time(create),
            attributes,
        }
    }
}

fn customer(at: Moment) -> impl Strategy<Value = Customer> {
    (interactions(at), prop::collection::vec(version(at), 0..4))
        .prop_map(|(interactions, versions)| Customer { interactions, versions })
}

fn scale() -> impl Strategy<Value = Scale> {
    let levels = subsequence(LEVELS.to_vec(), 0..=LEVELS.len());
    prop_oneof![
        Just(Scale::Number),
        Just(Scale::Boolean),
        levels.prop_map(|levels| Scale::Category { levels: levels.into_iter().map(str::to_owned).collect() }),
    ]
}

prop_compose! {
    fn plan()(
        windows_days in subsequence(DAYS.to_vec(), 0..=DAYS.len()),
        kinds in subsequence([&KINDS[..], &["unheard_of"]].concat(), 0..=5).prop_shuffle(),
        properties in prop::collection::btree_set(
            (select(&KINDS[..4]), select(&["units", "minutes", "unheard_of"][..])),
            0..4,
        ),
        scales in prop::collection::vec(scale(), 0..4),
    ) -> Plan {
        let names = ["a", "b", "c", "d"].into_iter().map(str::to_owned);
        let kinds = kinds.into_iter().map(str::to_owned).collect();
        let properties = properties.into_iter().map(|(kind, name)| (kind.to_owned(), name.to_owned())).collect();
        Plan { windows_days, kinds, properties, attributes: names.zip(scales).collect(), forecast: None }
    }
}

/// Some time of 2024, often midnight to the microsecond; mostly all is known that had happened.
fn moment() -> impl Strategy<Value = Moment> {
    let time = prop_oneof![nudge(), 0..MICROSECONDS_A_DAY];
    let known = prop_oneof![Just(0), nudge(), -100 * MICROSECONDS_A_DAY..100 * MICROSECONDS_A_DAY];
    (19_800_i64..19_900, time, known).prop_map(|(day, time, known)| {
        let as_of = day * MICROSECONDS_A_DAY + time;
        Moment { as_of, known_at: as_of + known }
    })
}

fn case() -> impl Strategy<Value = (Plan, Moment, Customer)> {
    (plan(), moment()).prop_flat_map(|(plan, at)| (Just(plan), Just(at), customer(at)))
}

fn outcome() -> impl Strategy<Value = LabelDefinition> {
    let target = select(&Target::ALL[..]);
    let event = select(&[ChurnEvent::Inactivity, ChurnEvent::Cancel][..]);
    (target, event, select(&DAYS[..6])).prop_map(|(target, event, horizon_days)| LabelDefinition {
        target,
        event,
        horizon_days,
    })
}

/// A spec that means this outcome.
fn spec(outcome: LabelDefinition) -> Spec {
    let mut spec = Spec::default();
    spec.churn.event = outcome.event;
    spec.set_horizon_days(outcome.target, outcome.horizon_days);
    spec
}

// ---------------------------------------------------------------------------------------------------
// Both agree
// ---------------------------------------------------------------------------------------------------

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// The features by name that differ in a bit.
fn differences(plan: &Plan, got: &[f64], wanted: &[f64]) -> Vec<String> {
    let names = plan.measures().into_iter().map(|measure| measure.to_string());
    let pairs = names.zip(got.iter().zip(wanted)).filter(|(_, (got, wanted))| bits(**got) != bits(**wanted));
    pairs.map(|(name, (got, wanted))| format!("{name} is {got}, not {wanted}")).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_feature_is_what_its_documentation_says((plan, at, customer) in case()) {
        let wanted: Vec<f64> = plan.measures().iter().map(|measure| customer.feature(measure, at)).collect();
        let got = customer.row(&plan, at);
        prop_assert_eq!(got.len(), plan.width());
        prop_assert_eq!(wanted.len(), plan.width());
        prop_assert_eq!(differences(&plan, &got, &wanted), Vec::<String>::new());
    }

    #[test]
    fn a_row_is_appended_and_leaves_what_stands_before_it((plan, at, customer) in case()) {
        let mut rows = vec![1.0, -2.5];
        plan.fold(&customer.history(), Time(at.as_of), Time(at.known_at), &mut rows);
        prop_assert_eq!(&rows[..2], &[1.0, -2.5]);
        prop_assert_eq!(differences(&plan, &rows[2..], &customer.row(&plan, at)), Vec::<String>::new());
    }

    #[test]
    fn a_row_stands_until_it_says_so_but_for_its_clocks(
        (plan, at, customer) in case(),
        shares in [0.0_f64..1.0, 0.0..1.0],
    ) {
        let history = customer.history();
        let mut row = Vec::new();
        let mut fold = Fold::new(&plan, &history);
        fold.row(Time(at.as_of), Time(at.known_at), &mut row);
        let running: Vec<bool> = plan.measures().iter().map(Measure::is_time_dependent).collect();
        let clocks: Vec<usize> = fold.elapsed().iter().map(|(place, _)| *place).collect();
        let with_value = (0..row.len()).filter(|place| running[*place] && !row[*place].is_nan());
        prop_assert_eq!(clocks, with_value.collect::<Vec<_>>(), "these run, and no others");
        let Time(until) = plan.valid_until(&history, Time(at.as_of), Time(at.known_at));
        prop_assert!(until > at.as_of.min(at.known_at));
        let later = |moment: i64, share: f64| {
            let most = (until - 1).min(moment + 100 * MICROSECONDS_A_DAY);
            moment + ((most - moment) as f64 * share) as i64
        };
        let [some, other] = shares;
        for [a, b] in [[some, other], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]] {
            let then = Moment { as_of: later(at.as_of, a), known_at: later(at.known_at, b) };
            if then.as_of < at.as_of || then.known_at < at.known_at {
                // One of the moments is beyond the end already.
                continue;
            }
            let mut expected = row.clone();
            for (place, clock) in fold.elapsed() {
                expected[*place] = clock.value(Time(then.as_of));
            }
            prop_assert_eq!(differences(&plan, &expected, &customer.row(&plan, then)), Vec::<String>::new());
        }
    }

    #[test]
    fn what_comes_later_or_is_learned_later_changes_nothing(
        (plan, at, customer, more) in case().prop_flat_map(|(plan, at, customer_)| {
            (Just(plan), Just(at), Just(customer_), customer(at))
        }),
        after in 1..50 * MICROSECONDS_A_DAY,
    ) {
        let mut told = customer.clone();
        for (n, mut interaction) in more.interactions.into_iter().enumerate() {
            if n % 2 == 0 {
                interaction.occur = at.as_of + after;
            } else {
                interaction.record = at.known_at + after;
            }
            interaction.id.push('+');
            told.interactions.push(interaction);
        }
        for (n, mut version) in more.versions.into_iter().enumerate() {
            if n % 2 == 0 {
                version.effective_time.0 = at.as_of + after;
            } else {
                version.record_time.0 = at.known_at + after;
            }
            told.versions.insert(n % (told.versions.len() + 1), version);
        }
        let (before, now) = (customer.row(&plan, at), told.row(&plan, at));
        prop_assert_eq!(differences(&plan, &now, &before), Vec::<String>::new());
        let outcome = LabelDefinition { target: Target::Lead, event: ChurnEvent::Inactivity, horizon_days: 30 };
        let eligible = |customer: &Customer| outcome.eligible(&customer.history(), Time(at.as_of), Time(at.known_at));
        prop_assert_eq!(eligible(&told), eligible(&customer));
    }

    #[test]
    fn the_order_of_equal_times_matters_only_to_what_is_latest((plan, at, mut customer) in case(), turn in 0_usize..40) {
        // Coarse times, so that many are equal.
        for interaction in &mut customer.interactions {
            interaction.occur -= interaction.occur.rem_euclid(20 * MICROSECONDS_A_DAY);
            interaction.survey = None;
        }
        let mut turned = customer.clone();
        let ids: Vec<String> = customer.interactions.iter().map(|interaction| interaction.id.clone()).collect();
        for (interaction, id) in turned.interactions.iter_mut().zip(ids.iter().cycle().skip(turn)) {
            interaction.id.clone_from(id);
        }
        let (one, other) = (customer.row(&plan, at), turned.row(&plan, at));
        let mut found = differences(&plan, &other, &one);
        found.retain(|difference| !difference.contains("_last is "));
        prop_assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn labels_and_eligibility_are_what_their_documentation_says(
        (_, at, customer) in case(),
        outcome in outcome(),
        back in select(&DAYS[..6]),
    ) {
        let history = customer.history();
        // Asked at `as_of` and at moments whose horizon ends near it.
        for days in [0, back, outcome.horizon_days] {
            let at = Moment { as_of: at.as_of - i64::from(days) * MICROSECONDS_A_DAY, ..at };
            let (as_of, known_at) = (Time(at.as_of), Time(at.known_at));
            prop_assert_eq!(outcome.label(&history, as_of, known_at), customer.label(outcome, at));
            prop_assert_eq!(outcome.eligible(&history, as_of, known_at), customer.eligible(outcome, at));
        }
    }

    #[test]
    fn snapshots_stand_where_the_spec_says_and_know_what_was_known_then(
        (plan, at, customer) in case(),
        outcome in outcome(),
    ) {
        let (spec, now) = (spec(outcome), at.as_of);
        let mut got = Snapshots::default();
        let sampling = Sampling::new(outcome.target, &spec, Time(now));
        got.add("somebody", &customer.history(), &plan, &sampling);

        let mut wanted = Snapshots::default();
        for as_of in customer.moments(&spec, outcome, now) {
            let (then, today) = (Moment { as_of, known_at: as_of }, Moment { as_of, known_at: now });
            if customer.eligible(outcome, then) == Ok(Basis::Model) && customer.eligible(outcome, today).is_ok() {
                wanted.customers = vec!["somebody".to_owned()];
                wanted.customer.push(0);
                wanted.as_of.push(Time(as_of));
                wanted.label.push(customer.label(outcome, today));
                wanted.features.extend(customer.row(&plan, then));
            }
        }
        prop_assert_eq!(&got.as_of, &wanted.as_of);
        prop_assert_eq!(&got.label, &wanted.label);
        prop_assert_eq!((&got.customer, &got.customers), (&wanted.customer, &wanted.customers));
        prop_assert!(got.features.iter().map(|v| bits(*v)).eq(wanted.features.iter().map(|v| bits(*v))));
    }

    #[test]
    fn snapshots_never_read_what_is_later_than_now(
        (plan, at, customer, more) in case().prop_flat_map(|(plan, at, customer)| {
            (Just(plan), Just(at), Just(customer), interactions(at))
        }),
        outcome in outcome(),
        after in 1..50 * MICROSECONDS_A_DAY,
    ) {
        let mut told = customer.clone();
        for (n, mut interaction) in more.into_iter().enumerate() {
            let late = if n % 2 == 0 { &mut interaction.occur } else { &mut interaction.record };
            *late = at.as_of + after;
            interaction.id.push('+');
            told.interactions.push(interaction);
        }
        let rows = |customer: &Customer| {
            let mut rows = Snapshots::default();
            let sampling = Sampling::new(outcome.target, &spec(outcome), Time(at.as_of));
            rows.add("somebody", &customer.history(), &plan, &sampling);
            (rows.as_of, rows.label, rows.features.into_iter().map(bits).collect::<Vec<_>>())
        };
        prop_assert_eq!(rows(&told), rows(&customer));
    }
}

// ---------------------------------------------------------------------------------------------------
// The edges, one by one
// ---------------------------------------------------------------------------------------------------

const AS_OF: i64 = 19_800 * MICROSECONDS_A_DAY + 12 * 3_600_000_000;
const NOW: Moment = Moment { as_of: AS_OF, known_at: AS_OF };

/// Something of a kind, so many microseconds before `AS_OF`, known at once.
fn ago(kind: &'static str, microseconds: i64) -> Interaction {
    let occur = AS_OF - microseconds;
    Interaction {
        id: String::new(),
        kind,
        occur,
        record: occur,
        amount: Some(100),
        survey: None,
        properties: BTreeMap::new(),
    }
}

/// A visit of so many minutes.
fn minutes(text: &'static str, microseconds: i64) -> Interaction {
    Interaction { properties: [("minutes", text)].into(), ..ago("visit", microseconds) }
}

/// A customer of these interactions, whose ids rise in the order given.
fn with(interactions: impl IntoIterator<Item = Interaction>) -> Customer {
    let numbered = interactions.into_iter().enumerate();
    let interactions = numbered.map(|(n, i)| Interaction { id: format!("{n:05}"), ..i }).collect();
    Customer { interactions, versions: Vec::new() }
}

/// The value of the feature of this name in a plan of visits and purchases in windows of 7 and 30 days.
fn value(customer: &Customer, at: Moment, name: &str) -> f64 {
    let kinds = ["visit", "purchase"].map(str::to_owned).to_vec();
    let properties = vec![("visit".to_owned(), "minutes".to_owned())];
    let attributes = vec![("a".to_owned(), Scale::Number)];
    let plan = Plan { windows_days: vec![7, 30], kinds, properties, attributes, forecast: None };
    let place = plan.measures().iter().position(|measure| measure.to_string() == name).unwrap();
    customer.row(&plan, at)[place]
}

#[test]
fn a_window_is_open_at_its_start_and_closed_at_its_end() {
    for (microseconds, week, month, ever) in [
        (-1, 0.0, 0.0, 0.0),
        (0, 1.0, 1.0, 1.0),
        (1, 1.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY - 1, 1.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY, 0.0, 1.0, 1.0),
        (7 * MICROSECONDS_A_DAY + 1, 0.0, 1.0, 1.0),
        (30 * MICROSECONDS_A_DAY - 1, 0.0, 1.0, 1.0),
        (30 * MICROSECONDS_A_DAY, 0.0, 0.0, 1.0),
    ] {
        let customer = with([minutes("12", microseconds)]);
        for (window, wanted) in [("7d", week), ("30d", month), ("ever", ever)] {
            for (feature, scale) in [
                ("visit.count_", 1.0),
                ("visit.amount_minor_", 100.0),
                ("visit.minutes_sum_", 12.0),
                ("active_days_", 1.0),
            ] {
                let got = value(&customer, NOW, &format!("{feature}{window}"));
                assert_eq!(got, wanted * scale, "{feature}{window} of a visit {microseconds} µs ago");
            }
        }
    }
}

#[test]
fn a_property_counts_where_it_is_a_number_that_is_known() {
    let told = [minutes("1.25", 5), minutes("long", 6), minutes("4", 7), ago("visit", 8), minutes("-0.5", 9)];
    let late = Interaction { record: AS_OF + 1, ..minutes("100", 4) };
    let of_calls = Interaction { kind: "call", ..minutes("1000", 3) };
    let customer = with(told.into_iter().chain([late, of_calls, minutes("10000", -1)]));
    for (feature, wanted, when_known) in [
        ("visit.minutes_sum_7d", 4.75, 104.75),
        ("visit.minutes_sum_ever", 4.75, 104.75),
        ("visit.minutes_mean", 4.75 / 3.0, 104.75 / 4.0),
        ("visit.minutes_last", 1.25, 100.0),
        ("days_since_last", 3.0 / MICROSECONDS_A_DAY as f64, 3.0 / MICROSECONDS_A_DAY as f64),
    ] {
        assert_eq!(value(&customer, NOW, feature), wanted, "{feature}");
        let later = Moment { known_at: AS_OF + 1, ..NOW };
        assert_eq!(value(&customer, later, feature), when_known, "{feature}");
    }
    let greatest =
        with([minutes("1e15", 1), minutes("1000000000000001", 2), minutes("-1e15", 8 * MICROSECONDS_A_DAY)]);
    assert_eq!(value(&greatest, NOW, "visit.minutes_sum_7d"), 1e15);
    assert_eq!(value(&greatest, NOW, "visit.minutes_sum_30d"), 0.0);
    let without = with([ago("visit", 5), minutes("long", 4)]);
    assert_eq!(value(&without, NOW, "visit.minutes_sum_ever"), 0.0);
    assert!(value(&without, NOW, "visit.minutes_mean").is_nan());
    assert!(value(&without, NOW, "visit.minutes_last").is_nan());
}

#[test]
fn what_is_recorded_a_microsecond_after_known_at_is_unknown() {
    for (late, wanted) in [(-1, 1.0), (0, 1.0), (1, 0.0)] {
        let visit = ago("visit", 5 * MICROSECONDS_A_DAY);
        let customer = with([Interaction { record: AS_OF + late, ..visit }]);
        assert_eq!(value(&customer, NOW, "visit.count_ever"), wanted, "{late} µs late");
        assert_eq!(value(&customer, NOW, "tenure_days").is_nan(), wanted == 0.0);
    }
}

#[test]
fn a_replay_may_know_less_or_more_than_the_moment_itself() {
    let visit = ago("visit", 5 * MICROSECONDS_A_DAY);
    let customer = with([Interaction { record: AS_OF + 10, ..visit }, ago("visit", -5)]);
    let known_at = |offset: i64| Moment { as_of: AS_OF, known_at: AS_OF + offset };
    assert_eq!(value(&customer, known_at(9), "visit.count_ever"), 0.0);
    assert_eq!(value(&customer, known_at(10), "visit.count_ever"), 1.0, "but never what happens later");
}

#[test]
fn a_label_looks_from_just_after_as_of_to_the_end_of_the_horizon() {
    let lead = LabelDefinition { target: Target::Lead, event: ChurnEvent::Inactivity, horizon_days: 30 };
    let churn = LabelDefinition { target: Target::Churn, horizon_days: 90, ..lead };
    let cancel = LabelDefinition { event: ChurnEvent::Cancel, ..churn };
    for (outcome, kind, positive) in
        [(lead, "purchase", true), (churn, "purchase", false), (cancel, "cancel", true)]
    {
        let end = i64::from(outcome.horizon_days) * MICROSECONDS_A_DAY;
        for (after, inside) in
            [(-1, false), (0, false), (1, true), (end - 1, true), (end, true), (end + 1, false)]
        {
            let history = with([ago(kind, -after)]).history();
            let label = outcome.label(&history, Time(AS_OF), Time(AS_OF + 2 * end));
            assert_eq!(label, inside == positive, "{kind} {after} µs after, {outcome:?}");
        }
        let history = with([ago(kind, -5)]).history();
        assert_eq!(outcome.label(&history, Time(AS_OF), Time(AS_OF + 4)), !positive, "not yet known");
        assert_eq!(outcome.label(&history, Time(AS_OF), Time(AS_OF + 5)), positive);
    }
}

#[test]
fn a_snapshot_whose_horizon_is_not_over_is_not_used() {
    let spec = Spec::default();
    let plan = Plan {
        windows_days: vec![7],
        kinds: Vec::new(),
        properties: Vec::new(),
        attributes: Vec::new(),
        forecast: None,
    };
    let history = with([ago("visit", 0)]).history();
    let rows = |target: Target, now: i64| {
        let mut rows = Snapshots::default();
        rows.add("somebody", &history, &plan, &Sampling::new(target, &spec, Time(now)));
        rows.as_of
    };
    let days = |days: i64| AS_OF + days * MICROSECONDS_A_DAY;
    assert_eq!(rows(Target::Lead, days(30) - 1), []);
    assert_eq!(rows(Target::Lead, days(30)), [Time(AS_OF)]);
    assert_eq!(rows(Target::Lead, days(37)), [Time(AS_OF), Time(days(7))]);
    assert_eq!(rows(Target::Churn, days(500)), [], "not a buyer");
}

#[test]
fn a_purchase_reported_late_neither_makes_a_lead_nor_is_known_to_it() {
    let purchase = ago("purchase", -3 * MICROSECONDS_A_DAY);
    let reported = |after: i64| {
        let customer = with([
            ago("visit", 0),
            Interaction { record: AS_OF + after * MICROSECONDS_A_DAY, ..purchase.clone() },
        ]);
        let kinds = vec!["purchase".to_owned()];
        let plan = Plan {
            windows_days: Vec::new(),
            kinds,
            properties: Vec::new(),
            attributes: Vec::new(),
            forecast: None,
        };
        let mut rows = Snapshots::default();
        let now = Time(AS_OF + 60 * MICROSECONDS_A_DAY);
        rows.add("somebody", &customer.history(), &plan, &Sampling::new(Target::Lead, &Spec::default(), now));
        let counts: Vec<f64> = rows.features.chunks(plan.width()).map(|row| row[0]).collect();
        (rows.as_of.len(), rows.label, counts)
    };
    assert_eq!(reported(40), (1, vec![true], vec![0.0]), "no lead at the age of 7 days, as known now");
    assert_eq!(reported(60), (1, vec![true], vec![0.0]), "known at the last moment");
    assert_eq!(reported(61), (3, vec![false; 3], vec![0.0; 3]), "nobody knows yet");
}

#[test]
fn days_are_those_of_utc_and_begin_at_midnight() {
    let noon = 12 * 3_600_000_000;
    let customer = |first: i64, second: i64| with([ago("visit", first), ago("visit", second)]);
    assert_eq!(value(&customer(noon, noon + 1), NOW, "active_days_7d"), 2.0, "midnight and just before");
    assert_eq!(value(&customer(0, noon), NOW, "active_days_7d"), 1.0, "midnight and noon");
    let bought = [noon + 1, noon, 5, 0].map(|microseconds| ago("purchase", microseconds));
    assert_eq!(value(&with(bought), NOW, "purchase.days_ever"), 2.0, "one before, three after midnight");
}

#[test]
fn a_resolution_at_the_very_moment_of_a_complaint_does_not_resolve_it() {
    let both = |complaint: i64, resolution: i64| {
        let (complaint, resolution) = (ago("complaint", complaint), ago("resolution", resolution));
        let orders = [[complaint.clone(), resolution.clone()], [resolution, complaint]];
        orders.map(|order| value(&with(order), NOW, "open_complaints"))
    };
    assert_eq!(both(5, 5), [1.0; 2]);
    assert_eq!(both(5, 4), [0.0; 2]);
    assert_eq!(both(5, 6), [1.0; 2]);
}

#[test]
fn of_two_surveys_at_the_same_time_the_one_of_the_greater_id_speaks() {
    let survey = |score: f64| Interaction { survey: Some((score, 8.0)), ..ago("survey", 5) };
    assert_eq!(value(&with([survey(4.0), survey(6.0)]), NOW, "satisfaction"), 0.75);
    assert_eq!(value(&with([survey(6.0), survey(4.0)]), NOW, "satisfaction"), 0.5);
    let silent = Interaction { survey: None, ..survey(0.0) };
    assert_eq!(
        value(&with([survey(6.0), silent]), NOW, "satisfaction"),
        0.75,
        "one without a pair says nothing"
    );
}

#[test]
fn sums_beyond_64_bits_are_right() {
    let purchases = |amount: i64, times: usize| {
        std::iter::repeat_n(Interaction { amount: Some(amount), ..ago("purchase", 1) }, times)
    };
    let rich = with(purchases(GREATEST, 20_000));
    assert_eq!(value(&rich, NOW, "purchase.amount_minor_7d"), 2e19);
    assert_eq!(value(&rich, NOW, "purchase.average_amount_minor"), 1e15);
    let poor = with(purchases(-GREATEST, 20_000));
    assert_eq!(value(&poor, NOW, "purchase.amount_minor_ever"), -2e19);
    let even = with(purchases(GREATEST, 10_001).chain(purchases(-GREATEST, 10_000)));
    assert_eq!(value(&even, NOW, "purchase.amount_minor_ever"), 1e15, "nothing is lost on the way");
}

#[test]
fn the_trend_sets_30_days_against_the_90_before() {
    let trend = |microseconds: i64| value(&with([ago("visit", microseconds)]), NOW, "trend");
    let day = MICROSECONDS_A_DAY;
    assert_eq!(trend(30 * day - 1), 2.0);
    assert_eq!(trend(30 * day), 1.0 / (1.0 / 3.0 + 1.0));
    assert_eq!(trend(120 * day - 1), 1.0 / (1.0 / 3.0 + 1.0));
    assert_eq!(trend(120 * day), 1.0);
}

#[test]
fn the_version_of_the_greatest_number_counts_that_was_in_force_and_known() {
    let version = |effective: i64, record: i64, number: f64| Version {
        effective_time: Time(AS_OF + effective),
        record_time: Time(AS_OF + record),
        create_time: Time(AS_OF - MICROSECONDS_A_DAY),
        attributes: [("a".to_owned(), AttributeValue::Number(number))].into(),
    };
    let attribute = |versions: &[Version]| {
        value(&Customer { versions: versions.to_vec(), ..Customer::default() }, NOW, "attribute.a")
    };
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(0, 0, 2.0)]), 2.0);
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(1, 0, 2.0)]), 1.0, "not yet in force");
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(0, 1, 2.0)]), 1.0, "not yet known");
    assert_eq!(attribute(&[version(-5, -5, 1.0), version(-9, -2, 2.0)]), 2.0, "a correction of the past");
    assert!(attribute(&[version(1, 1, 1.0)]).is_nan());
}

#[test]
fn every_feature_has_a_name_of_its_own() {
    let attributes = ["a", "b"].map(|name| (name.to_owned(), Scale::Number)).to_vec();
    let own = |(kind, name): (&str, &str)| (kind.to_owned(), name.to_owned());
    let properties = [("visit", "count"), ("call", "amount_minor"), ("call", "x"), ("call.x", "sum_7d")];
    let plan = Plan {
        windows_days: DAYS.to_vec(),
        kinds: KINDS.map(str::to_owned).to_vec(),
        properties: properties.map(own).to_vec(),
        attributes,
        forecast: None,
    };
    let names: BTreeSet<String> = plan.measures().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), plan.width());
}
