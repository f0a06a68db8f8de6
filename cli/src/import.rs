//! `tally import`: reads both files through before anything is sent, then reads them again and sends
//! them in batches, in constant memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use futures_util::{Stream, future::join_all, stream};
use indicatif::{HumanCount, ProgressBar};
use serde_json::json;
use tally_proto::v1::{Interaction, RecordInteractionsRequest, UpsertCustomersRequest};
use tokio::sync::{Mutex, mpsc};
use tonic::Status;

use super::{
    Connection, args,
    batches::{Batch, Batches, read_ahead},
    csv::{CsvError, Rows},
    error::{ClientError, Result},
    print,
    rows::{Customers, Interactions, Layout},
};
use crate::{environment::system_clock, progress};

/// Streams of interactions at a time.
const STREAMS: usize = 4;
/// Batches of a stream that may be on their way, not yet acknowledged.
const IN_FLIGHT: usize = 2;

/// Imports the files, customers first.
pub(super) async fn run(server: &Connection, import: &args::Import, json: bool) -> Result<()> {
    let begin = Instant::now();
    // Blocking is fine here: there is nothing else to do as yet.
    let customers = import.customers.as_deref().map(check::<Customers>).transpose()?;
    let interactions = import.interactions.as_deref().map(check::<Interactions>).transpose()?;
    let mut sum = Sum::default();
    if let Some(file) = customers {
        upsert(server, file, &mut sum).await?;
    }
    if let Some(file) = interactions {
        record(server, file, import.backfill, &mut sum).await?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let Sum { upserted, recorded, duplicates } = sum;
    if json {
        let sum = json!({
            "upserted": upserted, "recorded": recorded, "duplicates": duplicates, "seconds": seconds,
        });
        return print(&sum.to_string());
    }
    let [upserted, recorded, duplicates] =
        [upserted, recorded, duplicates].map(|count| HumanCount(count.unsigned_abs()));
    print(&format!(
        "{upserted} customers upserted, {recorded} interactions recorded, {duplicates} duplicates, {seconds:.1} s"
    ))
}

/// What the server says it did.
#[derive(Default)]
struct Sum {
    upserted: i64,
    recorded: i64,
    duplicates: i64,
}

/// A file that was read through without error.
struct Checked<L> {
    path: PathBuf,
    layout: L,
    rows: u64,
}

/// The first pass.
fn check<L: Layout>(path: &Path) -> Result<Checked<L>, CsvError> {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress::begin(&format!("checking {} (bytes)", path.display()), bytes);
    read_through(path, &bar)
}

fn read_through<L: Layout>(path: &Path, bar: &ProgressBar) -> Result<Checked<L>, CsvError> {
    let mut rows = Rows::open(path, bar)?;
    let layout = L::new(rows.header(), system_clock());
    let mut layout = layout.map_err(|message| CsvError::of_file(path, message))?;
    let mut count = 0;
    while let Some((_, ())) = rows.next(|record| {
        layout.learn(record);
        layout.item(record).map(drop)
    })? {
        count += 1;
    }
    Ok(Checked { path: path.to_owned(), layout, rows: count })
}

/// One batch after the other, so that of two rows of the same customer the later one stays.
async fn upsert(server: &Connection, file: Checked<Customers>, sum: &mut Sum) -> Result<()> {
    let Checked { path, layout, rows } = file;
    let bar = progress::begin("customers", rows);
    let mut client = server.customers();
    let mut batches = read_ahead(path.clone(), layout);
    let mut sent = Sent::new(server, &path, "customers");
    while let Some(batch) = batches.recv().await {
        let Batch { items, lines } = batch.map_err(|error| sent.stopped(error.into()))?;
        let answer = client.upsert_customers(UpsertCustomersRequest { customers: items }).await;
        let answer = answer.map_err(|status| sent.failed(&lines, &status))?.into_inner();
        sum.upserted += answer.upserted;
        sent.rows += lines.len() as u64;
        bar.set_position(sent.rows);
    }
    sent.complete(rows)
}

/// Several streams of batches at a time, each with a few of them on their way. Interactions may arrive
/// in any order. When a stream fails, the others end with what they have sent, so that what is counted
/// as stored is exact.
async fn record(
    server: &Connection,
    file: Checked<Interactions>,
    backfill: bool,
    sum: &mut Sum,
) -> Result<()> {
    let Checked { path, layout, rows } = file;
    let bar = progress::begin("interactions", rows);
    let feed = Arc::new(Feed::new(read_ahead(path.clone(), layout)));
    let streams = (0..STREAMS).map(|_| stream(server, &feed, backfill, &bar));
    let ended = join_all(streams).await;
    let mut sent = Sent::new(server, &path, "interactions");
    let mut failures = Vec::new();
    for stream in ended {
        sum.recorded += stream.recorded;
        sum.duplicates += stream.duplicates;
        sent.rows += stream.rows;
        failures.extend(stream.failed);
    }
    // The first in the file, when several have failed.
    let first = failures.into_iter().min_by_key(|(lines, _)| lines.first().copied().unwrap_or(u64::MAX));
    if let Some((lines, status)) = first {
        return Err(sent.failed(&lines, &status));
    }
    match feed.broken.lock().await.take() {
        Some(error) => Err(sent.stopped(error.into())),
        None => sent.complete(rows),
    }
}

/// How a stream ended: what was acknowledged, and what failed.
#[derive(Default)]
struct Ended {
    rows: u64,
    recorded: i64,
    duplicates: i64,
    /// The lines of the batch that failed, as far as they are known, and why.
    failed: Option<(Vec<u64>, Status)>,
}

/// One stream, as long as there are batches.
async fn stream(server: &Connection, feed: &Arc<Feed>, backfill: bool, bar: &ProgressBar) -> Ended {
    // The capacity is what holds requests back until the server has acknowledged earlier ones.
    let (on_its_way, mut awaited) = mpsc::channel(IN_FLIGHT);
    let requests = requests(Arc::clone(feed), on_its_way, backfill);
    let mut ended = Ended::default();
    let outcome = async {
        let mut answers = server.interactions().stream_interactions(requests).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let rows = awaited.try_recv().map_or(0, |lines: Vec<u64>| lines.len() as u64);
            ended.rows += rows;
            ended.recorded += answer.recorded;
            ended.duplicates += answer.duplicates;
            bar.inc(rows);
        }
        Ok(())
    };
    let outcome: Result<(), Status> = outcome.await;
    if let Err(status) = outcome {
        feed.end().await;
        // What was next on the stream is the culprit.
        ended.failed = Some((awaited.try_recv().unwrap_or_default(), status));
    }
    ended
}

/// The batches of a file, for whichever stream asks next.
struct Feed {
    /// None once a stream has failed.
    batches: Mutex<Option<Batches<Interaction>>>,
    /// Why no more could be read.
    broken: Mutex<Option<CsvError>>,
}

impl Feed {
    fn new(batches: Batches<Interaction>) -> Self {
        Self { batches: Mutex::new(Some(batches)), broken: Mutex::new(None) }
    }

    async fn next(&self) -> Option<Batch<Interaction>> {
        match self.batches.lock().await.as_mut()?.recv().await? {
            Ok(batch) => Some(batch),
            Err(error) => {
                *self.broken.lock().await = Some(error);
                None
            }
        }
    }

    async fn end(&self) {
        drop(self.batches.lock().await.take());
    }
}

/// Requests from the batches; `on_its_way` hears of the lines of each before it goes.
fn requests(
    feed: Arc<Feed>,
    on_its_way: mpsc::Sender<Vec<u64>>,
    backfill: bool,
) -> impl Stream<Item = RecordInteractionsRequest> + Send + 'static {
    stream::unfold((feed, on_its_way), move |(feed, on_its_way)| async move {
        // The place first: a batch that is taken also goes.
        let place = on_its_way.reserve().await.ok()?;
        let Batch { items, lines } = feed.next().await?;
        place.send(lines);
        Some((RecordInteractionsRequest { interactions: items, backfill }, (feed, on_its_way)))
    })
}

/// How far the sending of a file is; what an error says of it.
struct Sent<'a> {
    server: &'a Connection,
    path: &'a Path,
    /// What the contract calls the list of items.
    list: &'static str,
    rows: u64,
}

impl<'a> Sent<'a> {
    const fn new(server: &'a Connection, path: &'a Path, list: &'static str) -> Self {
        Self { server, path, list, rows: 0 }
    }

    /// The batch from `lines` failed.
    fn failed(&self, lines: &[u64], status: &Status) -> ClientError {
        let cause = match self.server.error(status) {
            ClientError::Refused(refusal) => {
                ClientError::Refused(refusal.located(self.list, self.path, lines))
            }
            other => other,
        };
        self.import_error(lines.first().copied().zip(lines.last().copied()), cause)
    }

    fn stopped(&self, cause: ClientError) -> ClientError {
        self.import_error(None, cause)
    }

    fn import_error(&self, lines: Option<(u64, u64)>, cause: ClientError) -> ClientError {
        ClientError::Import { file: self.path.to_owned(), lines, stored: self.rows, cause: Box::new(cause) }
    }

    /// Whether as many rows were acknowledged as the first pass had counted.
    fn complete(&self, rows: u64) -> Result<()> {
        if self.rows == rows {
            return Ok(());
        }
        let message = format!(
            "{} of {} rows were acknowledged; did the file change meanwhile?",
            HumanCount(self.rows),
            HumanCount(rows)
        );
        Err(self.stopped(ClientError::CutShort(message)))
    }
}
