//! What the reader of an item has to know besides the reasons of its score.

use tally_model::{features::explain::FeatureValue, insight::Cause, scoring::Reason};
use tally_store::WorkItem;

/// A wider 95 % interval of a probability is remarked.
const WIDE: f64 = 0.5;

/// Remarks about an item: that the customer has returned more than half of what it bought, which its lifetime value does
/// not count; that it has bought on one day only, where that leaves no cause; and that its probability is hardly known.
/// They contribute nothing to the score.
pub(super) fn remarks(item: &WorkItem, cause: Cause, interval: Option<[f64; 2]>) -> Vec<Reason> {
    let returned = returned_share(item.total_revenue, item.total_returns).map(|share| {
        let text = format!("returned {:.0} % of revenue", (100.0 * share).floor());
        remark("returned_share", share, text)
    });
    let is_scored = item.churn_probability.is_some();
    let once = (item.purchase_days == 1 && is_scored && cause == Cause::Unknown).then(|| {
        remark("purchase_days", 1.0, "bought on one day only, so that nothing has fallen".to_owned())
    });
    let uncertain = interval.filter(|[lower, upper]| upper - lower > WIDE).map(|[lower, upper]| {
        let text = format!("likely between {} and {}", percent(lower), percent(upper));
        remark("interval_width", upper - lower, text)
    });
    returned.into_iter().chain(once).chain(uncertain).collect()
}

/// The share of the revenue that came back, if it is more than half.
fn returned_share(revenue: i64, returns: i64) -> Option<f64> {
    let share = (revenue > 0).then(|| returns as f64 / revenue as f64);
    share.filter(|share| *share > 0.5)
}

/// A probability in whole percent; none is certain.
fn percent(probability: f64) -> String {
    match 100.0 * probability {
        percent if percent < 0.1 => "<0.1 %".to_owned(),
        percent if percent > 99.9 => ">99.9 %".to_owned(),
        percent => format!("{:.0} %", percent.clamp(1.0, 99.0)),
    }
}

fn remark(feature: &str, value: f64, text: String) -> Reason {
    Reason {
        feature: feature.to_owned(),
        value: FeatureValue::Number(value),
        baseline: FeatureValue::Missing,
        contribution: 0.0,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_much() {
        assert_eq!(returned_share(100, 50), None);
        assert_eq!(returned_share(100, 51), Some(0.51));
        assert_eq!(returned_share(100, 130), Some(1.3));
        assert_eq!((returned_share(0, 10), returned_share(0, 0)), (None, None));
    }

    #[test]
    fn no_probability_is_certain() {
        let texts = [0.000_9, 0.002, 0.064, 0.5, 0.994, 0.999_1].map(percent);
        assert_eq!(texts, ["<0.1 %", "1 %", "6 %", "50 %", "99 %", ">99.9 %"]);
    }
}
