//! Affinities, and what a customer may buy next.

use std::collections::{BTreeMap, BTreeSet};

use tally_model::time::Time;
use tally_proto::v1;
use tally_store::PassExpiry;
use tonic::{Code, Status};

use super::{AS_OF, with_properties};
use crate::support::{Tally, assert_refused, business, draw, on_both_stores, time, timestamp};

on_both_stores!(
    affinities_are_those_of_a_naive_computation,
    ten_customers_within_the_window_are_enough,
    the_simulated_business_sells_service_with_machines,
    whoever_is_erased_or_merged_counts_no_more,
    a_list_knows_what_was_known_when_it_was_computed,
    pages_follow_one_list,
    affinities_go_with_their_pass,
    callers_share_a_list,
    suggestions_are_what_was_never_bought,
    without_customers_there_is_nothing,
    bad_requests_are_refused,
);

impl Tally {
    /// A page of affinities about [`AS_OF`].
    async fn affinities(
        &self,
        property: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<v1::ListAffinitiesResponse, Status> {
        let request = v1::ListAffinitiesRequest {
            property: property.to_owned(),
            as_of_time: Some(timestamp(time(AS_OF))),
            page_size,
            page_token: page_token.to_owned(),
        };
        Ok(self.insights().list_affinities(request).await?.into_inner())
    }

    /// What a customer may buy next, and because of what.
    async fn next(&self, customer_id: &str) -> Vec<(String, String)> {
        let next = self.insight(customer_id, AS_OF).await.unwrap().next_to_buy.into_iter();
        next.map(|next| (next.value, next.because)).collect()
    }
}

/// The purchase of a value.
fn buys(customer: &str, id: &str, occurred: &str, category: &str) -> v1::Interaction {
    with_properties(customer, id, "purchase", occurred, &[("category", category)])
}

/// Purchases of these values by the customers with these numbers.
fn bought(customers: std::ops::Range<usize>, values: &[&str]) -> Vec<v1::Interaction> {
    let of_customer = |n: usize| {
        let buy = move |value: &&str| buys(&format!("c{n:03}"), value, "2024-03-01", value);
        values.iter().map(buy).collect::<Vec<_>>()
    };
    customers.flat_map(of_customer).collect()
}

/// `from -> to` of affinities.
fn shown(found: &[v1::Affinity]) -> Vec<String> {
    found.iter().map(|of| format!("{} -> {}", of.from_value, of.to_value)).collect()
}

/// The lower end of Wilson's interval by its definition: the least share that is not more than 1.96 of its own
/// standard errors below what was seen.
fn lower_end(successes: f64, trials: f64) -> f64 {
    let seen = successes / trials;
    let (mut low, mut high) = (0.0, seen);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        let error = (middle * (1.0 - middle) / trials).sqrt();
        if seen - middle > 1.959_963_984_540_054 * error { low = middle } else { high = middle }
    }
    high
}

/// Whether something with this chance of 100 happens.
fn chance(state: &mut u64, percent: u64) -> bool {
    draw(state, 100) < percent
}

/// Purchases and other things at random, many of them at the limits of the window; values differ by case and accents.
fn at_random(state: &mut u64) -> Vec<v1::Interaction> {
    let long = "語".repeat(1_024);
    let values = ["Tea", "tea", "tea?", "Ärmel", "a\"b", "10", "NULL", "z.z", "", "$", "日本", long.as_str()];
    let times = [
        "2023-06-01T23:59:59Z",
        "2023-06-02T00:00:00Z",
        "2023-06-02T00:00:01Z",
        "2024-06-01T00:00:00Z",
        "2024-06-01T00:00:01Z",
    ];
    let mut all = Vec::new();
    for n in 0..260 {
        // Of each third of the customers, a third of the values.
        let usual = |state: &mut u64| draw(state, 4) as usize * 3 + n % 3;
        for id in 0..=draw(state, 13) {
            let occurred = if chance(state, 70) { "2024-01-15" } else { times[draw(state, 5) as usize] };
            let kind = if chance(state, 80) { "purchase" } else { ["return", "visit"][id as usize % 2] };
            let value = values[if chance(state, 80) { usual(state) } else { draw(state, 12) as usize }];
            let name = if chance(state, 90) { "category" } else { "other" };
            all.push(with_properties(&format!("c{n:03}"), &id.to_string(), kind, occurred, &[(name, value)]));
        }
    }
    all
}

/// The values that each customer bought in the window, and those that it ever bought up to its end.
fn baskets(
    interactions: &[v1::Interaction],
    merged: &BTreeMap<String, String>,
) -> BTreeMap<String, [BTreeSet<String>; 2]> {
    let mut baskets: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
    for of in interactions.iter().filter(|of| of.kind == "purchase") {
        let occurred = of.occur_time.unwrap().seconds;
        let value = of.properties.get("category").filter(|value| !value.is_empty());
        let Some(value) = value.filter(|_| occurred <= time(AS_OF).0 / 1_000_000) else { continue };
        let customer = merged.get(&of.customer_id).unwrap_or(&of.customer_id).clone();
        let [window, ever] = baskets.entry(customer).or_default();
        ever.insert(value.clone());
        if occurred > time("2023-06-02").0 / 1_000_000 {
            window.insert(value.clone());
        }
    }
    baskets
}

/// All affinities, in their order, by counting customers.
fn naive(baskets: &BTreeMap<String, [BTreeSet<String>; 2]>) -> (i64, Vec<v1::Affinity>) {
    let windows: Vec<&BTreeSet<String>> =
        baskets.values().map(|[window, _]| window).filter(|window| !window.is_empty()).collect();
    let values: BTreeSet<&String> = windows.iter().copied().flatten().collect();
    let count = |of: &[&String]| {
        windows.iter().filter(|window| of.iter().all(|value| window.contains(*value))).count() as f64
    };
    let n = windows.len() as f64;
    let mut found = Vec::new();
    for from in &values {
        for to in values.iter().filter(|to| *to != from) {
            let [of_from, of_to, both] = [count(&[from]), count(&[to]), count(&[from, to])];
            let lower = lower_end(both, of_from);
            if both >= 10.0 && lower > of_to / n {
                found.push(v1::Affinity {
                    from_value: (*from).clone(),
                    to_value: (*to).clone(),
                    from_customers: of_from as i64,
                    to_customers: of_to as i64,
                    both: both as i64,
                    confidence: both / of_from,
                    confidence_lower: lower,
                    lift: (both / of_from) / (of_to / n),
                });
            }
        }
    }
    (windows.len() as i64, found)
}

/// Compares the affinities as sets, and checks their order.
fn assert_same(found: &[v1::Affinity], expected: &[v1::Affinity]) {
    let key = |of: &v1::Affinity| (of.from_value.clone(), of.to_value.clone());
    let by_key: BTreeMap<_, _> = found.iter().map(|of| (key(of), of)).collect();
    assert_eq!(by_key.keys().cloned().collect::<Vec<_>>(), expected.iter().map(key).collect::<Vec<_>>());
    assert_eq!(found.len(), expected.len());
    for of in expected {
        let own = by_key[&key(of)];
        let counts = |of: &v1::Affinity| [of.from_customers, of.to_customers, of.both];
        assert_eq!(counts(own), counts(of), "{own:?}");
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(own.confidence, of.confidence) && close(own.lift, of.lift), "{own:?} {of:?}");
        assert!(close(own.confidence_lower, of.confidence_lower), "{own:?} {of:?}");
    }
    assert!(found.is_sorted_by(|a, b| {
        let strength = |of: &v1::Affinity| (of.confidence_lower, of.lift);
        strength(a) > strength(b) || strength(a) == strength(b) && key(a) < key(b)
    }));
}

/// The five best values never bought, each with the one that speaks for it most.
fn expected_next(found: &[v1::Affinity], [window, ever]: &[BTreeSet<String>; 2]) -> Vec<(String, String)> {
    let mut best: Vec<&v1::Affinity> = Vec::new();
    // In the order of the list: the first one that leads to a value is the strongest.
    for of in found.iter().filter(|of| window.contains(&of.from_value) && !ever.contains(&of.to_value)) {
        if best.iter().all(|other| other.to_value != of.to_value) {
            best.push(of);
        }
    }
    best.sort_by(|a, b| {
        let strength = |of: &v1::Affinity| (of.confidence_lower, of.lift);
        strength(b).partial_cmp(&strength(a)).unwrap().then_with(|| a.to_value.cmp(&b.to_value))
    });
    best.truncate(5);
    best.into_iter().map(|of| (of.to_value.clone(), of.from_value.clone())).collect()
}

async fn affinities_are_those_of_a_naive_computation(tally: Tally) {
    let mut state = 5;
    let mut interactions = at_random(&mut state);
    tally.backfill(interactions.clone()).await.unwrap();
    let key = |of: &v1::Interaction| (of.customer_id.clone(), of.interaction_id.clone());
    let retracted: BTreeSet<_> = interactions.iter().filter(|_| chance(&mut state, 5)).map(key).collect();
    tally.retract(&retracted.iter().cloned().collect::<Vec<_>>()).await.unwrap();
    interactions.retain(|of| !retracted.contains(&key(of)));
    // A chain, and a few pairs.
    let mut merged = BTreeMap::new();
    for (from, into) in [("c001", "c002"), ("c002", "c003"), ("c010", "c100"), ("c200", "c020")] {
        tally.merge(from, into).await.unwrap();
        merged.insert(from.to_owned(), into.to_owned());
    }
    merged.insert("c001".to_owned(), "c003".to_owned());
    tally.refresh_insights(AS_OF).await.unwrap();

    let (mut found, mut token) = (Vec::new(), String::new());
    let baskets = baskets(&interactions, &merged);
    let (customers, expected) = naive(&baskets);
    loop {
        let page = tally.affinities("category", 7, &token).await.unwrap();
        assert_eq!((page.total_size, page.customers), (expected.len() as i64, customers));
        assert_eq!((page.values_left_out, page.affinities_left_out), (0, 0));
        found.extend(page.affinities);
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert!(found.len() > 15, "{}", found.len());
    assert_same(&found, &expected);
    let mut suggested = 0;
    for (customer, basket) in baskets.iter().step_by(5) {
        let next = tally.next(customer).await;
        assert_eq!(next, expected_next(&found, basket), "{customer} {basket:?}");
        suggested += next.len();
    }
    assert!(suggested > 20, "{suggested}");
}

async fn ten_customers_within_the_window_are_enough(tally: Tally) {
    tally.backfill(bought(0..9, &["cups", "coffee"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    // The tenth one bought each of them at a limit of the window.
    let tenth = |since, until| vec![buys("c009", "1", since, "cups"), buys("c009", "2", until, "coffee")];
    tally.backfill(tenth("2023-06-02T00:00:00Z", "2024-06-01T00:00:00.000001Z")).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let found = tally.affinities("", 0, "").await.unwrap();
    assert_eq!((shown(&found.affinities), found.property.as_str()), (Vec::new(), "category"));
    assert_eq!(found.customers, 69, "of c009 nothing is in the window");

    let more = [
        buys("c009", "3", "2023-06-02T00:00:00.000001Z", "cups"),
        buys("c009", "4", "2024-06-01T00:00:00Z", "coffee"),
    ];
    tally.backfill(more.to_vec()).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let found = tally.affinities("", 0, "").await.unwrap();
    assert_eq!(shown(&found.affinities), ["coffee -> cups", "cups -> coffee"]);
    let of = &found.affinities[0];
    assert_eq!((of.from_customers, of.to_customers, of.both, of.confidence), (10, 10, 10, 1.0));
    assert!((of.confidence_lower - 0.722_467).abs() < 1e-6 && (of.lift - 7.0).abs() < 1e-12, "{of:?}");
    assert_eq!(found.as_of_time, Some(timestamp(time(AS_OF))));
}

async fn the_simulated_business_sells_service_with_machines(tally: Tally) {
    tally.simulate(&business(600, 11, time(AS_OF))).await;
    let found = tally.affinities("category", 0, "").await.unwrap();
    let shown = shown(&found.affinities);
    for planted in ["machines -> service", "service -> machines"] {
        assert!(shown.iter().any(|of| of == planted), "{shown:?}");
    }
    for opposite in ["tea -> machines", "tea -> service"] {
        assert!(shown.iter().all(|of| of != opposite), "{shown:?}");
    }
    let request = v1::ListSegmentMembersRequest {
        segmentation: "abc".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        page_size: 50,
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(request).await.unwrap().into_inner().members;
    let mut because = BTreeSet::new();
    for member in members {
        because.extend(tally.next(&member.customer_id).await);
    }
    assert!(because.contains(&("service".to_owned(), "machines".to_owned())), "{because:?}");
}

async fn whoever_is_erased_or_merged_counts_no_more(tally: Tally) {
    tally.backfill(bought(0..11, &["cups", "coffee"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    tally.backfill(vec![buys("cups-only", "1", "2024-03-01", "cups")]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let both = async || {
        let found = tally.affinities("", 0, "").await.unwrap();
        (found.affinities.first().map(|of| of.both), found.customers)
    };
    assert_eq!(both().await, (Some(11), 72));
    assert_eq!(tally.next("cups-only").await, [("coffee".to_owned(), "cups".to_owned())]);
    tally.delete("c000").await.unwrap();
    assert_eq!(both().await, (Some(10), 71));
    tally.merge("c001", "c002").await.unwrap();
    // One customer does not wait until the affinities of all are computed anew.
    assert_eq!(tally.next("cups-only").await, [("coffee".to_owned(), "cups".to_owned())]);
    assert_eq!(both().await, (None, 70));
    assert_eq!(tally.next("cups-only").await, []);
}

async fn a_list_knows_what_was_known_when_it_was_computed(tally: Tally) {
    tally.backfill(bought(0..10, &["cups", "coffee"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let first = tally.affinities("", 0, "").await.unwrap();
    assert_eq!(first.total_size, 2);
    tally.retract(&[("c000", "cups")]).await.unwrap();
    assert_eq!(tally.affinities("category", 0, "").await.unwrap(), first, "kept with the pass");
    tally.refresh_insights(AS_OF).await.unwrap();
    let second = tally.affinities("", 0, "").await.unwrap();
    let known = |of: &v1::ListAffinitiesResponse| of.known_time.map(|time| (time.seconds, time.nanos));
    assert_eq!((second.total_size, known(&second) > known(&first)), (0, true));
}

async fn pages_follow_one_list(tally: Tally) {
    tally.backfill(bought(0..12, &["cups", "coffee", "sugar"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let first = tally.affinities("", 4, "").await.unwrap();
    assert_eq!((first.affinities.len(), first.total_size), (4, 6));
    // Another pass, and another list.
    tally.refresh_insights(AS_OF).await.unwrap();
    tally.delete("c000").await.unwrap();
    assert_eq!(tally.affinities("", 4, "").await.unwrap().affinities[0].both, 11);
    let rest = tally.affinities("", 4, &first.next_page_token).await.unwrap();
    assert_eq!((rest.affinities.len(), rest.affinities[0].both), (2, 12));
    assert_eq!((rest.known_time, rest.next_page_token.as_str()), (first.known_time, ""));
    // Computed anew for the same pass, it begins again.
    let first = tally.affinities("", 4, "").await.unwrap();
    tally.delete("c001").await.unwrap();
    assert_eq!(tally.affinities("", 4, "").await.unwrap().affinities[0].both, 10);
    let gone = tally.affinities("", 4, &first.next_page_token).await;
    assert_refused(gone, Code::Aborted, "LOST_RACE", &[]);
}

async fn affinities_go_with_their_pass(tally: Tally) {
    tally.backfill(bought(0..12, &["cups", "coffee", "sugar"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    for _ in 0..2 {
        tally.refresh_insights(AS_OF).await.unwrap();
        assert_eq!(tally.affinities("", 0, "").await.unwrap().total_size, 6);
    }
    let stored = async || {
        let lists = tally.database.sql("SELECT count(*) FROM affinity_lists").await;
        (lists, tally.database.sql("SELECT count(*) FROM affinities").await)
    };
    let values = async || tally.database.sql("SELECT count(*) FROM affinity_values").await;
    assert_eq!((stored().await, values().await), ((Some(2), Some(12)), Some(6)));
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let none = PassExpiry { kept: Time::MIN, on_demand: Time::MIN };
    assert_eq!(store.remove_passes(none).await.unwrap(), 1, "the one that was replaced");
    assert_eq!((stored().await, values().await), ((Some(1), Some(6)), Some(3)));
}

async fn callers_share_a_list(tally: Tally) {
    tally.backfill(bought(0..12, &["cups", "coffee"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    let calls = (0..8).map(|_| tally.affinities("", 0, ""));
    let found = futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(found[0].total_size, 2);
    assert!(found.iter().all(|response| response == &found[0]), "known at the same time");
}

async fn suggestions_are_what_was_never_bought(tally: Tally) {
    let seven = ["a", "b", "c", "d", "e", "f", "g"];
    tally.backfill(bought(0..20, &seven)).await.unwrap();
    // `a` says less than `b`, since others bought it, too.
    tally.backfill(bought(20..40, &["a"])).await.unwrap();
    tally.backfill(bought(50..150, &["tea"])).await.unwrap();
    let own = [
        buys("ann", "1", "2024-03-01", "a"),
        buys("ann", "2", "2024-03-01", "b"),
        buys("bob", "1", "2022-03-01", "c"),
        buys("bob", "2", "2024-03-01", "b"),
        buys("cid", "1", "2022-03-01", "b"),
    ];
    tally.backfill(own.to_vec()).await.unwrap();
    tally.upsert(vec![crate::support::customer("dee", "2024-01-01", &[])]).await.unwrap();
    assert_eq!(tally.next("ann").await, [], "without a pass nothing is known");
    tally.refresh_insights(AS_OF).await.unwrap();
    let next = |values: &[&str]| -> Vec<(String, String)> {
        values.iter().map(|value| ((*value).to_owned(), "b".to_owned())).collect()
    };
    assert_eq!(tally.next("ann").await, next(&["c", "d", "e", "f", "g"]));
    // `c` was bought long ago. Of those with `b`, one more bought `a`.
    assert_eq!(tally.next("bob").await, next(&["a", "d", "e", "f", "g"]));
    assert_eq!(tally.next("cid").await, [], "nothing was bought in the window");
    assert_eq!(tally.next("dee").await, []);
    let insight = tally.insight("ann", AS_OF).await.unwrap();
    let list = tally.affinities("", 0, "").await.unwrap().affinities;
    let rule = list.iter().find(|of| (of.from_value.as_str(), of.to_value.as_str()) == ("b", "c")).unwrap();
    let first = &insight.next_to_buy[0];
    assert_eq!((first.confidence_lower, first.lift), (rule.confidence_lower, rule.lift));
}

async fn without_customers_there_is_nothing(tally: Tally) {
    let found = tally.affinities("", 0, "").await.unwrap();
    assert_eq!((found.affinities.len(), found.customers, found.next_page_token.as_str()), (0, 0, ""));
    tally.backfill(bought(0..20, &["cups", "coffee"])).await.unwrap();
    let found = tally.affinities("colour", 0, "").await.unwrap();
    assert_eq!((found.total_size, found.customers, found.property.as_str()), (0, 0, "colour"));
    let stored = tally.database.sql("SELECT count(*) FROM affinity_lists").await;
    assert_eq!(stored, Some(0), "anybody can make up names");
}

async fn bad_requests_are_refused(tally: Tally) {
    tally.backfill(bought(0..12, &["cups", "coffee"])).await.unwrap();
    tally.backfill(bought(20..80, &["tea"])).await.unwrap();
    let long = "x".repeat(65);
    for (property, page_size, field) in
        [("", -1, "page_size"), (long.as_str(), 0, "property"), ("a\u{7}", 0, "property")]
    {
        let refused = tally.affinities(property, page_size, "").await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
    let token = tally.affinities("", 1, "").await.unwrap().next_page_token;
    for (property, token) in [("category", token.as_str()), ("", "forged")] {
        let refused = tally.affinities(property, 1, token).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["page_token"]);
    }
}
