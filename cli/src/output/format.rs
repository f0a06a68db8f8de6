//! Numbers, times and names as people read them.

use indicatif::HumanCount;
use prost_types::Timestamp;
use tally_proto::v1::Target;

use crate::time;

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
    if whole > 0 { format!("{:.1} %", part as f64 / whole as f64 * 100.0) } else { "–".to_owned() }
}

/// A number with four decimals; a dash for one that does not exist.
pub(crate) fn number(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { "–".to_owned() }
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
