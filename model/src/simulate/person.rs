//! What a customer is and remains.

use super::{
    names::{FIRST_NAMES, LAST_NAMES},
    sampler::Sampler,
};
use crate::{
    history::{AttributeValue, Attributes},
    time::Time,
};

/// The lasting traits of a customer. Rates are per week.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) create_time: Time,
    pub(super) region: &'static str,
    pub(super) source: &'static str,
    pub(super) company_size: Option<f64>,
    pub(super) newsletter: bool,
    birth_date: String,
    /// The rate of visits as a new lead.
    pub(super) visiting: f64,
    /// The rate of opening an unread mail.
    pub(super) opening: f64,
    /// The rate of purchases of a buyer in an ordinary season.
    pub(super) buying: f64,
    /// The rate of complaints soon after a purchase.
    pub(super) complaining: f64,
    /// The mean difference of its survey scores from the expected ones.
    pub(super) content: f64,
    /// The probability that a purchase has a discount.
    pub(super) bargaining: f64,
    /// The median price of a purchase, in minor units.
    pub(super) basket: f64,
    /// The channel of its purchases.
    pub(super) channel: &'static str,
}

impl Person {
    pub(super) fn new(create_time: Time, sampler: &mut Sampler) -> Self {
        let is_firm = sampler.chance(0.75);
        Self {
            name: format!("{} {}", sampler.pick(&FIRST_NAMES), sampler.pick(&LAST_NAMES)),
            create_time,
            region: sampler.pick(&["north", "south", "south", "east", "west", "west", "centre", "abroad"]),
            source: sampler
                .pick(&["search", "search", "search", "advert", "advert", "fair", "partner", "referral"]),
            company_size: is_firm.then(|| sampler.lognormal(20.0, 1.2).round().max(1.0)),
            newsletter: sampler.chance(0.6),
            birth_date: format!(
                "{}-{:02}-{:02}",
                sampler.up_to(50) + 1954,
                sampler.up_to(12),
                sampler.up_to(28)
            ),
            visiting: sampler.lognormal(0.7, 0.8),
            opening: sampler.lognormal(0.6, 0.8),
            buying: sampler.gamma(4) * 0.042,
            complaining: sampler.lognormal(0.035, 0.8),
            content: sampler.normal() * 1.2 - 0.3,
            bargaining: sampler.uniform().powi(2),
            basket: sampler.lognormal(8_000.0, 0.6),
            channel: sampler.pick(&["web", "web", "web", "shop", "shop", "phone"]),
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        let text = |value: &str| AttributeValue::Text(value.to_owned());
        let known = [
            ("region", text(self.region)),
            ("source", text(self.source)),
            ("newsletter", AttributeValue::Boolean(self.newsletter)),
            ("birth_date", text(&self.birth_date)),
        ];
        let size = self.company_size.map(|size| ("company_size", AttributeValue::Number(size)));
        known.into_iter().chain(size).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
