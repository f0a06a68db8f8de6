//! What people read of champions: their moves, and what a move would change.

use tally_proto::v1::{ModelComparison, PreviewPromotionResponse, Promotion};

use super::render::{count, enum_name, moment, plain, share, table};

/// One move, as it was made.
pub(super) fn moved(promotion: &Promotion) -> String {
    let former = match promotion.from_model.as_str() {
        "" => String::new(),
        former => format!(", in place of {}", plain(former)),
    };
    let forced = if promotion.forced { ", by force" } else { "" };
    let gate_result = match promotion.gate_result.as_str() {
        "" => String::new(),
        gate_result => format!(": {}", plain(gate_result)),
    };
    format!("{} serves now{former}{forced}{gate_result}", plain(&promotion.to_model))
}

/// The moves of a champion.
pub(super) fn history(moves: &[Promotion]) -> String {
    let rows = moves.iter().map(|promotion| {
        vec![
            promotion.sequence.to_string(),
            moment(promotion.promote_time.as_ref()),
            plain(&promotion.from_model),
            plain(&promotion.to_model),
            kind(promotion).to_lowercase(),
            if promotion.forced { "forced" } else { "" }.to_owned(),
            plain(&promotion.who),
            plain(&promotion.reason),
            plain(&promotion.gate_result),
        ]
    });
    let header = ["#", "when", "from", "to", "how", "", "who", "why", "what the gate found"];
    table(&header, &[0], rows)
}

/// `PROMOTION_KIND_ROLLBACK` -> `ROLLBACK`.
fn kind(promotion: &Promotion) -> &'static str {
    promotion.kind().as_str_name().trim_start_matches("PROMOTION_KIND_")
}

/// What a promotion would change.
pub(super) fn preview(preview: &PreviewPromotionResponse) -> String {
    let (model, champion) = (plain(&preview.model), plain(&preview.champion));
    let mut parts = vec![format!(
        "{model} in place of {champion}, as of {}\n{} of {} customers would change grade ({}); \
         with purchases of {} in 365 days, of {}",
        moment(preview.as_of_time.as_ref()),
        count(preview.changed_customers),
        count(preview.customers),
        share(preview.changed_customers, preview.customers),
        money(preview.changed_amount_minor),
        money(preview.amount_minor),
    )];
    let rows = preview.changes.chunks(4).map(|row| {
        let from = row.first().map_or("", |change| enum_name(change.from_grade().as_str_name()));
        let cells = row.iter().map(|change| count(change.customers));
        std::iter::once(from.to_owned()).chain(cells).collect()
    });
    parts.push(format!(
        "Customers, by the grade of {champion} (down) and of {model} (across)\n{}",
        table(&["", "A", "B", "C", "D"], &[1, 2, 3, 4], rows)
    ));
    parts.extend(preview.comparison.as_ref().map(|comparison| compared(&model, comparison)));
    parts.push(match preview.refusal.as_str() {
        "" => format!("`tally models promote {model}` would promote it"),
        refusal => format!("`tally models promote {model}` would refuse: {}", plain(refusal)),
    });
    parts.join("\n\n")
}

fn compared(model: &str, c: &ModelComparison) -> String {
    format!(
        "On the same {} holdout rows of {} customers\n  log loss    {:.4} {model}, {:.4} {}\n  \
         difference  {:+.4} (95 % {:+.4} to {:+.4}); below 0 {model} is better",
        count(c.rows),
        count(c.customers),
        c.candidate_log_loss,
        c.champion_log_loss,
        plain(&c.champion),
        c.difference,
        c.lower,
        c.upper
    )
}

/// Minor units as whole ones, with two places.
fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", count(minor / 100), (minor % 100).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Grade, GradeChange, PromotionKind};

    use super::*;

    #[test]
    fn a_move_says_what_it_was() {
        let promotion = Promotion {
            from_model: "churn/1".to_owned(),
            to_model: "churn/2".to_owned(),
            kind: PromotionKind::Promote.into(),
            forced: true,
            gate_result: "worse than churn/1".to_owned(),
            ..Promotion::default()
        };
        let told = "churn/2 serves now, in place of churn/1, by force: worse than churn/1";
        assert_eq!(moved(&promotion), told);
        assert_eq!(kind(&promotion), "PROMOTE");
    }

    #[test]
    fn a_preview_is_a_square_of_grades() {
        let grades = [Grade::A, Grade::B, Grade::C, Grade::D];
        let change = |n: usize| GradeChange {
            from_grade: grades[n / 4].into(),
            to_grade: grades[n % 4].into(),
            customers: n as i64,
            amount_minor: 0,
        };
        let text = preview(&PreviewPromotionResponse {
            model: "churn/2".to_owned(),
            champion: "churn/1".to_owned(),
            customers: 120,
            changed_customers: 90,
            changed_amount_minor: 123_456_705,
            changes: (0..16).map(change).collect(),
            refusal: "churn/2 is worse".to_owned(),
            ..PreviewPromotionResponse::default()
        });
        assert!(
            text.contains("90 of 120 customers would change grade (75.0 %); with purchases of 1,234,567.05")
        );
        let cells: Vec<&str> =
            text.lines().find(|line| line.starts_with("C ")).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["C", "8", "9", "10", "11"], "{text}");
        assert!(text.ends_with("would refuse: churn/2 is worse"), "{text}");
    }
}
