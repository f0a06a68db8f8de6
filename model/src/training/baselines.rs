//! Simple baselines on the same holdout: the base rate, and one feature alone.

use std::slice;

use crate::{
    artifact::Recipe,
    encode::Form,
    evaluation::metrics::Metrics,
    features::Measure,
    scoring::probability,
    spec::Target,
    training::{
        dataset::{Dataset, EncodedFit},
        fit::FitError,
        snapshot::Snapshots,
    },
};

/// The metrics of each baseline on the rows of the holdout, by name.
pub(super) fn baselines(
    dataset: Dataset<'_>,
    training: &[usize],
    holdout: &[usize],
) -> Result<Vec<(String, Metrics)>, FitError> {
    let labels = dataset.labels(holdout);
    let rate = dataset.positives(training) as f64 / training.len() as f64;
    let mut all = vec![("base_rate".to_owned(), Metrics::new(&vec![rate; holdout.len()], &labels))];
    if let Some(place) = strongest_measure(dataset)
        && let Some(probabilities) = single_feature(dataset, place, training, holdout)?
    {
        all.push((dataset.measures[place].to_string(), Metrics::new(&probabilities, &labels)));
    }
    Ok(all)
}

/// The index of the measure that predicts most by itself: the time since the last purchase, or the age of a lead.
fn strongest_measure(dataset: Dataset<'_>) -> Option<usize> {
    let position = |is_it: fn(&Measure) -> bool| dataset.measures.iter().position(is_it);
    match dataset.outcome.target {
        Target::Churn => position(|measure| measure.to_string() == "purchase.days_since_last")
            .or_else(|| position(|measure| matches!(measure, Measure::DaysSinceLast { .. }))),
        Target::Lead => position(|measure| *measure == Measure::TenureDays),
    }
}

/// The probabilities of the holdout by a regression on one feature; None when the feature does not vary.
fn single_feature(
    dataset: Dataset<'_>,
    place: usize,
    training: &[usize],
    holdout: &[usize],
) -> Result<Option<Vec<f64>>, FitError> {
    let features = dataset.rows.features.chunks(dataset.measures.len()).map(|row| row[place]).collect();
    let rows = Snapshots { features, ..dataset.rows.clone() };
    let measures = slice::from_ref(&dataset.measures[place]);
    let single = Dataset { measures, rows: &rows, ..dataset };
    let recipe = Recipe::first(Form::Log, 1.0);
    let Some(EncodedFit { encoder, fit, .. }) = single.fit(&recipe, training)? else { return Ok(None) };
    let log_odds = fit.log_odds(&single.design(&encoder, holdout));
    Ok(Some(log_odds.iter().map(|z| probability(*z)).collect()))
}
