//! The facts of one customer.

use prost_types::value::Kind;
use tonic::Code;

use super::{AS_OF, paid, with_properties};
use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    a_customer_is_known_as_its_interactions_tell,
    classes_are_relative_to_the_latest_pass,
    a_cancel_is_told_from_a_silence,
    merged_ids_are_one_customer,
    money_beyond_64_bits_is_a_warning,
    what_is_not_there_is_refused,
);

fn text(value: &str) -> Kind {
    Kind::StringValue(value.to_owned())
}

async fn money_beyond_64_bits_is_a_warning(tally: Tally) {
    // The most that an interaction takes, 9,223 times, is just below 2^63.
    let most = 1_000_000_000_000_000;
    let paid = |n: usize| paid("ada", &n.to_string(), "purchase", "2024-05-01", most);
    for part in (0..9_223).collect::<Vec<_>>().chunks(4_000) {
        tally.backfill(part.iter().map(|n| paid(*n)).collect()).await.unwrap();
    }
    let ada = tally.insight("ada", AS_OF).await.unwrap();
    assert_eq!((ada.revenue_minor, ada.warnings), (9_223 * most, Vec::new()));
    tally.backfill(vec![paid(9_223)]).await.unwrap();
    let ada = tally.insight("ada", AS_OF).await.unwrap();
    assert_eq!(ada.revenue_minor, i64::MAX);
    assert!(
        ada.warnings[0].starts_with("the money of this customer is beyond the range of 64 bits"),
        "{ada:?}"
    );
    let warnings = tally.segments("abc", Some(AS_OF)).await.warnings;
    let words = "is counted as the end of the range; customers with such money: 1. Are";
    assert!(warnings.iter().any(|warning| warning.contains(words)), "{warnings:?}");
}

async fn a_customer_is_known_as_its_interactions_tell(tally: Tally) {
    let attributes = [
        ("wallet_minor", Kind::NumberValue(40_000.0)),
        ("region", text("north")),
        ("vip", Kind::BoolValue(true)),
    ];
    tally.upsert(vec![customer("ada", "2022-01-01", &attributes)]).await.unwrap();
    let mut discounted = paid("ada", "p2", "purchase", "2023-07-01T10:00:00Z", 9_000);
    discounted.properties.insert("discount_percent".into(), "10".into());
    discounted.properties.insert("cost_minor".into(), "4000".into());
    let interactions = vec![
        paid("ada", "p1", "purchase", "2022-03-01T23:00:00Z", 5_000),
        discounted,
        paid("ada", "p3", "purchase", "2023-07-01T12:00:00Z", 3_000),
        paid("ada", "r1", "return", "2023-07-05", 2_000),
        paid("ada", "c1", "cost", "2023-08-01", 500),
        with_properties("ada", "s1", "survey", "2023-08-02", &[("score", "9"), ("expected", "8")]),
        with_properties("ada", "s2", "survey", "2023-08-03", &[("score", "4"), ("expected", "8")]),
        with_properties("ada", "s3", "survey", "2023-08-03", &[("score", "4")]),
        interaction("ada", "k1", "complaint", "2024-01-01"),
        interaction("ada", "k2", "resolution", "2024-01-02"),
        interaction("ada", "k3", "complaint", "2024-02-01"),
        interaction("ada", "k4", "complaint", "2024-02-02"),
        interaction("ada", "e1", "email", "2024-03-01"),
        interaction("ada", "e2", "call", "2024-03-02"),
        interaction("ada", "v1", "visit", "2024-04-02"),
        with_properties("ada", "f1", "referral", "2024-04-03", &[("referred_customer_id", "bob")]),
        with_properties("ada", "f2", "referral", "2024-04-04", &[("referred_customer_id", "eve")]),
        interaction("ada", "f3", "referral", "2024-04-05"),
        interaction("bob", "b1", "purchase", "2024-05-01"),
        interaction("eve", "v1", "visit", "2024-05-01"),
        // Later than the moment that is asked about.
        paid("ada", "p4", "purchase", "2024-06-02", 100_000),
        interaction("ada", "e3", "call", "2024-06-02"),
    ];
    tally.backfill(interactions).await.unwrap();

    let insight = tally.insight("ada", AS_OF).await.unwrap();
    assert_eq!((insight.revenue_minor, insight.returns_minor), (17_000, 2_000));
    assert_eq!((insight.cost_minor, insight.profit_minor, insight.orders), (4_500, 10_500, 3));
    assert_eq!((insight.purchase_days, insight.recency_days), (2, Some(335)));
    assert_eq!(insight.first_purchase_time, Some(timestamp(time("2022-03-01T23:00:00Z"))));
    assert_eq!(insight.last_purchase_time, Some(timestamp(time("2023-07-01T12:00:00Z"))));
    // 487 days between the purchase days, and a typical interval of 90 days without a pass.
    assert_eq!(insight.expected_interval_days, Some((487.0 + 90.0) / 2.0));
    assert_eq!(insight.overdue_ratio, Some(336.0 / 288.5));
    assert_eq!(insight.life_cycle, "won_back", "after three times 90 days without a purchase");
    assert_eq!(insight.satisfaction, Some((9.0 / 8.0 + 0.5) / 2.0));
    assert_eq!((insight.complaints, insight.complaints_open), (3, 2));
    let open: Vec<&str> = insight.open_complaints.iter().map(|found| found.interaction_id.as_str()).collect();
    assert_eq!(open, ["k4", "k3"]);
    let contacts: Vec<&str> = insight.contacts.iter().map(|found| found.kind.as_str()).collect();
    assert_eq!(
        (contacts, insight.last_contact_time),
        (vec!["call", "email"], Some(timestamp(time("2024-03-02"))))
    );
    assert_eq!((insight.referrals, insight.referrals_bought), (3, 1));
    assert_eq!(insight.discount_share, Some(1.0 / 3.0));
    // Two purchase days, not overdue, an old relation, few discounts, referrals.
    assert_eq!(insight.loyalty_points, 100);
    assert_eq!(insight.share_of_wallet, Some(10_000.0 / 40_000.0), "net of the last 365 days");
    assert_eq!((insight.abc_class.as_str(), insight.rfm_cell.as_str()), ("", ""));
    assert_eq!((insight.population_as_of_time, insight.completeness), (None, None));
    assert_eq!((insight.lead_score, insight.churn_score), (None, None), "there is no model");
}

async fn a_cancel_is_told_from_a_silence(tally: Tally) {
    let interactions = vec![
        paid("ada", "p1", "purchase", "2024-05-01", 5_000),
        interaction("ada", "c1", "cancel", "2024-05-02"),
        interaction("ada", "c2", "cancel", "2024-05-03"),
        paid("ada", "p2", "purchase", "2024-05-20", 5_000),
        paid("bob", "p1", "purchase", "2023-01-01", 5_000),
        interaction("eve", "c1", "cancel", "2024-05-02"),
    ];
    tally.backfill(interactions).await.unwrap();
    for (id, as_of, stage, cancelled) in [
        ("ada", "2024-05-10", "lost", Some("2024-05-02")),
        ("ada", AS_OF, "won_back", None),
        ("bob", AS_OF, "lost", None),
        ("eve", AS_OF, "lead", None),
    ] {
        let insight = tally.insight(id, as_of).await.unwrap();
        let wanted = cancelled.map(|cancelled| timestamp(time(cancelled)));
        assert_eq!((insight.life_cycle.as_str(), insight.cancel_time), (stage, wanted), "{id} {as_of}");
    }
    let page = tally.cli(&["insights", "customer", "ada", "--as-of", "2024-05-10"]);
    assert!(page.contains("lost, cancelled at 2024-05-02T00:00:00Z"), "{page}");
}

async fn classes_are_relative_to_the_latest_pass(tally: Tally) {
    let with = |id: &str, attributes: &[(&str, Kind)]| customer(id, "2024-01-01", attributes);
    tally
        .upsert(vec![
            with("ada", &[("region", text("north")), ("size", Kind::NumberValue(3.0))]),
            with("bob", &[("region", text("south")), ("size", Kind::NumberValue(4.0))]),
            with("eve", &[("region", text("south")), ("rare", Kind::BoolValue(true))]),
            with("joe", &[]),
        ])
        .await
        .unwrap();
    tally
        .backfill(vec![
            paid("ada", "1", "purchase", "2024-05-01", 8_000),
            paid("bob", "1", "purchase", "2024-05-02", 2_000),
        ])
        .await
        .unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    // What happens after the pass does not move its limits.
    tally.backfill(vec![paid("joe", "1", "purchase", "2024-06-05", 1_000_000)]).await.unwrap();

    let ada = tally.insight("ada", "2024-06-10").await.unwrap();
    assert_eq!(ada.population_as_of_time, Some(timestamp(time(AS_OF))));
    assert_eq!((ada.abc_class.as_str(), ada.rfm_cell.as_str()), ("A", "113"));
    assert_eq!((ada.completeness, ada.missing_attributes), (Some(1.0), vec![]));
    let bob = tally.insight("bob", AS_OF).await.unwrap();
    assert_eq!((bob.abc_class.as_str(), bob.value_loyalty.as_str()), ("B", "low"));
    let eve = tally.insight("eve", AS_OF).await.unwrap();
    assert_eq!((eve.completeness, eve.missing_attributes), (Some(0.5), vec!["size".to_owned()]));
    assert_eq!((eve.life_cycle.as_str(), eve.abc_class.as_str()), ("lead", "none"));
    let before = tally.insight("ada", "2024-05-31").await.unwrap();
    assert_eq!((before.population_as_of_time, before.abc_class), (None, String::new()));
}

async fn merged_ids_are_one_customer(tally: Tally) {
    tally
        .backfill(vec![
            paid("old", "1", "purchase", "2024-01-01", 100),
            interaction("old", "2", "call", "2024-04-01"),
            interaction("old", "3", "complaint", "2024-04-02"),
            paid("new", "1", "purchase", "2024-05-01", 50),
        ])
        .await
        .unwrap();
    tally.merge("old", "new").await.unwrap();
    for id in ["old", "new"] {
        let insight = tally.insight(id, AS_OF).await.unwrap();
        assert_eq!((insight.customer_id.as_str(), insight.revenue_minor, insight.orders), ("new", 150, 2));
        assert_eq!((insight.contacts.len(), insight.open_complaints.len()), (1, 1));
    }
    assert_eq!(tally.sizes("abc", Some(AS_OF)).await, [("A".to_owned(), 1)]);
}

async fn what_is_not_there_is_refused(tally: Tally) {
    tally.upsert(vec![customer("ada", "2024-05-01", &[])]).await.unwrap();
    assert_refused(tally.insight("bob", AS_OF).await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    let early = tally.insight("ada", "2024-04-30T23:59:59Z").await;
    assert_refused(early, Code::FailedPrecondition, "NOT_YET_A_CUSTOMER", &[]);
    assert_refused(
        tally.insight("", AS_OF).await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
        &["customer_id"],
    );
    assert!(tally.insight("ada", "2024-05-01").await.is_ok());
}
