//! From the text of a file to checked settings.

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::SpecError;

/// Numbers that no key allows; every type of number has one of them.
const NEVER_ALLOWED: [&str; 3] = ["4294967295", "255", "-9223372036854775808"];

/// Parses a file, and turns it into what `checked` makes of it.
///
/// # Errors
/// [`SpecError`] names the key and what is allowed.
pub(crate) fn parse<File: DeserializeOwned + Serialize, Checked>(
    text: &str,
    checked: impl Fn(File) -> Result<Checked, SpecError>,
) -> Result<Checked, SpecError> {
    if let Some(at) = text.find('\0') {
        return Err(SpecError::Nul { line: text[..at].matches('\n').count() + 1 });
    }
    let file = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            return Err(wrong_header::<File>(text)
                .or_else(|| not_a_number_of_its_type(text, &error, checked))
                .unwrap_or(SpecError::Toml(error)));
        }
    };
    let (given, understood) = (toml::from_str(text)?, Value::try_from(&file));
    let list = understood.ok().and_then(|understood| list_for_a_table("", &given, &understood));
    list.map_or_else(|| checked(file), Err)
}

/// The error about `[key]` where `[[key]]` belongs, the reverse, or `key = 5` where one of them does. serde says that it expected a sequence or a map, or
/// what it expected of the first key of a table that it reads from a list.
fn wrong_header<File: DeserializeOwned>(text: &str) -> Option<SpecError> {
    wrong_header_within::<File>(&[], &toml::from_str(text).ok()?)
}

fn wrong_header_within<File: DeserializeOwned>(path: &[&str], given: &Table) -> Option<SpecError> {
    let (table, list) = (Value::Table(Table::new()), Value::Array(vec![Value::Table(Table::new())]));
    given.iter().find_map(|(name, value)| {
        let path = [path, &[name.as_str()]].concat();
        let takes = |value: &Value| takes::<File>(&path, value);
        match value {
            Value::Table(_) if takes(&list) && !takes(&table) => {
                Some(SpecError::Table { key: path.join(".") })
            }
            Value::Table(within) => wrong_header_within::<File>(&path, within),
            Value::Array(of) if of.iter().any(Value::is_table) && takes(&table) && !takes(&list) => {
                Some(list_error(path.join("."), false))
            }
            Value::Array(_) => None,
            _ if takes(value) => None,
            _ if takes(&table) => Some(not_a_table(path.join("."), value, false)),
            _ if takes(&list) => Some(not_a_table(path.join("."), value, true)),
            _ => None,
        }
    })
}

/// Whether a file may have a value of this kind at a key, apart from what else belongs into it.
fn takes<File: DeserializeOwned>(path: &[&str], value: &Value) -> bool {
    let within = |value, name: &&str| Value::Table(Table::from_iter([((*name).to_owned(), value)]));
    let file: Result<File, toml::de::Error> = path.iter().rev().fold(value.clone(), within).try_into();
    file.map_or_else(|error| error.message().starts_with("missing field"), |_| true)
}

fn list_error(key: String, is_entry: bool) -> SpecError {
    SpecError::not_a_table(key, "a list".to_owned(), is_entry)
}

fn not_a_table(key: String, value: &Value, is_entry: bool) -> SpecError {
    SpecError::not_a_table(key, value.to_string(), is_entry)
}

/// The error about a value that is not even of the type of its key, such as −1 or "many" where a number of days belongs;
/// None when the key does not take a number. The types know neither the key nor its range; `checked` does, and says
/// both when a number that the type holds and no key allows stands there instead.
fn not_a_number_of_its_type<File: DeserializeOwned, Checked>(
    text: &str,
    error: &toml::de::Error,
    checked: impl Fn(File) -> Result<Checked, SpecError>,
) -> Option<SpecError> {
    let span = error.span()?;
    let (before, given, after) = (text.get(..span.start)?, text.get(span.clone())?, text.get(span.end..)?);
    // A number that stands elsewhere in the file would be taken for the one that is put in.
    NEVER_ALLOWED.iter().filter(|number| !text.contains(**number)).find_map(|number| {
        let file = toml::from_str(&format!("{before}{number}{after}")).ok()?;
        checked(file).err()?.with_value(number, given)
    })
}

/// The error about the first list that was understood as a table: serde takes a list for the values of the keys in their
/// order, and an empty one for a table without any.
fn list_for_a_table(key: &str, given: &Value, understood: &Value) -> Option<SpecError> {
    match (given, understood) {
        (Value::Table(given), Value::Table(understood)) => given.iter().find_map(|(name, given)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            list_for_a_table(&key, given, understood.get(name)?)
        }),
        (Value::Array(given), Value::Array(understood)) => {
            given.iter().zip(understood).find_map(|(given, understood)| match (given, understood) {
                (Value::Array(_), Value::Table(_)) => Some(list_error(key.to_owned(), true)),
                _ => list_for_a_table(key, given, understood),
            })
        }
        (Value::Array(_), Value::Table(_)) => Some(list_error(key.to_owned(), false)),
        _ => None,
    }
}
