//! The views for dashboards.

use tally_proto::v1;

use crate::support::{Tally, business, on_both_stores, time};

on_both_stores!(dashboards_read_times_and_reasons_in_the_form_of_the_database);

const NOW: &str = "2024-06-01T12:30:00.25Z";

async fn dashboards_read_times_and_reasons_in_the_form_of_the_database(tally: Tally) {
    tally.simulate(&business(600, 3, time(NOW))).await;
    tally.train(&["churn", "--as-of", NOW]);
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let is_readable = match tally.database.is_sqlite() {
        true => {
            "as_of_time = '2024-06-01T12:30:00.250000Z' AND datetime(as_of_time) = '2024-06-01 12:30:00' \
             AND datetime(score_time) > datetime(as_of_time) \
             AND json_extract(reasons, '$[0].contribution') IS NOT NULL"
        }
        false => {
            "as_of_time = '2024-06-01T12:30:00.25Z' AND score_time > as_of_time \
             AND reasons @> '[{}]' AND reasons -> 0 ? 'contribution'"
        }
    };
    let scored = tally.database.sql("SELECT count(*) FROM latest_predictions").await.unwrap();
    let readable = format!("SELECT count(*) FROM v_latest_predictions WHERE {is_readable}");
    assert!(scored > 100);
    assert_eq!(tally.database.sql(&readable).await, Some(scored));
    let at_risk = "SELECT count(*) FROM v_latest_predictions WHERE target = 'churn' AND (probability >= 0.5 OR grade = 'D')";
    let listed = tally.database.sql("SELECT count(*) FROM v_customers_at_risk").await;
    assert_eq!(listed, tally.database.sql(at_risk).await);
}
