//! `tally-serve`: arguments in, server up, until SIGTERM, Ctrl-C or the end of its terminal.

use std::{error::Error, net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use tally_service::{
    app::{App, Jobs, Transport},
    config::{DEFAULT_HTTP_PORT, HttpAddress, ListenAddress, ServeArgs, ServeCommand},
    demo,
    platform::{
        clock::system_clock,
        progress,
        shutdown::{self, StopSignals},
        telemetry,
    },
};
use tally_store::{OpenOptions, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = ServeArgs::parse();
    telemetry::start(args.log.filter.clone(), args.log.format);
    let done = match &args.command {
        Some(ServeCommand::Backup { file }) => backup(args.database(), file).await,
        None => serve(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn backup(database: &str, file: &Path) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    tokio::select! {
        copied = tally_store::backup(database, file) => copied?,
        () = signals.wait() => return Err("stopped; there is no backup".into()),
    }
    println!("the database is backed up in {}", file.display());
    Ok(())
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    // Listening comes first: a port that is taken must not have cost a migration.
    let grpc =
        args.listen.bind().await.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let http = listen_http(args.http.as_ref()).await?;
    let folder = demo_folder(args)?;
    let database = folder.as_ref().map_or_else(|| args.database().to_owned(), demo_database);
    let open = OpenOptions { create: true, connections: args.pool.database_connections };
    let store = tally_store::open_with(&database, open).await?;
    let transport = Transport { grpc, http, max_connection_age: args.connection_age() };
    let served = serve_store(args, Arc::clone(&store), transport, (&database, &mut signals)).await;
    shutdown::close(&*store).await;
    served
}

/// Serves an open database until the signal to stop; the name of the database is for the banner of the demo.
async fn serve_store(
    args: &ServeArgs,
    store: Arc<dyn Store>,
    transport: Transport,
    (database, signals): (&str, &mut StopSignals),
) -> Result<(), Failure> {
    let address = transport.grpc.local_addr()?;
    let app = App::new(store, args.cache_bytes(), system_clock).await?;
    if let Some(currency) = &args.currency {
        app.deployment.set_currency(currency).await?;
    }
    if args.demo {
        tokio::select! {
            shown = show_demo(&app, args, address, database) => shown?,
            () = signals.wait() => return Ok(()),
        }
    }
    if let Some(http) = &transport.http {
        println!("metrics on http://{}/metrics", http.local_addr()?);
    }
    println!("tally-serve listens on {address}");
    let jobs = Jobs {
        pack_every: Some(Duration::from_secs(args.pack_every_seconds.into())),
        keep_predictions_days: args.keep_predictions_days,
    };
    app.serve(transport, jobs, signals.wait()).await?;
    Ok(())
}

/// Listens for HTTP where `--http` says, or at the default address if it is free.
async fn listen_http(wanted: Option<&HttpAddress>) -> Result<Option<TcpListener>, String> {
    let address = match wanted {
        Some(HttpAddress::Off) => return Ok(None),
        Some(HttpAddress::At(address)) => address,
        None => &ListenAddress::local(DEFAULT_HTTP_PORT),
    };
    match address.bind().await {
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
    println!("{}\n", demo::banner(&summary, address, &tally_store::without_password(database)));
    Ok(())
}
