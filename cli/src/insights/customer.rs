//! `tally insights customer`: a page about one customer.

use jiff::Timestamp;
use tally_proto::v1::{Contact, CustomerInsight, GetCustomerInsightRequest, NextToBuy, Score, ScorePoint};

use super::{
    reply,
    rhythm::{days, rhythm},
};
use crate::{
    connection::Connection,
    error::ClientError,
    output::{
        Currency, DASH, count, cut, datetime, decimals, insert_bars, moment, narrow_table, narrow_text,
        percent, printable, ratio, target_name,
    },
    scoring::{grades, heading, narrow_scores_table},
    time,
};

/// The most columns of an id, a name or a kind.
const WORD: usize = 45;
/// The most columns of a value of a property.
const VALUE: usize = 35;

/// Prints the page.
pub(super) async fn customer(
    server: &Connection,
    customer_id: &str,
    as_of: Option<Timestamp>,
    json: bool,
) -> Result<(), ClientError> {
    let request = GetCustomerInsightRequest {
        customer_id: customer_id.to_owned(),
        as_of_time: as_of.map(time::timestamp),
    };
    let reply = server.insights().get_customer_insight(request).await;
    let reply = reply.map_err(|status| server.error(&status))?;
    reply::show(server, reply.get_ref(), json, page).await
}

fn page(insight: &CustomerInsight, currency: &Currency) -> String {
    let mut parts = vec![
        title(insight),
        lines(&classes(insight)),
        lines(&purchases(insight, currency)),
        lines(&value(insight, currency)),
        lines(&relation(insight)),
    ];
    if !insight.next_to_buy.is_empty() {
        parts.push(format!("Next to buy\n{}", next_to_buy(&insight.next_to_buy)));
    }
    let scores = [&insight.lead_score, &insight.churn_score];
    parts.extend(scores.into_iter().flatten().map(score));
    if !insight.score_history.is_empty() {
        parts.push(format!("Stored scores\n{}", history(&insight.score_history)));
    }
    for (name, of) in [("Last contacts", &insight.contacts), ("Open complaints", &insight.open_complaints)] {
        if !of.is_empty() {
            parts.push(format!("{name}\n{}", contacts(of)));
        }
    }
    parts.join("\n\n")
}

fn title(insight: &CustomerInsight) -> String {
    let mut names = vec![cut(&insight.customer_id, WORD)];
    names.extend(Some(cut(&insight.name, WORD)).filter(|name| !name.is_empty()));
    format!("{}\nas of {}", names.join(", "), moment(insight.as_of_time.as_ref()))
}

type Line = (&'static str, String);

/// The stage of the life cycle, and what is relative to all customers.
fn classes(insight: &CustomerInsight) -> Vec<Line> {
    let rfm = match (insight.rfm_cell.as_str(), insight.rfm_segment.as_str()) {
        (cell, segment) if cell == segment => word(cell),
        (cell, segment) => format!("{} ({})", word(cell), word(segment)),
    };
    let limits = match insight.population_as_of_time.as_ref() {
        None => "none yet: `tally insights refresh --as-of` a time up to this one makes them".to_owned(),
        time => format!("as of {}", datetime(time)),
    };
    vec![
        ("life cycle", life_cycle(insight)),
        ("ABC class", word(&insight.abc_class)),
        ("RFM", rfm),
        ("value × loyalty", word(&insight.value_loyalty)),
        ("limits", limits),
    ]
}

/// The stage, and whether the relation ended by a cancel.
fn life_cycle(insight: &CustomerInsight) -> String {
    match insight.cancel_time.as_ref() {
        None => word(&insight.life_cycle),
        time => format!("{}, cancelled at {}", word(&insight.life_cycle), datetime(time)),
    }
}

fn purchases(insight: &CustomerInsight, currency: &Currency) -> Vec<Line> {
    let orders = match (insight.first_purchase_time.as_ref(), insight.last_purchase_time.as_ref()) {
        (None, _) | (_, None) => count(insight.orders),
        (first, last) => format!(
            "{} on {}, from {} to {}",
            count(insight.orders),
            days(insight.purchase_days),
            datetime(first),
            datetime(last)
        ),
    };
    let returned = insight.returns_minor as f64 / insight.revenue_minor as f64;
    let much = (insight.revenue_minor > 0 && returned > 0.5).then(|| {
        format!(": {} of the revenue, which the lifetime value does not count", ratio(Some(returned)))
    });
    vec![
        ("revenue ever", currency.money(insight.revenue_minor)),
        ("returns", format!("{}{}", currency.money(insight.returns_minor), much.unwrap_or_default())),
        ("cost", currency.money(insight.cost_minor)),
        ("profit", currency.money(insight.profit_minor)),
        ("share of wallet", ratio(insight.share_of_wallet)),
        ("orders", orders),
        ("rhythm", rhythm(insight)),
    ]
}

/// What the customer will bring within the horizon.
fn value(insight: &CustomerInsight, currency: &Currency) -> Vec<Line> {
    let amount = |minor: Option<i64>| minor.map(|minor| currency.money(minor));
    let clv = amount(insight.clv_minor).unwrap_or_else(|| DASH.to_owned());
    let interval = insight.clv_lower_minor.zip(insight.clv_upper_minor);
    let interval = interval
        .map(|(lower, upper)| format!("; 95 %: {} to {}", currency.amount(lower), currency.money(upper)));
    let purchases = insight.expected_purchases.map(|_| {
        let expected = format!("{} purchase days expected", decimals(insight.expected_purchases, 1));
        // After one purchase, the model knows nothing of leaving, and the probability is 1 whatever happens.
        match insight.purchase_days {
            ..=1 => expected,
            _ => format!("{expected}; {} that it has not left", ratio(insight.p_alive)),
        }
    });
    vec![
        ("lifetime value", format!("{clv}{}", interval.unwrap_or_default())),
        ("to come", purchases.unwrap_or_else(|| DASH.to_owned())),
    ]
}

fn relation(insight: &CustomerInsight) -> Vec<Line> {
    let satisfaction = insight
        .satisfaction
        .map(|_| format!("{} of the score that was expected", decimals(insight.satisfaction, 2)));
    let discounted = insight
        .discount_share
        .map(|_| format!("; {} of the purchases discounted", ratio(insight.discount_share)));
    let last_contact = insight.last_contact_time.as_ref().map(|time| datetime(Some(time)));
    let dash = || DASH.to_owned();
    let mut lines = vec![
        ("satisfaction", satisfaction.unwrap_or_else(dash)),
        ("loyalty", format!("{} of 100 points{}", insight.loyalty_points, discounted.unwrap_or_default())),
        ("complaints", format!("{}, {} open", count(insight.complaints), count(insight.complaints_open))),
        ("last contact", last_contact.unwrap_or_else(dash)),
        (
            "referrals",
            format!("{}, {} of them bought", count(insight.referrals), count(insight.referrals_bought)),
        ),
        ("completeness", completeness(insight)),
    ];
    let held_out = "held out: gets no action, so that others have something to be compared with";
    lines.extend(insight.held_out.then(|| ("worklist", held_out.to_owned())));
    lines
}

/// How many of the usual attributes the customer has, and which are missing.
fn completeness(insight: &CustomerInsight) -> String {
    if insight.completeness.is_none() {
        return DASH.to_owned();
    }
    let has = format!("{} of the usual attributes", ratio(insight.completeness));
    let missing: Vec<String> = insight.missing_attributes.iter().map(|name| printable(name)).collect();
    if missing.is_empty() { has } else { format!("{has}; missing: {}", missing.join(", ")) }
}

/// A word, or a dash.
fn word(word: &str) -> String {
    if word.is_empty() { DASH.to_owned() } else { cut(word, WORD) }
}

/// A line for each name, with the values beside each other.
fn lines(lines: &[Line]) -> String {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    narrow_text(&lines.join("\n"))
}

fn score(score: &Score) -> String {
    let (table, grades) = (narrow_scores_table(score), grades(score.target()));
    format!("{}\n{table}\n{grades}", narrow_text(&heading(score)))
}

/// What the customer has never bought, and what speaks for it.
fn next_to_buy(next: &[NextToBuy]) -> String {
    let rows = next.iter().map(|next| {
        vec![
            cut(&next.value, VALUE),
            cut(&next.because, VALUE),
            percent(next.confidence_lower),
            decimals(Some(next.lift), 2),
        ]
    });
    narrow_table(&["value", "because it bought", "at least", "lift"], &[2, 3], rows)
}

/// Stored predictions with a bar of their probability.
fn history(points: &[ScorePoint]) -> String {
    let mut header = vec!["", "as of", "probability", "model"];
    let row = |point: &ScorePoint| {
        vec![
            target_name(point.target()).to_owned(),
            datetime(point.as_of_time.as_ref()),
            percent(point.probability),
            cut(&point.model, WORD),
        ]
    };
    let mut rows: Vec<Vec<String>> = points.iter().map(row).collect();
    insert_bars(&mut header, &mut rows, 3, points.iter().map(|point| Some(point.probability)));
    narrow_table(&header, &[2], rows)
}

fn contacts(contacts: &[Contact]) -> String {
    let rows = contacts.iter().map(|contact| {
        vec![
            datetime(contact.occur_time.as_ref()),
            cut(&contact.kind, WORD),
            cut(&contact.channel, WORD),
            cut(&contact.interaction_id, WORD),
        ]
    });
    narrow_table(&["when", "kind", "channel", "interaction"], &[], rows)
}

#[cfg(test)]
mod tests {
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

        lifetime value  1,234.56 EUR; 95 %: 0.00 to 3,456.78 EUR
        to come         4.2 purchase days expected; 87.6 % that it has not left

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
        customer  probability    95 % interval  grade  basis  reasons (log-odds)
        ───────────────────────────────────────────────────────────────────────────────────────────────────
        C1042          43.3 %  31.0 % – 56.0 %  C      MODEL  +0.82 No purchase for 82 days; typical is 34
                                                              -0.20 19 purchases so far; typical is 4
        grades: quarters of the customers at the training, A the least likely to leave, D the likeliest

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
}
