//! The programs as a person or a scheduler runs them.

use std::{collections::BTreeSet, process::Stdio};

use prost_types::{Value, value::Kind};
use tally_model::simulate::Business;
use tally_proto::v1::{self, interaction_service_client::InteractionServiceClient};
use tally_service::histories::scan::Partition;
use tonic::transport::Channel;

use crate::support::{
    Database, Served, Tally, get, interaction, program, simulated_customer, simulated_interactions, text,
    time, timestamp,
};

async fn databases() -> [Database; 2] {
    [Database::sqlite(), Database::postgres().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_server_in_order() {
    for database in databases().await {
        let mut served = Served::start(&database.url, &[]);
        assert!(served.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_end_before_the_server_does() {
    let database = Database::sqlite();
    let mut served = Served::start(&database.url, &[]);
    let endpoint = Channel::from_shared(served.url()).unwrap();
    let mut client = InteractionServiceClient::new(endpoint.connect().await.unwrap());
    let (batches, stream) = tokio::sync::mpsc::channel(1);
    let batch = |id: &str| v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", id, "visit", "2024-01-01")],
        backfill: true,
    };
    batches.send(batch("before")).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let mut replies = client.stream_interactions(stream).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    served.ask_to_end();
    while endpoint.connect().await.is_ok() {}
    // It takes no new connections any more, but goes on with this one.
    batches.send(batch("after")).await.unwrap();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    drop(batches);
    assert!(replies.message().await.unwrap().is_none());
    assert!(served.wait().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_tells_whether_the_server_is_alive_and_is_turned_off_by_an_empty_address() {
    for database in databases().await {
        let served = Served::start(&database.url, &[]);
        let address = served.shown.strip_prefix("metrics on http://").unwrap().trim_end();
        let address = address.strip_suffix("/metrics").unwrap().parse().unwrap();
        for (path, status) in
            [("/healthz", "200"), ("/readyz", "200"), ("/metrics", "200"), ("/elsewhere", "404")]
        {
            let (head, _) = get(address, path).await;
            assert!(head.starts_with(&format!("HTTP/1.0 {status}")), "{path}: {head}");
        }
        assert_eq!(Served::start(&database.url, &["--http", ""]).shown, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_together_migrate_once() {
    for database in databases().await {
        let starts = (0..4).map(|_| {
            let url = database.url.clone();
            tokio::task::spawn_blocking(move || Served::start(&url, &[]))
        });
        let servers = futures_util::future::join_all(starts).await;
        assert_eq!(servers.into_iter().filter(Result::is_ok).count(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_wrong_database_are_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let both = ["--listen", "127.0.0.1:0", "--http", address.as_str()];
    for (arguments, told) in [
        (both, "cannot listen on"),
        (["--listen", "127.0.0.1:0", "--http", "8080"], "--http"),
        (["--database", "sqlite:///proc/no/such/tally.db", "--listen", "127.0.0.1:0"], "database"),
        (["--database", "mysql://x", "--listen", "127.0.0.1:0"], "sqlite://PATH"),
        (["--database", "sqlite://:memory:", "--listen", address.as_str()], "cannot listen on"),
        (["--database", "sqlite://x", "--listen", "nowhere"], "--listen"),
        (["--database", "sqlite://x", "--port", "1"], "--port"),
    ] {
        let output = program("tally-serve", "sqlite://x").args(arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(told), "{arguments:?}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_data_ends_with_have_and_need_and_stores_nothing() {
    for database in databases().await {
        let tally = Tally::start(database).await;
        let few = (0..100).map(|n| interaction(&format!("c{n}"), "i", "purchase", "2024-01-01")).collect();
        tally.backfill(few).await.unwrap();
        for target in ["churn", "lead"] {
            let mut train = program("tally-train", &tally.database.url);
            let output = train.args([target, "--as-of", "2024-06-01"]).output().unwrap();
            assert_eq!(output.status.code(), Some(2));
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(
                message.contains("have ") && message.contains("need 200 snapshots, 50 of each"),
                "{message}"
            );
        }
        let models = tally.models().list_models(v1::ListModelsRequest::default()).await.unwrap();
        assert_eq!(models.into_inner().models, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_a_matrix_and_a_report_go_with_a_training() {
    let tally = Tally::start(Database::sqlite()).await;
    let business = Business { customers: 600, ..Business::new(5, time("2024-06-01")) };
    tally.simulate(&business).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (spec, matrix, report) = (file("spec.toml"), file("matrix.csv"), file("report.json"));
    std::fs::write(&spec, "[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]\n").unwrap();
    let files = ["--spec", text(&spec), "--matrix-out", text(&matrix), "--report-out", text(&report)];
    let shown = tally.train(&[["churn", "--as-of", "2024-06-01"].as_slice(), &files].concat());
    assert!(shown.contains("churn/1 now serves") && shown.contains("base_rate"), "{shown}");

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let mut rows = csv::Reader::from_path(&matrix).unwrap();
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..4], ["customer_id", "as_of", "split", "label"]);
    assert!(
        header.contains(&"visit.count_30d".to_owned()) && !header.contains(&"email.count_30d".to_owned())
    );
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let holdout = rows.iter().filter(|row| &row[2] == "holdout").count();
    assert_eq!(
        (report["rows"].as_u64(), report["holdout"]["rows"].as_u64()),
        (Some(rows.len() as u64), Some(holdout as u64))
    );
    let positives = rows.iter().filter(|row| &row[3] == "1").count();
    assert_eq!(report["positives"].as_u64(), Some(positives as u64));
    // No training label looks beyond the start of the holdout.
    let first =
        |part: &str| rows.iter().filter(|row| &row[2] == part).map(|row| time(&row[1])).min().unwrap();
    let last = rows.iter().filter(|row| &row[2] == "train").map(|row| time(&row[1])).max().unwrap();
    assert!(last.plus_days(90) <= first("holdout"));

    // One customer in two: the same snapshots, of those alone.
    let some = ["churn", "--as-of", "2024-06-01", "--one-in", "2", "--promote", "never"];
    tally.train(&[some.as_slice(), &files[..4]].concat());
    let snapshots = |rows: &[csv::StringRecord]| -> BTreeSet<Vec<String>> {
        let key = |row: &csv::StringRecord| row.iter().take(2).map(str::to_owned).collect();
        let half = Partition { number: 0, of: 2 };
        rows.iter().filter(|row| half.holds(&row[0])).map(key).collect()
    };
    let fewer: Vec<_> = csv::Reader::from_path(&matrix).unwrap().records().map(Result::unwrap).collect();
    assert_eq!(snapshots(&fewer), snapshots(&rows));
    assert!(fewer.len() == snapshots(&fewer).len() && fewer.len() < rows.len() * 2 / 3);

    for (mistake, told) in
        [("[churn]\nhorizon = 3", "horizon"), ("[churn]\nhorizon_days = 0", "churn.horizon_days")]
    {
        std::fs::write(&spec, mistake).unwrap();
        let mut train = program("tally-train", &tally.database.url);
        let output = train.args(["churn", "--spec", text(&spec)]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && message.contains(told), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_one_page_with_plots_that_needs_nothing_and_trusts_no_name() {
    const NASTY: &str = "<script>alert(1)</script>";
    let tally = Tally::start(Database::sqlite()).await;
    let business = Business { customers: 600, ..Business::new(5, time("2024-06-01")) };
    for customer in business.iter() {
        // What the model is to learn from hides behind a name that no page may run: who buys late.
        let since = time("2024-02-01");
        let late = customer.interactions.iter().any(|i| i.kind == "purchase" && i.occur_time > since);
        let mut stated = simulated_customer(&customer);
        let level = Kind::StringValue(format!("\"'&{NASTY}{late}"));
        let fields = &mut stated.attributes.get_or_insert_default().fields;
        fields.insert(NASTY.to_owned(), Value { kind: Some(level) });
        tally.upsert(vec![stated]).await.unwrap();
        let interactions: Vec<_> = simulated_interactions(&customer).collect();
        if !interactions.is_empty() {
            tally.backfill(interactions).await.unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (report, spec) = (folder.path().join("report.HTML"), folder.path().join("spec.toml"));
    // Few features, quick to choose from.
    std::fs::write(&spec, "[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]\n").unwrap();
    let page = |as_of: &str| {
        tally.train(&["churn", "--as-of", as_of, "--spec", text(&spec), "--report-out", text(&report)]);
        std::fs::read_to_string(&report).unwrap()
    };

    let first = page("2024-04-01");
    well_formed(&first);
    assert!(first.contains("<b>Promoted</b>: there was no champion."), "{first}");
    assert!(!first.contains("Drift since"), "there was nothing to drift from");
    let second = page("2024-06-01");
    well_formed(&second);
    assert!(second.contains("<h1>churn/2</h1>") && second.contains("Drift since the champion churn/1"));
    let plots = [
        "Reliability diagram",
        "ROC curve",
        "Precision-recall curve",
        "Lift",
        "Distribution of the scores by outcome",
        "Drift against the champion",
    ];
    for plot in plots {
        assert_eq!(second.matches(&format!("role=\"img\" aria-label=\"{plot}\"")).count(), 1, "{plot}");
    }
    assert!(second.matches("aria-label=\"Effect of ").count() >= 8);
    for told in [
        "base_rate",
        "purchase.days_since_last",
        "BG/NBD",
        "chosen",
        "log loss on validation",
        "windows_days",
    ] {
        assert!(second.contains(told), "{told}");
    }
    for page in [&first, &second] {
        for foreign in ["<script", "://", "src=", "href=", "url(", "@import", "NaN", "inf"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
    assert!(second.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the attribute is there, escaped");
}

/// Every element is closed in order.
fn well_formed(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("no end of <{tag}"));
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{name}>"),
            _ if tag.ends_with('/') || ["!DOCTYPE", "meta"].contains(&name) => {}
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trainers_at_the_same_time_store_two_whole_versions() {
    for database in databases().await {
        let tally = Tally::start(database).await;
        tally.simulate(&Business { customers: 600, ..Business::new(5, time("2024-06-01")) }).await;
        let trainers: Vec<_> = (0..2)
            .map(|_| {
                let mut train = program("tally-train", &tally.database.url);
                train.args(["--all", "--as-of", "2024-06-01"]).stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut trainer in trainers {
            assert!(trainer.wait().unwrap().success());
        }
        let models =
            tally.models().list_models(v1::ListModelsRequest::default()).await.unwrap().into_inner().models;
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["churn/2", "churn/1", "lead/2", "lead/1"]);
        assert!(models.iter().all(|model| model.problem.is_empty()));
        for pair in models.chunks(2) {
            assert_eq!(pair[0].artifact_hash, pair[1].artifact_hash, "the same data: the same model");
            assert_eq!(pair.iter().filter(|model| model.champion).count(), 1);
            // Each has a holdout of its own to be compared on.
            let request = v1::PromoteModelRequest {
                model: pair.iter().find(|model| !model.champion).unwrap().name.clone(),
                ..Default::default()
            };
            let reply = tally.models().promote_model(request).await.unwrap().into_inner();
            let comparison = reply.comparison.unwrap();
            assert_eq!((comparison.difference, comparison.rows), (0.0, pair[0].holdout.unwrap().rows));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_data_for_one_target_does_not_keep_the_other_from_its_model() {
    for database in databases().await {
        let tally = Tally::start(database).await;
        // Whoever comes, comes to buy: nobody was ever a lead. Two of three buy again and again.
        let start = time("2022-06-01");
        let purchases = (0..300_i64).flat_map(|n| {
            let times = if n % 3 == 0 { 1 } else { 12 };
            (0..times).map(move |again| {
                let mut bought = interaction(&format!("c{n}"), &again.to_string(), "purchase", "2022-06-01");
                bought.occur_time = Some(timestamp(start.plus_days(n % 200 + again * (20 + n % 17))));
                bought
            })
        });
        tally.backfill(purchases.collect()).await.unwrap();
        let mut train = program("tally-train", &tally.database.url);
        let output = train.args(["--all", "--as-of", "2024-01-01"]).output().unwrap();
        let (told, failed) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(told.contains("churn/1 now serves"), "{told}\n{failed}");
        assert!(failed.starts_with("error: lead: too little data: have 0 snapshots"), "{failed}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn the_demo_says_that_it_is_simulated_and_answers() {
    let mut command = program("tally-serve", "");
    command.env_remove("TALLY_DATABASE");
    command.args(["--demo", "--demo-customers", "600", "--listen", "127.0.0.1:0"]);
    let mut served = Served::spawn(command);
    assert!(served.shown.contains("600 customers are simulated"), "{}", served.shown);
    let server = served.url();
    for (target, most) in [("churn", 0.999), ("lead", 0.95)] {
        let mut ask = program("tally", "");
        let asked = ask
            .args(["--server", &server, "--json", "predictions", target, "--limit", "3"])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        let lines = String::from_utf8(asked.stdout).unwrap();
        assert_eq!(lines.lines().count(), 3, "{lines}");
        for line in lines.lines() {
            let prediction: serde_json::Value = serde_json::from_str(line).unwrap();
            let probability = prediction["probability"].as_f64().unwrap();
            assert!(0.0 < probability && probability < most, "{line}");
            assert_eq!(prediction["reasons"].as_array().unwrap().len(), 3);
        }
    }
    assert!(served.terminate().success());
}
