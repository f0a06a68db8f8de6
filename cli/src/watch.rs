//! Drift and realised performance as tables.

use tally_proto::v1::{Drift, FeatureDrift, GetDriftResponse, RealisedMonth};

use super::render::{count, moment, number, percent, plain, share, table};

/// The score and every feature, the greatest drift first.
pub(super) fn drift(drift: &GetDriftResponse) -> String {
    let row = |drift: &FeatureDrift| {
        vec![
            plain(&drift.feature),
            format!("{:.3}", drift.psi),
            verdict(drift.verdict()).to_owned(),
            drift.mean_difference.map(|difference| format!("{difference:+.2}")).unwrap_or_default(),
            format!("{:+.1} %", drift.missing_difference * 100.0),
        ]
    };
    let header = ["", "PSI", "", "mean, in standard deviations", "missing"];
    format!(
        "{}: {} customers as of {}, {} of them known by nothing, against {} snapshots of training\n\n{}",
        plain(&drift.model),
        count(drift.customers),
        moment(drift.as_of_time.as_ref()),
        count(drift.cold_customers),
        count(drift.training_rows),
        table(&header, &[1, 3, 4], drift.score.iter().chain(&drift.features).map(row))
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

/// One line a month and model.
pub(super) fn realised(months: &[RealisedMonth]) -> String {
    if months.is_empty() {
        return "no stored prediction has its horizon behind it yet".to_owned();
    }
    let rows = months.iter().map(|month| {
        vec![
            month.month.clone(),
            plain(&month.model),
            count(month.rows),
            percent(month.mean_predicted),
            share(month.positives, month.rows),
            number(month.auc.unwrap_or(f64::NAN)),
            number(month.log_loss),
            number(month.brier),
            number(month.ece),
            number(month.lift_at_10_percent.unwrap_or(f64::NAN)),
        ]
    });
    let header = [
        "month",
        "model",
        "customers",
        "predicted",
        "happened",
        "AUC",
        "log loss",
        "Brier",
        "ECE",
        "lift at 10 %",
    ];
    let shown = table(&header, &[2, 3, 4, 5, 6, 7, 8, 9], rows);
    match months.iter().map(|month| month.rows_before_cutoff).sum() {
        0 => shown,
        before => format!(
            "{shown}\n\n{} of these lie before the data cut-off of their model, which may have learned from them: \
             figures that rest on them flatter",
            count(before)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_moved_is_shown_in_words() {
        let shown = drift(&GetDriftResponse {
            model: "churn/7".to_owned(),
            customers: 1_234,
            training_rows: 5_000,
            score: Some(FeatureDrift {
                feature: "score".to_owned(),
                psi: 0.04,
                verdict: Drift::Stable.into(),
                mean_difference: Some(-0.125),
                ..FeatureDrift::default()
            }),
            features: vec![FeatureDrift {
                feature: "attribute.region".to_owned(),
                psi: 0.31,
                verdict: Drift::Large.into(),
                missing_difference: 0.25,
                ..FeatureDrift::default()
            }],
            ..GetDriftResponse::default()
        });
        assert!(shown.starts_with("churn/7: 1,234 customers as of"), "{shown}");
        let line = |name: &str| {
            let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("score"), "score 0.040 stable -0.12 +0.0 %");
        assert_eq!(line("attribute.region"), "attribute.region 0.310 large +25.0 %");
    }

    #[test]
    fn what_does_not_exist_is_shown_as_a_dash() {
        let month = RealisedMonth {
            month: "2026-03".to_owned(),
            model: "lead/2".to_owned(),
            rows: 12,
            mean_predicted: 0.1,
            log_loss: 0.105,
            ..RealisedMonth::default()
        };
        let shown = realised(std::slice::from_ref(&month));
        let line: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(line.join(" "), "2026-03 lead/2 12 10.0 % 0.0 % – 0.1050 0.0000 0.0000 –");
        let shown = realised(&[RealisedMonth { rows_before_cutoff: 5, ..month }]);
        assert!(shown.contains("\n\n5 of these lie before the data cut-off"), "{shown}");
    }
}
