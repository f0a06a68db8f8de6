//! Reading a list. The items come from the facts of a pass; the reasons are those of the scores that the pass made,
//! computed again for the customers of a page.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tally_model::{
    insight::{Arm, Cause, InsightSpec, LifeCycle, NextToBuy, WorkKind, WorkKinds, effect},
    scoring::Reason,
    spec::Target,
    time::Time,
};
use tally_store::{
    EffectFilter, Episode, EpisodeCount, Pass, Prediction, RankedCount, WorkCount, WorkCursor, WorkFilter,
    WorkItem, WorkRanking, WorkRule,
};

use super::remarks::remarks;
use crate::{
    catalog::ModelName,
    insight::Insights,
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
    scoring::ScoreRequest,
};

/// Reasons of an item.
const REASONS: usize = 3;

/// Which items are asked for.
#[derive(Clone, Copy, Debug)]
pub struct WorklistRequest {
    /// Only these kinds.
    pub kinds: WorkKinds,
    /// Whether to list customers who are held out, too.
    pub include_held_out: bool,
    /// Whether to list items that are not known to pay, too.
    pub include_not_paying: bool,
    /// The most items.
    pub limit: usize,
}

/// Where a page of a list ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorklistCursor {
    /// The pass.
    pub pass_id: i64,
    /// The moment up to which effects are measured, which rank the items.
    pub measured_until: Time,
    /// The last item.
    pub item: WorkCursor,
}

/// A part of a list.
pub struct Worklist {
    /// The items.
    pub items: Vec<ListedWork>,
    /// How many items the list has.
    pub total: i64,
    /// How many are left out because they do not pay.
    pub not_paying: i64,
    /// How many are left out because its UTC day has no place for them; 0 without a capacity.
    pub without_place: i64,
    /// What makes the list questionable.
    pub warnings: Vec<String>,
    /// The places of its UTC day; None without a capacity.
    pub places: Option<Places>,
}

/// How many items the lists of a UTC day hand out. Held-out customers take no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Those that they have handed out.
    pub used: i64,
    /// Those that they can still hand out.
    pub left: i64,
}

impl Places {
    /// The places of a day with this capacity, of which so many are used.
    pub(super) fn of(capacity: Option<u32>, used: Option<i64>) -> Option<Self> {
        // A capacity that was lowered since may be less than what was handed out.
        capacity.zip(used).map(|(capacity, used)| Self { used, left: (i64::from(capacity) - used).max(0) })
    }
}

/// An item of a list.
pub struct ListedWork {
    /// The item.
    pub item: WorkItem,
    /// The probability that the customer leaves, or that a lead buys.
    pub probability: Option<f64>,
    /// Why it may leave.
    pub cause: Cause,
    /// What the probability comes from, and what else the reader has to know.
    pub reasons: Vec<Reason>,
    /// What the customer is likely to buy next, the likeliest first.
    pub next_to_buy: Vec<NextToBuy>,
    /// The episode of the kind that is open now.
    pub open: Option<Episode>,
    /// The effect behind the gain; None while nothing is measured, or without a gain.
    pub measured_effect: Option<f64>,
    /// Where the list goes on after it.
    pub cursor: WorklistCursor,
}

impl Insights {
    /// The items of a pass that follow `after`.
    ///
    /// # Errors
    /// When the store fails, or a model of the pass cannot be read.
    pub async fn worklist(
        &self,
        pass: &Pass,
        request: WorklistRequest,
        after: Option<WorklistCursor>,
    ) -> Result<Worklist> {
        let measured_until = after.as_ref().map_or_else(|| self.clock.now(), |after| after.measured_until);
        let filter = self.work_filter(pass, request.kinds, measured_until).await?;
        let filter = WorkFilter { include_not_paying: request.include_not_paying, ..filter };
        let after = after.map(|after| after.item);
        let held_out = request.include_held_out;
        let items = self.store.work_items(&filter, held_out, after.as_ref(), request.limit).await?;
        let count = match &filter.ranking {
            None => {
                let items = total(&self.work_counts(pass).await?, request);
                RankedCount { items, ..RankedCount::default() }
            }
            Some(_) => self.store.ranked_count(&filter, held_out).await?,
        };
        let capacity = pass.population.spec.worklist.capacity;
        let warnings = self.worklist_warnings(pass, request.kinds).await?;
        let (scores, next, mut open) = tokio::try_join!(
            self.scores(pass, &items),
            self.next_of_buyers(pass, &items),
            self.open_episodes(&items)
        )?;
        let listed = |item: WorkItem| {
            let is_lead = item.life_cycle == LifeCycle::Lead.name();
            let cause = item.cause.as_deref().and_then(Cause::named).unwrap_or(Cause::Unknown);
            let score = scores.get(&item.customer_id);
            let of_score = score.map(|score| score.reasons.clone()).unwrap_or_default();
            let interval = score.map(|score| [score.lower, score.upper]);
            ListedWork {
                probability: if is_lead { item.lead_probability } else { item.churn_probability },
                cause,
                reasons: of_score.into_iter().chain(remarks(&item, cause, interval)).collect(),
                next_to_buy: next.get(&item.customer_id).cloned().unwrap_or_default(),
                open: open.remove(&(item.customer_id.clone(), item.kind)),
                measured_effect: item.gain.and_then(|_| filter.ranking.as_ref()?.measured_effect(&item)),
                cursor: WorklistCursor { pass_id: pass.pass_id, measured_until, item: cursor(&item) },
                item,
            }
        };
        Ok(Worklist {
            items: items.into_iter().map(listed).collect(),
            total: count.items,
            not_paying: count.not_paying,
            without_place: count.without_place,
            warnings,
            places: Places::of(capacity, Some(count.handed_out)),
        })
    }

    /// Which items of a pass are on a list, and what ranks them, by the settings of the pass.
    pub(super) async fn work_filter(
        &self,
        pass: &Pass,
        kinds: WorkKinds,
        measured_until: Time,
    ) -> Result<WorkFilter> {
        let spec = &pass.population.spec;
        let ranking = if spec.ranks_by_gain() {
            let filter = EffectFilter { kinds, from: None, to: measured_until, now: measured_until };
            let counts = self.store.episode_counts(filter).await?;
            let rules = rules(spec, kinds, &counts);
            Some(WorkRanking { rules, capacity: spec.worklist.capacity.map(i64::from) })
        } else {
            None
        };
        let outcome_days = spec.worklist.outcome_days;
        Ok(WorkFilter {
            pass_id: pass.pass_id,
            as_of: pass.as_of,
            kinds,
            outcome_days,
            ranking,
            include_not_paying: false,
        })
    }

    async fn work_counts(&self, pass: &Pass) -> Result<Arc<[WorkCount]>> {
        if let Some(kept) = self.work_counts.get(pass) {
            return Ok(kept);
        }
        let counts: Arc<[WorkCount]> = self.store.work_counts(pass.pass_id).await?.into();
        self.work_counts.keep(pass, Arc::clone(&counts));
        Ok(counts)
    }

    /// The episodes of the customers of these items that are open now.
    async fn open_episodes(&self, items: &[WorkItem]) -> Result<HashMap<(String, WorkKind), Episode>> {
        let ids: BTreeSet<&String> = items.iter().map(|item| &item.customer_id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        Ok(self.store.open_episodes(&ids, self.clock.now()).await?)
    }

    /// What the buyers of these items are likely to buy next. Who has bought nothing is not asked about.
    async fn next_of_buyers(
        &self,
        pass: &Pass,
        items: &[WorkItem],
    ) -> Result<HashMap<String, Vec<NextToBuy>>> {
        let buyers = items.iter().filter(|item| item.life_cycle != LifeCycle::Lead.name());
        let ids: BTreeSet<&String> = buyers.map(|item| &item.customer_id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        self.next_to_buy(pass, &ids, pass.as_of).await
    }

    /// The scores of the customers of these items, by the models of the pass.
    async fn scores(&self, pass: &Pass, items: &[WorkItem]) -> Result<HashMap<String, Prediction>> {
        let mut requests = HashMap::new();
        for name in pass.population.models.iter().filter_map(|name| ModelName::parse(name)) {
            let model = self.catalog.version(name).await?;
            requests.insert(name.target, ScoreRequest::new(model, pass.as_of, pass.known_at, REASONS));
        }
        let scored = |item: &&WorkItem| item.lead_probability.is_some() || item.churn_probability.is_some();
        let targets: HashMap<String, Target> = items
            .iter()
            .filter(scored)
            .map(|item| {
                let is_lead = item.life_cycle == LifeCycle::Lead.name();
                (item.customer_id.clone(), if is_lead { Target::Lead } else { Target::Churn })
            })
            .collect();
        let ids: Vec<String> = targets.keys().cloned().collect();
        let histories = self.store.histories(&ids).await?;
        let score = move || {
            let mut scores = HashMap::new();
            for (id, history) in ids.into_iter().zip(histories) {
                // Who was erased meanwhile has no history.
                let (Some(history), Some(request)) =
                    (history, targets.get(&id).and_then(|of| requests.get(of)))
                else {
                    continue;
                };
                match history.with(|history| request.score(id.clone(), history))? {
                    Ok(score) => drop(scores.insert(id, score)),
                    // What it had bought was retracted meanwhile.
                    Err(Error::Precondition { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(scores)
        };
        run_blocking(score).await?
    }
}

/// The place of an item.
fn cursor(item: &WorkItem) -> WorkCursor {
    WorkCursor {
        gain: item.gain.unwrap_or(0.0).max(0.0).to_bits().cast_signed(),
        value: item.value_at_risk.unwrap_or(-1),
        customer_id: item.customer_id.clone(),
        kind: item.kind.bit(),
    }
}

/// How many items of these kinds there are.
fn total(counts: &[WorkCount], request: WorklistRequest) -> i64 {
    let listed = counts.iter().filter(|count| request.include_held_out || !count.held_out);
    let items = |count: &WorkCount| WorkKinds(count.kinds.0 & request.kinds.0).kinds().count() as i64;
    listed.map(|count| items(count) * count.customers).sum()
}

/// What each action of the playbook brings: the lower end of the interval of its measured effect, at least 0.
fn rules(spec: &InsightSpec, kinds: WorkKinds, counts: &[EpisodeCount]) -> Vec<WorkRule> {
    let actions: BTreeSet<(&str, i64)> =
        spec.playbook.iter().map(|entry| (entry.action.as_str(), entry.cost_minor)).collect();
    let arm = |kind: WorkKind, action: &str, held_out: bool| {
        let is_of = |count: &&EpisodeCount| {
            count.kind == kind && count.action == action && count.held_out == held_out
        };
        let found = counts.iter().find(is_of);
        found.map_or_else(Arm::default, |of| Arm { customers: of.judged, successes: of.successes })
    };
    let rule = |kind: WorkKind, (action, cost_minor): (&str, i64)| WorkRule {
        kind,
        action: action.to_owned(),
        effect: effect(arm(kind, action, false), arm(kind, action, true)).map(|found| found.lower.max(0.0)),
        cost_minor,
    };
    kinds
        .kinds()
        .flat_map(|kind| actions.iter().map(move |action| (kind, *action)))
        .map(|(kind, action)| rule(kind, action))
        .collect()
}
