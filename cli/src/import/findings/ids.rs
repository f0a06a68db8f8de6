//! The customers that the files name, by hashes of their ids.

use std::hash::BuildHasher;

use foldhash::{HashMap, fast::FixedState};
use indicatif::HumanCount;
use jiff::Timestamp;

use super::Findings;
use crate::output::{counted, printable};

/// Most ids that are kept. What is found beyond them concerns ids that were kept.
const MOST_IDS: usize = 1_000_000;
/// Most examples of ids that are nearly the same.
const EXAMPLES: usize = 5;

/// Which file an id is in, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) struct IdPlace {
    /// Whether the file has a row for each customer.
    pub(in crate::import) of_customers: bool,
    pub(in crate::import) line: u64,
}

/// Two ids that differ only in upper and lower case, blanks, or `.0` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NearId {
    id: String,
    place: IdPlace,
    /// Where the other one is first.
    first: IdPlace,
}

/// All customers of the files.
#[derive(Default)]
pub(in crate::import) struct CustomerIds {
    hasher: FixedState,
    known: HashMap<u64, KnownCustomer>,
    /// The first id of each spelling, by a hash of what all spellings have in common.
    spellings: HashMap<u64, IdPlace>,
    near: u64,
    near_examples: Vec<NearId>,
    /// Ids that had blanks at their ends.
    pub(in crate::import) trimmed: u64,
    /// Whether there are more ids than are kept.
    full: bool,
}

/// What is known of a customer.
#[derive(Clone, Copy)]
pub(in crate::import) struct KnownCustomer {
    pub(in crate::import) has_row: bool,
    /// In microseconds; the least number if there is none.
    create_micros: i64,
}

impl KnownCustomer {
    pub(in crate::import) fn was_created_after(self, time: Timestamp) -> bool {
        self.create_micros > time.as_microsecond()
    }
}

impl CustomerIds {
    /// Adds a row of a customer. Returns whether there was one before.
    pub(in crate::import) fn add_customer(
        &mut self,
        id: &str,
        create_time: Option<Timestamp>,
        line: u64,
    ) -> bool {
        let create_micros = create_time.map_or(i64::MIN, Timestamp::as_microsecond);
        let customer = KnownCustomer { has_row: true, create_micros };
        let hash = self.hasher.hash_one(id);
        match self.known.get_mut(&hash) {
            Some(known) => {
                *known = customer;
                true
            }
            None => {
                self.insert(hash, id, customer, IdPlace { of_customers: true, line });
                false
            }
        }
    }

    /// Adds the customer of an interaction. None if it is not kept.
    pub(in crate::import) fn add_interaction(&mut self, id: &str, line: u64) -> Option<KnownCustomer> {
        let hash = self.hasher.hash_one(id);
        if let Some(known) = self.known.get(&hash) {
            return Some(*known);
        }
        let customer = KnownCustomer { has_row: false, create_micros: i64::MIN };
        self.insert(hash, id, customer, IdPlace { of_customers: false, line }).then_some(customer)
    }

    /// Adds what is doubtful about the ids. `place` names a line of a file.
    pub(in crate::import) fn report(&self, findings: &mut Findings, place: impl Fn(IdPlace) -> String) {
        if self.near > 0 {
            let example = |near: &NearId| {
                format!(
                    "\n    `{}` in {} and the id in {}",
                    printable(&near.id),
                    place(near.place),
                    place(near.first)
                )
            };
            let not_shown = match self.near - self.near_examples.len() as u64 {
                0 => String::new(),
                more => format!("\n    … and {} more", HumanCount(more)),
            };
            let text = format!(
                "{} from another only in upper and lower case, blanks, or `.0` at the end, so that \
                 one customer would be two:{}",
                counted(self.near, "customer id differs", "customer ids differ"),
                self.near_examples.iter().map(example).collect::<String>() + &not_shown
            );
            findings.doubt("NEARLY_SAME_IDS", self.near, text);
        }
        if self.trimmed > 0 {
            let text = format!(
                "{} blanks around the customer_id, which do not count",
                counted(self.trimmed, "row has", "rows have")
            );
            findings.note("BLANKS_AROUND_IDS", self.trimmed, text);
        }
        if self.full {
            let text = format!("only the first {} customers are compared", HumanCount(MOST_IDS as u64));
            findings.note("IDS_NOT_COMPARED", 1, text);
        }
    }

    fn insert(&mut self, hash: u64, id: &str, customer: KnownCustomer, place: IdPlace) -> bool {
        if self.known.len() == MOST_IDS {
            self.full = true;
            return false;
        }
        self.known.insert(hash, customer);
        let first = *self.spellings.entry(self.hasher.hash_one(common_spelling(id))).or_insert(place);
        if first != place {
            self.near += 1;
            if self.near_examples.len() < EXAMPLES {
                self.near_examples.push(NearId { id: id.to_owned(), place, first });
            }
        }
        true
    }
}

/// The id without what people and programs write in different ways.
fn common_spelling(id: &str) -> String {
    let id: String = id.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let whole = id.strip_suffix(".0").filter(|whole| whole.bytes().all(|byte| byte.is_ascii_digit()));
    whole.filter(|whole| !whole.is_empty()).map(str::to_owned).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_nearly_the_same_are_found() {
        let mut ids = CustomerIds::default();
        assert!(!ids.add_customer("17850", None, 2) && ids.add_customer("17850", None, 3));
        assert!(!ids.add_customer("ann@example.org", None, 4));
        for (line, id) in
            ["17850.0", "17850", "ANN@example.org", "17 850", "17850.00", "v1.0", "v1"].iter().enumerate()
        {
            ids.add_interaction(id, line as u64 + 2);
        }
        let near: Vec<_> = ids.near_examples.iter().map(|near| (near.id.as_str(), near.first.line)).collect();
        assert_eq!(near, [("17850.0", 2), ("ANN@example.org", 4), ("17 850", 2)]);
        assert_eq!((ids.near, ids.known.len()), (3, 8));
    }

    #[test]
    fn interactions_know_the_row_of_their_customer() {
        let mut ids = CustomerIds::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        ids.add_customer("a", Some(at(100)), 2);
        ids.add_customer("a", Some(at(200)), 3);
        let known = ids.add_interaction("a", 2).unwrap();
        assert!(known.has_row && known.was_created_after(at(199)) && !known.was_created_after(at(200)));
        let unknown = ids.add_interaction("b", 3).unwrap();
        assert!(!unknown.has_row && !unknown.was_created_after(at(0)));
    }
}
