//! The sums of a row: one pass over the events, newest first.

use super::{RowWriter, TREND};
use crate::{
    features::{Plan, bg_nbd::Purchases},
    history::{Event, History, kind},
    time::{DAY, Time},
};

/// Count and sum of one kind in one interval of time. The sum is wide enough for any number of amounts.
#[derive(Clone, Copy, Default)]
struct Bucket {
    count: u64,
    amount: i128,
}

/// When the first and the last event of one kind happened.
#[derive(Clone, Copy)]
struct Span {
    first: Time,
    last: Time,
}

/// The meaning of a kind to the fold.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Purchase,
    Return,
    Complaint,
    Resolution,
    Cancel,
    Other,
}

/// What the fold does with the events of one kind of the history.
struct KindSlot {
    /// The index in the plan, if it is there.
    place: Option<usize>,
    role: Role,
    /// Whether it begins a relation.
    is_start: bool,
}

/// All sums of one row. Events are added newest first.
pub(super) struct Tallies<'a> {
    plan: &'a Plan,
    /// Per kind of the history.
    slots: Vec<KindSlot>,
    /// Per kind of the plan `windows + 1` buckets, one for each interval between the edges of two windows.
    buckets: Vec<Bucket>,
    /// Per kind of the plan.
    spans: Vec<Option<Span>>,
    /// Per kind of the plan, the number of events in each period of the trend.
    trends: Vec<[u64; 2]>,
    /// Per interval, the number of days whose newest event lies in it.
    active_days: Vec<u64>,
    totals: Totals,
}

/// The sums that do not depend on the plan.
#[derive(Default)]
struct Totals {
    /// The interval of the current event: the index of the shortest window that contains it.
    interval: usize,
    /// When the newest event happened.
    last: Option<Time>,
    last_day: Option<i64>,
    purchases: u64,
    purchase_days: u32,
    /// The sum of the squares of the gaps between them, in days.
    squared_gaps: u128,
    purchase_span: Option<Span>,
    purchase_amounts: Bucket,
    returns: u64,
    last_resolution: Option<Time>,
    open_complaints: u64,
    /// When the newest event happened that begins a relation.
    last_start: Option<Time>,
    returned: bool,
    /// The number of events in each period of the trend.
    trend: [u64; 2],
}

impl Totals {
    fn add(&mut self, event: Event, role: Role) {
        match role {
            Role::Purchase => self.add_purchase(event),
            Role::Return => self.returns += 1,
            Role::Resolution => self.last_resolution = self.last_resolution.or(Some(event.occur_time)),
            // Newest first: any later resolution was added before.
            Role::Complaint => {
                let resolved = self.last_resolution.is_some_and(|resolution| resolution > event.occur_time);
                self.open_complaints += u64::from(!resolved);
            }
            Role::Cancel => self.returned |= self.last_start.is_some_and(|start| start > event.occur_time),
            Role::Other => {}
        }
    }

    fn add_purchase(&mut self, event: Event) {
        self.purchases += 1;
        // The span begins at the purchase that was added before.
        let before = self.purchase_span.map(|span| span.first.day_number());
        let gap = before.map(|before| before.abs_diff(event.occur_time.day_number()));
        self.purchase_days += u32::from(gap != Some(0));
        self.squared_gaps += gap.map_or(0, |gap| u128::from(gap).pow(2));
        extend(&mut self.purchase_span, event.occur_time);
        self.purchase_amounts.count += u64::from(event.amount_minor.is_some());
        self.purchase_amounts.amount += event.amount_minor.map_or(0, i128::from);
    }
}

impl<'a> Tallies<'a> {
    /// Tallies of a history, with the trends of its kinds if these are wanted.
    pub(super) fn new(plan: &'a Plan, trends_of_kinds: bool, history: &History) -> Self {
        let intervals = plan.windows_days.len() + 1;
        let slot = |kind: &str| {
            let role = match kind {
                kind::PURCHASE => Role::Purchase,
                kind::RETURN => Role::Return,
                kind::COMPLAINT => Role::Complaint,
                kind::RESOLUTION => Role::Resolution,
                kind::CANCEL => Role::Cancel,
                _ => Role::Other,
            };
            let place = plan.kinds.iter().position(|known| known == kind);
            KindSlot { place, role, is_start: plan.start_kinds.iter().any(|known| known == kind) }
        };
        Self {
            plan,
            slots: history.kinds().iter().map(|kind| slot(kind)).collect(),
            buckets: vec![Bucket::default(); plan.kinds.len() * intervals],
            spans: vec![None; plan.kinds.len()],
            trends: vec![[0; 2]; if trends_of_kinds { plan.kinds.len() } else { 0 }],
            active_days: vec![0; intervals],
            totals: Totals::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Bucket::default());
        self.spans.fill(None);
        self.trends.fill([0; 2]);
        self.active_days.fill(0);
        self.totals = Totals::default();
    }

    pub(super) fn add(&mut self, event: Event, as_of: Time) {
        let age = as_of.0.saturating_sub(event.occur_time.0);
        let within = |days: u32| age < i64::from(days) * DAY;
        while self.plan.windows_days.get(self.totals.interval).is_some_and(|days| !within(*days)) {
            self.totals.interval += 1;
        }
        self.totals.last = self.totals.last.or(Some(event.occur_time));
        let day = event.occur_time.day_number();
        if self.totals.last_day != Some(day) {
            self.totals.last_day = Some(day);
            self.active_days[self.totals.interval] += 1;
        }
        let period = TREND.into_iter().position(within);
        if let Some(period) = period {
            self.totals.trend[period] += 1;
        }
        let KindSlot { place, role, is_start } = self.slots[event.kind as usize];
        if let Some(place) = place {
            let bucket = &mut self.buckets[place * self.active_days.len() + self.totals.interval];
            bucket.count += 1;
            bucket.amount += event.amount_minor.map_or(0, i128::from);
            extend(&mut self.spans[place], event.occur_time);
            if let Some((period, counts)) = period.zip(self.trends.get_mut(place)) {
                counts[period] += 1;
            }
        }
        if is_start {
            self.totals.last_start = self.totals.last_start.or(Some(event.occur_time));
        }
        self.totals.add(event, role);
    }

    pub(super) fn write_kinds(&self, out: &mut RowWriter<'_>) {
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
            out.push_elapsed(span.map(|span| span.last), 1.0);
            out.push_elapsed(span.map(|span| span.first), 1.0);
        }
    }

    pub(super) fn write_silence(&self, out: &mut RowWriter<'_>) {
        out.push_elapsed(self.totals.last, 1.0);
    }

    pub(super) fn write_active_days(&self, out: &mut RowWriter<'_>) {
        let mut days = 0;
        out.row.extend(self.active_days.iter().map(|new| {
            days += new;
            days as f64
        }));
    }

    pub(super) fn write_purchases(&self, out: &mut RowWriter<'_>) {
        let totals = &self.totals;
        let gap = match totals.purchase_span {
            Some(span) if totals.purchases > 1 => {
                span.last.days_since(span.first) / (totals.purchases - 1) as f64
            }
            _ => f64::NAN,
        };
        let share = |part: f64, whole: u64| if whole == 0 { f64::NAN } else { part / whole as f64 };
        out.push(f64::from(totals.purchase_days));
        out.push(gap);
        out.push_elapsed(totals.purchase_span.filter(|_| gap > 0.0).map(|span| span.last), gap);
        out.push(share(real(totals.purchase_amounts.amount), totals.purchase_amounts.count));
        out.push(share(totals.returns as f64, totals.purchases));
    }

    pub(super) fn write_complaints(&self, out: &mut RowWriter<'_>) {
        out.push(self.totals.open_complaints as f64);
    }

    pub(super) fn write_trend(&self, out: &mut RowWriter<'_>) {
        out.push(trend(self.totals.trend));
    }

    pub(super) fn write_kind_trends(&self, row: &mut Vec<f64>) {
        row.extend(self.trends.iter().map(|counts| trend(*counts)));
    }

    /// The coefficient of variation of the gaps between the days with a purchase.
    pub(super) fn gap_variation(&self) -> f64 {
        let Totals { purchase_span, purchase_days, squared_gaps, .. } = &self.totals;
        match purchase_span {
            Some(span) if *purchase_days > 2 => {
                let sum = u128::from(span.first.day_number().abs_diff(span.last.day_number()));
                let gaps = u128::from(*purchase_days) - 1;
                ((gaps * squared_gaps - sum * sum) as f64).sqrt() / sum as f64
            }
            _ => f64::NAN,
        }
    }

    /// The number of purchases.
    pub(super) const fn purchase_count(&self) -> u64 {
        self.totals.purchases
    }

    pub(super) fn write_returned(&self, out: &mut RowWriter<'_>) {
        out.push(f64::from(self.totals.returned));
    }

    /// The purchases as the BG/NBD model counts them.
    pub(super) fn purchases(&self, as_of: Time) -> Option<Purchases> {
        let Totals { purchase_span, purchase_days, .. } = &self.totals;
        purchase_span.map(|span| Purchases::new(*purchase_days, span.first, span.last, as_of))
    }
}

/// The number of events in the last 30 days, compared with that in the 90 days before.
fn trend([recent, before]: [u64; 2]) -> f64 {
    (recent as f64 + 1.0) / (before as f64 / 3.0 + 1.0)
}

/// The nearest `f64`. Nearly all sums fit into 64 bits, which the processor converts in one instruction.
fn real(sum: i128) -> f64 {
    /// Out of line; otherwise the compiler merges both conversions into this one.
    #[cold]
    #[inline(never)]
    fn wide(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| wide(sum), |sum| sum as f64)
}

/// Extends the span by an event that is not later than those before it.
fn extend(span: &mut Option<Span>, occur_time: Time) {
    match span {
        Some(span) => span.first = occur_time,
        None => *span = Some(Span { first: occur_time, last: occur_time }),
    }
}
