//! The segmentations: ways to divide all customers into segments.

use std::{fmt, str::FromStr};

use super::{
    AbcClass, LifeCycle, Population, TypicalInterval, ValueLoyalty,
    spec::{AbcBy, NONE, OTHER},
};
use crate::counted;

/// A way to divide all customers into segments; each customer is in one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segmentation {
    /// By what they bring.
    Abc,
    /// By recency, frequency and money, in segments with names.
    Rfm,
    /// By the three scores.
    RfmCell,
    /// By the stage of the relation.
    LifeCycle,
    /// By value and loyalty.
    ValueLoyalty,
    /// By the values of an attribute; the segment of those without one has an empty name.
    Attribute(String),
}

/// A text names no segmentation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no segmentation; allowed are abc, rfm, rfm_cell, life_cycle, value_loyalty and attribute:NAME")]
pub struct UnknownSegmentation;

/// What the name of an attribute follows.
const ATTRIBUTE: &str = "attribute:";

impl FromStr for Segmentation {
    type Err = UnknownSegmentation;

    fn from_str(text: &str) -> Result<Self, UnknownSegmentation> {
        let fixed = [Self::Abc, Self::Rfm, Self::RfmCell, Self::LifeCycle, Self::ValueLoyalty];
        let attribute = text.strip_prefix(ATTRIBUTE).map(str::trim).filter(|name| !name.is_empty());
        match attribute {
            Some(name) => Ok(Self::Attribute(name.to_owned())),
            None => fixed
                .into_iter()
                .find(|segmentation| segmentation.to_string() == text)
                .ok_or(UnknownSegmentation),
        }
    }
}

impl fmt::Display for Segmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abc => f.write_str("abc"),
            Self::Rfm => f.write_str("rfm"),
            Self::RfmCell => f.write_str("rfm_cell"),
            Self::LifeCycle => f.write_str("life_cycle"),
            Self::ValueLoyalty => f.write_str("value_loyalty"),
            Self::Attribute(name) => write!(f, "{ATTRIBUTE}{name}"),
        }
    }
}

impl Segmentation {
    /// The segments that it always has, in order. Those of RFM cells and attributes depend on the customers.
    #[must_use]
    pub fn segments(&self, population: &Population) -> Option<Vec<String>> {
        let named = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect();
        match self {
            Self::Abc => Some(named(&mut AbcClass::ALL.into_iter().map(AbcClass::name))),
            Self::LifeCycle => Some(named(&mut LifeCycle::ALL.into_iter().map(LifeCycle::name))),
            Self::ValueLoyalty => Some(named(&mut ValueLoyalty::ALL.into_iter().map(ValueLoyalty::name))),
            Self::Rfm => {
                let names = population.spec.rfm.segment.iter().map(|segment| segment.name.clone());
                Some(names.chain([OTHER, NONE].map(str::to_owned)).collect())
            }
            Self::RfmCell | Self::Attribute(_) => None,
        }
    }

    /// What makes the segments questionable: classes by a profit without costs, or an attribute that nobody has.
    #[must_use]
    pub fn warning(&self, population: &Population) -> Option<String> {
        match self {
            Self::Abc | Self::ValueLoyalty => population.profit_warning(),
            Self::Attribute(name) if !population.attributes.contains_key(name) => Some(format!(
                "no customer has the attribute `{name}`; `tally insights attributes` lists those that customers have"
            )),
            Self::Rfm | Self::RfmCell | Self::LifeCycle | Self::Attribute(_) => None,
        }
    }

    /// What the segments mean, in words.
    #[must_use]
    pub fn definition(&self, population: &Population) -> String {
        let spec = &population.spec;
        let days = counted(spec.window_days, "day", "days");
        let cycle = &spec.life_cycle;
        match self {
            Self::Abc => {
                let [a, b] = [spec.abc.a_share, spec.abc.b_share].map(percent);
                let by = match spec.abc.by {
                    AbcBy::Net => "net revenue",
                    AbcBy::Profit => "profit",
                };
                format!(
                    "A: the customers who bring the first {a} % of the {by} of the {days}; B: up to {b} %; C: \
                     the others who bought in them; none: no purchase in them"
                )
            }
            Self::Rfm => format!(
                "segments of the scores for recency, frequency and money (5 is best, each a fifth of the customers \
                 who bought in the {days}); none: no purchase in them"
            ),
            Self::RfmCell => format!(
                "the scores for recency, frequency and money as three digits (5 is best, each a fifth of the \
                 customers who bought in the {days}); none: no purchase in them"
            ),
            Self::LifeCycle => format!(
                "lead: never bought; new: one purchase day; growing: up to {}; mature: more; won_back: the last \
                 purchase ended a loss; declining: overdue by more than {} expected intervals; lost: by {}, or \
                 cancelled. The typical interval is {:.1} days{}",
                cycle.mature_from - 1,
                cycle.declining_after,
                cycle.lost_after,
                population.typical_interval.as_days(),
                if cycle.typical_interval_days == TypicalInterval::Auto { "" } else { ", as configured" },
            ),
            Self::ValueLoyalty => format!(
                "high: class A and 60 loyalty points or more; potential: one of the two; low: neither; none: no \
                 purchase in the {days}"
            ),
            Self::Attribute(name) => format!("the values of the attribute `{name}`; empty: no value"),
        }
    }
}

/// A share in percent, to a ten-thousandth: times 100, 0.55 is 55.00000000000001.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{insight::InsightSpec, time::Time};

    #[test]
    fn names_are_read_and_written() {
        for text in ["abc", "rfm", "rfm_cell", "life_cycle", "value_loyalty", "attribute:country"] {
            assert_eq!(text.parse::<Segmentation>().unwrap().to_string(), text);
        }
        for text in ["", "ABC", "attribute", "attribute:", "attribute: "] {
            assert_eq!(text.parse::<Segmentation>(), Err(UnknownSegmentation));
        }
    }

    #[test]
    fn definitions_have_the_numbers_of_the_settings() {
        let spec = InsightSpec::parse("window_days = 180\n[life_cycle]\ntypical_interval_days = 30").unwrap();
        let population = Population::nobody(Time(0), &spec);
        assert!(
            Segmentation::Abc
                .definition(&population)
                .contains("first 80 % of the net revenue of the 180 days")
        );
        let spec = InsightSpec::parse("[abc]\na_share = 0.55\nb_share = 0.8725").unwrap();
        let words = Segmentation::Abc.definition(&Population::nobody(Time(0), &spec));
        assert!(words.contains("first 55 % of") && words.contains("up to 87.25 %;"), "{words}");
        let words = Segmentation::LifeCycle.definition(&population);
        assert!(
            words.contains("growing: up to 4; ") && words.ends_with("30.0 days, as configured"),
            "{words}"
        );
        assert_eq!(Segmentation::Rfm.segments(&population).unwrap().len(), 9);
    }
}
