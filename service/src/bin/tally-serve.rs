//! `tally-serve`: arguments in, server up, until SIGTERM or Ctrl-C.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use tally_service::{
    app::{App, Jobs},
    config::{DEFAULT_HTTP, HttpAddress, ServeArgs},
    demo,
    platform::{clock::system_clock, progress, telemetry},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match serve(&ServeArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    telemetry::start(args.log.filter.clone(), args.log.format);
    let mut terminate = signal(SignalKind::terminate())?;
    // Listening comes first: a port that is taken must not have cost a migration.
    let grpc = TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = grpc.local_addr()?;
    let http = listen_http(args.http).await?;
    let folder = demo_folder(args)?;
    let database = folder.as_ref().map_or_else(|| args.database().to_owned(), demo_database);
    let store = tally_store::open(&database).await?;
    let app = App::new(store, args.cache_bytes(), system_clock).await?;
    if let Some(currency) = &args.currency {
        app.deployment.set_currency(currency).await?;
    }
    if args.demo {
        tokio::select! {
            shown = show_demo(&app, args, address, &database) => shown?,
            () = stop_signal(&mut terminate) => return Ok(()),
        }
    }
    if let Some(http) = &http {
        println!("metrics on http://{}/metrics", http.local_addr()?);
    }
    println!("tally-serve listens on {address}");
    let jobs = Jobs {
        pack_every: Some(Duration::from_secs(args.pack_every_seconds.into())),
        keep_predictions_days: args.keep_predictions_days,
    };
    app.serve(grpc, http, jobs, stop_signal(&mut terminate)).await?;
    Ok(())
}

/// Listens for HTTP where `--http` says, or at the default address if it is free.
async fn listen_http(wanted: Option<HttpAddress>) -> Result<Option<TcpListener>, String> {
    let address = match wanted {
        Some(HttpAddress::Off) => return Ok(None),
        Some(HttpAddress::At(address)) => address,
        None => DEFAULT_HTTP,
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if wanted.is_none() => {
            tracing::warn!("no metrics: cannot listen on {address} ({error}); --http sets another address");
            Ok(None)
        }
        Err(error) => Err(format!("cannot listen on {address}: {error}")),
    }
}

/// The folder of a demo's own database, which is removed when the demo ends.
fn demo_folder(args: &ServeArgs) -> std::io::Result<Option<TempDir>> {
    let wanted = args.demo && args.database.is_none();
    wanted.then(|| tempfile::Builder::new().prefix("tally-demo-").tempdir()).transpose()
}

fn demo_database(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("tally.db").display())
}

async fn show_demo(app: &App, args: &ServeArgs, address: SocketAddr, database: &str) -> Result<(), Failure> {
    let summary = demo::prepare(app, args.demo_customers, &progress::on_terminal()).await?;
    println!("{}\n", demo::banner(&summary, address, database));
    Ok(())
}

async fn stop_signal(terminate: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
