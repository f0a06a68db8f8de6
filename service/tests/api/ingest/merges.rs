//! MergeCustomers: two ids become one customer, in lists, reads and erasure.

use prost_types::value::Kind;
use tally_proto::v1;
use tonic::Code;

use crate::support::{
    Tally, assert_refused, customer, eventually, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    the_survivor_keeps_its_record_and_gets_what_it_lacks,
    customers_of_interactions_alone_are_merged_without_a_record,
    merges_that_make_no_sense_are_refused,
    a_merged_customer_is_listed_once_and_erased_as_a_whole,
    interactions_of_merged_ids_are_listed_together,
    other_servers_learn_of_merges_and_erasures,
);

fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

async fn listed(tally: &Tally) -> Vec<(String, Vec<String>)> {
    let reply = tally.customers().list_customers(v1::ListCustomersRequest::default()).await.unwrap();
    let customers = reply.into_inner().customers.into_iter();
    customers.map(|customer| (customer.customer_id, customer.merged_customer_ids)).collect()
}

fn owned(id: &str, merged: &[&str]) -> (String, Vec<String>) {
    (id.to_owned(), merged.iter().map(|id| (*id).to_owned()).collect())
}

async fn the_survivor_keeps_its_record_and_gets_what_it_lacks(tally: Tally) {
    let mut old =
        customer("old", "2023-05-01", &[("region", text("north")), ("size", Kind::NumberValue(7.0))]);
    old.name = "Ada".to_owned();
    let new = customer("new", "2024-01-01", &[("region", text("south")), ("vip", Kind::BoolValue(true))]);
    tally.upsert(vec![old, new]).await.unwrap();

    let united = tally.merge("old", "new").await.unwrap();

    let all = [("region", text("south")), ("size", Kind::NumberValue(7.0)), ("vip", Kind::BoolValue(true))];
    let mut expected = customer("new", "2023-05-01", &all);
    expected.name = "Ada".to_owned();
    expected.merged_customer_ids = vec!["old".to_owned()];
    assert_eq!(united, expected);
    assert_eq!(tally.customer("old").await.unwrap(), expected);
    // The same merge again changes nothing, and what is said of a merged id is not used.
    assert_eq!(tally.merge("old", "new").await.unwrap(), expected);
    tally.upsert(vec![customer("old", "2020-01-01", &[("late", text("x"))])]).await.unwrap();
    assert_eq!(tally.customer("new").await.unwrap(), expected);
    let versions = "SELECT count(*) FROM customer_versions WHERE customer_id = 'new'";
    assert_eq!(tally.database.sql(versions).await, Some(2));
}

async fn customers_of_interactions_alone_are_merged_without_a_record(tally: Tally) {
    let visits = [("a", "2024-03-01"), ("b", "2024-02-01")];
    tally.backfill(visits.map(|(id, day)| interaction(id, "i", "visit", day)).to_vec()).await.unwrap();
    let united = tally.merge("b", "a").await.unwrap();
    assert_eq!(united.create_time, Some(timestamp(time("2024-02-01"))));
    assert_eq!(tally.database.sql("SELECT count(*) FROM customer_versions").await, Some(0));
}

async fn merges_that_make_no_sense_are_refused(tally: Tally) {
    let ids = ["a", "b", "c", "d"];
    tally.upsert(ids.map(|id| customer(id, "2024-01-01", &[])).to_vec()).await.unwrap();
    let refused = tally.merge("a", "a").await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["into_customer_id"]);
    let refused = tally.merge("", "a").await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["from_customer_id"]);
    for (from, into) in [("a", "nobody"), ("nobody", "a")] {
        assert_refused(tally.merge(from, into).await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    }
    tally.merge("a", "b").await.unwrap();
    for (from, into) in [("b", "a"), ("a", "c")] {
        let refused = tally.merge(from, into).await;
        assert_refused(refused, Code::FailedPrecondition, "ALREADY_MERGED", &[]);
    }
    // Into a merged id means into what it is merged into.
    assert_eq!(tally.merge("c", "a").await.unwrap().customer_id, "b");
    assert_eq!(tally.merge("a", "c").await.unwrap().customer_id, "b", "they are the same already");
    assert_eq!(listed(&tally).await, [owned("b", &["a", "c"]), owned("d", &[])]);
}

async fn a_merged_customer_is_listed_once_and_erased_as_a_whole(tally: Tally) {
    let ids = ["x", "y", "z", "other"];
    tally.upsert(ids.map(|id| customer(id, "2024-01-01", &[])).to_vec()).await.unwrap();
    let visits = || ids.map(|id| interaction(id, "i", "visit", "2024-01-02")).to_vec();
    tally.backfill(visits()).await.unwrap();
    tally.merge("x", "y").await.unwrap();
    tally.merge("y", "z").await.unwrap();
    assert_eq!(listed(&tally).await, [owned("other", &[]), owned("z", &["x", "y"])]);
    assert_eq!(tally.backfill(visits()).await.unwrap(), (0, 4), "a repeated import finds its rows");
    tally.delete("x").await.unwrap();
    for id in ["x", "y", "z"] {
        assert_refused(tally.customer(id).await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
        assert_refused(tally.delete(id).await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    }
    assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(1));
    // The ids are free again.
    let erased = ["x", "y", "z"].map(|id| customer(id, "2024-01-01", &[]));
    assert_eq!(tally.recreate(erased.to_vec()).await.unwrap(), 3);
    assert_eq!(tally.backfill(visits()).await.unwrap(), (3, 1));
    let ids = ["other", "x", "y", "z"];
    assert_eq!(listed(&tally).await, ids.map(|id| owned(id, &[])));
}

/// The keys of a customer's interactions, page by page.
async fn interactions(tally: &Tally, id: &str, page_size: i32) -> Vec<(String, String)> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInteractionsRequest {
            customer_id: id.to_owned(),
            page_size,
            page_token,
            ..Default::default()
        };
        let page = tally.interactions().list_interactions(request).await.unwrap().into_inner();
        assert!(page.interactions.len() <= page_size as usize);
        all.extend(page.interactions.into_iter().map(|one| (one.customer_id, one.interaction_id)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn interactions_of_merged_ids_are_listed_together(tally: Tally) {
    // Equal times and equal ids of all three, and a longer id that begins alike.
    let mut items = Vec::new();
    for id in ["b", "a", "c"] {
        for (own, day) in
            [("1", "2024-01-01"), ("2", "2024-01-02"), ("2!", "2024-01-02"), ("3", "2024-01-03")]
        {
            items.push(interaction(id, own, "visit", day));
        }
        items.push(interaction(id, "only", "visit", &format!("2024-02-0{}", items.len() / 4 % 5 + 1)));
    }
    tally.backfill(items.clone()).await.unwrap();
    tally.merge("a", "b").await.unwrap();
    tally.merge("b", "c").await.unwrap();
    items.sort_by_key(|item| {
        let time = item.occur_time.unwrap().seconds;
        std::cmp::Reverse((time, item.interaction_id.clone(), item.customer_id.clone()))
    });
    let expected: Vec<_> = items.into_iter().map(|item| (item.customer_id, item.interaction_id)).collect();
    for page_size in [1, 2, 4, 100] {
        assert_eq!(interactions(&tally, "c", page_size).await, expected, "{page_size} a page");
        assert_eq!(interactions(&tally, "a", page_size).await, expected, "of a merged id");
    }
}

async fn other_servers_learn_of_merges_and_erasures(tally: Tally) {
    let other = Tally::start(tally.database.again()).await;
    tally.upsert(["a", "b"].map(|id| customer(id, "2024-01-01", &[])).to_vec()).await.unwrap();
    tally.merge("a", "b").await.unwrap();
    assert_eq!(other.customer("a").await.unwrap().customer_id, "b");
    other.delete("a").await.unwrap();
    assert_refused(tally.customer("b").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    tally.recreate(vec![customer("a", "2024-01-01", &[])]).await.unwrap();
    // The first server forgets that `a` was merged.
    let known = async || tally.customer("a").await.is_ok_and(|customer| customer.customer_id == "a");
    eventually(known).await;
}
