//! `tally interactions` against a small server.

use crate::fake::{Knowledge, serve, tally};

#[tokio::test]
async fn interactions_are_listed_up_to_a_limit() {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge::default());
    for (limit, pages) in [("7", 1), ("1500", 2)] {
        fake.0.lock().unwrap().listed.clear();
        tally(&url, &["interactions", "list", "C1", "--limit", limit, "--retracted"]).await.unwrap();
        let received = fake.0.lock().unwrap();
        assert_eq!(received.listed.len(), pages, "{limit}");
        assert!(received.listed.iter().all(|request| request.customer_id == "C1" && request.show_retracted));
        assert_eq!(received.listed[0].page_size, limit.parse::<i32>().unwrap().min(1_000));
    }
}

#[tokio::test]
async fn interactions_are_retracted_with_a_reason() {
    let (fake, url) = serve().await;
    let arguments = ["interactions", "retract", "C1", "I1", "I2", "--reason", "entered twice", "--json"];
    tally(&url, &arguments).await.unwrap();
    let received = fake.0.lock().unwrap();
    let [request] = received.retracted.as_slice() else { panic!("{:?}", received.retracted) };
    let keys: Vec<_> =
        request.keys.iter().map(|key| (key.customer_id.as_str(), key.interaction_id.as_str())).collect();
    assert_eq!(keys, [("C1", "I1"), ("C1", "I2")]);
    assert_eq!(request.reason, "entered twice");
}
