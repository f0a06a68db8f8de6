//! Customers of a few interactions, for the edges.

use std::collections::BTreeMap;

use tally_model::features::{Plan, Scale};

use crate::reference::{Customer, Interaction, MICROSECONDS_A_DAY, Moment};

pub const AS_OF: i64 = 19_800 * MICROSECONDS_A_DAY + 12 * 3_600_000_000;
pub const NOW: Moment = Moment { as_of: AS_OF, known_at: AS_OF };

/// An interaction of a kind, this many microseconds before `AS_OF`, known at once.
pub fn ago(kind: &'static str, microseconds: i64) -> Interaction {
    let occur = AS_OF - microseconds;
    Interaction {
        id: String::new(),
        kind,
        occur,
        record: occur,
        retract: None,
        amount: Some(100),
        channel: "",
        survey: None,
        properties: BTreeMap::new(),
    }
}

/// A visit with a property `minutes`.
pub fn minutes(text: &'static str, microseconds: i64) -> Interaction {
    Interaction { properties: [("minutes", text)].into(), ..ago("visit", microseconds) }
}

/// A customer of these interactions, whose ids rise in the order given.
pub fn with(interactions: impl IntoIterator<Item = Interaction>) -> Customer {
    let numbered = interactions.into_iter().enumerate();
    let interactions = numbered.map(|(n, i)| Interaction { id: format!("{n:05}"), ..i }).collect();
    Customer { interactions, versions: Vec::new() }
}

/// The value of the feature of this name in a plan of visits and purchases in windows of 7 and 30 days.
pub fn value(customer: &Customer, at: Moment, name: &str) -> f64 {
    let kinds = ["visit", "purchase"].map(str::to_owned).to_vec();
    let properties = vec![("visit".to_owned(), "minutes".to_owned())];
    let attributes = vec![("a".to_owned(), Scale::Number)];
    let plan = Plan { windows_days: vec![7, 30], kinds, properties, attributes, ..Plan::default() };
    let place = plan.measures().iter().position(|measure| measure.to_string() == name).unwrap();
    customer.row(&plan, at)[place]
}
