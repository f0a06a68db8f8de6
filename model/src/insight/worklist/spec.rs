//! The settings of the worklist.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    insight::spec::{check, is_name},
    spec::SpecError,
};

/// The `[worklist]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct WorklistSpec {
    /// The share of the customers that is held out, 0 to 1.
    pub holdout_share: f64,
    /// Another salt holds out other customers; 1 to 64 characters.
    pub holdout_salt: String,
    /// How long a purchase counts as a success.
    pub outcome_days: OutcomeDays,
    /// The days without a contact after which a customer is neglected, 1 to 3,650.
    pub neglect_days: u32,
    /// The attributes with dates that return every year, up to 20.
    pub care_dates: Vec<String>,
    /// How many days before a care date it is on the list, 0 to 365.
    pub care_days: u32,
    /// The most items that the lists of a UTC day hand out together, 1 to 100,000; None for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// How long a purchase counts as a success, in days, 1 to 3,650.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, such as { buyers = 90, leads = 30 }")]
pub struct OutcomeDays {
    /// Of who has bought before.
    pub buyers: u32,
    /// Of a lead.
    pub leads: u32,
}

impl Default for WorklistSpec {
    fn default() -> Self {
        Self {
            holdout_share: 0.10,
            holdout_salt: "1".to_owned(),
            outcome_days: OutcomeDays::default(),
            neglect_days: 90,
            care_dates: vec!["birth_date".to_owned()],
            care_days: 7,
            capacity: None,
        }
    }
}

impl Default for OutcomeDays {
    fn default() -> Self {
        Self { buyers: 90, leads: 30 }
    }
}

impl WorklistSpec {
    pub(in crate::insight) fn validate(&self) -> Result<(), SpecError> {
        let share = self.holdout_share;
        check((0.0..=1.0).contains(&share), "worklist.holdout_share", share, "shares from 0 to 1")?;
        let allowed = "1 to 64 characters, none of them a control character, no blank at an end";
        check(
            is_name(&self.holdout_salt),
            "worklist.holdout_salt",
            format!("{:?}", self.holdout_salt),
            allowed,
        )?;
        let days = 1..=3_650;
        let OutcomeDays { buyers, leads } = self.outcome_days;
        check(days.contains(&buyers), "worklist.outcome_days.buyers", buyers, "1 to 3650 days")?;
        check(days.contains(&leads), "worklist.outcome_days.leads", leads, "1 to 3650 days")?;
        let neglect = self.neglect_days;
        check(days.contains(&neglect), "worklist.neglect_days", neglect, "1 to 3650 days")?;
        let names = &self.care_dates;
        let distinct: HashSet<&String> = names.iter().collect();
        let fine =
            names.len() <= 20 && distinct.len() == names.len() && names.iter().all(|name| is_name(name));
        let allowed = "up to 20 different attributes of 1 to 64 characters, none of them a control character, no blank at an end";
        check(fine, "worklist.care_dates", format!("{names:?}"), allowed)?;
        check(self.care_days <= 365, "worklist.care_days", self.care_days, "0 to 365 days")?;
        let capacity = self.capacity.unwrap_or(1);
        let allowed = "whole numbers of items a day from 1 to 100000";
        check((1..=100_000).contains(&capacity), "worklist.capacity", capacity, allowed)
    }
}
