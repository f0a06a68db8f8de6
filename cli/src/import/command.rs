//! Imports the files and prints the totals.

use std::{
    io,
    path::{Path, PathBuf},
    process,
    time::Instant,
};

use tally_terminal::Interrupts;
use tokio::task::AbortHandle;

use super::{
    check::{Checked, FirstPass},
    customers::{self, CustomerLayout, CustomerOptions},
    decision::decide,
    findings::{CustomerIds, Findings, IdPlace, TableReport},
    inputs::Inputs,
    interactions::{self, InteractionLayout, UploadOptions},
    server_state::ServerState,
    totals::ImportTotals,
};
use crate::{
    args::ImportArgs,
    connection::Connection,
    error::{ClientError, CsvError},
    output::{self, counted},
};

/// Both files, read to their ends.
#[derive(Default)]
struct CheckedFiles {
    customers: Option<Checked<CustomerLayout>>,
    interactions: Option<Checked<InteractionLayout>>,
    findings: Findings,
}

/// Checks the files, and imports them, customers first.
pub(crate) async fn run(server: &Connection, args: &ImportArgs, json: bool) -> Result<(), ClientError> {
    let begin = Instant::now();
    let interrupts = Interrupts::listen().map_err(ClientError::Signals)?;
    let checking = exit_on_signal(&interrupts);
    let state = ServerState::fetch(server).await?;
    // Blocking is fine here: nothing else runs yet.
    let mut files = check_files(args, &state)?;
    let backfill_attributes = backfill_attributes(server, args, &state, &mut files).await?;
    let findings = std::mem::take(&mut files.findings);
    if !json && !args.check {
        output::remark(&findings.contents());
    }
    let decision = decide(args, &findings);
    if args.check || (json && decision.is_err()) {
        print(json, || serde_json::json!({"findings": findings.json()}).to_string(), || findings.contents())?;
    }
    decision?;
    remark_what_is_accepted(args, &findings);
    if args.check {
        return Ok(());
    }
    checking.abort();
    let files = CheckedUpload { state: &state, files, backfill_attributes };
    let mut totals = send(server, args, files, &interrupts).await?;
    totals.time = begin.elapsed();
    if let Some(warning) = totals.late_warning() {
        output::remark(&warning);
    }
    Ok(print(json, || totals.json(&findings.json()), || totals.text())?)
}

fn print(json: bool, object: impl FnOnce() -> String, text: impl FnOnce() -> String) -> io::Result<()> {
    if json { output::print_json_line(&object()) } else { output::print(&text()) }
}

fn check_files(args: &ImportArgs, state: &ServerState) -> Result<CheckedFiles, CsvError> {
    let Inputs { customers, interactions, values } = Inputs::open(args)?;
    let names = [&customers, &interactions].map(|table| table.as_ref().map(|table| table.name().to_owned()));
    let both = customers.is_some() && interactions.is_some();
    let pass = |table| FirstPass {
        options: values.clone(),
        server: state,
        has_customers: customers.is_some(),
        backfill: args.backfill,
        on_conflict: args.on_conflict.value(),
        skip_bad: args.skip_bad.as_deref().map(|file| bad_rows_file(file, both.then_some(table))),
    };
    let passes = [pass("customers"), pass("interactions")];
    let (mut files, mut ids) = (CheckedFiles::default(), CustomerIds::default());
    if let Some(source) = customers {
        files.customers = Some(customers::check(source, &passes[0], &mut ids, &mut files.findings)?);
    }
    if let Some(source) = interactions {
        files.interactions = Some(interactions::check(source, &passes[1], &mut ids, &mut files.findings)?);
    }
    let file = |place: IdPlace| names[usize::from(!place.of_customers)].as_deref().unwrap_or(Path::new(""));
    ids.report(&mut files.findings, |place| format!("{} line {}", file(place).display(), place.line));
    files.findings.add_doubts_of_rows();
    check_ignored(args, &files.findings)?;
    Ok(files)
}

/// The file for the bad rows of a table: `bad.csv`, or `bad.customers.csv` where there are two.
fn bad_rows_file(file: &Path, table: Option<&str>) -> PathBuf {
    let Some(table) = table else { return file.to_owned() };
    let extension = file.extension().map(|extension| format!(".{}", extension.display()));
    file.with_extension(format!("{table}{}", extension.unwrap_or_default()))
}

/// Fails if no file has a column that is to be ignored.
fn check_ignored(args: &ImportArgs, findings: &Findings) -> Result<(), CsvError> {
    for name in &args.ignore {
        let has = |table: &TableReport| table.columns.iter().any(|column| column.name == *name);
        if !findings.tables.iter().any(has) {
            let file = findings.tables.first().map_or("", |table| &table.file);
            let message = format!("has no column `{name}`, which --ignore names");
            return Err(CsvError::of_file(Path::new(file), message));
        }
    }
    Ok(())
}

/// The attributes that count as known before now: all with `--backfill`; else those that are new, as long as that
/// changes no stored prediction.
async fn backfill_attributes(
    server: &Connection,
    args: &ImportArgs,
    state: &ServerState,
    files: &mut CheckedFiles,
) -> Result<Vec<String>, ClientError> {
    let Some(customers) = &files.customers else { return Ok(Vec::new()) };
    let names = customers.layout.attribute_names();
    if args.backfill {
        return Ok(names);
    }
    let new = state.unknown_attributes(names);
    if new.is_empty() {
        return Ok(new);
    }
    let listed =
        new.iter().map(|name| format!("`{}`", output::printable(name))).collect::<Vec<_>>().join(", ");
    let file = customers.source.name().display();
    if ServerState::has_predictions(server).await? {
        let text = format!(
            "{file}: the new attributes {listed} count from now on, so that stored predictions stay as they are; \
             --backfill brings them into the past, which models learn from"
        );
        files.findings.note("NEW_ATTRIBUTES_FROM_NOW_ON", new.len() as u64, text);
        return Ok(Vec::new());
    }
    if state.has_attributes() {
        let text = format!("{file}: the new attributes {listed} count since each customer's create_time");
        files.findings.note("NEW_ATTRIBUTES", new.len() as u64, text);
    }
    Ok(new)
}

/// Says what is imported although it is doubtful, and which rows are left out.
fn remark_what_is_accepted(args: &ImportArgs, findings: &Findings) {
    if args.yes && !findings.doubts.is_empty() {
        output::remark(&format!("accepted by --yes:{}", findings.doubts_text()));
    }
    for table in findings.tables.iter().filter(|table| table.bad.count > 0) {
        let file = table.bad.file.as_deref().unwrap_or(Path::new("")).display();
        output::remark(&format!(
            "{} left out, and written to {file}:{}",
            counted(table.bad.count, "bad row is", "bad rows are"),
            table.bad.text()
        ));
    }
}

/// Ends the program when a signal comes, which is safe as long as nothing is sent.
fn exit_on_signal(interrupts: &Interrupts) -> AbortHandle {
    let interrupts = interrupts.clone();
    let exit = async move {
        let signal = interrupts.received().await;
        output::remark(&format!("\nerror: {signal}: nothing is stored"));
        process::exit(signal.exit_code().into());
    };
    tokio::spawn(exit).abort_handle()
}

/// Says, when a signal comes, what the import waits for.
fn remark_on_signal(interrupts: &Interrupts) -> AbortHandle {
    let interrupts = interrupts.clone();
    let remark = async move {
        let signal = interrupts.received().await;
        output::remark(&format!(
            "\n{signal}: no more is sent; waiting until what was sent is stored (Ctrl-C ends at once)"
        ));
    };
    tokio::spawn(remark).abort_handle()
}

/// What is sent.
struct CheckedUpload<'a> {
    state: &'a ServerState,
    files: CheckedFiles,
    backfill_attributes: Vec<String>,
}

async fn send(
    server: &Connection,
    args: &ImportArgs,
    CheckedUpload { state, files, backfill_attributes }: CheckedUpload<'_>,
    interrupts: &Interrupts,
) -> Result<ImportTotals, ClientError> {
    let remark = remark_on_signal(interrupts);
    let mut totals = ImportTotals::default();
    if let Some(file) = files.customers {
        let options = CustomerOptions {
            backfill_attributes: &backfill_attributes,
            recreate_erased: args.recreate_erased,
        };
        totals.customers = customers::send(server, file, options, interrupts).await?;
    }
    if let Some(file) = files.interactions {
        let options = UploadOptions {
            backfill: args.backfill,
            on_conflict: args.on_conflict.value(),
            amount_decimals: state.amount_decimals.or_else(|| file.layout.decimals_to_settle()),
            recreate_erased: args.recreate_erased,
        };
        let sent = interactions::send(server, file, options, interrupts).await;
        totals.interactions = sent.inspect_err(|_| {
            if totals.customers.upserted > 0 {
                let customers = counted(totals.customers.upserted, "customer is", "customers are");
                output::remark(&format!("{customers} stored"));
            }
        })?;
    }
    remark.abort();
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_of_two_files_go_to_two_files() {
        let file = |name: &str, table| bad_rows_file(Path::new(name), table).display().to_string();
        assert_eq!(file("bad.csv", None), "bad.csv");
        assert_eq!(file("a/bad.csv", Some("customers")), "a/bad.customers.csv");
        assert_eq!(file("bad", Some("interactions")), "bad.interactions");
    }
}
