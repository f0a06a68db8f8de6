//! Sends requests to a scoring server. Unlike h2load it can request a different customer each time and verify
//! every response.

use std::{
    error::Error,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use clap::{Args, Parser, Subcommand};
use h2::client::{self, SendRequest};
use prost::Message;
use tally_model::time::Time;
use tally_proto::v1::{
    BatchPredictChurnRequest, PredictChurnRequest, Score, scoring_service_client::ScoringServiceClient,
};
use tokio::{net::TcpStream, task::JoinSet};
use tonic::transport::Endpoint;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Requests the churn score of each customer once, in a scattered order
    Score {
        address: SocketAddr,
        #[command(flatten)]
        range: CustomerRange,
        /// Number of connections
        #[arg(long, default_value_t = 8)]
        connections: usize,
        /// Calls in flight per connection
        #[arg(long, default_value_t = 16)]
        in_flight: usize,
        /// How often to go through the customers
        #[arg(long, default_value_t = 1)]
        rounds: usize,
    },
    /// Sends one call after the other with tonic's client and decodes the responses
    Direct {
        address: SocketAddr,
        #[command(flatten)]
        range: CustomerRange,
    },
    /// Writes a request body for h2load: for one customer, or for several as a batch
    Body {
        #[command(flatten)]
        range: CustomerRange,
    },
    /// Sends one request for the first customer and writes the bare response message
    Reply {
        address: SocketAddr,
        #[command(flatten)]
        range: CustomerRange,
    },
    /// Starts a server and prints the milliseconds until it answers a score request
    First {
        address: SocketAddr,
        #[command(flatten)]
        range: CustomerRange,
        #[arg(last = true)]
        program: Vec<String>,
    },
}

#[derive(Args)]
struct CustomerRange {
    /// The number of the first customer
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// How many customers
    #[arg(long, default_value_t = 1)]
    customers: usize,
    /// The moment that the scores are about
    #[arg(long)]
    as_of: Time,
    /// Request all of them in one batch
    #[arg(long)]
    batch: bool,
}

impl CustomerRange {
    fn ids(&self) -> Vec<String> {
        (self.from..self.from + self.customers).map(|n| format!("C{n:05}")).collect()
    }

    fn request(&self, customer_id: String) -> PredictChurnRequest {
        PredictChurnRequest { customer_id, as_of_time: Some(self.moment()), ..Default::default() }
    }

    fn moment(&self) -> prost_types::Timestamp {
        let seconds = self.as_of.0.div_euclid(1_000_000);
        prost_types::Timestamp { seconds, nanos: self.as_of.0.rem_euclid(1_000_000) as i32 * 1_000 }
    }

    /// The path and framed message of each request.
    fn calls(&self) -> Vec<Call> {
        if self.batch {
            let as_of_time = Some(self.moment());
            let batch =
                BatchPredictChurnRequest { customer_ids: self.ids(), as_of_time, ..Default::default() };
            return vec![Call { path: BATCH, body: framed(&batch) }];
        }
        self.ids().into_iter().map(|id| Call { path: UNARY, body: framed(&self.request(id)) }).collect()
    }
}

const UNARY: &str = "/tally.v1.ScoringService/PredictChurn";
const BATCH: &str = "/tally.v1.ScoringService/BatchPredictChurn";
/// The length of the prefix of a message: the compression flag and the message length.
const FRAME: usize = 5;

struct Call {
    path: &'static str,
    body: Bytes,
}

fn framed(message: &impl Message) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend((message.encoded_len() as u32).to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes.into()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Task::Score { address, range, connections, in_flight, rounds } => {
            println!("{}", score(address, &range, connections, in_flight, rounds).await?);
        }
        Task::Direct { address, range } => println!("{}", direct(address, &range).await?),
        Task::Body { range } => std::io::stdout().write_all(&range.calls()[0].body)?,
        Task::Reply { address, range } => {
            let mut connection = connect(address).await?;
            let answer = ask(&mut connection, address, &range.calls()[0]).await?;
            std::io::stdout().write_all(&answer[FRAME..])?;
        }
        Task::First { address, range, program } => println!("{:.2}", first(address, &range, &program).await?),
    }
    Ok(())
}

/// Returns the figures and the digest of all responses.
async fn score(
    address: SocketAddr,
    range: &CustomerRange,
    connections: usize,
    in_flight: usize,
    rounds: usize,
) -> Result<serde_json::Value, Failure> {
    let calls = Arc::new(range.calls());
    let (next, statistics) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Statistics::default())));
    let total = calls.len() * rounds;
    let mut workers = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(address).await?);
    }
    let begin = Instant::now();
    for sender in senders {
        for _ in 0..in_flight {
            let (mut sender, calls) = (sender.clone(), Arc::clone(&calls));
            let (next, statistics) = (Arc::clone(&next), Arc::clone(&statistics));
            workers.spawn(async move {
                let mut own = Statistics::default();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= total {
                        break;
                    }
                    // A stride coprime to the number of calls visits every customer, in no order that a database keeps.
                    let call = &calls[scattered(n, calls.len())];
                    let begin = Instant::now();
                    let answer = ask(&mut sender, address, call).await?;
                    own.add(&answer, begin.elapsed());
                }
                statistics.lock().expect("no thread panics").join(own);
                Ok::<_, Failure>(())
            });
        }
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut statistics = std::mem::take(&mut *statistics.lock().expect("no thread panics"));
    statistics.micros.sort_unstable();
    let quantile = |share: f64| statistics.micros[((statistics.micros.len() - 1) as f64 * share) as usize];
    Ok(serde_json::json!({
        "answers": statistics.micros.len(), "seconds": seconds, "per_second": statistics.micros.len() as f64 / seconds,
        "p50_us": quantile(0.5), "p99_us": quantile(0.99), "bytes": statistics.bytes,
        "digest": format!("{:016x}", statistics.digest),
    }))
}

fn scattered(n: usize, of: usize) -> usize {
    const STRIDE: usize = 7_368_787;
    n.wrapping_mul(STRIDE) % of
}

/// Statistics of the responses so far; the digest does not depend on their order.
#[derive(Default)]
struct Statistics {
    micros: Vec<u32>,
    bytes: u64,
    digest: u64,
}

impl Statistics {
    fn add(&mut self, answer: &[u8], took: Duration) {
        self.micros.push(took.as_micros() as u32);
        self.bytes += answer.len() as u64;
        self.digest = self.digest.wrapping_add(digest(answer));
    }

    fn join(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.bytes += other.bytes;
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = client::Builder::new();
    builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 28).max_frame_size(1 << 16);
    let (sender, connection) = builder.handshake(stream).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// The framed answer of one call whose status is OK.
async fn ask(sender: &mut SendRequest<Bytes>, address: SocketAddr, call: &Call) -> Result<Bytes, Failure> {
    let request = http::Request::post(format!("http://{address}{}", call.path))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut ready = sender.clone().ready().await?;
    let (response, mut stream) = ready.send_request(request, false)?;
    stream.send_data(call.body.clone(), true)?;
    let response = response.await?;
    let refused = response.headers().get("grpc-message").cloned();
    let mut body = response.into_body();
    let mut answer = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?;
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    if status.is_none_or(|status| status != "0") || answer.len() < FRAME {
        return Err(format!("{} was refused: {refused:?} {trailers:?}", call.path).into());
    }
    Ok(answer.freeze())
}

/// Returns the digest of the responses that an ordinary client gets, decoded and encoded again.
async fn direct(address: SocketAddr, range: &CustomerRange) -> Result<serde_json::Value, Failure> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = ScoringServiceClient::new(channel);
    let mut statistics = Statistics::default();
    for id in range.ids() {
        let score: Score = client.predict_churn(range.request(id.clone())).await?.into_inner();
        if score.customer_id != id || !(score.probability > 0.0 && score.probability < 1.0) {
            return Err(format!("{id} was answered by {score:?}").into());
        }
        statistics.add(&framed(&score), Duration::ZERO);
    }
    Ok(serde_json::json!({
        "answers": statistics.micros.len(), "bytes": statistics.bytes, "digest": format!("{:016x}", statistics.digest),
    }))
}

/// Returns the milliseconds from the start of a program to its first response.
async fn first(address: SocketAddr, range: &CustomerRange, program: &[String]) -> Result<f64, Failure> {
    let begin = Instant::now();
    let (name, arguments) = program.split_first().ok_or("no program is given")?;
    let mut child = Command::new(name).args(arguments).stdout(Stdio::null()).spawn()?;
    let call = &range.calls()[0];
    let answered = async {
        loop {
            if let Ok(mut sender) = connect(address).await {
                return ask(&mut sender, address, call).await;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), answered).await;
    let took = begin.elapsed();
    child.kill()?;
    child.wait()?;
    answer??;
    Ok(took.as_secs_f64() * 1e3)
}
