//! `tally-serve`: arguments in, server up, until SIGTERM, SIGHUP or Ctrl-C.

use std::{path::Path, pin::pin, process, sync::Arc, time::Duration};

use clap::Parser;
use tally_model::counted;
use tally_service::{
    app::{App, Jobs, Transport},
    backup::remove_abandoned,
    config::{DEFAULT_HTTP_PORT, HttpAddress, InheritedListeners, ListenAddress, ServeArgs, ServeCommand},
    demo,
    failure::{Damaged, Failure, Interrupted, exit_code},
    integrity::{self, CheckedPart},
    platform::{
        clock::{check_system_clock, system_clock},
        file_descriptors, memory, progress, shutdown, telemetry,
    },
    security::Security,
};
use tally_store::Store;
use tally_terminal::{Interrupts, StopSignal};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::sleep};

/// How long it takes to open the database before that is logged.
const SAID_AFTER: Duration = Duration::from_secs(2);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    memory::give_back_soon();
    let args = ServeArgs::parse();
    let serves = args.command.is_none() && !args.check;
    let log = if serves { args.log.start() } else { args.log.start_without_slow_statements() };
    let code = match run(&args).await {
        Ok(()) => 0,
        Err(error) => {
            telemetry::remark(&format!("error: {error}"));
            exit_code(&*error)
        }
    };
    drop(log);
    // Without waiting for threads that go on computing after a signal.
    process::exit(code.into());
}

async fn run(args: &ServeArgs) -> Result<(), Failure> {
    check_system_clock()?;
    match &args.command {
        Some(ServeCommand::Backup { file }) => backup(args.database(), file).await,
        None if args.check => check(args).await,
        None => serve(args).await,
    }
}

async fn backup(database: &str, file: &Path) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    tokio::select! {
        copied = tally_store::backup(database, file) => copied?,
        signal = interrupts.received() => {
            return Err(Interrupted { signal, state: "there is no backup".to_owned() }.into());
        }
    }
    tally_terminal::print(&format!("the database is backed up in {}", file.display()))?;
    // Who may only read the database may copy it as well.
    if let Err(error) = tally_service::backup::note(database, file, system_clock()).await {
        tally_terminal::remark(&format!("the audit log does not have this backup: {error}"));
    }
    Ok(())
}

/// Reads the files that a start with these arguments would read.
fn check_files(args: &ServeArgs) -> Result<(), Failure> {
    args.insight_spec()?;
    args.alert_settings()?;
    args.security.open(system_clock)?;
    Ok(())
}

/// Checks what is stored, and the files that a start would read. What is damaged is an error.
async fn check(args: &ServeArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    check_files(args)?;
    let open = args.pool.open_options(false);
    let checked = async {
        let store = tally_store::open_with(args.database(), open).await?.patient();
        let checked = integrity::check(&store).await;
        shutdown::close(&*store).await;
        Ok::<_, Failure>(checked?)
    };
    let parts = tokio::select! {
        checked = checked => checked?,
        signal = interrupts.received() => {
            return Err(Interrupted { signal, state: "not everything was checked".to_owned() }.into());
        }
    };
    for CheckedPart { part, problems } in &parts {
        tally_terminal::print(&format!("{part}: {}", if problems.is_empty() { "ok" } else { "DAMAGED" }))?;
        for problem in problems {
            tally_terminal::print(&format!("  {problem}"))?;
        }
    }
    match parts.iter().all(|part| part.problems.is_empty()) {
        true => Ok(()),
        false => Err(Damaged.into()),
    }
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    // What is wrong with the settings is reported before anything begins, and a port that is taken must not have cost
    // a migration.
    let (insight, alerts) = (args.insight_spec()?, args.alert_settings()?);
    file_descriptors::raise_limit();
    let mut inherited = InheritedListeners::take();
    let grpc = match inherited.take_next()? {
        Some(listener) => listener,
        None => {
            args.listen.bind().await.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?
        }
    };
    let http = match inherited.take_next()? {
        Some(listener) => Some(listener),
        None => listen_http(args.http.as_ref()).await?,
    };
    let security = security(args, &grpc, http.as_ref())?;
    let folder = demo_folder(args)?;
    let database = folder.as_ref().map_or_else(|| args.database().to_owned(), demo_database);
    let store = open(args, &database, &interrupts).await?;
    let transport = Transport {
        grpc,
        http,
        max_connection_age: args.connection_age(),
        max_connections: args.max_connections as usize,
        capacity: args.capacity(),
        security,
    };
    integrity::check_at_start(&*store).await?;
    remove_abandoned(&*store)
        .map_err(|error| format!("cannot remove what is left of a backup beside the database: {error}"))?;
    let app =
        App::new(Arc::clone(&store), args.cache_bytes(), insight, system_clock).await?.with_alerts(alerts);
    let served = serve_app(args, app, transport, (&database, &interrupts)).await;
    shutdown::close(&*store).await;
    served
}

/// Opens the database, for which it may have to wait.
async fn open(args: &ServeArgs, database: &str, interrupts: &Interrupts) -> Result<Arc<dyn Store>, Failure> {
    let mut opening = pin!(tally_store::open_with(database, args.pool.open_options(true)));
    let opened = tokio::select! {
        opened = &mut opening => return Ok(opened?),
        () = sleep(SAID_AFTER) => {
            tracing::warn!("the database does not answer yet, or is being migrated");
            tokio::select! {
                opened = &mut opening => Ok(opened?),
                signal = interrupts.received() => Err(signal),
            }
        }
        signal = interrupts.received() => Err(signal),
    };
    opened.map_err(|signal| Interrupted { signal, state: "the database was not open yet".to_owned() }.into())
}

/// Reads what secures the server, and checks that it is enough for the addresses. Like listening, that comes before a
/// migration.
fn security(args: &ServeArgs, grpc: &TcpListener, http: Option<&TcpListener>) -> Result<Security, Failure> {
    let mut addresses = vec![("--listen", grpc.local_addr()?)];
    if let Some(http) = http {
        addresses.push(("--http", http.local_addr()?));
    }
    let security = args.security.open(system_clock)?;
    args.security.check_exposure(&addresses)?;
    Ok(security)
}

/// Serves until the signal to stop; the name of the database is for the banner of the demo.
async fn serve_app(
    args: &ServeArgs,
    app: App,
    transport: Transport,
    (database, interrupts): (&str, &Interrupts),
) -> Result<(), Failure> {
    let address = transport.grpc.local_addr()?;
    let scheme = if transport.security.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    if let Some(currency) = &args.currency {
        app.deployment.set_currency(currency, app.clock.now()).await?;
    }
    if args.demo {
        tokio::select! {
            shown = show_demo(&app, args, &url, database) => shown?,
            signal = interrupts.received() => {
                return Err(demo_interrupted(&app, signal, args.database.is_none()).await);
            }
        }
    }
    if let Some(http) = &transport.http {
        tally_terminal::print(&format!("metrics on {scheme}://{}/metrics", http.local_addr()?))?;
    }
    tally_terminal::print(&format!("tally-serve listens on {address}"))?;
    let jobs = Jobs {
        pack_every: Some(Duration::from_secs(args.pack_every_seconds.into())),
        keep_predictions_days: args.keep_predictions_days,
        keep_interactions: args.keep_interactions.clone(),
        keep_insights_days: Some(args.keep_insights_days),
        plan: args.plan(),
    };
    let stop = async {
        interrupts.received().await;
    };
    app.serve(transport, jobs, stop).await?;
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

async fn show_demo(app: &App, args: &ServeArgs, url: &str, database: &str) -> Result<(), Failure> {
    let summary = demo::prepare(app, args.demo_customers, &progress::on_terminal()).await?;
    let own = std::env::args_os().next().unwrap_or_default();
    let banner = demo::banner(&summary, own.as_ref(), url, &tally_store::without_password(database));
    tally_terminal::print(&(banner + "\n"))?;
    Ok(())
}

/// What an interrupted demo leaves behind, unless its database is temporary.
async fn demo_interrupted(app: &App, signal: StopSignal, temporary: bool) -> Failure {
    let rest = match app.ingest.count_customers().await {
        _ if temporary => "its temporary database is removed".to_owned(),
        Ok(customers) => {
            let customers = counted(customers, "customer is", "customers are");
            format!("{customers} stored; starting it again completes it")
        }
        Err(error) => error.to_string(),
    };
    Interrupted { signal, state: format!("the demo is not complete; {rest}") }.into()
}
