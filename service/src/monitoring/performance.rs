//! Realised performance: how stored predictions turned out, once their horizon has passed.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use tally_model::{
    evaluation::{intervals::Interval, metrics::Metrics},
    history::Packed,
    label::LabelDefinition,
    spec::Target,
    time::{DAY, Time},
};
use tally_store::{PastPrediction, PastPredictionFilter};

use super::Monitoring;
use crate::{
    catalog::ModelName,
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// Customers whose predictions are read at a time; each may have one a day for years.
const PAGE: usize = 250;
/// The most predictions that one query judges, about 30 bytes each.
const MOST_ROWS: usize = 10_000_000;

/// Which predictions are judged.
#[derive(Clone, Copy, Debug)]
pub struct PerformanceQuery {
    /// Those of this target.
    pub target: Target,
    /// Only those of this version, if given.
    pub version: Option<i64>,
    /// Those about this moment or a later one.
    pub from: Time,
    /// Those about an earlier moment than this.
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
    /// Customers with the predicted outcome.
    pub positives: usize,
    /// Customers judged about a moment before the model's data cut-off: the model may have learned from
    /// what they did.
    pub before_cutoff: usize,
    /// Customers for more than a tenth of whose horizon, its end, no interaction of anybody is stored.
    pub in_silence: usize,
    /// Mean probability.
    pub mean_predicted: f64,
    /// Area under the ROC curve; None when all customers had the same outcome.
    pub auc: Option<f64>,
    /// Its 95 % interval; None when there are too few customers of either outcome.
    pub auc_interval: Option<Interval>,
    /// Mean negative log-likelihood.
    pub log_loss: f64,
    /// Its 95 % interval; None for a single customer.
    pub log_loss_interval: Option<Interval>,
    /// Mean squared error.
    pub brier: f64,
    /// Expected calibration error over ten bins of equal size.
    pub ece: f64,
    /// How many times likelier than average the likeliest tenth had the outcome; None when no customer had
    /// it.
    pub lift_at_10_percent: Option<f64>,
}

impl MonthlyPerformance {
    /// The month, such as `2026-03`.
    #[must_use]
    pub fn name(&self) -> String {
        self.start.to_string().chars().take("2026-03".len()).collect()
    }
}

/// The judged rows of each month and version.
#[derive(Default)]
struct RowsByMonth {
    months: HashMap<(Time, i64), JudgedRows>,
    /// When the latest interaction of the customers happened.
    latest: Option<Time>,
}

#[derive(Default)]
struct JudgedRows {
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    before_cutoff: usize,
    /// The middle of each horizon.
    nearly_over: Vec<Time>,
}

/// What each version predicts, and its data cut-off.
type PredictedByVersion = HashMap<i64, (LabelDefinition, Time)>;

impl Monitoring {
    /// Judges the predictions whose horizon has passed by what is known now, by month and model.
    ///
    /// A customer counts once a month and model, by its first prediction. Otherwise a lead that is scored
    /// daily until it buys would count more the longer it waits, and its last prediction before the
    /// purchase would be chosen by the outcome. As in training, neither COLD predictions count nor those
    /// of customers that, as known now, the model was not about.
    ///
    /// # Errors
    /// NOT_FOUND when the version of the query is not stored; FAILED_PRECONDITION (TOO_MANY_PREDICTIONS)
    /// for more than ten million rows.
    pub async fn performance(&self, query: PerformanceQuery) -> Result<Vec<MonthlyPerformance>> {
        if let Some(version) = query.version {
            // An unknown version is another thing than one without predictions.
            self.catalog.version(ModelName { target: query.target, version }).await?;
        }
        let now = self.clock.now();
        let mut predicted = Arc::new(PredictedByVersion::new());
        let mut rows = RowsByMonth::default();
        let mut after = String::new();
        loop {
            let ids = self.store.customer_ids(&after, PAGE).await?;
            let Some(last) = ids.last() else { break };
            let found = self.read_page(query, now, (&after, last), &mut predicted).await?;
            after.clone_from(last);
            if found.is_empty() {
                continue;
            }
            rows = self.judge_page(found, now, Arc::clone(&predicted), rows).await?;
            if rows.months.values().map(|rows| rows.labels.len()).sum::<usize>() > MOST_ROWS {
                return Err(too_many());
            }
        }
        run_blocking(move || by_month(query.target, rows)).await
    }

    /// The first predictions of each customer, month and version whose horizon has passed, of the
    /// customers after the first id up to the second.
    async fn read_page(
        &self,
        query: PerformanceQuery,
        now: Time,
        customers: (&str, &str),
        predicted: &mut Arc<PredictedByVersion>,
    ) -> Result<Vec<PastPrediction>> {
        let filter = PastPredictionFilter {
            target: query.target,
            version: query.version,
            from: query.from,
            to: query.to.min(now),
            after_customer: customers.0.to_owned(),
            last_customer: customers.1.to_owned(),
        };
        let mut found = self.store.past_predictions(filter).await?;
        for row in &found {
            if let Entry::Vacant(unknown) = Arc::make_mut(predicted).entry(row.model_version) {
                let name = ModelName { target: query.target, version: row.model_version };
                let model = self.catalog.version(name).await?;
                let artifact = model.scorer.artifact();
                unknown.insert((artifact.outcome.clone(), artifact.as_of));
            }
        }
        found.retain(|row| predicted[&row.model_version].0.horizon_end(row.as_of) <= now);
        Ok(first_of_each_month(found))
    }

    async fn judge_page(
        &self,
        found: Vec<PastPrediction>,
        now: Time,
        predicted: Arc<PredictedByVersion>,
        mut rows: RowsByMonth,
    ) -> Result<RowsByMonth> {
        let mut customers: Vec<String> = found.iter().map(|row| row.customer_id.clone()).collect();
        customers.dedup();
        let histories = self.store.histories(&customers).await?;
        run_blocking(move || {
            let known: HashMap<String, _> = customers.into_iter().zip(histories).collect();
            for row in found {
                // A customer that was erased meanwhile is not judged.
                if let Some(Some(history)) = known.get(&row.customer_id) {
                    judge(&row, history, now, &predicted[&row.model_version], &mut rows)?;
                }
            }
            Ok(rows)
        })
        .await?
    }
}

fn too_many() -> Error {
    Error::Precondition {
        reason: "TOO_MANY_PREDICTIONS",
        message: format!("more than {MOST_ROWS} predictions; ask for fewer months by from_time and to_time"),
    }
}

/// Keeps the first prediction of each customer, month and version. Rows come by customer and moment.
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

/// Adds a prediction and its label to the rows, if the customer is eligible as known `now`.
fn judge(
    row: &PastPrediction,
    history: &Packed,
    now: Time,
    (predicted, cutoff): &(LabelDefinition, Time),
    rows: &mut RowsByMonth,
) -> Result<()> {
    let label = history.with(|history| {
        let eligible = predicted.eligible(history, row.as_of, now).is_ok();
        rows.latest = rows.latest.max(history.visible(now, now).next_back().map(|event| event.occur_time));
        eligible.then(|| predicted.label(history, row.as_of, now))
    })?;
    if let Some(label) = label {
        let rows = rows.months.entry((row.as_of.month_start(), row.model_version)).or_default();
        rows.probabilities.push(row.probability);
        rows.labels.push(label);
        rows.before_cutoff += usize::from(row.as_of < *cutoff);
        let tenth = i64::from(predicted.horizon_days) * DAY / 10;
        rows.nearly_over.push(Time(predicted.horizon_end(row.as_of).0 - tenth));
    }
    Ok(())
}

fn by_month(target: Target, rows: RowsByMonth) -> Vec<MonthlyPerformance> {
    let RowsByMonth { months, latest } = rows;
    let is_silent = |middle: &&Time| latest.is_none_or(|latest| latest < **middle);
    let month = |((start, version), rows): ((Time, i64), JudgedRows)| {
        let metrics = Metrics::new(&rows.probabilities, &rows.labels);
        let both = metrics.positives > 0 && metrics.positives < metrics.rows;
        MonthlyPerformance {
            start,
            model: ModelName { target, version },
            rows: metrics.rows,
            positives: metrics.positives,
            before_cutoff: rows.before_cutoff,
            in_silence: rows.nearly_over.iter().filter(is_silent).count(),
            mean_predicted: rows.probabilities.iter().sum::<f64>() / metrics.rows as f64,
            auc: both.then_some(metrics.auc),
            // The rows are independent: a customer counts once.
            auc_interval: Interval::of_auc(&rows.probabilities, &rows.labels),
            log_loss: metrics.log_loss,
            log_loss_interval: Interval::of_log_loss(&rows.probabilities, &rows.labels),
            brier: metrics.brier,
            ece: metrics.ece,
            lift_at_10_percent: (metrics.positives > 0).then_some(metrics.lift_at_10_percent),
        }
    };
    let mut months: Vec<MonthlyPerformance> = months.into_iter().map(month).collect();
    months.sort_by_key(|month| (month.start, month.model.version));
    months
}
