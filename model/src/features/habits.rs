//! The features of habits: what a plan has of them.

use serde::{Deserialize, Serialize};

/// Which features of habits a plan has. Plans that were stored before there were any have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// Whether there is a trend of each kind of the plan.
    #[serde(skip_serializing_if = "is_false")]
    pub trends: bool,
    /// Whether there is the variation of the gaps between purchases.
    #[serde(skip_serializing_if = "is_false")]
    pub gap_variation: bool,
    /// The property of a purchase that is above 0 when it was discounted, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<String>,
    /// Whether there is the weekday on which the customer came in; plans for leads have it.
    #[serde(skip_serializing_if = "is_false")]
    pub arrival_weekday: bool,
    /// Whether there is the month of the year.
    #[serde(skip_serializing_if = "is_false")]
    pub month: bool,
}

impl Habits {
    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
