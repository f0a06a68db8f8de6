//! Watching the models: how far the customers have moved from those that were learned from, and how
//! past predictions turned out.
//!
//! Both are asked for over gRPC, and kept fresh as metrics by [`run`].

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use tally_model::{
    evaluation::drift::Report,
    evaluation::metrics::Metrics,
    spec::Target,
    time::{DAY, Time},
    training::snapshot::LabelDefinition,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::App,
    catalog::models::{Model, ModelName},
    platform::error::{Error, Result},
    scoring::score::run_blocking,
};
use tally_store::{PastPrediction, ScoredPopulation};

/// How often the gauges of drift are refreshed: another server may have scored a population.
const EVERY: Duration = Duration::from_secs(600);
/// Every so many times those of realised performance are, too: they change when history is recorded late.
const REALISED_EVERY: u32 = 144;
/// Customers whose predictions are looked at at a time; each may have one a day for years.
const PAGE: usize = 250;
/// Most predictions that are judged in one call, some 20 bytes each.
const MOST_ROWS: usize = 10_000_000;

/// How far the last population that a model has scored is from its training.
#[derive(Debug)]
pub struct Drift {
    /// The model.
    pub model: ModelName,
    /// The population.
    pub population: ScoredPopulation,
    /// Rows that were learned from.
    pub training_rows: u64,
    /// The comparison.
    pub report: Report,
}

/// Compares the last population that `model` has scored with its training.
///
/// # Errors
/// FAILED_PRECONDITION (NO_POPULATION) when it has not scored one yet.
pub async fn drift(app: &App, model: &Model) -> Result<Drift> {
    let name = model.name;
    let population = app.store.population(name.target, name.version).await?;
    let population = population.ok_or_else(|| Error::Precondition {
        reason: "NO_POPULATION",
        message: format!(
            "{name} has not scored a population yet; call ScorePopulation, or run `tally score-all {} --model {name}`",
            name.target
        ),
    })?;
    let artifact = model.scorer.artifact();
    let reference = &artifact.reference;
    if !population.counts.fit(reference) {
        return Err(Error::Internal(format!(
            "the population of {name} was counted in other bins than its own"
        )));
    }
    let report = Report::new(&artifact.plan.measures(), reference, &population.counts);
    Ok(Drift { model: name, training_rows: reference.rows(), population, report })
}

/// Which predictions are judged.
#[derive(Clone, Copy, Debug)]
pub struct PerformanceQuery {
    /// Of this target.
    pub target: Target,
    /// Only by this version.
    pub version: Option<i64>,
    /// About this moment or a later one.
    pub from: Time,
    /// About an earlier moment than this.
    pub to: Time,
}

/// How the predictions of one model about moments of one calendar month (UTC) turned out.
#[derive(Clone, Debug, PartialEq)]
pub struct MonthlyPerformance {
    /// The first moment of the month.
    pub start: Time,
    /// The model.
    pub model: ModelName,
    /// Customers judged.
    pub rows: usize,
    /// Those that had the outcome.
    pub positives: usize,
    /// Those about a moment before the model's data cut-off: it may have learned from what they did.
    pub before_cutoff: usize,
    /// Mean probability.
    pub mean_predicted: f64,
    /// Area under the ROC curve; None when all had the same outcome.
    pub auc: Option<f64>,
    /// Mean negative log-likelihood.
    pub log_loss: f64,
    /// Mean squared error.
    pub brier: f64,
    /// Expected calibration error over ten bins of equal size.
    pub ece: f64,
    /// How many times likelier than average the likeliest tenth had the outcome; None when nobody had it.
    pub lift_at_10_percent: Option<f64>,
}

impl MonthlyPerformance {
    /// Such as `2026-03`.
    #[must_use]
    pub fn name(&self) -> String {
        self.start.to_string().chars().take("2026-03".len()).collect()
    }
}

/// The rows of one month and model.
#[derive(Default)]
struct Rows {
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    before_cutoff: usize,
}

/// Judges the predictions whose horizon has passed by what is known now, by month and model.
///
/// A customer counts once a month and model, by its first prediction: a lead that is scored daily until
/// it buys would otherwise count the more the longer it waits, and its last prediction before the purchase
/// would be chosen by the outcome. As in training, what rests on nothing (COLD) does not count, nor a
/// customer that, as known now, the model was not about.
///
/// # Errors
/// FAILED_PRECONDITION (TOO_MANY_PREDICTIONS) when that is more than ten million rows.
pub async fn realised(app: &App, past: PerformanceQuery) -> Result<Vec<MonthlyPerformance>> {
    let now = app.now();
    // Of each version what it foretells, and its data cut-off.
    let mut outcomes: HashMap<i64, (LabelDefinition, Time)> = HashMap::new();
    let mut rows: HashMap<(Time, i64), Rows> = HashMap::new();
    let mut after = String::new();
    loop {
        let ids = app.store.customer_ids(&after, PAGE).await?;
        let Some(last) = ids.last() else { break };
        let moments = (past.from, past.to.min(now));
        let mut found =
            app.store.past_predictions(past.target, past.version, moments, (&after, last)).await?;
        after.clone_from(last);
        for row in &found {
            if let Entry::Vacant(unknown) = outcomes.entry(row.model_version) {
                let name = ModelName { target: past.target, version: row.model_version };
                let model = app.models.version(name).await?;
                let artifact = model.scorer.artifact();
                unknown.insert((artifact.outcome, artifact.as_of));
            }
        }
        found.retain(|row| outcomes[&row.model_version].0.horizon_end(row.as_of) <= now);
        let found = first_of_each_month(found);
        if found.is_empty() {
            continue;
        }
        let mut customers: Vec<String> = found.iter().map(|row| row.customer_id.clone()).collect();
        customers.dedup();
        let histories = app.store.histories(&customers).await?;
        let outcomes = outcomes.clone();
        rows = run_blocking(move || {
            let known: HashMap<String, _> = customers.into_iter().zip(histories).collect();
            for row in found {
                // Whoever was erased meanwhile is not judged.
                let Some(Some(history)) = known.get(&row.customer_id) else { continue };
                let (outcome, cutoff) = outcomes[&row.model_version];
                let label = history.with(|history| {
                    let eligible = outcome.eligible(history, row.as_of, now).is_ok();
                    eligible.then(|| outcome.label(history, row.as_of, now))
                })?;
                if let Some(label) = label {
                    let rows = rows.entry((row.as_of.month_start(), row.model_version)).or_default();
                    rows.probabilities.push(row.probability);
                    rows.labels.push(label);
                    rows.before_cutoff += usize::from(row.as_of < cutoff);
                }
            }
            Ok::<_, Error>(rows)
        })
        .await??;
        if rows.values().map(|rows| rows.labels.len()).sum::<usize>() > MOST_ROWS {
            return Err(Error::Precondition {
                reason: "TOO_MANY_PREDICTIONS",
                message: format!(
                    "more than {MOST_ROWS} predictions; ask for fewer months by from_time and to_time"
                ),
            });
        }
    }
    run_blocking(move || judge(past.target, rows)).await
}

/// Of each customer, month and model the first; rows come by customer and moment.
fn first_of_each_month(rows: Vec<PastPrediction>) -> Vec<PastPrediction> {
    let mut seen = Vec::new();
    let mut first: Vec<PastPrediction> = Vec::new();
    for row in rows {
        if first.last().is_none_or(|last| last.customer_id != row.customer_id) {
            seen.clear();
        }
        let key = (row.as_of.month_start(), row.model_version);
        if !seen.contains(&key) {
            seen.push(key);
            first.push(row);
        }
    }
    first
}

fn judge(target: Target, rows: HashMap<(Time, i64), Rows>) -> Vec<MonthlyPerformance> {
    let month = |((start, version), rows): ((Time, i64), Rows)| {
        let metrics = Metrics::new(&rows.probabilities, &rows.labels);
        let both = metrics.positives > 0 && metrics.positives < metrics.rows;
        MonthlyPerformance {
            start,
            model: ModelName { target, version },
            rows: metrics.rows,
            positives: metrics.positives,
            before_cutoff: rows.before_cutoff,
            mean_predicted: rows.probabilities.iter().sum::<f64>() / metrics.rows as f64,
            auc: both.then_some(metrics.auc),
            log_loss: metrics.log_loss,
            brier: metrics.brier,
            ece: metrics.ece,
            lift_at_10_percent: (metrics.positives > 0).then_some(metrics.lift_at_10_percent),
        }
    };
    let mut months: Vec<MonthlyPerformance> = rows.into_iter().map(month).collect();
    months.sort_by_key(|month| (month.start, month.model.version));
    months
}

/// Keeps the gauges fresh, at once after a population run of this server. Trouble is logged, and the
/// gauges stay as they were.
pub async fn run(app: Arc<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        let scored = tokio::select! {
            _ = ticks.tick() => false,
            () = app.scored.notified() => true,
        };
        if let Err(error) = look(&app, scored || looks.is_multiple_of(REALISED_EVERY)).await {
            tracing::warn!(%error, "the models could not be watched");
        }
        looks = looks.wrapping_add(1);
    }
}

async fn look(app: &App, at_the_past: bool) -> Result<()> {
    let champions = app.models.champions();
    let mut drifts = Vec::new();
    for model in &champions {
        match drift(app, model).await {
            Ok(drift) => drifts.push(drift),
            // Not scored yet.
            Err(Error::Precondition { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    app.metrics.show_drift(&drifts);
    if at_the_past {
        let mut months = Vec::new();
        for model in &champions {
            let (from, to) = last_whole_month(model.scorer.artifact().outcome, app.now());
            let past = PerformanceQuery { target: model.name.target, version: None, from, to };
            months.extend(realised(app, past).await?);
        }
        app.metrics.show_realised(&months);
    }
    Ok(())
}

/// The last calendar month (UTC) of which every moment has its horizon behind it.
fn last_whole_month(outcome: LabelDefinition, now: Time) -> (Time, Time) {
    let end = now.plus_days(-i64::from(outcome.horizon_days)).month_start();
    (Time(end.0 - DAY).month_start(), end)
}
