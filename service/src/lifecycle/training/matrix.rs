//! The training matrix: the raw snapshots as CSV, for `--matrix-out`.

use std::path::Path;

use tally_model::{
    features::{Forecast, Measure, explain::FeatureValue},
    training::{snapshot::Snapshots, train::Trained},
};

use crate::platform::output_file::OutputFile;

/// Writes the raw snapshots: the customer, the moment, the part, the label, and every feature in natural
/// units. The BG/NBD features are left out: training derives them from the others, with parameters of
/// its own for each set of rows.
pub(super) fn write(path: &Path, trained: &Trained, rows: &Snapshots) -> Result<(), csv::Error> {
    let plan = &trained.artifact.plan;
    let mut measures = plan.measures();
    let width = measures.len();
    measures.truncate(width - plan.forecast.map_or(0, |_| Forecast::WIDTH));
    let mut file = csv::Writer::from_writer(OutputFile::create(path)?);
    let fixed = ["customer_id", "as_of", "split", "label"].map(str::to_owned);
    file.write_record(fixed.into_iter().chain(measures.iter().map(Measure::to_string)))?;
    for (row, features) in rows.features.chunks(width).enumerate() {
        let fixed = [
            rows.customers[rows.customer[row] as usize].clone(),
            rows.as_of[row].to_string(),
            trained.parts[row].name().to_owned(),
            u8::from(rows.label[row]).to_string(),
        ];
        let values =
            measures.iter().zip(features).map(|(measure, raw)| match FeatureValue::of(measure, *raw) {
                FeatureValue::Missing => String::new(),
                FeatureValue::Number(number) => number.to_string(),
                FeatureValue::Boolean(truth) => truth.to_string(),
                FeatureValue::Text(level) => level,
            });
        file.write_record(fixed.into_iter().chain(values))?;
    }
    file.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()?;
    Ok(())
}
