//! Starts what a test needs: a database of its own, a real server on a free port, and typed clients.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use prost_types::{Struct, Timestamp, Value, value::Kind};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tally_model::{
    simulate::{Business, SimulatedCustomer},
    time::Time,
};
use tally_proto::v1::{
    self, customer_service_client::CustomerServiceClient,
    interaction_service_client::InteractionServiceClient, model_service_client::ModelServiceClient,
    prediction_service_client::PredictionServiceClient, scoring_service_client::ScoringServiceClient,
};
use tally_service::{
    app::{App, Jobs},
    platform::clock::system_clock,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

/// Runs an async test on both databases: `on_both_stores!(name, body)` with `async fn body(tally: Tally)`.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use crate::support::{Database, Tally};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name(Tally::start(Database::sqlite()).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::$name(Tally::start(Database::postgres().await).await).await;
            }
        }
    )+ };
}
pub(crate) use on_both_stores;

/// An empty database; a SQLite one is gone with the handle, a PostgreSQL one with the cluster, one in a given
/// Citus with the next run.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
    _schema: Option<Schema>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tally.db").display());
        Self { url, _folder: Some(folder), _schema: None }
    }

    /// In a cluster of the tests' own; or a schema in the Citus that `TALLY_TEST_CITUS_URL` names, the URL of a
    /// database that has the extension.
    pub async fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        if let Some(citus) = std::env::var_os("TALLY_TEST_CITUS_URL") {
            let schema = Schema { database: citus.into_string().unwrap(), name };
            schema.run("CREATE SCHEMA", "").await;
            return Self { url: schema.url(), _folder: None, _schema: Some(schema) };
        }
        let cluster = Cluster::get();
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        Self { url: cluster.url(&name), _folder: None, _schema: None }
    }

    /// Runs a statement behind the server's back; the first column of the first row, if there is one.
    pub async fn sql(&self, statement: &str) -> Option<i64> {
        let statement = AssertSqlSafe(statement.to_owned());
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(statement).fetch_optional(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(statement).fetch_optional(&mut connection).await.unwrap()
        }
    }

    /// Another handle to a database that somebody else keeps.
    pub fn again(&self) -> Self {
        Self { url: self.url.clone(), _folder: None, _schema: None }
    }
}

/// A schema in a database that somebody else keeps, gone with the handle.
struct Schema {
    database: String,
    name: String,
}

impl Schema {
    fn url(&self) -> String {
        let more = if self.database.contains('?') { '&' } else { '?' };
        format!("{}{more}options[search_path]={}", self.database, self.name)
    }

    async fn run(&self, statement: &str, tail: &str) {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        let statement = AssertSqlSafe(format!("{statement} {} {tail}", self.name));
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A test's own runtime is busy with the test. What cannot be dropped is no failure of the test.
        std::thread::scope(|scope| {
            let dropping = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.run("DROP SCHEMA", "CASCADE"));
            });
            drop(dropping.join());
        });
    }
}

/// A PostgreSQL cluster in a temporary folder, reached by its socket alone.
struct Cluster {
    folder: PathBuf,
}

impl Cluster {
    /// The cluster of this test program, started by whoever asks first.
    fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tally-pg-").tempdir().unwrap().keep();
        let binaries = binaries();
        // PostgreSQL refuses to run as root: its own user does it then.
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        if root {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let as_postgres = |program: &std::ffi::OsStr| {
            let mut command = Command::new(if root { "setpriv".as_ref() } else { program });
            if root {
                command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
            }
            command.current_dir("/");
            command
        };
        let tool = |name: &str| as_postgres(binaries.join(name).as_os_str());
        let data = folder.join("data");
        run(tool("initdb").args(["--auth=trust", "--username=postgres", "--no-sync", "-D"]).arg(&data));
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=300 \
             -c shared_buffers=64MB",
            folder.display()
        );
        run(tool("pg_ctl")
            .args(["start", "-w", "-s", "-o", &options, "-l"])
            .arg(folder.join("log"))
            .arg("-D")
            .arg(&data));
        // However this program ends, its end closes the pipe, and the cluster goes with it.
        let script = format!(
            "cat >/dev/null; '{}' stop -D '{}' -m immediate -s; rm -rf '{}'",
            binaries.join("pg_ctl").display(),
            data.display(),
            folder.display()
        );
        let mut watchdog = as_postgres("sh".as_ref());
        watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        std::mem::forget(watchdog.spawn().unwrap());
        Self { folder }
    }
}

/// Where PostgreSQL's programs are: on the PATH, or the newest of Debian's folders.
fn binaries() -> PathBuf {
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
    });
    let debian = || {
        let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(|e| Some(e.ok()?.path().join("bin")))
            .collect();
        versions.sort();
        versions.pop()
    };
    on_path.or_else(debian).expect("PostgreSQL's initdb is installed (on Debian: apt-get install postgresql)")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running server and clients to it.
pub struct Tally {
    pub database: Database,
    pub channel: Channel,
    pub url: String,
    /// Where its metrics are.
    http: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Tally {
    pub async fn start(database: Database) -> Self {
        let app = Arc::new(
            App::new(tally_store::open(&database.url).await.unwrap(), 16 << 20, system_clock).await.unwrap(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let aside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = aside.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            app.serve(listener, Some(aside), Jobs::default(), async { stopped.await.unwrap_or(()) })
                .await
                .unwrap();
        });
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        Self { database, channel, url, http, stop: Some(stop), server: Some(server) }
    }

    /// Ends the server as a signal would, and waits for its end.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        self.server.take().unwrap().await.unwrap();
    }

    pub fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub fn interactions(&self) -> InteractionServiceClient<Channel> {
        InteractionServiceClient::new(self.channel.clone())
    }

    pub fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    pub fn predictions(&self) -> PredictionServiceClient<Channel> {
        PredictionServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    pub fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel.clone())
    }

    /// Stores customers.
    pub async fn upsert(&self, customers: Vec<v1::Customer>) -> Result<i64, Status> {
        let reply = self.customers().upsert_customers(v1::UpsertCustomersRequest { customers }).await?;
        Ok(reply.into_inner().upserted)
    }

    /// Records interactions as history: `(recorded, duplicates)`.
    pub async fn backfill(&self, interactions: Vec<v1::Interaction>) -> Result<(i64, i64), Status> {
        let request = v1::RecordInteractionsRequest { interactions, backfill: true };
        let reply = self.interactions().record_interactions(request).await?.into_inner();
        Ok((reply.recorded, reply.duplicates))
    }

    /// Fills the store with a simulated business whose interactions arrive in no order, many of them
    /// more than once, in batches that cut across customers.
    pub async fn simulate_in_disorder(&self, business: &Business) {
        let customers: Vec<SimulatedCustomer> = business.iter().collect();
        for part in customers.chunks(1_000) {
            self.upsert(part.iter().rev().map(simulated_customer).collect()).await.unwrap();
        }
        let mut interactions: Vec<_> = customers.iter().flat_map(simulated_interactions).collect();
        let repeated = interactions.iter().step_by(3).cloned().collect::<Vec<_>>();
        interactions.extend(repeated);
        let scramble = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut order: Vec<usize> = (0..interactions.len()).collect();
        order.sort_by_key(|n| scramble(*n));
        for batch in order.chunks(777) {
            self.backfill(batch.iter().map(|n| interactions[*n].clone()).collect()).await.unwrap();
        }
    }

    /// Fills the store with a simulated business.
    pub async fn simulate(&self, business: &Business) {
        let customers: Vec<SimulatedCustomer> = business.iter().collect();
        for part in customers.chunks(200) {
            self.upsert(part.iter().map(simulated_customer).collect()).await.unwrap();
            let interactions: Vec<_> = part.iter().flat_map(simulated_interactions).collect();
            for batch in interactions.chunks(10_000) {
                self.backfill(batch.to_vec()).await.unwrap();
            }
        }
    }

    /// Trains through the real program, which promotes the model.
    pub fn train(&self, arguments: &[&str]) -> String {
        let output = program("tally-train", &self.database.url).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What plain HTTP answers to GET: status line and headers, and the body.
    pub async fn get(&self, path: &str) -> (String, String) {
        get(self.http, path).await
    }

    /// Scores everybody; the last message.
    pub async fn score_population(
        &self,
        target: v1::Target,
        as_of: Time,
    ) -> Result<v1::ScorePopulationResponse, Status> {
        let as_of_time = Some(timestamp(as_of));
        let request = v1::ScorePopulationRequest { target: target.into(), as_of_time, ..Default::default() };
        let mut stream = self.predictions().score_population(request).await?.into_inner();
        let mut last = None;
        while let Some(message) = stream.message().await? {
            last = Some(message);
        }
        Ok(last.expect("a run ends with done = total"))
    }

    /// All predictions that pass a filter, over all pages.
    pub async fn all_predictions(&self, request: v1::ListPredictionsRequest) -> Vec<v1::Score> {
        let mut request = request;
        let mut all = Vec::new();
        loop {
            let reply = self.predictions().list_predictions(request.clone()).await.unwrap().into_inner();
            all.extend(reply.predictions);
            if reply.next_page_token.is_empty() {
                assert_eq!(all.len() as i64, reply.total_size);
                return all;
            }
            request.page_token = reply.next_page_token;
        }
    }
}

/// What plain HTTP answers to GET: status line and headers, and the body.
pub async fn get(address: std::net::SocketAddr, path: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// One of our programs, for one database.
pub fn program(name: &str, database: &str) -> Command {
    // Cargo names the programs of this package only; those of the workspace lie in one folder.
    let path = Path::new(env!("CARGO_BIN_EXE_tally-serve")).with_file_name(name);
    assert!(path.exists(), "{} is not built; `cargo test --workspace` does so", path.display());
    let mut command = Command::new(path);
    command.env_clear().env("TALLY_LOG", "warn");
    if name != "tally" {
        command.env("TALLY_DATABASE", database);
    }
    if name == "tally-serve" {
        command.env("TALLY_HTTP", "127.0.0.1:0");
    }
    command
}

/// A running `tally-serve`, killed with its handle.
pub struct Served {
    child: Child,
    /// What it said before it listened.
    pub shown: String,
    address: String,
}

impl Served {
    /// Starts the program on a free port and waits until it says where it listens.
    pub fn start(database: &str, arguments: &[&str]) -> Self {
        let mut command = program("tally-serve", database);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Self::spawn(command)
    }

    /// The same with a command of one's own.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut served = Self { child, shown: String::new(), address: String::new() };
        let mut line = String::new();
        while output.read_line(&mut line).unwrap() > 0 {
            if let Some(address) = line.trim_end().strip_prefix("tally-serve listens on ") {
                served.address = address.to_owned();
                return served;
            }
            served.shown.push_str(&std::mem::take(&mut line));
        }
        panic!("the server did not say where it listens: {}", served.shown);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks it to end.
    pub fn ask_to_end(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to end, and waits for that.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        self.ask_to_end();
        self.wait()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn timestamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.0.div_euclid(1_000_000), nanos: (time.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// A customer with attributes.
pub fn customer(id: &str, created: &str, attributes: &[(&str, Kind)]) -> v1::Customer {
    let fields = attributes
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }))
        .collect();
    v1::Customer {
        customer_id: id.to_owned(),
        create_time: Some(timestamp(time(created))),
        attributes: Some(Struct { fields }),
        name: String::new(),
    }
}

/// An interaction without extras.
pub fn interaction(customer: &str, id: &str, kind: &str, occurred: &str) -> v1::Interaction {
    v1::Interaction {
        customer_id: customer.to_owned(),
        interaction_id: id.to_owned(),
        kind: kind.to_owned(),
        occur_time: Some(timestamp(time(occurred))),
        ..Default::default()
    }
}

pub fn simulated_customer(customer: &SimulatedCustomer) -> v1::Customer {
    use tally_model::history::AttributeValue;
    let kind = |value: &AttributeValue| match value {
        AttributeValue::Boolean(truth) => Kind::BoolValue(*truth),
        AttributeValue::Number(number) => Kind::NumberValue(*number),
        AttributeValue::Text(text) => Kind::StringValue(text.clone()),
    };
    let fields = customer
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), Value { kind: Some(kind(value)) }))
        .collect();
    v1::Customer {
        customer_id: customer.customer_id.clone(),
        create_time: Some(timestamp(customer.create_time)),
        attributes: Some(Struct { fields }),
        name: customer.name.clone(),
    }
}

pub fn simulated_interactions(customer: &SimulatedCustomer) -> impl Iterator<Item = v1::Interaction> + '_ {
    customer.interactions.iter().map(|interaction| v1::Interaction {
        customer_id: customer.customer_id.clone(),
        interaction_id: interaction.interaction_id.clone(),
        kind: interaction.kind.to_owned(),
        occur_time: Some(timestamp(interaction.occur_time)),
        amount_minor: interaction.amount_minor,
        channel: interaction.channel.to_owned(),
        properties: interaction.properties.clone().into_iter().collect(),
        record_time: None,
    })
}

/// Asks again and again, until it is so.
pub async fn eventually(mut fine: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !fine().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), asking).await.expect("it does not come");
}

/// Asserts the code and ErrorInfo reason of a refusal, and the fields that it names.
pub fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
    fields: &[&str],
) {
    let status = result.expect_err("this is refused");
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("every error has an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "tally.v1"), "{status:?}");
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    let named: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(named, fields, "{status:?}");
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
