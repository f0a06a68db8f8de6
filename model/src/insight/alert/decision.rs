//! What a rule finds. Texts name numbers, money, grades and times only: who it is about stands beside them.

use super::{MoneyFormat, rules::Condition};
use crate::{
    apart,
    insight::{AbcClass, LifeCycle, value_at_risk},
    scoring::Grade,
};

/// What a pass says of a customer, as far as rules look at it.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerState {
    /// The ABC class.
    pub abc: AbcClass,
    /// The stage of the relation.
    pub life_cycle: LifeCycle,
    /// The probability that it leaves, of a buyer, when there was a champion.
    pub churn_probability: Option<f64>,
    /// The grade of that.
    pub churn_grade: Option<Grade>,
    /// The probability that a lead buys, when there was a champion.
    pub lead_probability: Option<f64>,
    /// The grade of that.
    pub lead_grade: Option<Grade>,
    /// The customer lifetime value, in minor units.
    pub clv: Option<i64>,
}

/// A customer in a pass, and in the pass before.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerChange {
    /// The customer.
    pub customer_id: String,
    /// What the pass before says; None when the customer did not exist then.
    pub before: Option<CustomerState>,
    /// What the pass says.
    pub now: CustomerState,
}

/// Why a rule alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The reason as a sentence.
    pub message: String,
    /// The number that the rule is about: a probability, minor units, hours, days, a PSI or an AUC.
    pub value: Option<f64>,
    /// The same number before.
    pub previous: Option<f64>,
    /// The limit of the rule, or what the number is compared with.
    pub limit: Option<f64>,
}

impl Finding {
    /// A finding about a number above a limit.
    #[must_use]
    pub const fn above(message: String, value: f64, limit: f64) -> Self {
        Self { message, value: Some(value), previous: None, limit: Some(limit) }
    }

    /// A finding without a number.
    #[must_use]
    pub const fn plain(message: String) -> Self {
        Self { message, value: None, previous: None, limit: None }
    }
}

impl CustomerState {
    /// The value at risk of the worklist, where the probability to leave is known: rules do not alert because of a model
    /// that is missing.
    fn value_at_risk(&self) -> Option<i64> {
        self.churn_probability?;
        value_at_risk(self.life_cycle, self.clv, self.churn_probability)
    }
}

/// A probability in percent. It is never exactly 0 or 1, and is not written as such.
fn percent(probability: f64) -> String {
    match 100.0 * probability {
        percent if percent < 0.05 => "<0.1 %".to_owned(),
        percent if percent > 99.95 => ">99.9 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// Two probabilities in percent, with as many decimals as show that they differ.
fn percent_apart(probabilities: [f64; 2]) -> [String; 2] {
    let short = probabilities.map(percent);
    if short[0] != short[1] {
        return short;
    }
    apart(probabilities.map(|probability| 100.0 * probability), 2).map(|percent| format!("{percent} %"))
}

impl CustomerChange {
    /// What a rule about customers finds; None for rules about anything else. Its text has money in this format.
    #[must_use]
    pub fn finding(&self, condition: &Condition, format: &MoneyFormat) -> Option<Finding> {
        match condition {
            Condition::GradeFell { abc } => self.is_among(abc).then(|| self.fallen_grade()).flatten(),
            Condition::ProbabilityRose { by, abc } => {
                self.is_among(abc).then(|| self.risen_probability(*by)).flatten()
            }
            Condition::ValueAtRisk { above_minor, abc } => {
                self.is_among(abc).then(|| self.value_at_risk(*above_minor, format)).flatten()
            }
            Condition::LeadHot => self.hot_lead(),
            _ => None,
        }
    }

    fn is_among(&self, abc: &[AbcClass]) -> bool {
        abc.is_empty() || abc.contains(&self.now.abc)
    }

    fn fallen_grade(&self) -> Option<Finding> {
        let before = self.before.as_ref()?;
        let grade = before.churn_grade.filter(|grade| *grade != Grade::D)?;
        let (value, previous) = (self.now.churn_probability, before.churn_probability);
        // The probabilities show whether it is a small step over the limit or a large one.
        let probability = previous.zip(value).map_or_else(String::new, |(before, now)| {
            let [from, to] = percent_apart([before, now]);
            format!(", P(churn) from {from} to {to}")
        });
        let message = format!("the churn grade fell from {grade:?} to D{probability}");
        let finding = Finding { value, previous, ..Finding::plain(message) };
        (self.now.churn_grade == Some(Grade::D)).then_some(finding)
    }

    fn risen_probability(&self, by: f64) -> Option<Finding> {
        let (before, now) = (self.before.as_ref()?.churn_probability?, self.now.churn_probability?);
        (now - before > by).then(|| {
            let [from, to] = percent_apart([before, now]);
            let message = format!("P(churn) rose from {from} to {to}");
            Finding { previous: Some(before), ..Finding::above(message, now, by) }
        })
    }

    fn value_at_risk(&self, above: i64, format: &MoneyFormat) -> Option<Finding> {
        let now = self.now.value_at_risk()?;
        let before = self.before.as_ref().and_then(CustomerState::value_at_risk);
        (now > above && before.is_none_or(|before| before <= above)).then(|| {
            let [at_risk, limit] = [now, above].map(|minor| format.money(minor));
            let message = format!("the value at risk is {at_risk}, above {limit}");
            let previous = before.map(|before| before as f64);
            Finding { previous, ..Finding::above(message, now as f64, above as f64) }
        })
    }

    fn hot_lead(&self) -> Option<Finding> {
        let grade = self.before.as_ref().and_then(|before| before.lead_grade);
        let previous = self.before.as_ref().and_then(|before| before.lead_probability);
        (self.now.lead_grade == Some(Grade::A) && grade != Some(Grade::A)).then(|| {
            let value = self.now.lead_probability;
            let from = grade.map_or_else(String::new, |grade| format!(", after {grade:?}"));
            let probability = match (previous, value) {
                (Some(before), Some(now)) => {
                    let [from, to] = percent_apart([before, now]);
                    format!(", P(buy) from {from} to {to}")
                }
                (None, Some(now)) => format!(", P(buy) {}", percent(now)),
                (_, None) => String::new(),
            };
            let message = format!("the lead became grade A{from}{probability}");
            Finding { value, previous, ..Finding::plain(message) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_probabilities_differ_in_percent_and_none_is_certain() {
        assert_eq!(percent_apart([0.996, 0.99977]), ["99.6 %", ">99.9 %"]);
        assert_eq!(percent_apart([0.0001, 0.32]), ["<0.1 %", "32.0 %"]);
        assert_eq!(percent_apart([0.81234, 0.81211]), ["81.23 %", "81.21 %"]);
    }

    fn state(probability: f64, churn: Grade, clv: i64) -> CustomerState {
        CustomerState {
            abc: AbcClass::A,
            life_cycle: LifeCycle::Mature,
            churn_probability: Some(probability),
            churn_grade: Some(churn),
            lead_probability: None,
            lead_grade: None,
            clv: Some(clv),
        }
    }

    fn euro() -> MoneyFormat {
        MoneyFormat { currency: Some("EUR".to_owned()), decimals: 2 }
    }

    fn lead(probability: f64, grade: Grade) -> CustomerState {
        CustomerState {
            abc: AbcClass::None,
            life_cycle: LifeCycle::Lead,
            churn_probability: None,
            churn_grade: None,
            lead_probability: Some(probability),
            lead_grade: Some(grade),
            clv: None,
        }
    }

    fn found(before: Option<CustomerState>, now: CustomerState, condition: &Condition) -> Option<String> {
        let change = CustomerChange { customer_id: "ada".into(), before, now };
        change.finding(condition, &euro()).map(|finding| finding.message)
    }

    #[test]
    fn a_grade_falls_to_d_once() {
        let rule = Condition::GradeFell { abc: Vec::new() };
        let (good, bad) = (state(0.2, Grade::B, 1), state(0.8, Grade::D, 1));
        let fell = found(Some(good.clone()), bad.clone(), &rule);
        assert_eq!(fell.as_deref(), Some("the churn grade fell from B to D, P(churn) from 20.0 % to 80.0 %"));
        assert_eq!(found(Some(bad.clone()), bad.clone(), &rule), None);
        assert_eq!(found(Some(good.clone()), state(0.5, Grade::C, 1), &rule), None);
        assert_eq!(found(None, bad.clone(), &rule), None, "it has no grade to fall from");
        assert_eq!(found(Some(lead(0.9, Grade::A)), bad.clone(), &rule), None, "it was a lead");
        let of_class = |abc| found(Some(good.clone()), bad.clone(), &Condition::GradeFell { abc });
        assert!(of_class(vec![AbcClass::B, AbcClass::A]).is_some());
        assert_eq!(of_class(vec![AbcClass::B]), None);
    }

    #[test]
    fn a_probability_rises_by_more_than_the_limit() {
        let rule = Condition::ProbabilityRose { by: 0.25, abc: Vec::new() };
        let rose = |before, now| found(Some(state(before, Grade::C, 1)), state(now, Grade::C, 1), &rule);
        assert_eq!(rose(0.25, 0.5), None, "at the limit");
        assert_eq!(rose(0.25, 0.5625).as_deref(), Some("P(churn) rose from 25.0 % to 56.2 %"));
        assert_eq!(rose(0.75, 0.25), None);
        let slightly = Condition::ProbabilityRose { by: 0.0001, abc: Vec::new() };
        let rose = |before, now| found(Some(state(before, Grade::C, 1)), state(now, Grade::C, 1), &slightly);
        assert_eq!(rose(0.98301, 0.98332).as_deref(), Some("P(churn) rose from 98.30 % to 98.33 %"));
        assert_eq!(found(None, state(0.9, Grade::D, 1), &rule), None);
    }

    #[test]
    fn the_value_at_risk_crosses_the_limit_once() {
        let rule = Condition::ValueAtRisk { above_minor: 100_000, abc: Vec::new() };
        let at = |clv| state(0.5, Grade::C, clv);
        let crossed = Some("the value at risk is 1,000.01 EUR, above 1,000.00 EUR".to_owned());
        assert_eq!(found(Some(at(200_000)), at(200_000), &rule), None, "at the limit");
        assert_eq!(found(Some(at(200_000)), at(200_002), &rule), crossed);
        assert_eq!(found(Some(at(200_002)), at(400_000), &rule), None, "it was above before");
        assert_eq!(found(None, at(200_002), &rule), crossed, "a new customer");
        let new = CustomerChange { customer_id: "ada".into(), before: None, now: at(200_002) };
        let finding = new.finding(&rule, &MoneyFormat { currency: None, decimals: 0 }).unwrap();
        assert_eq!(
            finding.message, "the value at risk is 100,001, above 100,000",
            "a currency without decimals"
        );
        assert_eq!((finding.value, finding.limit), (Some(100_001.0), Some(100_000.0)), "in minor units");
        let unknown = CustomerState { clv: None, ..at(0) };
        assert_eq!(found(Some(unknown.clone()), at(200_002), &rule), crossed);
        assert_eq!(found(Some(at(1)), unknown, &rule), None);
        assert_eq!(state(1.0, Grade::D, i64::MAX).value_at_risk(), Some(i64::MAX));
        let unscored = CustomerState { churn_probability: None, ..at(200_002) };
        assert_eq!(found(Some(at(1)), unscored, &rule), None, "no model says that it may leave");
    }

    #[test]
    fn a_lead_becomes_hot_once() {
        let hot = lead(0.8125, Grade::A);
        let rule = Condition::LeadHot;
        let warm = found(Some(lead(0.25, Grade::B)), hot.clone(), &rule);
        assert_eq!(warm.as_deref(), Some("the lead became grade A, after B, P(buy) from 25.0 % to 81.2 %"));
        let new = CustomerChange { customer_id: "ada".into(), before: None, now: hot.clone() };
        let finding = new.finding(&rule, &euro()).unwrap();
        assert_eq!(finding.message, "the lead became grade A, P(buy) 81.2 %");
        assert_eq!((finding.value, finding.previous), (Some(0.8125), None));
        let certain = found(None, lead(0.9999, Grade::A), &rule);
        assert_eq!(certain.as_deref(), Some("the lead became grade A, P(buy) >99.9 %"));
        assert_eq!(found(Some(hot.clone()), hot.clone(), &rule), None);
        assert_eq!(found(Some(hot), lead(0.25, Grade::B), &rule), None);
    }
}
