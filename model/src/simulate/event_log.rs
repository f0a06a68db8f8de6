//! The event log: each act of a customer becomes an interaction, with an amount, a category and a channel that
//! have no consequences.

use crate::history::kind;

use super::{
    SimulatedInteraction,
    life::{Act, Life},
    sampler::Sampler,
    truth::{DAYS_A_YEAR, day_of_year},
};

/// Records a life as interactions, and draws their amounts and categories.
pub(super) struct EventLog {
    pub(super) customer_id: String,
    sampler: Sampler,
    /// The weights of the [`CATEGORIES`].
    taste: &'static [f64; CATEGORIES.len()],
    pub(super) interactions: Vec<SimulatedInteraction>,
    /// The price and the category of the last purchase.
    bought: (i64, &'static str),
    /// The campaign of the last mail.
    campaign: String,
    /// The customer that this one refers to the business.
    referred: String,
}

impl EventLog {
    /// The log of customer `n`, who refers the next one. Whether it has a machine at home is drawn by a sampler of its
    /// own.
    pub(super) fn new(n: usize, sampler: Sampler, mut tastes: Sampler) -> Self {
        Self {
            customer_id: customer_id(n),
            sampler,
            taste: if tastes.chance(MACHINE_OWNERS) { &MACHINE_TASTE } else { &OTHER_TASTE },
            interactions: Vec::new(),
            bought: (0, ""),
            campaign: String::new(),
            referred: customer_id(n + 1),
        }
    }

    /// Records `act`, which has just happened in `life`. Leaving silently is not recorded.
    pub(super) fn record(&mut self, act: Act, life: &Life<'_>) {
        if act == Act::Leave && !life.subscription {
            return;
        }
        let (amount_minor, properties) = self.details(act, life);
        let own = |(name, value): (&str, String)| (name.to_owned(), value);
        self.interactions.push(SimulatedInteraction {
            interaction_id: format!("{}-{:05}", self.customer_id, self.interactions.len() + 1),
            kind: act.kind(),
            occur_time: life.now,
            amount_minor,
            channel: match act {
                Act::Email | Act::Open | Act::Survey => "email",
                Act::Call | Act::Resolution => "phone",
                Act::Meeting => "shop",
                Act::Visit | Act::Referral => "web",
                _ => life.person.channel,
            },
            properties: properties.into_iter().map(own).collect(),
        });
    }

    /// The amount and the properties of an act.
    fn details(&mut self, act: Act, life: &Life<'_>) -> (Option<i64>, Vec<(&'static str, String)>) {
        let sampler = &mut self.sampler;
        match act {
            Act::Email | Act::Open => {
                if act == Act::Email {
                    self.campaign = campaign(life);
                }
                (None, vec![("campaign", self.campaign.clone())])
            }
            Act::Call => (None, vec![("cost_minor", (200 + sampler.up_to(1_300)).to_string())]),
            Act::Meeting => (None, vec![("cost_minor", (4_000 + sampler.up_to(8_000)).to_string())]),
            Act::Purchase => self.purchase(life),
            Act::Return => {
                let (paid, category) = self.bought;
                let share = if sampler.chance(0.6) { 1.0 } else { sampler.uniform() };
                (Some(minor(paid as f64 * share)), vec![("category", category.to_owned())])
            }
            Act::Survey => {
                let (score, expected) = life.past.survey.unwrap_or((0.0, 1.0));
                (None, vec![(kind::SCORE, score.to_string()), (kind::EXPECTED, expected.to_string())])
            }
            Act::Referral => (None, vec![(kind::REFERRED_CUSTOMER_ID, self.referred.clone())]),
            _ => (None, Vec::new()),
        }
    }

    fn purchase(&mut self, life: &Life<'_>) -> (Option<i64>, Vec<(&'static str, String)>) {
        let sampler = &mut self.sampler;
        let price = sampler.lognormal(life.person.basket, 0.35);
        let category = CATEGORIES[sampler.weighted(self.taste)];
        let paid = minor(price * (1.0 - life.past.discount_percent as f64 / 100.0));
        let cost = minor(price * (0.5 + 0.15 * sampler.uniform()));
        let mut properties = vec![("category", category.to_owned()), ("cost_minor", cost.to_string())];
        if life.past.discount_percent > 0 {
            properties.push(("discount_percent", life.past.discount_percent.to_string()));
        }
        self.bought = (paid, category);
        (Some(paid), properties)
    }
}

fn customer_id(n: usize) -> String {
    format!("C{n:05}")
}

/// The campaign of a mail that is sent now.
fn campaign(life: &Life<'_>) -> String {
    if life.past.is_lead() {
        return "welcome".to_owned();
    }
    let year = 1970 + (life.now.day_number() as f64 / DAYS_A_YEAR) as i64;
    let theme = ((day_of_year(life.now) - 1.0) / (366.0 / THEMES.len() as f64)) as usize;
    format!("{}-{year}", THEMES[theme])
}

/// Money as minor units, at least one.
fn minor(amount: f64) -> i64 {
    (amount.round() as i64).max(1)
}

const CATEGORIES: [&str; 5] = ["coffee", "tea", "machines", "cups", "service"];

/// The share of the customers who have a machine at home, and how they choose: who buys machines has them serviced.
const MACHINE_OWNERS: f64 = 0.3;
const MACHINE_TASTE: [f64; CATEGORIES.len()] = [0.35, 0.10, 0.20, 0.10, 0.25];
/// How the others choose.
const OTHER_TASTE: [f64; CATEGORIES.len()] = [0.45, 0.35, 0.03, 0.14, 0.03];

/// The themes of the mails in each sixth of the year.
const THEMES: [&str; 6] = ["new-year", "easter", "garden", "holidays", "autumn", "christmas"];
