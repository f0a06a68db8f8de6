//! The gauges of drift and realised performance, kept up to date in the background.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use tally_model::{
    evaluation::intervals::Interval,
    label::LabelDefinition,
    time::{DAY, Time},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    HealthReceiver, ModelHealth, Monitoring, MonthlyPerformance, PerformanceQuery, PopulationDrift,
    ScoreDrift,
};
use crate::{
    catalog::ModelName,
    platform::{
        error::{Error, Result},
        metrics::{MetricsRegistry, RealGauge},
    },
    scoring::PopulationScored,
};

/// How often drift is computed: another server may have scored a population.
const EVERY: Duration = Duration::from_secs(600);
/// Realised performance is computed every so many rounds: it changes when history is recorded late.
const PERFORMANCE_EVERY: u32 = 144;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    target: &'static str,
    model: String,
}

impl From<ModelName> for ModelLabels {
    fn from(model: ModelName) -> Self {
        Self { target: model.target.name(), model: model.to_string() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeatureLabels {
    target: &'static str,
    model: String,
    feature: String,
}

/// The ends of an interval.
#[derive(Clone)]
struct IntervalGauges {
    lower: Family<ModelLabels, RealGauge>,
    upper: Family<ModelLabels, RealGauge>,
}

impl IntervalGauges {
    fn set(&self, model: &ModelLabels, interval: Option<Interval>) {
        let Some(Interval { lower, upper }) = interval else { return };
        self.lower.get_or_create(model).set(lower);
        self.upper.get_or_create(model).set(upper);
    }
}

/// The gauges.
#[derive(Clone)]
pub struct MonitoringGauges {
    metrics: Arc<MetricsRegistry>,
    population_customers: Family<ModelLabels, Gauge>,
    population_as_of: Family<ModelLabels, RealGauge>,
    score_psi: Family<ModelLabels, RealGauge>,
    feature_psi: Family<FeatureLabels, RealGauge>,
    rows: Family<ModelLabels, Gauge>,
    auc: Family<ModelLabels, RealGauge>,
    auc_interval: IntervalGauges,
    log_loss: Family<ModelLabels, RealGauge>,
    log_loss_interval: IntervalGauges,
    ece: Family<ModelLabels, RealGauge>,
    lift: Family<ModelLabels, RealGauge>,
    /// The same for those who wait for it.
    health: watch::Sender<ModelHealth>,
}

impl MonitoringGauges {
    /// Registers the gauges, which are empty until [`run`](Self::run).
    #[must_use]
    pub fn new(metrics: &Arc<MetricsRegistry>) -> Self {
        Self {
            population_customers: metrics.register(
                "tally_population_customers",
                "Customers of the last population that the champion has scored",
            ),
            population_as_of: metrics.register(
                "tally_population_as_of_seconds",
                "The moment that the last scored population is about, in seconds since 1970",
            ),
            score_psi: metrics.register(
                "tally_drift_score_psi",
                "PSI of the champion's probability between training and the last scored population",
            ),
            feature_psi: metrics.register(
                "tally_drift_feature_psi",
                "PSI of a feature of the champion between training and the last scored population",
            ),
            rows: metrics.register(
                "tally_realised_rows",
                "Customers judged of the last whole month whose horizon has passed, for each model",
            ),
            auc: metrics.register("tally_realised_auc", "AUC of past predictions"),
            auc_interval: IntervalGauges {
                lower: metrics
                    .register("tally_realised_auc_lower", "Lower end of the 95 % interval of that AUC"),
                upper: metrics
                    .register("tally_realised_auc_upper", "Upper end of the 95 % interval of that AUC"),
            },
            log_loss: metrics
                .register("tally_realised_log_loss", "Mean negative log-likelihood of past predictions"),
            log_loss_interval: IntervalGauges {
                lower: metrics.register("tally_realised_log_loss_lower", "Lower end of its 95 % interval"),
                upper: metrics.register("tally_realised_log_loss_upper", "Upper end of its 95 % interval"),
            },
            ece: metrics.register("tally_realised_ece", "Expected calibration error of past predictions"),
            lift: metrics.register(
                "tally_realised_lift_at_10_percent",
                "How many times likelier than average the likeliest tenth had the outcome",
            ),
            health: watch::Sender::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// How the champions are, each time that it was looked at.
    #[must_use]
    pub fn health(&self) -> HealthReceiver {
        self.health.subscribe()
    }

    /// Keeps the gauges up to date until it is cancelled; at once after a population run of this server.
    /// Errors are logged, and the gauges stay as they are until the next round.
    pub async fn run(self, monitoring: Monitoring, scored: PopulationScored) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rounds = 0_u32;
        loop {
            let scored = tokio::select! {
                _ = ticks.tick() => false,
                () = scored.wait() => true,
            };
            let performance = scored || rounds.is_multiple_of(PERFORMANCE_EVERY);
            if let Err(error) = self.update(&monitoring, performance).await {
                tracing::warn!(%error, "drift and realised performance could not be computed");
            }
            rounds = rounds.wrapping_add(1);
        }
    }

    #[tracing::instrument(name = "monitoring", skip_all)]
    async fn update(&self, monitoring: &Monitoring, performance: bool) -> Result<()> {
        let champions = monitoring.catalog.champions();
        let mut drifts = Vec::new();
        for model in &champions {
            match monitoring.drift_of(model).await {
                Ok(drift) => drifts.push(drift),
                // It has not scored a population yet.
                Err(Error::Precondition { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.metrics.replace(|| self.set_drift(&drifts));
        self.health.send_modify(|health| health.drifts = drifts.iter().map(ScoreDrift::from).collect());
        if performance {
            let mut months = Vec::new();
            for model in &champions {
                let predicted = &model.scorer.artifact().outcome;
                let (from, to) = last_whole_month(predicted, monitoring.clock.now());
                let query = PerformanceQuery { target: model.name.target, version: None, from, to };
                months.extend(monitoring.performance(query).await?);
            }
            self.metrics.replace(|| self.set_performance(&months));
            self.health.send_modify(|health| health.months = months);
        }
        Ok(())
    }

    fn set_drift(&self, drifts: &[PopulationDrift]) {
        self.population_customers.clear();
        self.population_as_of.clear();
        self.score_psi.clear();
        self.feature_psi.clear();
        for drift in drifts {
            let model = ModelLabels::from(drift.model);
            let population = &drift.population;
            self.population_customers.get_or_create(&model).set(population.counts.customers as i64);
            self.population_as_of.get_or_create(&model).set(population.as_of.0 as f64 / 1e6);
            self.score_psi.get_or_create(&model).set(drift.report.score.psi);
            for (feature, shift) in &drift.report.features {
                let ModelLabels { target, model } = model.clone();
                let labels = FeatureLabels { target, model, feature: feature.clone() };
                self.feature_psi.get_or_create(&labels).set(shift.psi);
            }
        }
    }

    fn set_performance(&self, months: &[MonthlyPerformance]) {
        self.rows.clear();
        for family in [&self.auc, &self.log_loss, &self.ece, &self.lift] {
            family.clear();
        }
        for IntervalGauges { lower, upper } in [&self.auc_interval, &self.log_loss_interval] {
            lower.clear();
            upper.clear();
        }
        for month in months {
            let model = ModelLabels::from(month.model);
            self.rows.get_or_create(&model).set(month.rows as i64);
            self.log_loss.get_or_create(&model).set(month.log_loss);
            self.ece.get_or_create(&model).set(month.ece);
            self.auc_interval.set(&model, month.auc_interval);
            self.log_loss_interval.set(&model, month.log_loss_interval);
            if let Some(auc) = month.auc {
                self.auc.get_or_create(&model).set(auc);
            }
            if let Some(lift) = month.lift_at_10_percent {
                self.lift.get_or_create(&model).set(lift);
            }
        }
    }
}

/// The last calendar month (UTC) of which every moment has its horizon behind it.
fn last_whole_month(predicted: &LabelDefinition, now: Time) -> (Time, Time) {
    let end = now.plus_days(-i64::from(predicted.horizon_days)).month_start();
    (Time(end.0 - DAY).month_start(), end)
}
