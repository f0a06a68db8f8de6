//! What a rule finds. Texts name numbers, money, grades and times only: who it is about stands beside them.

use super::rules::Condition;
use crate::{
    features::explain::money,
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
    /// The grade of a lead, when there was a champion.
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

/// Two probabilities in percent, with as many decimals as show that they differ.
fn percent_apart(probabilities: [f64; 2]) -> [String; 2] {
    let with =
        |decimals: usize| probabilities.map(|probability| format!("{:.decimals$} %", 100.0 * probability));
    // No more decimals than a float has.
    (1..15).map(with).find(|[one, other]| one != other).unwrap_or_else(|| with(15))
}

impl CustomerChange {
    /// What a rule about customers finds; None for rules about anything else. Money in its text has so many decimals.
    #[must_use]
    pub fn finding(&self, condition: &Condition, amount_decimals: u8) -> Option<Finding> {
        match condition {
            Condition::GradeFell { abc } => self.is_among(abc).then(|| self.fallen_grade()).flatten(),
            Condition::ProbabilityRose { by, abc } => {
                self.is_among(abc).then(|| self.risen_probability(*by)).flatten()
            }
            Condition::ValueAtRisk { above_minor, abc } => {
                self.is_among(abc).then(|| self.value_at_risk(*above_minor, amount_decimals)).flatten()
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

    fn value_at_risk(&self, above: i64, amount_decimals: u8) -> Option<Finding> {
        let now = self.now.value_at_risk()?;
        let before = self.before.as_ref().and_then(CustomerState::value_at_risk);
        (now > above && before.is_none_or(|before| before <= above)).then(|| {
            let [at_risk, limit] = [now, above].map(|minor| money(minor, amount_decimals));
            let message = format!("the value at risk is {at_risk}, above {limit}");
            let previous = before.map(|before| before as f64);
            Finding { previous, ..Finding::above(message, now as f64, above as f64) }
        })
    }

    fn hot_lead(&self) -> Option<Finding> {
        let before = self.before.as_ref().and_then(|before| before.lead_grade);
        (self.now.lead_grade == Some(Grade::A) && before != Some(Grade::A)).then(|| {
            let from = before.map_or_else(String::new, |before| format!(", after {before:?}"));
            Finding::plain(format!("the lead became grade A{from}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(probability: f64, churn: Grade, clv: i64) -> CustomerState {
        CustomerState {
            abc: AbcClass::A,
            life_cycle: LifeCycle::Mature,
            churn_probability: Some(probability),
            churn_grade: Some(churn),
            lead_grade: None,
            clv: Some(clv),
        }
    }

    fn lead(grade: Option<Grade>) -> CustomerState {
        CustomerState {
            abc: AbcClass::None,
            life_cycle: LifeCycle::Lead,
            churn_probability: None,
            churn_grade: None,
            lead_grade: grade,
            clv: None,
        }
    }

    fn found(before: Option<CustomerState>, now: CustomerState, condition: &Condition) -> Option<String> {
        let change = CustomerChange { customer_id: "ada".into(), before, now };
        change.finding(condition, 2).map(|finding| finding.message)
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
        assert_eq!(found(Some(lead(Some(Grade::A))), bad.clone(), &rule), None, "it was a lead");
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
        let rule = Condition::ValueAtRisk { above_minor: 500, abc: Vec::new() };
        let at = |clv| state(0.5, Grade::C, clv);
        let crossed = Some("the value at risk is 5.01, above 5.00".to_owned());
        assert_eq!(found(Some(at(1_000)), at(1_000), &rule), None, "at the limit");
        assert_eq!(found(Some(at(1_000)), at(1_002), &rule), crossed);
        assert_eq!(found(Some(at(1_002)), at(2_000), &rule), None, "it was above before");
        assert_eq!(found(None, at(1_002), &rule), crossed, "a new customer");
        let new = CustomerChange { customer_id: "ada".into(), before: None, now: at(1_002) };
        let finding = new.finding(&rule, 0).unwrap();
        assert_eq!(finding.message, "the value at risk is 501, above 500", "a currency without decimals");
        assert_eq!((finding.value, finding.limit), (Some(501.0), Some(500.0)), "in minor units");
        let unknown = CustomerState { clv: None, ..at(0) };
        assert_eq!(found(Some(unknown.clone()), at(1_002), &rule), crossed);
        assert_eq!(found(Some(at(1)), unknown, &rule), None);
        assert_eq!(state(1.0, Grade::D, i64::MAX).value_at_risk(), Some(i64::MAX));
        let unscored = CustomerState { churn_probability: None, ..at(1_002) };
        assert_eq!(found(Some(at(1)), unscored, &rule), None, "no model says that it may leave");
    }

    #[test]
    fn a_lead_becomes_hot_once() {
        let hot = lead(Some(Grade::A));
        let rule = Condition::LeadHot;
        let warm = found(Some(lead(Some(Grade::B))), hot.clone(), &rule);
        assert_eq!(warm.as_deref(), Some("the lead became grade A, after B"));
        assert_eq!(found(None, hot.clone(), &rule).as_deref(), Some("the lead became grade A"));
        assert_eq!(found(Some(hot.clone()), hot.clone(), &rule), None);
        assert_eq!(found(Some(hot), lead(Some(Grade::B)), &rule), None);
    }
}
