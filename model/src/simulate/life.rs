//! The life of a customer: its observable past, and the race of exponential clocks that draws its next act.

use super::{
    person::Person,
    sampler::Sampler,
    truth::{CONVERTING, LEAVING, SECOND, WEEK, day_of_year, season},
};
use crate::{history::kind, time::Time};

/// An act of the customer or of the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Visit,
    Email,
    Open,
    Call,
    Meeting,
    Purchase,
    Return,
    Complaint,
    Resolution,
    Survey,
    Referral,
    Leave,
}

impl Act {
    const ALL: [Self; 12] = {
        use Act::*;
        [Visit, Email, Open, Call, Meeting, Purchase, Return, Complaint, Resolution, Survey, Referral, Leave]
    };

    /// Whether it is an act of the business alone, which happens even after a customer has silently left.
    const fn is_of_the_business(self) -> bool {
        matches!(self, Self::Email | Self::Resolution)
    }

    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Visit => "visit",
            Self::Email => "email",
            Self::Open => "email_open",
            Self::Call => "call",
            Self::Meeting => "meeting",
            Self::Purchase => kind::PURCHASE,
            Self::Return => kind::RETURN,
            Self::Complaint => kind::COMPLAINT,
            Self::Resolution => kind::RESOLUTION,
            Self::Survey => kind::SURVEY,
            Self::Referral => kind::REFERRAL,
            Self::Leave => kind::CANCEL,
        }
    }
}

/// The covariates of the current week.
#[derive(Clone, Copy)]
pub(super) enum Covariates {
    Lead([f64; CONVERTING.len()]),
    Buyer([f64; LEAVING.len()]),
}

/// An event in a life.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum LifeEvent {
    /// A week began.
    Week,
    /// An act happened.
    Act(Act),
}

/// The observable past: everything in here follows from the interactions.
#[derive(Clone, Default)]
pub(super) struct Past {
    /// Visits in the current week and the three before, newest first.
    visits: [u32; 4],
    /// Mails opened, likewise.
    opens: [u32; 4],
    meetings: u32,
    pub(super) first_purchase: Option<Time>,
    last_purchase: Option<Time>,
    purchases: u32,
    discounted: u32,
    /// The discount of the last purchase.
    pub(super) discount_percent: u64,
    /// Whether the last purchase can still be returned, once, within about four weeks.
    returnable: bool,
    /// Whether a mail of this week has not been opened yet.
    unread: bool,
    open_complaints: u32,
    /// The last survey: score and expected.
    pub(super) survey: Option<(f64, f64)>,
    referred: bool,
}

impl Past {
    pub(super) const fn is_lead(&self) -> bool {
        self.first_purchase.is_none()
    }
}

/// The state machine of one customer.
#[derive(Clone)]
pub(super) struct Life<'a> {
    pub(super) person: &'a Person,
    pub(super) subscription: bool,
    pub(super) now: Time,
    pub(super) week_end: Time,
    pub(super) covariates: Covariates,
    /// The rate of each act per week, until the next act or the next week.
    rates: [f64; Act::ALL.len()],
    pub(super) past: Past,
    pub(super) left: Option<Time>,
    /// The probability that it has silently left, given the history.
    pub(super) gone: f64,
}

impl<'a> Life<'a> {
    /// A new lead; its first event begins its first week.
    pub(super) fn new(person: &'a Person, subscription: bool) -> Self {
        Self {
            person,
            subscription,
            now: person.create_time,
            week_end: person.create_time,
            covariates: Covariates::Lead([0.0; _]),
            rates: [0.0; _],
            past: Past::default(),
            left: None,
            gone: 0.0,
        }
    }

    /// The next event up to and including `until`; None when there is none and `until` is reached.
    pub(super) fn next(&mut self, sampler: &mut Sampler, until: Time) -> Option<LifeEvent> {
        if self.subscription && self.left.is_some() {
            return None;
        }
        if self.now < self.week_end {
            let rates = self.possible_rates();
            let seconds = sampler.exponential() / rates.iter().sum::<f64>() * (WEEK / SECOND) as f64;
            let ring = Time(self.now.0.saturating_add((seconds.ceil() as i64).saturating_mul(SECOND)));
            if ring <= until && ring < self.week_end {
                self.wait(ring);
                let act = Act::ALL[sampler.weighted(&rates)];
                self.act(act, sampler);
                return Some(LifeEvent::Act(act));
            }
            self.wait(until.min(self.week_end));
        }
        (self.week_end <= until).then(|| {
            self.begin_week();
            LifeEvent::Week
        })
    }

    /// The rates of the acts that are possible: after leaving, only those of the business.
    fn possible_rates(&self) -> [f64; Act::ALL.len()] {
        let mut rates = self.rates;
        if self.left.is_some() {
            for (rate, act) in rates.iter_mut().zip(Act::ALL) {
                *rate = if act.is_of_the_business() { *rate } else { 0.0 };
            }
        }
        rates
    }

    /// Lets time pass until `to`. The longer a customer is silent, the likelier it has left: by Bayes' theorem,
    /// with the silence as the observation.
    fn wait(&mut self, to: Time) {
        let weeks = weeks_between(self.now, to);
        self.now = to;
        let leaving = self.rates[Act::Leave as usize];
        if self.subscription || leaving == 0.0 {
            return;
        }
        let own = Act::ALL.iter().zip(self.rates).filter(|(act, _)| !act.is_of_the_business());
        let any = own.map(|(_, rate)| rate).sum::<f64>();
        let here = (1.0 - self.gone) * (-any * weeks).exp();
        let gone = self.gone + (1.0 - self.gone) * leaving / any * -(-any * weeks).exp_m1();
        self.gone = gone / (gone + here);
    }

    fn begin_week(&mut self) {
        self.week_end = Time(self.now.0.saturating_add(WEEK));
        self.covariates = match self.past.first_purchase {
            None => Covariates::Lead(self.converting()),
            Some(first) => Covariates::Buyer(self.leaving(first)),
        };
        for window in [&mut self.past.visits, &mut self.past.opens] {
            window.rotate_right(1);
            window[0] = 0;
        }
        self.past.unread = false;
        self.past.returnable &= self.weeks_since(self.past.last_purchase) < 4.0;
        self.rates = Act::ALL.map(|act| self.rate(act));
    }

    fn converting(&self) -> [f64; CONVERTING.len()] {
        let (person, past) = (self.person, &self.past);
        let log_count = |window: &[u32; 4]| f64::from(window.iter().sum::<u32>()).ln_1p();
        [
            1.0,
            log_count(&past.visits),
            log_count(&past.opens),
            f64::from(past.meetings.min(3)),
            f64::from(person.source == "referral"),
            person.company_size.map_or(0.0, |size| (size / 20.0).ln()),
            weeks_between(person.create_time, self.now).ln_1p(),
        ]
    }

    fn leaving(&self, first_purchase: Time) -> [f64; LEAVING.len()] {
        let past = &self.past;
        let tenure = weeks_between(first_purchase, self.now);
        let since_last = self.weeks_since(past.last_purchase);
        let purchases = f64::from(past.purchases);
        let mean_gap = (tenure - since_last + 6.0) / purchases;
        [
            1.0,
            f64::from(past.open_complaints.min(3)),
            past.survey.map_or(0.0, |(score, expected)| score / expected - 1.0),
            f64::from(past.discounted) / purchases,
            (since_last / mean_gap).ln_1p(),
            tenure.ln_1p(),
            f64::from(past.referred),
            f64::from(self.person.region == "north"),
        ]
    }

    /// The rate of `act` per week in the current state.
    fn rate(&self, act: Act) -> f64 {
        let (person, past) = (self.person, &self.past);
        let age = weeks_between(person.create_time, self.now);
        // The interest of a lead decays; that of a buyer is constant and lower.
        let interest = || if past.is_lead() { 0.04 + (-age / 6.0).exp() } else { 0.18 };
        let buys = f64::from(!past.is_lead());
        let just_bought = self.weeks_since(past.last_purchase) < 4.0;
        match (act, &self.covariates) {
            (Act::Visit, _) => person.visiting * interest(),
            (Act::Email, _) => 0.1 + 0.3 * f64::from(person.newsletter),
            (Act::Open, _) => person.opening * f64::from(past.unread),
            (Act::Call, _) => 0.15 * interest(),
            (Act::Meeting, _) => 0.12 * interest(),
            (Act::Purchase, Covariates::Lead(covariates)) => hazard(&CONVERTING, covariates),
            (Act::Purchase, Covariates::Buyer(_)) => person.buying * season(day_of_year(self.now)),
            (Act::Return, _) => 0.03 * f64::from(past.returnable),
            (Act::Complaint, _) => buys * person.complaining * if just_bought { 1.0 } else { 0.3 },
            (Act::Resolution, _) => 0.15 * f64::from(past.open_complaints > 0),
            (Act::Survey, _) => buys * if just_bought { 0.08 } else { 0.02 },
            (Act::Referral, _) => buys * 0.01,
            (Act::Leave, Covariates::Lead(_)) => 0.0,
            (Act::Leave, Covariates::Buyer(covariates)) => hazard(&LEAVING, covariates),
        }
    }

    /// Does `act` now.
    fn act(&mut self, act: Act, sampler: &mut Sampler) {
        let past = &mut self.past;
        match act {
            Act::Visit => past.visits[0] += 1,
            Act::Email => past.unread = true,
            Act::Open => (past.opens[0], past.unread) = (past.opens[0] + 1, false),
            Act::Meeting => past.meetings += 1,
            Act::Purchase => self.buy(sampler),
            Act::Return => past.returnable = false,
            Act::Complaint => past.open_complaints += 1,
            Act::Resolution => past.open_complaints = 0,
            Act::Survey => self.answer(sampler),
            Act::Referral => past.referred = true,
            Act::Leave => self.left = Some(self.now),
            Act::Call => {}
        }
        if !act.is_of_the_business() && act != Act::Leave {
            self.gone = 0.0;
        }
        self.rates = Act::ALL.map(|act| self.rate(act));
    }

    fn buy(&mut self, sampler: &mut Sampler) {
        let past = &mut self.past;
        let is_discounted = sampler.chance(self.person.bargaining);
        past.discount_percent = if is_discounted { sampler.pick(&[5, 10, 10, 15, 20, 30]) } else { 0 };
        past.discounted += u32::from(is_discounted);
        past.purchases += 1;
        past.returnable = true;
        past.last_purchase = Some(self.now);
        if past.first_purchase.is_none() {
            past.first_purchase = Some(self.now);
            // The weeks of a buyer begin at the first purchase.
            self.week_end = self.now;
        }
    }

    fn answer(&mut self, sampler: &mut Sampler) {
        let expected = sampler.pick(&[7.0, 8.0, 8.0, 9.0]);
        let anger = if self.past.open_complaints > 0 { 2.5 } else { 0.0 };
        let score = expected + self.person.content - anger + sampler.normal();
        self.past.survey = Some((score.round().clamp(0.0, 10.0), expected));
    }

    fn weeks_since(&self, moment: Option<Time>) -> f64 {
        moment.map_or(f64::INFINITY, |moment| weeks_between(moment, self.now))
    }
}

/// The rate per week at which something happens within a week with the probability
/// sigmoid(coefficients · covariates): −ln(1 − sigmoid(η)) = ln(1 + e^η).
fn hazard(coefficients: &[(&str, f64)], covariates: &[f64]) -> f64 {
    let log_odds = coefficients.iter().zip(covariates).map(|((_, b), x)| b * x).sum::<f64>();
    log_odds.exp().ln_1p()
}

fn weeks_between(from: Time, to: Time) -> f64 {
    to.days_since(from) / 7.0
}
