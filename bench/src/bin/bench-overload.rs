//! Sends calls at a rate, whatever the server answers and however long it takes (an open loop), and counts how they
//! end. Without a rate it keeps a number of calls in flight (a closed loop), which finds the capacity.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    error::Error,
    fs,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use h2::client::{self, SendRequest};
use prost::Message;
use prost_types::Timestamp;
use tally_proto::v1::{
    BatchPredictChurnRequest, Interaction, PredictChurnRequest, RecordInteractionsRequest,
};
use tokio::{net::TcpStream, task::LocalSet, time};

type Failure = Box<dyn Error>;

/// Calls that may be unanswered at a time. More than a client would keep; beyond it, calls count as not sent.
const UNANSWERED: usize = 20_000;

#[derive(Parser)]
struct Arguments {
    task: Task,
    address: SocketAddr,
    /// A file with customer ids, one a line
    #[arg(long)]
    ids: PathBuf,
    /// Customers in a batch, or interactions in a request
    #[arg(long, default_value_t = 1_000)]
    size: usize,
    /// Calls a second [default: as many as are answered]
    #[arg(long)]
    rate: Option<f64>,
    /// Without a rate: calls in flight
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The number of the first call
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// The deadline of each call, sent to the server
    #[arg(long)]
    deadline_ms: Option<u64>,
    /// Write the numbers of the acknowledged requests to this file
    #[arg(long)]
    acked: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    /// One churn score a call
    Score,
    /// A batch of churn scores a call
    Batch,
    /// Interactions with new ids; those of call N have the ids `N-0`, `N-1`, …
    Ingest,
}

impl Task {
    fn path(self) -> &'static str {
        match self {
            Self::Score => "/tally.v1.ScoringService/PredictChurn",
            Self::Batch => "/tally.v1.ScoringService/BatchPredictChurn",
            Self::Ingest => "/tally.v1.InteractionService/RecordInteractions",
        }
    }

    /// The framed message of call `n`.
    fn body(self, n: usize, ids: &[String], size: usize) -> Bytes {
        let id = |n: usize| ids[n % ids.len()].clone();
        match self {
            Self::Score => framed(&PredictChurnRequest { customer_id: id(n), ..Default::default() }),
            Self::Batch => {
                let customer_ids = (n..n + size).map(id).collect();
                framed(&BatchPredictChurnRequest { customer_ids, ..Default::default() })
            }
            Self::Ingest => framed(&interactions(n, size)),
        }
    }
}

fn interactions(n: usize, size: usize) -> RecordInteractionsRequest {
    let interactions = (0..size).map(|place| Interaction {
        customer_id: format!("overload-{:03}", (n + place) % 500),
        interaction_id: format!("{n}-{place}"),
        kind: "visit".to_owned(),
        occur_time: Some(Timestamp { seconds: 1_767_225_600, nanos: 0 }),
        channel: "web".to_owned(),
        ..Default::default()
    });
    RecordInteractionsRequest { interactions: interactions.collect(), backfill: true, ..Default::default() }
}

fn framed(message: &impl Message) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend((message.encoded_len() as u32).to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes.into()
}

/// How a call ended: its code, how long it took, and whether RetryInfo says when to try again.
struct Ending {
    code: String,
    took: Duration,
    retry_info: bool,
    /// Whether it ended before the load did. Only that counts for the goodput.
    in_time: bool,
}

#[derive(Default)]
struct Endings {
    codes: BTreeMap<String, usize>,
    ok: Vec<u32>,
    in_time: usize,
    refused: Vec<u32>,
    retry_info: usize,
    unanswered: usize,
    not_sent: usize,
    acked: Vec<usize>,
}

impl Endings {
    fn add(&mut self, n: usize, ending: &Ending) {
        let micros = ending.took.as_micros() as u32;
        match ending.code.as_str() {
            "0" => {
                self.ok.push(micros);
                self.in_time += usize::from(ending.in_time);
                self.acked.push(n);
            }
            "8" => {
                self.refused.push(micros);
                self.retry_info += usize::from(ending.retry_info);
            }
            _ => {}
        }
        *self.codes.entry(ending.code.clone()).or_default() += 1;
    }
}

struct Load {
    arguments: Arguments,
    /// The messages of the first calls, which later calls send again: the generator must not take long for one.
    scores: Vec<Bytes>,
    connections: Vec<SendRequest<Bytes>>,
    endings: RefCell<Endings>,
    begin: Instant,
}

impl Load {
    fn message(&self, n: usize) -> Bytes {
        match self.scores.get(n % self.scores.len().max(1)) {
            Some(message) => message.clone(),
            // Each has interactions of its own.
            None => self.arguments.task.body(n, &[], self.arguments.size),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let ids: Vec<String> = fs::read_to_string(&arguments.ids)?.lines().map(str::to_owned).collect();
    let scores = match arguments.task {
        Task::Ingest => Vec::new(),
        task => (0..ids.len()).map(|n| task.body(n, &ids, arguments.size)).collect(),
    };
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(connect(arguments.address).await?);
    }
    let load =
        Rc::new(Load { arguments, scores, connections, endings: RefCell::default(), begin: Instant::now() });
    LocalSet::new().run_until(run(Rc::clone(&load))).await;
    print(&load)
}

async fn run(load: Rc<Load>) {
    let begin = load.begin;
    let length = Duration::from_secs_f64(load.arguments.seconds);
    let mut calls = tokio::task::JoinSet::new();
    if let Some(rate) = load.arguments.rate {
        let mut sent = 0;
        while begin.elapsed() < length {
            let due = (begin.elapsed().as_secs_f64() * rate) as usize;
            while sent < due {
                if load.endings.borrow().unanswered < UNANSWERED {
                    calls.spawn_local(one(Rc::clone(&load), load.arguments.first + sent));
                } else {
                    load.endings.borrow_mut().not_sent += 1;
                }
                sent += 1;
            }
            time::sleep(Duration::from_millis(1)).await;
        }
    } else {
        for worker in 0..load.arguments.in_flight {
            let load = Rc::clone(&load);
            calls.spawn_local(async move {
                let mut n = load.arguments.first + worker;
                while begin.elapsed() < length {
                    one(Rc::clone(&load), n).await;
                    n += load.arguments.in_flight;
                }
            });
        }
    }
    // What is unanswered after this time has no answer.
    let _ = time::timeout(Duration::from_secs(3), async { while calls.join_next().await.is_some() {} }).await;
}

async fn one(load: Rc<Load>, n: usize) {
    load.endings.borrow_mut().unanswered += 1;
    let begin = Instant::now();
    let connection = load.connections[n % load.connections.len()].clone();
    let (code, retry_info) = match call(connection, &load, n).await {
        Ok(ending) => ending,
        Err(error) => (error.to_string(), false),
    };
    let mut endings = load.endings.borrow_mut();
    endings.unanswered -= 1;
    let in_time = load.begin.elapsed().as_secs_f64() <= load.arguments.seconds;
    endings.add(n, &Ending { code, took: begin.elapsed(), retry_info, in_time });
}

/// The grpc-status of a call, and whether its details have a RetryInfo.
async fn call(
    connection: SendRequest<Bytes>,
    load: &Load,
    n: usize,
) -> Result<(String, bool), Box<dyn Error + Send + Sync>> {
    let arguments = &load.arguments;
    let mut request = http::Request::post(format!("http://{}{}", arguments.address, arguments.task.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(deadline) = arguments.deadline_ms {
        request = request.header("grpc-timeout", format!("{deadline}m"));
    }
    let mut ready = connection.ready().await?;
    let (response, mut stream) = ready.send_request(request.body(())?, false)?;
    // A server that refuses a call may reset the rest of its body.
    let _ = stream.send_data(load.message(n), true);
    let response = response.await?;
    if let Some(status) = response.headers().get("grpc-status") {
        return Ok((status.to_str()?.to_owned(), has_retry_info(response.headers())));
    }
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let trailers = body.trailers().await?.ok_or("no trailers")?;
    let status = trailers.get("grpc-status").ok_or("no status")?;
    Ok((status.to_str()?.to_owned(), has_retry_info(&trailers)))
}

/// Whether the details, base64 of a google.rpc.Status, name the type. Three encodings differ by where it begins.
fn has_retry_info(headers: &http::HeaderMap) -> bool {
    const NAME: [&str; 3] = ["UmV0cnlJbmZv", "JldHJ5SW5mb", "SZXRyeUluZm"];
    let details = headers.get("grpc-status-details-bin").and_then(|value| value.to_str().ok());
    details.is_some_and(|details| NAME.iter().any(|name| details.contains(name)))
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = client::Builder::new();
    // As most clients, it does not open more streams than usual before it knows the server's limit.
    builder.initial_max_send_streams(100);
    builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 28).max_frame_size(1 << 16);
    let (sender, connection) = builder.handshake(stream).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn print(load: &Load) -> Result<(), Failure> {
    let mut endings = load.endings.take();
    if let Some(file) = &load.arguments.acked {
        let mut file = fs::File::create(file)?;
        for n in &endings.acked {
            writeln!(file, "{n}")?;
        }
    }
    endings.ok.sort_unstable();
    endings.refused.sort_unstable();
    println!(
        "{}",
        serde_json::json!({
            "seconds": load.arguments.seconds, "codes": endings.codes,
            "ok": endings.ok.len(), "ok_per_second": endings.in_time as f64 / load.arguments.seconds,
            "ok_p50_ms": quantile(&endings.ok, 0.5), "ok_p99_ms": quantile(&endings.ok, 0.99),
            "refused": endings.refused.len(), "refused_p50_ms": quantile(&endings.refused, 0.5),
            "refused_p99_ms": quantile(&endings.refused, 0.99), "retry_info": endings.retry_info,
            "unanswered": endings.unanswered, "not_sent": endings.not_sent,
        })
    );
    Ok(())
}

/// A quantile of sorted microseconds, in milliseconds.
fn quantile(micros: &[u32], share: f64) -> Option<f64> {
    let last = micros.len().checked_sub(1)?;
    Some(f64::from(micros[(last as f64 * share) as usize]) / 1e3)
}
