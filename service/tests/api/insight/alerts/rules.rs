//! Rules about complaints, kinds of interaction and models, at and past their limits.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use tally_proto::v1;
use tonic::Code;

use super::{COMPLAINTS, complaint, metric_sum, minutes_ago, subjects};
use crate::support::{
    ServeProcess, Tally, assert_refused, business, eventually, interaction, on_both_stores, program, text,
    time, timestamp,
};

on_both_stores!(
    complaints_are_open_until_a_resolution_of_the_customer,
    kinds_are_silent_after_the_days,
    models_are_watched,
    a_model_that_ranks_badly_is_found,
);

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(rule, about)| ((*rule).to_owned(), (*about).to_owned())).collect()
}

async fn complaints_are_open_until_a_resolution_of_the_customer(tally: Tally) {
    let day = 1_440;
    let resolution = |id: &str, minutes| interaction(id, "r", "resolution", &minutes_ago(minutes));
    let interactions = vec![
        complaint("within", "1", day - 1),
        complaint("past", "1", day + 1),
        complaint("twice", "1", 3 * day),
        complaint("twice", "2", 2 * day),
        complaint("resolved", "1", 2 * day),
        resolution("resolved", 1),
        complaint("again", "1", 3 * day),
        resolution("again", 2 * day + 1),
        complaint("again", "2", 2 * day),
        complaint("united", "1", 2 * day),
        resolution("other id", 10),
        complaint("still open", "1", 2 * day),
        resolution("too early", 3 * day),
        complaint("in january", "1", 32 * day),
        // Side by side, the ids of the two are the same.
        complaint("one", "and another", 2 * day),
        complaint("another one", "and", 2 * day),
    ];
    tally.backfill(interactions).await.unwrap();
    tally.merge("other id", "united").await.unwrap();
    tally.merge("still open", "too early").await.unwrap();
    let servers = [
        Tally::with_alerts(tally.database.again(), COMPLAINTS, Path::new("")).await,
        Tally::with_alerts(tally.database.again(), COMPLAINTS, Path::new("")).await,
    ];
    let expected =
        ["again", "another one", "one", "past", "too early", "twice", "twice"].map(|id| ("slow", id));
    let alerts = tally.wait_for_alerts(7).await;
    assert_eq!(subjects(&alerts), owned(&expected));
    for alert in &alerts {
        let since = tally_model::time::Time(alert.as_of_time.unwrap().seconds * 1_000_000).plus_days(-1);
        let (message, open) = (&alert.message, alert.value.unwrap());
        let begin = since.to_string().replace('Z', "");
        assert!(message.starts_with(&format!("a complaint has been open since {begin}")), "{message}");
        let long = match open < 48.0 {
            true => format!("{open:.1} hours; the limit is 24.0 hours"),
            false => format!("{:.1} days; the limit is 1.0 days", open / 24.0),
        };
        assert!(message.ends_with(&format!(", for {long}")), "{message}");
        assert!(open > 24.0 && alert.limit_value == Some(24.0), "{alert:?}");
    }
    // Both servers have looked at all of them once this one is found, which is recorded late.
    tally.record(vec![complaint("late", "1", 5 * day)]).await;
    tally.wait_for_alerts(8).await;
    let stored = async || {
        let mut stored = 0.0;
        for server in &servers {
            stored += metric_sum(server, "tally_alerts_total{kind=\"complaint_open\"}").await;
        }
        stored
    };
    eventually(async || stored().await >= 8.0).await;
    assert_eq!(stored().await, 8.0, "each was stored by one of them");
}

async fn kinds_are_silent_after_the_days(tally: Tally) {
    let day = 1_440;
    let at = |id: &str, kind: &str, minutes| interaction(id, kind, kind, &minutes_ago(minutes));
    let interactions = vec![
        at("a", "visit", 3 * day + 1),
        at("b", "visit", 9 * day),
        at("a", "email", 3 * day - 1),
        at("b", "email", 9 * day),
    ];
    tally.backfill(interactions).await.unwrap();
    let rule = |kind: &str| {
        format!(
            "[[rule]]\nname = \"no {kind}\"\nkind = \"kind_silent\"\ninteraction_kind = \"{kind}\"\ndays = 3\n"
        )
    };
    let rules = ["visit", "email", "never"].map(rule).concat();
    let server = Tally::with_alerts(tally.database.again(), &rules, Path::new("")).await;
    let [alert] = tally.wait_for_alerts(1).await.try_into().unwrap();
    assert_eq!((alert.rule.as_str(), alert.subject.as_str()), ("no visit", "visit"));
    let message = "no visit was recorded for more than 3 days, the last one at 20";
    assert!(alert.message.starts_with(message), "{}", alert.message);
    assert_eq!((alert.customer_id.as_str(), alert.limit_value), ("", Some(3.0)));
    drop(server);
    // Another server finds the same cause.
    let other = format!("{rules}{COMPLAINTS}");
    tally.backfill(vec![complaint("c", "1", 2 * day)]).await.unwrap();
    let _server = Tally::with_alerts(tally.database.again(), &other, Path::new("")).await;
    tally.wait_for_alerts(2).await;
}

/// Stores a business and trains a model for churn as of this moment.
async fn trained(tally: &Tally, as_of: &str) {
    tally.simulate(&business(500, 5, time("2024-06-01"))).await;
    tally.train(&["churn", "--as-of", as_of, "--promote", "always"]);
}

async fn models_are_watched(tally: Tally) {
    trained(&tally, "2024-03-01").await;
    tally.train(&["churn", "--as-of", "2024-03-01", "--promote", "never"]);
    let rules = "\
        [[rule]]\nname = \"a bit\"\nkind = \"model_drifted\"\npsi = 0.01\n\
        [[rule]]\nname = \"a lot\"\nkind = \"model_drifted\"\npsi = 10.0\n\
        [[rule]]\nname = \"leads\"\nkind = \"model_drifted\"\npsi = 0.01\ntarget = \"lead\"\n\
        [[rule]]\nname = \"refused\"\nkind = \"model_refused\"\ntarget = \"churn\"\n\
        [[rule]]\nname = \"unscored\"\nkind = \"not_scored\"\ndays = 1\n";
    let server = Tally::with_alerts(tally.database.again(), rules, Path::new("")).await;
    for _ in 0..2 {
        let request = v1::PromoteModelRequest { model: "churn/2".into(), ..Default::default() };
        let refused = server.models().promote_model(request).await;
        assert_refused(refused, Code::FailedPrecondition, "NO_BETTER_THAN_CHAMPION", &[]);
    }
    let [alert] = tally.wait_for_alerts(1).await.try_into().unwrap();
    assert_eq!((alert.rule.as_str(), alert.subject.as_str()), ("refused", "churn/2"));
    assert_eq!(
        alert.message,
        "the gate refused to promote churn/2: it is no better than the champion (NO_BETTER_THAN_CHAMPION)"
    );

    // What moves everybody's score is not chance, however few they are.
    let again = business(500, 5, time("2024-06-01"));
    let again = again.iter().map(|one| interaction(&one.customer_id, "again", "purchase", "2024-04-30"));
    tally.backfill(again.collect()).await.unwrap();
    server.score_population(v1::Target::Churn, time("2024-05-01")).await.unwrap();
    let alert = tally.wait_for_alerts(2).await.remove(0);
    let request = v1::GetDriftRequest { model: "churn".into() };
    let drift = tally.models().get_drift(request).await.unwrap().into_inner().score.unwrap();
    assert_eq!((alert.rule.as_str(), alert.value), ("a bit", Some(drift.psi)));
    assert_eq!(alert.as_of_time, Some(timestamp(time("2024-05-01"))));

    // A server looks at what is counted in days when it starts.
    let day = if tally.database.is_sqlite() { "86400000001" } else { "INTERVAL '86400.000001 seconds'" };
    drop(server);
    tally.database.sql(&format!("UPDATE populations SET score_time = score_time - {day}")).await;
    tally.database.sql(&format!("UPDATE promotions SET promote_time = promote_time - {day}")).await;
    let _server = Tally::with_alerts(tally.database.again(), rules, Path::new("")).await;
    let alert = tally.wait_for_alerts(3).await.remove(0);
    assert_eq!((alert.rule.as_str(), alert.subject.as_str()), ("unscored", "churn/1"));
    let message = "churn/1 has not scored a population for more than 1 day, since 20";
    assert!(alert.message.starts_with(message), "{}", alert.message);

    // What the gate decides does not depend on its being noted.
    tally.database.sql("ALTER TABLE promotion_refusals RENAME TO elsewhere").await;
    let request = v1::PromoteModelRequest { model: "churn/2".into(), ..Default::default() };
    let refused = tally.models().promote_model(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_BETTER_THAN_CHAMPION", &[]);
}

async fn a_model_that_ranks_badly_is_found(tally: Tally) {
    // The last whole month whose horizon has passed, as of now.
    let month = tally_service::platform::clock::system_clock().plus_days(-90).month_start();
    let as_of = tally_model::time::Time(month.0 - 1).month_start();
    tally.simulate(&business(500, 5, as_of)).await;
    tally.train(&["churn", "--as-of", &as_of.to_string(), "--promote", "always"]);
    tally.score_population(v1::Target::Churn, as_of).await.unwrap();
    let card = tally.card("churn").await.holdout.unwrap().auc;
    // Most of those who were likeliest to leave buy, and nobody else does.
    let mut scores = tally.latest_predictions(v1::Target::Churn).await;
    scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let buys = |score: &v1::Score| {
        interaction(&score.customer_id, "later", "purchase", &as_of.plus_days(60).to_string())
    };
    let likeliest = scores[..scores.len() / 2].iter().enumerate();
    let likeliest = likeliest.filter(|(n, _)| n % 4 != 0).map(|(_, score)| score);
    tally.backfill(likeliest.map(buys).collect()).await.unwrap();
    let rules = "\
        [[rule]]\nname = \"bad\"\nkind = \"model_worse\"\n\
        [[rule]]\nname = \"bad leads\"\nkind = \"model_worse\"\ntarget = \"lead\"\n";
    let _server = Tally::with_alerts(tally.database.again(), rules, Path::new("")).await;
    let [alert] = tally.wait_for_alerts(1).await.try_into().unwrap();
    assert_eq!((alert.rule.as_str(), alert.subject.as_str()), ("bad", "churn/1"));
    assert!(alert.value.unwrap() < 0.2 && alert.limit_value == Some(card), "{alert:?}");
    assert!(alert.message.contains(&as_of.to_string()[..7]), "{alert:?}");
}

#[test]
fn a_kind_of_which_nothing_was_ever_stored_is_named_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("tally.db").display());
    let file = folder.path().join("alerts.toml");
    let rule = "[[rule]]\nname = \"quiet\"\nkind = \"kind_silent\"\ninteraction_kind = \"vist\"\ndays = 3";
    std::fs::write(&file, rule).unwrap();
    let mut serve = program("tally-serve", &database);
    serve.args(["--listen", "127.0.0.1:0", "--alerts", text(&file)]).stderr(std::process::Stdio::piped());
    let mut process = ServeProcess::spawn(serve);
    let mut log = BufReader::new(process.stderr()).lines().map(Result::unwrap);
    let warning = log.find(|line| line.contains("has no effect yet")).unwrap();
    assert!(warning.contains("the rule \"quiet\" of alerts"), "{warning}");
    assert!(warning.contains("no interaction of the kind \"vist\" was ever stored"), "{warning}");
    process.terminate();
}

#[test]
fn a_file_that_is_wrong_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("tally.db").display());
    let file = folder.path().join("alerts.toml");
    let webhook = "[webhook]\nurl = \"https://localhost/\"\nsecret_file = \"none\"";
    for (rules, named) in [
        (
            "[[rule]]\nname = \"x\"\nkind = \"lead_hot\"\nhour = 1",
            "rule \"x\": unknown field `hour` with the kind lead_hot: allowed are name, kind",
        ),
        (
            "[rule]\nname = \"x\"\nkind = \"lead_hot\"",
            "rule is a table; allowed are lists of tables, such as [[rule]]",
        ),
        (webhook, "webhook.secret_file"),
        (&webhook.replace("https://localhost", "http://example.com"), "webhook.url"),
        (&webhook.replace("localhost/", "localhost:99999/"), "webhook.url"),
        (&webhook.replace("secret_file", "ca_file = \"none.pem\"\nsecret_file"), "webhook.ca_file"),
    ] {
        std::fs::write(&file, rules).unwrap();
        let mut serve = program("tally-serve", &database);
        let output = serve.args(["--listen", "127.0.0.1:0", "--alerts", text(&file)]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("the rules {}: ", file.display())), "{error}");
        assert!(error.contains(named), "{error}");
    }
}
