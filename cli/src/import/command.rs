//! Imports the files and prints the totals.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use indicatif::HumanCount;

use super::{
    check::{Checked, FirstPass},
    customers::{self, CustomerLayout},
    decision::decide,
    fields::NumberReader,
    findings::{BadRows, CustomerIds, Findings, IdPlace, TableReport},
    interactions::{self, InteractionLayout, UploadOptions},
    layout::{ValueOptions, latest},
    server_state::ServerState,
    source::{FileOptions, InputFile},
    times::TimeReader,
    totals::ImportTotals,
};
use crate::{
    args::ImportArgs,
    connection::Connection,
    environment::system_clock,
    error::{ClientError, CsvError},
    output,
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
        let object = serde_json::json!({"findings": findings.json()}).to_string();
        output::print(&if json { object } else { findings.contents() })?;
    }
    decision?;
    remark_what_is_accepted(args, &findings);
    if args.check {
        return Ok(());
    }
    let mut totals = send(server, args, &state, files, &backfill_attributes).await?;
    totals.time = begin.elapsed();
    if let Some(warning) = totals.late_warning() {
        output::remark(&warning);
    }
    Ok(output::print(&if json { totals.json(&findings.json()) } else { totals.text() })?)
}

fn check_files(args: &ImportArgs, state: &ServerState) -> Result<CheckedFiles, CsvError> {
    let options =
        FileOptions { encoding: args.encoding, delimiter: args.delimiter, sheet: args.sheet.clone() };
    if args.customers == args.interactions && args.reads_stdin() {
        return Err(CsvError::of_file(Path::new("standard input"), "can be only one of the files"));
    }
    let open = |path: &PathBuf| InputFile::open(path, &options);
    let (customers, interactions) =
        (args.customers.as_ref().map(open).transpose()?, args.interactions.as_ref().map(open).transpose()?);
    let names = [&customers, &interactions].map(|file| file.as_ref().map(|file| file.name().to_owned()));
    let (mut files, mut ids) = (CheckedFiles::default(), CustomerIds::default());
    let both = customers.is_some() && interactions.is_some();
    if let Some(source) = customers {
        let pass = first_pass(args, state, both.then_some("customers"));
        files.customers = Some(customers::check(source, &pass, &mut ids, &mut files.findings)?);
    }
    if let Some(source) = interactions {
        let pass = first_pass(args, state, both.then_some("interactions"));
        files.interactions = Some(interactions::check(source, &pass, &mut ids, &mut files.findings)?);
    }
    let file = |place: IdPlace| names[usize::from(!place.of_customers)].as_deref().unwrap_or(Path::new(""));
    ids.report(&mut files.findings, |place| format!("{} line {}", file(place).display(), place.line));
    files.findings.add_doubts_of_rows();
    check_ignored(args, &files.findings)?;
    Ok(files)
}

/// How a file is checked. `table` names it when bad rows of two files are written.
fn first_pass<'a>(args: &ImportArgs, state: &'a ServerState, table: Option<&str>) -> FirstPass<'a> {
    let own_columns = BadRows::COLUMNS.map(str::to_owned);
    FirstPass {
        options: ValueOptions {
            times: TimeReader {
                format: args.time_format.clone().unwrap_or_default(),
                zone: args.time_zone.clone(),
            },
            numbers: NumberReader { decimal_comma: args.decimal_comma },
            ignored: args.ignore.iter().cloned().chain(own_columns).collect(),
            latest: latest(system_clock()),
        },
        server: state,
        has_customers: args.customers.is_some(),
        backfill: args.backfill,
        skip_bad: args.skip_bad.as_deref().map(|file| bad_rows_file(file, table)),
    }
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
            "{} bad rows are left out, and written to {file}:{}",
            HumanCount(table.bad.count),
            table.bad.text()
        ));
    }
}

async fn send(
    server: &Connection,
    args: &ImportArgs,
    state: &ServerState,
    files: CheckedFiles,
    backfill_attributes: &[String],
) -> Result<ImportTotals, ClientError> {
    let mut totals = ImportTotals::default();
    if let Some(file) = files.customers {
        totals.customers = customers::send(server, file, backfill_attributes).await?;
    }
    if let Some(file) = files.interactions {
        let options = UploadOptions {
            backfill: args.backfill,
            on_conflict: args.on_conflict.value(),
            amount_decimals: state.amount_decimals.or_else(|| file.layout.decimals_to_settle()),
        };
        totals.interactions = interactions::send(server, file, options).await?;
    }
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
