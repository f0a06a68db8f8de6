//! `tally worklist effect`: what actions did.

use clap::ValueEnum;
use tally_proto::v1::{ActionEffect, GetActionEffectRequest, GetActionEffectResponse};

use super::names::{kind, numbers};
use crate::{
    args::{EffectArgs, WorkKindArg},
    connection::Connection,
    error::ClientError,
    insights::warnings,
    output::{self, DASH, count, datetime, insert_texts, narrow_table, narrow_text, points, ratio, share},
    time,
};

/// The fewest columns of an action.
const ACTION: usize = 15;

/// Prints what actions did.
pub(super) async fn effect(server: &Connection, args: &EffectArgs, json: bool) -> Result<(), ClientError> {
    let request = GetActionEffectRequest {
        kinds: numbers(&args.kinds),
        from_time: args.from.map(time::timestamp),
        to_time: args.to.map(time::timestamp),
    };
    let reply = server.insights().get_action_effect(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    let is_part = args.from.is_some() || args.to.is_some();
    Ok(output::show(&reply, json, |reply| {
        let parts = [page(reply, &args.kinds, is_part)].into_iter().chain(warnings(&reply.warnings));
        parts.collect::<Vec<_>>().join("\n\n")
    })?)
}

/// The rows of these kinds, of all lists or of a part of them.
fn page(reply: &GetActionEffectResponse, kinds: &[WorkKindArg], is_part: bool) -> String {
    let known = datetime(reply.known_time.as_ref());
    if reply.rows.is_empty() {
        return match is_part {
            true => "no list about the time from --from to --to was handed out".to_owned(),
            false => {
                format!("no list was handed out before {known}; hand one out with `tally worklist publish`")
            }
        };
    }
    // With a kind, its actions of which nothing is over have rows as well, so that the numbers of open ones add up.
    let is_judged = |row: &ActionEffect| row.treated > 0 || row.held_out > 0;
    let of_kind = |kind: i32| reply.rows.iter().filter(move |row| row.kind == kind);
    let judged: Vec<&ActionEffect> =
        reply.rows.iter().filter(|row| of_kind(row.kind).any(is_judged)).collect();
    let unjudged = unjudged(reply, kinds, is_part);
    if judged.is_empty() {
        return narrow_text(&format!("nothing is over as of {known}\n{}", unjudged.join("\n")));
    }
    let mut header = vec!["kind", "treated", "bought", "held", "bought", "effect", "95 %", "open", "needed"];
    let mut rows: Vec<Vec<String>> = judged.iter().map(|judged| row(judged)).collect();
    let actions = judged.iter().map(|row| if row.action.is_empty() { "(all)" } else { &row.action });
    insert_texts(&mut header, &mut rows, (1, "action"), ACTION, actions);
    let table = narrow_table(&header, &[2, 3, 4, 5, 6, 7, 8, 9], rows);
    let notes = format!(
        "customers on lists (treated) against those held out from them (held), as of {known}: how many bought \
         within the time of the list\n\
         effect: the difference in percentage points; it is more than chance when its interval (95 %) does not hold 0\n\
         open: the time of the list is not over; needed: so many more until an effect of this size shows\n\
         (all): all actions of the kind; treated, held and open of the actions add up to it, the other columns do not"
    );
    let notes: Vec<String> = [notes].into_iter().chain(done(&judged)).chain(unjudged).collect();
    format!("{table}\n\n{}", narrow_text(&notes.join("\n")))
}

/// How much of the lists was worked off, by kind.
fn done(rows: &[&ActionEffect]) -> Option<String> {
    let of_kind = rows.iter().filter(|row| row.action.is_empty() && row.treated > 0);
    let shares = of_kind.map(|row| format!("{} {}", kind(row.kind), share(row.acted, row.treated)));
    let shares: Vec<String> = shares.collect();
    (!shares.is_empty()).then(|| format!("reported as done, of the treated: {}", shares.join(", ")))
}

/// Says which of the kinds have no row: those whose lists are not over, and those of which no list was handed out.
fn unjudged(reply: &GetActionEffectResponse, kinds: &[WorkKindArg], is_part: bool) -> Vec<String> {
    let kinds = if kinds.is_empty() { WorkKindArg::value_variants() } else { kinds };
    let (mut open, mut missing) = (Vec::new(), Vec::new());
    for number in kinds.iter().map(|kind| kind.number()) {
        let all = reply.rows.iter().find(|row| row.kind == number && row.action.is_empty());
        match all {
            None => missing.push(kind(number)),
            Some(row) if row.treated == 0 && row.held_out == 0 => {
                open.push(format!("{} ({} open)", kind(number), count(row.open)));
            }
            Some(_) => {}
        }
    }
    let line =
        |what: &str, kinds: Vec<String>| (!kinds.is_empty()).then(|| format!("{what}: {}", kinds.join(", ")));
    let no_list = if is_part { "not handed out in this time" } else { "never handed out" };
    [line("not over yet", open), line(no_list, missing)].into_iter().flatten().collect()
}

fn row(row: &ActionEffect) -> Vec<String> {
    let dash = || DASH.to_owned();
    let interval = row.lower.zip(row.upper);
    vec![
        kind(row.kind),
        count(row.treated),
        ratio(row.rate_treated),
        count(row.held_out),
        ratio(row.rate_held_out),
        row.effect.map_or_else(dash, short),
        interval.map_or_else(dash, |(lower, upper)| format!("{} to {}", short(lower), short(upper))),
        count(row.open),
        row.more_needed.map_or_else(dash, needed),
    ]
}

/// Beyond a million the number says no more than that there is hardly an effect, and takes the room of the others.
fn needed(episodes: i64) -> String {
    if episodes > 1_000_000 { "> 1 M".to_owned() } else { count(episodes) }
}

/// Percentage points without their unit, which the notes name.
fn short(difference: f64) -> String {
    points(difference).trim_end_matches(" pp").to_owned()
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::WorkKind;

    use super::*;
    use crate::insights::samples::{assert_fits, long_name, moment};

    fn reply(rows: Vec<ActionEffect>) -> GetActionEffectResponse {
        GetActionEffectResponse { rows, known_time: moment("2026-01-31"), warnings: Vec::new() }
    }

    #[test]
    fn effects_are_a_table() {
        let all = ActionEffect {
            kind: WorkKind::AtRisk.into(),
            treated: 70,
            acted: 50,
            held_out: 80,
            treated_successes: 56,
            held_out_successes: 48,
            rate_treated: Some(0.8),
            rate_held_out: Some(0.6),
            effect: Some(0.2),
            lower: Some(0.0524),
            upper: Some(0.3339),
            ..ActionEffect::default()
        };
        let call =
            ActionEffect { action: "personal call".to_owned(), more_needed: Some(1_234), ..all.clone() };
        let all = ActionEffect { open: 7, ..all };
        let offer = ActionEffect {
            kind: WorkKind::AtRisk.into(),
            action: "offer".to_owned(),
            open: 7,
            ..ActionEffect::default()
        };
        let open = ActionEffect { kind: WorkKind::CareDate.into(), open: 12, ..ActionEffect::default() };
        insta::assert_snapshot!(page(&reply(vec![all, offer, call, open]), &[], false), @r"
        kind     action         treated  bought  held  bought  effect           95 %  open  needed
        ───────────────────────────────────────────────────────────────────────────────────────────
        at_risk  (all)               70  80.0 %    80  60.0 %   +20.0  +5.2 to +33.4     7       –
        at_risk  offer                0       –     0       –       –              –     7       –
        at_risk  personal call       70  80.0 %    80  60.0 %   +20.0  +5.2 to +33.4     0   1,234

        customers on lists (treated) against those held out from them (held), as of 2026-01-31T00:00:00Z:
          how many bought within the time of the list
        effect: the difference in percentage points; it is more than chance when its interval (95 %) does
          not hold 0
        open: the time of the list is not over; needed: so many more until an effect of this size shows
        (all): all actions of the kind; treated, held and open of the actions add up to it, the other
          columns do not
        reported as done, of the treated: at_risk 71.4 %
        not over yet: care_date (12 open)
        never handed out: win_back, hot_lead, neglected
        ");
    }

    #[test]
    fn usual_rows_take_a_line() {
        let usual = ActionEffect {
            kind: WorkKind::Neglected.into(),
            action: "standard mailing".to_owned(),
            treated: 12_345,
            held_out: 1_234,
            rate_treated: Some(0.25),
            rate_held_out: Some(0.24),
            effect: Some(0.01),
            lower: Some(-0.15),
            upper: Some(0.17),
            open: 1_234,
            more_needed: Some(12_345),
            ..ActionEffect::default()
        };
        let shown = page(&reply(vec![usual]), &[], false);
        assert!(shown.contains("  standard mailing  ") && shown.contains("  1,234  12,345\n"), "{shown}");
    }

    #[test]
    fn wide_rows_fit() {
        let wide = ActionEffect {
            kind: WorkKind::Neglected.into(),
            action: long_name(),
            treated: 1_000_000,
            held_out: 1_000_000,
            rate_treated: Some(1.0),
            rate_held_out: Some(1.0),
            effect: Some(-1.0),
            lower: Some(-1.0),
            upper: Some(1.0),
            open: 1_000_000,
            more_needed: Some(1_000_000_000),
            ..ActionEffect::default()
        };
        let shown = page(&reply(vec![wide]), &[], false);
        assert_fits(&shown);
        assert!(shown.contains("> 1 M"), "{shown}");
    }

    #[test]
    fn nothing_handed_out_is_a_sentence() {
        let nothing = page(&reply(Vec::new()), &[], false);
        assert!(nothing.starts_with("no list was handed out before 2026-01-31T00:00:00Z"));
        let nothing_then = page(&reply(Vec::new()), &[], true);
        assert_eq!(nothing_then, "no list about the time from --from to --to was handed out");
    }

    #[test]
    fn kinds_without_a_row_are_named() {
        let open = |action: &str, open| ActionEffect {
            kind: WorkKind::AtRisk.into(),
            action: action.to_owned(),
            open,
            ..ActionEffect::default()
        };
        let reply = reply(vec![open("", 1_200), open("offer", 1_200)]);
        let of_part = page(&reply, &[WorkKindArg::HotLead], true);
        assert!(of_part.ends_with("\nnot handed out in this time: hot_lead"), "{of_part}");
        assert_eq!(
            page(&reply, &[WorkKindArg::AtRisk, WorkKindArg::HotLead], false),
            "nothing is over as of 2026-01-31T00:00:00Z\nnot over yet: at_risk (1,200 open)\nnever handed out: hot_lead"
        );
    }
}
