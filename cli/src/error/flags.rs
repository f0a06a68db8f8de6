//! The server names fields and values of requests; who types commands knows flags and their values.

/// Fields, where a message is about nothing else, with their flags. In a sentence, these words may mean something else.
const FIELDS: [(&str, &str); 6] = [
    ("delivery_state", "--delivery"),
    ("dimension", "--by"),
    ("max_values", "--max-values"),
    ("missing_value", "--missing-value"),
    ("occur_time", "--at"),
    ("window_days", "--window-days"),
];

/// Fields and values that mean the same wherever they stand, with what is typed for them.
const WORDS: [(&str, &str); 17] = [
    ("AT_RISK", "at_risk"),
    ("CARE_DATE", "care_date"),
    ("HOT_LEAD", "hot_lead"),
    ("NEGLECTED", "neglected"),
    ("WIN_BACK", "win_back"),
    ("as_of_time", "--as-of"),
    ("compare_to_time", "--compare-to"),
    ("from_time", "--from"),
    ("market_size", "--market-size"),
    ("max_probability", "--max"),
    ("max_reasons", "--max-reasons"),
    ("min_probability", "--min"),
    ("order_by", "--order-by"),
    ("page_size", "--limit"),
    ("rfm_segments", "--rfm"),
    ("time_zone", "--time-zone"),
    ("to_time", "--to"),
];

/// The flag of a field of a request, or the field where it has no flag of another name.
pub(super) fn of_field(field: &str) -> String {
    match FIELDS.into_iter().find(|(name, _)| *name == field) {
        Some((_, flag)) => flag.to_owned(),
        None => in_flags(field),
    }
}

/// A message of the server with flags in place of fields.
pub(crate) fn in_flags(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let part = |part: &str| {
        let (word, end) = part.split_at(part.trim_end_matches(|c| !is_of_word(c)).len());
        let flag = WORDS.into_iter().find(|(name, _)| *name == word);
        format!("{}{end}", flag.map_or(word, |(_, flag)| flag))
    };
    text.split_inclusive(|c| !is_of_word(c)).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_flags() {
        for (text, shown) in [
            (
                "is 5, after as_of_time 3; allowed is up to as_of_time",
                "is 5, after --as-of 3; allowed is up to --as-of",
            ),
            ("compare_to_time", "--compare-to"),
            (
                "customer `C1` has no open episode of WIN_BACK: it",
                "customer `C1` has no open episode of win_back: it",
            ),
            ("to_time,from_time", "--to,--from"),
            ("rfm_segments[2]", "--rfm[2]"),
            ("not_to_time, occur_time: α", "not_to_time, occur_time: α"),
            ("", ""),
        ] {
            assert_eq!(in_flags(text), shown);
        }
        let of_fields = ["occur_time", "page_size", "kinds[0]", "i.csv line 7, occur_time"].map(of_field);
        assert_eq!(of_fields, ["--at", "--limit", "kinds[0]", "i.csv line 7, occur_time"]);
    }
}
