//! `tally worklist list`: whom to turn to, page by page.

use std::collections::BTreeSet;

use tally_proto::v1::{Cause, ListWorklistRequest, ListWorklistResponse, OpenEpisode, WorkItem};

use super::names::{cause, kind, numbers, outcome, places};
use crate::{
    args::WorklistArgs,
    connection::Connection,
    error::ClientError,
    insights::{currency, warnings},
    output::{
        self, Currency, DASH, count, counted, cut, date, insert_names, moment, narrow_table, narrow_text,
        percent, printable,
    },
    paging, time,
};

/// The most columns of an id, and of an action.
const ID: usize = 36;
const ACTION: usize = 19;
/// The most customers that are named because of a remark.
const REMARKED: usize = 5;

/// Prints the items: JSON page by page, text in one table.
pub(super) async fn list(server: &Connection, args: &WorklistArgs, json: bool) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListWorklistRequest {
            kinds: numbers(&args.kinds),
            as_of_time: args.as_of.map(time::timestamp),
            include_held_out: args.include_held_out,
            include_not_paying: args.include_not_paying,
            page_size,
            page_token,
        };
        let page = server.insights().list_worklist(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let (notes, warnings) = (notes(listed.shown, &listed.first), warnings(&listed.first.warnings));
    if json {
        output::remark(&notes);
        warnings.iter().for_each(|warnings| output::remark(warnings));
        return Ok(());
    }
    let page = if listed.items.is_empty() && listed.first.places_left == Some(0) {
        narrow_text(&format!("nothing is left to hand out; {notes}"))
    } else {
        page(&listed.items, &notes, &currency(server).await?)
    };
    let parts: Vec<String> = [page].into_iter().chain(warnings).collect();
    Ok(output::print(&parts.join("\n\n"))?)
}

/// What is shown, and what is left out.
fn notes(shown: usize, first: &ListWorklistResponse) -> String {
    let showing = paging::showing(shown, first.total_size);
    let left_out = match first.not_paying {
        0 => String::new(),
        items => {
            let items = counted(items, "item is", "items are");
            format!(
                "; {items} left out, since the action is not known to bring more than it costs (see --include-not-paying)"
            )
        }
    };
    let places = match places(first.places_used, first.places_left) {
        None => String::new(),
        Some(places) if first.places_left == Some(0) => {
            format!("; {places}, see `tally worklist episodes --all`")
        }
        Some(places) => format!("; {places}"),
    };
    let without_place = match first.without_place {
        0 => String::new(),
        items => {
            let items = counted(items, "more item has", "more items have");
            format!("; {items} no place that day")
        }
    };
    format!("{showing} as of {}{left_out}{places}{without_place}", moment(first.as_of_time.as_ref()))
}

fn page(items: &[WorkItem], notes: &str, currency: &Currency) -> String {
    if items.is_empty() {
        return format!("nobody to turn to; {notes}");
    }
    let is_ranked = items.iter().any(|item| item.expected_gain_minor.is_some());
    let any_handed_out = items.iter().any(|item| handed_out(item).is_some());
    let mut header = vec!["customer", "kind", "value"];
    header.extend(is_ranked.then_some("gain"));
    header.extend(["P", "class", "cause", "action"]);
    header.extend(any_handed_out.then_some("status"));
    let mut rows: Vec<Vec<String>> =
        items.iter().map(|item| row(item, (is_ranked, any_handed_out), currency)).collect();
    let names = insert_names(&mut header, &mut rows, items.iter().map(|item| item.name.as_str()));
    let numbers: Vec<usize> = (names + 2..names + 4 + usize::from(is_ranked)).collect();
    let table = narrow_table(&header, &numbers, rows);
    let mut lines = vec![
        notes.to_owned(),
        "value: the value at risk, what is likely to be lost, or, of a lead, to be won".to_owned(),
    ];
    lines.extend(is_ranked.then(|| {
        "gain: value at risk · lower end of the effect of the action, at least 0, − its cost".to_owned()
    }));
    lines.extend(unmeasured(items));
    lines.push("P: the probability that the customer leaves, or that the lead buys".to_owned());
    if items.iter().any(is_likely_to_stay) {
        lines.push(
            "cause: what speaks most for leaving; where P is below 50 %, the customer is likely to stay all the same"
                .to_owned(),
        );
    }
    if any_handed_out {
        lines.push("status: the date of the list that handed it out, or what was reported since".to_owned());
    }
    if items.iter().any(|item| item.held_out) {
        lines.push(
            "(held out): gets no action, so that the others have something to be compared with".to_owned(),
        );
    }
    lines.extend(mostly_returned(items));
    lines.extend(uncertain(items));
    lines.extend(currency.note());
    format!("{table}\n\n{}", narrow_text(&lines.join("\n")))
}

/// The actions whose effect counts as 1.
fn unmeasured(items: &[WorkItem]) -> Option<String> {
    let is_unmeasured =
        |item: &&WorkItem| item.expected_gain_minor.is_some() && item.measured_effect.is_none();
    let found: BTreeSet<(String, String)> =
        items.iter().filter(is_unmeasured).map(|item| (kind(item.kind), cut(&item.action, ACTION))).collect();
    let named: Vec<String> =
        found.iter().take(REMARKED).map(|(kind, action)| format!("{kind} {action}")).collect();
    let more = found.len().saturating_sub(REMARKED);
    let more = if more > 0 { format!(", and {} more", count(more as i64)) } else { String::new() };
    (!named.is_empty())
        .then(|| format!("effect not measured, so that it counts as 1: {}{more}", named.join(", ")))
}

/// Whether the item names a cause of leaving of a customer who probably stays.
fn is_likely_to_stay(item: &WorkItem) -> bool {
    let has_cause = !matches!(item.cause(), Cause::Unspecified | Cause::Unknown);
    has_cause && item.probability.is_some_and(|probability| probability < 0.5)
}

/// Customers who have returned most of what they bought, which is not in their value.
fn mostly_returned(items: &[WorkItem]) -> Option<String> {
    let named = remarked(items, "returned_share", "most of theirs")?;
    Some(format!("{named}, which the value does not count"))
}

/// Customers whose P is hardly known.
fn uncertain(items: &[WorkItem]) -> Option<String> {
    let named = remarked(items, "interval_width", "as uncertain")?;
    Some(format!("P is hardly known (95 % interval): {named}"))
}

/// The first customers with a remark of this name, each with its text, and how many more there are.
fn remarked(items: &[WorkItem], feature: &str, others: &str) -> Option<String> {
    let remark = |item: &WorkItem| {
        let reason = item.reasons.iter().find(|reason| reason.feature == feature)?;
        Some(format!("{} {}", cut(&item.customer_id, ID), printable(&reason.text)))
    };
    let found: BTreeSet<String> = items.iter().filter_map(remark).collect();
    let more = found.len().saturating_sub(REMARKED);
    let mut named: Vec<String> = found.into_iter().take(REMARKED).collect();
    named.extend(
        (more > 0).then(|| format!("{} {others}", counted(more as i64, "more customer", "more customers"))),
    );
    (!named.is_empty()).then(|| named.join("; "))
}

/// What is handed out. Who was held out got nothing.
fn episode(item: &WorkItem) -> Option<&OpenEpisode> {
    item.open_episode.as_ref().filter(|episode| !episode.held_out)
}

/// The date of the list that handed the item out, or what was reported since; there is no room for both.
fn handed_out(item: &WorkItem) -> Option<String> {
    let episode = episode(item)?;
    Some(match outcome(episode.outcome) {
        Some(outcome) => format!("reported {outcome}"),
        None => format!("on list of {}", date(episode.as_of_time.as_ref())),
    })
}

/// The action that was handed out, or else that of the playbook.
fn action(item: &WorkItem) -> &str {
    episode(item).map_or(&item.action, |episode| &episode.action)
}

fn row(item: &WorkItem, (is_ranked, any_handed_out): (bool, bool), currency: &Currency) -> Vec<String> {
    let kind = match &item.due_time {
        Some(due) => format!("{} {}", kind(item.kind), date(Some(due))),
        None => kind(item.kind),
    };
    let mut cells = vec![cut(&item.customer_id, ID), kind, currency.optional(item.value_at_risk_minor)];
    cells.extend(is_ranked.then(|| currency.optional(item.expected_gain_minor)));
    cells.extend([
        item.probability.map_or_else(|| DASH.to_owned(), percent),
        printable(&item.abc_class),
        cause(item.cause),
        if item.held_out { "(held out)".to_owned() } else { cut(action(item), ACTION) },
    ]);
    cells.extend(any_handed_out.then(|| handed_out(item).unwrap_or_default()));
    cells
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Outcome, Reason, WorkKind};

    use super::*;
    use crate::insights::samples::{assert_fits, euro, long_name, moment};

    fn item(id: &str, kind: WorkKind) -> WorkItem {
        WorkItem {
            customer_id: id.to_owned(),
            kind: kind.into(),
            value_at_risk_minor: Some(123_456),
            probability: Some(0.625),
            abc_class: "A".to_owned(),
            cause: Cause::FallingUse.into(),
            action: "personal call".to_owned(),
            ..WorkItem::default()
        }
    }

    fn shown(items: &[WorkItem], not_paying: i64) -> String {
        let response = ListWorklistResponse {
            total_size: 1_234,
            as_of_time: moment("2026-01-31"),
            not_paying,
            ..ListWorklistResponse::default()
        };
        page(items, &notes(items.len(), &response), &euro())
    }

    #[test]
    fn items_are_a_table() {
        let lead = WorkItem {
            value_at_risk_minor: None,
            probability: None,
            abc_class: "none".to_owned(),
            cause: Cause::Unknown.into(),
            due_time: moment("2026-02-03"),
            ..item("C2", WorkKind::CareDate)
        };
        let held_out = WorkItem { held_out: true, ..item("C3", WorkKind::Neglected) };
        insta::assert_snapshot!(shown(&[item("C1", WorkKind::AtRisk), lead, held_out], 0), @r"
        customer  kind                     value       P  class  cause        action
        ────────────────────────────────────────────────────────────────────────────────────
        C1        at_risk               1,234.56  62.5 %  A      falling_use  personal call
        C2        care_date 2026-02-03         –       –  none   –            personal call
        C3        neglected             1,234.56  62.5 %  A      falling_use  (held out)

        showing 3 of 1,234 as of 2026-01-31T00:00:00Z
        value: the value at risk, what is likely to be lost, or, of a lead, to be won
        P: the probability that the customer leaves, or that the lead buys
        (held out): gets no action, so that the others have something to be compared with
        amounts in EUR
        ");
    }

    #[test]
    fn who_returned_most_is_named() {
        let returned = |id: &str| WorkItem {
            reasons: vec![Reason {
                feature: "returned_share".to_owned(),
                text: "returned 92 % of revenue".to_owned(),
                ..Reason::default()
            }],
            ..item(id, WorkKind::AtRisk)
        };
        let twice = WorkItem { kind: WorkKind::Neglected.into(), ..returned("C1") };
        let text = shown(&[returned("C1"), twice, item("C2", WorkKind::AtRisk)], 0);
        assert!(text.contains("\nC1 returned 92 % of revenue, which the value does not count\n"), "{text}");
        let many: Vec<WorkItem> = (0..8).map(|n| returned(&format!("{n}{}", long_name()))).collect();
        let text = shown(&many, 0);
        assert_fits(&text);
        assert!(text.contains("3 more customers most of theirs"), "{text}");
    }

    #[test]
    fn who_is_uncertain_is_named() {
        let uncertain = WorkItem {
            reasons: vec![Reason {
                feature: "interval_width".to_owned(),
                text: "likely between 6 % and >99.9 %".to_owned(),
                ..Reason::default()
            }],
            ..item("C1", WorkKind::HotLead)
        };
        let text = shown(&[uncertain, item("C2", WorkKind::AtRisk)], 0);
        assert!(
            text.contains("\nP is hardly known (95 % interval): C1 likely between 6 % and >99.9 %\n"),
            "{text}"
        );
    }

    #[test]
    fn a_cause_of_who_is_likely_to_stay_is_explained() {
        let note =
            "\ncause: what speaks most for leaving; where P is below 50 %, the customer is likely to stay";
        let stays = WorkItem { probability: Some(0.07), ..item("C1", WorkKind::Neglected) };
        assert!(shown(&[item("C2", WorkKind::AtRisk), stays.clone()], 0).contains(note));
        let without = WorkItem { cause: Cause::Unknown.into(), ..stays };
        assert!(!shown(&[item("C2", WorkKind::AtRisk), without], 0).contains(note));
    }

    #[test]
    fn what_is_handed_out_is_named() {
        let open = |outcome: Outcome, held_out| OpenEpisode {
            as_of_time: moment("2026-01-29"),
            outcome: outcome.into(),
            action: "discount".to_owned(),
            held_out,
            ..OpenEpisode::default()
        };
        let item = |id, name: &str, open_episode| WorkItem {
            name: name.to_owned(),
            open_episode,
            ..item(id, WorkKind::AtRisk)
        };
        let items = [
            item("C1", "Ana Reyes", Some(open(Outcome::Unspecified, false))),
            item("C2", "Ben Okoro", Some(open(Outcome::NotReached, false))),
            item("C3", "", Some(open(Outcome::Done, true))),
            item("C4", "Cem Aydın", None),
        ];
        insta::assert_snapshot!(shown(&items, 0), @r"
        customer  name       kind        value       P  class  cause        action
        ──────────────────────────────────────────────────────────────────────────────────
        C1        Ana Reyes  at_risk  1,234.56  62.5 %  A      falling_use  discount
          status on list of 2026-01-29
        C2        Ben Okoro  at_risk  1,234.56  62.5 %  A      falling_use  discount
          status reported not_reached
        C3        –          at_risk  1,234.56  62.5 %  A      falling_use  personal call
        C4        Cem Aydın  at_risk  1,234.56  62.5 %  A      falling_use  personal call

        showing 4 of 1,234 as of 2026-01-31T00:00:00Z
        value: the value at risk, what is likely to be lost, or, of a lead, to be won
        P: the probability that the customer leaves, or that the lead buys
        status: the date of the list that handed it out, or what was reported since
        amounts in EUR
        ");
    }

    #[test]
    fn the_capacity_of_the_day_is_named() {
        let notes = |used, left| {
            let first = ListWorklistResponse {
                as_of_time: moment("2026-01-31"),
                places_used: Some(used),
                places_left: Some(left),
                ..ListWorklistResponse::default()
            };
            notes(0, &first)
        };
        let used = "; all 1,200 places of the day are used, see `tally worklist episodes --all`";
        assert!(notes(1_200, 0).ends_with(used));
        assert!(
            notes(1, 0).ends_with("; the 1 place of the day is used, see `tally worklist episodes --all`")
        );
        assert!(notes(1, 1_199).ends_with("; 1,199 of 1,200 places of the day are left"));
        assert!(notes(1_199, 1).ends_with("; 1 of 1,200 places of the day is left"));
    }

    #[test]
    fn items_without_a_place_are_named() {
        let notes = |without_place| {
            let first = ListWorklistResponse {
                places_used: Some(0),
                places_left: Some(20),
                without_place,
                ..ListWorklistResponse::default()
            };
            notes(20, &first)
        };
        let places = "; 20 of 20 places of the day are left";
        assert!(notes(0).ends_with(places));
        assert!(notes(1).ends_with(&format!("{places}; 1 more item has no place that day")));
        assert!(notes(1_234).ends_with(&format!("{places}; 1,234 more items have no place that day")));
    }

    #[test]
    fn ranked_items_have_their_gain() {
        let ranked = WorkItem { expected_gain_minor: Some(100_000), ..item("C1", WorkKind::WinBack) };
        insta::assert_snapshot!(shown(&[ranked], 5), @r"
        customer  kind         value      gain       P  class  cause        action
        ──────────────────────────────────────────────────────────────────────────────────
        C1        win_back  1,234.56  1,000.00  62.5 %  A      falling_use  personal call

        showing 1 of 1,234 as of 2026-01-31T00:00:00Z; 5 items are left out, since the action is not known
          to bring more than it costs (see --include-not-paying)
        value: the value at risk, what is likely to be lost, or, of a lead, to be won
        gain: value at risk · lower end of the effect of the action, at least 0, − its cost
        effect not measured, so that it counts as 1: win_back personal call
        P: the probability that the customer leaves, or that the lead buys
        amounts in EUR
        ");
    }

    #[test]
    fn actions_that_are_not_measured_are_named() {
        let ranked = |action: &str, measured_effect| WorkItem {
            expected_gain_minor: Some(100_000),
            action: action.to_owned(),
            measured_effect,
            ..item("C1", WorkKind::WinBack)
        };
        let text = shown(&[ranked("call", Some(0.25)), ranked("visit", Some(0.0))], 0);
        assert!(!text.contains("not measured"), "{text}");
        let text = shown(&[ranked("call", Some(0.25)), ranked("visit", None), ranked("visit", None)], 0);
        assert!(text.contains("\neffect not measured, so that it counts as 1: win_back visit\n"), "{text}");
        let many: Vec<WorkItem> = (0..7).map(|n| ranked(&format!("action {n}"), None)).collect();
        assert!(shown(&many, 0).contains("win_back action 4, and 2 more\n"));
    }

    #[test]
    fn long_names_and_large_amounts_fit() {
        let wide = WorkItem {
            customer_id: long_name(),
            action: long_name(),
            value_at_risk_minor: Some(99_999_999_999),
            expected_gain_minor: Some(99_999_999_999),
            cause: Cause::OpenComplaint.into(),
            due_time: moment("2026-02-03"),
            abc_class: "none".to_owned(),
            ..item("C1", WorkKind::CareDate)
        };
        assert_fits(&shown(&[wide], 1_000_000));
    }

    #[test]
    fn an_empty_list_is_a_sentence() {
        assert_eq!(shown(&[], 0), "nobody to turn to; showing 0 of 1,234 as of 2026-01-31T00:00:00Z");
    }
}
