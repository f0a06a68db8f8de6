//! A rule of a mapping whose columns are found in a table, and what it makes of a row.

use std::{borrow::Cow, collections::HashMap};

use csv::StringRecord;
use tally_proto::values::trimmed;

/// How a row becomes one of another table.
pub(super) struct Plan {
    pub(super) conditions: Vec<Condition>,
    /// One for each column of the other table; None where this rule has nothing to say.
    pub(super) cells: Vec<Option<CellPlan>>,
    /// From this column on they are attributes or properties.
    pub(super) extras: usize,
    /// Columns of the other table that must not be empty, and what to say of a row where one is.
    pub(super) needed: Vec<(usize, String)>,
}

/// A condition on a row.
pub(super) struct Condition {
    /// None if the table lacks the column, which then counts as empty.
    pub(super) column: Option<usize>,
    /// Folded.
    pub(super) texts: Vec<String>,
    /// Whether the column must have one of the texts, or none of them.
    pub(super) wanted: bool,
    /// What to say of a row that does not meet it.
    pub(super) reason: String,
}

/// A cell whose columns are found.
pub(super) struct CellPlan {
    pub(super) source: PlannedSource,
    pub(super) split: Option<String>,
    pub(super) strip: String,
    pub(super) values: Option<PlannedValues>,
    pub(super) snake_case: bool,
}

/// Where the text of a cell comes from.
pub(super) enum PlannedSource {
    /// The first of these columns that is not empty.
    Columns(Vec<usize>),
    Constant(String),
    Join(Vec<CellPlan>, String),
}

/// Texts that stand for others.
pub(super) struct PlannedValues {
    /// By the folded text.
    pub(super) texts: HashMap<String, String>,
    pub(super) otherwise: Option<Box<CellPlan>>,
    /// What to say of a row whose text is not among them.
    pub(super) reason: String,
}

/// The text as it is compared: without regard to case, and to white space at the ends.
pub(super) fn folded(text: &str) -> String {
    trimmed(text).to_lowercase()
}

impl Plan {
    /// Writes what the rule makes of `row` into `record`, or says why it leaves the row out.
    pub(super) fn row<'p>(&'p self, row: &StringRecord, record: &mut StringRecord) -> Result<(), &'p str> {
        if let Some(broken) = self.conditions.iter().find(|condition| !condition.is_met(row)) {
            return Err(&broken.reason);
        }
        record.clear();
        for (column, cell) in self.cells.iter().enumerate() {
            match cell.as_ref().map_or(Ok(Cow::Borrowed("")), |cell| cell.text(row)) {
                Ok(text) => record.push_field(&text),
                // Nothing is known of an attribute or a property: the row still counts.
                Err(_) if column >= self.extras => record.push_field(""),
                Err(reason) => return Err(reason),
            }
        }
        match self.needed.iter().find(|(column, _)| record.get(*column).is_none_or(str::is_empty)) {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }
}

impl Condition {
    fn is_met(&self, row: &StringRecord) -> bool {
        let text = self.column.and_then(|column| row.get(column)).unwrap_or_default();
        let text = trimmed(text);
        let is_one = if text.is_ascii() {
            self.texts.iter().any(|one| one.eq_ignore_ascii_case(text))
        } else {
            self.texts.contains(&folded(text))
        };
        is_one == self.wanted
    }
}

impl CellPlan {
    /// The text of the cell in a row, or why the row is left out.
    fn text<'p: 'r, 'r>(&'p self, row: &'r StringRecord) -> Result<Cow<'r, str>, &'p str> {
        let mut text = match &self.source {
            PlannedSource::Columns(columns) => Cow::Borrowed(first_of(columns, row)),
            PlannedSource::Constant(text) => Cow::Borrowed(text.as_str()),
            PlannedSource::Join(parts, with) => Cow::Owned(joined(parts, with, row)?),
        };
        if let Some(split) = &self.split
            && let Some(end) = text.find(split.as_str())
        {
            text = Cow::Owned(trimmed(&text[..end]).to_owned());
        }
        if text.contains(|c| self.strip.contains(c)) {
            text = Cow::Owned(stripped(&text, &self.strip));
        }
        if let Some(values) = &self.values {
            text = values.text(&text, row)?;
        }
        Ok(if self.snake_case { Cow::Owned(snake_case(&text)) } else { text })
    }

    const fn is_constant(&self) -> bool {
        matches!(self.source, PlannedSource::Constant(_))
    }
}

impl PlannedValues {
    fn text<'p: 'r, 'r>(&'p self, text: &str, row: &'r StringRecord) -> Result<Cow<'r, str>, &'p str> {
        match (self.texts.get(&folded(text)), &self.otherwise) {
            (Some(text), _) => Ok(Cow::Borrowed(text)),
            (None, Some(otherwise)) => otherwise.text(row),
            (None, None) => Err(&self.reason),
        }
    }
}

fn first_of<'a>(columns: &[usize], row: &'a StringRecord) -> &'a str {
    let mut texts = columns.iter().filter_map(|column| row.get(*column)).map(trimmed);
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

/// The parts that are not empty, with a text between them. Empty if all that come from columns are, so that
/// constants alone do not make the same id of all rows without one.
fn joined<'p>(parts: &'p [CellPlan], with: &str, row: &StringRecord) -> Result<String, &'p str> {
    let mut joined = String::new();
    let mut any = false;
    for part in parts {
        let text = part.text(row)?;
        if text.is_empty() {
            continue;
        }
        any = any || !part.is_constant();
        if !joined.is_empty() {
            joined.push_str(with);
        }
        joined.push_str(&text);
    }
    Ok(if any { joined } else { String::new() })
}

/// The text without some characters. Between digits they are removed only as separators of thousands, where three
/// digits follow, so that a comma before decimals does not make the amount a hundred times larger.
pub(super) fn stripped(text: &str, strip: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let kept = text.char_indices().filter(|(n, c)| {
        let rest = &text[n + c.len_utf8()..];
        let digits = rest.chars().take_while(|c| is_digit(*c)).count();
        let is_inside = text[..*n].ends_with(is_digit) && digits > 0;
        !strip.contains(*c) || (is_inside && digits != 3)
    });
    trimmed(&kept.map(|(_, c)| c).collect::<String>()).to_owned()
}

/// `Order Completed` and `orderCompleted` as `order_completed`.
fn snake_case(text: &str) -> String {
    let mut snake = String::with_capacity(text.len());
    let mut before_is_lower = false;
    for c in text.chars() {
        let begins_word = c.is_uppercase() && before_is_lower;
        if (begins_word || !c.is_alphanumeric()) && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        if c.is_alphanumeric() {
            snake.extend(c.to_lowercase());
        }
        before_is_lower = c.is_lowercase() || c.is_numeric();
    }
    snake.truncate(snake.trim_end_matches('_').len());
    snake
}

#[cfg(test)]
mod tests {
    use super::{snake_case, stripped};

    #[test]
    fn separators_of_thousands_are_stripped_and_those_of_decimals_are_not() {
        for (text, wanted) in [
            ("$1,250.00", "1250.00"),
            ("$ 1,234,567", "1234567"),
            ("-£5", "-5"),
            ("12,50", "12,50"),
            ("1,2345", "1,2345"),
            ("5 USD", "5USD"),
            ("1250", "1250"),
        ] {
            assert_eq!(stripped(text, "$£, "), wanted, "{text}");
        }
    }

    #[test]
    fn words_are_joined_by_underscores() {
        for (text, snake) in [
            ("Order Completed", "order_completed"),
            ("productViewed", "product_viewed"),
            ("Signed-Up (web) ", "signed_up_web"),
            ("step2Done", "step2_done"),
            ("HTTP error", "http_error"),
            ("already_snake", "already_snake"),
            ("商品 浏览", "商品_浏览"),
            ("", ""),
        ] {
            assert_eq!(snake_case(text), snake);
        }
    }
}
