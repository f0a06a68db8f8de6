//! What the model has learned: effects of values, and coefficients.

use prost_types::{Value, value::Kind};
use tally_proto::v1::{EffectCurve, EffectPoint, Model};

use crate::output::{counted, number, printable, table};

/// Coefficients shown.
const COEFFICIENTS: usize = 15;
/// Features shown with their effect.
const EFFECTS: usize = 10;
/// Points shown of each curve.
const POINTS: usize = 5;

/// The curves with the widest range.
pub(super) fn effects(curves: &[EffectCurve]) -> String {
    let mut widest: Vec<&EffectCurve> = curves.iter().filter(|curve| !curve.points.is_empty()).collect();
    widest.sort_by(|a, b| range(b).total_cmp(&range(a)));
    let rows = widest.iter().take(EFFECTS).map(|curve| {
        let points =
            few(&curve.points).map(|point| format!("{} → {:+.2}", value(&point.value), point.log_odds));
        std::iter::once(printable(&curve.feature)).chain(points).collect()
    });
    format!(
        "What values add to the log-odds of an average customer: the {} of {} with the largest effect\n{}",
        widest.len().min(EFFECTS),
        counted(curves.len() as u64, "feature", "features"),
        table(&["feature", "value → log-odds"], &[], rows)
    )
}

fn range(curve: &EffectCurve) -> f64 {
    let values = curve.points.iter().map(|point| point.log_odds);
    values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
}

/// A few points of a curve: of numbers from the least to the greatest, and missing; of levels the first.
fn few(points: &[EffectPoint]) -> impl Iterator<Item = &EffectPoint> {
    let is_number = |point: &&EffectPoint| matches!(kind(&point.value), Some(Kind::NumberValue(_)));
    let numbers = points.iter().take_while(is_number).count();
    let last = numbers.saturating_sub(1);
    let mut shown: Vec<usize> =
        (0..POINTS.min(numbers)).map(|n| n * last / (POINTS.min(numbers) - 1).max(1)).collect();
    shown.extend((numbers..points.len()).take(POINTS));
    shown.into_iter().map(|n| &points[n])
}

fn kind(value: &Option<Value>) -> Option<&Kind> {
    value.as_ref()?.kind.as_ref()
}

fn value(value: &Option<Value>) -> String {
    match kind(value) {
        // Counts need no decimals, shares do.
        Some(Kind::NumberValue(x)) if x.fract() == 0.0 || x.abs() >= 100.0 => format!("{x:.0}"),
        Some(Kind::NumberValue(x)) => format!("{x:.2}"),
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        Some(Kind::StringValue(level)) => printable(level),
        _ => "missing".to_owned(),
    }
}

/// The largest coefficients.
pub(super) fn coefficients(model: &Model) -> String {
    let mut largest: Vec<_> = model.coefficients.iter().collect();
    largest.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    let rows = largest.iter().take(COEFFICIENTS).map(|c| {
        vec![
            printable(&c.feature),
            printable(&c.column),
            format!("{:+.4}", c.coefficient),
            number(c.standard_error),
        ]
    });
    let header = ["feature", "column", "coefficient", "standard error"];
    let text = format!(
        "Coefficients, the largest first (log-odds per standard deviation; intercept {:+.4})\n{}",
        model.intercept,
        table(&header, &[2, 3], rows)
    );
    match largest.len().saturating_sub(COEFFICIENTS) {
        0 => text,
        more => format!("{text}\nand {more} more; --json has them all"),
    }
}
