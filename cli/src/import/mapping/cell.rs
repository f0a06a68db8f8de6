//! How a mapping file says what a cell is made of.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};

/// What a cell is made of: a source, and what is done with its text, in this order.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) source: Source,
    /// Only what stands before the first of these counts.
    pub(super) split: Option<String>,
    /// These characters are removed.
    pub(super) strip: String,
    pub(super) values: Option<Values>,
    pub(super) snake_case: bool,
}

/// Where the text of a cell comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The first of these columns that is not empty.
    Columns(Vec<String>),
    /// The same text in every row.
    Constant(String),
    /// Several cells with a text between them.
    Join(Vec<Cell>, String),
}

/// Texts that stand for others.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) texts: BTreeMap<String, String>,
    pub(super) otherwise: Option<Box<Cell>>,
}

impl Cell {
    /// The text of a column.
    pub(super) fn column(name: String) -> Self {
        Self::of(Source::Columns(vec![name]))
    }

    /// The text of a source as it is.
    const fn of(source: Source) -> Self {
        Self { source, split: None, strip: String::new(), values: None, snake_case: false }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name, a list of column names, or a table such as { value = \"purchase\" }")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cell, E> {
        Ok(Cell::column(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Cell, A::Error> {
        let names = Vec::<String>::deserialize(SeqAccessDeserializer::new(list))?;
        if names.is_empty() {
            return Err(A::Error::invalid_length(0, &"at least one column name"));
        }
        Ok(Cell::of(Source::Columns(names)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cell, A::Error> {
        CellTable::deserialize(MapAccessDeserializer::new(map))?.cell().map_err(A::Error::custom)
    }
}

/// A cell as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellTable {
    column: Option<String>,
    columns: Option<Vec<String>>,
    value: Option<String>,
    join: Option<Vec<Cell>>,
    with: Option<String>,
    split: Option<String>,
    strip: Option<String>,
    values: Option<BTreeMap<String, String>>,
    otherwise: Option<Otherwise>,
    #[serde(default)]
    snake_case: bool,
}

impl CellTable {
    fn cell(self) -> Result<Cell, String> {
        let source = match (self.column, self.columns, self.value, self.join) {
            (Some(column), None, None, None) => Source::Columns(vec![column]),
            (None, Some(columns), None, None) if !columns.is_empty() => Source::Columns(columns),
            (None, None, Some(value), None) => Source::Constant(value),
            (None, None, None, Some(parts)) if !parts.is_empty() => {
                Source::Join(parts, self.with.clone().unwrap_or_default())
            }
            _ => return Err("needs one of `column`, `columns`, `value` and `join`, not empty".to_owned()),
        };
        if self.with.is_some() && !matches!(source, Source::Join(..)) {
            return Err("`with` goes with `join`".to_owned());
        }
        if self.otherwise.is_some() && self.values.is_none() {
            return Err("`otherwise` goes with `values`".to_owned());
        }
        if self.split.as_deref() == Some("") {
            return Err("`split` must not be empty".to_owned());
        }
        let otherwise = self.otherwise.map(|Otherwise(cell)| Box::new(cell));
        let values = self.values.map(|texts| Values { texts, otherwise });
        let strip = self.strip.unwrap_or_default();
        Ok(Cell { source, split: self.split, strip, values, snake_case: self.snake_case })
    }
}

/// What a text becomes that is not among the values: a text, or a cell.
struct Otherwise(Cell);

impl<'de> Deserialize<'de> for Otherwise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OtherwiseVisitor;
        impl<'de> Visitor<'de> for OtherwiseVisitor {
            type Value = Otherwise;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table such as { column = \"Event\", snake_case = true }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Otherwise, E> {
                Ok(Otherwise(Cell::of(Source::Constant(text.to_owned()))))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Otherwise, A::Error> {
                CellVisitor.visit_map(map).map(Otherwise)
            }
        }
        deserializer.deserialize_any(OtherwiseVisitor)
    }
}
