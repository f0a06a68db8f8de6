//! The facts of one customer at a moment: what follows from its history alone.

use super::{Interval, own_interval, spec::InsightSpec};
use crate::{
    history::{History, kind},
    time::{DAY, Time},
};

/// The property, of an interaction of any kind, with what it cost, in minor units.
const COST_MINOR: &str = "cost_minor";
/// The properties of a purchase that is discounted when one of them is above 0.
const DISCOUNTS: [&str; 2] = ["discount_percent", "discount_minor"];

/// Sums of money, in minor units, and the purchases behind them. Sums beyond the 64-bit range stay at its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// The amounts of purchases.
    pub revenue: i64,
    /// The amounts of returns.
    pub returns: i64,
    /// The amounts of costs, and the costs of interactions.
    pub cost: i64,
    /// Purchases.
    pub orders: i64,
}

impl Money {
    /// Revenue less returns.
    #[must_use]
    pub const fn net(&self) -> i64 {
        self.revenue.saturating_sub(self.returns)
    }

    /// Net revenue less cost; it may be negative.
    #[must_use]
    pub const fn profit(&self) -> i64 {
        self.net().saturating_sub(self.cost)
    }

    /// Whether a sum is beyond what fits into 64 bits, where it stays at the end of the range.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        [self.revenue, self.returns, self.cost, self.net(), self.profit()]
            .iter()
            .any(|sum| [i64::MIN, i64::MAX].contains(sum))
    }
}

/// The purchase days of a buyer. A purchase day is a UTC day with a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseDays {
    /// When the first purchase happened.
    pub first_purchase: Time,
    /// When the last purchase happened.
    pub last_purchase: Time,
    /// The number of purchase days.
    pub count: i64,
}

impl PurchaseDays {
    /// The purchase days after one more purchase; purchases come in the order of time.
    #[must_use]
    pub fn after(before: Option<Self>, time: Time) -> Self {
        let Some(Self { first_purchase, last_purchase, count }) = before else {
            return Self { first_purchase: time, last_purchase: time, count: 1 };
        };
        let is_new_day = last_purchase.day_number() != time.day_number();
        Self { first_purchase, last_purchase: time, count: count + i64::from(is_new_day) }
    }

    /// The days between the purchase days of this customer; None for a single one.
    #[must_use]
    pub fn own_interval(&self) -> Option<Interval> {
        own_interval(self.first_purchase.day_number(), self.last_purchase.day_number(), self.count)
    }

    /// Whole days since the last purchase.
    #[must_use]
    pub const fn recency_days(&self, as_of: Time) -> i64 {
        as_of.0.saturating_sub(self.last_purchase.0).div_euclid(DAY)
    }
}

/// What follows from the history of one customer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Money of the whole relation.
    pub ever: Money,
    /// Money of the window, (as_of − window, as_of].
    pub window: Money,
    /// Whether an interaction states a cost, be it 0.
    pub cost_stated: bool,
    /// Net revenue of the window before.
    pub previous_net: i64,
    /// The purchase days; None for a lead.
    pub purchases: Option<PurchaseDays>,
    /// The amounts of the purchases on purchase days after the first.
    pub repeat_revenue: i64,
    /// The sum of the squares of what each purchase day brought. Beyond the 128-bit range it stays at its end.
    pub day_revenue_squares: i128,
    /// The purchases that were discounted.
    pub discounted: i64,
    /// The surveys with a score and an expected score.
    pub surveys: i64,
    /// The sum of score / expected score over them.
    pub satisfaction_sum: f64,
    /// The interactions of the kind `referral`.
    pub referrals: i64,
    /// The complaints.
    pub complaints: i64,
    /// The complaints that no resolution has followed.
    pub complaints_open: i64,
    /// When the last resolution happened.
    pub last_resolution: Option<Time>,
    /// When the last interaction of a contact kind happened.
    pub last_contact: Option<Time>,
    /// Which contact kinds there are interactions of: bit n is set for the kind at place n of the settings.
    pub contact_kinds: u64,
}

impl Facts {
    /// The facts at `as_of`, by what is known at `known_at`; None when the customer did not exist: it exists from its
    /// creation or its first interaction on, whichever is earlier.
    #[must_use]
    pub fn of(history: &History, as_of: Time, known_at: Time, spec: &InsightSpec) -> Option<Self> {
        let mut fold = FactFold::new(history, as_of, spec);
        for event in history.visible(as_of, known_at) {
            fold.add(event.occur_time, event.kind as usize, event.amount_minor);
        }
        let created = |version: &crate::history::Version| {
            version.record_time <= known_at && version.create_time <= as_of
        };
        if !fold.any && !history.versions().iter().any(created) {
            return None;
        }
        fold.end_day();
        let mut facts = fold.facts;
        facts.add_properties(history, (as_of, known_at), &fold.windows);
        for survey in history.surveys() {
            if history.kind_if_visible(survey.event, as_of, known_at).is_some() {
                facts.surveys += 1;
                facts.satisfaction_sum += survey.satisfaction;
            }
        }
        Some(facts)
    }

    /// Adds costs and discounts, which are properties.
    fn add_properties(&mut self, history: &History, (as_of, known_at): (Time, Time), windows: &Windows) {
        let cost = history.property_slot(COST_MINOR);
        let discounts = DISCOUNTS.map(|name| history.property_slot(name));
        if cost.is_none() && discounts == [None, None] {
            return;
        }
        let purchase = history.kind_slot(kind::PURCHASE);
        let mut last_discounted = None;
        for number in history.numbers_until(as_of) {
            let is_cost = cost == Some(number.property);
            if !is_cost && !discounts.contains(&Some(number.property)) {
                continue;
            }
            let Some(kind) = history.kind_if_visible(number.event, as_of, known_at) else { continue };
            if is_cost {
                // Minor units have no fraction.
                if number.value.fract() != 0.0 {
                    continue;
                }
                let amount = number.value as i64;
                self.cost_stated = true;
                let time = history.occur_time(number.event);
                windows.add(self, time, |money| money.cost = money.cost.saturating_add(amount));
            } else if number.value > 0.0 && Some(kind) == purchase && last_discounted != Some(number.event) {
                last_discounted = Some(number.event);
                self.discounted += 1;
            }
        }
    }

    /// The mean of score / expected score.
    #[must_use]
    pub fn satisfaction(&self) -> Option<f64> {
        (self.surveys > 0).then(|| self.satisfaction_sum / self.surveys as f64)
    }

    /// The share of the purchases that were discounted.
    #[must_use]
    pub fn discount_share(&self) -> Option<f64> {
        (self.ever.orders > 0).then(|| self.discounted as f64 / self.ever.orders as f64)
    }

    /// The change from the net revenue of the window before to that of the window; None when that was not positive.
    #[must_use]
    pub fn growth(&self) -> Option<f64> {
        growth(self.window.net(), self.previous_net)
    }
}

/// The relative change from `before` to `now`; None when `before` is not positive.
#[must_use]
pub fn growth(now: i64, before: i64) -> Option<f64> {
    (before > 0).then(|| (i128::from(now) - i128::from(before)) as f64 / before as f64)
}

/// The moments after which the window, and the one before it, begin.
struct Windows {
    window: Time,
    previous: Time,
}

impl Windows {
    /// Adds to the money of the whole relation and, if it was then, to that of the window.
    fn add(&self, facts: &mut Facts, time: Time, add: impl Fn(&mut Money)) {
        add(&mut facts.ever);
        if time > self.window {
            add(&mut facts.window);
        }
    }
}

/// What a kind of interaction does to the facts.
#[derive(Clone, Copy)]
enum Role {
    Purchase,
    Return,
    Cost,
    Complaint,
    Resolution,
    Referral,
    Other,
}

/// The facts while the events are read in order.
struct FactFold {
    /// Per kind of the history its role, and its bit if it is a contact kind, otherwise 0.
    roles: Vec<(Role, u64)>,
    windows: Windows,
    facts: Facts,
    /// The amounts of the last purchase day so far.
    day_revenue: i64,
    any: bool,
}

impl FactFold {
    fn new(history: &History, as_of: Time, spec: &InsightSpec) -> Self {
        let role = |name: &String| {
            let role = match name.as_str() {
                kind::PURCHASE => Role::Purchase,
                kind::RETURN => Role::Return,
                kind::COST => Role::Cost,
                kind::COMPLAINT => Role::Complaint,
                kind::RESOLUTION => Role::Resolution,
                kind::REFERRAL => Role::Referral,
                _ => Role::Other,
            };
            let place = spec.contact_kinds.iter().position(|contact| contact == name);
            (role, place.map_or(0, |place| 1 << place))
        };
        let days = i64::from(spec.window_days);
        Self {
            roles: history.kinds().iter().map(role).collect(),
            windows: Windows { window: as_of.plus_days(-days), previous: as_of.plus_days(-2 * days) },
            facts: Facts::default(),
            day_revenue: 0,
            any: false,
        }
    }

    fn add(&mut self, time: Time, kind: usize, stated: Option<i64>) {
        self.any = true;
        let amount = stated.unwrap_or(0);
        let (role, contact_bit) = self.roles[kind];
        let facts = &mut self.facts;
        if contact_bit != 0 {
            facts.last_contact = Some(time);
            facts.contact_kinds |= contact_bit;
        }
        match role {
            Role::Purchase => {
                self.windows.add(facts, time, |money| {
                    money.revenue = money.revenue.saturating_add(amount);
                    money.orders += 1;
                });
                let purchases = PurchaseDays::after(facts.purchases, time);
                let is_new_day = facts.purchases.is_none_or(|before| before.count < purchases.count);
                facts.purchases = Some(purchases);
                if purchases.first_purchase.day_number() != time.day_number() {
                    facts.repeat_revenue = facts.repeat_revenue.saturating_add(amount);
                }
                if is_new_day {
                    self.end_day();
                }
                self.day_revenue = self.day_revenue.saturating_add(amount);
                self.add_previous(time, amount);
            }
            Role::Return => {
                let add = |money: &mut Money| money.returns = money.returns.saturating_add(amount);
                self.windows.add(facts, time, add);
                self.add_previous(time, amount.saturating_neg());
            }
            Role::Cost => {
                facts.cost_stated |= stated.is_some();
                self.windows.add(facts, time, |money| money.cost = money.cost.saturating_add(amount));
            }
            Role::Complaint => {
                facts.complaints += 1;
                facts.complaints_open += 1;
                if facts.last_resolution == Some(time) {
                    // A resolution closes the complaints of its own moment, whichever comes first in the history.
                    facts.complaints_open = 0;
                }
            }
            Role::Resolution => {
                facts.complaints_open = 0;
                facts.last_resolution = Some(time);
            }
            Role::Referral => facts.referrals += 1,
            Role::Other => {}
        }
    }

    /// Ends the last purchase day.
    fn end_day(&mut self) {
        let revenue = i128::from(std::mem::take(&mut self.day_revenue));
        let squares = &mut self.facts.day_revenue_squares;
        *squares = squares.saturating_add(revenue * revenue);
    }

    /// Adds to the net revenue of the window before.
    fn add_previous(&mut self, time: Time, amount: i64) {
        if time > self.windows.previous && time <= self.windows.window {
            self.facts.previous_net = self.facts.previous_net.saturating_add(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AS_OF: Time = Time(1_000 * DAY);

    fn history(events: &[(&str, i64, Option<i64>)]) -> History {
        let mut history = History::default();
        for (kind, micros, amount) in events {
            history.push(kind, Time(*micros), Time(*micros), *amount, None);
        }
        history
    }

    fn facts(history: &History) -> Facts {
        Facts::of(history, AS_OF, AS_OF, &InsightSpec::default()).unwrap()
    }

    #[test]
    fn money_is_of_the_window_and_of_the_one_before() {
        let end = AS_OF.0;
        let history = history(&[
            ("purchase", end - 730 * DAY, Some(1)),
            ("purchase", end - 730 * DAY + 1, Some(20)),
            ("return", end - 365 * DAY, Some(5)),
            ("purchase", end - 365 * DAY + 1, Some(300)),
            ("cost", end - 10 * DAY, Some(40)),
            ("purchase", end - DAY, None),
            ("return", end, Some(7_000)),
            ("purchase", end + 1, Some(90_000)),
        ]);
        let facts = facts(&history);
        assert_eq!(facts.ever, Money { revenue: 321, returns: 7_005, cost: 40, orders: 4 });
        assert_eq!(facts.window, Money { revenue: 300, returns: 7_000, cost: 40, orders: 2 });
        assert_eq!((facts.window.net(), facts.window.profit()), (-6_700, -6_740));
        assert_eq!((facts.previous_net, facts.growth()), (15, Some(-6_715.0 / 15.0)));
        let purchases = facts.purchases.unwrap();
        assert_eq!((purchases.count, purchases.recency_days(AS_OF)), (3, 1), "two share a day");
    }

    #[test]
    fn nothing_grows_from_nothing() {
        assert_eq!(growth(150, 100), Some(0.5));
        assert_eq!(growth(0, 100), Some(-1.0));
        assert_eq!(growth(100, 0), None);
        assert_eq!(growth(i64::MIN, i64::MAX), Some(-2.0), "the difference takes more than 64 bits");
    }

    #[test]
    fn repeat_revenue_is_that_of_later_days() {
        let day = 500 * DAY;
        let history = history(&[
            ("purchase", day, Some(1)),
            ("purchase", day + DAY - 1, Some(20)),
            ("return", day + DAY, Some(7)),
            ("purchase", day + DAY, Some(300)),
            ("purchase", day + DAY + 1, Some(4_000)),
            ("purchase", day + 9 * DAY, None),
        ]);
        let facts = facts(&history);
        assert_eq!((facts.repeat_revenue, facts.purchases.unwrap().count), (4_300, 3));
        assert_eq!(facts.day_revenue_squares, 21 * 21 + 4_300 * 4_300, "the last one was without money");
    }

    #[test]
    fn resolutions_close_what_came_before() {
        let at = |day: i64| day * DAY;
        let open = |events: &[(&str, i64, Option<i64>)]| {
            let facts = facts(&history(events));
            (facts.complaints, facts.complaints_open)
        };
        assert_eq!(open(&[("complaint", at(1), None), ("complaint", at(2), None)]), (2, 2));
        assert_eq!(open(&[("complaint", at(1), None), ("resolution", at(2), None)]), (1, 0));
        assert_eq!(open(&[("complaint", at(1), None), ("resolution", at(1), None)]), (1, 0));
        assert_eq!(open(&[("resolution", at(1), None), ("complaint", at(1), None)]), (1, 0));
        assert_eq!(open(&[("resolution", at(1), None), ("complaint", at(2), None)]), (1, 1));
    }

    #[test]
    fn costs_and_discounts_are_properties() {
        let mut history = History::default();
        let at = Time(990 * DAY);
        history.push("visit", at, at, None, None);
        history.push_property("cost_minor", "150");
        history.push("purchase", at, at, Some(1_000), None);
        history.push_property("discount_minor", "5");
        history.push_property("discount_percent", "1.5");
        history.push("purchase", at, at, Some(1_000), None);
        history.push_property("discount_percent", "0");
        history.push("return", at, at, Some(10), None);
        history.push_property("discount_percent", "10");
        history.push_property("cost_minor", "0.5");
        let facts = facts(&history);
        assert_eq!((facts.ever.cost, facts.window.cost), (150, 150));
        assert_eq!((facts.discounted, facts.discount_share()), (1, Some(0.5)));
    }

    #[test]
    fn a_cost_of_nothing_is_stated() {
        let at = Time(990 * DAY);
        let stated = |kind: &str, amount: Option<i64>, property: Option<&str>| {
            let mut history = History::default();
            history.push(kind, at, at, amount, None);
            if let Some(value) = property {
                history.push_property("cost_minor", value);
            }
            let facts = facts(&history);
            assert_eq!(facts.ever.cost, 0);
            facts.cost_stated
        };
        assert!(stated("cost", Some(0), None) && stated("purchase", Some(500), Some("0")));
        assert!(!stated("cost", None, None) && !stated("purchase", Some(500), None));
        assert!(!stated("purchase", Some(500), Some("0.5")), "minor units have no fraction");
    }

    #[test]
    fn sums_stay_within_their_range() {
        let rows: Vec<_> = (0..10_000).map(|n| ("purchase", n, Some(1_000_000_000_000_000))).collect();
        assert_eq!(facts(&history(&rows)).ever.revenue, i64::MAX);
        let rows: Vec<_> = (0..10).map(|day| ("purchase", day * DAY, Some(i64::MAX))).collect();
        assert_eq!(facts(&history(&rows)).day_revenue_squares, i128::MAX);
    }

    #[test]
    fn a_customer_exists_from_its_creation_or_first_interaction() {
        let spec = InsightSpec::default();
        let mut history = history(&[("visit", 2_000 * DAY, None)]);
        assert_eq!(Facts::of(&history, AS_OF, AS_OF, &spec), None);
        assert!(Facts::of(&history, Time(2_000 * DAY), Time(2_000 * DAY), &spec).is_some());
        history.push_version(crate::history::Version {
            effective_time: Time(1_500 * DAY),
            record_time: Time(1_500 * DAY),
            create_time: AS_OF,
            attributes: crate::history::Attributes::new(),
        });
        assert!(Facts::of(&history, AS_OF, Time(1_500 * DAY), &spec).is_some());
        assert_eq!(Facts::of(&history, Time(AS_OF.0 - 1), Time(1_500 * DAY), &spec), None);
    }
}
