//! What is relative to all customers: the limits of the ABC classes and RFM scores, the typical interval, the
//! attributes that most have, and what customers are worth. Taken from the facts of all customers, stored with the pass, applied to each of them.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{AbcBy, Facts, InsightSpec, Interval, MarginRate, TypicalInterval, ValueModel, ValueSample};
use crate::{
    history::{AttributeValue, Attributes},
    label::LabelDefinition,
    time::Time,
};

/// Shares in the settings are exact to this part of one.
const SHARE: i128 = 1_000_000;
/// What makes a profit questionable.
const NO_COST: &str = "no interaction states a cost (property `cost_minor`, or the amount of a `cost`)";

/// The facts of customers, as far as limits follow from them. Those of parts of the customers are merged.
#[derive(Clone, Debug, Default)]
pub struct PopulationSample {
    customers: u64,
    buyers: Vec<SampledBuyer>,
    intervals: Vec<Interval>,
    attributes: BTreeMap<String, AttributeTypes>,
    value: ValueSample,
    contact_kinds: u64,
    costs_recorded: bool,
    beyond_range: u64,
}

/// A customer with a purchase in the window.
#[derive(Clone, Copy, Debug)]
struct SampledBuyer {
    /// What the ABC classes go by.
    value: i64,
    recency_days: i64,
    orders: i64,
    net: i64,
}

/// How many customers have a value of each type of an attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeTypes {
    /// With a number.
    pub numbers: u64,
    /// With true or false.
    pub booleans: u64,
    /// With a text.
    pub texts: u64,
}

impl AttributeTypes {
    /// How many customers have a value.
    #[must_use]
    pub const fn customers(&self) -> u64 {
        self.numbers + self.booleans + self.texts
    }

    fn add(&mut self, other: Self) {
        self.numbers += other.numbers;
        self.booleans += other.booleans;
        self.texts += other.texts;
    }
}

impl From<&AttributeValue> for AttributeTypes {
    fn from(value: &AttributeValue) -> Self {
        let none = Self::default();
        match value {
            AttributeValue::Number(_) => Self { numbers: 1, ..none },
            AttributeValue::Boolean(_) => Self { booleans: 1, ..none },
            AttributeValue::Text(_) => Self { texts: 1, ..none },
        }
    }
}

impl PopulationSample {
    /// Adds a customer with the attributes that it had then.
    pub fn add(&mut self, facts: &Facts, attributes: Option<&Attributes>, as_of: Time, spec: &InsightSpec) {
        self.customers += 1;
        self.contact_kinds |= facts.contact_kinds;
        self.costs_recorded |= facts.cost_stated;
        self.beyond_range += u64::from(facts.ever.is_cut());
        for (name, value) in attributes.into_iter().flatten() {
            let types = AttributeTypes::from(value);
            match self.attributes.get_mut(name) {
                Some(known) => known.add(types),
                None => drop(self.attributes.insert(name.clone(), types)),
            }
        }
        let Some(purchases) = facts.purchases else { return };
        self.value.add(facts, as_of);
        self.intervals.extend(purchases.own_interval());
        if facts.window.orders > 0 {
            self.buyers.push(SampledBuyer {
                value: abc_value(facts, spec),
                recency_days: purchases.recency_days(as_of),
                orders: facts.window.orders,
                net: facts.window.net(),
            });
        }
    }

    /// Adds other customers.
    pub fn merge(&mut self, other: Self) {
        self.customers += other.customers;
        self.contact_kinds |= other.contact_kinds;
        self.costs_recorded |= other.costs_recorded;
        self.beyond_range += other.beyond_range;
        self.buyers.extend(other.buyers);
        self.intervals.extend(other.intervals);
        self.value.merge(other.value);
        for (name, types) in other.attributes {
            self.attributes.entry(name).or_default().add(types);
        }
    }

    /// The limits that follow.
    #[must_use]
    pub fn population(self, as_of: Time, spec: &InsightSpec) -> Population {
        let (mut a_from, mut b_from) = (None, None);
        let mut values: Vec<i64> =
            self.buyers.iter().map(|buyer| buyer.value).filter(|value| *value > 0).collect();
        values.sort_unstable_by_key(|value| Reverse(*value));
        let total: i128 = values.iter().map(|value| i128::from(*value)).sum();
        let mut greater: i128 = 0;
        for equal in values.chunk_by(|a, b| a == b) {
            let below = |share: f64| greater * SHARE < (share * SHARE as f64).round() as i128 * total;
            if below(spec.abc.a_share) {
                a_from = equal.first().copied();
            }
            if below(spec.abc.b_share) {
                b_from = equal.first().copied();
            }
            greater += equal.iter().map(|value| i128::from(*value)).sum::<i128>();
        }
        let cuts = |key: fn(&SampledBuyer) -> i64| ScoreCuts::of(self.buyers.iter().map(key).collect());
        let typical_interval = match spec.life_cycle.typical_interval_days {
            TypicalInterval::Days(days) => Interval::days(days),
            TypicalInterval::Auto => Interval::median(self.intervals).unwrap_or(Interval::DEFAULT),
        };
        Population {
            as_of,
            spec: spec.clone(),
            customers: self.customers,
            typical_interval,
            a_from,
            b_from,
            // A greater recency is a worse one.
            recency: cuts(|buyer| -buyer.recency_days),
            frequency: cuts(|buyer| buyer.orders),
            money: cuts(|buyer| buyer.net),
            attributes: self.attributes,
            value: ValueModel::fit(&self.value, &spec.value),
            fit_seconds: 0.0,
            contacts_recorded: self.contact_kinds != 0,
            contact_kinds_recorded: Some(self.contact_kinds),
            costs_recorded: Some(self.costs_recorded),
            beyond_range: self.beyond_range,
            models: Vec::new(),
            outcomes: Vec::new(),
            silences: Vec::new(),
        }
    }
}

/// What the ABC classes go by.
pub(super) const fn abc_value(facts: &Facts, spec: &InsightSpec) -> i64 {
    match spec.abc.by {
        AbcBy::Net => facts.window.net(),
        AbcBy::Profit => facts.window.profit(),
    }
}

/// All customers at a moment, as far as one is compared with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// The moment.
    pub as_of: Time,
    /// The definitions that the limits follow from.
    pub spec: InsightSpec,
    /// The customers.
    pub customers: u64,
    /// The typical interval between two purchase days.
    pub typical_interval: Interval,
    /// The least value in class A; None when nobody brings anything.
    pub(super) a_from: Option<i64>,
    /// The least value in the classes A and B.
    pub(super) b_from: Option<i64>,
    pub(super) recency: ScoreCuts,
    pub(super) frequency: ScoreCuts,
    pub(super) money: ScoreCuts,
    /// The attributes that customers have.
    pub attributes: BTreeMap<String, AttributeTypes>,
    /// What customers are worth.
    pub value: ValueModel,
    /// How long the limits and the fit took; 0 where nobody has measured it.
    pub fit_seconds: f64,
    /// Whether a contact with any customer is known.
    #[serde(default)]
    pub contacts_recorded: bool,
    /// Which contact kinds there are interactions of, as [`Facts::contact_kinds`]; None of populations that were stored
    /// before this was noted.
    #[serde(default)]
    pub contact_kinds_recorded: Option<u64>,
    /// Whether a cost of any customer is known, be it 0; None of populations that were stored before this was noted.
    #[serde(default)]
    pub costs_recorded: Option<bool>,
    /// Customers whose money is beyond the range of 64 bits ([`Money::is_cut`](super::Money::is_cut)).
    #[serde(default)]
    pub beyond_range: u64,
    /// The names of the models that score the customers, such as `churn/7`.
    #[serde(default)]
    pub models: Vec<String>,
    /// What these models predict.
    #[serde(default)]
    pub outcomes: Vec<LabelDefinition>,
    /// That the data of what they predict stop long before the moment, so that everybody looks inactive, in words.
    #[serde(default)]
    pub silences: Vec<String>,
}

impl Population {
    /// Nobody: without other customers, nothing is relative to them, and the typical interval is the default.
    #[must_use]
    pub fn nobody(as_of: Time, spec: &InsightSpec) -> Self {
        PopulationSample::default().population(as_of, spec)
    }

    /// Whether the same customer has the same class, stage, value and probabilities in both, as far as they follow from
    /// definitions: a change between the two is then a change of the customer. A model may be missing in one of them.
    #[must_use]
    pub fn is_comparable_with(&self, other: &Self) -> bool {
        let same_outcomes = self
            .outcomes
            .iter()
            .all(|own| other.outcomes.iter().all(|others| own.target != others.target || own == others));
        same_outcomes && self.spec.values_as(&other.spec)
    }

    /// The warning that the margin of the lifetime values follows from no cost. None when it is configured or a cost is
    /// known.
    #[must_use]
    pub fn margin_warning(&self) -> Option<String> {
        let value = &self.value;
        (value.spec.margin_rate == MarginRate::Auto && self.is_without_costs()).then(|| {
            format!(
                "{NO_COST}, so that all that is not returned counts as profit, {:.1} % of the revenue: lifetime values are \
                 too great by what goods and service cost. `margin_rate` in the settings gives the true share",
                100.0 * value.margin_rate
            )
        })
    }

    /// Whether there are buyers and no cost of any customer is known.
    fn is_without_costs(&self) -> bool {
        self.buyers() > 0 && self.costs_recorded == Some(false)
    }

    /// The warning that classes by profit are classes by net revenue. None when they are not by profit or a cost is known.
    #[must_use]
    pub fn profit_warning(&self) -> Option<String> {
        (self.spec.abc.by == AbcBy::Profit && self.is_without_costs()).then(|| {
            format!(
                "{NO_COST}, so that profit is net revenue, and the classes by profit are those by net revenue"
            )
        })
    }

    /// The warning that sums count less than the amounts of some customers. None when all money fits.
    #[must_use]
    pub fn range_warning(&self) -> Option<String> {
        (self.beyond_range > 0).then(|| {
            format!(
                "money beyond the range of 64 bits, {} minor units, is counted as the end of the range; customers with such \
                 money: {}. Are their amounts right?",
                i64::MAX,
                self.beyond_range
            )
        })
    }

    /// How many of the customers have bought.
    #[must_use]
    pub const fn buyers(&self) -> usize {
        self.value.bg_nbd.customers
    }

    /// The attributes that at least half of the customers have, by name.
    pub fn common_attributes(&self) -> impl Iterator<Item = &str> {
        let common = |types: &AttributeTypes| 2 * types.customers() >= self.customers;
        self.attributes.iter().filter(move |(_, types)| common(types)).map(|(name, _)| name.as_str())
    }
}

/// The limits between the scores 1 to 5 of a number of which more is better: a score is 1 + ⌊5 · (customers strictly
/// worse) / n⌋, so that a value has a score of k or more when it is above a certain one of the n.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ScoreCuts(Vec<i64>);

impl ScoreCuts {
    fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let n = values.len();
        // 5 · worse / n is k or more when at least ⌈k · n / 5⌉ values are strictly less.
        let cut = |k: usize| values.get((k * n).div_ceil(5).checked_sub(1)?).copied();
        Self((1..5).filter_map(cut).collect())
    }

    pub(super) fn score(&self, value: i64) -> u8 {
        1 + self.0.iter().filter(|cut| value > **cut).count() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::{AbcClass, Money, PurchaseDays, abc_class};

    fn buyer(revenue: i64, returns: i64) -> Facts {
        let money = Money { revenue, returns, cost: 0, orders: 1 };
        let purchases = PurchaseDays { first_purchase: Time(0), last_purchase: Time(0), count: 1 };
        Facts { window: money, ever: money, purchases: Some(purchases), ..Facts::default() }
    }

    fn classes(nets: &[i64]) -> String {
        let spec = InsightSpec::default();
        let mut sample = PopulationSample::default();
        for net in nets {
            sample.add(&buyer(*net, 0), None, Time(0), &spec);
        }
        let population = sample.population(Time(0), &spec);
        nets.iter().map(|net| abc_class(&buyer(*net, 0), &population).name()).collect()
    }

    #[test]
    fn the_customer_who_crosses_the_limit_is_still_in_the_class() {
        // 80 of 100 are strictly more than the second.
        assert_eq!(classes(&[80, 15, 5]), "ABC");
        assert_eq!(classes(&[79, 15, 6]), "AAB");
        assert_eq!(classes(&[100]), "A");
        assert_eq!(classes(&[40, 40, 15, 5]), "AABC");
        // Equal values have equal classes.
        assert_eq!(classes(&[10; 10]), "AAAAAAAAAA");
        assert_eq!(classes(&[0, -5]), "CC");
        assert_eq!(classes(&[10, 0, -100]), "ACC");
    }

    #[test]
    fn without_a_purchase_in_the_window_there_is_no_class() {
        let population = Population::nobody(Time(0), &InsightSpec::default());
        assert_eq!(abc_class(&Facts::default(), &population), AbcClass::None);
        assert_eq!(abc_class(&buyer(10, 0), &population), AbcClass::C);
    }

    #[test]
    fn scores_count_who_is_strictly_worse() {
        for values in
            [vec![1, 2, 3, 4, 5], vec![1, 1, 1, 1], vec![3, 1, 2], (0..103).collect(), vec![7], vec![]]
        {
            let cuts = ScoreCuts::of(values.clone());
            for value in -1..=104 {
                let worse = values.iter().filter(|other| **other < value).count();
                let score = (5 * worse).checked_div(values.len()).map_or(1, |fifths| 1 + fifths.min(4));
                assert_eq!(usize::from(cuts.score(value)), score, "{value} in {values:?}");
            }
        }
    }

    #[test]
    fn attributes_of_half_of_the_customers_are_common() {
        let (spec, mut sample) = (InsightSpec::default(), PopulationSample::default());
        let attributes = |names: &[&str]| -> Attributes {
            names.iter().map(|name| ((*name).to_owned(), AttributeValue::Number(1.0))).collect()
        };
        sample.add(&Facts::default(), Some(&attributes(&["a", "b"])), Time(0), &spec);
        let mut other = PopulationSample::default();
        other.add(&Facts::default(), Some(&attributes(&["b"])), Time(0), &spec);
        other.add(&Facts::default(), None, Time(0), &spec);
        sample.merge(other);
        let population = sample.population(Time(0), &spec);
        assert_eq!(population.common_attributes().collect::<Vec<_>>(), ["b"]);
        assert_eq!((population.customers, population.attributes["a"].customers()), (3, 1));
        let text = serde_json::to_string(&population).unwrap();
        assert_eq!(serde_json::from_str::<Population>(&text).unwrap(), population);
    }
}
