//! What a caller sends is cut where a message shows it: errors travel in headers, which clients limit.

use tally_proto::v1;
use tonic::{Code, Status};

use super::{AS_OF, paid};
use crate::support::{Tally, on_both_stores};

on_both_stores!(messages_show_the_beginning_of_long_texts);

/// Asserts that the refusal names this field first and fits into the headers that clients accept. Returns its message.
fn assert_short<T: std::fmt::Debug>(result: Result<T, Status>, field: &str) -> String {
    let status = result.unwrap_err();
    let message = status.message().to_owned();
    assert!(status.code() == Code::InvalidArgument && message.starts_with(field), "{status:?}");
    // Details travel in base64.
    let bytes = message.len() + status.details().len() * 4 / 3;
    assert!(bytes < 8 << 10, "{bytes} bytes");
    message
}

async fn messages_show_the_beginning_of_long_texts(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let long = "x".repeat(20_000);
    let request = v1::GetSalesReportRequest { time_zone: long.clone(), ..Default::default() };
    let message = assert_short(tally.insights().get_sales_report(request).await, "time_zone");
    assert!(message.contains(&format!("`{}`", "x".repeat(64))), "{message}");

    let request = v1::ListSegmentMembersRequest {
        segmentation: "abc".into(),
        segment: long.clone(),
        ..Default::default()
    };
    assert_short(tally.insights().list_segment_members(request).await, "segment");

    let list = async |change: &dyn Fn(&mut v1::ListPredictionsRequest)| {
        let mut request =
            v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() };
        change(&mut request);
        tally.predictions().list_predictions(request).await
    };
    assert_short(list(&|request| request.rfm_segments = vec![long.clone()]).await, "rfm_segments");
    assert_short(list(&|request| request.life_cycles = vec![long.clone()]).await, "life_cycles[0]");
    assert_short(list(&|request| request.abc_classes = vec![long.clone()]).await, "abc_classes[0]");
    // Of many, only the first are looked at.
    let message = assert_short(list(&|request| request.grades = vec![9; 5_000]).await, "grades[0]");
    assert!(message.contains("and 97 more"), "{message}");
    let many = vec!["old".to_owned(); 5_000];
    let message = assert_short(list(&|request| request.life_cycles = many.clone()).await, "life_cycles[0]");
    assert!(message.contains("and 97 more"), "{message}");
}
