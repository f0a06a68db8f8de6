//! The difference of two predictions as tables.

use tally_proto::v1::{ComparePredictionsResponse, LogOddsChange, Reason, Score};

use crate::{
    output::{counted, datetime, printable, table},
    scoring::figures,
};

/// Features shown of each part of a change.
const FEATURES: usize = 5;

/// Both predictions, and the parts of the change between them.
pub(super) fn comparison(comparison: &ComparePredictionsResponse) -> String {
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

fn side(name: &str, score: Option<&Score>, log_odds: f64) -> Vec<String> {
    let score = score.cloned().unwrap_or_default();
    let [customer, probability, ..] = figures(&score);
    vec![
        name.to_owned(),
        customer,
        probability,
        format!("{log_odds:.4}"),
        datetime(score.as_of_time.as_ref()),
        datetime(score.known_time.as_ref()),
        printable(&score.model),
    ]
}

/// A part of a change: its sum, its strongest features, and the others in one line.
fn change(name: &str, part: &LogOddsChange) -> Vec<Vec<String>> {
    let text = |reason: Option<&Reason>| reason.map(|reason| printable(&reason.text)).unwrap_or_default();
    let mut rows = vec![change_row(name, part.log_odds, "", "")];
    if part.base_log_odds != 0.0 {
        rows.push(change_row("", part.base_log_odds, "an average customer", ""));
    }
    let visible =
        part.features.iter().take(FEATURES).take_while(|feature| feature.log_odds.abs() >= 0.000_05);
    let (shown, others) = part.features.split_at(visible.count());
    for feature in shown {
        let (from, to) = (text(feature.from_reason.as_ref()), text(feature.to_reason.as_ref()));
        rows.push(change_row("", feature.log_odds, &from, &to));
    }
    if !others.is_empty() {
        let sum = others.iter().map(|feature| feature.log_odds).sum();
        let (one, many) =
            if shown.is_empty() { ("feature", "features") } else { ("more feature", "more features") };
        rows.push(change_row("", sum, &counted(others.len() as u64, one, many), ""));
    }
    rows
}

fn change_row(name: &str, log_odds: f64, from: &str, to: &str) -> Vec<String> {
    // Adding 0 makes a negative zero positive.
    let rounded = (log_odds * 1e4).round() / 1e4 + 0.0;
    vec![name.to_owned(), format!("{rounded:+.4}"), from.to_owned(), to.to_owned()]
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::FeatureChange;

    use super::*;

    #[test]
    fn a_change_shows_its_visible_features() {
        let reason = |text: &str| Some(Reason { text: text.to_owned(), ..Reason::default() });
        let feature = |log_odds, text: &str| FeatureChange {
            log_odds,
            to_reason: reason(text),
            ..FeatureChange::default()
        };
        let few = vec![feature(-0.25, "19 purchases so far"), feature(-0.000_01, "never visited")];
        let text = comparison(&ComparePredictionsResponse {
            change: 0.249_99,
            late_data: Some(LogOddsChange { log_odds: -0.250_01, features: few, ..LogOddsChange::default() }),
            retraining: Some(LogOddsChange { log_odds: 0.5, base_log_odds: 0.5, ..LogOddsChange::default() }),
            ..ComparePredictionsResponse::default()
        });
        insta::assert_snapshot!(text, @r"
              customer  probability  log-odds  as of  known at  model
        ──────────────────────────────────────────────────────────────
        from                 <0.1 %    0.0000
        to                   <0.1 %    0.0000

        change      log-odds  from                 to
        ───────────────────────────────────────────────────────────────
        late data    -0.2500
                     -0.2500                       19 purchases so far
                     +0.0000  1 more feature
        behaviour    +0.0000
        retraining   +0.5000
                     +0.5000  an average customer
        all          +0.2500
        ");
    }
}
