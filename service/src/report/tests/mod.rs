//! The page of a small training as a snapshot, and the keys of its JSON. The text report has its snapshot among
//! those of the programs.
//!
//! Digits of decimal numbers are masked: the last ones may differ between machines, and the snapshot is about the
//! words, the order and the form of the numbers.

mod training;

use super::{json, page};

/// Scripts read the JSON: keys may be added, but neither renamed nor removed. Sorted.
const KEYS: &str = "as_of_time baselines bg_nbd chosen coefficients customers eligible evaluated failed_checks \
    from_time holdout horizon_days intercept leads log_odds_difference model penalty positives reliability rows rows_within_reach \
    schema_hash seed slices spec split target to_time uncalibrated_holdout uncalibrated_reliability \
    verdict";

#[test]
fn page_of_a_small_training() {
    let page = page::render(training::result()).unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("page", masked(&text_content(&page)));
    });
}

#[test]
fn keys_of_the_json() {
    let report: serde_json::Value =
        serde_json::from_str(&json::render(&training::result()).unwrap()).unwrap();
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.join(" "), KEYS);
}

/// The text of a page as a reader sees it: a line for each block or row, cells apart, plots by their titles.
fn text_content(page: &str) -> String {
    let (_, body) = page.split_once("<body>").unwrap();
    let mut out = String::new();
    let mut is_plot = false;
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        is_plot = (is_plot || tag.starts_with("svg")) && tag != "/svg";
        match tag.split(' ').next().unwrap() {
            "svg" => out.extend(["[", tag.split('"').nth_back(1).unwrap(), "] "]),
            "/td" | "/th" => out.push_str(" | "),
            "/h1" | "/h2" | "/p" | "/tr" | "/summary" | "/pre" | "/figcaption" => out.push('\n'),
            "h2" => out.push_str("\n# "),
            _ => {}
        }
        if !is_plot && !text.trim().is_empty() {
            out.push_str(text.trim_matches('\n'));
        }
    }
    out.replace("&#34;", "\"").lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Replaces the digits of decimal numbers by `#`, those of an exponent too.
fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..start]);
        let number = &rest[start..];
        let mut end = number.find(|c| !is_part(c)).unwrap_or(number.len());
        let is_decimal = number[..end].trim_end_matches('.').contains('.');
        if let Some(exponent) = number[end..].strip_prefix("e-").filter(|_| is_decimal) {
            end += 2 + exponent.find(|c| !is_part(c)).unwrap_or(exponent.len());
        }
        let (number, after) = number.split_at(end);
        out.extend(number.chars().map(|c| if is_decimal && c.is_ascii_digit() { '#' } else { c }));
        rest = after;
    }
    out + rest
}
