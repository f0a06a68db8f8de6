//! Numbers, times and names as people read them.

use indicatif::HumanCount;
use prost_types::Timestamp;
use tally_proto::v1::Target;
use tally_terminal::printable;

use crate::time;

/// Stands for what does not exist.
pub(crate) const DASH: &str = "–";

/// LEAD or CHURN.
pub(crate) fn target_name(target: Target) -> &'static str {
    enum_name(target.as_str_name())
}

/// `GRADE_A` -> `A`. For enums whose name is one word.
pub(crate) fn enum_name(name: &'static str) -> &'static str {
    name.split_once('_').map_or(name, |(_, name)| name)
}

/// A probability. It is never exactly 0 or 1, and is never shown as such.
pub(crate) fn percent(probability: f64) -> String {
    if probability < 0.0005 {
        "<0.1 %".to_owned()
    } else if probability > 0.9995 {
        ">99.9 %".to_owned()
    } else {
        format!("{:.1} %", probability * 100.0)
    }
}

/// A part of a whole, in percent.
pub(crate) fn share(part: i64, whole: i64) -> String {
    if whole > 0 { format!("{:.1} %", part as f64 / whole as f64 * 100.0) } else { DASH.to_owned() }
}

/// A ratio in percent, or a dash. Unlike a probability it can be exactly 0 or 1.
pub(crate) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| DASH.to_owned(), |ratio| format!("{:.1} %", tenths(ratio * 100.0)))
}

/// A growth in percent, with its sign, or a dash.
pub(crate) fn growth(growth: Option<f64>) -> String {
    match growth.map(|growth| growth * 100.0) {
        None => DASH.to_owned(),
        // From very little; tenths say nothing.
        Some(percent) if percent >= 1_000.0 => format!("+{} %", count(percent.round() as i64)),
        Some(percent) => format!("{:+.1} %", tenths(percent)),
    }
}

/// A difference of ratios in percentage points, with its sign.
pub(crate) fn points(difference: f64) -> String {
    format!("{:+.1} pp", tenths(difference * 100.0))
}

/// A number with so many decimals and separators between thousands, or a dash.
pub(crate) fn decimals(number: Option<f64>, decimals: usize) -> String {
    let Some(number) = number else { return DASH.to_owned() };
    let text = format!("{:.decimals$}", number.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}{rest}", whole.parse().map_or_else(|_| whole.to_owned(), count))
}

/// Rounds to tenths; a negative zero becomes positive.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0 + 0.0
}

/// Text of others for a column of a table; an ellipsis stands for what is cut off. JSON has all of it.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    tally_terminal::cut(&printable(text), columns)
}

/// A number with four decimals; a dash for one that does not exist.
pub(crate) fn number(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { DASH.to_owned() }
}

/// A count with separators between thousands.
pub(crate) fn count(count: i64) -> String {
    HumanCount(count.unsigned_abs()).to_string()
}

/// A time to the microsecond, to be copied; empty when there is none.
pub(crate) fn moment(timestamp: Option<&Timestamp>) -> String {
    timestamp.map(time::format).unwrap_or_default()
}

/// A time to the second, empty when there is none. JSON has the microseconds.
pub(crate) fn datetime(timestamp: Option<&Timestamp>) -> String {
    timestamp.map(|timestamp| time::format(&Timestamp { nanos: 0, ..*timestamp })).unwrap_or_default()
}

/// The day of a time in UTC, empty when there is none.
pub(crate) fn date(timestamp: Option<&Timestamp>) -> String {
    datetime(timestamp).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_and_growths_are_in_percent() {
        let shown = |number| [ratio(Some(number)), growth(Some(number))];
        assert_eq!(shown(0.0), ["0.0 %", "+0.0 %"]);
        assert_eq!(shown(-0.0001), ["0.0 %", "+0.0 %"]);
        assert_eq!(shown(0.1234), ["12.3 %", "+12.3 %"]);
        assert_eq!(shown(-1.5), ["-150.0 %", "-150.0 %"]);
        assert_eq!(growth(Some(267.844)), "+26,784 %");
        assert_eq!([ratio(None), growth(None), decimals(None, 1)], [DASH, DASH, DASH]);
        assert_eq!(
            [decimals(Some(-1_234.56), 1), decimals(Some(1e20), 0)],
            ["-1,234.6", "100000000000000000000"]
        );
        assert_eq!([points(-0.012), points(-0.0001), decimals(Some(1.25), 1)], ["-1.2 pp", "+0.0 pp", "1.2"]);
    }

    #[test]
    fn text_is_cut_by_the_columns_it_takes() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer\n", 5), "long…");
        assert_eq!(cut("王小明王小明", 7), "王小明…");
    }
}
