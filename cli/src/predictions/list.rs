//! Lists stored predictions, page by page.

use tally_proto::v1::{ListPredictionsRequest, Score};

use crate::{
    args::{PredictionFilterArgs, TargetArg},
    connection::Connection,
    error::ClientError,
    output::{self, datetime, printable, table},
    paging::{self, showing},
    scoring::{figures, grades, reason},
    time,
};

/// Prints the predictions that pass the filter: JSON page by page, text in one table.
pub(super) async fn list(
    server: &Connection,
    target: TargetArg,
    filter: &PredictionFilterArgs,
    json: bool,
) -> Result<(), ClientError> {
    let listed = paging::read(filter.limit, json, async |page_size, page_token| {
        let request = ListPredictionsRequest { page_size, page_token, ..request(target, filter) };
        let page = server.predictions().list_predictions(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let showing = showing(listed.shown, listed.first.total_size);
    if json {
        output::remark(&showing);
        return Ok(());
    }
    let text = match listed.items.first() {
        None => format!("{showing}; {}", why_none(filter)),
        Some(first) => {
            format!("{}\n\n{showing}\n{}", predictions_table(&listed.items), grades(first.target()))
        }
    };
    Ok(output::print(&text)?)
}

fn request(target: TargetArg, filter: &PredictionFilterArgs) -> ListPredictionsRequest {
    ListPredictionsRequest {
        target: target.number(),
        min_probability: filter.min,
        max_probability: filter.max,
        grades: filter.grade.iter().map(|grade| grade.number()).collect(),
        customer_id: filter.customer.clone().unwrap_or_default(),
        model: filter.model.clone().unwrap_or_default(),
        as_of_time: filter.as_of.map(time::timestamp),
        latest_only: Some(!filter.all),
        order_by: filter.order.order_by().to_owned(),
        life_cycles: filter.stage.iter().map(|stage| stage.name().to_owned()).collect(),
        abc_classes: filter.abc.iter().map(|class| class.name().to_owned()).collect(),
        rfm_segments: filter.rfm.clone(),
        ..ListPredictionsRequest::default()
    }
}

/// Why a list may be empty.
const fn why_none(filter: &PredictionFilterArgs) -> &'static str {
    match (&filter.customer, filter.all) {
        (Some(_), false) => {
            "the customer is not eligible any more, or was not scored yet; --all lists its earlier predictions"
        }
        _ => {
            "if none are stored yet, `tally score-all` stores them; a run that warned of a silence is listed by --as-of \
             alone"
        }
    }
}

/// Stored predictions, each with its strongest reason.
fn predictions_table(predictions: &[Score]) -> String {
    let rows = predictions.iter().map(|score| {
        let strongest = score.reasons.first().map(reason).unwrap_or_default();
        let [customer, probability, interval, grade, basis] = figures(score);
        let as_of = datetime(score.as_of_time.as_ref());
        vec![customer, probability, interval, grade, basis, as_of, printable(&score.model), strongest]
    });
    let header = [
        "customer",
        "probability",
        "95 % interval",
        "grade",
        "basis",
        "as of",
        "model",
        "strongest reason (log-odds)",
    ];
    table(&header, &[1, 2], rows)
}
