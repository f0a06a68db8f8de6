//! `tally predictions` against a small server.

use tally_proto::v1::ListPredictionsRequest;

use crate::fake::{Knowledge, serve, tally};

#[tokio::test]
async fn predictions_are_filtered_by_insights() {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge::default());
    let arguments = [
        "predictions",
        "churn",
        "--stage",
        "declining,won_back",
        "--stage",
        "new",
        "--abc",
        "a,none",
        "--rfm",
        "champions,at_risk",
        "--order",
        "net",
    ];
    tally(&url, &arguments).await.unwrap();
    tally(&url, &["predictions", "churn"]).await.unwrap();
    let received = fake.0.lock().unwrap();
    let [filtered, all] = received.predictions.as_slice() else { panic!("{:?}", received.predictions) };
    assert_eq!(filtered.life_cycles, ["declining", "won_back", "new"]);
    assert_eq!(filtered.abc_classes, ["A", "none"]);
    assert_eq!(filtered.rfm_segments, ["champions", "at_risk"]);
    assert_eq!(filtered.order_by, "net_revenue desc");
    let unfiltered = ListPredictionsRequest {
        life_cycles: vec![],
        abc_classes: vec![],
        rfm_segments: vec![],
        order_by: "probability desc".to_owned(),
        ..filtered.clone()
    };
    assert_eq!(*all, unfiltered);
}
