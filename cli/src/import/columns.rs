//! The columns of a file.

use csv::StringRecord;

/// In place of the name of a column to ignore. Names of columns have no blanks at their ends.
const IGNORED: &str = "\n";

/// Where the columns of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns<const R: usize, const O: usize> {
    /// The required columns.
    pub(super) required: [usize; R],
    /// The optional columns.
    pub(super) optional: [Option<usize>; O],
    /// All others, with their names.
    pub(super) rest: Vec<(usize, String)>,
}

/// Finds the columns of a file, in any order, as if it did not have those to ignore. A required column may
/// have one of several names. The error is a sentence without its subject, the file.
pub(super) fn columns<const R: usize, const O: usize>(
    header: &StringRecord,
    ignored: &[String],
    required: [&[&str]; R],
    optional: [&str; O],
) -> Result<Columns<R, O>, String> {
    // An ignored column keeps its place, under a name that no other column can have.
    let is_ignored = |name: &str| ignored.iter().any(|ignored| ignored == name);
    let names: Vec<&str> = header.iter().map(|name| if is_ignored(name) { IGNORED } else { name }).collect();
    check_unique(&names)?;
    let find = |alternatives: &[&str]| names.iter().position(|name| alternatives.contains(name));
    let missing: Vec<String> =
        required.iter().filter(|names| find(names).is_none()).map(|names| names.join(" or ")).collect();
    if !missing.is_empty() {
        let all = required.map(|names| names.join(" or ")).join(", ");
        let found: Vec<&str> = names.iter().copied().filter(|name| *name != IGNORED).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        return Err(format!("lacks {}; required are {all}; found: {found}", missing.join(", ")));
    }
    for alternatives in required {
        if names.iter().filter(|name| alternatives.contains(name)).count() > 1 {
            return Err(format!("has both {}; leave one of them out", alternatives.join(" and ")));
        }
    }
    let known = |name: &str| {
        name == IGNORED || optional.contains(&name) || required.iter().any(|names| names.contains(&name))
    };
    let rest = names.iter().enumerate().filter(|(_, name)| !known(name));
    Ok(Columns {
        required: required.map(|names| find(names).unwrap_or_default()),
        optional: optional.map(|name| find(&[name])),
        rest: rest.map(|(n, name)| (n, (*name).to_owned())).collect(),
    })
}

fn check_unique(names: &[&str]) -> Result<(), String> {
    for (n, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name; name it, or leave it out with --ignore ''", n + 1));
        }
        if names[..n].contains(name) && *name != IGNORED {
            return Err(format!("has two columns `{name}`; rename one, or leave both out with --ignore"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_in_any_order() {
        let find = |header: &str| {
            let header: StringRecord = header.split_terminator(',').collect();
            columns(&header, &["z".to_owned()], [&["id"], &["time", "at"]], ["name"])
        };
        let found = find("x,at,name,id,y").unwrap();
        assert_eq!((found.required, found.optional), ([3, 1], [Some(2)]));
        assert_eq!(found.rest, [(0, "x".to_owned()), (4, "y".to_owned())]);
        assert_eq!(find("id,time").unwrap().optional, [None]);
        assert_eq!(find("x,id").unwrap_err(), "lacks time or at; required are id, time or at; found: x, id");
        assert_eq!(
            find("").unwrap_err(),
            "lacks id, time or at; required are id, time or at; found: nothing"
        );
        assert_eq!(find("id,time,at").unwrap_err(), "has both time and at; leave one of them out");
        assert_eq!(
            find("id,id,at").unwrap_err(),
            "has two columns `id`; rename one, or leave both out with --ignore"
        );
        assert_eq!(
            find("id,,at").unwrap_err(),
            "column 2 has no name; name it, or leave it out with --ignore ''"
        );
        assert_eq!(find("z,id,z,at,x").unwrap().rest, [(4, "x".to_owned())]);
    }
}
