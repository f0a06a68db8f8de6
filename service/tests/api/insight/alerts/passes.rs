//! Rules about customers: the alerts of a pass are compared with what the lists say about both passes.

use std::{collections::HashMap, path::Path};

use tally_proto::v1;

use super::subjects;
use crate::support::{ServeProcess, Tally, business, eventually, on_both_stores, time, timestamp};

on_both_stores!(
    a_pass_by_a_model_of_another_horizon_is_not_compared,
    each_pass_is_compared_with_the_one_before_once
);

const BEFORE: &str = "2024-03-01T00:00:00Z";
const NOW: &str = "2024-05-01T00:00:00Z";
/// Limits that some customers pass and others do not.
const BY: f64 = 0.1;
const ABOVE: i64 = 1_000;

const RULES: &str = "\
    [[rule]]\nname = \"rose\"\nkind = \"probability_rose\"\nby = 0.1\n\
    [[rule]]\nname = \"fell\"\nkind = \"grade_fell\"\n\
    [[rule]]\nname = \"good fell\"\nkind = \"grade_fell\"\nabc = [\"A\", \"B\"]\n\
    [[rule]]\nname = \"much\"\nkind = \"value_at_risk\"\nabove_minor = 1000\n\
    [[rule]]\nname = \"hot\"\nkind = \"lead_hot\"\n";

/// What the lists say of a customer at a moment.
#[derive(Clone, Default)]
struct Listed {
    abc: String,
    churn: Option<(f64, v1::Grade)>,
    lead: Option<v1::Grade>,
    value_at_risk: Option<i64>,
}

async fn listed(tally: &Tally, as_of: &str) -> HashMap<String, Listed> {
    let mut all: HashMap<String, Listed> = HashMap::new();
    let request = v1::ListSegmentMembersRequest {
        segmentation: "abc".into(),
        as_of_time: Some(timestamp(time(as_of))),
        page_size: 1_000,
        ..Default::default()
    };
    for member in tally.insights().list_segment_members(request).await.unwrap().into_inner().members {
        let money = member.churn_probability.zip(member.clv_minor);
        let one = all.entry(member.customer_id).or_default();
        one.abc = member.abc_class;
        one.value_at_risk = money.map(|(probability, clv)| (probability * clv as f64).round() as i64);
    }
    for target in [v1::Target::Lead, v1::Target::Churn] {
        let request = v1::ListPredictionsRequest {
            target: target.into(),
            as_of_time: Some(timestamp(time(as_of))),
            latest_only: Some(false),
            ..Default::default()
        };
        for score in tally.all_predictions(request).await {
            let one = all.get_mut(&score.customer_id).unwrap();
            match target {
                v1::Target::Lead => one.lead = Some(score.grade()),
                _ => one.churn = Some((score.probability, score.grade())),
            }
        }
    }
    all
}

/// The rules in the plainest way.
fn expected(before: &HashMap<String, Listed>, now: &HashMap<String, Listed>) -> Vec<(String, String)> {
    let mut alerts = Vec::new();
    for (id, now) in now {
        let known = before.get(id).cloned().unwrap_or_default();
        let mut add = |rule: &str, found: bool| {
            if found {
                alerts.push((rule.to_owned(), id.clone()));
            }
        };
        if let (Some((old, from)), Some((new, to))) = (known.churn, now.churn) {
            let fell = from != v1::Grade::D && to == v1::Grade::D;
            add("rose", new - old > BY);
            add("fell", fell);
            add("good fell", fell && ["A", "B"].contains(&now.abc.as_str()));
        }
        let above = |value: Option<i64>| value.is_some_and(|value| value > ABOVE);
        add("much", above(now.value_at_risk) && !above(known.value_at_risk));
        add("hot", now.lead == Some(v1::Grade::A) && known.lead != Some(v1::Grade::A));
    }
    alerts.sort();
    alerts
}

async fn watched(tally: &Tally, passes: i64) {
    let count = "SELECT count(*) FROM insight_passes WHERE watched";
    eventually(async || tally.database.sql(count).await == Some(passes)).await;
}

async fn each_pass_is_compared_with_the_one_before_once(tally: Tally) {
    drop(ServeProcess::start(&tally.database.url, &["--currency", "EUR"]));
    tally.simulate(&business(700, 11, time("2024-06-01"))).await;
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", BEFORE, "--promote", "always"]);
    }
    let servers = [
        Tally::with_alerts(tally.database.again(), RULES, Path::new("")).await,
        Tally::with_alerts(tally.database.again(), RULES, Path::new("")).await,
    ];
    servers[0].refresh_insights(BEFORE).await.unwrap();
    watched(&tally, 1).await;
    assert_eq!(tally.count_alerts(v1::ListAlertsRequest::default()).await, 0, "nothing came before");
    servers[1].refresh_insights(NOW).await.unwrap();
    watched(&tally, 2).await;
    let (before, now) = (listed(&tally, BEFORE).await, listed(&tally, NOW).await);
    let expected = expected(&before, &now);
    for rule in ["rose", "fell", "good fell", "much", "hot"] {
        let found = expected.iter().filter(|(of, _)| of == rule).count();
        assert!(found > 0 && found < now.len() / 2, "{rule}: {found} of {}", now.len());
    }
    let alerts = tally.wait_for_alerts(expected.len() as i64).await;
    assert_eq!(subjects(&alerts), expected);
    let insight = tally.insight(&alerts[0].customer_id, NOW).await.unwrap();
    assert!(
        !insight.name.is_empty() && alerts.iter().all(|alert| !alert.customer_name.is_empty()),
        "{alerts:?}"
    );
    assert_eq!(alerts[0].customer_name, insight.name);
    for alert in alerts.iter().filter(|alert| alert.rule == "rose") {
        let probability = |of: &HashMap<String, Listed>| of[&alert.customer_id].churn.map(|(p, _)| p);
        assert_eq!((alert.value, alert.previous_value), (probability(&now), probability(&before)));
        assert_eq!(alert.as_of_time, Some(timestamp(time(NOW))));
    }
    for alert in alerts.iter().filter(|alert| alert.rule == "much") {
        let minor = alert.value.unwrap() as i64;
        assert_eq!(Some(minor), now[&alert.customer_id].value_at_risk);
        // Texts have separators between thousands.
        let message = alert.message.replace(',', "");
        assert_eq!(
            message,
            format!("the value at risk is {}.{:02} EUR above 10.00 EUR", minor / 100, minor % 100)
        );
    }
    for alert in alerts.iter().filter(|alert| alert.rule == "hot") {
        assert!(alert.message.contains(", P(buy) ") && alert.value.is_some(), "{alert:?}");
    }
    // A server that dies in between has stored some of the alerts, and has not noted that it has looked at the pass.
    tally.database.sql("DELETE FROM alerts WHERE rule IN ('rose', 'hot')").await;
    let latest = "SELECT max(as_of_time) FROM insight_passes";
    let forget = format!("UPDATE insight_passes SET watched = false WHERE as_of_time = ({latest})");
    tally.database.sql(&forget).await;
    watched(&tally, 2).await;
    assert_eq!(subjects(&tally.wait_for_alerts(expected.len() as i64).await), expected);
    // The same pass again, one about an earlier moment, and one on demand are no news.
    tally.refresh_insights(NOW).await.unwrap();
    watched(&tally, 3).await;
    tally.refresh_insights("2024-04-01").await.unwrap();
    tally.sizes("abc", Some("2024-05-20")).await;
    tally.refresh_insights("2024-05-25").await.unwrap();
    watched(&tally, 4).await;
    let of_time = |alert: &v1::Alert| alert.as_of_time.unwrap().seconds;
    let late = time("2024-05-25").0 / 1_000_000;
    let all = tally.alerts(v1::ListAlertsRequest::default()).await;
    let earlier: Vec<_> = all.into_iter().filter(|alert| of_time(alert) != late).collect();
    assert_eq!(subjects(&earlier), expected);
}

async fn a_pass_by_a_model_of_another_horizon_is_not_compared(tally: Tally) {
    tally.simulate(&business(700, 11, time("2024-06-01"))).await;
    tally.train(&["churn", "--as-of", BEFORE, "--promote", "always"]);
    let server = Tally::with_alerts(tally.database.again(), RULES, Path::new("")).await;
    server.refresh_insights(BEFORE).await.unwrap();
    watched(&tally, 1).await;
    tally.train(&["churn", "--as-of", BEFORE, "--horizon-days", "30", "--promote", "always"]);
    let server = Tally::with_alerts(tally.database.again(), RULES, Path::new("")).await;
    server.refresh_insights(NOW).await.unwrap();
    watched(&tally, 2).await;
    assert_eq!(tally.count_alerts(v1::ListAlertsRequest::default()).await, 0);
    server.refresh_insights("2024-05-25").await.unwrap();
    watched(&tally, 3).await;
    assert!(
        tally.count_alerts(v1::ListAlertsRequest::default()).await > 0,
        "later ones are compared with it"
    );
}
