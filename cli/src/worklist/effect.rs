//! `tally worklist effect`: what actions did.

use tally_proto::v1::{ActionEffect, GetActionEffectRequest, GetActionEffectResponse};

use super::names::{kind, numbers};
use crate::{
    args::EffectArgs,
    connection::Connection,
    error::ClientError,
    output::{self, DASH, count, cut, datetime, narrow_table, narrow_text, points, ratio},
    time,
};

/// The most columns of an action.
const ACTION: usize = 14;

/// Prints what actions did.
pub(super) async fn effect(server: &Connection, args: &EffectArgs, json: bool) -> Result<(), ClientError> {
    let request = GetActionEffectRequest {
        kinds: numbers(&args.kinds),
        from_time: args.from.map(time::timestamp),
        to_time: args.to.map(time::timestamp),
    };
    let reply = server.insights().get_action_effect(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    Ok(output::show(&reply, json, page)?)
}

fn page(reply: &GetActionEffectResponse) -> String {
    let known = datetime(reply.known_time.as_ref());
    if reply.rows.is_empty() {
        return format!("no list was handed out before {known}; hand one out with `tally worklist publish`");
    }
    let header = [
        "kind",
        "action",
        "treated",
        "bought",
        "held out",
        "bought",
        "effect",
        "95 % interval",
        "open",
        "needed",
    ];
    let table = narrow_table(&header, &[2, 3, 4, 5, 6, 7, 8, 9], reply.rows.iter().map(row));
    let notes = format!(
        "customers on lists (treated) against those held out from them, as of {known}: how many bought within the \
         time of the list\n\
         effect: the difference in percentage points; it is more than chance when its interval does not hold 0\n\
         open: the time of the list is not over; needed: so many more until an effect of this size shows"
    );
    format!("{table}\n\n{}", narrow_text(&notes))
}

fn row(row: &ActionEffect) -> Vec<String> {
    let dash = || DASH.to_owned();
    let interval = row.lower.zip(row.upper);
    vec![
        kind(row.kind),
        if row.action.is_empty() { "(all)".to_owned() } else { cut(&row.action, ACTION) },
        count(row.treated),
        ratio(row.rate_treated),
        count(row.held_out),
        ratio(row.rate_held_out),
        row.effect.map_or_else(dash, short),
        interval.map_or_else(dash, |(lower, upper)| format!("{}…{}", short(lower), short(upper))),
        count(row.open),
        row.more_needed.map_or_else(dash, count),
    ]
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
        GetActionEffectResponse { rows, known_time: moment("2026-01-31") }
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
        let open = ActionEffect { kind: WorkKind::CareDate.into(), open: 12, ..ActionEffect::default() };
        insta::assert_snapshot!(page(&reply(vec![all, call, open])), @r"
        kind       action         treated  bought  held out  bought  effect  95 % interval  open  needed
        ─────────────────────────────────────────────────────────────────────────────────────────────────
        at risk    (all)               70  80.0 %        80  60.0 %   +20.0     +5.2…+33.4     0       –
        at risk    personal call       70  80.0 %        80  60.0 %   +20.0     +5.2…+33.4     0   1,234
        care date  (all)                0       –         0       –       –              –    12       –

        customers on lists (treated) against those held out from them, as of 2026-01-31T00:00:00Z: how many
          bought within the time of the list
        effect: the difference in percentage points; it is more than chance when its interval does not hold
          0
        open: the time of the list is not over; needed: so many more until an effect of this size shows
        ");
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
        assert_fits(&page(&reply(vec![wide])));
    }

    #[test]
    fn nothing_handed_out_is_a_sentence() {
        assert!(page(&reply(Vec::new())).starts_with("no list was handed out before 2026-01-31T00:00:00Z"));
    }
}
