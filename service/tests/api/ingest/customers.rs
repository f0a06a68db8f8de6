//! CustomerService: what is stored is read back, paged, and erased.

use prost_types::value::Kind;
use tally_proto::v1;
use tonic::{Code, Status};

use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores};

on_both_stores!(
    a_customer_is_read_back_byte_for_byte,
    an_upsert_replaces_attributes_and_keeps_fields_that_it_leaves_out,
    customers_are_listed_in_byte_order_page_by_page,
    deleting_a_customer_erases_its_interactions_too,
    a_page_stays_below_the_size_limit_of_a_message,
);

async fn get(tally: &Tally, id: &str) -> Result<v1::Customer, Status> {
    let request = v1::GetCustomerRequest { customer_id: id.to_owned() };
    Ok(tally.customers().get_customer(request).await?.into_inner().customer.unwrap())
}

async fn a_customer_is_read_back_byte_for_byte(tally: Tally) {
    let odd = "O'Brien\"; DROP TABLE customers;-- \u{202e}rtl\u{200b} 🦀 %s {}";
    let mut stored = customer(
        odd,
        "2024-02-29T23:59:59.123456Z",
        &[
            ("tenth", Kind::NumberValue(0.1)),
            ("tiny", Kind::NumberValue(5e-324)),
            ("huge", Kind::NumberValue(1.797_693_134_862_315_7e308)),
            ("vip", Kind::BoolValue(true)),
            ("город", Kind::StringValue("Žižkov \\ \n\t\"'".into())),
        ],
    );
    stored.name = "Ada Łovelace".to_owned();
    assert_eq!(tally.upsert(vec![stored.clone()]).await.unwrap(), 1);
    assert_eq!(get(&tally, odd).await.unwrap(), stored);
    assert_refused(get(&tally, "nobody").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn an_upsert_replaces_attributes_and_keeps_fields_that_it_leaves_out(tally: Tally) {
    let mut first =
        customer("c", "2024-01-01", &[("a", Kind::NumberValue(1.0)), ("b", Kind::BoolValue(true))]);
    first.name = "Ada".to_owned();
    tally.upsert(vec![first.clone()]).await.unwrap();
    let mut second =
        customer("c", "2024-01-01", &[("a", Kind::NumberValue(2.0)), ("gone", Kind::NullValue(0))]);
    second.create_time = None;
    tally.upsert(vec![second]).await.unwrap();
    let found = get(&tally, "c").await.unwrap();
    assert_eq!((found.name.as_str(), found.create_time), ("Ada", first.create_time));
    let attributes = found.attributes.unwrap().fields;
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["a"], "the set is replaced, and null means absent");
}

async fn customers_are_listed_in_byte_order_page_by_page(tally: Tally) {
    let mut ids: Vec<String> =
        (0..25).map(|n| format!("c{n}")).chain(["Z".into(), "é".into(), "a b".into()]).collect();
    tally.upsert(ids.iter().map(|id| customer(id, "2024-01-01", &[])).collect()).await.unwrap();
    ids.sort();
    let (mut listed, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = v1::ListCustomersRequest { page_size: 10, page_token: page_token.clone() };
        let page = tally.customers().list_customers(request).await.unwrap().into_inner();
        // A customer that is stored between two pages does not shift them.
        tally.upsert(vec![customer(&format!("A{pages}"), "2024-01-01", &[])]).await.unwrap();
        listed.extend(page.customers.into_iter().map(|customer| customer.customer_id));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((listed, pages), (ids, 3));
}

async fn deleting_a_customer_erases_its_interactions_too(tally: Tally) {
    tally.upsert(vec![customer("c", "2024-01-01", &[("a", Kind::NumberValue(1.0))])]).await.unwrap();
    let visit = interaction("c", "i", "visit", "2024-01-02");
    tally.backfill(vec![visit.clone()]).await.unwrap();
    tally.delete("c").await.unwrap();
    assert_refused(get(&tally, "c").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    let request = v1::ListInteractionsRequest { customer_id: "c".into(), ..Default::default() };
    let listed = tally.interactions().list_interactions(request).await;
    assert_refused(listed, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    assert_refused(tally.delete("c").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    // The same interaction does not create it again.
    assert_eq!(tally.backfill(vec![visit]).await.unwrap(), (0, 0));
    assert_refused(get(&tally, "c").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn a_page_stays_below_the_size_limit_of_a_message(tally: Tally) {
    let names: Vec<String> = (0..200).map(|n| format!("a{n}")).collect();
    let large: Vec<(&str, Kind)> =
        names.iter().map(|name| (name.as_str(), Kind::StringValue("x".repeat(1_000)))).collect();
    for part in 0..3 {
        let ids = (0..10).map(|n| format!("c{part}{n}"));
        tally.upsert(ids.map(|id| customer(&id, "2024-01-01", &large)).collect()).await.unwrap();
    }
    let mut request = v1::ListCustomersRequest { page_size: 1_000, ..Default::default() };
    let mut pages = Vec::new();
    loop {
        // The client refuses messages above 4 MiB.
        let page = tally.customers().list_customers(request.clone()).await.unwrap().into_inner();
        pages.push(page.customers.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((pages.len(), pages.iter().sum::<usize>()), (2, 30), "{pages:?}");
}
