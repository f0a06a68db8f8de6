//! The business: its customers, and the true probabilities of their futures.

use super::{
    SimulatedCustomer, Week,
    customer::record_outcome,
    event_log::EventLog,
    life::{Act, Covariates, Life, LifeEvent},
    person::Person,
    sampler::Sampler,
    truth::SECOND,
};
use crate::time::Time;

/// A business to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Business {
    /// The number of customers, who are numbered from 0.
    pub customers: usize,
    /// The same seed gives the same business.
    pub seed: u64,
    /// Everything happens before this moment …
    pub end: Time,
    /// … and at most this many days before it.
    pub days: u32,
    /// Whether a customer who leaves sends a `cancel`, or silently stays away.
    pub subscription: bool,
}

impl Business {
    /// A shop of 3,000 customers in the two years before `end`, who leave silently.
    #[must_use]
    pub const fn new(seed: u64, end: Time) -> Self {
        Self { customers: 3_000, seed, end, days: 730, subscription: false }
    }

    /// All customers, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = SimulatedCustomer> + '_ {
        (0..self.customers).map(|n| self.customer(n))
    }

    /// Customer `n`, who does not depend on the others, nor on their number.
    #[must_use]
    pub fn customer(&self, n: usize) -> SimulatedCustomer {
        let (person, mut sampler) = self.person(n);
        let mut life = Life::new(&person, self.subscription);
        let mut event_log = EventLog::new(n, self.sampler(n, &[EVENT_LOG]), self.sampler(n, &[TASTES]));
        let (mut lead_weeks, mut buyer_weeks) = (Vec::new(), Vec::new());
        while let Some(event) = life.next(&mut sampler, Time(self.end.0.saturating_sub(1))) {
            match event {
                LifeEvent::Act(act) => event_log.record(act, &life),
                // A week that is not over at the end has no outcome, nor has one after leaving.
                LifeEvent::Week if life.week_end > self.end || life.left.is_some() => {}
                LifeEvent::Week => match life.covariates {
                    Covariates::Lead(covariates) => lead_weeks.push(Week::new(life.now, covariates)),
                    Covariates::Buyer(covariates) => buyer_weeks.push(Week::new(life.now, covariates)),
                },
            }
        }
        record_outcome(&mut lead_weeks, life.past.first_purchase);
        record_outcome(&mut buyer_weeks, life.left);
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
    /// (`as_of`, `as_of` + `horizon_days`]: the share of `draws` futures in which it does, with a standard error of
    /// √(p(1−p)/draws). None unless `n` is a lead at `as_of`, or without draws, or after the `end`.
    ///
    /// It is given the history until `as_of` and the rates of the customer (how often it visits, opens mails, buys),
    /// which no history shows. So it is a bit better than any model could be.
    #[must_use]
    pub fn true_lead_probability(&self, n: usize, as_of: Time, horizon_days: u32, draws: u32) -> Option<f64> {
        let is_lead = |life: &Life<'_>| life.past.is_lead();
        self.share_of_futures(n, &Futures { as_of, horizon_days, draws, wanted: Act::Purchase }, is_lead)
    }

    /// The true probability that customer `n` churns within (`as_of`, `as_of` + `horizon_days`], estimated as by
    /// [`Business::true_lead_probability`].
    ///
    /// For subscriptions churn is a `cancel`: None if the customer has cancelled before, leads included. Otherwise
    /// it is the absence of any purchase: None unless the customer has bought before. Whether a silent customer
    /// has left already is *not* given: its probability follows from the silence (exactly, by
    /// Bayes' theorem), and the futures are mixed accordingly.
    #[must_use]
    pub fn true_churn_probability(
        &self,
        n: usize,
        as_of: Time,
        horizon_days: u32,
        draws: u32,
    ) -> Option<f64> {
        let futures = |wanted| Futures { as_of, horizon_days, draws, wanted };
        if self.subscription {
            let stays = |life: &Life<'_>| life.left.is_none();
            return self.share_of_futures(n, &futures(Act::Leave), stays);
        }
        let is_buyer = |life: &Life<'_>| !life.past.is_lead();
        Some(1.0 - self.share_of_futures(n, &futures(Act::Purchase), is_buyer)?)
    }

    /// The share of the futures of customer `n` in which the wanted act happens within the horizon.
    fn share_of_futures(
        &self,
        n: usize,
        futures: &Futures,
        is_eligible: fn(&Life<'_>) -> bool,
    ) -> Option<f64> {
        let Futures { as_of, horizon_days, draws, wanted } = *futures;
        let (person, mut sampler) = self.person(n);
        if as_of < person.create_time || as_of > self.end || draws == 0 {
            return None;
        }
        let mut life = Life::new(&person, self.subscription);
        while life.next(&mut sampler, as_of).is_some() {}
        if !is_eligible(&life) {
            return None;
        }
        let until = as_of.plus_days(i64::from(horizon_days)).min(Time::MAX);
        let mut sampler = self.sampler(n, &[FUTURES, as_of.0 as u64]);
        let hits = (0..draws).filter(|_| {
            let mut future = life.clone();
            future.left = sampler.chance(life.gone).then_some(as_of);
            std::iter::from_fn(|| future.next(&mut sampler, until))
                .any(|event| event == LifeEvent::Act(wanted))
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

/// Which futures are drawn, and the act that is counted in them.
struct Futures {
    as_of: Time,
    horizon_days: u32,
    draws: u32,
    wanted: Act,
}

// The purposes of a sampler. Each purpose has its own, so that a life does not depend on its event log.
const LIFE: u64 = 1;
const EVENT_LOG: u64 = 2;
const FUTURES: u64 = 3;
const TASTES: u64 = 4;
