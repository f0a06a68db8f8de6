//! An artifact that cannot be read is refused and reported, and the champion before it goes on serving.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use tally_model::spec::Target;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use crate::{
    lifecycle::{POOR, promote, serving_model},
    support::{Database, Tally, assert_refused, business, has_kind, on_both_stores, open_app, time},
};

on_both_stores!(a_damaged_model_is_refused_and_the_champion_before_it_serves_on);

const NOW: &str = "2024-06-01";

/// One way in which stored bytes are damaged.
struct Damage {
    name: &'static str,
    /// The SQL expression of the damaged bytes.
    bytes: String,
    /// What the refusal says.
    refusal: &'static str,
}

fn damages(database: &Database) -> Vec<Damage> {
    let sqlite = database.is_sqlite();
    let zeros = |bytes: usize| {
        if sqlite { format!("zeroblob({bytes})") } else { format!("decode(repeat('00', {bytes}), 'hex')") }
    };
    let flipped = if sqlite {
        // SQLite has no function for a bit of a blob: a byte in the middle is replaced.
        "CAST(substr(artifact, 1, length(artifact) / 2) || X'00' || substr(artifact, length(artifact) / 2 + 2) \
         AS BLOB)"
    } else {
        "set_bit(artifact, 4 * length(artifact), 1 - get_bit(artifact, 4 * length(artifact)))"
    };
    let text = "PK, a zip file perhaps";
    let foreign =
        if sqlite { format!("CAST('{text}' AS BLOB)") } else { format!("convert_to('{text}', 'UTF8')") };
    let other_target = "(SELECT artifact FROM models WHERE target = 'lead' AND version = 1)";
    let damage = |name, bytes: String, refusal| Damage { name, bytes, refusal };
    vec![
        damage("truncated", "substr(artifact, 1, length(artifact) - 10)".to_owned(), "checksum"),
        damage("empty", zeros(0), "not a model"),
        damage("flipped", flipped.to_owned(), "checksum"),
        damage("foreign", foreign, "not a model"),
        damage("of another target", other_target.to_owned(), "is about lead"),
        damage("oversize", zeros((64 << 20) + 1), "larger than"),
    ]
}

/// Replaces the artifact of churn/2.
async fn write_artifact(tally: &Tally, bytes: &str) {
    let write = format!("UPDATE models SET artifact = {bytes} WHERE target = 'churn' AND version = 2");
    tally.database.sql(&write).await;
}

async fn make_champion(tally: &Tally, version: i64) {
    let update = format!("UPDATE champions SET version = {version} WHERE target = 'churn'");
    tally.database.sql(&update).await;
}

async fn a_damaged_model_is_refused_and_the_champion_before_it_serves_on(tally: Tally) {
    const INTACT: &str = "(SELECT artifact FROM intact)";
    let business = business(400, 11, time(NOW));
    tally.simulate(&business).await;
    let buyer = business.iter().find(|customer| has_kind(customer, "purchase")).unwrap().customer_id;
    tally.train_with_spec("churn", POOR, &["--as-of", NOW]);
    tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--promote", "never"]);
    tally.train(&["lead", "--as-of", NOW]);
    tally.train(&["lead", "--as-of", NOW, "--promote", "never"]);
    let copy = "CREATE TABLE intact AS SELECT artifact FROM models WHERE target = 'churn' AND version = 2";
    tally.database.sql(copy).await;
    assert_eq!(serving_model(&tally, &buyer).await.unwrap(), "churn/1");
    for (n, damage) in damages(&tally.database).into_iter().enumerate() {
        write_artifact(&tally, INTACT).await;
        write_artifact(&tally, &damage.bytes).await;
        assert_promotion_refused(&tally, &damage).await;
        // When it is the champion nevertheless, the one before it serves on. Promoting a lead model makes
        // this server read the champions.
        make_champion(&tally, 2).await;
        promote(&tally, ["lead/2", "lead/1"][n % 2], true).await.unwrap();
        assert_eq!(serving_model(&tally, &buyer).await.unwrap(), "churn/1", "{}", damage.name);
        assert_reported(&tally, &damage).await;
        if damage.name == "flipped" {
            assert_training_does_not_promote(&tally).await;
        }
        make_champion(&tally, 1).await;
    }
    write_artifact(&tally, INTACT).await;
    promote(&tally, "churn/2", true).await.unwrap();
    assert_eq!(serving_model(&tally, &buyer).await.unwrap(), "churn/2", "once repaired, it serves");
}

/// Not even force promotes it.
async fn assert_promotion_refused(tally: &Tally, damage: &Damage) {
    let refused = promote(tally, "churn/2", true).await;
    let message = refused.as_ref().unwrap_err().message();
    assert!(message.contains(damage.refusal), "{}: {message}", damage.name);
    assert_refused(refused, Code::FailedPrecondition, "UNREADABLE_MODEL", &[]);
}

/// Asserts that a server that starts now refuses the champion, and that the list and the card name the
/// problem.
async fn assert_reported(tally: &Tally, damage: &Damage) {
    let name = damage.name;
    let app = open_app(&tally.database, system_clock).await;
    let refused = app.catalog.champion(Target::Churn).await.unwrap_err();
    assert!(refused.to_string().contains("churn/2 cannot be read"), "{name}: {refused}");
    let models: Vec<v1::Model> = tally.all_models().await;
    assert_eq!(models.len(), 4);
    for model in &models {
        assert_eq!(model.problem.contains(damage.refusal), model.name == "churn/2", "{name}: {model:?}");
        assert_eq!(model.holdout.is_some(), model.name != "churn/2", "{name}: {model:?}");
    }
    assert_eq!(tally.card("churn/2").await, models[0]);
}

/// Asserts that a training beside a damaged champion succeeds, and says why it does not promote.
async fn assert_training_does_not_promote(tally: &Tally) {
    let shown = tally.train_with_spec("churn", POOR, &["--as-of", NOW]);
    assert!(shown.contains("does not serve: not comparable with churn/2"), "{shown}");
    tally.database.sql("DELETE FROM models WHERE target = 'churn' AND version = 3").await;
}

/// Collects log lines.
#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_damaged_champion_is_logged_once() {
    let mut tally = Tally::start(Database::sqlite()).await;
    tally.simulate(&business(300, 11, time(NOW))).await;
    tally.train_with_spec("churn", POOR, &["--as-of", NOW]);
    tally.database.sql("UPDATE models SET artifact = substr(artifact, 1, 50)").await;
    // The server would log on this thread, too.
    tally.stop().await;
    let buffer = LogBuffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let app = open_app(&tally.database, system_clock).await;
    for _ in 0..5 {
        app.catalog.refresh().await.unwrap();
        app.catalog.champion(Target::Churn).await.unwrap_err();
    }
    let logged = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    let errors: Vec<&str> = logged.lines().filter(|line| line.contains("cannot be read")).collect();
    assert!(errors.len() == 1 && errors[0].contains("ERROR") && errors[0].contains("churn/1"), "{logged}");
}
