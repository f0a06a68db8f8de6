//! The forecast: stages against a count by hand, purchases against the formulas of the papers, and what came against the
//! interactions.

use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tonic::Code;

use super::{
    AS_OF, paid,
    value::{Buyer, near, shop},
};
use crate::support::{Tally, assert_refused, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    stages_are_those_of_the_transitions,
    purchases_are_those_of_the_papers,
    what_came_is_counted,
    purchases_without_amounts_have_a_problem,
    forecasts_have_limits,
);

impl Tally {
    async fn forecast(&self, as_of: Option<&str>, steps: i32) -> v1::GetForecastResponse {
        let request = v1::GetForecastRequest { as_of_time: as_of.map(|as_of| timestamp(time(as_of))), steps };
        self.insights().get_forecast(request).await.unwrap().into_inner()
    }
}

fn row<'a>(rows: &'a [v1::ForecastRow], step: i32, measure: &str) -> &'a v1::ForecastRow {
    rows.iter().find(|row| row.step == step && row.measure == measure).unwrap()
}

/// The stage of a customer who bought once, so many days ago, when the typical interval is that of nobody: 90 days.
fn stage(days: i64) -> Option<&'static str> {
    match days {
        ..0 => None,
        0..=135 => Some("new"),
        136..=269 => Some("declining"),
        _ => Some("lost"),
    }
}

async fn stages_are_those_of_the_transitions(tally: Tally) {
    // The days before the moment at whose midnight each customer bought.
    let bought: Vec<i64> = (0..60).map(|n| n * 7).collect();
    let event = |n: &i64| {
        let id = format!("c{n}");
        paid(&id, &id, "purchase", &time(AS_OF).plus_days(-n).to_string(), 1_000)
    };
    tally.backfill(bought.iter().map(event).collect()).await.unwrap();
    let leads = ["l1", "l2", "l3"].map(|id| interaction(id, id, "visit", "2024-03-01T00:00:00Z"));
    tally.backfill(leads.into()).await.unwrap();

    let reply = tally.forecast(Some(AS_OF), 3).await;
    assert_eq!(reply.as_of_time, Some(timestamp(time(AS_OF))));
    assert!(reply.problem.contains("0 of 60 customers"), "{}", reply.problem);
    assert!(reply.rows.iter().all(|row| row.measure.starts_with("stage:")), "no purchases are expected");
    assert_eq!(reply.rows.len(), 3 * 7);
    let steps = |from: &str, to: &str| -> i64 {
        let count = |days: &i64| {
            (0..12)
                .filter(|n| (stage(days - 30 * (n + 1)), stage(days - 30 * n)) == (Some(from), Some(to)))
                .count()
        };
        bought.iter().map(count).sum::<usize>() as i64
    };
    let p = |from: &str, to: &str| {
        let all: i64 = ["new", "declining", "lost"].map(|to| steps(from, to)).iter().sum();
        steps(from, to) as f64 / all as f64
    };
    for transition in &reply.transitions {
        let (from, to) = (transition.from_segment.as_str(), transition.to_segment.as_str());
        let wanted = match (from, to) {
            // The 92 days since the first of March contain three steps.
            ("lead", "lead") => (9, 1.0),
            (from, _) if ["new", "declining", "lost"].contains(&from) => (steps(from, to), p(from, to)),
            // A stage without observations stays as it is.
            (from, to) => (0, f64::from(u8::from(from == to))),
        };
        assert_eq!(transition.customers, wanted.0, "{transition:?}");
        assert!((transition.probability - wanted.1).abs() < 1e-12, "{transition:?}");
    }

    let now = |stage_now: &str| bought.iter().filter(|days| stage(**days) == Some(stage_now)).count() as f64;
    let mut expected = ["new", "declining", "lost"].map(now);
    for step in 1..=3 {
        let [new, declining, lost] = expected;
        expected = [
            new * p("new", "new"),
            new * p("new", "declining") + declining * p("declining", "declining"),
            declining * p("declining", "lost") + lost,
        ];
        for (name, wanted) in ["new", "declining", "lost"].into_iter().zip(expected) {
            let row = row(&reply.rows, step, &format!("stage:{name}"));
            assert!((row.value - wanted).abs() < 1e-9, "{row:?}: {wanted}");
            assert!(row.lower.unwrap() <= wanted && wanted <= row.upper.unwrap(), "{row:?}");
            let to = time(AS_OF).plus_days(30 * i64::from(step));
            assert_eq!(
                (&row.from_time, &row.to_time),
                (&Some(timestamp(to.plus_days(-30))), &Some(timestamp(to)))
            );
        }
    }
    let leads = row(&reply.rows, 3, "stage:lead");
    assert_eq!((leads.value, leads.lower, leads.upper), (3.0, Some(3.0), Some(3.0)));
    let declining = 1.0 / p("declining", "lost");
    let new = 1.0 / p("new", "declining") + declining;
    for (name, wanted) in [
        ("new", Some(new)),
        ("declining", Some(declining)),
        ("lost", Some(0.0)),
        ("lead", None),
        ("mature", None),
    ] {
        let steps = reply.steps_to_loss.iter().find(|one| one.segment == name).unwrap().steps;
        assert_eq!(
            steps.map(|steps| (steps * 1e9).round()),
            wanted.map(|steps| (steps * 1e9).round()),
            "{name}"
        );
    }
}

async fn purchases_are_those_of_the_papers(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    let reply = tally.forecast(Some(AS_OF), 0).await;
    assert_eq!((reply.rows.len(), reply.problem.as_str()), (6 * 9, ""));
    let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(AS_OF))) };
    let model = tally.insights().get_value_model(request).await.unwrap().into_inner();
    let (often, money) = (model.bg_nbd.unwrap(), model.gamma_gamma.unwrap());
    assert!(often.converged && money.converged);
    let buyers: Vec<Buyer> = shop.iter().filter_map(|customer| Buyer::of(&customer, time(AS_OF))).collect();
    for step in 1..=6 {
        let (mut purchases, mut revenue) = (0.0, 0.0);
        for buyer in &buyers {
            let until = |step: i32| buyer.purchases(&often, f64::from(30 * step) / 7.0);
            let expected = until(step) - if step > 1 { until(step - 1) } else { 0.0 };
            purchases += expected;
            revenue += expected * buyer.money(&money);
        }
        for (measure, wanted) in [("purchases", purchases), ("revenue_minor", revenue)] {
            let row = row(&reply.rows, step, measure);
            assert!(near(row.value, wanted), "{row:?}: {wanted}");
            let (lower, upper) = (row.lower.unwrap(), row.upper.unwrap());
            assert!(lower < wanted && wanted < upper && upper - lower < 2.0 * wanted, "{row:?}");
            assert_eq!(row.actual, None);
        }
    }
    // All steps together are one long step.
    assert_eq!(reply.totals.len(), 2);
    let whole = |buyer: &Buyer| buyer.purchases(&often, 180.0 / 7.0);
    let purchases: f64 = buyers.iter().map(whole).sum();
    let revenue: f64 = buyers.iter().map(|buyer| whole(buyer) * buyer.money(&money)).sum();
    for (measure, wanted) in [("purchases", purchases), ("revenue_minor", revenue)] {
        let total = row(&reply.totals, 0, measure);
        assert!(near(total.value, wanted), "{total:?}: {wanted}");
        assert_eq!(
            (total.from_time, total.to_time),
            (Some(timestamp(time(AS_OF))), Some(timestamp(time(AS_OF).plus_days(180))))
        );
        // The steps rise and fall together, but not as one.
        let reach = |row: &v1::ForecastRow| (row.upper.unwrap() - row.lower.unwrap()) / 2.0;
        let steps: Vec<f64> = (1..=6).map(|step| reach(row(&reply.rows, step, measure))).collect();
        let independent = steps.iter().map(|reach| reach * reach).sum::<f64>().sqrt();
        let joint = reach(total);
        assert!(independent < joint && joint < steps.iter().sum(), "{independent} {joint} {steps:?}");
    }
    let shown = tally.cli(&["insights", "forecast", "--as-of", AS_OF]);
    assert!(shown.contains("30 days up to  purchase days") && shown.contains("\ntotal "), "{shown}");
    assert_eq!(tally.forecast(Some(AS_OF), 6).await, reply);
}

async fn what_came_is_counted(tally: Tally) {
    let shop = shop();
    tally.simulate(&shop).await;
    let reply = tally.forecast(Some(AS_OF), 4).await;
    let past = time(AS_OF).plus_days(-120);
    assert_eq!(reply.backtest_as_of_time, Some(timestamp(past)));
    let then = tally.forecast(Some(&past.to_string()), 4).await;
    let (mut inside, mut all) = (0, 0);
    for (row, expected) in reply.backtest.iter().zip(&then.rows) {
        let actual = row.actual.unwrap();
        assert_eq!(v1::ForecastRow { actual: None, ..row.clone() }, *expected);
        all += 1;
        inside += i32::from(row.lower.unwrap() <= actual && actual <= row.upper.unwrap());
        if row.measure.starts_with("stage:") {
            continue;
        }
        let from = past.plus_days(30 * i64::from(row.step - 1));
        let (mut days, mut money) = (0, 0);
        for customer in shop.iter() {
            let bought: Vec<(Time, i64)> = customer
                .interactions
                .iter()
                .filter(|one| one.kind == "purchase")
                .map(|one| (one.occur_time, one.amount_minor.unwrap_or(0)))
                .collect();
            if bought.first().is_none_or(|first| first.0 > past) {
                continue;
            }
            let is_in = |time: Time| time > from && time <= from.plus_days(30);
            money += bought.iter().filter(|one| is_in(one.0)).map(|one| one.1).sum::<i64>();
            let day = |n: usize| bought[n].0.0.div_euclid(DAY);
            days += (1..bought.len()).filter(|n| is_in(bought[*n].0) && day(*n) != day(n - 1)).count();
        }
        assert_eq!(actual, if row.measure == "purchases" { days as f64 } else { money as f64 }, "{row:?}");
    }
    assert_eq!((all, reply.backtest.len(), then.rows.len()), (36, 36, 36));
    assert_eq!((reply.backtest_totals.len(), then.totals.len()), (2, 2));
    for (total, expected) in reply.backtest_totals.iter().zip(&then.totals) {
        assert_eq!(v1::ForecastRow { actual: None, ..total.clone() }, *expected);
        let steps = (1..=4).map(|step| row(&reply.backtest, step, &total.measure).actual.unwrap());
        assert_eq!(total.actual, Some(steps.sum()));
    }
    assert!(inside >= 18, "{inside} of {all}");
    let stages = |step: i32| -> f64 {
        let rows = reply.backtest.iter().filter(|row| row.step == step && row.measure.starts_with("stage:"));
        rows.filter_map(|row| row.actual).sum()
    };
    assert_eq!(stages(1), stages(4), "the customers of then");
}

async fn purchases_without_amounts_have_a_problem(tally: Tally) {
    let mut bare = Vec::new();
    for customer in shop().iter() {
        for one in customer.interactions.iter().filter(|one| one.kind == "purchase") {
            let time = one.occur_time.to_string();
            bare.push(interaction(&customer.customer_id, &one.interaction_id, "purchase", &time));
        }
    }
    for some in bare.chunks(5_000) {
        tally.backfill(some.to_vec()).await.unwrap();
    }
    let reply = tally.forecast(Some(AS_OF), 1).await;
    assert!(row(&reply.rows, 1, "purchases").value > 1.0, "{reply:?}");
    assert_eq!(row(&reply.rows, 1, "revenue_minor").value, 0.0, "the mean money");
    let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(AS_OF))) };
    let money = tally.insights().get_value_model(request).await.unwrap().into_inner().gamma_gamma.unwrap();
    assert_eq!(reply.problem, money.problem);
    assert_eq!(reply.problem, "0 customers have the money of repeat purchases; need 10");
    let page = tally.cli(&["insights", "forecast", "--as-of", AS_OF]);
    assert!(page.contains("every purchase is taken to bring the mean money: 0 customers have"), "{page}");
}

async fn forecasts_have_limits(tally: Tally) {
    let empty = tally.forecast(None, 36).await;
    assert_eq!((empty.rows.len(), empty.backtest.len()), (36 * 7, 36 * 7));
    assert!(empty.rows.iter().all(|row| (row.value, row.upper) == (0.0, Some(0.0))));
    assert_eq!(empty.warnings, [""; 0], "nothing is expected of nobody");
    for steps in [-1, 37] {
        let request = v1::GetForecastRequest { as_of_time: None, steps };
        assert_refused(
            tally.insights().get_forecast(request).await,
            Code::InvalidArgument,
            "INVALID_REQUEST",
            &["steps"],
        );
    }
    // Nothing is expected of leads either.
    tally.backfill(vec![interaction("lead", "1", "visit", "2024-03-01T00:00:00Z")]).await.unwrap();
    assert_eq!(tally.forecast(Some(AS_OF), 6).await.warnings, [""; 0]);
    let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(AS_OF))) };
    let model = tally.insights().get_value_model(request).await.unwrap().into_inner();
    assert_eq!(model.warnings, [""; 0]);
}
