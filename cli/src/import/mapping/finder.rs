//! Finds the columns of the rules of a mapping in a table.

use std::collections::BTreeSet;

use csv::StringRecord;
use tally_proto::values::trimmed;

use super::{
    cell::{Cell, Source, Values},
    plan::{CellPlan, Condition, Plan, PlannedSource, PlannedValues, folded},
    rule::Rule,
    spec::Extras,
};

/// The columns of a table, by name.
pub(super) struct Finder<'a> {
    header: &'a StringRecord,
    /// Whether columns may be missing that nothing required is made of.
    allow_missing: bool,
    /// Those that cells are made of.
    taken: BTreeSet<usize>,
}

/// The cells of a rule that are columns of the table, in the order of those; None where it has none.
type OwnCells = Vec<Option<CellPlan>>;
/// The cells of a rule that are attributes or properties, by name.
type NamedCells = Vec<(String, CellPlan)>;

impl<'a> Finder<'a> {
    pub(super) const fn new(header: &'a StringRecord, allow_missing: bool) -> Self {
        Self { header, allow_missing, taken: BTreeSet::new() }
    }

    /// The header that the rules make of the table, and how they make its rows. The error is a sentence without
    /// its subject, the file.
    pub(super) fn plans(&mut self, rules: &[Rule<'_>]) -> Result<(StringRecord, Vec<Plan>), String> {
        let cells = self.cells(rules)?;
        let own = rules.first().map_or(&[][..], |rule| &rule.own);
        let used = (0..own.len()).filter(|n| cells.iter().any(|(own, _)| own[*n].is_some()));
        let used: Vec<usize> = used.collect();
        let extras = names_of(cells.iter().map(|(_, extras)| extras), own)?;
        let names = used.iter().map(|n| own[*n].0);
        let header: StringRecord = names.chain(extras.iter().map(String::as_str)).collect();
        let mut plans = Vec::new();
        for (rule, (mut own, mut named)) in rules.iter().zip(cells) {
            let mut cells: Vec<Option<CellPlan>> = used.iter().map(|n| own[*n].take()).collect();
            cells.extend(extras.iter().map(|name| take(&mut named, name)));
            let needed =
                header.iter().enumerate().filter(|(_, name)| rule.skip_empty.iter().any(|n| n == name));
            let needed = needed.map(|(n, name)| (n, format!("`{name}` is empty"))).collect();
            plans.push(Plan { conditions: self.conditions(rule)?, cells, extras: used.len(), needed });
        }
        Ok((header, plans))
    }

    /// The cells of the rules: of the columns of the table, and of attributes or properties.
    fn cells(&mut self, rules: &[Rule<'_>]) -> Result<Vec<(OwnCells, NamedCells)>, String> {
        let mut found = Vec::new();
        for rule in rules {
            found.push((self.own(rule)?, self.listed(rule)?));
        }
        // Only now is it known what all rules take.
        let all = rules.iter().zip(found);
        all.map(|(rule, (own, listed))| Ok((own, listed.map_or_else(|| self.rest(rule), Ok)?))).collect()
    }

    fn own(&mut self, rule: &Rule<'_>) -> Result<OwnCells, String> {
        let cells =
            rule.own.iter().enumerate().map(|(n, (name, cell))| {
                cell.map(|cell| self.cell(name, cell, n < rule.required)).transpose()
            });
        cells.collect()
    }

    /// The attributes or properties that the rule lists; None if it takes what others leave.
    fn listed(&mut self, rule: &Rule<'_>) -> Result<Option<NamedCells>, String> {
        let Extras::These(cells) = rule.extras else { return Ok(None) };
        let mut found = Vec::new();
        for (name, cell) in cells {
            let cell = self.cell(name, cell, false)?;
            // A property of columns that the file lacks is none.
            if !cell.is_missing() {
                found.push((name.clone(), cell));
            }
        }
        Ok(Some(found))
    }

    /// The columns that no cell is made of, as attributes or properties.
    fn rest(&self, rule: &Rule<'_>) -> Result<NamedCells, String> {
        if !self.allow_missing
            && let Some(name) = rule.ignore.iter().find(|name| self.position(name).is_none())
        {
            return Err(format!("lacks the column `{name}` that the mapping ignores; {}", self.found()));
        }
        let prefix = match rule.extras {
            Extras::Prefix(prefix) => prefix.as_str(),
            Extras::Rest | Extras::These(_) => "",
        };
        let rest = self.header.iter().enumerate().filter_map(|(n, column)| {
            let name = column.strip_prefix(prefix)?;
            let is_rest = !self.taken.contains(&n) && !rule.ignore.iter().any(|ignored| ignored == column);
            // Models cannot use properties with a dot in their name.
            let name = if prefix.is_empty() { name.to_owned() } else { name.replace('.', "_") };
            is_rest.then(|| (name, CellPlan::of(PlannedSource::Columns(vec![n]))))
        });
        Ok(rest.collect())
    }

    fn cell(&mut self, name: &str, cell: &Cell, required: bool) -> Result<CellPlan, String> {
        let source = match &cell.source {
            Source::Columns(columns) => PlannedSource::Columns(self.columns(name, columns, required)?),
            Source::Constant(text) => PlannedSource::Constant(text.clone()),
            Source::Join(parts, with) => {
                let parts = parts.iter().map(|part| self.cell(name, part, required));
                PlannedSource::Join(parts.collect::<Result<_, _>>()?, with.clone())
            }
        };
        let values = cell.values.as_ref().map(|values| self.values(name, values)).transpose()?;
        Ok(CellPlan {
            source,
            split: cell.split.clone(),
            strip: cell.strip.clone(),
            values,
            snake_case: cell.snake_case,
        })
    }

    fn values(&mut self, name: &str, values: &Values) -> Result<PlannedValues, String> {
        let texts = values.texts.iter().map(|(text, value)| (folded(text), value.clone())).collect();
        let otherwise = values.otherwise.as_deref().map(|cell| self.cell(name, cell, true)).transpose()?;
        let known: Vec<&str> = values.texts.keys().map(String::as_str).collect();
        let reason = format!("`{name}` is made of none of: {}", known.join(", "));
        Ok(PlannedValues { texts, otherwise: otherwise.map(Box::new), reason })
    }

    fn columns(&mut self, name: &str, columns: &[String], required: bool) -> Result<Vec<usize>, String> {
        let found: Vec<Option<usize>> = columns.iter().map(|column| self.position(column)).collect();
        let lacks_all = found.iter().all(Option::is_none);
        if (required && lacks_all) || (!self.allow_missing && found.contains(&None)) {
            let missing = columns.iter().zip(&found).filter(|(_, n)| n.is_none());
            let missing: Vec<String> = missing.map(|(column, _)| format!("`{column}`")).collect();
            return Err(format!(
                "lacks {} that `{name}` is made of in the mapping; {}",
                missing.join(" and "),
                self.found()
            ));
        }
        let found: Vec<usize> = found.into_iter().flatten().collect();
        self.taken.extend(&found);
        Ok(found)
    }

    fn conditions(&self, rule: &Rule<'_>) -> Result<Vec<Condition>, String> {
        let sides = [(rule.wanted, true), (rule.unwanted, false)];
        let all = sides.into_iter().flat_map(|(side, wanted)| side.iter().map(move |one| (one, wanted)));
        all.map(|((name, texts), wanted)| {
            let column = self.position(name);
            if column.is_none() && (wanted || !self.allow_missing) {
                return Err(format!("lacks `{name}`, a condition of the mapping; {}", self.found()));
            }
            let listed: Vec<&str> =
                texts.iter().map(|text| if text.is_empty() { "empty" } else { text.as_str() }).collect();
            let reason = format!("`{name}` is {}{}", if wanted { "not " } else { "" }, listed.join(" or "));
            Ok(Condition { column, texts: texts.iter().map(|text| folded(text)).collect(), wanted, reason })
        })
        .collect()
    }

    /// The number of a column.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| trimmed(column) == trimmed(name))
    }

    /// What the table has instead, for errors.
    pub(super) fn found(&self) -> String {
        format!("found: {}", self.header.iter().collect::<Vec<_>>().join(", "))
    }
}

impl CellPlan {
    /// The text of a source as it is.
    const fn of(source: PlannedSource) -> Self {
        Self { source, split: None, strip: String::new(), values: None, snake_case: false }
    }

    fn is_missing(&self) -> bool {
        matches!(&self.source, PlannedSource::Columns(columns) if columns.is_empty())
    }
}

/// The names of all attributes or properties, each once.
fn names_of<'a>(
    rules: impl Iterator<Item = &'a NamedCells>,
    own: &[(&'static str, Option<&Cell>)],
) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for cells in rules {
        for (n, (name, _)) in cells.iter().enumerate() {
            if own.iter().any(|(own, _)| own == name) {
                return Err(format!(
                    "would get a second column `{name}`; give it another name in the mapping, or ignore it"
                ));
            }
            if cells[..n].iter().any(|(other, _)| other == name) {
                return Err(format!("would get two columns `{name}`; rename or ignore one in the mapping"));
            }
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

fn take(cells: &mut NamedCells, name: &str) -> Option<CellPlan> {
    let n = cells.iter().position(|(other, _)| other == name)?;
    Some(cells.swap_remove(n).1)
}
