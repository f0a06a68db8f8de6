//! Which tables are imported: the files of the command line, as they are or by a mapping.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::ProgressBar;

use super::{
    fields::NumberReader,
    findings::{BadRows, Findings},
    layout::{ValueOptions, latest},
    mapping::{LeftOut, Mapping, SourceOptions, Table},
    rows::Rows,
    source::{FileOptions, InputFile},
    times::TimeReader,
};
use crate::{args::ImportArgs, environment::system_clock, error::CsvError, output::counted};

/// A table that is imported.
#[derive(Clone)]
pub(super) struct InputTable {
    file: Arc<InputFile>,
    mapping: Option<(Arc<Mapping>, Table)>,
}

impl InputTable {
    /// A file that is a table as it is.
    pub(super) const fn of(file: Arc<InputFile>) -> Self {
        Self { file, mapping: None }
    }

    /// The file as messages name it.
    pub(super) fn name(&self) -> &Path {
        self.file.name()
    }

    /// The size of the file, for progress.
    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// How the file is read, for people.
    pub(super) fn description(&self) -> String {
        let file = self.file.description();
        self.mapping.as_ref().map_or_else(
            || file.clone(),
            |(mapping, _)| format!("{file}, by the mapping {}", mapping.name().display()),
        )
    }

    /// Adds what is doubtful about how the file is written. `foreign_ids` of its ids have letters beyond ASCII.
    pub(super) fn report(&self, foreign_ids: u64, findings: &mut Findings) {
        let file = self.name().display();
        if let Some(line) = self.file.loose_quote_line() {
            let text = format!(
                "{file}: text follows a closing quote, first in line {line}; a quote before it is probably left open, and \
                 the rows between are read as one field"
            );
            findings.doubt("LOOSE_QUOTE", 1, text);
        }
        if let Some(encoding) = self.file.guessed_encoding().filter(|_| foreign_ids > 0) {
            let text = format!(
                "{file}: {} ids with letters beyond ASCII, and the encoding {encoding} is only guessed; \
                 --encoding names the right one",
                counted(foreign_ids, "row has", "rows have")
            );
            findings.doubt("GUESSED_ENCODING", foreign_ids, text);
        }
    }

    /// # Errors
    /// If the file has been written to since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), CsvError> {
        self.file.check_unchanged()
    }

    /// Its rows from the first one on. `bar` shows the bytes read; `left_out` counts the rows of the file that the
    /// mapping makes nothing of.
    pub(super) fn rows(&self, bar: &ProgressBar, left_out: &Arc<LeftOut>) -> Result<Box<dyn Rows>, CsvError> {
        let rows = self.file.rows(bar)?;
        match &self.mapping {
            Some((mapping, table)) => mapping.apply(*table, self.name(), rows, Arc::clone(left_out)),
            None => Ok(rows),
        }
    }
}

/// The tables of an import, and how their values are written.
pub(super) struct Inputs {
    pub(super) customers: Option<InputTable>,
    pub(super) interactions: Option<InputTable>,
    pub(super) values: ValueOptions,
}

impl Inputs {
    /// Opens the files that the arguments name.
    ///
    /// # Errors
    /// If the mapping or a file cannot be read, or the mapping does not give a table that is asked for.
    pub(super) fn open(args: &ImportArgs) -> Result<Self, CsvError> {
        let mapping = args.map.as_deref().map(Mapping::load).transpose()?.map(Arc::new);
        let written = mapping.as_ref().map(|mapping| mapping.source_options()).unwrap_or_default();
        let options = FileOptions {
            json_lines: written.json_lines,
            encoding: args.encoding,
            delimiter: args.delimiter.or(written.delimiter),
            sheet: args.sheet.clone(),
        };
        let (customers, interactions) = match (&args.file, &mapping) {
            (Some(path), Some(mapping)) => {
                let file = Arc::new(InputFile::open(path, &options)?);
                let table = |table| {
                    let given = mapping.tables().contains(&table);
                    given.then(|| InputTable {
                        file: Arc::clone(&file),
                        mapping: Some((mapping.clone(), table)),
                    })
                };
                (table(Table::Customers), table(Table::Interactions))
            }
            _ => separate_files(args, mapping.as_ref(), &options)?,
        };
        check_skip_bad(args)?;
        Ok(Self { customers, interactions, values: values(args, written) })
    }
}

/// Fails if the bad rows would be written over a file that is imported.
fn check_skip_bad(args: &ImportArgs) -> Result<(), CsvError> {
    let Some(file) = &args.skip_bad else { return Ok(()) };
    // A file that does not exist is none of them.
    let Ok(target) = file.canonicalize() else { return Ok(()) };
    let inputs = [&args.file, &args.customers, &args.interactions].into_iter().flatten();
    let mut same = inputs.filter(|input| input.canonicalize().is_ok_and(|input| input == target));
    match same.next() {
        Some(_) => Err(CsvError::of_file(file, "is imported itself; --skip-bad takes another file")),
        None => Ok(()),
    }
}

/// The tables of `--customers` and `--interactions`.
fn separate_files(
    args: &ImportArgs,
    mapping: Option<&Arc<Mapping>>,
    options: &FileOptions,
) -> Result<(Option<InputTable>, Option<InputTable>), CsvError> {
    if args.customers == args.interactions && args.reads_stdin() {
        return Err(CsvError::of_file(Path::new("standard input"), "can be only one of the files"));
    }
    let open = |path: &Option<PathBuf>, table: Table| {
        let Some(path) = path else { return Ok(None) };
        if let Some(mapping) = mapping.filter(|mapping| !mapping.tables().contains(&table)) {
            return Err(CsvError::of_file(
                mapping.name(),
                format!("is a mapping without [{}]", table.name()),
            ));
        }
        let mapping = mapping.map(|mapping| (Arc::clone(mapping), table));
        Ok(Some(InputTable { file: Arc::new(InputFile::open(path, options)?), mapping }))
    };
    Ok((open(&args.customers, Table::Customers)?, open(&args.interactions, Table::Interactions)?))
}

/// What the arguments say counts, and what they do not say is as the mapping has it.
fn values(args: &ImportArgs, written: SourceOptions) -> ValueOptions {
    let own_columns = BadRows::COLUMNS.map(str::to_owned);
    ValueOptions {
        times: TimeReader {
            format: args.time_format.clone().or(written.time_format).unwrap_or_default(),
            zone: args.time_zone.clone().or(written.time_zone),
        },
        numbers: NumberReader { decimal_comma: args.decimal_comma || written.decimal_comma },
        ignored: args.ignore.iter().cloned().chain(own_columns).collect(),
        latest: latest(system_clock()),
    }
}
