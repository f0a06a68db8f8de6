//! Reads mapping files, and applies them to tables.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::tz::TimeZone;

use super::{
    finder::Finder,
    grouped::{Grouped, Grouping},
    left_out::LeftOut,
    mapped::Mapped,
    merged::Merged,
    rule::Rule,
    shipped::SHIPPED,
    spec::{Format, MappingFile},
};
use crate::{error::CsvError, import::rows::Rows, time::TimeFormat};

/// A table that `tally import` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Table {
    Customers,
    Interactions,
}

impl Table {
    /// Its name in a mapping file.
    pub(in crate::import) const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Interactions => "interactions",
        }
    }
}

/// How a file is to be read that a mapping is for. None is what holds without a mapping.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::import) struct SourceOptions {
    /// Whether each line is a JSON object.
    pub(in crate::import) json_lines: bool,
    pub(in crate::import) delimiter: Option<u8>,
    pub(in crate::import) time_format: Option<TimeFormat>,
    /// The time zone of times without an offset.
    pub(in crate::import) time_zone: Option<TimeZone>,
    pub(in crate::import) decimal_comma: bool,
}

/// How the columns of an export become those that `tally import` reads.
#[derive(Debug)]
pub(in crate::import) struct Mapping {
    /// As the user named it.
    name: PathBuf,
    file: MappingFile,
}

impl Mapping {
    /// Reads a shipped mapping by its name, or a mapping file.
    ///
    /// # Errors
    /// Those of the file, which is the one that the error names.
    pub(in crate::import) fn load(name_or_file: &str) -> Result<Self, CsvError> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_file) {
            return Self::parse(Path::new(name), text);
        }
        let path = PathBuf::from(name_or_file);
        let text = fs::read_to_string(&path).map_err(|error| {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "cannot be read as a mapping file: {error}; mappings by name are {}",
                names.join(", ")
            );
            CsvError::of_file(&path, message)
        })?;
        Self::parse(&path, &text)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, CsvError> {
        if let Some(at) = text.find('\0') {
            let line = text[..at].matches('\n').count() as u64 + 1;
            let message = "has a NUL character (U+0000); a mapping file is text in UTF-8";
            return Err(CsvError { line: Some(line), ..CsvError::of_file(path, message) });
        }
        // serde would take it for the keys of the table in their order.
        if let Some(n) = text.lines().position(|line| line.trim() == "[[customers]]") {
            let message = "`[[customers]]`: there is one table [customers]";
            return Err(CsvError { line: Some(n as u64 + 1), ..CsvError::of_file(path, message) });
        }
        let file: MappingFile = toml::from_str(text).map_err(|error| {
            let begin = error.span().map_or(0, |span| span.start);
            let line = text.get(..begin).unwrap_or_default().matches('\n').count();
            let key = text.lines().nth(line).unwrap_or_default().trim();
            let message = format!("`{key}`: {}", error.message().trim_end());
            CsvError { line: Some(line as u64 + 1), ..CsvError::of_file(path, message) }
        })?;
        file.check().map_err(|message| CsvError::of_file(path, message))?;
        Ok(Self { name: path.to_owned(), file })
    }

    /// Its name or path, for messages.
    pub(in crate::import) fn name(&self) -> &Path {
        &self.name
    }

    /// The tables that a file gives.
    pub(in crate::import) fn tables(&self) -> Vec<Table> {
        let customers = self.file.customers.as_ref().map(|_| Table::Customers);
        let interactions = (!self.file.interactions.0.is_empty()).then_some(Table::Interactions);
        customers.into_iter().chain(interactions).collect()
    }

    /// How the file is to be read.
    pub(in crate::import) fn source_options(&self) -> SourceOptions {
        let file = &self.file;
        SourceOptions {
            json_lines: file.format == Format::JsonLines,
            delimiter: file.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok()),
            time_format: file.time_format.clone(),
            time_zone: file.time_zone.clone(),
            decimal_comma: file.decimal_comma,
        }
    }

    /// Makes one of its tables from the rows of `path`, counting in `left_out` the rows that give nothing.
    ///
    /// # Errors
    /// If the rows lack columns that the mapping needs.
    pub(in crate::import) fn apply(
        &self,
        table: Table,
        path: &Path,
        rows: Box<dyn Rows>,
        left_out: Arc<LeftOut>,
    ) -> Result<Box<dyn Rows>, CsvError> {
        let of_file = |message| CsvError::of_file(path, message);
        let rules = self.file.rules(table);
        let mut finder = Finder::new(rows.header(), self.file.allow_missing);
        let (header, plans) = finder.plans(&rules).map_err(of_file)?;
        let grouping = self.file.grouping(&finder).map_err(of_file)?;
        let rows = match grouping {
            Some(grouping) => Box::new(Grouped::new(path, rows, grouping)),
            None => rows,
        };
        let rows = Box::new(Mapped::new(rows, header, plans, left_out));
        let merge = table == Table::Customers && self.file.customers.as_ref().is_some_and(|rule| rule.merge);
        Ok(if merge { Box::new(Merged::new(path, rows)) } else { rows })
    }
}

impl MappingFile {
    fn rules(&self, table: Table) -> Vec<Rule<'_>> {
        match table {
            Table::Customers => self.customers.iter().map(Rule::from).collect(),
            Table::Interactions => self.interactions.0.iter().map(Rule::from).collect(),
        }
    }

    /// The rules that TOML does not know. The error is a sentence without its subject, the file.
    fn check(&self) -> Result<(), String> {
        if self.customers.is_none() && self.interactions.0.is_empty() {
            return Err("has neither [customers] nor [interactions]; it needs one of them or both".to_owned());
        }
        if !self.sum.is_empty() && self.group_by.is_none() {
            return Err("has `sum` without `group_by`; only rows that become one are summed".to_owned());
        }
        if let Some(delimiter) = self.delimiter.filter(|delimiter| !delimiter.is_ascii()) {
            return Err(format!("has the delimiter `{delimiter}`; allowed are ASCII characters"));
        }
        [Table::Customers, Table::Interactions].iter().try_for_each(|table| {
            let mut rules = self.rules(*table).into_iter();
            rules.try_for_each(|rule| rule.check())
        })
    }

    /// The error is a sentence without its subject, the file.
    fn grouping(&self, finder: &Finder<'_>) -> Result<Option<Grouping>, String> {
        let Some(key) = &self.group_by else { return Ok(None) };
        let find = |name: &str, what: &str| {
            let lacks = || format!("lacks `{name}`, which {what} in the mapping; {}", finder.found());
            finder.position(name).ok_or_else(lacks)
        };
        Ok(Some(Grouping {
            key: find(key, "`group_by` names")?,
            sums: self.sum.iter().map(|name| find(name, "`sum` names")).collect::<Result<_, _>>()?,
            mark: if self.decimal_comma { ',' } else { '.' },
        }))
    }
}
