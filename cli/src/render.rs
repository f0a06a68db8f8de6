//! Tables and sentences for people.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::HumanCount;
use prost_types::Timestamp;
use tally_proto::v1::{
    ComparePredictionsResponse, LogOddsChange, Model, Reason, ReplayPredictionResponse, Score,
    ScorePopulationResponse, Target,
};

use super::time;

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

/// A stored prediction and what comes out now.
pub(super) fn replay(replay: &ReplayPredictionResponse) -> String {
    let told = if replay.identical {
        "identical, bit for bit, to what was stored".to_owned()
    } else {
        let lines = replay.differences.iter().map(|line| format!("\n  {}", plain(line)));
        format!("not identical to what was stored:{}", lines.collect::<String>())
    };
    match &replay.score {
        Some(score) => format!("{}\n\n{}\n\n{told}", about(score), scores(std::slice::from_ref(score))),
        None => told,
    }
}

/// Why two predictions differ.
pub(super) fn comparison(comparison: &ComparePredictionsResponse) -> String {
    let side = |name: &str, score: Option<&Score>, log_odds: f64| {
        let score = score.cloned().unwrap_or_default();
        let [customer, probability, ..] = figures(&score);
        let known = moment(score.known_time.as_ref());
        vec![
            name.to_owned(),
            customer,
            probability,
            format!("{log_odds:.4}"),
            moment(score.as_of_time.as_ref()),
            known,
            plain(&score.model),
        ]
    };
    let sides = table(
        &["", "customer", "probability", "log-odds", "as of", "known at", "model"],
        &[2, 3],
        [
            side("from", comparison.from_score.as_ref(), comparison.from_log_odds),
            side("to", comparison.to_score.as_ref(), comparison.to_log_odds),
        ],
    );
    let parts = [
        ("late data", &comparison.late_data),
        ("behaviour", &comparison.behaviour),
        ("retraining", &comparison.retraining),
    ];
    let mut rows: Vec<Vec<String>> =
        parts.into_iter().flat_map(|(name, part)| change(name, &part.clone().unwrap_or_default())).collect();
    rows.push(change_row("all", comparison.change, "", ""));
    format!("{sides}\n\n{}", table(&["change", "log-odds", "from", "to"], &[1], rows))
}

/// A part of a change: its sum, its strongest features, and the rest in one line.
fn change(name: &str, part: &LogOddsChange) -> Vec<Vec<String>> {
    const SHOWN: usize = 5;
    let text = |reason: Option<&Reason>| reason.map(|reason| plain(&reason.text)).unwrap_or_default();
    let mut rows = vec![change_row(name, part.log_odds, "", "")];
    if part.base_log_odds != 0.0 {
        rows.push(change_row("", part.base_log_odds, "an average customer", ""));
    }
    let seen = part.features.iter().take(SHOWN).take_while(|feature| feature.log_odds.abs() >= 0.000_05);
    let (shown, rest) = part.features.split_at(seen.count());
    for feature in shown {
        let (from, to) = (text(feature.from_reason.as_ref()), text(feature.to_reason.as_ref()));
        rows.push(change_row("", feature.log_odds, &from, &to));
    }
    if !rest.is_empty() {
        let sum = rest.iter().map(|feature| feature.log_odds).sum();
        let more = if shown.is_empty() { "" } else { " more" };
        rows.push(change_row("", sum, &format!("{}{more} features", rest.len()), ""));
    }
    rows
}

fn change_row(name: &str, log_odds: f64, from: &str, to: &str) -> Vec<String> {
    // Adding 0 makes a negative zero positive.
    let rounded = (log_odds * 1e4).round() / 1e4 + 0.0;
    vec![name.to_owned(), format!("{rounded:+.4}"), from.to_owned(), to.to_owned()]
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

/// LEAD or CHURN.
pub(super) fn target(target: Target) -> &'static str {
    enum_name(target.as_str_name())
}

/// `GRADE_A` -> `A`.
pub(super) fn enum_name(name: &'static str) -> &'static str {
    name.split_once('_').map_or(name, |(_, name)| name)
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
    timestamp.map(time::format).unwrap_or_default()
}

/// Text from elsewhere without control characters, which could play tricks with a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Basis, Grade};

    use super::*;

    #[test]
    fn a_change_shows_what_can_be_seen_of_it() {
        let reason = |text: &str| Some(Reason { text: text.to_owned(), ..Reason::default() });
        let feature = |log_odds, text: &str| tally_proto::v1::FeatureChange {
            log_odds,
            to_reason: reason(text),
            ..Default::default()
        };
        let few = vec![feature(-0.25, "19 purchases so far"), feature(-0.000_01, "never seen")];
        let text = comparison(&ComparePredictionsResponse {
            change: -0.250_01,
            late_data: Some(LogOddsChange { log_odds: -0.250_01, features: few, ..Default::default() }),
            retraining: Some(LogOddsChange { base_log_odds: 0.5, ..Default::default() }),
            ..Default::default()
        });
        let shown: Vec<Vec<&str>> = text
            .lines()
            .skip_while(|line| !line.starts_with("change"))
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(shown[2], ["late", "data", "-0.2500"], "{text}");
        assert_eq!(shown[3], ["-0.2500", "19", "purchases", "so", "far"], "{text}");
        assert_eq!(shown[4], ["+0.0000", "1", "more", "features"], "{text}");
        assert_eq!(
            shown[5..8].concat(),
            ["behaviour", "+0.0000", "retraining", "+0.0000", "+0.5000", "an", "average", "customer"]
        );
        assert_eq!(shown[8], ["all", "-0.2500"], "{text}");
    }

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
