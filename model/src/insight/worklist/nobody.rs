//! Why a kind of work can have nobody, and what its settings name that nobody has.

use super::WorkKind;
use crate::{
    insight::{InsightSpec, Population},
    spec::Target,
};

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

    /// The names in the settings of a kind that no customer has anything of, in words: they may be misspelt. None where
    /// the settings are the defaults, which suit many businesses and are rarely all in use, and where
    /// [`why_nobody`](Self::why_nobody) says more.
    #[must_use]
    pub fn unused_settings(&self, kind: WorkKind) -> Option<String> {
        let (spec, default) = (&self.spec, InsightSpec::default());
        let (key, unused, what) = match kind {
            WorkKind::Neglected if spec.contact_kinds != default.contact_kinds => {
                let recorded = self.contact_kinds_recorded?;
                let is_unused = |place: usize| recorded & (1 << place) == 0;
                let names = spec.contact_kinds.iter().enumerate().filter(|(place, _)| is_unused(*place));
                (
                    "contact_kinds",
                    names.map(|(_, name)| name.as_str()).collect::<Vec<_>>(),
                    "interaction is of",
                )
            }
            WorkKind::CareDate if spec.worklist.care_dates != default.worklist.care_dates => {
                let names = spec.worklist.care_dates.iter().filter(|name| !self.has_text(name));
                ("care_dates", names.map(String::as_str).collect(), "customer has a date as a text in")
            }
            _ => return None,
        };
        if unused.is_empty() || self.customers == 0 || self.why_nobody(kind).is_some() {
            return None;
        }
        Some(format!(
            "no {what} {}, which `{key}` in the settings names ({}); is it misspelt?",
            unused.join(" or "),
            kind.name()
        ))
    }

    fn has_text(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|types| types.texts > 0)
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
        (self.buyers() == 0 && !names.iter().any(|name| self.has_text(name))).then(|| {
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

        let contacted = Facts { last_contact: Some(Time(0)), contact_kinds: 1, ..Facts::default() };
        let born = AttributeValue::Text("1980-06-05".to_owned());
        assert_eq!(empty(&population(&contacted, &[("birth_date", born)])), ["AT_RISK", "HOT_LEAD"]);
        let purchases = PurchaseDays { first_purchase: Time(0), last_purchase: Time(0), count: 1 };
        let buyer = Facts { purchases: Some(purchases), ..contacted };
        assert_eq!(empty(&population(&buyer, &[])), ["AT_RISK", "HOT_LEAD"]);
        assert_eq!(empty(&Population::nobody(Time(0), &InsightSpec::default())), [""; 0]);
    }

    #[test]
    fn names_that_nobody_has_are_told_where_they_were_chosen() {
        let purchases = PurchaseDays { first_purchase: Time(0), last_purchase: Time(0), count: 1 };
        let contacted = |contact_kinds| Facts {
            purchases: Some(purchases),
            last_contact: Some(Time(0)),
            contact_kinds,
            ..Facts::default()
        };
        let founded = [("founded", AttributeValue::Text("1980-06-05".to_owned()))];
        let told = |population: &Population| {
            WorkKind::ALL
                .map(|kind| population.unused_settings(kind))
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        let mut population = population(&contacted(0b101), &founded);
        assert_eq!(told(&population), [""; 0], "the defaults");
        population.spec.contact_kinds = ["call", "e-mail", "visit"].map(str::to_owned).to_vec();
        population.spec.worklist.care_dates = ["founded", "fouded"].map(str::to_owned).to_vec();
        assert_eq!(
            told(&population),
            [
                "no interaction is of e-mail, which `contact_kinds` in the settings names (NEGLECTED); is it misspelt?",
                "no customer has a date as a text in fouded, which `care_dates` in the settings names (CARE_DATE); is it \
                 misspelt?"
            ]
        );
        population.contact_kinds_recorded = Some(0b111);
        population.spec.worklist.care_dates.pop();
        assert_eq!(told(&population), [""; 0]);
        population.contact_kinds_recorded = None;
        assert_eq!(told(&population), [""; 0], "stored before it was noted");
    }
}
