//! Reads the lists of models and promotions page by page; models as a table.

use tally_proto::v1::{ListModelsRequest, ListPromotionsRequest, Model, Promotion};

use crate::{
    connection::Connection,
    error::ClientError,
    output::{DASH, count, counted, datetime, number, printable, share, table},
    paging,
};

/// All models of a target, or of all targets with 0.
pub(super) async fn models(server: &Connection, target: i32) -> Result<Vec<Model>, ClientError> {
    let models = paging::read_all(async |page_size, page_token| {
        let request = ListModelsRequest { target, page_size, page_token };
        let page = server.models().list_models(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    models.await
}

/// All changes of a target's champion.
pub(super) async fn promotions(server: &Connection, target: i32) -> Result<Vec<Promotion>, ClientError> {
    let promotions = paging::read_all(async |page_size, page_token| {
        let request = ListPromotionsRequest { target, page_size, page_token };
        let page = server.models().list_promotions(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    promotions.await
}

/// Models with their holdout metrics.
pub(super) fn models_table(models: &[Model]) -> String {
    if models.is_empty() {
        return "no models yet".to_owned();
    }
    let header = [
        "model",
        "",
        "data up to",
        "horizon",
        "snapshots",
        "positive",
        "AUC",
        "log loss",
        "ECE",
        "stored",
        "by",
    ];
    table(&header, &[3, 4, 5, 6, 7, 8], models.iter().map(row))
}

/// Of a model that cannot be read, only the row of the database is known.
fn row(model: &Model) -> Vec<String> {
    let readable = model.problem.is_empty();
    let of_artifact = |text: String| if readable { text } else { DASH.to_owned() };
    let holdout = model.holdout.unwrap_or_default();
    vec![
        printable(&model.name),
        state(model).to_owned(),
        datetime(model.as_of_time.as_ref()),
        of_artifact(counted(model.horizon_days, "day", "days")),
        of_artifact(count(model.rows)),
        of_artifact(share(model.positives, model.rows)),
        of_artifact(number(holdout.auc)),
        of_artifact(number(holdout.log_loss)),
        of_artifact(number(holdout.ece)),
        datetime(model.create_time.as_ref()),
        printable(&model.created_by),
    ]
}

const fn state(model: &Model) -> &'static str {
    match (model.champion, model.problem.is_empty()) {
        (true, true) => "champion",
        (false, true) => "",
        (true, false) => "champion, DAMAGED",
        (false, false) => "DAMAGED",
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tally_proto::v1::Metrics;

    use super::*;

    #[test]
    fn models_are_a_table() {
        let champion = Model {
            name: "churn/2".to_owned(),
            champion: true,
            as_of_time: Some(Timestamp { seconds: 1_315_526_400, nanos: 0 }),
            create_time: Some(Timestamp { seconds: 1_315_569_600, nanos: 500_000_000 }),
            created_by: "ann@work".to_owned(),
            horizon_days: 90,
            rows: 12_345,
            positives: 4_321,
            holdout: Some(Metrics { auc: 0.8125, log_loss: 0.5, ece: f64::NAN, ..Metrics::default() }),
            ..Model::default()
        };
        let damaged =
            Model { name: "churn/1".to_owned(), problem: "is damaged".to_owned(), ..Model::default() };
        insta::assert_snapshot!(models_table(&[champion, damaged]), @r"
        model              data up to            horizon  snapshots  positive     AUC  log loss  ECE  stored                by
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        churn/2  champion  2011-09-09T00:00:00Z  90 days     12,345    35.0 %  0.8125    0.5000    –  2011-09-09T12:00:00Z  ann@work
        churn/1  DAMAGED                               –          –         –       –         –    –
        ");
        assert_eq!(models_table(&[]), "no models yet");
    }
}
