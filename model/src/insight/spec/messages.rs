//! What the messages about a wrong file say.

use super::*;

fn message(text: &str) -> String {
    InsightSpec::parse(text).unwrap_err().to_string()
}

/// The default of a playbook that begins with other entries.
fn playbook(first: &str) -> String {
    format!("{first}\n[[playbook]]\naction = \"mail\"")
}

#[test]
fn numbers_that_their_type_does_not_hold_are_refused_as_others_are() {
    for (text, wanted) in [
        ("window_days = -1", "window_days = -1: allowed are 1 to 3650 days"),
        ("window_days = 1.5", "window_days = 1.5: allowed are 1 to 3650 days"),
        ("window_days = \"\"", "window_days = \"\": allowed are 1 to 3650 days"),
        ("window_days = 99999999999", "window_days = 99999999999: allowed are 1 to 3650 days"),
        ("sla_hours = -24", "sla_hours = -24: allowed are 1 to 8760 hours"),
        (
            "[abc]\na_share = \"most\"",
            "abc.a_share = \"most\" with b_share = 0.95: allowed are shares from 0.000001 on, and below b_share",
        ),
        (
            "[life_cycle]\nmature_from = -5",
            "life_cycle.mature_from = -5: allowed are 2 to 1000 purchase days",
        ),
        ("[value]\nhorizon_days = -1", "value.horizon_days = -1: allowed are 1 to 3650 days"),
        (
            "[worklist]\noutcome_days = { buyers = 90, leads = -1 }",
            "worklist.outcome_days.leads = -1: allowed are 1 to 3650 days",
        ),
        ("[worklist]\ncare_days = -1", "worklist.care_days = -1: allowed are 0 to 365 days"),
        (
            "[worklist]\ncapacity = -1",
            "worklist.capacity = -1: allowed are whole numbers of items a day from 1 to 100000",
        ),
        (
            "[[rfm.segment]]\nname = \"a\"\nr = [5, 5]\n[[rfm.segment]]\nname = \"b\"\nf = [-1, 5]",
            "rfm.segment 2: f = [-1, 5]: allowed are [least, greatest] from 1 to 5",
        ),
        (
            &playbook("[[playbook]]\nabc = \"A\"\naction = \"call\"\ncost_minor = 1e3"),
            "playbook entry 1: cost_minor = 1e3: allowed are whole numbers from 0 to 1000000000000",
        ),
    ] {
        assert_eq!(message(text), wanted, "{text}");
    }
}

#[test]
fn the_entry_that_is_wrong_is_named() {
    let segment = |keys: &str| format!("[[rfm.segment]]\nname = \"a\"\nr = [4, 5]\n[[rfm.segment]]\n{keys}");
    for (text, wanted) in [
        (segment("name = \"\""), "rfm.segment 2: name = \"\": allowed are names of 1 to 64 characters"),
        (
            segment("name = \"a\""),
            "rfm.segment 2: name = \"a\": allowed are names that no segment before it has",
        ),
        (
            segment("name = \"b\"\nr = [5, 5]"),
            "rfm.segment 2: r = [5, 5], f = [1, 5], m = [1, 5]: allowed are ranges with scores that no segment before it",
        ),
        (
            playbook("[[playbook]]\nabc = \"\"\naction = \"call\""),
            "playbook entry 2: cause = any, abc = any: allowed are causes and classes that the entries before it",
        ),
        (
            playbook(
                "[[playbook]]\nabc = \"A\"\naction = \"call\"\n[[playbook]]\nabc = \"A\"\ncause = \"price\"\naction = \"b\"",
            ),
            "playbook entry 2: cause = price, abc = A: allowed are",
        ),
        (
            playbook("[[playbook]]\nabc = \"D\"\naction = \"call\""),
            "playbook entry 1: abc = \"D\": allowed are \"A\", \"B\", \"C\", \"none\", and \"\" for any class",
        ),
    ] {
        let message = message(&text);
        assert!(message.starts_with(wanted), "{text} -> {message}");
    }
}

#[test]
fn several_entries_together_may_cover_one() {
    let classes = |classes: &[&str]| {
        let entries = classes.iter().map(|abc| format!("[[playbook]]\nabc = \"{abc}\"\naction = \"call\"\n"));
        entries.collect::<String>()
    };
    assert!(InsightSpec::parse(&playbook(&classes(&["A", "B", "C"]))).is_ok());
    let message = message(&playbook(&classes(&["A", "B", "C", "none"])));
    assert!(message.starts_with("playbook entry 5: cause = any, abc = any"), "{message}");
}

#[test]
fn a_value_of_another_kind_is_shown_where_it_stands() {
    for (text, line, named) in [
        ("[[rfm.segment]]\nname = []", "2 | name = []", "expected a string"),
        (&playbook("[[playbook]]\nabc = []\naction = \"call\""), "2 | abc = []", "expected a string"),
        (&playbook("[[playbook]]\ncause = []\naction = \"call\""), "2 | cause = []", "cause"),
        (&playbook("[[playbook]]\nabc = \"A\""), "1 | [[playbook]]", "missing field `action`"),
        ("[[rfm.segment]]\nname = \"a\"\nr = []", "3 | r = []", "an array of length 2"),
        ("[[rfm.segment]]\nname = \"a\"\nr = 5", "3 | r = 5", "an array of length 2"),
        ("[[rfm.segment]]\nname = \"a\"\nx = []", "3 | x = []", "unknown field `x`"),
    ] {
        let message = message(text);
        assert!(message.contains(line) && message.contains(named), "{text} -> {message}");
        assert_eq!(message, message.trim_end());
    }
}

#[test]
fn a_list_is_no_table() {
    for (text, key, header) in [
        ("abc = []", "abc", "[abc]"),
        ("abc = [\"net\", 0.5]", "abc", "[abc]"),
        ("[[abc]]\nby = \"net\"", "abc", "[abc]"),
        ("[[value]]\nmargin_rate = 0.5", "value", "[value]"),
        ("worklist = { outcome_days = [90, 30] }", "worklist.outcome_days", "[worklist.outcome_days]"),
        ("[[worklist.outcome_days]]\nbuyers = 90", "worklist.outcome_days", "[worklist.outcome_days]"),
        ("playbook = [[\"price\", \"A\", \"call\", 0], { action = \"mail\" }]", "playbook", "[[playbook]]"),
        ("[rfm]\nsegment = [[\"a\", [1, 5], [1, 5], [1, 5]]]", "rfm.segment", "[[rfm.segment]]"),
    ] {
        let wanted = format!("{key} is a list; allowed are tables, such as {header} with its keys below");
        assert_eq!(message(text), wanted, "{text}");
    }
}

#[test]
fn a_value_is_no_table() {
    for (text, wanted) in [
        ("abc = \"A\"", "abc is \"A\"; allowed are tables, such as [abc] with its keys below"),
        ("worklist = 5", "worklist is 5; allowed are tables, such as [worklist] with its keys below"),
        (
            "[worklist]\noutcome_days = 30",
            "worklist.outcome_days is 30; allowed are tables, such as [worklist.outcome_days] with its keys below",
        ),
        ("playbook = true", "playbook is true; allowed are tables, such as [[playbook]] with its keys below"),
    ] {
        assert_eq!(message(text), wanted, "{text}");
    }
}

#[test]
fn a_table_is_no_list_of_tables() {
    for (text, key) in [
        ("[playbook]\naction = \"call\"", "playbook"),
        ("playbook = {}", "playbook"),
        ("[value]\nmargin_rate = 0.5\n[playbook]\naction = \"call\"", "playbook"),
        ("[rfm.segment]\nname = \"a\"", "rfm.segment"),
    ] {
        let wanted = format!(
            "{key} is a table; allowed are lists of tables, such as [[{key}]] with the keys of an entry below"
        );
        assert_eq!(message(text), wanted, "{text}");
    }
    let of_names = message("[contact_kinds]\ncall = true");
    assert!(of_names.contains("expected a sequence") && !of_names.contains("[["), "{of_names}");
}

#[test]
fn the_text_of_settings_has_the_same_settings() {
    for file in [
        "",
        "window_days = 30\n[life_cycle]\ntypical_interval_days = 30\n[value]\nmargin_rate = 0.5",
        "[worklist]\ncapacity = 20\noutcome_days = { buyers = 60, leads = 20 }",
        &playbook("[[playbook]]\nabc = \"A\"\ncause = \"price\"\naction = \"call\"\ncost_minor = 500"),
    ] {
        let spec = InsightSpec::parse(file).unwrap();
        assert_eq!(InsightSpec::parse(&spec.to_string()).unwrap(), spec, "{spec}");
    }
}

#[test]
fn what_is_no_text_is_named() {
    let wanted = "line 2 has a NUL character (U+0000); allowed is text in UTF-8";
    assert_eq!(message("window_days = 30\nsla_hours = \0"), wanted);
}

#[test]
fn long_values_are_shortened() {
    let long = format!("contact_kinds = [\"{}\"]", "k".repeat(100));
    let shown = format!("contact_kinds = [\"{}…: allowed are", "k".repeat(78));
    assert!(message(&long).starts_with(&shown), "{}", message(&long));
}
