//! The kinds of interactions.

use foldhash::HashMap;

/// The kinds that mean something to models.
const MEANINGFUL: [&str; 6] = [PURCHASE, "return", "cancel", "complaint", "resolution", "survey"];
const PURCHASE: &str = "purchase";
/// Most kinds that are kept: the word for what happened is one of a few.
const MOST_KINDS: usize = 1_000;

/// How often each kind occurs.
#[derive(Default)]
pub(in crate::import) struct KindStatistics {
    counts: HashMap<String, u64>,
    /// Whether there are more kinds than are kept.
    pub(in crate::import) full: bool,
}

/// A kind that is probably meant as another.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::import) struct MisspeltKind {
    pub(in crate::import) kind: String,
    pub(in crate::import) meant: String,
    pub(in crate::import) count: u64,
}

impl KindStatistics {
    pub(in crate::import) fn add(&mut self, kind: &str) {
        if let Some(count) = self.counts.get_mut(kind) {
            *count += 1;
        } else if self.counts.len() < MOST_KINDS {
            self.counts.insert(kind.to_owned(), 1);
        } else {
            self.full = true;
        }
    }

    /// The most frequent kinds first.
    pub(in crate::import) fn sorted(&self) -> Vec<(String, u64)> {
        let mut kinds: Vec<_> = self.counts.iter().map(|(kind, count)| (kind.clone(), *count)).collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kinds
    }

    /// Kinds that are nearly one that means something to models, or that differ from a more frequent one only in
    /// upper and lower case.
    pub(in crate::import) fn misspelt(&self) -> Vec<MisspeltKind> {
        let kinds = self.sorted();
        let mut misspelt = Vec::new();
        for (n, (kind, count)) in kinds.iter().enumerate() {
            let lower = kind.to_lowercase();
            let meaningful = MEANINGFUL.into_iter().filter(|meant| kind != meant);
            let mut nearly = meaningful.into_iter().filter(|meant| at_most_one_edit(&lower, meant));
            let nearly = nearly.next().or_else(|| lower.starts_with("cancel").then_some("cancel"));
            let other_case = kinds[..n].iter().map(|(other, _)| other.as_str());
            let mut other_case = other_case.filter(|other| other.to_lowercase() == lower);
            if let Some(meant) =
                nearly.or_else(|| other_case.next()).filter(|_| !MEANINGFUL.contains(&kind.as_str()))
            {
                misspelt.push(MisspeltKind { kind: kind.clone(), meant: meant.to_owned(), count: *count });
            }
        }
        misspelt
    }
}

/// Whether one inserted, deleted or replaced character at most makes one text of the other.
fn at_most_one_edit(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let same = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => short.get(same + 1..).unwrap_or_default() == long.get(same + 1..).unwrap_or_default(),
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_nearly_meaningful_are_found() {
        let mut kinds = KindStatistics::default();
        for kind in [
            "Purchase",
            "purchase",
            "purchases",
            "purchace",
            "PURCHASE",
            "order",
            "returned",
            "Return",
            "visit",
            "visit",
            "Visit",
            "cancelled",
            "Complaint",
        ] {
            kinds.add(kind);
        }
        let found: Vec<_> =
            kinds.misspelt().into_iter().map(|kind| format!("{}={}", kind.kind, kind.meant)).collect();
        assert_eq!(
            found,
            [
                "Complaint=complaint",
                "PURCHASE=purchase",
                "Purchase=purchase",
                "Return=return",
                "Visit=visit",
                "cancelled=cancel",
                "purchace=purchase",
                "purchases=purchase"
            ]
        );
        assert_eq!(kinds.sorted()[0], ("visit".to_owned(), 2));
    }

    #[test]
    fn edits_are_counted() {
        for (left, right) in [("a", "a"), ("", "a"), ("abc", "abd"), ("abc", "ac"), ("bc", "abc"), ("", "")] {
            assert!(at_most_one_edit(left, right) && at_most_one_edit(right, left), "{left} {right}");
        }
        for (left, right) in [("ab", "ba"), ("abc", "a"), ("abc", "xbd")] {
            assert!(!at_most_one_edit(left, right), "{left} {right}");
        }
    }
}
