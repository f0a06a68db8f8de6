//! What one customer adds to the key figures, in one pass over its history.

use super::{counts::Count, counts::KpiCounts, spans::KpiSpans};
use crate::{
    history::{Event, History, kind},
    insight::{InsightSpec, Interval, PurchaseDays, Relation, RelationChange},
    time::{DAY, Time},
};

/// The days in which a lead is to convert.
const CONVERSION_DAYS: i64 = 30;
const HOUR: i64 = DAY / 24;

/// What is asked, the same for all customers.
#[derive(Clone, Debug)]
pub struct KpiQuestion {
    /// The spans of time.
    pub spans: KpiSpans,
    /// Only what happened before this moment counts.
    pub before: Time,
    /// Only what was known at this moment counts.
    pub known_at: Time,
    /// The typical interval as of `before`.
    pub typical: Interval,
    /// The definitions.
    pub spec: InsightSpec,
    /// Whether the revenue of each customer is kept, for [`KpiMetric::needs_revenues`](super::KpiMetric::needs_revenues).
    pub keep_revenues: bool,
}

impl KpiQuestion {
    /// The last moment that counts.
    const fn last_moment(&self) -> Time {
        Time(self.before.0.saturating_sub(1))
    }
}

/// The mean interval between the purchase days of a customer by what happened before a moment; None for fewer than two
/// days.
#[must_use]
pub fn kpi_interval(history: &History, before: Time, known_at: Time) -> Option<Interval> {
    let purchase = history.kind_slot(kind::PURCHASE)?;
    let mut days = None;
    for event in history.visible(Time(before.0.saturating_sub(1)), known_at) {
        if event.kind == purchase {
            days = Some(PurchaseDays::after(days, event.occur_time));
        }
    }
    days?.own_interval()
}

/// Counts customers one after the other.
pub struct KpiCounter<'a> {
    question: &'a KpiQuestion,
    counts: KpiCounts,
    /// What the kinds of the customer's history mean.
    roles: Vec<Role>,
    complaints: Complaints,
    visits: Visits,
}

/// What an interaction of some kind means.
#[derive(Clone, Copy)]
struct Role {
    act: Act,
    is_contact: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Purchase,
    Return,
    Cancel,
    Complaint,
    Resolution,
    Other,
}

impl<'a> KpiCounter<'a> {
    /// No customer yet.
    #[must_use]
    pub fn new(question: &'a KpiQuestion) -> Self {
        Self {
            question,
            counts: KpiCounts::new(&question.spans),
            roles: Vec::new(),
            complaints: Complaints::default(),
            visits: Visits {
                of_span: vec![Visit::default(); question.spans.spans().len()],
                spans: Vec::new(),
            },
        }
    }

    /// What all customers add.
    #[must_use]
    pub fn finish(self) -> KpiCounts {
        self.counts
    }

    /// Adds a customer.
    pub fn add(&mut self, history: &History) {
        let question = self.question;
        self.learn_roles(history);
        let mut customer = Customer::new(question);
        let seen = question.last_moment().max(question.known_at);
        for event in history.visible(seen, question.known_at) {
            customer.first_event.get_or_insert(event.occur_time);
            let role = self.roles[event.kind as usize];
            if event.occur_time < question.before {
                self.add_event(&mut customer, &event, role);
                continue;
            }
            // What follows only judges what had begun: leads may convert, and complaints be answered in time.
            if role.act == Act::Purchase {
                customer.first_purchase.get_or_insert(event.occur_time);
            }
            if role.is_contact || role.act == Act::Resolution {
                self.complaints.answer_later(&mut self.counts, question, event.occur_time);
            }
            if customer.first_purchase.is_some() && self.complaints.unanswered.is_empty() {
                break;
            }
        }
        self.end_relation(&mut customer);
        self.add_surveys(history);
        self.add_creation(&customer, history);
        self.visits.end(&mut self.counts, question);
        self.complaints.clear();
    }

    fn learn_roles(&mut self, history: &History) {
        let contacts = &self.question.spec.contact_kinds;
        self.roles.clear();
        self.roles.extend(history.kinds().iter().map(|name| Role {
            act: match name.as_str() {
                kind::PURCHASE => Act::Purchase,
                kind::RETURN => Act::Return,
                kind::CANCEL => Act::Cancel,
                kind::COMPLAINT => Act::Complaint,
                kind::RESOLUTION => Act::Resolution,
                _ => Act::Other,
            },
            is_contact: contacts.contains(name),
        }));
    }

    /// Adds what happened before the moment of the question.
    fn add_event(&mut self, customer: &mut Customer, event: &Event, role: Role) {
        if role.act == Act::Other && !role.is_contact {
            return;
        }
        let time = event.occur_time;
        let cell = self.question.spans.cell_from(customer.cell, time);
        customer.cell = cell;
        let amount = event.amount_minor.unwrap_or(0);
        match role.act {
            Act::Purchase => self.add_purchase(customer, time, amount),
            Act::Return => self.counts.add(cell, Count::Returns, i128::from(amount)),
            Act::Cancel => customer.relation.cancel(time),
            Act::Complaint => self.complaints.complain(&mut self.counts, self.question, (time, cell)),
            Act::Resolution => {
                self.complaints.answer(&mut self.counts, self.question, (time, cell));
                self.complaints.resolve(&mut self.counts, (time, cell));
            }
            Act::Other => {}
        }
        if role.is_contact {
            if !customer.contacted {
                customer.contacted = true;
                self.counts.add(cell, Count::Contacted, 1);
            }
            self.complaints.answer(&mut self.counts, self.question, (time, cell));
        }
    }

    fn add_purchase(&mut self, customer: &mut Customer, time: Time, amount: i64) {
        let cell = customer.cell;
        customer.first_purchase.get_or_insert(time);
        customer.purchases += 1;
        self.counts.add(cell, Count::Orders, 1);
        self.counts.add(cell, Count::Revenue, i128::from(amount));
        if customer.purchases == 2 {
            self.counts.add(cell, Count::Repeating, 1);
        }
        for span in self.question.spans.holding(cell) {
            self.visits.add(*span, amount, customer.purchases);
        }
        let mut changed = recorder(self.question, &mut self.counts, &mut customer.current_since);
        customer.relation.purchase(time, &mut changed);
    }

    /// Adds the loss that no purchase has followed.
    fn end_relation(&mut self, customer: &mut Customer) {
        if let Some(loss) = customer.relation.loss().filter(|loss| *loss < self.question.before) {
            let mut changed = recorder(self.question, &mut self.counts, &mut customer.current_since);
            changed(RelationChange::Lost, loss);
        }
    }

    fn add_surveys(&mut self, history: &History) {
        let question = self.question;
        for survey in history.surveys() {
            let visible = history.kind_if_visible(survey.event, question.last_moment(), question.known_at);
            if visible.is_some() {
                let cell = question.spans.cell(history.occur_time(survey.event));
                self.counts.add_survey(cell, survey.satisfaction);
            }
        }
    }

    /// Adds the customer itself, and what became of it as a lead.
    fn add_creation(&mut self, customer: &Customer, history: &History) {
        let question = self.question;
        let recorded = history.versions().iter().filter(|version| version.record_time <= question.known_at);
        let created = recorded.map(|version| version.create_time).chain(customer.first_event).min();
        let Some(created) = created.filter(|created| *created < question.before) else { return };
        let cell = question.spans.cell(created);
        self.counts.add(cell, Count::Customers, 1);
        if customer.first_purchase.is_some_and(|purchase| purchase <= created) {
            return;
        }
        let window_end = created.plus_days(CONVERSION_DAYS);
        if window_end <= question.known_at {
            self.counts.add(cell, Count::Leads, 1);
            if customer.first_purchase.is_some_and(|purchase| purchase <= window_end) {
                self.counts.add(cell, Count::LeadsConverted, 1);
            }
        }
        if let Some(purchase) = customer.first_purchase.filter(|purchase| *purchase < question.before) {
            let cell = question.spans.cell(purchase);
            self.counts.add(cell, Count::Conversions, 1);
            self.counts.add(cell, Count::ConversionTime, microseconds(created, purchase));
        }
    }
}

/// The customer that is being added.
struct Customer {
    relation: Relation,
    first_event: Option<Time>,
    first_purchase: Option<Time>,
    purchases: u64,
    contacted: bool,
    /// The cell of the last event.
    cell: usize,
    /// When the relation last began.
    current_since: Time,
}

impl Customer {
    fn new(question: &KpiQuestion) -> Self {
        Self {
            relation: Relation::new(question.typical, &question.spec.life_cycle),
            first_event: None,
            first_purchase: None,
            purchases: 0,
            contacted: false,
            cell: 0,
            current_since: Time::MIN,
        }
    }
}

/// Counts the changes of the relation with a customer, which is current since a moment.
fn recorder<'a>(
    question: &'a KpiQuestion,
    counts: &'a mut KpiCounts,
    current_since: &'a mut Time,
) -> impl FnMut(RelationChange, Time) + 'a {
    move |change, time| {
        let spans = &question.spans;
        let cell = spans.cell(time);
        let count = match change {
            RelationChange::New => Count::New,
            RelationChange::WonBack => Count::WonBack,
            RelationChange::Lost => {
                for span in spans.holding(cell) {
                    // Only the first loss in a span is of a customer who has been current since before it.
                    if *current_since < spans.spans()[*span].span.start {
                        counts.spans[*span].churned += 1;
                    }
                }
                Count::Lost
            }
        };
        if change != RelationChange::Lost {
            *current_since = time;
        }
        counts.add(cell, count, 1);
    }
}

/// The complaints of the customer that is being added. What answers or resolves complaints does so to those of its own
/// moment as well, whichever comes first in the history.
#[derive(Default)]
struct Complaints {
    /// The times and cells of those without an answer.
    unanswered: Vec<(Time, usize)>,
    /// The times of those without a resolution.
    unresolved: Vec<Time>,
    last_answer: Option<Time>,
    last_resolution: Option<Time>,
}

impl Complaints {
    fn clear(&mut self) {
        self.unanswered.clear();
        self.unresolved.clear();
        self.last_answer = None;
        self.last_resolution = None;
    }

    fn complain(&mut self, counts: &mut KpiCounts, question: &KpiQuestion, (time, cell): (Time, usize)) {
        counts.add(cell, Count::Complaints, 1);
        if is_due(question, time) {
            counts.add(cell, Count::Due, 1);
        }
        self.unanswered.push((time, cell));
        self.unresolved.push(time);
        if self.last_answer == Some(time) {
            self.answer(counts, question, (time, cell));
        }
        if self.last_resolution == Some(time) {
            self.resolve(counts, (time, cell));
        }
    }

    fn answer(&mut self, counts: &mut KpiCounts, question: &KpiQuestion, (time, cell): (Time, usize)) {
        self.last_answer = Some(time);
        for (complaint, complaint_cell) in self.unanswered.drain(..) {
            counts.add(cell, Count::Answered, 1);
            counts.add(cell, Count::AnswerTime, microseconds(complaint, time));
            if is_answered_in_time(question, complaint, time) {
                counts.add(complaint_cell, Count::DueAnswered, 1);
            }
        }
    }

    /// An answer after all that counts: it does not count itself, but may have come in time.
    fn answer_later(&mut self, counts: &mut KpiCounts, question: &KpiQuestion, time: Time) {
        for (complaint, cell) in self.unanswered.drain(..) {
            if is_answered_in_time(question, complaint, time) {
                counts.add(cell, Count::DueAnswered, 1);
            }
        }
    }

    fn resolve(&mut self, counts: &mut KpiCounts, (time, cell): (Time, usize)) {
        self.last_resolution = Some(time);
        for complaint in self.unresolved.drain(..) {
            counts.add(cell, Count::Resolved, 1);
            counts.add(cell, Count::ResolutionTime, microseconds(complaint, time));
        }
    }
}

/// Until when a complaint is to be answered.
const fn due(question: &KpiQuestion, complaint: Time) -> Time {
    Time(complaint.0.saturating_add(question.spec.sla_hours as i64 * HOUR))
}

/// Whether the time for an answer to a complaint is over.
fn is_due(question: &KpiQuestion, complaint: Time) -> bool {
    due(question, complaint) <= question.known_at
}

/// Whether an answer to a complaint came in time, of one whose time is over.
fn is_answered_in_time(question: &KpiQuestion, complaint: Time, answer: Time) -> bool {
    is_due(question, complaint) && answer <= due(question, complaint)
}

fn microseconds(from: Time, to: Time) -> i128 {
    i128::from(to.0) - i128::from(from.0)
}

/// The spans in which the customer that is being added bought.
struct Visits {
    /// Per span.
    of_span: Vec<Visit>,
    /// Those with a purchase.
    spans: Vec<usize>,
}

/// The purchases of a customer in a span.
#[derive(Clone, Copy, Default)]
struct Visit {
    /// Its purchases ever up to the last one in the span; 0 without one.
    purchases: u64,
    revenue: i64,
}

impl Visits {
    /// Adds a purchase, which is the customer's `purchases`-th.
    fn add(&mut self, span: usize, amount: i64, purchases: u64) {
        let visit = &mut self.of_span[span];
        if visit.purchases == 0 {
            self.spans.push(span);
        }
        visit.purchases = purchases;
        visit.revenue = visit.revenue.saturating_add(amount);
    }

    /// Adds the customer to the spans in which it bought.
    fn end(&mut self, counts: &mut KpiCounts, question: &KpiQuestion) {
        for span in &self.spans {
            let (visit, planned) = (self.of_span[*span], &question.spans.spans()[*span]);
            let bought_before = planned.before.is_some_and(|before| self.of_span[before].purchases > 0);
            let counts = &mut counts.spans[*span];
            counts.active += 1;
            counts.retained += i64::from(bought_before);
            counts.repeating += i64::from(visit.purchases > 1);
            if question.keep_revenues && planned.asked {
                counts.revenues.push(visit.revenue);
            }
        }
        for span in self.spans.drain(..) {
            self.of_span[span] = Visit::default();
        }
    }
}
