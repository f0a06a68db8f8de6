//! Why a kind of work can have nobody.

use super::WorkKind;
use crate::{insight::Population, spec::Target};

impl Population {
    /// Why no customer can be on the list of a kind, such as that the data it needs are not recorded. None when a customer
    /// can be on it, or when there are no customers.
    #[must_use]
    pub fn why_nobody(&self, kind: WorkKind) -> Option<String> {
        if self.customers == 0 {
            return None;
        }
        let why = match kind {
            WorkKind::AtRisk => self.no_champion(Target::Churn),
            WorkKind::HotLead => self.no_champion(Target::Lead),
            WorkKind::Neglected => self.no_contact(),
            WorkKind::CareDate => self.no_care_date(),
            WorkKind::WinBack => None,
        };
        Some(format!("nobody can be {}: {}", kind.name(), why?))
    }

    fn no_champion(&self, target: Target) -> Option<String> {
        let is_of = |model: &String| model.split('/').next() == Some(target.name());
        (!self.models.iter().any(is_of)).then(|| {
            format!(
                "there was no champion for {target} when the pass was made; train and promote one (`tally-train {target}`), \
                 and make a pass (RefreshInsights, `tally insights refresh`)"
            )
        })
    }

    fn no_contact(&self) -> Option<String> {
        (!self.contacts_recorded).then(|| {
            format!(
                "no contact is recorded; contacts are interactions of the kinds in `contact_kinds` of the settings ({})",
                listed(&self.spec.contact_kinds)
            )
        })
    }

    fn no_care_date(&self) -> Option<String> {
        let names = &self.spec.worklist.care_dates;
        let is_text = |name: &String| self.attributes.get(name).is_some_and(|types| types.texts > 0);
        (self.buyers() == 0 && !names.iter().any(is_text)).then(|| {
            format!(
                "nobody has bought, so that there are no anniversaries, and nobody has a date as a text in an attribute of \
                 `care_dates` in the settings ({})",
                listed(names)
            )
        })
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{AttributeValue, Attributes},
        insight::{Facts, InsightSpec, PopulationSample, PurchaseDays},
        time::Time,
    };

    fn population(facts: &Facts, attributes: &[(&str, AttributeValue)]) -> Population {
        let attributes: Attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (spec, mut sample) = (InsightSpec::default(), PopulationSample::default());
        sample.add(facts, Some(&attributes), Time(0), &spec);
        sample.population(Time(0), &spec)
    }

    fn empty(population: &Population) -> Vec<&'static str> {
        WorkKind::ALL
            .into_iter()
            .filter(|kind| population.why_nobody(*kind).is_some())
            .map(WorkKind::name)
            .collect()
    }

    #[test]
    fn kinds_without_what_they_go_by_can_have_nobody() {
        let mut lead = population(&Facts::default(), &[("birth_date", AttributeValue::Number(1980.0))]);
        assert_eq!(empty(&lead), ["AT_RISK", "HOT_LEAD", "NEGLECTED", "CARE_DATE"]);
        let text = lead.why_nobody(WorkKind::Neglected).unwrap();
        assert!(text.ends_with(" settings (call, email, meeting, message, letter)"), "{text}");
        let text = lead.why_nobody(WorkKind::HotLead).unwrap();
        assert!(text.starts_with("nobody can be HOT_LEAD: there was no champion for lead when"), "{text}");
        lead.models = vec!["lead/1".to_owned()];
        assert_eq!(empty(&lead), ["AT_RISK", "NEGLECTED", "CARE_DATE"]);
        lead.models.push("churn/12".to_owned());
        assert_eq!(empty(&lead), ["NEGLECTED", "CARE_DATE"]);

        let contacted = Facts { last_contact: Some(Time(0)), ..Facts::default() };
        let born = AttributeValue::Text("1980-06-05".to_owned());
        assert_eq!(empty(&population(&contacted, &[("birth_date", born)])), ["AT_RISK", "HOT_LEAD"]);
        let purchases = PurchaseDays { first_purchase: Time(0), last_purchase: Time(0), count: 1 };
        let buyer = Facts { purchases: Some(purchases), ..contacted };
        assert_eq!(empty(&population(&buyer, &[])), ["AT_RISK", "HOT_LEAD"]);
        assert_eq!(empty(&Population::nobody(Time(0), &InsightSpec::default())), [""; 0]);
    }
}
