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
    parts.extend(two_views(insight));
    if !insight.score_history.is_empty() {
        parts.push(format!("Stored scores\n{}", history(&insight.score_history)));
    }
    for (name, of) in [("Last contacts", &insight.contacts), ("Open complaints", &insight.open_complaints)] {
        if !of.is_empty() {
            parts.push(format!("{name}\n{}", contacts(of)));
        }
    }
    parts.extend(reply::warnings(&insight.warnings));
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
        ("profit", profit(insight, currency)),
        ("share of wallet", ratio(insight.share_of_wallet)),
        ("orders", orders),
        ("rhythm", rhythm(insight)),
    ]
}

/// The profit, and whether it is only the net revenue.
fn profit(insight: &CustomerInsight, currency: &Currency) -> String {
    let profit = currency.money(insight.profit_minor);
    if insight.cost_stated || insight.profit_minor == 0 {
        return profit;
    }
    format!("{profit}, the net revenue: none of its interactions states a cost")
}

/// What the customer will bring within the horizon.
fn value(insight: &CustomerInsight, currency: &Currency) -> Vec<Line> {
    let amount = |minor: Option<i64>| minor.map(|minor| currency.money(minor));
    let clv = amount(insight.clv_minor).unwrap_or_else(|| DASH.to_owned());
    let interval = insight.clv_lower_minor.zip(insight.clv_upper_minor);
    let interval = interval.map(|(lower, upper)| {
        // The value is a mean: a few who buy much lift it above what nearly all bring.
        let mostly_nothing = if upper == 0 { ", most likely it brings nothing" } else { "" };
        format!("; 95 %: {} to {}{mostly_nothing}", currency.amount(lower), currency.money(upper))
    });
    let purchases = insight.expected_purchases.map(|_| {
        let expected = format!("{} purchase days expected", decimals(insight.expected_purchases, 1));
        // After one purchase, the model knows nothing of leaving, and the probability is 1 whatever happens.
        match insight.purchase_days {
            ..=1 => expected,
            _ => format!("{expected}; {} that it has not left", ratio(insight.p_alive)),
        }
    });
    let within = insight.clv_horizon_days.map(|horizon| format!(" in {}", days(horizon.into())));
    let margin = insight.clv_margin_rate.map(|_| {
        format!("{} of the revenue counts as profit in the lifetime value", ratio(insight.clv_margin_rate))
    });
    let mut lines = vec![
        ("lifetime value", format!("{clv}{}{}", within.unwrap_or_default(), interval.unwrap_or_default())),
        ("to come", purchases.unwrap_or_else(|| DASH.to_owned())),
    ];
    lines.extend(margin.map(|margin| ("margin", margin)));
    lines
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

/// Why a stage and a probability that seem to contradict each other are both right.
fn two_views(insight: &CustomerInsight) -> Option<String> {
    let stays = insight.churn_score.as_ref().is_some_and(|score| score.probability < 0.5);
    let is_late = ["lost", "declining"].contains(&insight.life_cycle.as_str());
    (stays && is_late && insight.cancel_time.is_none()).then(|| {
        narrow_text(&format!(
            "the stage ({}) goes by the customer's own interval between purchases, the probability by what the model has \
             learned from all customers: the two may differ",
            printable(&insight.life_cycle)
        ))
    })
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
mod tests;
