//! Tables and sentences for people.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::HumanCount;
use prost_types::Timestamp;
use tally_proto::v1::{Model, Reason, Score, ScorePopulationResponse};

use super::{
    json::{enum_name, target},
    time,
};

/// A table that reads well on a terminal and in a file: a line under the header and nothing else. The
/// columns in `numbers` are aligned to the right.
pub(super) fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// What the scores of one call have in common.
pub(super) fn about(score: &Score) -> String {
    let (target, model, days) = (target(score.target()), plain(&score.model), score.horizon_days);
    format!("{target} within {days} days, by {model} as of {}", moment(score.as_of_time.as_ref()))
}

/// Scores with all their reasons.
pub(super) fn scores(scores: &[Score]) -> String {
    let rows = scores.iter().map(|score| {
        let reasons: Vec<String> = score.reasons.iter().map(reason).collect();
        let [customer, probability, interval, grade, basis] = figures(score);
        vec![customer, probability, interval, grade, basis, reasons.join("\n")]
    });
    table(
        &["customer", "probability", "95 % interval", "grade", "basis", "reasons (log-odds)"],
        &[1, 2],
        rows,
    )
}

/// Stored predictions, each with its strongest reason.
pub(super) fn predictions(predictions: &[Score]) -> String {
    let rows = predictions.iter().map(|score| {
        let strongest = score.reasons.first().map(reason).unwrap_or_default();
        let [customer, probability, interval, grade, basis] = figures(score);
        let as_of = moment(score.as_of_time.as_ref());
        vec![customer, probability, interval, grade, basis, as_of, plain(&score.model), strongest]
    });
    let header = [
        "customer",
        "probability",
        "95 % interval",
        "grade",
        "basis",
        "as of",
        "model",
        "strongest reason (log-odds)",
    ];
    table(&header, &[1, 2], rows)
}

fn figures(score: &Score) -> [String; 5] {
    [
        plain(&score.customer_id),
        percent(score.probability),
        format!("{} – {}", percent(score.lower), percent(score.upper)),
        enum_name(score.grade().as_str_name()).to_owned(),
        enum_name(score.basis().as_str_name()).to_owned(),
    ]
}

fn reason(reason: &Reason) -> String {
    format!("{:+.2} {}", reason.contribution, plain(&reason.text))
}

/// How a population run ended.
pub(super) fn population(last: &ScorePopulationResponse) -> String {
    format!(
        "stored {} predictions of {} customers, by {} as of {}",
        count(last.stored),
        count(last.total),
        plain(&last.model),
        moment(last.as_of_time.as_ref())
    )
}

/// The stored models.
pub(super) fn models(models: &[Model]) -> String {
    let rows = models.iter().map(|model| {
        let holdout = model.holdout.unwrap_or_default();
        vec![
            plain(&model.name),
            match (model.champion, model.problem.is_empty()) {
                (true, true) => "champion",
                (false, true) => "",
                (true, false) => "champion, DAMAGED",
                (false, false) => "DAMAGED",
            }
            .to_owned(),
            moment(model.as_of_time.as_ref()),
            format!("{} days", model.horizon_days),
            count(model.rows),
            share(model.positives, model.rows),
            number(holdout.auc),
            number(holdout.log_loss),
            number(holdout.ece),
            moment(model.create_time.as_ref()),
            plain(&model.created_by),
        ]
    });
    let header = [
        "model",
        "",
        "data up to",
        "horizon",
        "snapshots",
        "positive",
        "AUC",
        "log loss",
        "ECE",
        "stored",
        "by",
    ];
    table(&header, &[3, 4, 5, 6, 7, 8], rows)
}

/// A probability. It is never exactly 0 or 1, and is not shown so either.
pub(super) fn percent(probability: f64) -> String {
    if probability < 0.0005 {
        "<0.1 %".to_owned()
    } else if probability > 0.9995 {
        ">99.9 %".to_owned()
    } else {
        format!("{:.1} %", probability * 100.0)
    }
}

/// A part of a whole.
pub(super) fn share(part: i64, whole: i64) -> String {
    if whole > 0 { format!("{:.1} %", part as f64 / whole as f64 * 100.0) } else { "–".to_owned() }
}

/// A figure to three or so places.
pub(super) fn number(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { "–".to_owned() }
}

/// A count with its thousands apart.
pub(super) fn count(count: i64) -> String {
    HumanCount(count.unsigned_abs()).to_string()
}

/// A time, empty when there is none.
pub(super) fn moment(timestamp: Option<&Timestamp>) -> String {
    timestamp.map(|timestamp| time(timestamp).to_string()).unwrap_or_default()
}

/// Text from elsewhere without control characters, which could play tricks with a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Basis, Grade, Target};

    use super::*;

    #[test]
    fn scores_are_a_table_that_can_be_piped() {
        let score = Score {
            customer_id: "C\u{1b}1".to_owned(),
            target: Target::Churn.into(),
            probability: 0.4334,
            lower: 0.0001,
            upper: 0.99999,
            grade: Grade::C.into(),
            basis: Basis::Model.into(),
            reasons: vec![
                Reason {
                    contribution: 0.824,
                    text: "No purchase for 143 days; typical is 42".to_owned(),
                    ..Reason::default()
                },
                Reason { contribution: -0.2, text: "Known for 2 years".to_owned(), ..Reason::default() },
            ],
            ..Score::default()
        };
        let text = scores(&[score]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("customer  probability"), "{text}");
        assert!(lines[2].contains("43.3 %") && lines[2].contains("<0.1 % – >99.9 %"), "{text}");
        assert!(lines[2].ends_with("+0.82 No purchase for 143 days; typical is 42"), "{text}");
        assert!(lines[3].ends_with("-0.20 Known for 2 years"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
