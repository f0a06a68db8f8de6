//! Histories: from a packed copy, or from rows.

use std::{borrow::Cow, collections::HashMap, fmt};

use async_trait::async_trait;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use tally_model::{
    history::{History, Packed, kind},
    time::Time,
};

use super::{
    Backend, Engine, Reader, Statement, Transaction, compute,
    json::from_json,
    merges::{Connection, united_histories},
};
use crate::{error::Result, histories::HistoryStore};

/// About how many bytes an event of a history takes.
const EVENT_BYTES: usize = 30;

/// How many interactions of each of so many customers are read in one statement. Those of a customer who has more are read
/// in parts, so that memory is bounded.
pub(crate) fn most_events(customers: usize) -> usize {
    (100_000 / customers.max(1)).clamp(200, 1_000)
}

/// What is stored under one id.
pub(crate) struct StoredHistory {
    pub(crate) history: History,
    /// Whether other ids are merged into it, whose histories belong to it.
    pub(crate) has_merged: bool,
}

/// What differs between the databases.
pub(crate) trait HistorySql: Engine {
    /// Returns the packed histories of those customers that have one.
    fn packed_of(
        &self,
        customer_ids: &[String],
    ) -> impl Future<Output = Result<HashMap<String, Packed>>> + Send;

    /// A connection for reading histories.
    fn history_reader(&self) -> impl Future<Output = Result<Reader<Self>>> + Send;

    /// Returns the histories of those ids that exist, from their own rows, in one statement.
    fn read_histories(
        connection: &mut Connection<Self>,
        customer_ids: &[String],
    ) -> impl Future<Output = Result<HashMap<String, StoredHistory>>> + Send;

    /// Removes the packed histories of customers that the transaction writes.
    fn forget_packed(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Stores packed histories and returns their number; skips customers with a write in progress.
    fn pack_histories(&self, customer_ids: Vec<String>) -> impl Future<Output = Result<usize>> + Send;
}

/// Stores a packed history.
pub(crate) fn insert_packed(customer_id: &str, history: &Packed) -> Statement {
    Statement::new(
        "INSERT INTO packed_histories (customer_id, format, history) VALUES ($1, $2, $3) \
         ON CONFLICT (customer_id) DO UPDATE SET format = excluded.format, history = excluded.history",
    )
    .bind(customer_id)
    .bind(Packed::FORMAT)
    .bind(history.as_bytes())
}

/// An interaction as both databases return it for a history.
pub(crate) struct RawEvent<'a> {
    pub(crate) kind: &'a str,
    pub(crate) occur_time: Time,
    pub(crate) record_time: Time,
    pub(crate) amount_minor: Option<i64>,
    /// Empty for none.
    pub(crate) channel: &'a str,
    /// A JSON object; None for no properties.
    pub(crate) properties: Option<&'a str>,
}

impl RawEvent<'_> {
    /// Adds the interaction to a history.
    pub(crate) fn push_to(&self, history: &mut History) -> Result<()> {
        let Properties(mut properties) = self.properties.map_or(Ok(Properties::default()), from_json)?;
        // A database keeps them in an order of its own.
        properties.sort_unstable();
        let number = |name| properties.iter().find(|(own, _)| own.0 == name)?.1.0.parse::<f64>().ok();
        let survey =
            if self.kind == kind::SURVEY { number(kind::SCORE).zip(number(kind::EXPECTED)) } else { None };
        history.push(self.kind, self.occur_time, self.record_time, self.amount_minor, survey);
        history.push_channel(self.channel);
        properties.iter().for_each(|(name, text)| history.push_property(&name.0, &text.0));
        Ok(())
    }
}

/// A retracted interaction as both databases return it for a history.
pub(crate) struct RetractedEvent<'a> {
    pub(crate) event: RawEvent<'a>,
    pub(crate) retract_time: Time,
    /// How many of the interactions that happened at the same moment, and are not retracted, have a lesser id: those
    /// come before it.
    pub(crate) rank: i64,
}

/// Puts the retracted interactions of a customer among the others. The ids, by which equal times are ordered, are not
/// read for that, since nearly no customer has retracted ones.
pub(crate) struct HistoryWriter<'a, R: Iterator<Item = Result<RetractedEvent<'a>>>> {
    pub(crate) history: History,
    retracted: R,
    next: Option<RetractedEvent<'a>>,
    /// The time of the event before, and how many events of that time there were.
    last: (Time, i64),
}

impl<'a, R: Iterator<Item = Result<RetractedEvent<'a>>>> HistoryWriter<'a, R> {
    pub(crate) fn new(mut retracted: R) -> Result<Self> {
        let next = retracted.next().transpose()?;
        Ok(Self { history: History::default(), retracted, next, last: (Time(i64::MIN), 0) })
    }

    /// Adds the next interaction that is not retracted, and the retracted ones before it.
    pub(crate) fn push(&mut self, event: &RawEvent<'_>) -> Result<()> {
        if self.next.is_some() {
            let rank = if self.last.0 == event.occur_time { self.last.1 + 1 } else { 0 };
            self.last = (event.occur_time, rank);
            let is_before =
                |next: &RetractedEvent<'_>| (next.event.occur_time, next.rank) <= (event.occur_time, rank);
            self.push_retracted(is_before)?;
        }
        event.push_to(&mut self.history)
    }

    /// Adds the retracted interactions that are left, and returns the history.
    pub(crate) fn finish(mut self) -> Result<History> {
        self.push_retracted(|_| true)?;
        Ok(self.history)
    }

    fn push_retracted(&mut self, is_wanted: impl Fn(&RetractedEvent<'_>) -> bool) -> Result<()> {
        while let Some(next) = self.next.take_if(|next| is_wanted(next)) {
            next.event.push_to(&mut self.history)?;
            self.history.push_retraction(next.retract_time);
            self.next = self.retracted.next().transpose()?;
        }
        Ok(())
    }
}

/// Properties; strings without escapes borrow from the JSON.
#[derive(Default)]
struct Properties<'a>(Vec<(JsonStr<'a>, JsonStr<'a>)>);

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct JsonStr<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Properties<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Properties(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[async_trait]
impl<B: Backend> HistoryStore for B {
    async fn histories(&self, customer_ids: &[String]) -> Result<Vec<Option<Packed>>> {
        let reading = self.unless_lost(async {
            let mut found = self.packed_of(customer_ids).await?;
            let others = customer_ids.iter().filter(|id| !found.contains_key(id.as_str()));
            let others: Vec<String> = others.cloned().collect();
            if !others.is_empty() {
                let mut reader = self.history_reader().await?;
                let read = united_histories::<B>(&mut reader, &others).await;
                reader.end();
                let read = read?;
                let bytes = read.values().map(History::len).sum::<usize>() * EVENT_BYTES;
                let pack = || read.into_iter().map(|(id, history)| (id, history.pack())).collect::<Vec<_>>();
                found.extend(compute(bytes, || Ok(pack())).await?);
            }
            Ok(found)
        });
        let found = reading.await?;
        Ok(customer_ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn unpacked(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let select = Statement::new(
            "SELECT customer_id FROM customers AS c WHERE customer_id > $1 AND NOT EXISTS \
             (SELECT 1 FROM packed_histories AS p WHERE p.customer_id = c.customer_id AND p.format = $2) \
             ORDER BY customer_id LIMIT $3",
        )
        .bind(after)
        .bind(Packed::FORMAT)
        .bind(limit as i64);
        Ok(self.read(select).await?.into_iter().map(|(customer_id,)| customer_id).collect())
    }

    async fn pack(&self, customer_ids: Vec<String>) -> Result<usize> {
        self.pack_histories(customer_ids).await
    }
}
