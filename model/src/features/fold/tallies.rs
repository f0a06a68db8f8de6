//! The sums of a row: one pass over the events, newest first.

use super::{Out, TREND};
use crate::{
    features::Plan,
    features::bg_nbd::Purchases,
    history::{Event, History, kind},
    time::{DAY, Time},
};

/// Count and sum of one kind in one stretch of time. The sum is wide enough for any number of amounts.
#[derive(Clone, Copy, Default)]
struct Bucket {
    count: u64,
    amount: i128,
}

/// First and last moment of one kind.
#[derive(Clone, Copy)]
struct Span {
    first: Time,
    last: Time,
}

/// What a history's kind means to the fold.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Purchase,
    Return,
    Complaint,
    Resolution,
    Other,
}

/// All sums of one row. Events are added newest first.
pub(super) struct Tallies<'a> {
    plan: &'a Plan,
    /// Per kind of the history: its place in the plan, if it has one, and its role.
    slots: Vec<(Option<usize>, Role)>,
    /// Per kind of the plan: `windows + 1` buckets, each holding what the shorter windows do not.
    buckets: Vec<Bucket>,
    /// Per kind of the plan.
    spans: Vec<Option<Span>>,
    /// Per stretch: days whose newest event lies in it.
    active_days: Vec<u64>,
    run: Run,
}

/// What is summed up without regard to the plan.
#[derive(Default)]
struct Run {
    /// The stretch that the event at hand lies in: the first window that holds it.
    stretch: usize,
    /// When the newest event happened.
    last: Option<Time>,
    last_day: Option<i64>,
    purchases: u64,
    purchase_days: u32,
    purchase_span: Option<Span>,
    purchase_amounts: Bucket,
    returns: u64,
    last_resolution: Option<Time>,
    open_complaints: u64,
    last_30_days: u64,
    the_90_before: u64,
}

impl<'a> Tallies<'a> {
    pub(super) fn new(plan: &'a Plan, history: &History) -> Self {
        let stretches = plan.windows_days.len() + 1;
        let slot = |kind: &str| {
            let role = match kind {
                kind::PURCHASE => Role::Purchase,
                kind::RETURN => Role::Return,
                kind::COMPLAINT => Role::Complaint,
                kind::RESOLUTION => Role::Resolution,
                _ => Role::Other,
            };
            (plan.kinds.iter().position(|known| known == kind), role)
        };
        Self {
            plan,
            slots: history.kinds().iter().map(|kind| slot(kind)).collect(),
            buckets: vec![Bucket::default(); plan.kinds.len() * stretches],
            spans: vec![None; plan.kinds.len()],
            active_days: vec![0; stretches],
            run: Run::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Bucket::default());
        self.spans.fill(None);
        self.active_days.fill(0);
        self.run = Run::default();
    }

    pub(super) fn add(&mut self, event: Event, as_of: Time) {
        let age = as_of.0 - event.occur_time.0;
        let within = |days: u32| age < i64::from(days) * DAY;
        while self.plan.windows_days.get(self.run.stretch).is_some_and(|days| !within(*days)) {
            self.run.stretch += 1;
        }
        self.run.last = self.run.last.or(Some(event.occur_time));
        let day = event.occur_time.day_number();
        if self.run.last_day != Some(day) {
            self.run.last_day = Some(day);
            self.active_days[self.run.stretch] += 1;
        }
        let [recent, before] = TREND;
        if within(recent) {
            self.run.last_30_days += 1;
        } else if within(before) {
            self.run.the_90_before += 1;
        }
        let amount = event.amount_minor.map(i128::from);
        let (place, role) = self.slots[event.kind as usize];
        if let Some(place) = place {
            let bucket = &mut self.buckets[place * self.active_days.len() + self.run.stretch];
            bucket.count += 1;
            bucket.amount += amount.unwrap_or(0);
            extend(&mut self.spans[place], event.occur_time);
        }
        match role {
            Role::Purchase => {
                self.run.purchases += 1;
                // The span begins at the purchase that was added last.
                let same_day = self.run.purchase_span.is_some_and(|span| span.first.day_number() == day);
                self.run.purchase_days += u32::from(!same_day);
                extend(&mut self.run.purchase_span, event.occur_time);
                self.run.purchase_amounts.count += u64::from(amount.is_some());
                self.run.purchase_amounts.amount += amount.unwrap_or(0);
            }
            Role::Return => self.run.returns += 1,
            Role::Resolution => {
                self.run.last_resolution = self.run.last_resolution.or(Some(event.occur_time));
            }
            // Newest first: any later resolution has been seen already.
            Role::Complaint => {
                let resolved =
                    self.run.last_resolution.is_some_and(|resolution| resolution > event.occur_time);
                self.run.open_complaints += u64::from(!resolved);
            }
            Role::Other => {}
        }
    }

    pub(super) fn write_kinds(&self, out: &mut Out<'_>) {
        for (buckets, span) in self.buckets.chunks(self.active_days.len()).zip(&self.spans) {
            let mut count = 0;
            out.row.extend(buckets.iter().map(|bucket| {
                count += bucket.count;
                count as f64
            }));
            let mut amount = 0;
            out.row.extend(buckets.iter().map(|bucket| {
                amount += bucket.amount;
                real(amount)
            }));
            out.push_clock(span.map(|span| span.last), 1.0);
            out.push_clock(span.map(|span| span.first), 1.0);
        }
    }

    pub(super) fn write_silence(&self, out: &mut Out<'_>) {
        out.push_clock(self.run.last, 1.0);
    }

    pub(super) fn write_active_days(&self, out: &mut Out<'_>) {
        let mut days = 0;
        out.row.extend(self.active_days.iter().map(|new| {
            days += new;
            days as f64
        }));
    }

    pub(super) fn write_purchases(&self, out: &mut Out<'_>) {
        let run = &self.run;
        let gap = match run.purchase_span {
            Some(span) if run.purchases > 1 => span.last.days_since(span.first) / (run.purchases - 1) as f64,
            _ => f64::NAN,
        };
        let share = |part: f64, whole: u64| if whole == 0 { f64::NAN } else { part / whole as f64 };
        out.push(f64::from(run.purchase_days));
        out.push(gap);
        out.push_clock(run.purchase_span.filter(|_| gap > 0.0).map(|span| span.last), gap);
        out.push(share(real(run.purchase_amounts.amount), run.purchase_amounts.count));
        out.push(share(run.returns as f64, run.purchases));
    }

    pub(super) fn write_complaints(&self, out: &mut Out<'_>) {
        out.push(self.run.open_complaints as f64);
    }

    pub(super) fn write_trend(&self, out: &mut Out<'_>) {
        let [recent, before] = [self.run.last_30_days as f64, self.run.the_90_before as f64];
        out.push((recent + 1.0) / (before / 3.0 + 1.0));
    }

    /// As the BG/NBD model looks at the purchases.
    pub(super) fn purchases(&self, as_of: Time) -> Option<Purchases> {
        let Run { purchase_span, purchase_days, .. } = &self.run;
        purchase_span.map(|span| Purchases::new(*purchase_days, span.first, span.last, as_of))
    }
}

/// The nearest `f64`. Nearly all sums fit into 64 bits, which the processor converts by itself.
fn real(sum: i128) -> f64 {
    /// Out of line, or else the compiler finds that both ways are this one.
    #[cold]
    #[inline(never)]
    fn wide(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| wide(sum), |sum| sum as f64)
}

/// Widens the span to an event that is not later than any before it.
fn extend(span: &mut Option<Span>, occur_time: Time) {
    match span {
        Some(span) => span.first = occur_time,
        None => *span = Some(Span { first: occur_time, last: occur_time }),
    }
}
