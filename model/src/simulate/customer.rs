//! A simulated customer: its interactions, and the weeks with the covariates that decided them.

use std::collections::BTreeMap;

use super::truth::{CONVERTING, LEAVING, WEEK};
use crate::{
    history::{Attributes, History, Version, kind},
    time::Time,
};

/// A customer of a simulated business and everything it did.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedCustomer {
    /// Such as `C00042`.
    pub customer_id: String,
    /// A name for people to read.
    pub name: String,
    /// When it became a lead.
    pub create_time: Time,
    /// `region`, `source`, `newsletter`, `birth_date` and, for three in four, `company_size`.
    pub attributes: Attributes,
    /// Its interactions in order of time. No two happen at the same time.
    pub interactions: Vec<SimulatedInteraction>,
    /// The weeks that it began as a lead and that were over by the end. (The week of its conversion counts. It
    /// is followed by the first week as a buyer, which begins with the purchase.)
    pub lead_weeks: Vec<Week<{ CONVERTING.len() }>>,
    /// The weeks that it began as a buyer who had not left, and that were over by the end.
    pub buyer_weeks: Vec<Week<{ LEAVING.len() }>>,
    /// When it left. From then on it does nothing; only the business, unless it knows, continues to
    /// send mails and resolve complaints.
    pub left: Option<Time>,
}

impl SimulatedCustomer {
    /// The history, with everything recorded when it happened.
    #[must_use]
    pub fn history(&self) -> History {
        let mut history = History::default();
        history.push_version(Version {
            effective_time: self.create_time,
            record_time: self.create_time,
            create_time: self.create_time,
            attributes: self.attributes.clone(),
        });
        for interaction in &self.interactions {
            let number = |name| interaction.properties.get(name)?.parse::<f64>().ok();
            let survey = number(kind::SCORE).zip(number(kind::EXPECTED));
            let time = interaction.occur_time;
            history.push(interaction.kind, time, time, interaction.amount_minor, survey);
            history.push_channel(interaction.channel);
            interaction.properties.iter().for_each(|(name, text)| history.push_property(name, text));
        }
        history
    }
}

/// An interaction of a simulated customer.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedInteraction {
    /// Unique within the customer, in order of time.
    pub interaction_id: String,
    /// `visit`, `email`, `email_open`, `call`, `meeting`, `purchase`, `return`, `complaint`,
    /// `resolution`, `survey`, `referral` or `cancel`.
    pub kind: &'static str,
    /// When it happened, a whole number of seconds after the start of the business.
    pub occur_time: Time,
    /// Money in minor units: the price of a purchase, or the refund of a return, both positive.
    pub amount_minor: Option<i64>,
    /// `web`, `shop`, `phone` or `email`.
    pub channel: &'static str,
    /// A purchase has `category`, `cost_minor` (the cost of the goods) and `discount_percent` (if any); a
    /// return `category`; a mail and its opening `campaign`; a call or meeting `cost_minor`; a
    /// referral `referred_customer_id`; a survey `score` (0 to 10) and `expected`.
    pub properties: BTreeMap<String, String>,
}

/// A week of a customer, whose outcome depends on `N` covariates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Week<const N: usize> {
    /// When the week began.
    pub start: Time,
    /// The covariates of the history at the start, in the order of [`CONVERTING`] or [`LEAVING`].
    pub covariates: [f64; N],
    /// Whether the lead converted, or the buyer left, within the week.
    pub happened: bool,
}

impl<const N: usize> Week<N> {
    pub(super) const fn new(start: Time, covariates: [f64; N]) -> Self {
        Self { start, covariates, happened: false }
    }
}

/// Records that the outcome happened at `moment`, if it did: only the last week can be that of the outcome.
pub(super) fn record_outcome<const N: usize>(weeks: &mut [Week<N>], moment: Option<Time>) {
    if let (Some(week), Some(moment)) = (weeks.last_mut(), moment) {
        week.happened = moment.0 < week.start.0 + WEEK;
    }
}
