//! The reference: customers as plain lists of facts, and labels and snapshots written from the documentation alone.

use std::collections::BTreeMap;

use tally_model::{
    features::Plan,
    history::{History, Version},
    label::{Basis, Ineligible, LabelDefinition},
    spec::{ChurnEvent, Selector, Spec, Target},
    time::Time,
};

pub const MICROSECONDS_A_DAY: i64 = 86_400_000_000;
/// The greatest amount that a service accepts.
pub const GREATEST: i64 = 1_000_000_000_000_000;
/// Texts of properties and their numbers. Sums of these are exact in any order.
pub const VALUES: [(&str, Option<f64>); 18] = [
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
    ("a text of 64 bytes: 5678901234567890123456789012345678901234567x", None),
    ("a text of 65 bytes: 56789012345678901234567890123456789012345678x", None),
    ("", None),
];

#[derive(Clone, Debug)]
pub struct Interaction {
    pub id: String,
    pub kind: &'static str,
    pub occur: i64,
    pub record: i64,
    pub retract: Option<i64>,
    pub amount: Option<i64>,
    /// Empty for none.
    pub channel: &'static str,
    pub survey: Option<(f64, f64)>,
    pub properties: BTreeMap<&'static str, &'static str>,
}

/// A customer as plain lists of facts.
#[derive(Clone, Debug, Default)]
pub struct Customer {
    pub interactions: Vec<Interaction>,
    pub versions: Vec<Version>,
}

/// A moment, and the time at which its facts are known.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub as_of: i64,
    pub known_at: i64,
}

impl Interaction {
    /// Whether it was recorded and not retracted by `known_at`.
    pub fn is_known(&self, known_at: i64) -> bool {
        self.record <= known_at && self.retract.is_none_or(|retract| retract > known_at)
    }

    /// The value of a property that is a number.
    pub fn number(&self, property: &str) -> Option<f64> {
        let (_, number) = *VALUES.iter().find(|(text, _)| self.properties.get(property) == Some(text))?;
        number
    }

    /// The value of a property that is no number, if it is of at most 64 bytes and the property is no identifier.
    pub fn category(&self, property: &str) -> Option<&'static str> {
        let is_text = |text: &&str| VALUES.iter().any(|(known, number)| known == text && number.is_none());
        let text = self.properties.get(property).copied().filter(is_text)?;
        (text.len() <= 64 && property != "order_id").then_some(text)
    }
}

impl Customer {
    /// The history as a store returns it: ordered by time, equal times by interaction id.
    pub fn history(&self) -> History {
        let mut ordered: Vec<&Interaction> = self.interactions.iter().collect();
        ordered.sort_by_key(|interaction| (interaction.occur, &interaction.id));
        let mut history = History::default();
        for Interaction { kind, occur, record, retract, amount, channel, survey, properties, .. } in ordered {
            history.push(kind, Time(*occur), Time(*record), *amount, *survey);
            history.push_channel(channel);
            properties.iter().for_each(|(name, text)| history.push_property(name, text));
            retract.iter().for_each(|retract| history.push_retraction(Time(*retract)));
        }
        self.versions.iter().cloned().for_each(|version| history.push_version(version));
        history
    }

    pub fn row(&self, plan: &Plan, at: Moment) -> Vec<f64> {
        let mut row = Vec::new();
        plan.fold(&self.history(), Time(at.as_of), Time(at.known_at), &mut row);
        row
    }

    pub fn seen(&self, at: Moment) -> Vec<&Interaction> {
        let is_seen = |i: &&Interaction| i.occur <= at.as_of && i.is_known(at.known_at);
        self.interactions.iter().filter(is_seen).collect()
    }

    pub fn version(&self, at: Moment) -> Option<&Version> {
        let is_seen = |v: &&Version| v.effective_time.0 <= at.as_of && v.record_time.0 <= at.known_at;
        self.versions.iter().rfind(is_seen)
    }

    pub fn created(&self, at: Moment) -> Option<i64> {
        let first = || self.seen(at).iter().map(|interaction| interaction.occur).min();
        self.version(at).map(|version| version.create_time.0).or_else(first)
    }

    pub fn has(&self, kind: &str, at: Moment) -> bool {
        self.seen(at).iter().any(|interaction| interaction.kind == kind)
    }

    pub fn eligible(&self, outcome: &LabelDefinition, at: Moment) -> Result<Basis, Ineligible> {
        let happened = self.interactions.iter().any(|interaction| interaction.occur <= at.as_of);
        let began = self.versions.iter().any(|version| version.create_time.0 <= at.as_of);
        if !happened && !began {
            return Err(Ineligible::NotYetCreated);
        }
        let is_blank = self.version(at).is_none_or(|version| version.attributes.is_empty());
        match (outcome.target, outcome.event) {
            (Target::Lead, _) if self.has("purchase", at) => Err(Ineligible::NotALead),
            (Target::Churn, ChurnEvent::Inactivity) if !self.has("purchase", at) => {
                Err(Ineligible::NotABuyer)
            }
            (Target::Churn, ChurnEvent::Cancel) if self.related(&outcome.start_kinds, at).is_err() => {
                Err(self.related(&outcome.start_kinds, at).unwrap_err())
            }
            _ if self.seen(at).is_empty() && is_blank => Ok(Basis::Cold),
            _ => Ok(Basis::Model),
        }
    }

    /// Whether a `cancel` would end a relation: one began after every `cancel` so far.
    fn related(&self, start_kinds: &[String], at: Moment) -> Result<(), Ineligible> {
        let seen = self.seen(at);
        let cancels: Vec<i64> = seen.iter().filter(|i| i.kind == "cancel").map(|i| i.occur).collect();
        let starts = seen.iter().filter(|i| start_kinds.iter().any(|kind| *kind == i.kind)).map(|i| i.occur);
        let starts: Vec<i64> = starts.collect();
        if cancels.is_empty() && (start_kinds.is_empty() || !starts.is_empty()) {
            return Ok(());
        }
        if cancels.is_empty() {
            return Err(Ineligible::NotSubscribed);
        }
        let is_later = |start: &i64| cancels.iter().all(|cancel| cancel < start);
        if starts.iter().any(is_later) { Ok(()) } else { Err(Ineligible::AlreadyCancelled) }
    }

    pub fn label(&self, outcome: &LabelDefinition, at: Moment) -> bool {
        let until = at.as_of + i64::from(outcome.horizon_days) * MICROSECONDS_A_DAY;
        let happens = |kind: &str| {
            let it = |i: &Interaction| i.kind == kind && i.occur > at.as_of && i.occur <= until;
            self.interactions.iter().any(|i| it(i) && i.is_known(at.known_at))
        };
        match (outcome.target, outcome.event) {
            (Target::Lead, _) => happens("purchase"),
            (Target::Churn, ChurnEvent::Inactivity) => !happens("purchase"),
            (Target::Churn, ChurnEvent::Cancel) => happens("cancel"),
        }
    }

    /// The moments of snapshots by the spec, earliest first, ineligible ones included.
    pub fn moments(&self, spec: &Spec, outcome: &LabelDefinition, now: i64) -> Vec<i64> {
        let day = |days: u32| i64::from(days) * MICROSECONDS_A_DAY;
        let latest = now - day(outcome.horizon_days);
        match outcome.target {
            Target::Churn => (0..24).rev().map(|n| latest - day(n * spec.churn.cutoff_every_days)).collect(),
            Target::Lead => {
                let created = self.created(Moment { as_of: now, known_at: now });
                // Which ages `auto` stands for has tests of its own.
                let ages = match &spec.lead.ages_days {
                    Selector::List(ages) => ages.as_slice(),
                    Selector::Auto => &[],
                };
                ages.iter()
                    .filter_map(|age| Some(created? + day(*age)))
                    .filter(|as_of| *as_of <= latest)
                    .collect()
            }
        }
    }
}
