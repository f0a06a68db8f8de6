//! How often a customer buys, in words that a salesperson understands.

use tally_proto::v1::CustomerInsight;

use crate::output::counted;

/// Says whether the customer buys as often as can be expected.
pub(super) fn rhythm(insight: &CustomerInsight) -> String {
    let Some(recency) = insight.recency_days else { return "no purchase yet".to_owned() };
    let since = match recency {
        0 => "bought today".to_owned(),
        recency => format!("no purchase for {}", days(recency)),
    };
    let (Some(interval), Some(ratio)) = (insight.expected_interval_days, insight.overdue_ratio) else {
        return since;
    };
    let expected = format!("{since}; expected after {}", interval_text(interval));
    // Days from now until the purchase that is expected, of the numbers that are shown.
    let until = match interval < 9.95 {
        true => (interval - recency as f64).round() as i64,
        false => interval.round() as i64 - recency,
    };
    match until {
        0 => format!("{expected}: the next today"),
        1.. => format!("{expected}: the next in {}", days(until)),
        _ => format!("{expected}: {} overdue ({ratio:.1} times as long)", days(-until)),
    }
}

/// `1 day`, `2 days`.
pub(super) fn days(days: i64) -> String {
    counted(days, "day", "days")
}

/// An interval with as many decimals as matter.
fn interval_text(interval: f64) -> String {
    if interval < 9.95 { format!("{interval:.1}") } else { format!("{interval:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rhythm_is_a_sentence() {
        let shown = |recency_days, expected_interval_days, overdue_ratio| {
            rhythm(&CustomerInsight {
                recency_days,
                expected_interval_days,
                overdue_ratio,
                ..CustomerInsight::default()
            })
        };
        assert_eq!(
            [
                shown(None, None, None),
                shown(Some(0), Some(34.0), Some(0.01)),
                shown(Some(1), Some(7.26), Some(0.2)),
                shown(Some(34), Some(34.2), Some(1.0)),
                shown(Some(82), Some(34.2), Some(2.4)),
                shown(Some(3), None, None),
            ],
            [
                "no purchase yet",
                "bought today; expected after 34: the next in 34 days",
                "no purchase for 1 day; expected after 7.3: the next in 6 days",
                "no purchase for 34 days; expected after 34: the next today",
                "no purchase for 82 days; expected after 34: 48 days overdue (2.4 times as long)",
                "no purchase for 3 days",
            ]
        );
    }
}
