//! Episodes: the items that were handed out, and what came of them. An episode of an id that was merged is of its
//! survivor.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;
use tally_model::{
    insight::{Outcome, WorkKind},
    time::Time,
};

use super::{BOUGHT, CHOSEN, PURCHASES, kind};
use crate::{
    customers::CustomerStore,
    error::{Result, StoreError},
    shared::{
        Backend, Stamp, Statement,
        insights::{push_families, push_family},
        merges::Connection,
    },
    worklist::{Episode, EpisodeCursor, EpisodeFilter, ListedEpisode, OutcomeReport},
};

/// Begins a query of episodes; its conditions follow.
const SELECT: &str = "SELECT coalesce(m.survivor_id, e.customer_id) AS customer, e.*, CASE e.kind \
     WHEN 'AT_RISK' THEN 1 WHEN 'WIN_BACK' THEN 2 WHEN 'HOT_LEAD' THEN 4 WHEN 'NEGLECTED' THEN 8 ELSE 16 END AS bit \
     FROM worklist_episodes AS e LEFT JOIN customers AS m \
     ON m.customer_id = e.customer_id AND m.survivor_id IS NOT NULL WHERE true";

#[derive(FromRow)]
struct EpisodeRow {
    /// The customer that it is of now.
    customer: String,
    /// The id that it was published for.
    customer_id: String,
    kind: String,
    action: String,
    as_of_time: Stamp,
    until_time: Stamp,
    publish_time: Stamp,
    held_out: bool,
    outcome: Option<String>,
    outcome_action: Option<String>,
    outcome_note: Option<String>,
    outcome_time: Option<Stamp>,
}

impl TryFrom<EpisodeRow> for Episode {
    type Error = StoreError;

    fn try_from(row: EpisodeRow) -> Result<Self> {
        let unknown = |name: &str| StoreError::Internal(format!("a stored outcome reads `{name}`"));
        let named = |name: String| Outcome::named(&name).ok_or_else(|| unknown(&name));
        let outcome = row.outcome.map(named).transpose()?;
        let report = outcome.zip(row.outcome_time).map(|(outcome, time)| OutcomeReport {
            outcome,
            action: row.outcome_action.unwrap_or_default(),
            note: row.outcome_note.unwrap_or_default(),
            occur_time: time.0,
        });
        Ok(Self {
            customer_id: row.customer,
            published_id: row.customer_id,
            kind: kind(&row.kind)?,
            action: row.action,
            as_of: row.as_of_time.0,
            until: row.until_time.0,
            publish_time: row.publish_time.0,
            held_out: row.held_out,
            report,
        })
    }
}

/// Appends that an episode is open at a moment.
fn push_open(statement: &mut Statement, now: Time) {
    statement.push(" AND e.as_of_time <= ").push_bind(now).push(" AND e.until_time >= ").push_bind(now);
}

/// The open episodes of these customers: those that are not held out come first, then the latest ones.
pub(super) async fn read_open<B: Backend>(
    connection: &mut Connection<B>,
    customer_ids: &[String],
    now: Time,
) -> Result<Vec<Episode>> {
    let mut select = Statement::new(SELECT).planned_anew();
    push_open(&mut select, now);
    select.push(" AND e.");
    push_families(&mut select, customer_ids);
    select.push(" ORDER BY e.held_out, e.as_of_time DESC, e.customer_id");
    B::run::<EpisodeRow>(connection, select).await?.into_iter().map(Episode::try_from).collect()
}

pub(super) async fn open_of<B: Backend>(
    store: &B,
    customer_ids: &[String],
    now: Time,
) -> Result<HashMap<(String, WorkKind), Episode>> {
    let reading = store.unless_lost(async {
        let mut reader = store.reader().await?;
        let read = read_open::<B>(&mut reader, customer_ids, now).await;
        reader.end();
        read
    });
    let mut open = HashMap::new();
    for episode in reading.await? {
        open.entry((episode.customer_id.clone(), episode.kind)).or_insert(episode);
    }
    Ok(open)
}

/// Appends the conditions of a filter on episodes `e`.
fn push_filter(statement: &mut Statement, filter: &EpisodeFilter) {
    statement.push(" AND e.kind IN (");
    statement.push_list(filter.kinds.kinds().map(|kind| kind.name().into())).push(")");
    if filter.open_only {
        push_open(statement, filter.now);
    }
    if filter.without_outcome {
        statement.push(" AND e.outcome IS NULL AND NOT e.held_out");
    }
    if let Some(customer_id) = &filter.customer_id {
        statement.push(" AND e.");
        push_family(statement, customer_id);
    }
}

pub(super) async fn list<B: Backend>(
    store: &B,
    filter: &EpisodeFilter,
    after: Option<&EpisodeCursor>,
    limit: usize,
) -> Result<Vec<ListedEpisode>> {
    let mut select = Statement::new("SELECT * FROM (").planned_anew();
    select.push(SELECT);
    push_filter(&mut select, filter);
    if let Some(after) = after {
        select.push(" AND e.as_of_time <= ").push_bind(after.as_of);
    }
    select.push(") AS listed");
    if let Some(after) = after {
        select.push(" WHERE as_of_time < ").push_bind(after.as_of);
        select.push(" OR customer > ").push_bind(after.customer_id.as_str());
        select.push(" OR (customer = ").push_bind(after.customer_id.as_str());
        select.push(" AND (bit > ").push_bind(after.kind);
        select.push(" OR (bit = ").push_bind(after.kind);
        select.push(" AND customer_id > ").push_bind(after.published_id.as_str()).push(")))");
    }
    select.push(" ORDER BY as_of_time DESC, customer, bit, customer_id LIMIT ").push_bind(limit as i64);
    let rows: Vec<EpisodeRow> = store.read(select).await?;
    let episodes: Vec<Episode> = rows.into_iter().map(Episode::try_from).collect::<Result<_>>()?;
    if episodes.is_empty() {
        return Ok(Vec::new());
    }
    let customers: HashSet<&String> = episodes.iter().map(|episode| &episode.customer_id).collect();
    let customers: Vec<String> = customers.into_iter().cloned().collect();
    let names = store.customer_names(&customers).await?;
    let bought = bought(store, filter, &episodes, &customers).await?;
    let listed = |episode: Episode| ListedEpisode {
        name: names.get(&episode.customer_id).cloned().unwrap_or_default(),
        bought: bought.contains(&(episode.published_id.clone(), episode.kind, episode.as_of)),
        episode,
    };
    Ok(episodes.into_iter().map(listed).collect())
}

/// Those of the episodes of a page whose customers, which are these, bought in the window.
async fn bought<B: Backend>(
    store: &B,
    filter: &EpisodeFilter,
    episodes: &[Episode],
    customers: &[String],
) -> Result<HashSet<(String, WorkKind, Time)>> {
    let mut select = Statement::new(CHOSEN).planned_anew();
    select.push_list(filter.kinds.kinds().map(|kind| kind.name().into())).push(")");
    if let (Some(latest), Some(earliest)) = (episodes.first(), episodes.last()) {
        select.push(" AND e.as_of_time <= ").push_bind(latest.as_of);
        select.push(" AND e.as_of_time >= ").push_bind(earliest.as_of);
    }
    select.push(" AND e.");
    push_families(&mut select, customers);
    select.push(PURCHASES).push_bind(filter.now).push(" AND i.");
    push_families(&mut select, customers);
    select.push(BOUGHT).push("SELECT customer_id, kind, as_of_time FROM bought");
    let rows: Vec<(String, String, Stamp)> = store.read(select).await?;
    rows.into_iter().map(|(id, name, as_of)| Ok((id, kind(&name)?, as_of.0))).collect()
}

pub(super) async fn count<B: Backend>(store: &B, filter: &EpisodeFilter) -> Result<u64> {
    let mut select = Statement::new("SELECT count(*) FROM worklist_episodes AS e WHERE true").planned_anew();
    push_filter(&mut select, filter);
    store.count(select).await
}
