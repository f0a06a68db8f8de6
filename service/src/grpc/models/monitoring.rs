//! Messages of drift and realised performance.

use prost_types::Timestamp;
use tally_model::{
    evaluation::drift::{Bin, DriftLevel, Share, Shift},
    features::explain::FeatureValue,
    time::Time,
};
use tally_proto::v1::{
    self, DriftBin, DriftRange, FeatureDrift, GetDriftResponse, GetRealisedPerformanceRequest, RealisedMonth,
    drift_bin,
};

use crate::{
    grpc::convert::{response, validator::Validator},
    monitoring::{MonthlyPerformance, PerformanceQuery, PopulationDrift},
    platform::error::Result,
};

pub(super) fn drift(found: PopulationDrift) -> GetDriftResponse {
    let counts = &found.population.counts;
    GetDriftResponse {
        model: found.model.to_string(),
        as_of_time: Some(response::timestamp(found.population.as_of)),
        score_time: Some(response::timestamp(found.population.score_time)),
        customers: counts.customers as i64,
        cold_customers: counts.cold as i64,
        training_rows: found.training_rows as i64,
        score: Some(shift("score".to_owned(), found.report.score)),
        features: found.report.features.into_iter().map(|(name, moved)| shift(name, moved)).collect(),
    }
}

fn shift(feature: String, shift: Shift) -> FeatureDrift {
    let verdict = match shift.level {
        DriftLevel::Stable => v1::Drift::Stable,
        DriftLevel::Moderate => v1::Drift::Moderate,
        DriftLevel::Large => v1::Drift::Large,
        DriftLevel::TooFew => v1::Drift::TooFew,
    };
    FeatureDrift {
        feature,
        psi: shift.psi,
        psi_by_chance: shift.chance,
        verdict: verdict.into(),
        mean_difference: shift.mean_difference,
        missing_difference: shift.missing_difference,
        bins: shift.bins.into_iter().map(bin).collect(),
        beyond_share: shift.beyond,
    }
}

fn bin(share: Share) -> DriftBin {
    let bin = match share.bin {
        Bin::Range(above, up_to) => drift_bin::Bin::Range(DriftRange { above, up_to }),
        Bin::Level(FeatureValue::Boolean(truth)) => drift_bin::Bin::Level(truth.to_string()),
        Bin::Level(FeatureValue::Number(number)) => drift_bin::Bin::Level(number.to_string()),
        Bin::Level(FeatureValue::Text(level)) => drift_bin::Bin::Level(level),
        Bin::Level(FeatureValue::Missing) | Bin::Missing => drift_bin::Bin::Missing(true),
    };
    DriftBin { bin: Some(bin), training_share: share.training, population_share: share.population }
}

pub(super) fn performance_query(
    mut validator: Validator,
    request: &GetRealisedPerformanceRequest,
) -> Result<PerformanceQuery> {
    let target = validator.target(request.target);
    let version = validator.model(target, &request.model).map(|name| name.version);
    let mut bound = |field: &str, time: Option<&Timestamp>, open: Time| {
        time.map_or(open, |time| validator.time(field, time))
    };
    let from = bound("from_time", request.from_time.as_ref(), Time::MIN);
    let to = bound("to_time", request.to_time.as_ref(), Time::MAX);
    validator.finish(PerformanceQuery { target, version, from, to })
}

pub(super) fn month(month: &MonthlyPerformance) -> RealisedMonth {
    RealisedMonth {
        month: month.name(),
        model: month.model.to_string(),
        rows: month.rows as i64,
        positives: month.positives as i64,
        mean_predicted: month.mean_predicted,
        auc: month.auc,
        log_loss: month.log_loss,
        brier: month.brier,
        ece: month.ece,
        lift_at_10_percent: month.lift_at_10_percent,
        rows_before_cutoff: month.before_cutoff as i64,
        rows_in_silence: month.in_silence as i64,
        auc_lower: month.auc_interval.map(|interval| interval.lower),
        auc_upper: month.auc_interval.map(|interval| interval.upper),
        log_loss_lower: month.log_loss_interval.map(|interval| interval.lower),
        log_loss_upper: month.log_loss_interval.map(|interval| interval.upper),
    }
}
