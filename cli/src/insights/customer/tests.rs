use tally_proto::v1::{Basis, Grade, Reason, Target};

use super::*;
use crate::insights::samples::{assert_fits, euro, long_name, moment};

fn anna() -> CustomerInsight {
    let contact = |id: &str, kind: &str, time: &str| Contact {
        interaction_id: id.to_owned(),
        kind: kind.to_owned(),
        occur_time: moment(time),
        channel: "phone".to_owned(),
    };
    let reason =
        |contribution, text: &str| Reason { contribution, text: text.to_owned(), ..Reason::default() };
    let point = |time: &str, probability| ScorePoint {
        target: Target::Churn.into(),
        as_of_time: moment(time),
        probability,
        model: "churn/7".to_owned(),
    };
    CustomerInsight {
        customer_id: "C1042".to_owned(),
        name: "Anna Berg".to_owned(),
        as_of_time: moment("2011-12-09T12:00:00Z"),
        population_as_of_time: moment("2011-12-09"),
        life_cycle: "declining".to_owned(),
        abc_class: "A".to_owned(),
        rfm_cell: "344".to_owned(),
        rfm_segment: "loyal".to_owned(),
        value_loyalty: "high".to_owned(),
        revenue_minor: 1_234_500,
        returns_minor: 34_500,
        cost_minor: 1_300_000,
        cost_stated: true,
        profit_minor: -100_000,
        orders: 23,
        purchase_days: 19,
        first_purchase_time: moment("2010-12-01T09:30:00Z"),
        last_purchase_time: moment("2011-09-18T10:00:00Z"),
        recency_days: Some(82),
        expected_interval_days: Some(34.2),
        overdue_ratio: Some(2.4),
        satisfaction: Some(0.9333),
        loyalty_points: 80,
        discount_share: Some(0.125),
        referrals: 2,
        referrals_bought: 1,
        share_of_wallet: Some(0.35),
        p_alive: Some(0.876),
        expected_purchases: Some(4.25),
        clv_minor: Some(123_456),
        clv_lower_minor: Some(0),
        clv_upper_minor: Some(345_678),
        clv_horizon_days: Some(365),
        clv_margin_rate: Some(0.4),
        complaints: 3,
        complaints_open: 1,
        last_contact_time: moment("2011-11-02T10:00:00Z"),
        completeness: Some(0.75),
        missing_attributes: vec!["region".to_owned(), "size".to_owned()],
        churn_score: Some(Score {
            customer_id: "C1042".to_owned(),
            target: Target::Churn.into(),
            probability: 0.4334,
            lower: 0.31,
            upper: 0.56,
            grade: Grade::C.into(),
            basis: Basis::Model.into(),
            reasons: vec![
                reason(0.824, "No purchase for 82 days; typical is 34"),
                reason(-0.2, "19 purchases so far; typical is 4"),
            ],
            model: "churn/7".to_owned(),
            as_of_time: moment("2011-12-09T12:00:00Z"),
            horizon_days: 90,
            ..Score::default()
        }),
        score_history: vec![point("2011-12-01", 0.41), point("2011-11-01", 0.08)],
        contacts: vec![contact("I7", "call", "2011-11-02T10:00:00Z")],
        open_complaints: vec![contact("I5", "complaint", "2011-10-30T08:00:00Z")],
        next_to_buy: vec![NextToBuy {
            value: "service".to_owned(),
            because: "machines".to_owned(),
            confidence_lower: 0.6657,
            lift: 3.702,
        }],
        ..CustomerInsight::default()
    }
}

#[test]
fn a_customer_is_a_page() {
    insta::assert_snapshot!(page(&anna(), &euro()), @r"
    C1042, Anna Berg
    as of 2011-12-09T12:00:00Z

    life cycle       declining
    ABC class        A
    RFM              344 (loyal)
    value × loyalty  high
    limits           as of 2011-12-09T00:00:00Z

    revenue ever     12,345.00 EUR
    returns          345.00 EUR
    cost             13,000.00 EUR
    profit           -1,000.00 EUR
    share of wallet  35.0 %
    orders           23 on 19 days, from 2010-12-01T09:30:00Z to 2011-09-18T10:00:00Z
    rhythm           no purchase for 82 days; expected after 34: 48 days overdue (2.4 times as long)

    lifetime value  1,234.56 EUR in 365 days; 95 %: 0.00 to 3,456.78 EUR
    to come         4.2 purchase days expected; 87.6 % that it has not left
    margin          40.0 % of the revenue counts as profit in the lifetime value

    satisfaction  0.93 of the score that was expected
    loyalty       80 of 100 points; 12.5 % of the purchases discounted
    complaints    3, 1 open
    last contact  2011-11-02T10:00:00Z
    referrals     2, 1 of them bought
    completeness  75.0 % of the usual attributes; missing: region, size

    Next to buy
    value    because it bought  at least  lift
    ───────────────────────────────────────────
    service  machines             66.6 %  3.70

    CHURN within 90 days, by churn/7 as of 2011-12-09T12:00:00Z
    customer  probability     95 % interval  grade  basis  reasons (log-odds)
    ────────────────────────────────────────────────────────────────────────────────────────────────────
    C1042          43.3 %  31.0 % to 56.0 %  C      MODEL  +0.82 No purchase for 82 days; typical is 34
                                                           -0.20 19 purchases so far; typical is 4
    grades: quarters of the customers at the training, A the least likely to leave, D the likeliest

    the stage (declining) goes by the customer's own interval between purchases, the probability by
      what the model has learned from all customers: the two may differ

    Stored scores
           as of                 probability             model
    ─────────────────────────────────────────────────────────────
    CHURN  2011-12-01T00:00:00Z       41.0 %  ████████▎  churn/7
    CHURN  2011-11-01T00:00:00Z        8.0 %  █▋         churn/7

    Last contacts
    when                  kind  channel  interaction
    ─────────────────────────────────────────────────
    2011-11-02T10:00:00Z  call  phone    I7

    Open complaints
    when                  kind       channel  interaction
    ──────────────────────────────────────────────────────
    2011-10-30T08:00:00Z  complaint  phone    I5
    ");
}

#[test]
fn a_cancel_stands_beside_the_stage() {
    let cancelled = CustomerInsight {
        life_cycle: "lost".to_owned(),
        cancel_time: moment("2011-11-02T10:00:00Z"),
        ..anna()
    };
    let text = page(&cancelled, &euro());
    assert!(text.contains("\nlife cycle       lost, cancelled at 2011-11-02T10:00:00Z\n"), "{text}");
}

#[test]
fn a_late_customer_who_is_likely_to_stay_is_explained() {
    let words = "the stage (declining) goes by the customer's own interval between purchases";
    assert!(page(&anna(), &euro()).contains(words));
    let with = |life_cycle: &str, probability| {
        let mut insight = CustomerInsight { life_cycle: life_cycle.to_owned(), ..anna() };
        insight.churn_score.as_mut().unwrap().probability = probability;
        page(&insight, &euro())
    };
    assert!(with("lost", 0.49).contains("the stage (lost) goes by"));
    for text in [with("lost", 0.5), with("mature", 0.1)] {
        assert!(!text.contains("goes by the customer's own"), "{text}");
    }
}

#[test]
fn a_profit_without_costs_is_the_net_revenue() {
    let with = CustomerInsight { cost_minor: 0, profit_minor: 1_200_000, ..anna() };
    assert!(page(&with, &euro()).contains("12,000.00 EUR\n"), "a cost of 0 is stated");
    let text = page(&CustomerInsight { cost_stated: false, ..with }, &euro());
    assert!(
        text.contains("12,000.00 EUR, the net revenue: none of its interactions states a cost\n"),
        "{text}"
    );
}

#[test]
fn a_lead_without_a_pass_has_dashes() {
    let lead = CustomerInsight {
        customer_id: "C7".to_owned(),
        as_of_time: moment("2011-12-09"),
        life_cycle: "lead".to_owned(),
        ..CustomerInsight::default()
    };
    insta::assert_snapshot!(page(&lead, &euro()), @r"
    C7
    as of 2011-12-09T00:00:00Z

    life cycle       lead
    ABC class        –
    RFM              –
    value × loyalty  –
    limits           none yet: `tally insights refresh --as-of` a time up to this one makes them

    revenue ever     0.00 EUR
    returns          0.00 EUR
    cost             0.00 EUR
    profit           0.00 EUR
    share of wallet  –
    orders           0
    rhythm           no purchase yet

    lifetime value  –
    to come         –

    satisfaction  –
    loyalty       0 of 100 points
    complaints    0, 0 open
    last contact  –
    referrals     0, 0 of them bought
    completeness  –
    ");
}

#[test]
fn warnings_are_shown() {
    let warnings = vec![format!("nobody leaves{}", ", they say".repeat(20))];
    let text = page(&CustomerInsight { warnings, ..anna() }, &euro());
    assert_fits(&text);
    assert!(text.contains("\n\nwarning: nobody leaves, they say,"), "{text}");
}

#[test]
fn long_names_and_large_numbers_fit() {
    let mut insight = anna();
    insight.customer_id = long_name();
    insight.name = long_name();
    insight.revenue_minor = i64::MAX;
    insight.profit_minor = i64::MIN;
    insight.orders = i64::MAX;
    insight.missing_attributes = vec!["x".repeat(64); 30];
    insight.contacts[0].interaction_id = long_name();
    insight.contacts[0].channel = "y".repeat(64);
    insight.next_to_buy[0].value = long_name();
    insight.next_to_buy[0].because = long_name();
    if let Some(score) = &mut insight.churn_score {
        score.customer_id = long_name();
        score.reasons[0].text = format!("region is {}", long_name());
    }
    assert_fits(&page(&insight, &euro()));
}

#[test]
fn nobody_has_a_class_of_nothing() {
    let insight = CustomerInsight {
        rfm_cell: "none".to_owned(),
        rfm_segment: "none".to_owned(),
        ..CustomerInsight::default()
    };
    let text = page(&insight, &euro());
    let line = text.lines().find(|line| line.starts_with("RFM")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["RFM", "none"]);
}
