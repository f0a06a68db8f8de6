//! A preview counts the customers whose grade a promotion would change, and their money.

use std::collections::{BTreeMap, HashMap};

use tally_proto::v1::{self, batch_result::Result as Item};

use super::{
    NOW,
    subscribers::{BLIND, SEEING, Subscriber, store_subscribers},
};
use crate::support::{Tally, on_both_stores, time, timestamp};

on_both_stores!(a_preview_counts_customers_whose_grade_changes_and_their_money);

/// Customers and their money by grades before and after.
type Cells = BTreeMap<(i32, i32), (i64, i64)>;

async fn preview(tally: &Tally, model: &str, as_of: Option<&str>) -> v1::PreviewPromotionResponse {
    let as_of_time = as_of.map(|as_of| timestamp(time(as_of)));
    let request = v1::PreviewPromotionRequest { model: model.to_owned(), as_of_time };
    tally.models().preview_promotion(request).await.unwrap().into_inner()
}

async fn a_preview_counts_customers_whose_grade_changes_and_their_money(tally: Tally) {
    let subscribers = store_subscribers(&tally).await;
    tally.train_with_spec("churn", SEEING, &["--as-of", NOW]);
    tally.train_with_spec("churn", BLIND, &["--as-of", NOW]);
    let preview_of_worse = preview(&tally, "churn/2", Some(NOW)).await;
    let cells = count_by_hand(&tally, &subscribers).await;
    assert_counts(&preview_of_worse, &cells);
    let champion = preview_of_worse.champion.as_str();
    assert_eq!((preview_of_worse.model.as_str(), champion), ("churn/2", "churn/1"));
    assert!(preview_of_worse.comparison.as_ref().unwrap().lower > 0.0, "{preview_of_worse:?}");
    assert!(preview_of_worse.refusal.contains("worse than churn/1"), "{preview_of_worse:?}");
    let same = preview(&tally, "churn/1", None).await;
    let refusal = "churn/1 is the champion already";
    assert_eq!((same.changed_customers, same.refusal.as_str()), (0, refusal), "the champion changes nothing");
    assert_eq!(same.comparison, None, "it is not compared with itself");
    assert!(same.customers > 0);
}

/// The same by scoring everybody with both models, and adding up what was paid within a year.
async fn count_by_hand(tally: &Tally, subscribers: &[Subscriber]) -> Cells {
    let mut grades: HashMap<String, Vec<v1::Grade>> = HashMap::new();
    for model in ["churn/1", "churn/2"] {
        let request = v1::BatchPredictChurnRequest {
            customer_ids: subscribers.iter().map(|subscriber| subscriber.id.clone()).collect(),
            as_of_time: Some(timestamp(time(NOW))),
            model: model.to_owned(),
            ..Default::default()
        };
        for item in tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results {
            if let Some(Item::Score(score)) = item.result {
                let grade = score.grade();
                grades.entry(score.customer_id).or_default().push(grade);
            }
        }
    }
    let since = time(NOW).plus_days(-365);
    let mut cells = Cells::new();
    for subscriber in subscribers {
        let Some(both) = grades.get(&subscriber.id) else { continue };
        let cell = cells.entry((both[0].into(), both[1].into())).or_default();
        cell.0 += 1;
        cell.1 += if since < subscriber.paid { subscriber.amount } else { 0 };
    }
    cells
}

fn assert_counts(preview: &v1::PreviewPromotionResponse, cells: &Cells) {
    let sum = |wanted: &dyn Fn(&(i32, i32)) -> bool| {
        let wanted = cells.iter().filter(|(grades, _)| wanted(grades)).map(|(_, cell)| *cell);
        wanted.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    assert_eq!((preview.customers, preview.amount_minor), sum(&|_| true));
    assert_eq!((preview.changed_customers, preview.changed_amount_minor), sum(&|(from, to)| from != to));
    assert!(preview.changed_customers > 10 && preview.changed_amount_minor > 0, "{preview:?}");
    assert_eq!(preview.changes.len(), 16);
    for change in &preview.changes {
        let expected = cells.get(&(change.from_grade, change.to_grade)).copied().unwrap_or_default();
        assert_eq!((change.customers, change.amount_minor), expected, "{change:?}");
    }
}
