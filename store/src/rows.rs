//! Rows as both databases hand them over and take them, and how they become domain values.
//!
//! The column types differ only in how a moment is stored, which [`Stamp`] hides.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::de::{MapAccess, Visitor};
use sqlx::{FromRow, types::Json};
use tally_model::{
    evaluation::drift::Counts,
    history::{Attributes, History, kind},
    scoring::{Grade, Reason},
    spec::Target,
    time::Time,
    training::compare::Pair,
    training::snapshot::Basis,
};

use super::{
    Change, Customer, Interaction, PastPrediction, Prediction, Promotion, PromotionKind, ScoredPopulation,
    StoredModel,
};
use crate::error::{Result, StoreError};

/// A moment as a column: TIMESTAMPTZ in PostgreSQL, microseconds in SQLite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp(pub(super) Time);

/// The properties of an interaction; sorted, since a database keeps them in an order of its own.
pub(super) type Properties = BTreeMap<String, String>;

/// A customer with its latest attributes.
#[derive(FromRow)]
pub(super) struct CustomerRow {
    customer_id: String,
    name: String,
    create_time: Stamp,
    attributes: Option<Json<Attributes>>,
}

impl From<CustomerRow> for Customer {
    fn from(row: CustomerRow) -> Self {
        Self {
            customer_id: row.customer_id,
            name: row.name,
            create_time: row.create_time.0,
            attributes: row.attributes.map(|json| json.0).unwrap_or_default(),
        }
    }
}

/// A change, with its ids as a JSON array.
#[derive(FromRow)]
pub(super) struct ChangeRow {
    change_id: i64,
    customer_ids: String,
}

impl TryFrom<ChangeRow> for Change {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self> {
        Ok(Self { change_id: row.change_id, customer_ids: from_json(&row.customer_ids)? })
    }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(error.to_string()))
}

pub(super) fn from_json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Internal(format!("stored JSON: {error}")))
}

/// A customer row that an upsert has just locked, as it was before.
#[derive(FromRow)]
pub(super) struct Locked {
    pub(super) customer_id: String,
    pub(super) name: String,
    pub(super) create_time: Stamp,
    pub(super) revision: i64,
}

/// The latest version of a customer record.
#[derive(FromRow)]
pub(super) struct VersionRow {
    pub(super) customer_id: String,
    pub(super) version: i64,
    pub(super) create_time: Stamp,
    pub(super) attributes: Json<Attributes>,
}

/// What an upsert writes of one customer.
pub(super) struct CustomerChange {
    pub(super) customer_id: String,
    pub(super) name: String,
    pub(super) create_time: Time,
    /// Number, `effective_time` and `record_time` of the new version, if the content is new.
    pub(super) version: Option<(i64, Time, Time)>,
    pub(super) attributes: Attributes,
}

impl CustomerChange {
    /// What an upsert of `wanted` comes to, given the stored row and its latest version.
    pub(super) fn new(
        wanted: super::NewCustomer,
        stored: &Locked,
        last: Option<&VersionRow>,
        now: Time,
    ) -> Self {
        let create_time = wanted.create_time.unwrap_or(stored.create_time.0);
        let version = match last {
            Some(last) if last.attributes.0 == wanted.attributes && last.create_time.0 == create_time => None,
            Some(last) => Some((last.version + 1, now, now)),
            // The first version counts from the beginning. It was known then, too, unless the
            // customer was known without it: what was scored without must stay reproducible.
            None if stored.revision == 0 => Some((1, create_time, create_time.min(now))),
            None => Some((1, create_time, now)),
        };
        let name = wanted.name.unwrap_or_else(|| stored.name.clone());
        Self { customer_id: wanted.customer_id, name, create_time, version, attributes: wanted.attributes }
    }
}

#[derive(FromRow)]
pub(super) struct InteractionRow {
    customer_id: String,
    interaction_id: String,
    kind: String,
    occur_time: Stamp,
    record_time: Stamp,
    amount_minor: Option<i64>,
    channel: String,
    properties: Json<Properties>,
}

impl From<InteractionRow> for Interaction {
    fn from(row: InteractionRow) -> Self {
        Self {
            customer_id: row.customer_id,
            interaction_id: row.interaction_id,
            kind: row.kind,
            occur_time: row.occur_time.0,
            record_time: row.record_time.0,
            amount_minor: row.amount_minor,
            channel: row.channel,
            properties: row.properties.0,
        }
    }
}

/// Adds an interaction as both databases hand it over: its properties as JSON, None for none.
pub(super) fn push_event(
    history: &mut History,
    kind: &str,
    (occur_time, record_time): (Time, Time),
    amount_minor: Option<i64>,
    properties: Option<&str>,
) -> Result<()> {
    let Read(mut properties) = properties.map_or(Ok(Read::default()), from_json)?;
    // A database keeps them in an order of its own.
    properties.sort_unstable();
    let number = |name| properties.iter().find(|(own, _)| own.0 == name)?.1.0.parse::<f64>().ok();
    let survey = if kind == kind::SURVEY { number(kind::SCORE).zip(number(kind::EXPECTED)) } else { None };
    history.push(kind, occur_time, record_time, amount_minor, survey);
    properties.iter().for_each(|(name, text)| history.push_property(&name.0, &text.0));
    Ok(())
}

/// Properties, read without a copy of what stands in the JSON as it is.
#[derive(Default)]
struct Read<'a>(Vec<(Word<'a>, Word<'a>)>);

#[derive(serde::Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Read<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Read<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Read<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Read(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[derive(FromRow)]
pub(super) struct ModelRow {
    target: String,
    version: i64,
    create_time: Stamp,
    created_by: String,
    artifact: Vec<u8>,
    champion: bool,
}

impl TryFrom<ModelRow> for StoredModel {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Self> {
        Ok(Self {
            target: target(&row.target)?,
            version: row.version,
            create_time: row.create_time.0,
            created_by: row.created_by,
            artifact: row.artifact,
            champion: row.champion,
        })
    }
}

#[derive(FromRow)]
pub(super) struct PromotionRow {
    target: String,
    sequence: i64,
    promote_time: Stamp,
    who: String,
    from_version: Option<i64>,
    to_version: i64,
    kind: String,
    forced: bool,
    reason: String,
    gate_result: String,
}

impl TryFrom<PromotionRow> for Promotion {
    type Error = StoreError;

    fn try_from(row: PromotionRow) -> Result<Self> {
        let kind = PromotionKind::ALL.into_iter().find(|kind| kind.name() == row.kind);
        Ok(Self {
            target: target(&row.target)?,
            sequence: row.sequence,
            time: row.promote_time.0,
            who: row.who,
            from: row.from_version,
            to: row.to_version,
            kind: kind
                .ok_or_else(|| StoreError::Internal(format!("a promotion is of the kind `{}`", row.kind)))?,
            forced: row.forced,
            reason: row.reason,
            gate_result: row.gate_result,
        })
    }
}

/// A holdout row of two models.
#[derive(FromRow)]
pub(super) struct PairRow {
    customer_id: String,
    label: bool,
    candidate: f64,
    champion: f64,
}

impl From<PairRow> for Pair {
    fn from(row: PairRow) -> Self {
        Self {
            customer_id: row.customer_id,
            label: row.label,
            candidate: row.candidate,
            champion: row.champion,
        }
    }
}

/// A reason as it stands in the `reasons` column, for dashboards to read.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct ReasonJson {
    feature: String,
    value: serde_json::Value,
    baseline: serde_json::Value,
    contribution: f64,
    text: String,
}

impl From<&Reason> for ReasonJson {
    fn from(reason: &Reason) -> Self {
        Self {
            feature: reason.feature.clone(),
            value: natural_to_json(&reason.value),
            baseline: natural_to_json(&reason.baseline),
            contribution: reason.contribution,
            text: reason.text.clone(),
        }
    }
}

impl From<ReasonJson> for Reason {
    fn from(json: ReasonJson) -> Self {
        Self {
            feature: json.feature,
            value: natural_from_json(json.value),
            baseline: natural_from_json(json.baseline),
            contribution: json.contribution,
            text: json.text,
        }
    }
}

fn natural_to_json(value: &tally_model::features::explain::FeatureValue) -> serde_json::Value {
    use tally_model::features::explain::FeatureValue;
    match value {
        FeatureValue::Missing => serde_json::Value::Null,
        FeatureValue::Number(number) => (*number).into(),
        FeatureValue::Boolean(truth) => (*truth).into(),
        FeatureValue::Text(text) => text.as_str().into(),
    }
}

fn natural_from_json(value: serde_json::Value) -> tally_model::features::explain::FeatureValue {
    use tally_model::features::explain::FeatureValue;
    match value {
        serde_json::Value::Number(number) => {
            number.as_f64().map_or(FeatureValue::Missing, FeatureValue::Number)
        }
        serde_json::Value::Bool(truth) => FeatureValue::Boolean(truth),
        serde_json::Value::String(text) => FeatureValue::Text(text),
        _ => FeatureValue::Missing,
    }
}

#[derive(FromRow)]
pub(super) struct PredictionRow {
    prediction_id: String,
    customer_id: String,
    target: String,
    model_version: i64,
    as_of_time: Stamp,
    known_time: Stamp,
    score_time: Stamp,
    horizon_days: i64,
    probability: f64,
    lower: f64,
    upper: f64,
    grade: String,
    basis: String,
    base_log_odds: f64,
    reasons: Json<Vec<ReasonJson>>,
    missing_features: Json<Vec<String>>,
}

impl TryFrom<PredictionRow> for Prediction {
    type Error = StoreError;

    fn try_from(row: PredictionRow) -> Result<Self> {
        Ok(Self {
            target: target(&row.target)?,
            grade: grade(&row.grade)?,
            basis: if row.basis == basis_name(Basis::Cold) { Basis::Cold } else { Basis::Model },
            horizon_days: u32::try_from(row.horizon_days)
                .map_err(|_| StoreError::Internal(format!("horizon of {} days", row.horizon_days)))?,
            prediction_id: row.prediction_id,
            customer_id: row.customer_id,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            known_at: row.known_time.0,
            score_time: row.score_time.0,
            probability: row.probability,
            lower: row.lower,
            upper: row.upper,
            base_log_odds: row.base_log_odds,
            reasons: row.reasons.0.into_iter().map(Reason::from).collect(),
            missing_features: row.missing_features.0,
        })
    }
}

pub(super) fn reasons_json(prediction: &Prediction) -> Json<Vec<ReasonJson>> {
    Json(prediction.reasons.iter().map(ReasonJson::from).collect())
}

fn target(name: &str) -> Result<Target> {
    Target::ALL
        .into_iter()
        .find(|target| target.name() == name)
        .ok_or_else(|| StoreError::Internal(format!("a stored target is called `{name}`")))
}

/// The stored name of a grade.
pub(super) const fn grade_name(grade: Grade) -> &'static str {
    match grade {
        Grade::A => "A",
        Grade::B => "B",
        Grade::C => "C",
        Grade::D => "D",
    }
}

fn grade(name: &str) -> Result<Grade> {
    [Grade::A, Grade::B, Grade::C, Grade::D]
        .into_iter()
        .find(|grade| grade_name(*grade) == name)
        .ok_or_else(|| StoreError::Internal(format!("a stored grade is called `{name}`")))
}

/// The stored name of a basis.
pub(super) const fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Model => "model",
        Basis::Cold => "cold",
    }
}

#[derive(FromRow)]
pub(super) struct PastPredictionRow {
    customer_id: String,
    model_version: i64,
    as_of_time: Stamp,
    probability: f64,
}

impl From<PastPredictionRow> for PastPrediction {
    fn from(row: PastPredictionRow) -> Self {
        Self {
            customer_id: row.customer_id,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            probability: row.probability,
        }
    }
}

#[derive(FromRow)]
pub(super) struct PopulationRow {
    target: String,
    model_version: i64,
    as_of_time: Stamp,
    score_time: Stamp,
    counts: Json<Counts>,
}

impl TryFrom<PopulationRow> for ScoredPopulation {
    type Error = StoreError;

    fn try_from(row: PopulationRow) -> Result<Self> {
        Ok(Self {
            target: target(&row.target)?,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            score_time: row.score_time.0,
            counts: row.counts.0,
        })
    }
}

/// The interactions of a batch, each key once, in the order of their keys, so that two batches lock
/// rows in the same order.
pub(super) struct Batch {
    pub(super) items: Vec<Interaction>,
    /// Where each item stood in the request.
    places: Vec<usize>,
    /// How many more of the same were sent.
    pub(super) repeated: usize,
}

impl Batch {
    /// Sorts a batch; repetitions inside it must say the same.
    pub(super) fn new(interactions: Vec<Interaction>) -> Result<Self> {
        let mut numbered: Vec<(usize, Interaction)> = interactions.into_iter().enumerate().collect();
        numbered.sort_by(|(_, a), (_, b)| a.key().cmp(&b.key()));
        let mut batch = Self {
            items: Vec::with_capacity(numbered.len()),
            places: Vec::with_capacity(numbered.len()),
            repeated: 0,
        };
        for (place, item) in numbered {
            match batch.items.last() {
                Some(last) if last.key() == item.key() && last.same_content(&item) => batch.repeated += 1,
                Some(last) if last.key() == item.key() => return Err(conflict(place, &item)),
                _ => {
                    batch.items.push(item);
                    batch.places.push(place);
                }
            }
        }
        Ok(batch)
    }

    /// The key of each item.
    pub(super) fn keys(&self) -> Vec<(&str, &str)> {
        self.items.iter().map(Interaction::key).collect()
    }

    /// Refuses the batch when it would change a stored interaction.
    pub(super) fn agrees_with(&self, stored: &Interaction) -> Result<()> {
        match self.items.binary_search_by(|item| item.key().cmp(&stored.key())) {
            Ok(n) if !self.items[n].same_content(stored) => Err(conflict(self.places[n], &self.items[n])),
            _ => Ok(()),
        }
    }
}

fn conflict(place: usize, item: &Interaction) -> StoreError {
    StoreError::AlreadyExists(format!(
        "interactions[{place}]: `{}` of customer `{}` comes with other content than before; \
         nothing of the batch was stored",
        item.interaction_id, item.customer_id
    ))
}

/// The earliest interaction of each customer of a batch that is sorted by customer.
pub(super) fn first_seen(interactions: &[Interaction]) -> Vec<(&str, Time)> {
    interactions
        .chunk_by(|a, b| a.customer_id == b.customer_id)
        .map(|own| {
            let first = own.iter().map(|interaction| interaction.occur_time).min();
            (own[0].customer_id.as_str(), first.unwrap_or(Time::MIN))
        })
        .collect()
}
