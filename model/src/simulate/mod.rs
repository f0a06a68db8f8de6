//! A simulated business whose truth is known: for the demo, the tests and the benchmarks.
//!
//! Every customer lives in continuous time. What it does next (a visit, a purchase, a complaint …) is a
//! race of exponential clocks, whose rates stand still between two interactions and two starts of a
//! week. Two clocks carry the truth: how fast a lead converts ([`CONVERTING`]) and how fast a buyer
//! leaves ([`LEAVING`]), each a logistic function of what the history shows at the start of the week.
//!
//! Exponential clocks have no memory. So the future of a customer may be drawn anew from any moment, and
//! drawing it many times gives the true probability of what a model is asked to predict.
//!
//! All is a pure function of the seed, the customer's number and the bounds of the business. (To the
//! last bit on one machine; another one's `exp` and `ln` may round differently.)

mod event_log;
mod life;
mod sampler;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::{
    history::{Attributes, History, Version, kind},
    time::{DAY, Time},
};

use self::{
    event_log::EventLog,
    life::{Act, Covariates, Life, Person, Step},
    sampler::Sampler,
};

const SECOND: i64 = 1_000_000;
const WEEK: i64 = 7 * DAY;

/// What makes a lead convert: the log-odds that it makes its first purchase within a week, per unit of
/// what its history shows at the start of that week. A lead's weeks count from its `create_time`.
///
/// - `visits_4_weeks`: ln(1 + visits in the last 28 days); `opens_4_weeks`: likewise, mails opened
/// - `meetings`: meetings so far, at most 3
/// - `source_referral`: 1 if the attribute `source` is `referral`
/// - `company_size`: ln(`company_size` / 20), 0 if missing
/// - `age_weeks`: ln(1 + weeks since `create_time`)
pub const CONVERTING: [(&str, f64); 7] = [
    ("intercept", -3.2),
    ("visits_4_weeks", 1.0),
    ("opens_4_weeks", 0.7),
    ("meetings", 0.8),
    ("source_referral", 1.3),
    ("company_size", 0.7),
    ("age_weeks", -0.9),
];

/// What makes a buyer leave: the log-odds that it leaves within a week, per unit of what its history
/// shows at the start of that week. A buyer's weeks count from its first purchase.
///
/// - `open_complaints`: complaints without a later resolution, at most 3
/// - `satisfaction`: score / expected of the last survey, minus 1; 0 without a survey
/// - `discounted`: share of the purchases that had a discount
/// - `overdue`: ln(1 + time since the last purchase / mean gap between purchases), the mean taken over
///   the gaps so far and one more of six weeks
/// - `tenure_weeks`: ln(1 + weeks since the first purchase)
/// - `referred`: 1 if it ever referred someone
/// - `region_north`: 1 if the attribute `region` is `north`
pub const LEAVING: [(&str, f64); 8] = [
    ("intercept", -5.8),
    ("open_complaints", 1.2),
    ("satisfaction", -2.5),
    ("discounted", 1.5),
    ("overdue", 0.9),
    ("tenure_weeks", -0.4),
    ("referred", -1.0),
    ("region_north", 0.8),
];

/// How fast everybody buys on a day of the year (1 for January 1st), relative to an ordinary day: a peak
/// of 1.8 in the middle of December. Rates follow it week by week.
#[must_use]
pub fn season(day_of_year: f64) -> f64 {
    1.0 + 0.8 * (-((day_of_year - 349.0) / 14.0).powi(2)).exp()
}

const DAYS_A_YEAR: f64 = 365.2425;

/// The day of the year, 1 to 366, from the mean length of a year: right to a day or two, and no
/// calendar needed.
fn day_of_year(time: Time) -> f64 {
    (time.day_number() as f64 % DAYS_A_YEAR).floor() + 1.0
}

/// A business to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Business {
    /// How many customers it has, numbered from 0.
    pub customers: usize,
    /// The same seed gives the same business.
    pub seed: u64,
    /// Everything happens before this moment …
    pub end: Time,
    /// … and at most so many days before it.
    pub days: u32,
    /// Whether a customer who leaves says so, by an interaction `cancel`, or silently stays away.
    pub subscription: bool,
}

impl Business {
    /// A shop of 3,000 customers and the two years before `end`, whose customers leave silently.
    #[must_use]
    pub const fn new(seed: u64, end: Time) -> Self {
        Self { customers: 3_000, seed, end, days: 730, subscription: false }
    }

    /// All customers, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = SimulatedCustomer> + '_ {
        (0..self.customers).map(|n| self.customer(n))
    }

    /// Customer `n`, who depends on nobody else: not even on how many there are.
    #[must_use]
    pub fn customer(&self, n: usize) -> SimulatedCustomer {
        let (person, mut life_dice) = self.person(n);
        let mut life = Life::new(&person, self.subscription);
        let mut event_log = EventLog::new(format!("C{n:05}"), self.sampler(n, &[LOOKS]));
        let (mut lead_weeks, mut buyer_weeks) = (Vec::new(), Vec::new());
        while let Some(step) = life.step(&mut life_dice, Time(self.end.0.saturating_sub(1))) {
            match step {
                Step::Act(act) => event_log.enter(act, &life),
                // A week that the end cuts short has no outcome, nor has one after leaving.
                Step::Week if life.week_end > self.end || life.left.is_some() => {}
                Step::Week => match life.covariates {
                    Covariates::Lead(covariates) => lead_weeks.push(Week::new(life.now, covariates)),
                    Covariates::Buyer(covariates) => buyer_weeks.push(Week::new(life.now, covariates)),
                },
            }
        }
        settle(&mut lead_weeks, life.past.first_purchase);
        settle(&mut buyer_weeks, life.left);
        SimulatedCustomer {
            customer_id: event_log.customer_id,
            interactions: event_log.interactions,
            left: life.left,
            lead_weeks,
            buyer_weeks,
            name: person.name.clone(),
            create_time: person.create_time,
            attributes: person.attributes(),
        }
    }

    /// The true probability that customer `n`, a lead at `as_of`, makes its first purchase within
    /// (`as_of`, `as_of` + `horizon_days`]: the share of `draws` futures in which it does, which errs by
    /// √(p(1−p)/draws). None unless `n` is a lead at `as_of`, or without draws, or after the `end`.
    ///
    /// It knows the history until `as_of` and, what no history tells, the customer's own rhythm (how
    /// often it visits, opens mails, buys). So it is the best that any model could do, and a bit more.
    #[must_use]
    pub fn true_lead_probability(&self, n: usize, as_of: Time, horizon_days: u32, draws: u32) -> Option<f64> {
        self.share_of_futures(n, as_of, horizon_days, draws, |life| life.past.is_lead(), Act::Purchase)
    }

    /// The true probability that customer `n` churns within (`as_of`, `as_of` + `horizon_days`], known
    /// and estimated as by [`Business::true_lead_probability`].
    ///
    /// Churn is a `cancel` for subscriptions: None if it has cancelled before, leads included. Otherwise
    /// it is the absence of any purchase: None unless it has bought before. Whether a silent customer
    /// has left already is *not* known here: from the silence follows how likely it is (exactly, by
    /// Bayes' theorem), and the futures are mixed accordingly.
    #[must_use]
    pub fn true_churn_probability(
        &self,
        n: usize,
        as_of: Time,
        horizon_days: u32,
        draws: u32,
    ) -> Option<f64> {
        if self.subscription {
            let stays = |life: &Life| life.left.is_none();
            return self.share_of_futures(n, as_of, horizon_days, draws, stays, Act::Leave);
        }
        let is_buyer = |life: &Life| !life.past.is_lead();
        Some(1.0 - self.share_of_futures(n, as_of, horizon_days, draws, is_buyer, Act::Purchase)?)
    }

    /// The share of the futures from `as_of` on in which customer `n` does `wanted` within the horizon.
    fn share_of_futures(
        &self,
        n: usize,
        as_of: Time,
        horizon_days: u32,
        draws: u32,
        is_eligible: fn(&Life) -> bool,
        wanted: Act,
    ) -> Option<f64> {
        let (person, mut life_dice) = self.person(n);
        if as_of < person.create_time || as_of > self.end || draws == 0 {
            return None;
        }
        let mut life = Life::new(&person, self.subscription);
        while life.step(&mut life_dice, as_of).is_some() {}
        if !is_eligible(&life) {
            return None;
        }
        let until = as_of.plus_days(i64::from(horizon_days)).min(Time::MAX);
        let mut sampler = self.sampler(n, &[FUTURES, as_of.0 as u64]);
        let hits = (0..draws).filter(|_| {
            let mut future = life.clone();
            future.left = sampler.chance(life.gone).then_some(as_of);
            std::iter::from_fn(|| future.step(&mut sampler, until)).any(|step| step == Step::Act(wanted))
        });
        Some(hits.count() as f64 / f64::from(draws))
    }

    fn person(&self, n: usize) -> (Person, Sampler) {
        let mut sampler = self.sampler(n, &[LIFE]);
        let start = self.end.plus_days(-i64::from(self.days)).max(Time::MIN);
        let seconds = (self.end.0 - start.0) / SECOND;
        // The density of new leads grows by half from the start to the end: 0.8 + 0.4 x, inverted.
        let share = (0.64 + 0.8 * sampler.uniform()).sqrt().mul_add(2.5, -2.0);
        let create_time = Time(start.0 + (share * seconds as f64) as i64 * SECOND);
        (Person::new(create_time, &mut sampler), sampler)
    }

    fn sampler(&self, n: usize, purpose: &[u64]) -> Sampler {
        Sampler::new(self.seed, n, purpose)
    }
}

// What a generator is for. Each purpose has its own, so that a life is the same whether or not it is
// written down.
const LIFE: u64 = 1;
const LOOKS: u64 = 2;
const FUTURES: u64 = 3;

/// A customer of a simulated business and all that it did.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedCustomer {
    /// Such as `C00042`.
    pub customer_id: String,
    /// A name for people to read.
    pub name: String,
    /// When it came in as a lead.
    pub create_time: Time,
    /// `region`, `source`, `newsletter`, `birth_date` and, for three in four, `company_size`.
    pub attributes: Attributes,
    /// What happened, in order of time. No two happen at the same time.
    pub interactions: Vec<SimulatedInteraction>,
    /// The weeks it began as a lead and that were over by the end. (One in which it converts counts, and
    /// is followed by its first week as a buyer, which begins with the purchase.)
    pub lead_weeks: Vec<Week<{ CONVERTING.len() }>>,
    /// The weeks it began as a buyer who had not left, and that were over by the end.
    pub buyer_weeks: Vec<Week<{ LEAVING.len() }>>,
    /// When it left. From then on it does nothing; only the business, if it cannot know, goes on
    /// sending mails and resolving complaints.
    pub left: Option<Time>,
}

impl SimulatedCustomer {
    /// The history, everything known as soon as it happened.
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
            interaction.properties.iter().for_each(|(name, text)| history.push_property(name, text));
        }
        history
    }
}

/// Something that happened to a simulated customer.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedInteraction {
    /// Unique within the customer, in order of time.
    pub interaction_id: String,
    /// `visit`, `email`, `email_open`, `call`, `meeting`, `purchase`, `return`, `complaint`,
    /// `resolution`, `survey`, `referral` or `cancel`.
    pub kind: &'static str,
    /// When it happened, a whole number of seconds after the start of the business.
    pub occur_time: Time,
    /// Money in minor units: of a purchase what was paid, of a return what was refunded, both positive.
    pub amount_minor: Option<i64>,
    /// `web`, `shop`, `phone` or `email`.
    pub channel: &'static str,
    /// Of a purchase `category`, `cost_minor` (what the goods cost) and `discount_percent` (if any); of a
    /// return `category`; of a mail and its opening `campaign`; of a call or meeting `cost_minor`; of a
    /// survey `score` (0 to 10) and `expected`.
    pub properties: BTreeMap<String, String>,
}

/// A week of a customer's life, on which its fate was decided by `N` covariates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Week<const N: usize> {
    /// When the week began.
    pub start: Time,
    /// What the history showed at the start, in the order of [`CONVERTING`] or [`LEAVING`].
    pub covariates: [f64; N],
    /// Whether the lead converted, or the buyer left, within the week.
    pub happened: bool,
}

impl<const N: usize> Week<N> {
    const fn new(start: Time, covariates: [f64; N]) -> Self {
        Self { start, covariates, happened: false }
    }
}

/// Notes in which week the `moment` was, if any: only the last can be it.
fn settle<const N: usize>(weeks: &mut [Week<N>], moment: Option<Time>) {
    if let (Some(week), Some(moment)) = (weeks.last_mut(), moment) {
        week.happened = moment.0 < week.start.0 + WEEK;
    }
}
