//! Drift and realised performance as tables.

use tally_proto::v1::{Drift, FeatureDrift, GetDriftResponse, RealisedMonth};

use crate::output::{count, counted, datetime, number, percent, printable, share, table};

/// The drift of the score and of features, the greatest first, and how many features are left out.
pub(super) fn drift(drift: &GetDriftResponse, left_out: usize) -> String {
    let row = |drift: &FeatureDrift| {
        vec![
            printable(&drift.feature),
            format!("{:.3}", drift.psi),
            verdict(drift.verdict()).to_owned(),
            drift.mean_difference.map(|difference| format!("{difference:+.2}")).unwrap_or_default(),
            format!("{:+.1} %", drift.missing_difference * 100.0),
            // Most have none.
            drift.beyond_share.filter(|share| *share > 0.0).map(percent).unwrap_or_default(),
        ]
    };
    let header = ["", "PSI", "", "mean, in standard deviations", "missing", "beyond what was learned from"];
    let more = match left_out {
        0 => String::new(),
        features => {
            let features = counted(features as u64, "feature", "features");
            format!("\n\nand {features} that drifted less; without --top all are listed")
        }
    };
    format!(
        "{}: {} as of {}, {} of them unknown at that time, against {} at its training\n\n{}{more}",
        printable(&drift.model),
        counted(drift.customers, "customer", "customers"),
        datetime(drift.as_of_time.as_ref()),
        count(drift.cold_customers),
        count(drift.training_rows),
        table(&header, &[1, 3, 4, 5], drift.score.iter().chain(&drift.features).map(row))
    )
}

const fn verdict(verdict: Drift) -> &'static str {
    match verdict {
        Drift::Unspecified => "",
        Drift::Stable => "stable",
        Drift::Moderate => "moderate",
        Drift::Large => "large",
        Drift::TooFew => "too few to tell",
    }
}

/// Predictions and what happened, a line for each month and model.
pub(super) fn realised(months: &[RealisedMonth]) -> String {
    if months.is_empty() {
        return "no stored prediction has reached the end of its horizon yet".to_owned();
    }
    let header = [
        "month",
        "model",
        "customers",
        "predicted",
        "happened",
        "AUC",
        "95 %",
        "log loss",
        "95 %",
        "Brier",
        "ECE",
        "lift at 10 %",
    ];
    let rows = table(&header, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11], months.iter().map(realised_row));
    let sum = |of: fn(&RealisedMonth) -> i64| months.iter().map(of).sum::<i64>();
    let mut parts = vec![rows];
    let before = sum(|month| month.rows_before_cutoff);
    if before > 0 {
        parts.push(format!(
            "{} before the data cut-off of their model, which may have learned from them: metrics that include them \
             look better than they are",
            counted(before, "of these lies", "of these lie")
        ));
    }
    let silent = sum(|month| month.rows_in_silence);
    if silent > 0 {
        parts.push(format!(
            "{} followed by no interactions of anybody for more than a tenth of their horizon: the data \
             probably end before, and what happened is not known; import the interactions since",
            counted(silent, "of these was", "of these were")
        ));
    }
    parts.join("\n\n")
}

fn realised_row(month: &RealisedMonth) -> Vec<String> {
    vec![
        month.month.clone(),
        printable(&month.model),
        count(month.rows),
        percent(month.mean_predicted),
        share(month.positives, month.rows),
        number(month.auc.unwrap_or(f64::NAN)),
        interval(month.auc_lower, month.auc_upper),
        number(month.log_loss),
        interval(month.log_loss_lower, month.log_loss_upper),
        number(month.brier),
        number(month.ece),
        number(month.lift_at_10_percent.unwrap_or(f64::NAN)),
    ]
}

/// The ends of an interval, or a dash.
fn interval(lower: Option<f64>, upper: Option<f64>) -> String {
    let ends = lower.zip(upper).map(|(lower, upper)| format!("{} to {}", number(lower), number(upper)));
    ends.unwrap_or_else(|| number(f64::NAN))
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn drift_is_a_table_with_a_verdict_in_words() {
        let moved = |feature: &str, psi, verdict: Drift| FeatureDrift {
            feature: feature.to_owned(),
            psi,
            verdict: verdict.into(),
            ..FeatureDrift::default()
        };
        let score = moved("score", 0.04, Drift::Stable);
        let region = moved("attribute.region", 0.31, Drift::Large);
        let rate = moved("attribute.rate", 0.12, Drift::Moderate);
        let response = GetDriftResponse {
            model: "churn/7".to_owned(),
            as_of_time: Some(Timestamp { seconds: 1_315_526_400, nanos: 0 }),
            customers: 1_234,
            cold_customers: 12,
            training_rows: 5_000,
            score: Some(FeatureDrift { mean_difference: Some(-0.125), ..score }),
            features: vec![
                FeatureDrift { missing_difference: 0.25, ..region },
                FeatureDrift { mean_difference: Some(0.4), beyond_share: Some(0.0432), ..rate },
                FeatureDrift { beyond_share: Some(0.0), ..moved("trend", 0.0, Drift::Stable) },
            ],
            ..GetDriftResponse::default()
        };
        let shown = drift(&response, 0);
        assert!(
            drift(&response, 3)
                .ends_with("\n\nand 3 features that drifted less; without --top all are listed")
        );
        insta::assert_snapshot!(shown, @r"
        churn/7: 1,234 customers as of 2011-09-09T00:00:00Z, 12 of them unknown at that time, against 5,000 at its training

                            PSI            mean, in standard deviations  missing  beyond what was learned from
        ───────────────────────────────────────────────────────────────────────────────────────────────────────
        score             0.040  stable                           -0.12   +0.0 %
        attribute.region  0.310  large                                   +25.0 %
        attribute.rate    0.120  moderate                         +0.40   +0.0 %                         4.3 %
        trend             0.000  stable                                   +0.0 %
        ");
    }

    #[test]
    fn what_does_not_exist_is_shown_as_a_dash() {
        let month = RealisedMonth {
            month: "2026-03".to_owned(),
            model: "lead/2".to_owned(),
            rows: 12,
            mean_predicted: 0.1,
            log_loss: 0.105,
            log_loss_lower: Some(0.09),
            log_loss_upper: Some(0.12),
            ..RealisedMonth::default()
        };
        let shown =
            realised(&[month.clone(), RealisedMonth { rows_before_cutoff: 5, rows_in_silence: 3, ..month }]);
        insta::assert_snapshot!(shown, @r"
        month    model   customers  predicted  happened  AUC  95 %  log loss              95 %   Brier     ECE  lift at 10 %
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        2026-03  lead/2         12     10.0 %     0.0 %    –     –    0.1050  0.0900 to 0.1200  0.0000  0.0000             –
        2026-03  lead/2         12     10.0 %     0.0 %    –     –    0.1050  0.0900 to 0.1200  0.0000  0.0000             –

        5 of these lie before the data cut-off of their model, which may have learned from them: metrics that include them look better than they are

        3 of these were followed by no interactions of anybody for more than a tenth of their horizon: the data probably end before, and what happened is not known; import the interactions since
        ");
    }
}
