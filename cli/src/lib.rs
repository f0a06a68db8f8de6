//! The command-line client: calls the server over gRPC, and prints tables for people or JSON for
//! programs.

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use tally_proto::v1::{
    customer_service_client::CustomerServiceClient, interaction_service_client::InteractionServiceClient,
    model_service_client::ModelServiceClient, prediction_service_client::PredictionServiceClient,
    scoring_service_client::ScoringServiceClient,
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

pub mod args;
mod batches;
mod card;
mod csv;
mod environment;
mod error;
mod fields;
mod import;
mod json;
mod models;
mod predictions;
mod progress;
mod registry;
mod render;
mod rows;
mod score;
#[cfg(test)]
mod tests;
mod time;
mod watch;

pub use args::Args;
pub use csv::CsvError;
pub use error::{ClientError, Refusal};

use args::Command;
use error::Result;

/// Replies are larger than requests: ten thousand scores, each with all its reasons.
const REPLY_BYTES: usize = 1 << 30;

/// Does what the arguments say.
///
/// # Errors
/// What went wrong, in words for the person at the terminal.
pub async fn run(args: Args) -> Result<()> {
    let server = Connection::open(&args.server).await?;
    let done = match &args.command {
        Command::Import(import) => import::run(&server, import, args.json).await,
        Command::Score(score) => score::run(&server, score, args.json).await,
        Command::ScoreAll(score_all) => predictions::score_all(&server, score_all, args.json).await,
        Command::Predictions(asked) => predictions::run(&server, asked, args.json).await,
        Command::Models(models) => models::run(&server, models, args.json).await,
    };
    match done {
        // Whoever reads has seen enough, as in `tally predictions churn | head`.
        Err(ClientError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A server.
struct Connection {
    url: String,
    channel: Channel,
}

impl Connection {
    async fn open(endpoint: &Endpoint) -> Result<Self> {
        let url = endpoint.uri().to_string().trim_end_matches('/').to_owned();
        // The pings notice a server that is gone without a word during a long run.
        let endpoint = endpoint
            .clone()
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { url, channel }),
            Err(error) => Err(ClientError::Unreachable { url, why: error::root(&error) }),
        }
    }

    fn error(&self, status: &Status) -> ClientError {
        ClientError::of_call(&self.url, status)
    }

    fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    fn interactions(&self) -> InteractionServiceClient<Channel> {
        InteractionServiceClient::new(self.channel.clone())
    }

    fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }

    fn predictions(&self) -> PredictionServiceClient<Channel> {
        PredictionServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }

    fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }
}

/// Writes a line, or several, to standard output.
fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}

/// Writes a line to standard error: a remark, which is no part of the output.
fn remark(text: &str) {
    // Where nobody reads remarks, nobody misses them.
    drop(writeln!(io::stderr(), "{text}"));
}
