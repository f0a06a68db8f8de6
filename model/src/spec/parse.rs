//! From the text of a file to checked settings.

use serde::{Serialize, de::DeserializeOwned};
use toml::Value;

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
    let file = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            return Err(not_a_number_of_its_type(text, &error, checked).unwrap_or(SpecError::Toml(error)));
        }
    };
    let (given, understood) = (toml::from_str(text)?, Value::try_from(&file));
    let list = understood.ok().and_then(|understood| list_for_a_table("", &given, &understood));
    list.map_or_else(|| checked(file), |key| Err(SpecError::List { key }))
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

/// The first key with a list that was understood as a table: serde takes a list for the values of the keys in their order,
/// and an empty one for a table without any.
fn list_for_a_table(key: &str, given: &Value, understood: &Value) -> Option<String> {
    match (given, understood) {
        (Value::Table(given), Value::Table(understood)) => given.iter().find_map(|(name, given)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            list_for_a_table(&key, given, understood.get(name)?)
        }),
        (Value::Array(given), Value::Array(understood)) => given
            .iter()
            .zip(understood)
            .find_map(|(given, understood)| list_for_a_table(key, given, understood)),
        (Value::Array(_), Value::Table(_)) => Some(key.to_owned()),
        _ => None,
    }
}
