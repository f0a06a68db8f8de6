//! Assertions that many tests make.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Repeats a check until it holds, for a minute at most.
pub async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let checking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let checked = tokio::time::timeout(std::time::Duration::from_secs(60), checking).await;
    checked.expect("the condition holds within a minute");
}

/// Asserts the code and the ErrorInfo reason of a refusal, and the fields that it names.
pub fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
    fields: &[&str],
) {
    let status = result.expect_err("the call is refused");
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("every error has an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "tally.v1"), "{status:?}");
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    let named: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(named, fields, "{status:?}");
}
