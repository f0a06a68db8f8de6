//! The model card: all that a person needs to judge a model.

use tally_proto::v1::{Metrics, Model};

use super::{
    json::target,
    render::{count, moment, number, percent, plain, share, table},
};

/// How many coefficients a card shows.
const COEFFICIENTS: usize = 15;

/// The card, as a text of several paragraphs.
pub(super) fn card(model: &Model) -> String {
    if !model.problem.is_empty() {
        return format!(
            "{}, stored {} by {}\n{}",
            plain(&model.name),
            moment(model.create_time.as_ref()),
            plain(&model.created_by),
            plain(&model.problem)
        );
    }
    let mut parts = vec![facts(model), against_rivals(model)];
    if !model.reliability.is_empty() {
        parts.push(reliability(model));
    }
    parts.push(coefficients(model));
    // The spec keeps its lines.
    let spec: Vec<String> = model.spec.lines().map(|line| plain(&format!("  {line}"))).collect();
    let spec: Vec<&str> = spec.iter().map(|line| line.trim_end()).collect();
    parts.push(format!("Spec\n{}", spec.join("\n")));
    parts.join("\n\n")
}

fn facts(model: &Model) -> String {
    let champion = if model.champion { ", the champion" } else { "" };
    let positives = share(model.positives, model.rows);
    let facts = [
        ("foretells", format!("{} within {} days", target(model.target()), model.horizon_days)),
        ("data up to", moment(model.as_of_time.as_ref())),
        (
            "learned from",
            format!(
                "{} snapshots, {} with the outcome ({positives})",
                count(model.rows),
                count(model.positives)
            ),
        ),
        ("stored", format!("{} by {}", moment(model.create_time.as_ref()), plain(&model.created_by))),
        ("penalty", format!("{}", model.penalty)),
        ("features", format!("{} (SHA-256)", plain(&model.schema_hash))),
        (
            "artifact",
            format!("{} (SHA-256), {} bytes", plain(&model.artifact_hash), count(model.artifact_bytes)),
        ),
    ];
    let lines: Vec<String> = facts.iter().map(|(name, fact)| format!("  {name:<13} {fact}")).collect();
    format!("{}{champion}\n{}", plain(&model.name), lines.join("\n"))
}

fn against_rivals(model: &Model) -> String {
    let row = |name: &str, metrics: &Metrics| {
        let figures = [
            metrics.auc,
            metrics.pr_auc,
            metrics.log_loss,
            metrics.brier,
            metrics.ece,
            metrics.lift_at_10_percent,
        ];
        let mut row = vec![plain(name)];
        row.extend(figures.map(number));
        row
    };
    let holdout = model.holdout.unwrap_or_default();
    let mut rows = vec![row(&model.name, &holdout)];
    rows.extend(model.baselines.iter().map(|b| row(&b.name, &b.metrics.unwrap_or_default())));
    let header = ["", "AUC", "PR AUC", "log loss", "Brier", "ECE", "lift at 10 %"];
    format!(
        "On the holdout ({} split, {} snapshots, {} with the outcome)\n{}",
        plain(&model.split),
        count(holdout.rows),
        count(holdout.positives),
        table(&header, &[1, 2, 3, 4, 5, 6], rows)
    )
}

fn reliability(model: &Model) -> String {
    let bins = model.reliability.iter();
    let rows = bins.map(|bin| vec![percent(bin.predicted), share_observed(bin.observed), count(bin.rows)]);
    format!(
        "What was predicted and what happened\n{}",
        table(&["predicted", "happened", "snapshots"], &[0, 1, 2], rows)
    )
}

/// Unlike a probability, what happened may be nothing or everything.
fn share_observed(observed: f64) -> String {
    format!("{:.1} %", observed * 100.0)
}

fn coefficients(model: &Model) -> String {
    let mut strongest: Vec<_> = model.coefficients.iter().collect();
    strongest.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    let rows = strongest.iter().take(COEFFICIENTS).map(|c| {
        vec![plain(&c.feature), plain(&c.column), format!("{:+.4}", c.coefficient), number(c.standard_error)]
    });
    let header = ["feature", "column", "coefficient", "standard error"];
    let text = format!(
        "Coefficients, the strongest first (log-odds per standard deviation; intercept {:+.4})\n{}",
        model.intercept,
        table(&header, &[2, 3], rows)
    );
    match strongest.len().saturating_sub(COEFFICIENTS) {
        0 => text,
        more => format!("{text}\nand {more} more; --json has them all"),
    }
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Baseline, Coefficient, ReliabilityBin, Target};

    use super::*;

    #[test]
    fn a_card_tells_what_matters() {
        let coefficient = |n: i32| Coefficient {
            feature: format!("feature{n}"),
            column: "value".to_owned(),
            coefficient: f64::from(n) * if n % 2 == 0 { 0.1 } else { -0.1 },
            standard_error: 0.01,
        };
        let metrics = Metrics { rows: 3_362, positives: 1_456, auc: 0.8123, ..Metrics::default() };
        let text = card(&Model {
            name: "churn/7".to_owned(),
            target: Target::Churn.into(),
            champion: true,
            rows: 12_345,
            positives: 4_321,
            holdout: Some(metrics),
            baselines: vec![Baseline { name: "recency".to_owned(), metrics: Some(metrics) }],
            reliability: vec![ReliabilityBin { rows: 336, predicted: 0.1, observed: 0.0 }],
            coefficients: (1..=20).map(coefficient).collect(),
            spec: "[churn]\nhorizon_days = 90\n".to_owned(),
            ..Model::default()
        });
        assert!(text.starts_with("churn/7, the champion\n"), "{text}");
        assert!(text.contains("12,345 snapshots, 4,321 with the outcome (35.0 %)"), "{text}");
        assert!(text.contains("\nrecency  0.8123"), "{text}");
        let strongest =
            text.lines().find(|line| line.starts_with("feature") && !line.starts_with("feature "));
        assert!(
            strongest.is_some_and(|line| line.starts_with("feature20  value") && line.contains("+2.0000")),
            "{text}"
        );
        assert!(text.contains("and 5 more; --json has them all"), "{text}");
        assert!(text.ends_with("Spec\n  [churn]\n  horizon_days = 90"), "{text}");
    }
}
