//! Lifetime values: the formulas of the papers, computed here from the parameters that the server returns, and the
//! agreement of all places that show them.

use std::collections::HashMap;

use tally_model::{
    simulate::{Business, SimulatedCustomer},
    time::{DAY, Time},
};
use tally_proto::v1;
use tonic::Code;

use super::{AS_OF, paid};
use crate::support::{Tally, assert_refused, business, has_kind, on_both_stores, time, timestamp};

on_both_stores!(
    values_are_those_of_the_papers,
    a_lead_is_worth_a_part_of_a_new_customer,
    the_backtest_is_what_was_expected_and_what_came,
    too_few_customers_have_no_value_and_a_problem,
    an_absurd_amount_is_a_warning,
    members_are_listed_by_lifetime_value,
);

const CUSTOMERS: usize = 400;

pub(super) fn shop() -> Business {
    business(CUSTOMERS, 5, time(AS_OF))
}

impl Tally {
    async fn value_model(&self, as_of: &str) -> v1::ValueModel {
        let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(as_of))) };
        self.insights().get_value_model(request).await.unwrap().into_inner()
    }

    async fn all_members(&self, as_of: Time) -> HashMap<String, v1::SegmentMember> {
        let request = v1::ListSegmentMembersRequest {
            segmentation: "life_cycle".into(),
            as_of_time: Some(timestamp(as_of)),
            page_size: 1_000,
            ..Default::default()
        };
        let members = self.insights().list_segment_members(request).await.unwrap().into_inner().members;
        members.into_iter().map(|member| (member.customer_id.clone(), member)).collect()
    }
}

/// The purchase days of a customer up to a moment, each with the money of the day.
fn days(customer: &SimulatedCustomer, until: Time) -> Vec<(i64, i64)> {
    let mut days: Vec<(i64, i64)> = Vec::new();
    for purchase in customer.interactions.iter().filter(|one| one.kind == "purchase") {
        if purchase.occur_time > until {
            break;
        }
        let (day, amount) = (purchase.occur_time.0.div_euclid(DAY), purchase.amount_minor.unwrap_or(0));
        match days.last_mut().filter(|last| last.0 == day) {
            Some(last) => last.1 += amount,
            None => days.push((day, amount)),
        }
    }
    days
}

/// A buyer as the papers write it: x, t_x and T in weeks, and the mean money of the repeat days.
pub(super) struct Buyer {
    x: f64,
    recency: f64,
    age: f64,
    mean: f64,
}

impl Buyer {
    pub(super) fn of(customer: &SimulatedCustomer, as_of: Time) -> Option<Self> {
        let days = days(customer, as_of);
        let (first, last) = (days.first()?.0, days.last()?.0);
        let repeat: i64 = days[1..].iter().map(|(_, money)| money).sum();
        let x = (days.len() - 1) as f64;
        Some(Self {
            x,
            recency: (last - first) as f64 / 7.0,
            age: (as_of.0.div_euclid(DAY) - first) as f64 / 7.0,
            mean: if x > 0.0 { repeat as f64 / x } else { 0.0 },
        })
    }

    /// The probability that it has not left (Fader and Hardie 2008).
    fn p_alive(&self, m: &v1::BgNbd) -> f64 {
        if self.x == 0.0 {
            return 1.0;
        }
        let odds =
            m.a / (m.b + self.x - 1.0) * ((m.alpha + self.age) / (m.alpha + self.recency)).powf(m.r + self.x);
        1.0 / (1.0 + odds)
    }

    /// The purchases within some weeks, by equation 10 of Fader, Hardie and Lee (2005).
    pub(super) fn purchases(&self, m: &v1::BgNbd, weeks: f64) -> f64 {
        let (x, end) = (self.x, m.alpha + self.age + weeks);
        let power = ((m.alpha + self.age) / end).powf(m.r + x);
        let series = hypergeometric([m.r + x, m.b + x, m.a + m.b + x - 1.0], weeks / end);
        (m.a + m.b + x - 1.0) / (m.a - 1.0) * (1.0 - power * series) * self.p_alive(m)
    }

    /// What it pays on a purchase day (Fader and Hardie 2013).
    pub(super) fn money(&self, m: &v1::GammaGamma) -> f64 {
        let x = if self.mean > 0.0 { self.x } else { 0.0 };
        (m.p * m.v + m.p * x * self.mean) / (m.p * x + m.q - 1.0)
    }

    fn clv(&self, model: &v1::ValueModel) -> f64 {
        let (purchases, money) = (model.bg_nbd.as_ref().unwrap(), model.gamma_gamma.as_ref().unwrap());
        let (mut day, mut before, mut sum) = (0, 0.0, 0.0);
        while day < model.horizon_days {
            day = (day + 7).min(model.horizon_days);
            let until = self.purchases(purchases, f64::from(day) / 7.0);
            sum += (until - before) * (1.0 + model.discount_rate).powf(-f64::from(day) / 365.0);
            before = until;
        }
        model.margin_rate * self.money(money) * sum
    }
}

/// ₂F₁(a, b; c; z) by its series.
fn hypergeometric([a, b, c]: [f64; 3], z: f64) -> f64 {
    let (mut term, mut sum) = (1.0_f64, 1.0);
    for n in 0..10_000 {
        let n = f64::from(n);
        term *= (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        sum += term;
        if term.abs() < 1e-16 * f64::abs(sum) {
            break;
        }
    }
    sum
}

pub(super) fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * other.abs().max(1.0)
}

async fn values_are_those_of_the_papers(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let model = tally.value_model(AS_OF).await;
    let fits = (model.bg_nbd.as_ref().unwrap(), model.gamma_gamma.as_ref().unwrap());
    assert!(fits.0.converged && fits.1.converged, "{model:?}");
    assert_eq!((model.horizon_days, model.discount_rate), (365, 0.1));
    assert!(model.warnings.iter().all(|warning| warning.contains("backtest")), "{:?}", model.warnings);
    let members = tally.all_members(time(AS_OF)).await;
    let (mut buyers, mut likely, mut total) = (0, 0, 0);
    for customer in shop.iter() {
        let member = &members[&customer.customer_id];
        let Some(buyer) = Buyer::of(&customer, time(AS_OF)) else { continue };
        buyers += 1;
        total += member.clv_minor.unwrap();
        let expected = buyer.purchases(fits.0, 365.0 / 7.0);
        assert!(near(member.expected_purchases.unwrap(), expected), "{member:?}: {expected}");
        assert!((member.clv_minor.unwrap() as f64 - buyer.clv(&model)).abs() <= 1.0, "{member:?}");
        let (lower, upper) = (member.clv_lower_minor.unwrap(), member.clv_upper_minor.unwrap());
        assert!(0 <= lower && lower <= upper, "{member:?}");
        likely += i64::from(lower <= member.clv_minor.unwrap() && member.clv_minor.unwrap() <= upper);
        if buyers % 40 == 1 {
            let insight = tally.insight(&customer.customer_id, AS_OF).await.unwrap();
            assert!(near(insight.p_alive.unwrap(), buyer.p_alive(fits.0)), "{insight:?}");
            assert_eq!(
                (insight.clv_minor, insight.clv_lower_minor, insight.clv_upper_minor),
                (member.clv_minor, member.clv_lower_minor, member.clv_upper_minor)
            );
            assert_eq!(
                (insight.clv_horizon_days, insight.clv_margin_rate),
                (Some(model.horizon_days), Some(model.margin_rate))
            );
            assert_eq!(insight.expected_purchases.map(|n| (n * 1e9).round()), {
                member.expected_purchases.map(|n| (n * 1e9).round())
            });
        }
    }
    // The mean is above the interval of those who have very probably left.
    assert!(buyers > 100 && likely > buyers / 2, "{likely} of {buyers}");
    assert_eq!(fits.0.customers, buyers);
    // Without a champion for leads, only buyers have a value.
    for segmentation in ["abc", "rfm", "life_cycle", "attribute:region"] {
        let segments = tally.segments(segmentation, None).await.segments;
        assert_eq!(segments.iter().filter_map(|segment| segment.clv_minor).sum::<i64>(), total);
    }
    let life_cycle = tally.segments("life_cycle", None).await.segments;
    assert_eq!(life_cycle.iter().find(|segment| segment.segment == "lead").unwrap().clv_minor, None);
    let sum = tally.database.sql("SELECT CAST(sum(clv_minor) AS BIGINT) FROM v_customer_insights").await;
    let of_view = "SELECT CAST(sum(clv_minor) AS BIGINT) FROM v_segments WHERE segmentation = 'rfm_cell'";
    assert_eq!((sum, tally.database.sql(of_view).await), (Some(total), Some(total)));
}

async fn a_lead_is_worth_a_part_of_a_new_customer(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    tally.train(&["lead", "--as-of", AS_OF]);
    tally.refresh_insights(AS_OF).await.unwrap();
    let model = tally.value_model(AS_OF).await;
    let new = Buyer { x: 0.0, recency: 0.0, age: 0.0, mean: 0.0 };
    let first = model.margin_rate * new.money(model.gamma_gamma.as_ref().unwrap());
    let worth = first + new.clv(&model);
    assert!((model.new_customer_clv_minor.unwrap() as f64 - worth).abs() <= 1.0, "{worth} {model:?}");
    let members = tally.all_members(time(AS_OF)).await;
    let lead = shop.iter().find(|customer| !has_kind(customer, "purchase")).unwrap();
    let insight = tally.insight(&lead.customer_id, AS_OF).await.unwrap();
    let probability = insight.lead_score.unwrap().probability;
    assert!((insight.clv_minor.unwrap() as f64 - probability * worth).abs() <= 1.0);
    assert_eq!(members[&lead.customer_id].clv_minor, insight.clv_minor);
    assert_eq!(
        (insight.p_alive, insight.expected_purchases, insight.clv_lower_minor, insight.clv_upper_minor),
        (None, None, None, None)
    );
    let graded = "SELECT count(*) FROM v_customer_insights WHERE lead_grade IN ('A', 'B', 'C', 'D')";
    let scored = "SELECT count(*) FROM v_customer_insights WHERE lead_probability IS NOT NULL";
    assert_eq!(tally.database.sql(graded).await, tally.database.sql(scored).await);
}

async fn the_backtest_is_what_was_expected_and_what_came(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    let model = tally.value_model(AS_OF).await;
    let past = time(AS_OF).plus_days(-365);
    let backtest = model.backtest.unwrap();
    assert_eq!(backtest.as_of_time, Some(timestamp(past)));
    let then = tally.value_model("2023-06-02").await;
    assert_eq!(past, time("2023-06-02"));
    assert!(
        backtest.margin_rate == then.margin_rate && then.margin_rate != model.margin_rate,
        "{backtest:?}"
    );
    let members = tally.all_members(past).await;
    let mut stages: HashMap<String, v1::StageBacktest> = HashMap::new();
    for customer in shop.iter().filter(|customer| !days(customer, past).is_empty()) {
        let member = &members[&customer.customer_id];
        let mut paid = 0.0;
        for purchase in customer.interactions.iter().filter(|one| one.kind == "purchase") {
            if purchase.occur_time > past && purchase.occur_time <= time(AS_OF) {
                let elapsed = (purchase.occur_time.0 - past.0) as f64 / DAY as f64;
                let end = ((elapsed / 7.0).ceil() * 7.0).min(365.0);
                paid += purchase.amount_minor.unwrap_or(0) as f64 * 1.1_f64.powf(-end / 365.0);
            }
        }
        let stage = stages.entry(member.life_cycle.clone()).or_default();
        stage.customers += 1;
        stage.expected_minor += member.clv_minor.unwrap();
        let (lower, upper) = (member.clv_lower_minor.unwrap(), member.clv_upper_minor.unwrap());
        let paid = then.margin_rate * paid;
        stage.actual_minor += paid.round() as i64;
        // Bounds are shown in whole minor units.
        stage.inside_interval += f64::from(lower as f64 - 0.5 <= paid && paid <= upper as f64 + 0.5);
    }
    let order = ["new", "growing", "mature", "won_back", "declining", "lost"];
    let listed: Vec<&str> = backtest.stages.iter().map(|stage| stage.life_cycle.as_str()).collect();
    let with_buyers = order.into_iter().filter(|stage| stages.contains_key(*stage));
    assert_eq!(listed, with_buyers.collect::<Vec<_>>());
    assert!(listed.len() >= 5, "{listed:?}");
    for found in &backtest.stages {
        let stage = &stages[&found.life_cycle];
        assert_eq!((found.customers, found.expected_minor), (stage.customers, stage.expected_minor));
        // What lies between two minor units may be rounded either way.
        assert!((found.actual_minor - stage.actual_minor).abs() <= 1, "{found:?}: {stage:?}");
        let inside = stage.inside_interval / stage.customers as f64;
        assert!((found.inside_interval - inside).abs() < 0.05, "{found:?}: {inside}");
    }
    let sum = |of: fn(&v1::StageBacktest) -> i64| backtest.stages.iter().map(of).sum::<i64>();
    assert_eq!(
        [sum(|stage| stage.customers), sum(|stage| stage.expected_minor), sum(|stage| stage.actual_minor)],
        [backtest.customers, backtest.expected_minor, backtest.actual_minor]
    );
    let inside: f64 = stages.values().map(|stage| stage.inside_interval).sum();
    let share = inside / backtest.customers as f64;
    assert!((backtest.inside_interval - share).abs() < 0.01, "{backtest:?}: {share}");
    let page = tally.cli(&["insights", "value", "--as-of", AS_OF]);
    assert!(page.contains("\nstage then ") && page.contains("\nlost "), "{page}");
}

async fn too_few_customers_have_no_value_and_a_problem(tally: Tally) {
    let none = tally.insights().get_value_model(v1::GetValueModelRequest::default()).await;
    let none = none.unwrap().into_inner();
    assert_eq!((none.new_customer_clv_minor, none.backtest, none.margin_rate), (None, None, 1.0));
    for (n, id) in ["ada", "bob"].into_iter().enumerate() {
        let bought = ["2023-02-01", "2024-03-01", "2024-04-01"];
        let bought = bought.iter().map(|day| paid(id, &format!("{n}{day}"), "purchase", day, 100));
        tally.backfill(bought.collect()).await.unwrap();
    }
    let model = tally.value_model(AS_OF).await;
    assert!(model.bg_nbd.unwrap().problem.contains("2 of 2 customers"));
    assert!(!model.gamma_gamma.unwrap().problem.is_empty());
    assert_eq!((model.new_customer_clv_minor, model.backtest), (None, None));
    let ada = &tally.all_members(time(AS_OF)).await["ada"];
    assert_eq!((ada.clv_minor, ada.clv_upper_minor, ada.expected_purchases), (None, None, None));
    let ada = tally.insight("ada", AS_OF).await.unwrap();
    assert_eq!((ada.clv_minor, ada.p_alive, ada.clv_margin_rate), (None, None, None));
    let future = v1::GetValueModelRequest { as_of_time: Some(timestamp(Time::MAX)) };
    assert_refused(
        tally.insights().get_value_model(future).await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
        &["as_of_time"],
    );
}

async fn an_absurd_amount_is_a_warning(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    let loyal = shop.iter().find(|customer| days(customer, time(AS_OF)).len() > 1).unwrap();
    let first = days(&loyal, time(AS_OF))[0].0;
    let later = Time((first + 1) * DAY).to_string();
    let absurd = paid(&loyal.customer_id, "three zeros too many", "purchase", &later, 1_000_000_000_000_000);
    tally.backfill(vec![absurd]).await.unwrap();
    let model = tally.value_model(AS_OF).await;
    let warned = |warnings: &[String]| {
        assert!(
            warnings.iter().any(|warning| warning.starts_with("one customer has 99.9 % of the money of ")),
            "{warnings:?}"
        );
    };
    warned(&model.warnings);
    let request = v1::GetForecastRequest { as_of_time: Some(timestamp(time(AS_OF))), steps: 1 };
    warned(&tally.insights().get_forecast(request).await.unwrap().into_inner().warnings);
    let page = tally.cli(&["insights", "value", "--as-of", AS_OF]);
    assert!(page.contains("\nwarning: one customer has 99.9 % of the money of "), "{page}");
}

async fn members_are_listed_by_lifetime_value(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let mut wanted: Vec<v1::SegmentMember> = tally.all_members(time(AS_OF)).await.into_values().collect();
    // Without a champion for leads, they have no value and come last.
    wanted.sort_by(|a, b| b.clv_minor.cmp(&a.clv_minor).then_with(|| a.customer_id.cmp(&b.customer_id)));
    let mut request = v1::ListSegmentMembersRequest {
        segmentation: "life_cycle".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        page_size: 150,
        order_by: "clv desc".into(),
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = tally.insights().list_segment_members(request.clone()).await.unwrap().into_inner();
        found.extend(page.members);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
        // A page of one order does not go on in another.
        let other = v1::ListSegmentMembersRequest { order_by: String::new(), ..request.clone() };
        let refused = tally.insights().list_segment_members(other).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["page_token"]);
    }
    assert!(wanted.last().is_some_and(|last| last.clv_minor.is_none()));
    assert_eq!(found, wanted);
    let shown =
        tally.cli(&["insights", "members", "abc", "--as-of", AS_OF, "--order-by", "clv", "--limit", "1"]);
    assert!(shown.contains(&found[0].customer_id), "{shown}");
    assert!(shown.contains("the greatest lifetime value (CLV) comes first"), "{shown}");
}
