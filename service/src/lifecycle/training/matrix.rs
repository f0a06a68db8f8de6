//! The training matrix: the raw snapshots as CSV, for `--matrix-out`.

use std::borrow::Cow;

use tally_model::{
    features::{Forecast, explain::FeatureValue},
    training::{snapshot::Snapshots, train::Trained},
};
use tally_terminal::NewFile;

/// Writes the raw snapshots: the customer, the moment, the part, the label, and every feature in natural
/// units; texts that a spreadsheet would take for formulas are marked. The BG/NBD features are left out: training derives
/// them from the others, with parameters of its own for each set of rows.
pub(super) fn write(file: NewFile, trained: &Trained, rows: &Snapshots) -> Result<(), csv::Error> {
    let plan = &trained.artifact.plan;
    let mut measures = plan.measures();
    let width = measures.len();
    measures.truncate(width - plan.forecast.map_or(0, |_| Forecast::WIDTH));
    let mut file = csv::Writer::from_writer(file);
    let fixed = ["customer_id", "as_of", "split", "label"].map(str::to_owned);
    let names = measures.iter().map(|measure| not_a_formula(&measure.to_string()).into_owned());
    file.write_record(fixed.into_iter().chain(names))?;
    for (row, features) in rows.features.chunks(width).enumerate() {
        let fixed = [
            not_a_formula(&rows.customers[rows.customer[row] as usize]).into_owned(),
            rows.as_of[row].to_string(),
            trained.parts[row].name().to_owned(),
            u8::from(rows.label[row]).to_string(),
        ];
        let values =
            measures.iter().zip(features).map(|(measure, raw)| match FeatureValue::of(measure, *raw) {
                FeatureValue::Missing => String::new(),
                FeatureValue::Number(number) => number.to_string(),
                FeatureValue::Boolean(truth) => truth.to_string(),
                FeatureValue::Text(level) => not_a_formula(&level).into_owned(),
            });
        file.write_record(fixed.into_iter().chain(values))?;
    }
    file.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()?;
    Ok(())
}

/// A text that a spreadsheet takes for a text. An apostrophe marks one that it would take for a formula, and one that
/// has an apostrophe at its start already, so that the texts are exact again without the first apostrophe. A number
/// with a sign, such as that of a telephone, is no formula.
fn not_a_formula(text: &str) -> Cow<'_, str> {
    let is_formula = match text.chars().next() {
        Some('=' | '@' | '\t' | '\r' | '\'') => true,
        Some('+' | '-') => text.contains(|c: char| !(c.is_ascii_digit() || "+-.,()/ ".contains(c))),
        _ => false,
    };
    if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::not_a_formula;

    #[test]
    fn formulas_are_marked_and_everything_else_is_exact() {
        for text in
            ["=HYPERLINK(\"http://x\")", "@SUM(A1)", "+cmd|' /C calc'!A0", "-A1", "\t=1", "\r=1", "'tis"]
        {
            assert_eq!(not_a_formula(text), format!("'{text}"));
        }
        for text in ["", "north", "a=b", "+49 (170) 123-45", "-12.5", "a'b"] {
            assert_eq!(not_a_formula(text), text);
        }
    }
}
