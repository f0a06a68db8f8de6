//! Documents name only tests that exist.

use std::fs;

use super::{assert_none, root};

/// Pages whose tables name the tests that hold each statement, as `a_name_of_at_least_three_words`.
const PAGES: [&str; 1] = ["docs/data.md"];

#[test]
fn every_test_that_a_page_names_exists() {
    let sources: String =
        ["cli", "model", "proto", "service", "store"].iter().map(|name| code(name)).collect();
    let mut missing = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let names: Vec<&str> =
            text.lines().filter(|line| line.starts_with('|')).flat_map(test_names).collect();
        assert!(names.len() > 40, "{page} names tests");
        let unknown = names.into_iter().filter(|name| !sources.contains(&format!("fn {name}(")));
        missing.extend(unknown.map(|name| format!("{page}: there is no test `{name}`")));
    }
    assert_none(&missing);
}

/// The names of tests in the last cell of a row.
fn test_names(row: &str) -> impl Iterator<Item = &str> {
    let cell = row.trim_end().trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.matches('_').count() > 2 && name.bytes().all(is_of_name))
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// All Rust code of a crate, with its tests.
fn code(name: &str) -> String {
    let mut text = String::new();
    let mut open = vec![root().join(name)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}
