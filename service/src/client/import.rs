//! `tally import`: reads both files through before anything is sent, then reads them again and sends
//! them in batches, in constant memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use futures_util::{Stream, stream};
use indicatif::{HumanCount, ProgressBar};
use serde_json::json;
use tally_proto::v1::{Interaction, RecordInteractionsRequest, UpsertCustomersRequest};
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    Connection, args,
    batches::{Batch, read_ahead},
    csv::{CsvError, Rows},
    error::{ClientError, Result},
    print,
    rows::{Customers, Interactions, Layout},
};
use crate::{app::system_clock, progress};

/// Batches of interactions that may be on their way, not yet acknowledged.
const IN_FLIGHT: usize = 4;

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

/// What is on its way: the lines of each batch, or why no more can be read.
type OnItsWay = Result<Vec<u64>, CsvError>;

/// One stream of batches, a few of them on their way at a time.
async fn record(
    server: &Connection,
    file: Checked<Interactions>,
    backfill: bool,
    sum: &mut Sum,
) -> Result<()> {
    let Checked { path, layout, rows } = file;
    let bar = progress::begin("interactions", rows);
    // The capacity is what holds requests back until the server has acknowledged earlier ones.
    let (on_its_way, mut awaited) = mpsc::channel(IN_FLIGHT);
    let requests = requests(read_ahead(path.clone(), layout), on_its_way, backfill);
    let mut sent = Sent::new(server, &path, "interactions");
    let mut next = || awaited.try_recv().ok();
    let answers = server.interactions().stream_interactions(requests).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Err(sent.refused(next(), &status)),
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let Some(Ok(lines)) = next() else { continue };
                sum.recorded += answer.recorded;
                sum.duplicates += answer.duplicates;
                sent.rows += lines.len() as u64;
                bar.set_position(sent.rows);
            }
            Ok(None) => break,
            Err(status) => return Err(sent.refused(next(), &status)),
        }
    }
    match next() {
        Some(Err(error)) => Err(sent.stopped(error.into())),
        _ => sent.complete(rows),
    }
}

/// Requests from the batches; `on_its_way` hears of each before it goes.
fn requests(
    batches: mpsc::Receiver<Result<Batch<Interaction>, CsvError>>,
    on_its_way: mpsc::Sender<OnItsWay>,
    backfill: bool,
) -> impl Stream<Item = RecordInteractionsRequest> + Send + 'static {
    stream::unfold((batches, on_its_way), move |(mut batches, on_its_way)| async move {
        let (lines, interactions) = match batches.recv().await? {
            Ok(Batch { items, lines }) => (Ok(lines), Some(items)),
            Err(error) => (Err(error), None),
        };
        on_its_way.send(lines).await.ok()?;
        let request = RecordInteractionsRequest { interactions: interactions?, backfill };
        Some((request, (batches, on_its_way)))
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

    /// The stream failed; what was next on it is the culprit.
    fn refused(&self, next: Option<OnItsWay>, status: &Status) -> ClientError {
        match next {
            Some(Ok(lines)) => self.failed(&lines, status),
            _ => self.failed(&[], status),
        }
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
