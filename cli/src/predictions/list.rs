//! Lists stored predictions, page by page.

use indicatif::HumanCount;
use tally_proto::{
    limits,
    v1::{ListPredictionsRequest, ListPredictionsResponse, Score},
};

use crate::{
    args::{PredictionFilterArgs, TargetArg},
    connection::Connection,
    error::ClientError,
    output::{self, datetime, printable, table},
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
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut request = first_page(target, filter, limit);
    let mut client = server.predictions();
    let (mut shown, mut total, mut rows) = (0, None, Vec::new());
    loop {
        let page = client.list_predictions(request.clone()).await;
        let page = page.map_err(|status| server.error(&status))?.into_inner();
        let ListPredictionsResponse { mut predictions, next_page_token, total_size } = page;
        predictions.truncate(limit - shown);
        shown += predictions.len();
        total.get_or_insert(total_size);
        if json {
            predictions.iter().try_for_each(output::print_json)?;
        } else {
            rows.append(&mut predictions);
        }
        request.page_token = next_page_token;
        if shown == limit || request.page_token.is_empty() {
            break;
        }
    }
    let total = total.unwrap_or_default().unsigned_abs();
    let showing = format!("showing {} of {}", HumanCount(shown as u64), HumanCount(total));
    if json {
        output::remark(&showing);
        return Ok(());
    }
    let text = match rows.first() {
        None => format!("{showing}; {}", why_none(filter)),
        Some(first) => format!("{}\n\n{showing}\n{}", predictions_table(&rows), grades(first.target())),
    };
    Ok(output::print(&text)?)
}

fn first_page(target: TargetArg, filter: &PredictionFilterArgs, limit: usize) -> ListPredictionsRequest {
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
        page_size: limit.min(limits::LONGEST_PAGE) as i32,
        page_token: String::new(),
        life_cycles: filter.stage.iter().map(|stage| stage.name().to_owned()).collect(),
        abc_classes: filter.abc.iter().map(|class| class.name().to_owned()).collect(),
        rfm_segments: filter.rfm.clone(),
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
