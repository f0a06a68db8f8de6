//! What is doubtful or good to know about interactions.csv.

use std::path::Path;

use super::{check::InteractionStatistics, layout::PURCHASE};
use crate::{
    import::{check::FirstPass, findings::Findings, server_state::ServerState},
    output::{counted, printable},
};

/// Adds the remarks about a file.
pub(super) fn add(
    statistics: &InteractionStatistics,
    file: &Path,
    pass: &FirstPass<'_>,
    findings: &mut Findings,
) {
    let file = file.display().to_string();
    kinds(statistics, &file, findings);
    keys(statistics, &file, findings);
    money(statistics, &file, pass.server, findings);
    times(statistics, &file, pass, findings);
    if pass.has_customers && statistics.without_customer > 0 {
        let first = statistics.first_without_customer.as_ref();
        let first = first.map(|(line, id)| format!(", first `{}` in line {line}", printable(id)));
        let text = format!(
            "{file}: {} of customers that have no row in the file of customers{}",
            counted(statistics.without_customer, "interaction is", "interactions are"),
            first.unwrap_or_default()
        );
        findings.note("UNKNOWN_CUSTOMERS", statistics.without_customer, text);
    }
}

fn kinds(statistics: &InteractionStatistics, file: &str, findings: &mut Findings) {
    for misspelt in statistics.kinds.misspelt() {
        let text = format!(
            "{file}: {} of the kind `{}`; is `{}` meant? Only that word counts as such",
            counted(misspelt.count, "interaction is", "interactions are"),
            printable(&misspelt.kind),
            printable(&misspelt.meant)
        );
        if misspelt.meant == PURCHASE {
            findings.doubt("MISSPELT_PURCHASE", misspelt.count, text);
        } else {
            findings.note("MISSPELT_KIND", misspelt.count, text);
        }
    }
    if statistics.kinds.full {
        let text = format!("{file}: there are more than 1,000 kinds; is `kind` the right column?");
        findings.note("MANY_KINDS", 1, text);
    }
}

fn keys(statistics: &InteractionStatistics, file: &str, findings: &mut Findings) {
    let keys = &statistics.keys;
    if keys.repeated > 0 {
        let rows = counted(keys.repeated, "row is", "rows are");
        let text = format!("{file}: {rows} there more than once; each counts once");
        findings.note("REPEATED_INTERACTIONS", keys.repeated, text);
    }
    if keys.changed > 0 {
        let text = format!(
            "{file}: {} the customer_id and interaction_id of an earlier row with other content, first line \
             {}; one of each counts, as --on-conflict says",
            counted(keys.changed, "row has", "rows have"),
            keys.first_changed.unwrap_or_default()
        );
        findings.note("CONFLICTING_INTERACTIONS", keys.changed, text);
    }
    if keys.full {
        let text = format!("{file}: only the first 2,000,000 interactions are compared for repeated ids");
        findings.note("KEYS_NOT_COMPARED", 1, text);
    }
}

fn money(statistics: &InteractionStatistics, file: &str, server: &ServerState, findings: &mut Findings) {
    let amounts = &statistics.amounts;
    if statistics.negative > 0 {
        let text = format!("{file}: {} negative", counted(statistics.negative, "amount is", "amounts are"));
        findings.note("NEGATIVE_AMOUNTS", statistics.negative, text);
    }
    if let Some((count, listed)) = statistics.currencies.others(&server.currency) {
        let own = match server.currency.as_str() {
            "" => "the deployment has no currency".to_owned(),
            own => format!("the currency of the deployment is {own}"),
        };
        let text = format!("{file}: amounts are {}; {own}, and none is converted", printable(&listed));
        findings.note("OTHER_CURRENCIES", count, text);
    }
    if amounts.count == 0 || server.amount_decimals.is_some() {
        return;
    }
    let text = match amounts.decimals() {
        0 => format!(
            "{file}: all amounts are whole numbers and the deployment has no currency, so 1 counts as one minor unit, \
             such as a cent or a yen; `tally-serve --currency` sets the currency"
        ),
        decimals => format!(
            "{file}: amounts have up to {}, and the deployment has no currency, so all later amounts \
             must have the same; `tally-serve --currency` sets the currency",
            counted(decimals, "decimal", "decimals")
        ),
    };
    findings.note("NO_CURRENCY", amounts.count, text);
}

fn times(statistics: &InteractionStatistics, file: &str, pass: &FirstPass<'_>, findings: &mut Findings) {
    if statistics.before_creation > 0 {
        let text = format!(
            "{file}: {} happened before the create_time of their customer, first line {}",
            counted(statistics.before_creation, "interaction", "interactions"),
            statistics.first_before_creation.unwrap_or_default()
        );
        findings.note("BEFORE_CREATE_TIME", statistics.before_creation, text);
    }
    if !pass.backfill && statistics.old > 0 {
        let text = format!(
            "{file}: {} happened more than a day ago; without --backfill, those that are new count as \
             known only from now on, and models cannot learn from them",
            counted(statistics.old, "interaction", "interactions")
        );
        findings.note("HISTORY_WITHOUT_BACKFILL", statistics.old, text);
    }
}
