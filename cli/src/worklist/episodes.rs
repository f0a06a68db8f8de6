//! `tally worklist episodes`: what was handed out, page by page.

use tally_proto::v1::{Episode, ListEpisodesRequest};

use super::names::{kind, numbers, outcome};
use crate::{
    args::EpisodesArgs,
    connection::Connection,
    error::ClientError,
    output::{self, DASH, cut, date, insert_names, narrow_table, narrow_text},
    paging,
};

/// The most columns of an id, an action, what was reported, and a remark.
const ID: usize = 36;
const ACTION: usize = 19;
const OUTCOME: usize = 24;
const NOTE: usize = 80;

/// Prints the episodes: JSON page by page, text in one table.
pub(super) async fn episodes(
    server: &Connection,
    args: &EpisodesArgs,
    json: bool,
) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListEpisodesRequest {
            kinds: numbers(&args.kinds),
            customer_id: args.customer.clone().unwrap_or_default(),
            open_only: !args.all,
            without_outcome: args.without_outcome,
            page_size,
            page_token,
        };
        let page = server.insights().list_episodes(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let which = match (args.all, args.without_outcome) {
        (true, false) => "episodes",
        (false, false) => "open episodes",
        (true, true) => "episodes without an outcome",
        (false, true) => "open episodes without an outcome",
    };
    let showing = format!("{} {which}", paging::showing(listed.shown, listed.first.total_size));
    if json {
        output::remark(&showing);
        return Ok(());
    }
    if listed.items.is_empty() && args.without_outcome {
        return Ok(output::print(&format!("something is reported about all; {showing}"))?);
    }
    if listed.items.is_empty() && !args.all {
        return Ok(output::print(&format!("nothing is handed out now; {showing}, and --all has all"))?);
    }
    Ok(output::print(&page(&listed.items, &showing))?)
}

fn page(episodes: &[Episode], showing: &str) -> String {
    if episodes.is_empty() {
        return format!("nothing is handed out; {showing}");
    }
    let any_note = episodes.iter().any(|episode| !episode.outcome_note.is_empty());
    let mut header = vec!["customer", "kind", "action", "as of", "until", "outcome", "bought"];
    header.extend(any_note.then_some("note"));
    let mut rows: Vec<Vec<String>> = episodes.iter().map(|episode| row(episode, any_note)).collect();
    insert_names(&mut header, &mut rows, episodes.iter().map(|episode| episode.name.as_str()));
    let table = narrow_table(&header, &[], rows);
    let mut lines = vec![
        showing.to_owned(),
        "as of: the date of the list; purchases until the end of its time count, so far as they are known"
            .to_owned(),
    ];
    if episodes.iter().any(|episode| episode.held_out) {
        lines.push(
            "(held out): got no action, so that the others have something to be compared with".to_owned(),
        );
    }
    format!("{table}\n\n{}", narrow_text(&lines.join("\n")))
}

fn row(episode: &Episode, any_note: bool) -> Vec<String> {
    let action = if episode.held_out { "(held out)".to_owned() } else { cut(&episode.action, ACTION) };
    let bought = match episode.bought {
        None => DASH,
        Some(true) => "yes",
        Some(false) => "no",
    };
    let mut cells = vec![
        cut(&episode.customer_id, ID),
        kind(episode.kind),
        action,
        date(episode.as_of_time.as_ref()),
        date(episode.until_time.as_ref()),
        reported(episode),
        bought.to_owned(),
    ];
    cells.extend(any_note.then(|| cut(&episode.outcome_note, NOTE)));
    cells
}

/// What was reported, with what was done unless it is the action of the list.
fn reported(episode: &Episode) -> String {
    let Some(outcome) = outcome(episode.outcome) else { return DASH.to_owned() };
    match episode.outcome_action.as_ref().filter(|done| **done != episode.action) {
        Some(done) => cut(&format!("{outcome}: {done}"), OUTCOME),
        None => outcome,
    }
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Outcome, WorkKind};

    use super::*;
    use crate::insights::samples::{assert_fits, long_name, moment};

    fn episode(id: &str, name: &str) -> Episode {
        Episode {
            customer_id: id.to_owned(),
            name: name.to_owned(),
            kind: WorkKind::AtRisk.into(),
            action: "personal call".to_owned(),
            as_of_time: moment("2026-01-31"),
            until_time: moment("2026-05-01"),
            bought: Some(false),
            ..Episode::default()
        }
    }

    #[test]
    fn episodes_are_a_table() {
        let done = Episode {
            outcome: Outcome::Done.into(),
            outcome_action: Some("personal call".to_owned()),
            bought: Some(true),
            ..episode("C2", "Ben Okoro")
        };
        let visited = Episode {
            outcome: Outcome::NotReached.into(),
            outcome_action: Some("visit".to_owned()),
            outcome_note: "On holiday until May.".to_owned(),
            ..episode("C3", "")
        };
        let held_out = Episode { held_out: true, ..episode("C4", "Cem Aydın") };
        let all = [episode("C1", "Ana Reyes"), done, visited, held_out];
        insta::assert_snapshot!(page(&all, "showing 4 of 9 open episodes"), @r"
        customer  name       kind     action         as of       until       outcome             bought
        ────────────────────────────────────────────────────────────────────────────────────────────────
        C1        Ana Reyes  at_risk  personal call  2026-01-31  2026-05-01  –                   no
        C2        Ben Okoro  at_risk  personal call  2026-01-31  2026-05-01  done                yes
        C3        –          at_risk  personal call  2026-01-31  2026-05-01  not_reached: visit  no
          note On holiday until May.
        C4        Cem Aydın  at_risk  (held out)     2026-01-31  2026-05-01  –                   no

        showing 4 of 9 open episodes
        as of: the date of the list; purchases until the end of its time count, so far as they are known
        (held out): got no action, so that the others have something to be compared with
        ");
    }

    #[test]
    fn wide_rows_fit() {
        let wide = Episode {
            action: long_name(),
            outcome: Outcome::NotReached.into(),
            outcome_action: Some("other".to_owned() + &long_name()),
            outcome_note: long_name(),
            kind: WorkKind::Neglected.into(),
            ..episode(&long_name(), &long_name())
        };
        assert_fits(&page(&[wide], "showing 1 of 1 episodes"));
    }

    #[test]
    fn nothing_handed_out_is_a_sentence() {
        assert_eq!(
            page(&[], "showing 0 of 0 open episodes"),
            "nothing is handed out; showing 0 of 0 open episodes"
        );
    }
}
