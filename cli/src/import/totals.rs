//! What an import has stored.

use std::time::Duration;

use indicatif::HumanCount;
use serde_json::{Value, json};
use tally_proto::v1::{RecordInteractionsResponse, UpsertCustomersResponse};
use tally_terminal::counted;

/// What the server has stored.
#[derive(Default)]
pub(super) struct ImportTotals {
    pub(super) customers: UpsertCustomersResponse,
    pub(super) interactions: RecordInteractionsResponse,
    pub(super) time: Duration,
}

impl ImportTotals {
    /// The totals and what the checks have found, as an object.
    pub(super) fn json(&self, findings: &Value) -> String {
        let Self { customers, interactions, time } = self;
        json!({
            "upserted": customers.upserted,
            "backfilled": customers.backfilled,
            "erased_customers": customers.erased,
            "recorded": interactions.recorded,
            "duplicates": interactions.duplicates,
            "corrected": interactions.corrected,
            "skipped": interactions.skipped,
            "erased_interactions": interactions.erased,
            "late": interactions.late,
            "moved": interactions.moved,
            "outdated_predictions": self.outdated_predictions(),
            "seconds": time.as_secs_f64(),
            "findings": findings,
        })
        .to_string()
    }

    /// The totals as a line. What seldom happens is left out when it has not.
    pub(super) fn text(&self) -> String {
        let Self { customers, interactions, time } = self;
        let mut parts = vec![
            counted(customers.upserted, "customer upserted", "customers upserted"),
            counted(interactions.recorded, "interaction recorded", "interactions recorded"),
            counted(interactions.duplicates, "duplicate", "duplicates"),
        ];
        let [skipped, moved] =
            ["skipped since another content is stored", "of the duplicates known earlier than before"];
        let seldom = [
            (
                customers.erased,
                "customer left out since it was erased",
                "customers left out since they were erased",
            ),
            (
                customers.backfilled,
                "customer with attributes brought into the past",
                "customers with attributes brought into the past",
            ),
            (interactions.corrected, "corrected", "corrected"),
            (
                interactions.erased,
                "interaction of an erased customer left out",
                "interactions of erased customers left out",
            ),
            (interactions.skipped, skipped, skipped),
            (interactions.moved, moved, moved),
            (
                self.outdated_predictions(),
                "stored prediction marked, since its past has changed",
                "stored predictions marked, since their past has changed",
            ),
        ];
        let seldom = seldom.into_iter().filter(|(count, ..)| *count > 0);
        parts.extend(seldom.map(|(count, one, many)| counted(count, one, many)));
        format!("{}, {:.1} s", parts.join(", "), time.as_secs_f64())
    }

    /// A warning if most of what is new counts as known only from now on, although it happened before.
    pub(super) fn late_warning(&self) -> Option<String> {
        let (late, recorded) = (self.interactions.late, self.interactions.recorded);
        (late * 2 > recorded).then(|| {
            format!(
                "warning: {} of {} happened more than a day ago and {} as known only from now on, \
                 so models cannot learn from them. If this is history, import the same file again with --backfill: \
                 that mends it",
                HumanCount(late.unsigned_abs()),
                counted(recorded, "new interaction", "new interactions"),
                if late == 1 { "counts" } else { "count" }
            )
        })
    }

    const fn outdated_predictions(&self) -> i64 {
        self.customers.outdated_predictions + self.interactions.outdated_predictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_a_line() {
        let mut totals = ImportTotals { time: Duration::from_millis(250), ..Default::default() };
        (totals.customers.upserted, totals.interactions.recorded) = (2, 12_001);
        assert_eq!(totals.text(), "2 customers upserted, 12,001 interactions recorded, 0 duplicates, 0.2 s");
        (totals.customers.upserted, totals.interactions.recorded, totals.interactions.duplicates) = (1, 1, 1);
        assert_eq!(totals.text(), "1 customer upserted, 1 interaction recorded, 1 duplicate, 0.2 s");
        (totals.interactions.duplicates, totals.interactions.recorded) = (0, 12_001);
        (totals.interactions.corrected, totals.customers.outdated_predictions) = (1, 3);
        assert!(totals.text().contains("duplicates, 1 corrected, 3 stored predictions marked"));
        (totals.customers.erased, totals.interactions.erased) = (4, 5);
        assert!(totals.text().contains("4 customers left out since they were erased"));
        assert!(totals.text().contains("5 interactions of erased customers left out"));
        let json: Value = serde_json::from_str(&totals.json(&json!({}))).unwrap();
        assert_eq!(
            (&json["recorded"], &json["corrected"], &json["seconds"]),
            (&json!(12_001), &json!(1), &json!(0.25))
        );
    }

    #[test]
    fn late_history_is_told() {
        let mut totals = ImportTotals::default();
        assert_eq!(totals.late_warning(), None);
        (totals.interactions.late, totals.interactions.recorded) = (5, 10);
        assert_eq!(totals.late_warning(), None);
        totals.interactions.late = 6;
        assert!(totals.late_warning().unwrap().contains("6 of 10 new interactions happened"));
        (totals.interactions.late, totals.interactions.recorded) = (1, 1);
        assert!(totals.late_warning().unwrap().contains("1 of 1 new interaction happened"));
    }
}
