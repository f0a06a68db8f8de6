//! Realised performance is computed from what happened after the predictions.

use std::collections::{BTreeSet, HashMap};

use tally_model::time::Time;
use tally_proto::v1::{self, GetRealisedPerformanceRequest};
use tally_service::platform::clock::system_clock;
use tonic::{Code, Status};

use super::NOW;
use crate::support::{Tally, assert_refused, business, interaction, on_both_stores, time, timestamp};

on_both_stores!(realised_performance_is_computed_from_what_happened);

const MOMENTS: [&str; 4] = ["2024-01-08", "2024-01-08", "2024-01-29", "2024-02-15T12:00:00Z"];
const JANUARY: [&str; 2] = ["2024-01-01", "2024-02-01"];
const FEBRUARY: [&str; 2] = ["2024-02-01", "2024-03-01"];

fn all_of_it() -> GetRealisedPerformanceRequest {
    GetRealisedPerformanceRequest { target: v1::Target::Churn.into(), ..Default::default() }
}

async fn realised(
    tally: &Tally,
    request: GetRealisedPerformanceRequest,
) -> Result<Vec<v1::RealisedMonth>, Status> {
    Ok(tally.models().get_realised_performance(request).await?.into_inner().months)
}

/// What the test knows: the stored predictions, oldest first, and when each customer buys.
struct Truth {
    stored: Vec<v1::Score>,
    purchases: HashMap<String, Vec<Time>>,
}

/// The as_of_time of a prediction, which here is a whole second.
fn as_of(score: &v1::Score) -> Time {
    Time(score.as_of_time.unwrap().seconds * 1_000_000)
}

impl Truth {
    async fn read(tally: &Tally) -> Self {
        let mut stored = tally.every_prediction(v1::Target::Churn).await;
        let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
        stored.sort_by_key(|score| (seconds(score.as_of_time), seconds(score.score_time)));
        let purchases = business(700, 11, time(NOW))
            .iter()
            .map(|customer| {
                let purchases = customer.interactions.iter().filter(|i| i.kind == "purchase");
                (customer.customer_id.clone(), purchases.map(|i| i.occur_time).collect())
            })
            .collect();
        Self { stored, purchases }
    }

    /// The first prediction of each customer in a period: its probability, and whether the customer left.
    fn outcomes(&self, period: [&str; 2], skip: &str) -> Vec<(f64, bool)> {
        let mut seen = BTreeSet::new();
        let [start, end] = period.map(time);
        let is_inside = |score: &&v1::Score| start <= as_of(score) && as_of(score) < end;
        self.stored
            .iter()
            .filter(is_inside)
            .filter(|score| score.customer_id != skip && seen.insert(score.customer_id.clone()))
            .map(|score| (score.probability, !self.buys_within_horizon(score)))
            .collect()
    }

    fn buys_within_horizon(&self, score: &v1::Score) -> bool {
        let (start, end) = (as_of(score), as_of(score).plus_days(90));
        self.purchases[&score.customer_id].iter().any(|bought| start < *bought && *bought <= end)
    }

    /// The first prediction of February about a customer who left.
    fn left_in_february(&self) -> &v1::Score {
        let n = self.outcomes(FEBRUARY, "").iter().position(|(_, left)| *left).unwrap();
        let about_february = |score: &&v1::Score| score.as_of_time == Some(timestamp(time(MOMENTS[3])));
        self.stored.iter().filter(about_february).nth(n).unwrap()
    }
}

async fn realised_performance_is_computed_from_what_happened(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    tally.train(&["churn", "--as-of", "2024-01-01"]);
    assert_eq!(realised(&tally, all_of_it()).await.unwrap(), [], "nothing was predicted");
    for as_of in MOMENTS {
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    }
    // The horizon of these predictions is not over.
    tally.score_population(v1::Target::Churn, system_clock()).await.unwrap();
    let truth = Truth::read(&tally).await;
    let months = realised(&tally, all_of_it()).await.unwrap();
    let names: Vec<_> = months.iter().map(|month| (month.month.as_str(), month.model.as_str())).collect();
    assert_eq!(names, [("2024-01", "churn/1"), ("2024-02", "churn/1")]);
    assert_figures(&months[0], &truth.outcomes(JANUARY, ""));
    assert_figures(&months[1], &truth.outcomes(FEBRUARY, ""));
    assert!(months[0].auc.unwrap() > 0.6, "{months:?}");
    assert_bounds(&tally, &truth).await;
    assert_models(&tally, &months).await;
    let left = truth.left_in_february();
    assert_other_model_has_its_own_line(&tally, left).await;
    assert_late_purchase_counts(&tally, left, &months).await;
    let fewer = assert_erased_customer_does_not_count(&tally, left, &truth).await;
    assert_program_shows(&tally, &fewer[0]);
    assert_predictions_before_the_cutoff_are_counted_apart(&tally, left, &truth, &fewer).await;
}

/// Asserts the figures by their definitions, pair by pair and bin by bin.
fn assert_figures(month: &v1::RealisedMonth, outcomes: &[(f64, bool)]) {
    let n = outcomes.len() as f64;
    let is_close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}: {month:?}");
    let positives = outcomes.iter().filter(|(_, y)| *y).count();
    assert_eq!((month.rows, month.positives), (outcomes.len() as i64, positives as i64), "{}", month.month);
    is_close(month.mean_predicted, outcomes.iter().map(|(p, _)| p).sum::<f64>() / n);
    let loss = |(p, y): &(f64, bool)| -(if *y { *p } else { 1.0 - p }).ln();
    is_close(month.log_loss, outcomes.iter().map(loss).sum::<f64>() / n);
    is_close(month.brier, outcomes.iter().map(|(p, y)| (p - number(*y)).powi(2)).sum::<f64>() / n);
    is_close(month.auc.unwrap(), auc(outcomes));
    assert_intervals(month, outcomes);
    let mut rising = outcomes.to_vec();
    rising.sort_by(|(p, _), (q, _)| p.total_cmp(q));
    assert!(rising.windows(2).all(|pair| pair[0].0 != pair[1].0), "without ties, bins are plain");
    let tenth = n / 10.0;
    let found: f64 = rising
        .iter()
        .rev()
        .enumerate()
        .map(|(row, (_, y))| (tenth - row as f64).clamp(0.0, 1.0) * number(*y))
        .sum();
    is_close(month.lift_at_10_percent.unwrap(), found / tenth / (positives as f64 / n));
    let edge = |bin: usize| bin * rising.len() / 10;
    let bins = (0..10).map(|bin| &rising[edge(bin)..edge(bin + 1)]);
    let apart = bins.map(|bin| {
        let (p, y) = bin.iter().fold((0.0, 0.0), |(a, b), (p, y)| (a + p, b + number(*y)));
        (p - y).abs()
    });
    is_close(month.ece, apart.sum::<f64>() / n);
}

/// The sum of the squared distances from the mean, divided by n (n − 1).
fn variance_of_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
}

/// Asserts the intervals: that of the log loss of the mean of n losses, that of the AUC of the shares of the other
/// outcome's customers that each customer is ranked rightly against (DeLong 1988), on the logit scale.
fn assert_intervals(month: &v1::RealisedMonth, outcomes: &[(f64, bool)]) {
    let is_close =
        |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-6, "{a:?} is not {b}: {month:?}");
    let losses: Vec<f64> = outcomes.iter().map(|(p, y)| -(if *y { *p } else { 1.0 - p }).ln()).collect();
    let half = 1.959_964 * variance_of_mean(&losses).sqrt();
    is_close(month.log_loss_lower, month.log_loss - half);
    is_close(month.log_loss_upper, month.log_loss + half);
    let others = |own: &(f64, bool)| -> Vec<(f64, bool)> {
        outcomes.iter().filter(|(_, y)| *y != own.1).copied().chain([*own]).collect()
    };
    let ranked = |wanted: bool| -> Vec<f64> {
        outcomes.iter().filter(|(_, y)| *y == wanted).map(|own| auc(&others(own))).collect()
    };
    let variance = variance_of_mean(&ranked(true)) + variance_of_mean(&ranked(false));
    let area = month.auc.unwrap();
    let (logit, half) = ((area / (1.0 - area)).ln(), 1.959_964 * variance.sqrt() / area / (1.0 - area));
    is_close(month.auc_lower, 1.0 / (1.0 + (half - logit).exp()));
    is_close(month.auc_upper, 1.0 / (1.0 + (-half - logit).exp()));
}

fn number(outcome: bool) -> f64 {
    f64::from(u8::from(outcome))
}

/// The share of the pairs of a positive and a negative in which the positive has the higher probability.
fn auc(outcomes: &[(f64, bool)]) -> f64 {
    let (mut above, mut pairs) = (0.0, 0.0);
    for (p, _) in outcomes.iter().filter(|(_, y)| *y) {
        for (q, _) in outcomes.iter().filter(|(_, y)| !*y) {
            above += match p.total_cmp(q) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            pairs += 1.0;
        }
    }
    above / pairs
}

async fn assert_bounds(tally: &Tally, truth: &Truth) {
    let from_time = Some(timestamp(time("2024-01-20")));
    let from = GetRealisedPerformanceRequest { from_time, ..all_of_it() };
    let late = realised(tally, from.clone()).await.unwrap();
    assert_figures(&late[0], &truth.outcomes(["2024-01-20", "2024-02-01"], ""));
    let to_time = Some(timestamp(time("2024-02-01")));
    let only = realised(tally, GetRealisedPerformanceRequest { to_time, ..from }).await.unwrap();
    assert_eq!(only, late[..1]);
    let from_time = Some(prost_types::Timestamp { seconds: -1, nanos: 0 });
    let invalid = GetRealisedPerformanceRequest { from_time, ..Default::default() };
    let refused = realised(tally, invalid).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["target", "from_time"]);
}

/// Trains churn/2, of which there is no prediction yet.
async fn assert_models(tally: &Tally, months: &[v1::RealisedMonth]) {
    tally.train(&["churn", "--as-of", "2024-01-01", "--seed", "2", "--promote", "never"]);
    let of = |model: &str| {
        realised(tally, GetRealisedPerformanceRequest { model: model.to_owned(), ..all_of_it() })
    };
    assert_eq!(of("churn/1").await.unwrap(), months);
    assert_eq!(of("churn/2").await.unwrap(), []);
    assert_refused(of("churn/9").await, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    assert_refused(of("lead/1").await, Code::InvalidArgument, "INVALID_REQUEST", &["model"]);
}

/// Stores a prediction about a customer.
async fn predict(tally: &Tally, customer_id: &str, as_of: &str, model: &str) {
    let request = v1::PredictChurnRequest {
        customer_id: customer_id.to_owned(),
        as_of_time: Some(timestamp(time(as_of))),
        model: model.to_owned(),
        persist: true,
        ..Default::default()
    };
    tally.predict_churn(request).await.unwrap();
}

/// One prediction alone has no AUC.
async fn assert_other_model_has_its_own_line(tally: &Tally, left: &v1::Score) {
    predict(tally, &left.customer_id, "2024-02-20", "churn/2").await;
    let alone = &realised(tally, all_of_it()).await.unwrap()[2];
    assert_eq!((alone.month.as_str(), alone.model.as_str()), ("2024-02", "churn/2"));
    assert_eq!((alone.rows, alone.positives, alone.auc), (1, 1, None));
    assert_eq!((alone.auc_lower, alone.log_loss_upper), (None, None));
}

/// A purchase within the horizon that is recorded late: as known now, the customer did not leave.
async fn assert_late_purchase_counts(tally: &Tally, left: &v1::Score, months: &[v1::RealisedMonth]) {
    tally.record(vec![interaction(&left.customer_id, "late", "purchase", "2024-03-01")]).await;
    let later = realised(tally, all_of_it()).await.unwrap();
    assert_eq!((later[1].rows, later[1].positives), (months[1].rows, months[1].positives - 1));
    assert_eq!((later[2].rows, later[2].positives, later[2].lift_at_10_percent), (1, 0, None));
}

async fn assert_erased_customer_does_not_count(
    tally: &Tally,
    left: &v1::Score,
    truth: &Truth,
) -> Vec<v1::RealisedMonth> {
    tally.delete(&left.customer_id).await.unwrap();
    let fewer = realised(tally, all_of_it()).await.unwrap();
    assert_eq!(fewer.len(), 2);
    assert_figures(&fewer[0], &truth.outcomes(JANUARY, &left.customer_id));
    assert_figures(&fewer[1], &truth.outcomes(FEBRUARY, &left.customer_id));
    fewer
}

fn assert_program_shows(tally: &Tally, january: &v1::RealisedMonth) {
    let shown = tally.cli(&["--json", "models", "realised", "churn", "--to", "2024-02-01"]);
    let line: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&line["month"], &line["rows"]), (&"2024-01".into(), &january.rows.into()));
    assert_eq!(line["auc_lower"].as_f64(), january.auc_lower);
}

/// A score about a moment before the data cut-off of its model predicted nothing.
async fn assert_predictions_before_the_cutoff_are_counted_apart(
    tally: &Tally,
    left: &v1::Score,
    truth: &Truth,
    months: &[v1::RealisedMonth],
) {
    assert!(months.iter().all(|month| month.rows_before_cutoff == 0));
    let before = "2023-12-20";
    let has_bought = |score: &&v1::Score| {
        score.customer_id != left.customer_id
            && truth.purchases[&score.customer_id].iter().any(|bought| *bought < time(before))
    };
    let buyer = truth.stored.iter().find(has_bought).unwrap();
    predict(tally, &buyer.customer_id, before, "").await;
    let december = &realised(tally, all_of_it()).await.unwrap()[0];
    assert_eq!(december.month, "2023-12");
    assert_eq!((december.rows, december.rows_before_cutoff), (1, 1));
}
