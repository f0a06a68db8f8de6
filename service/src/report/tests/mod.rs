//! The page of a small training as a snapshot, the keys of its JSON, and what its texts say of stacks. The text report
//! has its snapshot among those of the programs.
//!
//! Digits of decimal numbers are masked: the last ones may differ between machines, and the snapshot is about the
//! words, the order and the form of the numbers.

mod training;

use tally_model::artifact::Study;

use super::{json, page, recipe::fitted_as, text};

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

#[test]
fn json_has_a_stack_if_one_was_tried() {
    let mut result = training::result();
    let chosen = |result: &_| {
        let report: serde_json::Value = serde_json::from_str(&json::render(result).unwrap()).unwrap();
        report["chosen"].clone()
    };
    let stack = &chosen(&result)["stack"];
    assert_eq!(stack["kept"], true);
    // A ratio of 1 is left out.
    assert_eq!(stack["members"][0]["recipe"].get("pair_ratio"), None);
    assert_eq!(stack["members"][1]["recipe"]["pair_ratio"], 3.0);
    result.artifact.card.chosen.stack = None;
    assert_eq!(chosen(&result).get("stack"), None);
}

#[test]
fn a_model_is_a_kept_stack_or_the_best_single_recipe() {
    let mut result = training::result();
    let kept = "a stack of 2: 0.31 × spline (penalty 10) + 0.62 × steps with 10 pairs crossed (penalty 30, pairs × 3)";
    assert_eq!(fitted_as(&result.artifact.card.chosen), kept);
    assert!(text::render(&result, None).contains(&format!("features\nfitted as {kept}\n")));

    let Study { stack: Some(stack), recipe, .. } = &mut result.artifact.card.chosen else { panic!() };
    *recipe = stack.members[1].recipe;
    stack.kept = false;
    assert_eq!(
        fitted_as(&result.artifact.card.chosen),
        "steps with 10 pairs crossed (penalty 30, pairs × 3)"
    );
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
