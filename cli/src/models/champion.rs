//! Promotions and their preview as text.

use tally_proto::v1::{
    GetDeploymentResponse, GradeChange, ModelComparison, PreviewPromotionResponse, Promotion,
};

use crate::output::{Currency, count, counted, datetime, enum_name, printable, share, table};

/// The result of a promotion or rollback.
pub(super) fn promoted(promotion: &Promotion) -> String {
    let former = match promotion.from_model.as_str() {
        "" => String::new(),
        former => format!(", in place of {}", printable(former)),
    };
    let forced = if promotion.forced { ", by force" } else { "" };
    let gate_result = match promotion.gate_result.as_str() {
        "" => String::new(),
        gate_result => format!(": {}", printable(gate_result)),
    };
    format!("{} serves now{former}{forced}{gate_result}", printable(&promotion.to_model))
}

/// The changes of a champion.
pub(super) fn history(promotions: &[Promotion]) -> String {
    if promotions.is_empty() {
        return "no champion yet".to_owned();
    }
    let rows = promotions.iter().map(|promotion| {
        let kind = promotion.kind().as_str_name().trim_start_matches("PROMOTION_KIND_");
        vec![
            promotion.sequence.to_string(),
            datetime(promotion.promote_time.as_ref()),
            printable(&promotion.from_model),
            printable(&promotion.to_model),
            kind.to_lowercase(),
            if promotion.forced { "forced" } else { "" }.to_owned(),
            printable(&promotion.who),
            printable(&promotion.reason),
            printable(&promotion.gate_result),
        ]
    });
    table(&["#", "when", "from", "to", "how", "", "who", "why", "gate result"], &[0], rows)
}

/// What a promotion would change.
pub(super) fn preview(preview: &PreviewPromotionResponse, deployment: &GetDeploymentResponse) -> String {
    let currency = Currency::of(deployment);
    let money = |minor| currency.money(minor);
    let (model, champion) = (printable(&preview.model), printable(&preview.champion));
    let mut parts = vec![
        format!(
            "{model} in place of {champion}, as of {}\n{} of {} would change grade ({}); \
             they account for {} of {} purchased in 365 days",
            datetime(preview.as_of_time.as_ref()),
            count(preview.changed_customers),
            counted(preview.customers, "customer", "customers"),
            share(preview.changed_customers, preview.customers),
            money(preview.changed_amount_minor),
            money(preview.amount_minor),
        ),
        format!(
            "Customers, by the grade of {champion} (down) and of {model} (across)\n{}",
            grades(&preview.changes)
        ),
    ];
    parts.extend(preview.comparison.as_ref().map(|comparison| compared(&model, comparison)));
    parts.push(match preview.refusal.as_str() {
        _ if preview.model == preview.champion => {
            format!("{model} is the champion already: nothing would change")
        }
        "" => format!("`tally models promote {model}` would promote it"),
        refusal => format!("`tally models promote {model}` would refuse: {}", printable(refusal)),
    });
    parts.join("\n\n")
}

/// The number of customers of each pair of grades, as a square.
fn grades(changes: &[GradeChange]) -> String {
    let rows = changes.chunks(4).map(|row| {
        let from = row.first().map_or("", |change| enum_name(change.from_grade().as_str_name()));
        let cells = row.iter().map(|change| count(change.customers));
        std::iter::once(from.to_owned()).chain(cells).collect()
    });
    table(&["", "A", "B", "C", "D"], &[1, 2, 3, 4], rows)
}

fn compared(model: &str, c: &ModelComparison) -> String {
    format!(
        "On the same {} of {}\n  log loss    {:.4} {model}, {:.4} {}\n  \
         difference  {:+.4} (95 % {:+.4} to {:+.4}); below 0 {model} is better",
        counted(c.rows, "holdout row", "holdout rows"),
        counted(c.customers, "customer", "customers"),
        c.candidate_log_loss,
        c.champion_log_loss,
        printable(&c.champion),
        c.difference,
        c.lower,
        c.upper
    )
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tally_proto::v1::{Grade, PromotionKind};

    use super::*;

    fn promotion() -> Promotion {
        Promotion {
            sequence: 2,
            from_model: "churn/1".to_owned(),
            to_model: "churn/2".to_owned(),
            kind: PromotionKind::Promote.into(),
            forced: true,
            who: "ann@work".to_owned(),
            reason: "a try".to_owned(),
            gate_result: "worse than churn/1".to_owned(),
            ..Promotion::default()
        }
    }

    #[test]
    fn a_promotion_is_a_sentence() {
        let shown = "churn/2 serves now, in place of churn/1, by force: worse than churn/1";
        assert_eq!(promoted(&promotion()), shown);
    }

    #[test]
    fn the_history_is_a_table() {
        insta::assert_snapshot!(history(&[promotion()]), @r"
        #  when  from     to       how              who       why    gate result
        ────────────────────────────────────────────────────────────────────────────────
        2        churn/1  churn/2  promote  forced  ann@work  a try  worse than churn/1
        ");
        assert_eq!(history(&[]), "no champion yet");
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
        let response = PreviewPromotionResponse {
            model: "churn/2".to_owned(),
            champion: "churn/1".to_owned(),
            as_of_time: Some(Timestamp { seconds: 1_315_526_400, nanos: 0 }),
            customers: 120,
            amount_minor: 200_000_000,
            changed_customers: 90,
            changed_amount_minor: 123_456_705,
            changes: (0..16).map(change).collect(),
            comparison: Some(ModelComparison {
                champion: "churn/1".to_owned(),
                rows: 1_234,
                customers: 567,
                candidate_log_loss: 0.5,
                champion_log_loss: 0.4,
                difference: 0.1,
                lower: -0.05,
                upper: 0.25,
                ..ModelComparison::default()
            }),
            refusal: "churn/2 is worse".to_owned(),
        };
        let text = preview(&response, &GetDeploymentResponse::default());
        insta::assert_snapshot!(text, @r"
        churn/2 in place of churn/1, as of 2011-09-09T00:00:00Z
        90 of 120 customers would change grade (75.0 %); they account for 1,234,567.05 of 2,000,000.00 purchased in 365 days

        Customers, by the grade of churn/1 (down) and of churn/2 (across)
            A   B   C   D
        ──────────────────
        A   0   1   2   3
        B   4   5   6   7
        C   8   9  10  11
        D  12  13  14  15

        On the same 1,234 holdout rows of 567 customers
          log loss    0.5000 churn/2, 0.4000 churn/1
          difference  +0.1000 (95 % -0.0500 to +0.2500); below 0 churn/2 is better

        `tally models promote churn/2` would refuse: churn/2 is worse
        ");
    }
}
