//! PostgreSQL behind PgBouncer in transaction mode.

use tally_proto::v1;

use crate::support::{Database, PgBouncer, ServeProcess, interaction, program};

/// Records and reads on several connections at a time; returns how many calls there were.
async fn calls(process: &ServeProcess, writer: &str) -> usize {
    let channel = tonic::transport::Channel::from_shared(process.url()).unwrap().connect().await.unwrap();
    let mut interactions = v1::interaction_service_client::InteractionServiceClient::new(channel.clone());
    let mut customers = v1::customer_service_client::CustomerServiceClient::new(channel);
    for number in 0..20 {
        let id = number.to_string();
        let one = interaction(writer, &id, "visit", "2024-01-01");
        let recorded = v1::RecordInteractionsRequest { interactions: vec![one], ..Default::default() };
        assert_eq!(interactions.record_interactions(recorded).await.unwrap().into_inner().recorded, 1);
        let listed = v1::ListInteractionsRequest { customer_id: writer.to_owned(), ..Default::default() };
        let listed = interactions.list_interactions(listed).await.unwrap().into_inner();
        assert_eq!(listed.interactions.len(), number + 1);
        let asked = v1::GetCustomerRequest { customer_id: writer.to_owned() };
        customers.get_customer(asked).await.unwrap();
    }
    20
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_trainings_work_behind_a_pooler_in_transaction_mode() {
    let database = Database::in_cluster().await;
    // Fewer sessions than connections, so that these change between them.
    let pooler = PgBouncer::start(&database, 3).await;
    let pack_at_once = ["--pack-every-seconds", "1"];
    let processes = [(); 2].map(|()| ServeProcess::start(&pooler.url(), &pack_at_once));
    let writers = (0..6).map(|number| format!("writer {number}")).collect::<Vec<_>>();
    let writing = writers.iter().enumerate().map(|(n, writer)| calls(&processes[n % 2], writer));
    let calls = futures_util::future::join_all(writing).await;
    assert_eq!(
        database.sql("SELECT count(*) FROM interactions").await,
        Some(calls.iter().sum::<usize>() as i64)
    );
    let trained = program("tally-train", &pooler.url()).arg("churn").output().unwrap();
    let message = String::from_utf8(trained.stderr).unwrap();
    assert!(trained.status.code() == Some(2), "{message}");
    for mut process in processes {
        assert!(process.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_at_most_as_many_as_the_flag_says() {
    let database = Database::in_cluster().await;
    let process = ServeProcess::start(&database.url, &["--database-connections", "2"]);
    let writers = (0..6).map(|number| format!("writer {number}")).collect::<Vec<_>>();
    futures_util::future::join_all(writers.iter().map(|writer| calls(&process, writer))).await;
    let connected = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name = 'tally'";
    assert!((1..=2).contains(&database.sql(connected).await.unwrap()));
}
