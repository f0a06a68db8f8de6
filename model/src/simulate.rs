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

use std::collections::BTreeMap;

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::history::{AttributeValue, Attributes, History, Version, kind};
use crate::time::{DAY, Time};

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
        let mut books = Books::new(format!("C{n:05}"), self.dice(n, &[LOOKS]));
        let (mut lead_weeks, mut buyer_weeks) = (Vec::new(), Vec::new());
        while let Some(step) = life.step(&mut life_dice, Time(self.end.0.saturating_sub(1))) {
            match step {
                Step::Act(act) => books.enter(act, &life),
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
            customer_id: books.customer_id,
            interactions: books.interactions,
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
        let mut dice = self.dice(n, &[FUTURES, as_of.0 as u64]);
        let hits = (0..draws).filter(|_| {
            let mut future = life.clone();
            future.left = dice.chance(life.gone).then_some(as_of);
            std::iter::from_fn(|| future.step(&mut dice, until)).any(|step| step == Step::Act(wanted))
        });
        Some(hits.count() as f64 / f64::from(draws))
    }

    fn person(&self, n: usize) -> (Person, Dice) {
        let mut dice = self.dice(n, &[LIFE]);
        let start = self.end.plus_days(-i64::from(self.days)).max(Time::MIN);
        let seconds = (self.end.0 - start.0) / SECOND;
        // The density of new leads grows by half from the start to the end: 0.8 + 0.4 x, inverted.
        let share = (0.64 + 0.8 * dice.uniform()).sqrt().mul_add(2.5, -2.0);
        let create_time = Time(start.0 + (share * seconds as f64) as i64 * SECOND);
        (Person::new(create_time, &mut dice), dice)
    }

    fn dice(&self, n: usize, purpose: &[u64]) -> Dice {
        let seed = splitmix(splitmix(self.seed) ^ n as u64);
        Dice(Xoshiro256PlusPlus::seed_from_u64(purpose.iter().fold(seed, |seed, word| splitmix(seed ^ word))))
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

/// What a customer is and keeps being. Rates are per week.
struct Person {
    name: String,
    create_time: Time,
    region: &'static str,
    source: &'static str,
    company_size: Option<f64>,
    newsletter: bool,
    birth_date: String,
    /// How often it visits as a fresh lead.
    visiting: f64,
    /// How fast it opens a mail.
    opening: f64,
    /// How often it buys on an ordinary day.
    buying: f64,
    /// How often it complains soon after a purchase.
    complaining: f64,
    /// By how many points its surveys differ from what is expected.
    content: f64,
    /// How likely it waits for a discount.
    bargaining: f64,
    /// What it usually spends at once, in minor units.
    basket: f64,
    /// Where it likes to buy.
    channel: &'static str,
}

impl Person {
    fn new(create_time: Time, dice: &mut Dice) -> Self {
        let is_firm = dice.chance(0.75);
        Self {
            name: format!("{} {}", dice.pick(&FIRST_NAMES), dice.pick(&LAST_NAMES)),
            create_time,
            region: dice.pick(&["north", "south", "south", "east", "west", "west", "centre", "abroad"]),
            source: dice
                .pick(&["search", "search", "search", "advert", "advert", "fair", "partner", "referral"]),
            company_size: is_firm.then(|| dice.lognormal(20.0, 1.2).round().max(1.0)),
            newsletter: dice.chance(0.6),
            birth_date: format!("{}-{:02}-{:02}", dice.up_to(50) + 1954, dice.up_to(12), dice.up_to(28)),
            visiting: dice.lognormal(0.7, 0.8),
            opening: dice.lognormal(0.6, 0.8),
            buying: dice.gamma(4) * 0.042,
            complaining: dice.lognormal(0.035, 0.8),
            content: dice.normal() * 1.2 - 0.3,
            bargaining: dice.uniform().powi(2),
            basket: dice.lognormal(8_000.0, 0.6),
            channel: dice.pick(&["web", "web", "web", "shop", "shop", "phone"]),
        }
    }

    fn attributes(&self) -> Attributes {
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

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
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

    /// Whether the business does it alone, even for a customer who has silently left.
    const fn is_of_the_business(self) -> bool {
        matches!(self, Self::Email | Self::Resolution)
    }

    const fn kind(self) -> &'static str {
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
            Self::Referral => "referral",
            Self::Leave => kind::CANCEL,
        }
    }
}

/// What the running week was decided on.
#[derive(Clone, Copy)]
enum Covariates {
    Lead([f64; CONVERTING.len()]),
    Buyer([f64; LEAVING.len()]),
}

/// One step in a life.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// A week began.
    Week,
    /// Something happened.
    Act(Act),
}

/// What the history shows: everything in here can be read off the interactions.
#[derive(Clone, Default)]
struct Past {
    /// Visits in the running week and the three before, newest first.
    visits: [u32; 4],
    /// Mails opened, likewise.
    opens: [u32; 4],
    meetings: u32,
    first_purchase: Option<Time>,
    last_purchase: Option<Time>,
    purchases: u32,
    discounted: u32,
    /// The discount of the last purchase.
    discount_percent: u64,
    /// Whether the last purchase can still be returned, once, within about four weeks.
    returnable: bool,
    /// Whether a mail of this week has not been opened yet.
    unread: bool,
    open_complaints: u32,
    /// The last survey: score and expected.
    survey: Option<(f64, f64)>,
    referred: bool,
}

impl Past {
    const fn is_lead(&self) -> bool {
        self.first_purchase.is_none()
    }
}

/// The state machine of one customer.
#[derive(Clone)]
struct Life<'a> {
    person: &'a Person,
    subscription: bool,
    now: Time,
    week_end: Time,
    covariates: Covariates,
    /// How fast each act comes, per week, until the next one or the next week.
    rates: [f64; Act::ALL.len()],
    past: Past,
    left: Option<Time>,
    /// How likely it has silently left, by what the history shows.
    gone: f64,
}

impl<'a> Life<'a> {
    /// A lead that has just come in; its first step begins its first week.
    fn new(person: &'a Person, subscription: bool) -> Self {
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

    /// The next step up to and including `until`, or None when there is none and `until` is reached.
    fn step(&mut self, dice: &mut Dice, until: Time) -> Option<Step> {
        if self.subscription && self.left.is_some() {
            return None;
        }
        if self.now < self.week_end {
            let rates = self.rates_present();
            let seconds = dice.exponential() / rates.iter().sum::<f64>() * (WEEK / SECOND) as f64;
            let ring = Time(self.now.0.saturating_add((seconds.ceil() as i64).saturating_mul(SECOND)));
            if ring <= until && ring < self.week_end {
                self.wait(ring);
                let act = Act::ALL[dice.weighted(&rates)];
                self.act(act, dice);
                return Some(Step::Act(act));
            }
            self.wait(until.min(self.week_end));
        }
        (self.week_end <= until).then(|| {
            self.begin_week();
            Step::Week
        })
    }

    /// The rates of what can really happen: once it has left, only the business goes on.
    fn rates_present(&self) -> [f64; Act::ALL.len()] {
        let mut rates = self.rates;
        if self.left.is_some() {
            for (rate, act) in rates.iter_mut().zip(Act::ALL) {
                *rate = if act.is_of_the_business() { *rate } else { 0.0 };
            }
        }
        rates
    }

    /// Nothing happens until `to`. The longer a customer is quiet, the likelier it has left: by Bayes'
    /// theorem, with silence as the observation.
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

    /// How often `act` happens, per week, as things stand.
    fn rate(&self, act: Act) -> f64 {
        let (person, past) = (self.person, &self.past);
        let age = weeks_between(person.create_time, self.now);
        // The interest of a lead fades; a buyer keeps a steady, lower one.
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

    /// `act` happens now.
    fn act(&mut self, act: Act, dice: &mut Dice) {
        let past = &mut self.past;
        match act {
            Act::Visit => past.visits[0] += 1,
            Act::Email => past.unread = true,
            Act::Open => (past.opens[0], past.unread) = (past.opens[0] + 1, false),
            Act::Meeting => past.meetings += 1,
            Act::Purchase => self.buy(dice),
            Act::Return => past.returnable = false,
            Act::Complaint => past.open_complaints += 1,
            Act::Resolution => past.open_complaints = 0,
            Act::Survey => self.answer(dice),
            Act::Referral => past.referred = true,
            Act::Leave => self.left = Some(self.now),
            Act::Call => {}
        }
        if !act.is_of_the_business() && act != Act::Leave {
            self.gone = 0.0;
        }
        self.rates = Act::ALL.map(|act| self.rate(act));
    }

    fn buy(&mut self, dice: &mut Dice) {
        let past = &mut self.past;
        let is_discounted = dice.chance(self.person.bargaining);
        past.discount_percent = if is_discounted { dice.pick(&[5, 10, 10, 15, 20, 30]) } else { 0 };
        past.discounted += u32::from(is_discounted);
        past.purchases += 1;
        past.returnable = true;
        past.last_purchase = Some(self.now);
        if past.first_purchase.is_none() {
            past.first_purchase = Some(self.now);
            // The weeks of the buyer begin.
            self.week_end = self.now;
        }
    }

    fn answer(&mut self, dice: &mut Dice) {
        let expected = dice.pick(&[7.0, 8.0, 8.0, 9.0]);
        let anger = if self.past.open_complaints > 0 { 2.5 } else { 0.0 };
        let score = expected + self.person.content - anger + dice.normal();
        self.past.survey = Some((score.round().clamp(0.0, 10.0), expected));
    }

    fn weeks_since(&self, moment: Option<Time>) -> f64 {
        moment.map_or(f64::INFINITY, |moment| weeks_between(moment, self.now))
    }
}

/// Writes a life down as interactions, and draws what has no consequences: amounts, categories, channels.
struct Books {
    customer_id: String,
    dice: Dice,
    interactions: Vec<SimulatedInteraction>,
    /// The last purchase: paid, category.
    bought: (i64, &'static str),
    /// The campaign of the last mail.
    campaign: String,
}

impl Books {
    const fn new(customer_id: String, dice: Dice) -> Self {
        Self { customer_id, dice, interactions: Vec::new(), bought: (0, ""), campaign: String::new() }
    }

    /// Enters `act`, which has just happened in `life`. Who leaves silently leaves no trace.
    fn enter(&mut self, act: Act, life: &Life) {
        if act == Act::Leave && !life.subscription {
            return;
        }
        let (amount_minor, properties) = self.particulars(act, life);
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

    fn particulars(&mut self, act: Act, life: &Life) -> (Option<i64>, Vec<(&'static str, String)>) {
        let dice = &mut self.dice;
        match act {
            Act::Email | Act::Open => {
                if act == Act::Email {
                    self.campaign = campaign(life);
                }
                (None, vec![("campaign", self.campaign.clone())])
            }
            Act::Call => (None, vec![("cost_minor", (200 + dice.up_to(1_300)).to_string())]),
            Act::Meeting => (None, vec![("cost_minor", (4_000 + dice.up_to(8_000)).to_string())]),
            Act::Purchase => {
                let (price, category) = (dice.lognormal(life.person.basket, 0.35), dice.pick(&CATEGORIES));
                let paid = minor(price * (1.0 - life.past.discount_percent as f64 / 100.0));
                let cost = minor(price * (0.5 + 0.15 * dice.uniform()));
                let mut properties =
                    vec![("category", category.to_owned()), ("cost_minor", cost.to_string())];
                if life.past.discount_percent > 0 {
                    properties.push(("discount_percent", life.past.discount_percent.to_string()));
                }
                self.bought = (paid, category);
                (Some(paid), properties)
            }
            Act::Return => {
                let (paid, category) = self.bought;
                let share = if dice.chance(0.6) { 1.0 } else { dice.uniform() };
                (Some(minor(paid as f64 * share)), vec![("category", category.to_owned())])
            }
            Act::Survey => {
                let (score, expected) = life.past.survey.unwrap_or((0.0, 1.0));
                (None, vec![(kind::SCORE, score.to_string()), (kind::EXPECTED, expected.to_string())])
            }
            _ => (None, Vec::new()),
        }
    }
}

/// What a mail sent now is about.
fn campaign(life: &Life) -> String {
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

/// The rate per week at which something happens within a week with the probability
/// sigmoid(coefficients · covariates): −ln(1 − sigmoid(η)) = ln(1 + e^η).
fn hazard(coefficients: &[(&str, f64)], covariates: &[f64]) -> f64 {
    let log_odds = coefficients.iter().zip(covariates).map(|((_, b), x)| b * x).sum::<f64>();
    log_odds.exp().ln_1p()
}

fn weeks_between(from: Time, to: Time) -> f64 {
    to.days_since(from) / 7.0
}

const DAYS_A_YEAR: f64 = 365.2425;

/// The day of the year, 1 to 366, from the mean length of a year: right to a day or two, and no
/// calendar needed.
fn day_of_year(time: Time) -> f64 {
    (time.day_number() as f64 % DAYS_A_YEAR).floor() + 1.0
}

/// The generator of one customer and purpose.
struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Uniform in [0, 1), by the upper 53 bits.
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// 1 to `most`.
    fn up_to(&mut self, most: u32) -> u32 {
        1 + (self.uniform() * f64::from(most)) as u32
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[(self.uniform() * N as f64) as usize]
    }

    /// An index, drawn in proportion to the weights.
    fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.uniform() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        // Rounding may leave a rest: the last of what can be drawn at all.
        chosen.or_else(|| weights.iter().rposition(|weight| *weight > 0.0)).unwrap_or(0)
    }

    /// Mean 1, by inversion.
    fn exponential(&mut self) -> f64 {
        -(-self.uniform()).ln_1p()
    }

    /// Mean and variance `shape`: a gamma variable of whole shape is a sum of exponential ones.
    fn gamma(&mut self, shape: u32) -> f64 {
        (0..shape).map(|_| self.exponential()).sum()
    }

    /// Mean 0, variance 1 (Box and Muller 1958, one of the pair).
    fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on
/// every bit of `x`.
const fn splitmix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const CATEGORIES: [&str; 8] = ["coffee", "coffee", "coffee", "tea", "tea", "machines", "cups", "service"];

/// What the mails of a sixth of the year are about.
const THEMES: [&str; 6] = ["new-year", "easter", "garden", "holidays", "autumn", "christmas"];

const FIRST_NAMES: [&str; 24] = [
    "Ada", "Anton", "Clara", "David", "Elena", "Emil", "Fatima", "Felix", "Greta", "Hanna", "Ivan", "Jonas",
    "Karim", "Lena", "Marta", "Mateo", "Nora", "Oskar", "Paula", "Rosa", "Samuel", "Theo", "Vera", "Yusuf",
];

const LAST_NAMES: [&str; 24] = [
    "Adler", "Bauer", "Conti", "Dubois", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanova", "Jansen",
    "Keller", "Lind", "Moreau", "Novak", "Olsen", "Peeters", "Quint", "Rossi", "Silva", "Toth", "Ulrich",
    "Vogel", "Weber", "Yilmaz",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn business(customers: usize) -> Business {
        Business { customers, ..Business::new(7, "2026-01-01".parse().unwrap()) }
    }

    fn sigmoid(log_odds: f64) -> f64 {
        1.0 / (1.0 + (-log_odds).exp())
    }

    fn times(customer: &SimulatedCustomer, kind: &str) -> Vec<Time> {
        let those = customer.interactions.iter().filter(|interaction| interaction.kind == kind);
        those.map(|interaction| interaction.occur_time).collect()
    }

    fn happens(times: &[Time], after: Time, days: i64) -> bool {
        times.iter().any(|time| *time > after && *time <= after.plus_days(days))
    }

    #[test]
    fn the_same_seed_gives_the_same_business() {
        let all = |business: Business| business.iter().collect::<Vec<_>>();
        let (one, same) = (all(business(50)), all(business(50)));
        assert_eq!(format!("{one:?}"), format!("{same:?}"));
        assert_ne!(one, all(Business { seed: 8, ..business(50) }));
        let lonely = business(1).customer(42);
        assert_eq!(lonely, one[42], "a customer depends on nobody else");
        assert_eq!(lonely.customer_id, "C00042");
        assert!(one.iter().enumerate().all(|(n, customer)| {
            !one[..n].iter().any(|c| c.name == customer.name && c.create_time == customer.create_time)
        }));
    }

    #[test]
    fn all_of_it_is_in_order_and_within_the_limits() {
        for business in [business(300), Business { subscription: true, days: 400, ..business(300) }] {
            let start = business.end.plus_days(-i64::from(business.days));
            for customer in business.iter() {
                assert!(customer.create_time >= start && customer.create_time < business.end);
                let key = |i: &SimulatedInteraction| (i.occur_time, i.interaction_id.clone());
                assert!(customer.interactions.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
                let mut bought = 0;
                for interaction in &customer.interactions {
                    let SimulatedInteraction { kind, occur_time, amount_minor, properties, .. } = interaction;
                    assert!(*occur_time > customer.create_time && *occur_time < business.end);
                    assert!(interaction.interaction_id.len() <= 256 && kind.len() <= 64);
                    assert!(properties.iter().all(|(key, value)| key.len() <= 64 && value.len() <= 1_024));
                    match *kind {
                        "purchase" => bought = amount_minor.unwrap(),
                        "return" => assert!(amount_minor.unwrap() <= bought),
                        _ => assert_eq!(*amount_minor, None),
                    }
                    assert!(amount_minor.is_none_or(|amount| (1..=1_000_000_000_000_000).contains(&amount)));
                    let of_the_business = ["email", "resolution"].contains(kind) && !business.subscription;
                    let cancels = *kind == "cancel" && Some(*occur_time) == customer.left;
                    let there = customer.left.is_none_or(|left| *occur_time < left);
                    assert!(there || cancels || of_the_business, "{interaction:?} after leaving");
                }
                let cancels = if business.subscription { Vec::from_iter(customer.left) } else { Vec::new() };
                assert_eq!(times(&customer, "cancel"), cancels);
            }
        }
    }

    /// What the history shows of a lead, read by somebody who knows nothing of the simulation.
    fn read_lead(history: &History, now: Time) -> [f64; 7] {
        let version = history.version_at(now, now).unwrap();
        let seen = |kind: &str, days: i64| {
            let slot = history.kind_slot(kind);
            let since = now.plus_days(-days);
            let is_it = |event: &crate::history::Event| Some(event.kind) == slot && event.occur_time > since;
            history.visible(now, now).filter(|(_, event)| is_it(event)).count() as f64
        };
        let size = match version.attributes.get("company_size") {
            Some(AttributeValue::Number(size)) => (size / 20.0).ln(),
            _ => 0.0,
        };
        let referral = AttributeValue::Text("referral".to_owned());
        [
            1.0,
            (1.0 + seen("visit", 28)).ln(),
            (1.0 + seen("email_open", 28)).ln(),
            seen("meeting", 10_000).min(3.0),
            f64::from(version.attributes["source"] == referral),
            size,
            (1.0 + now.days_since(version.create_time) / 7.0).ln(),
        ]
    }

    /// Likewise of a buyer.
    fn read_buyer(customer: &SimulatedCustomer, now: Time) -> [f64; 8] {
        let seen = || customer.interactions.iter().filter(|interaction| interaction.occur_time <= now);
        let of = |kind: &'static str| seen().filter(move |interaction| interaction.kind == kind);
        let last = |kind| of(kind).next_back().map(|interaction| interaction.occur_time);
        let open = of("complaint").filter(|complaint| Some(complaint.occur_time) > last("resolution"));
        let satisfaction = of("survey").next_back().map_or(0.0, |survey| {
            let number = |name| survey.properties[name].parse::<f64>().unwrap();
            number("score") / number("expected") - 1.0
        });
        let (purchases, first) = (of("purchase").count() as f64, of("purchase").next().unwrap().occur_time);
        let discounted =
            of("purchase").filter(|purchase| purchase.properties.contains_key("discount_percent"));
        let last_purchase = last("purchase").unwrap();
        let mean_gap = (last_purchase.days_since(first) + 42.0) / purchases;
        let north = AttributeValue::Text("north".to_owned());
        [
            1.0,
            (open.count() as f64).min(3.0),
            satisfaction,
            discounted.count() as f64 / purchases,
            (1.0 + now.days_since(last_purchase) / mean_gap).ln(),
            (1.0 + now.days_since(first) / 7.0).ln(),
            f64::from(last("referral").is_some()),
            f64::from(customer.attributes["region"] == north),
        ]
    }

    #[test]
    fn fate_is_decided_on_what_the_history_shows() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        for customer in business(150).iter() {
            let history = customer.history();
            for week in &customer.lead_weeks {
                let read = read_lead(&history, week.start);
                assert!(close(&read, &week.covariates), "{read:?} {week:?}");
                assert_eq!(week.happened, happens(&times(&customer, "purchase"), week.start, 7));
            }
            for week in &customer.buyer_weeks {
                let read = read_buyer(&customer, week.start);
                assert!(close(&read, &week.covariates), "{read:?} {week:?}");
                assert_eq!(week.happened, happens(&Vec::from_iter(customer.left), week.start, 7));
            }
        }
    }

    #[test]
    fn the_base_rates_are_those_of_an_interesting_business() {
        let business = business(1_500);
        let customers: Vec<_> = business.iter().collect();
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        let interactions = customers.iter().map(|customer| customer.interactions.len()).sum::<usize>();
        assert!((25.0..45.0).contains(&share(interactions, customers.len())));

        let old = || customers.iter().filter(|customer| customer.create_time < business.end.plus_days(-84));
        for (days, range) in [(30, 0.2..0.3), (84, 0.35..0.48)] {
            let converts = |c: &&SimulatedCustomer| happens(&times(c, "purchase"), c.create_time, days);
            let converting = share(old().filter(converts).count(), old().count());
            assert!(range.contains(&converting), "{converting} within {days} days");
        }
        let cutoff = business.end.plus_days(-180);
        let purchases = customers.iter().map(|customer| times(customer, "purchase"));
        let buyers: Vec<_> = purchases.filter(|times| times.first().is_some_and(|t| *t <= cutoff)).collect();
        let churned = buyers.iter().filter(|times| !happens(times, cutoff, 90)).count();
        assert!((0.28..0.42).contains(&share(churned, buyers.len())), "{churned} of {}", buyers.len());
    }

    /// Logistic regression by Newton's method: the coefficients and their standard errors.
    fn fit<const N: usize>(weeks: &[Week<N>]) -> ([f64; N], [f64; N]) {
        let (mut coefficients, mut errors) = ([0.0; N], [0.0; N]);
        for _ in 0..12 {
            // The information matrix, and beside it the unit matrix, which elimination makes its inverse.
            let (mut rows, mut gradient) = (vec![vec![0.0; 2 * N]; N], [0.0; N]);
            for Week { covariates: x, happened, .. } in weeks {
                let p = sigmoid(coefficients.iter().zip(x).map(|(b, x)| b * x).sum());
                for i in 0..N {
                    gradient[i] += (f64::from(*happened) - p) * x[i];
                    for j in 0..N {
                        rows[i][j] += p * (1.0 - p) * x[i] * x[j];
                    }
                }
            }
            for i in 0..N {
                rows[i][N + i] = 1.0;
            }
            for i in 0..N {
                let pivot: Vec<f64> = rows[i].iter().map(|value| value / rows[i][i]).collect();
                for (j, row) in rows.iter_mut().enumerate() {
                    let factor = if j == i { row[i] - 1.0 } else { row[i] };
                    row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
                }
            }
            for i in 0..N {
                coefficients[i] += (0..N).map(|j| rows[i][N + j] * gradient[j]).sum::<f64>();
                errors[i] = rows[i][N + i].sqrt();
            }
        }
        (coefficients, errors)
    }

    fn recovers<const N: usize>(truth: &[(&str, f64); N], weeks: &[Week<N>]) {
        let (coefficients, errors) = fit(weeks);
        for (((name, true_value), fitted), error) in truth.iter().zip(coefficients).zip(errors) {
            assert!(error < 0.35, "{name} is told by too few weeks: ± {error}");
            assert!(
                (fitted - true_value).abs() < 4.0 * error,
                "{name}: {fitted} ± {error}, not {true_value}"
            );
        }
    }

    #[test]
    fn the_true_coefficients_are_recovered() {
        let customers: Vec<_> = business(3_000).iter().collect();
        recovers(&CONVERTING, &customers.iter().flat_map(|c| c.lead_weeks.clone()).collect::<Vec<_>>());
        recovers(&LEAVING, &customers.iter().flat_map(|c| c.buyer_weeks.clone()).collect::<Vec<_>>());
    }

    /// Asserts that what was predicted is what happened, among the lowest, middle and highest third, and
    /// returns the area under the ROC curve.
    fn calibrated(mut predictions: Vec<(f64, bool)>) -> f64 {
        assert!(predictions.len() > 300);
        predictions.sort_by(|a, b| a.0.total_cmp(&b.0));
        for third in predictions.chunks(predictions.len().div_ceil(3)) {
            let surplus: f64 = third.iter().map(|(p, happened)| f64::from(*happened) - p).sum();
            // The draws add a hundredth of the variance; where nothing is uncertain, allow one surprise.
            let noise = third.iter().map(|(p, _)| p * (1.0 - p)).sum::<f64>().max(1.0).sqrt();
            assert!(surplus.abs() < 3.5 * noise, "{surplus} ± {noise} more than predicted");
        }
        let (mut negatives, mut pairs) = (0.0, 0.0);
        for (_, happened) in &predictions {
            if *happened { pairs += negatives } else { negatives += 1.0 }
        }
        pairs / (negatives * (predictions.len() as f64 - negatives))
    }

    #[test]
    fn true_probabilities_of_converting_agree_with_what_happens() {
        let business = business(1_000);
        let mut predictions = Vec::new();
        for (n, customer) in business.iter().enumerate() {
            for age in [0, 30] {
                let as_of = customer.create_time.plus_days(age);
                if as_of.plus_days(30) < business.end
                    && let Some(probability) = business.true_lead_probability(n, as_of, 30, 100)
                {
                    let purchases = times(&customer, "purchase");
                    assert!(purchases.first().is_none_or(|first| *first > as_of), "a lead");
                    predictions.push((probability, happens(&purchases, as_of, 30)));
                }
            }
        }
        let auc = calibrated(predictions);
        assert!((0.72..0.85).contains(&auc), "{auc}");
    }

    #[test]
    fn true_probabilities_of_churn_agree_with_what_happens() {
        for (subscription, range) in [(false, 0.8..0.9), (true, 0.7..0.9)] {
            let business = Business { subscription, ..business(1_000) };
            let mut predictions = Vec::new();
            for (n, customer) in business.iter().enumerate() {
                let purchases = times(&customer, "purchase");
                for as_of in [100, 200, 300, 400].map(|days| business.end.plus_days(-days)) {
                    let probability = business.true_churn_probability(n, as_of, 90, 100);
                    let is_buyer = purchases.first().is_some_and(|first| *first <= as_of);
                    let has_cancelled = subscription && customer.left.is_some_and(|left| left <= as_of);
                    if !is_buyer || has_cancelled {
                        assert!(probability.is_none() || (subscription && !has_cancelled));
                        continue;
                    }
                    let cancels = happens(&times(&customer, "cancel"), as_of, 90);
                    let churns = if subscription { cancels } else { !happens(&purchases, as_of, 90) };
                    predictions.push((probability.unwrap(), churns));
                }
            }
            let auc = calibrated(predictions);
            assert!(range.contains(&auc), "{auc} with subscription = {subscription}");
        }
    }

    #[test]
    fn there_is_no_probability_of_what_cannot_be_asked() {
        let business = business(100);
        let buyer = (0..100).find(|n| business.customer(*n).left.is_some()).unwrap();
        let customer = business.customer(buyer);
        let (come, left) = (customer.create_time, customer.left.unwrap());
        assert_eq!(business.true_lead_probability(buyer, come.plus_days(-1), 30, 10), None, "unknown");
        assert!(business.true_lead_probability(buyer, come, 30, 10).is_some());
        assert_eq!(business.true_churn_probability(buyer, come, 90, 10), None, "a lead");
        assert_eq!(business.true_lead_probability(buyer, left, 30, 10), None, "a buyer");
        assert!(business.true_churn_probability(buyer, left, 90, 10).is_some(), "nobody knows");
        assert_eq!(business.true_churn_probability(buyer, left, 90, 0), None, "no draws");
        assert_eq!(
            business.true_churn_probability(buyer, business.end.plus_days(1), 90, 10),
            None,
            "the future"
        );
        let told = Business { subscription: true, ..business };
        assert_eq!(told.true_churn_probability(buyer, left, 90, 10), None, "it has cancelled");
    }
}
