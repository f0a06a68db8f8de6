//! Random plans, moments and customers, whose interactions are close to the edges of windows, of `as_of` and of
//! `known_at`.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    sample::{select, subsequence},
};
use tally_model::{
    features::{Category, Habits, Plan, Scale},
    history::{AttributeValue, Attributes, Version},
    label::LabelDefinition,
    spec::{ChurnEvent, Selector, Spec, Target},
    time::Time,
};

use crate::reference::{Customer, GREATEST, Interaction, MICROSECONDS_A_DAY, Moment, VALUES};

/// What happens in the random histories; a plan knows some of it.
pub const KINDS: [&str; 9] =
    ["purchase", "return", "complaint", "resolution", "survey", "cancel", "visit", "call", "subscribe"];
/// What may begin a relation.
const STARTS: [&str; 3] = ["subscribe", "purchase", "unheard_of"];
/// Lengths of windows, and the edges that events are close to.
pub const DAYS: [u32; 8] = [1, 7, 30, 60, 90, 120, 365, 3_650];
const CHANNELS: [&str; 5] = ["", "", "web", "shop", "7"];
/// Texts of properties that may be levels.
const TEXTS: [&str; 5] = ["north", "1,5", "inf", "unheard of", "12 units"];
const LEVELS: [&str; 4] = ["north", "south", "1.5", "true"];

/// Microseconds from an edge.
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
    /// This long after it happened.
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

/// Mostly at once, else later (or earlier, by a wrong clock), or close to `known_at`.
fn record(known_at: i64) -> impl Strategy<Value = Record> {
    prop_oneof![
        6 => Just(Record::After(0)),
        2 => (-MICROSECONDS_A_DAY..100 * MICROSECONDS_A_DAY).prop_map(Record::After),
        2 => nudge().prop_map(move |nudge| Record::At(known_at + nudge)),
    ]
}

/// Mostly never; else at any time around the present, or close to `known_at`.
fn retract(known_at: i64) -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        6 => Just(None),
        1 => nudge().prop_map(move |nudge| Some(known_at + nudge)),
        1 => (-100 * MICROSECONDS_A_DAY..100 * MICROSECONDS_A_DAY).prop_map(move |offset| Some(known_at + offset)),
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
        retract in retract(at.known_at),
        amount in amount(),
        (channel, survey) in (select(&CHANNELS[..]), answer()),
        properties in properties(),
    ) -> Interaction {
        let record = record.time(occur);
        Interaction { id: format!("{id:04x}"), kind, occur, record, retract, amount, channel, survey, properties }
    }
}

fn properties() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    let value = select(&VALUES[..]).prop_map(|(text, _)| text);
    prop_oneof![
        Just(BTreeMap::new()),
        prop::collection::btree_map(select(&["units", "minutes", "note", "order_id"][..]), value, 0..3),
    ]
}

/// Interactions with distinct ids. Some are repeated, and a few so often that their amounts add up to more than
/// an `i64` holds; those have no properties, whose sums would not be exact.
pub fn interactions(at: Moment) -> impl Strategy<Value = Vec<Interaction>> {
    let copies = prop_oneof![60 => Just(1_usize), 10 => 2_usize..5, 1 => 9_300_usize..9_400];
    let one = (interaction(at), copies).prop_map(|(interaction, copies)| {
        let is_paired = ["complaint", "resolution"].contains(&interaction.kind);
        let mut interaction = interaction;
        if copies > 5 {
            interaction.properties.clear();
        }
        vec![interaction; if is_paired { copies.min(5) } else { copies }]
    });
    prop::collection::vec(one, 0..40).prop_map(|groups| {
        let mut all = groups.concat();
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

pub fn customer(at: Moment) -> impl Strategy<Value = Customer> {
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

fn start_kinds() -> impl Strategy<Value = Vec<String>> {
    subsequence(STARTS.to_vec(), 0..=STARTS.len())
        .prop_map(|kinds| kinds.into_iter().map(str::to_owned).collect())
}

fn category() -> impl Strategy<Value = Category> {
    let property = select(&["units", "note", "order_id", "unheard_of"][..]);
    let levels = subsequence(TEXTS.to_vec(), 0..=TEXTS.len());
    (select(&KINDS[..4]), property, levels).prop_map(|(kind, property, levels)| Category {
        kind: kind.to_owned(),
        property: property.to_owned(),
        levels: levels.into_iter().map(str::to_owned).collect(),
    })
}

fn habits() -> impl Strategy<Value = Habits> {
    let discount = select(&[None, Some("units"), Some("minutes"), Some("unheard_of")][..]);
    let channels = subsequence(["shop", "unheard_of", "web"].to_vec(), 0..=3);
    let single = (any::<[bool; 4]>(), discount);
    (single, channels, prop::collection::vec(category(), 0..4)).prop_map(|(single, channels, categories)| {
        let ([trends, gap_variation, arrival_weekday, month], discount) = single;
        let channels = channels.into_iter().map(str::to_owned).collect();
        let discount = discount.map(str::to_owned);
        Habits { trends, gap_variation, discount, arrival_weekday, month, channels, categories }
    })
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
        start_kinds in start_kinds(),
        habits in habits(),
    ) -> Plan {
        let names = ["a", "b", "c", "d"].into_iter().map(str::to_owned);
        let kinds = kinds.into_iter().map(str::to_owned).collect();
        let properties = properties.into_iter().map(|(kind, name)| (kind.to_owned(), name.to_owned())).collect();
        let attributes = names.zip(scales).collect();
        Plan { windows_days, kinds, properties, attributes, start_kinds, habits, forecast: None }
    }
}

/// A moment of 2024, often exactly midnight; mostly everything that happened is known.
pub fn moment() -> impl Strategy<Value = Moment> {
    let time = prop_oneof![nudge(), 0..MICROSECONDS_A_DAY];
    let known = prop_oneof![Just(0), nudge(), -100 * MICROSECONDS_A_DAY..100 * MICROSECONDS_A_DAY];
    (19_800_i64..19_900, time, known).prop_map(|(day, time, known)| {
        let as_of = day * MICROSECONDS_A_DAY + time;
        Moment { as_of, known_at: as_of + known }
    })
}

pub fn case() -> impl Strategy<Value = (Plan, Moment, Customer)> {
    (plan(), moment()).prop_flat_map(|(plan, at)| (Just(plan), Just(at), customer(at)))
}

pub fn outcome() -> impl Strategy<Value = LabelDefinition> {
    let target = select(&Target::ALL[..]);
    let event = select(&[ChurnEvent::Inactivity, ChurnEvent::Cancel][..]);
    (target, event, select(&DAYS[..6]), start_kinds()).prop_map(|(target, event, horizon_days, kinds)| {
        let has_relations = (target, event) == (Target::Churn, ChurnEvent::Cancel);
        let start_kinds = if has_relations { kinds } else { Vec::new() };
        LabelDefinition { target, event, horizon_days, start_kinds }
    })
}

/// A spec for this outcome.
pub fn spec(outcome: &LabelDefinition) -> Spec {
    let mut spec = Spec::default();
    spec.churn.event = outcome.event;
    spec.churn.start_kinds = Selector::List(outcome.start_kinds.clone());
    spec.lead.ages_days = Selector::List(vec![0, 7, 30]);
    spec.set_horizon_days(outcome.target, outcome.horizon_days);
    spec
}
