//! Scores as tables.

use tally_proto::v1::{Reason, Score, Target};

use crate::output::{
    counted, datetime, enum_name, narrow_table, narrow_text, percent, printable, table, target_name,
};

/// What the scores of one call have in common.
pub(crate) fn heading(score: &Score) -> String {
    let (target, model) = (target_name(score.target()), printable(&score.model));
    let as_of = datetime(score.as_of_time.as_ref());
    let horizon = counted(score.horizon_days, "day", "days");
    format!("{target} within {horizon}, by {model} as of {as_of}")
}

/// What the grades mean.
pub(crate) fn grades(target: Target) -> String {
    narrow_text(match target {
        Target::Lead => {
            "grades: quarters of the leads at the training, A the likeliest to buy, D the least likely"
        }
        _ => {
            "grades: quarters of the customers at the training, A the least likely to leave, D the likeliest"
        }
    })
}

const HEADER: [&str; 6] =
    ["customer", "probability", "95 % interval", "grade", "basis", "reasons (log-odds)"];
const NUMBERS: [usize; 2] = [1, 2];

/// Scores with all their reasons and notes.
pub(crate) fn scores_table(scores: &[Score]) -> String {
    table(&HEADER, &NUMBERS, scores.iter().map(row))
}

/// A score with all its reasons and notes, for a narrow page.
pub(crate) fn narrow_scores_table(score: &Score) -> String {
    narrow_table(&HEADER, &NUMBERS, [row(score)])
}

fn row(score: &Score) -> Vec<String> {
    let notes = score.notes.iter().map(|note| printable(note));
    let reasons: Vec<String> = score.reasons.iter().map(reason).chain(notes).collect();
    let [customer, probability, interval, grade, basis] = figures(score);
    vec![customer, probability, interval, grade, basis, reasons.join("\n")]
}

/// Customer, probability, interval, grade and basis.
pub(crate) fn figures(score: &Score) -> [String; 5] {
    [
        printable(&score.customer_id),
        percent(score.probability),
        format!("{} to {}", percent(score.lower), percent(score.upper)),
        enum_name(score.grade().as_str_name()).to_owned(),
        enum_name(score.basis().as_str_name()).to_owned(),
    ]
}

/// A reason with its contribution.
pub(crate) fn reason(reason: &Reason) -> String {
    format!("{:+.2} {}", reason.contribution, printable(&reason.text))
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
            notes: vec!["The lead is 143 days old".to_owned()],
            ..Score::default()
        };
        insta::assert_snapshot!(scores_table(&[score]), @r"
        customer  probability      95 % interval  grade  basis  reasons (log-odds)
        ──────────────────────────────────────────────────────────────────────────────────────────────────────
        C�1            43.3 %  <0.1 % to >99.9 %  C      MODEL  +0.82 No purchase for 143 days; typical is 42
                                                                -0.20 Known for 2 years
                                                                The lead is 143 days old
        ");
    }
}
