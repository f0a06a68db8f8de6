//! `tally-train`: arguments in, a model version in the database and a report out.
//!
//! Exit code 2 means that the data do not suffice (or that the arguments are wrong) and nothing was stored
//! for that target; 1 means any other failure. With `--all` both targets are trained, and 1 outweighs 2.
//! 130 means that a signal has ended it.

use std::{convert::Infallible, error::Error, io::Write, process::ExitCode, sync::Arc};

use clap::Parser;
use tally_model::{time::Time, training::train::TrainingOptions};
use tally_service::{
    config::TrainArgs,
    histories::scan::Partition,
    lifecycle::training::{JobError, Trainer, TrainingJob},
    platform::{
        actor::Actor,
        clock::{Clock, system_clock},
        output_file::OutputFile,
        progress,
        shutdown::{self, StopSignals},
        telemetry,
    },
    report,
};
use tally_store::{OpenOptions, Store, StoreError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code of a program that Ctrl-C has ended, as shells know it.
const STOPPED: i32 = 130;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = TrainArgs::parse();
    let failures = match run(&args).await {
        Ok(failures) => failures,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let lacks_data =
        |failure: &Failure| failure.downcast_ref::<JobError>().is_some_and(JobError::is_lack_of_data);
    match failures.as_slice() {
        [] => ExitCode::SUCCESS,
        failures if failures.iter().all(lacks_data) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// Trains the targets that are asked for and returns the failures.
async fn run(args: &TrainArgs) -> Result<Vec<Failure>, Failure> {
    telemetry::start(args.log.filter.clone(), args.log.format);
    let mut signals = StopSignals::new()?;
    let spec = args.read_spec()?;
    let clock = Arc::new(Clock::new(system_clock));
    let as_of = as_of(args, clock.now())?;
    // A report that cannot be written must not have cost a model.
    let report_out = open_report(args)?;
    let store = open(args).await?;
    let before = latest_versions(&*store, args).await?;
    let trainer = Trainer {
        store: Arc::clone(&store),
        clock,
        actor: Actor::of_this_process(),
        progress: progress::on_terminal(),
    };
    let jobs = args.targets().into_iter().map(|target| TrainingJob {
        target,
        as_of,
        spec: spec.clone(),
        options: TrainingOptions { split: args.split.into(), seed: args.seed },
        promote: args.promote,
        partition: Partition { number: 0, of: args.one_in },
    });
    let failures = tokio::select! {
        failures = train_all(args, &trainer, jobs, report_out) => failures,
        () = signals.wait() => match stop(args, &*store, &before).await? {},
    };
    shutdown::close(&*store).await;
    Ok(failures)
}

/// Only a server creates a database: a misspelt name must not become an empty one.
async fn open(args: &TrainArgs) -> Result<Arc<dyn Store>, StoreError> {
    let options = OpenOptions { create: false, connections: args.pool.database_connections };
    tally_store::open_with(&args.database, options).await
}

async fn train_all(
    args: &TrainArgs,
    trainer: &Trainer,
    jobs: impl Iterator<Item = TrainingJob>,
    mut report_out: Option<OutputFile>,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    for job in jobs {
        let target = job.target;
        if let Err(error) = train(args, trainer, job, report_out.take()).await {
            eprintln!("error: {target}: {error}");
            failures.push(error);
        }
    }
    failures
}

/// Ends the program and says what it has stored. What computes has no point at which it would stop by itself.
async fn stop(args: &TrainArgs, store: &dyn Store, before: &[Option<i64>]) -> Result<Infallible, Failure> {
    // A model that was being stored is stored before the database is closed.
    shutdown::close(store).await;
    let store = open(args).await?;
    let after = latest_versions(&*store, args).await?;
    shutdown::close(&*store).await;
    let mut stored = Vec::new();
    for (target, (before, after)) in args.targets().into_iter().zip(before.iter().zip(after)) {
        if let Some(version) = after.filter(|_| *before != after) {
            stored.push(format!("{target}/{version}"));
        }
    }
    match stored.as_slice() {
        [] => eprintln!("stopped; no model was stored"),
        stored => eprintln!("stopped; stored: {}. `tally models list` shows which serve", stored.join(", ")),
    }
    std::process::exit(STOPPED)
}

/// The latest version of each target that is trained.
async fn latest_versions(store: &dyn Store, args: &TrainArgs) -> Result<Vec<Option<i64>>, StoreError> {
    let mut versions = Vec::new();
    for target in args.targets() {
        let latest = store.models(Some(target), None, 1).await?;
        versions.push(latest.first().map(|model| model.version));
    }
    Ok(versions)
}

fn as_of(args: &TrainArgs, now: Time) -> Result<Time, String> {
    match args.as_of {
        Some(as_of) if as_of > now => {
            Err(format!("--as-of {as_of} lies in the future; allowed is up to now, {now}"))
        }
        as_of => Ok(as_of.unwrap_or(now)),
    }
}

fn open_report(args: &TrainArgs) -> Result<Option<OutputFile>, String> {
    let open = |path: &std::path::PathBuf| {
        OutputFile::create(path).map_err(|error| format!("the report {}: {error}", path.display()))
    };
    args.report_out.as_ref().map(open).transpose()
}

async fn train(
    args: &TrainArgs,
    trainer: &Trainer,
    job: TrainingJob,
    report_out: Option<OutputFile>,
) -> Result<(), Failure> {
    let result = trainer.train(job, args.matrix_out.as_deref()).await?;
    println!("{}", report::text::render(&result));
    if let Some(mut file) = report_out {
        let page = args.report_out.as_ref().is_some_and(|path| report::page::is_page(path));
        let report = if page { report::page::render(result)? } else { report::json::render(&result)? };
        file.write_all(report.as_bytes())?;
        file.finish()?;
    }
    Ok(())
}
