//! Insight: what the histories say about customers beyond the two probabilities, one definition for each number.
//!
//! What belongs to one customer is a function of its history ([`Facts`]); what is relative to all customers is taken
//! from the facts of all of them ([`Population`]). `docs/metrics.md` defines every number.

mod affinity;
mod affinity_spec;
pub mod alert;
mod coverage;
mod facts;
mod forecast;
mod interval;
mod kpis;
mod life_cycle;
mod period;
mod placement;
mod population;
mod rfm_spec;
mod segmentation;
mod spec;
mod value;
mod worklist;

pub use affinity::{Affinity, AffinityCounter, AffinityIndex, AffinityPair, LEAST_CUSTOMERS, NextToBuy};
pub use affinity_spec::AffinitySpec;
pub use coverage::{growth_warning, kpi_warning, sales_warning};
pub use facts::{Facts, Money, PurchaseDays, growth};
pub use forecast::{
    FORECAST_STEP_DAYS, Forecast, ForecastActual, ForecastMeasure, ForecastRow, ForecastSample,
    StageTransition,
};
pub use interval::{ExpectedInterval, Interval, NoInterval, own_interval};
pub use kpis::{
    Figure, KPI_METRICS, KpiCounter, KpiCounts, KpiFigures, KpiMetric, KpiQuestion, KpiSpans, KpiUnit,
    kpi_interval,
};
pub use life_cycle::{Relation, RelationChange};
pub use period::{
    Period, ReportPeriod, Span, TooManyPeriods, UnknownTimeZone, period_before, period_start, report_periods,
    time_zone,
};
pub use placement::{AbcClass, LifeCycle, Placement, ValueLoyalty, abc_class};
pub use population::{AttributeTypes, Population, PopulationSample};
pub use rfm_spec::{RfmSegment, RfmSpec};
pub use segmentation::{Segmentation, UnknownSegmentation};
pub use spec::{AbcBy, AbcSpec, InsightSpec, LifeCycleSpec, TypicalInterval};
pub use value::{
    BacktestBasis, BuyerPurchases, CustomerValue, GammaGamma, GammaGammaFit, MarginRate, PreparedValue,
    ValueModel, ValueSample, ValueSpec, failed_intervals, missed_forecast, missed_stage, missed_total,
    no_backtest, shorter_horizon,
};
use value::{Chebyshev, at_place, panel_of};
pub use worklist::{
    Arm, Cause, CauseSums, Effect, FeatureCauses, Likelihood, Outcome, OutcomeDays, PlaybookEntry, WorkKind,
    WorkKinds, WorklistSpec, default_playbook, effect, is_held_out, more_needed, next_care_time, play,
    value_at_risk,
};
