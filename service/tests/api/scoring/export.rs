//! ExportPredictions streams what ListPredictions pages.

use tally_proto::v1;
use tonic::Code;

use super::{NOW, trained};
use crate::support::{Tally, assert_refused, on_both_stores, time};

on_both_stores!(an_export_has_the_predictions_of_the_list_in_its_order, invalid_exports_are_refused);

fn churn() -> v1::ExportPredictionsRequest {
    v1::ExportPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() }
}

/// The list with the filter of an export.
fn list_of(export: &v1::ExportPredictionsRequest) -> v1::ListPredictionsRequest {
    let v1::ExportPredictionsRequest { target, min_probability, max_probability, grades, .. } =
        export.clone();
    let v1::ExportPredictionsRequest { customer_id, model, latest_only, order_by, .. } = export.clone();
    v1::ListPredictionsRequest {
        target,
        min_probability,
        max_probability,
        grades,
        customer_id,
        model,
        latest_only,
        order_by,
        ..Default::default()
    }
}

/// The messages of an export.
async fn export(tally: &Tally, request: &v1::ExportPredictionsRequest) -> Vec<Vec<v1::Score>> {
    let mut stream = tally.predictions().export_predictions(request.clone()).await.unwrap().into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message.predictions);
    }
    messages
}

async fn an_export_has_the_predictions_of_the_list_in_its_order(tally: Tally) {
    trained(&tally).await;
    // Together more than a page of the store.
    for as_of in ["2024-03-01", NOW, "2024-05-01", "2024-04-01", "2024-02-01"] {
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    }
    let everything = v1::ExportPredictionsRequest { latest_only: Some(false), ..churn() };
    let messages = export(&tally, &everything).await;
    assert!(messages.len() > 1 && messages.iter().all(|message| (1..=1_000).contains(&message.len())));
    let filters = [
        everything,
        churn(),
        v1::ExportPredictionsRequest { order_by: "score_time desc".into(), ..churn() },
        v1::ExportPredictionsRequest {
            min_probability: Some(0.3),
            max_probability: Some(0.7),
            grades: vec![v1::Grade::B.into(), v1::Grade::C.into()],
            ..churn()
        },
        v1::ExportPredictionsRequest { model: "churn/1".into(), ..churn() },
    ];
    for filter in filters {
        let exported = export(&tally, &filter).await.concat();
        assert!(exported == tally.all_predictions(list_of(&filter)).await, "{filter:?}");
    }
}

async fn invalid_exports_are_refused(tally: Tally) {
    let request = v1::ExportPredictionsRequest { min_probability: Some(2.0), ..Default::default() };
    let refused = tally.predictions().export_predictions(request).await;
    let fields = ["target", "min_probability"];
    assert_refused(refused.map(drop), Code::InvalidArgument, "INVALID_REQUEST", &fields);
}
