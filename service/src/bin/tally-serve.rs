//! `tally-serve`: arguments in, server up, until SIGTERM or Ctrl-C.

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use tally_service::{
    app::{App, system_clock},
    config::{HTTP, Http, Serve},
    demo,
    grpc::server,
    histories::packing,
    lifecycle::retention,
    platform::progress,
    platform::telemetry,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match serve(&Serve::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Serve) -> Result<(), Box<dyn Error>> {
    telemetry::start(&config.log.filter, config.log.format)?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The address first: a port that is taken must not have cost a migration.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let address = listener.local_addr()?;
    let http = http(config.http).await?;
    let folder = if config.demo && config.database.is_none() { Some(DemoFolder::new()?) } else { None };
    let database = folder.as_ref().map_or_else(|| config.database().to_owned(), DemoFolder::url);
    let app =
        Arc::new(App::new(tally_store::open(&database).await?, config.cache_bytes(), system_clock).await?);
    if config.demo {
        let listener = progress::training();
        let preparing = demo::prepare(&app, config.demo_customers, &listener);
        let made = tokio::select! {
            made = preparing => made?,
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        println!("{}\n", demo::banner(&made, address, &database));
    }
    let pack_every = Duration::from_secs(config.pack_every_seconds.into());
    tokio::spawn(packing::run(Arc::clone(&app), pack_every));
    if let Some(days) = config.keep_predictions_days {
        tokio::spawn(retention::run(Arc::clone(&app), days));
    }
    if let Some(http) = &http {
        println!("metrics on http://{}/metrics", http.local_addr()?);
    }
    println!("tally-serve listens on {address}");
    server::run(listener, http, app, async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
    .await?;
    Ok(())
}

/// Listens for HTTP where it is said.
async fn http(wanted: Option<Http>) -> Result<Option<TcpListener>, String> {
    let address = match wanted {
        Some(Http::Off) => return Ok(None),
        Some(Http::At(address)) => address,
        None => HTTP,
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if wanted.is_none() => {
            tracing::warn!("no metrics: {address} is not to be had ({error}); --http takes another address");
            Ok(None)
        }
        Err(error) => Err(format!("cannot listen on {address}: {error}")),
    }
}

/// The folder of a demo's own database, gone when the demo ends.
struct DemoFolder(std::path::PathBuf);

impl DemoFolder {
    fn new() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tally-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.0.join("tally.db").display())
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // What cannot be removed is a few megabytes in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
