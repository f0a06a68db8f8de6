//! From a spec and the counts to a plan: [`DataProfile::plan`].

use std::cmp::Reverse;

use super::{
    DataProfile,
    counts::{AttributeCounts, PropertyCounts, most_frequent},
};
use crate::{
    features::{Category, Habits, Plan, Scale},
    history::{is_identifier, kind},
    spec::{ChurnSpec, FeaturesSpec, Selector, split_property},
};

/// The most kinds with features of their own.
const KINDS: usize = 12;
/// The most numeric properties of one kind, and of all kinds, with features of their own.
const PROPERTIES_OF_A_KIND: usize = 4;
const PROPERTIES: usize = 12;
/// The most values of a category with a column of their own.
const LEVELS: usize = 20;
/// A value of fewer customers has no column of its own: it is "other".
const RARE: u64 = 10;
/// The most attributes.
const ATTRIBUTES: usize = 200;

impl DataProfile {
    /// The kinds of interaction that begin a relation which a `cancel` ends: those that the spec lists, or those of
    /// `signup`, `subscribe`, `renewal` and `purchase` that occur.
    #[must_use]
    pub fn start_kinds(&self, spec: &ChurnSpec) -> Vec<String> {
        let usual = [kind::SIGNUP, kind::SUBSCRIBE, kind::RENEWAL, kind::PURCHASE];
        match &spec.start_kinds {
            Selector::List(names) => names.clone(),
            Selector::Auto => {
                usual.into_iter().filter(|kind| self.kinds.contains_key(*kind)).map(str::to_owned).collect()
            }
        }
    }

    /// Resolves the spec against the counts. A listed kind or attribute that does not occur gets its features
    /// all the same; they never vary and are dropped later.
    #[must_use]
    pub fn plan(&self, spec: &FeaturesSpec) -> Plan {
        let kinds = match &spec.kinds {
            Selector::List(names) => names.clone(),
            Selector::Auto => self.frequent_kinds(),
        };
        let names = match &spec.attributes {
            Selector::List(names) => names.clone(),
            Selector::Auto => self.frequent_attributes(),
        };
        let (properties, categories) = self.properties_and_categories(&spec.properties, &kinds, &names);
        let scale = |name: &str| self.attributes.get(name).map_or(Scale::Number, AttributeCounts::scale);
        let attributes = names.into_iter().map(|name| (name.clone(), scale(&name))).collect();
        let habits = Habits {
            trends: !kinds.is_empty(),
            gap_variation: kinds.iter().any(|kind| kind == kind::PURCHASE),
            discount: self.discount(&kinds),
            channels: self.channels(),
            categories,
            ..Habits::default()
        };
        let windows_days = spec.windows_days.clone();
        Plan { windows_days, kinds, properties, attributes, habits, ..Plan::default() }
    }

    /// The numeric properties, and the categorical ones, for these kinds and beside these attributes. A listed property
    /// is categorical when it is mostly text.
    fn properties_and_categories(
        &self,
        spec: &Selector,
        kinds: &[String],
        attributes: &[String],
    ) -> (Vec<(String, String)>, Vec<Category>) {
        let Selector::List(names) = spec else {
            return (self.informative_properties(kinds), self.informative_categories(kinds, attributes));
        };
        let own = |(kind, name): (&str, &str)| (kind.to_owned(), name.to_owned());
        let mut listed: Vec<_> = names.iter().filter_map(|name| split_property(name).map(own)).collect();
        let categories = self.listed_categories(&listed);
        let is_number = |(kind, name): &(String, String)| {
            !categories.iter().any(|category| category.kind == *kind && category.property == *name)
        };
        listed.retain(is_number);
        (listed, categories)
    }

    /// The property of a purchase that says by how much it was discounted: of the numbers whose name has a word for
    /// it, the one that most purchases carry, provided that it varies or is not carried by all. None when purchases
    /// get no features.
    fn discount(&self, kinds: &[String]) -> Option<String> {
        let purchases = self.kinds.get(kind::PURCHASE).copied().unwrap_or(0);
        let is_of_some = |counts: &PropertyCounts| {
            counts.is_number()
                && counts.high > 0.0
                && (counts.low < counts.high || counts.carried() < purchases)
        };
        let found = self.properties.iter().filter(|((kind, name), counts)| {
            kind == kind::PURCHASE && kinds.contains(kind) && is_discount(name) && is_of_some(counts)
        });
        let most = found.min_by_key(|((_, name), counts)| (Reverse(counts.carried()), name.as_str()));
        most.map(|((_, name), _)| name.clone())
    }

    /// The most frequent kinds; purchases are among them wherever they occur, since both targets depend on them.
    fn frequent_kinds(&self) -> Vec<String> {
        let mut kinds = most_frequent(&self.kinds, KINDS);
        if self.kinds.contains_key(kind::PURCHASE) && !kinds.iter().any(|known| known == kind::PURCHASE) {
            kinds.truncate(KINDS - 1);
            kinds.push(kind::PURCHASE.to_owned());
        }
        kinds
    }

    /// The most frequent attributes, by name.
    fn frequent_attributes(&self) -> Vec<String> {
        let counts = self.attributes.iter().map(|(name, counts)| (name.clone(), counts.count())).collect();
        let mut names = most_frequent(&counts, ATTRIBUTES);
        names.sort();
        names
    }

    /// The most frequent informative properties of these kinds, of each kind and of all.
    fn informative_properties(&self, kinds: &[String]) -> Vec<(String, String)> {
        let mut found: Vec<_> =
            self.properties.iter().filter(|(name, counts)| self.is_informative(name, counts)).collect();
        found.sort_by_key(|(name, counts)| (Reverse(counts.carried()), *name));
        let mut chosen: Vec<(String, String)> = Vec::new();
        for (name, _) in found {
            let of_kind = chosen.iter().filter(|(kind, _)| *kind == name.0).count();
            if kinds.contains(&name.0) && of_kind < PROPERTIES_OF_A_KIND && chosen.len() < PROPERTIES {
                chosen.push(name.clone());
            }
        }
        chosen
    }

    /// Whether a property is likely to be informative: a number in at least 95 % of the interactions that have
    /// it, present in at least half of the interactions of its kind, not constant, and not named like an id. The
    /// properties of a survey's answer have a feature of their own.
    fn is_informative(&self, key: &(String, String), counts: &PropertyCounts) -> bool {
        let (kind, name) = (key.0.as_str(), key.1.as_str());
        let of_survey = kind == kind::SURVEY && [kind::SCORE, kind::EXPECTED].contains(&name);
        !of_survey && counts.is_number() && self.is_carried_by_half(key, counts) && counts.low < counts.high
    }

    /// Whether at least half of the interactions of its kind carry a property, whose name can be that of a feature and
    /// is not that of an id.
    pub(super) fn is_carried_by_half(
        &self,
        (kind, name): &(String, String),
        counts: &PropertyCounts,
    ) -> bool {
        // The name of a feature has its property behind the last dot.
        !(name.contains('.') || is_identifier(name))
            && 2 * counts.carried() >= self.kinds.get(kind).copied().unwrap_or(0)
    }
}

impl AttributeCounts {
    /// The scale that fits the values: a number when nearly all are numbers, so that a few other texts, which are
    /// then missing, do not cost the attribute; otherwise values of mixed types are a category.
    fn scale(&self) -> Scale {
        match self {
            Self { numbers, .. } if 100 * numbers >= 95 * self.count() => Scale::Number,
            Self { numbers: 0, texts: 0, .. } => Scale::Boolean,
            Self { levels, .. } => {
                let mut counts = levels.clone();
                counts.retain(|_, count| *count >= RARE);
                Scale::Category { levels: most_frequent(&counts, LEVELS) }
            }
        }
    }
}

/// Whether a property of this name says by how much a price was reduced: `discount`, `discount_percent`,
/// `couponValue`.
fn is_discount(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["discount", "rebate", "coupon", "voucher", "markdown"].iter().any(|word| lower.contains(word))
        && !is_identifier(name)
}
