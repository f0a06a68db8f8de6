//! The SQL of a [`PredictionFilter`].

use super::Statement;
use crate::predictions::{PredictionCursor, PredictionFilter, PredictionOrder};

/// The net revenue of the customer, below every one for customers without facts.
const NET: &str = "coalesce(f.net_minor, -9223372036854775807 - 1)";

/// The predictions that follow `after`, in the order of the filter.
pub(super) fn select_page(
    filter: &PredictionFilter,
    after: Option<&PredictionCursor>,
    limit: i64,
) -> Statement {
    let by_net = filter.order == PredictionOrder::NetRevenue;
    let mut statement = Statement::new("SELECT p.*, ");
    statement.push(if by_net { NET } else { "CAST(0 AS BIGINT)" }).push(" AS net");
    push_filter(&mut statement, filter);
    let column = match filter.order {
        PredictionOrder::Probability => "k.probability",
        PredictionOrder::ScoreTime => "k.score_time",
        PredictionOrder::NetRevenue => NET,
    };
    if let Some(after) = after {
        statement.push(" AND (").push(column).push(", k.prediction_id) < (");
        match filter.order {
            PredictionOrder::Probability => statement.push_bind(after.probability),
            PredictionOrder::ScoreTime => statement.push_bind(after.score_time),
            PredictionOrder::NetRevenue => statement.push_bind(after.net),
        };
        statement.push(", ").push_bind(after.prediction_id.as_str()).push(")");
    }
    statement.push(" ORDER BY ").push(column).push(" DESC, k.prediction_id DESC LIMIT ").push_bind(limit);
    statement
}

/// The number of predictions that pass the filter.
pub(super) fn count(filter: &PredictionFilter) -> Statement {
    let mut statement = Statement::new("SELECT count(*)");
    push_filter(&mut statement, filter);
    statement
}

/// Appends `FROM … WHERE …`; `p` is the prediction, `k` the table that is ordered by, `f` the
/// facts of its customer where they matter.
fn push_filter(statement: &mut Statement, filter: &PredictionFilter) {
    let is_latest = filter.latest_only && filter.as_of.is_none();
    statement.push(if is_latest { " FROM latest_predictions" } else { " FROM predictions" }).push(
        " AS k JOIN predictions AS p ON p.customer_id = k.customer_id AND p.prediction_id = k.prediction_id",
    );
    if filter.needs_insights() {
        // The order keeps customers without facts; a filter does not.
        statement
            .push(if filter.insights.is_empty() { " LEFT" } else { "" })
            .push(" JOIN customer_insights AS f ON f.customer_id = k.customer_id AND f.pass_id = ");
        statement.push_bind(filter.pass_id);
    }
    // A customer has few predictions; SQLite would otherwise read all of the target, since that index has them in
    // order.
    statement.push(if filter.customer_id.is_some() {
        " WHERE k.target || '' = "
    } else {
        " WHERE k.target = "
    });
    statement.push_bind(filter.target.name());
    if let Some(as_of) = filter.as_of {
        statement.push(" AND k.as_of_time = ").push_bind(as_of);
        if filter.latest_only {
            // As above: SQLite would read all later predictions of the target for each row.
            statement.push(
                " AND NOT EXISTS (SELECT 1 FROM predictions AS later WHERE later.customer_id = k.customer_id \
                 AND later.target || '' = k.target AND later.as_of_time = k.as_of_time \
                 AND (later.score_time, later.prediction_id) > (k.score_time, k.prediction_id))",
            );
        }
    }
    if let Some(least) = filter.min_probability {
        statement.push(" AND k.probability >= ").push_bind(least);
    }
    if let Some(most) = filter.max_probability {
        statement.push(" AND k.probability <= ").push_bind(most);
    }
    if let Some(customer_id) = &filter.customer_id {
        statement.push(" AND k.customer_id = ").push_bind(customer_id.as_str());
    }
    if let Some(version) = filter.model_version {
        statement.push(" AND p.model_version = ").push_bind(version);
    }
    if !filter.grades.is_empty() {
        let grades = filter.grades.iter().map(|grade| grade.as_str().into());
        statement.push(" AND p.grade IN (").push_list(grades).push(")");
    }
    for (column, allowed) in filter.insights.columns() {
        if !allowed.is_empty() {
            let allowed = allowed.iter().map(|name| name.as_str().into());
            statement.push(" AND ").push(column).push(" IN (").push_list(allowed).push(")");
        }
    }
}
