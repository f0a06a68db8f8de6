//! The share of the purchases that were discounted.

use crate::{
    history::{History, kind},
    time::Time,
};

/// Counts the purchases of a history whose property is above 0.
pub(super) struct Discounts<'a> {
    history: &'a History,
    /// The kind `purchase` and the property, when both occur.
    slots: Option<(u32, u32)>,
}

impl<'a> Discounts<'a> {
    pub(super) fn new(history: &'a History, property: &str) -> Self {
        Self { history, slots: history.kind_slot(kind::PURCHASE).zip(history.property_slot(property)) }
    }

    /// The share of `purchases`, the number of those that are visible.
    pub(super) fn share(&self, as_of: Time, known_at: Time, purchases: u64) -> f64 {
        if purchases == 0 {
            return f64::NAN;
        }
        let Some((purchase, discount)) = self.slots else { return 0.0 };
        let numbers = self.history.numbers_until(as_of).iter();
        let discounted = numbers.filter(|number| {
            number.property == discount
                && number.value > 0.0
                && self.history.kind_if_visible(number.event, as_of, known_at) == Some(purchase)
        });
        discounted.count() as f64 / purchases as f64
    }
}
