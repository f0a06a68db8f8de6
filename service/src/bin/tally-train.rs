//! `tally-train`: arguments in, a model version in the database and a report out.
//!
//! Exit code 2 means that the data do not suffice (or that the arguments are wrong) and nothing was
//! stored of that target, 1 any other failure. With `--all` both targets are tried, and 1 outweighs 2.

use std::{error::Error, fs::File, io::Write, process::ExitCode, sync::Arc};

use clap::Parser;
use tally_model::training::train::{Options, TrainError};
use tally_service::{
    app::system_clock,
    config::Train,
    histories::scan::Partition,
    lifecycle::training::{self, JobError, TrainingJob},
    platform::progress,
    platform::telemetry,
    report,
};

use tally_store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Train::parse();
    let failures = match run(&config).await {
        Ok(failures) => failures,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let short = |error: &Failure| {
        matches!(
            error.downcast_ref::<JobError>(),
            Some(JobError::Train(
                TrainError::TooLittle { .. } | TrainError::OneSided { .. } | TrainError::NothingVaries(_)
            ))
        )
    };
    match failures.as_slice() {
        [] => ExitCode::SUCCESS,
        failures if failures.iter().all(short) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

type Failure = Box<dyn Error>;

/// Trains what is asked for and tells of each target that failed.
async fn run(config: &Train) -> Result<Vec<Failure>, Failure> {
    telemetry::start(&config.log.filter, config.log.format)?;
    let spec = config.read_spec()?;
    let now = system_clock();
    let as_of = config.as_of.unwrap_or(now);
    if as_of > now {
        return Err(format!("--as-of {as_of} lies in the future; allowed is up to now, {now}").into());
    }
    // A report that cannot be written must not have cost a model.
    let report_out = config
        .report_out
        .as_ref()
        .map(|path| File::create(path).map_err(|error| format!("the report {}: {error}", path.display())));
    let mut report_out = report_out.transpose()?;
    let store = tally_store::open(&config.database).await?;
    let mut failures = Vec::new();
    for target in config.targets() {
        let order = TrainingJob {
            target,
            as_of,
            spec: spec.clone(),
            options: Options { split: config.split.into(), seed: config.seed },
            promote: config.promote,
            part: Partition { number: 0, of: config.one_in },
        };
        if let Err(error) = one(config, &store, order, report_out.as_mut()).await {
            eprintln!("error: {target}: {error}");
            failures.push(error);
        }
    }
    Ok(failures)
}

async fn one(
    config: &Train,
    store: &Arc<dyn Store>,
    order: TrainingJob,
    report_out: Option<&mut File>,
) -> Result<(), Failure> {
    let matrix_out = config.matrix_out.as_deref();
    let outcome = training::run(store, order, matrix_out, system_clock, progress::training()).await?;
    println!("{}", report::text(&outcome));
    if let Some(file) = report_out {
        let page = config.report_out.as_ref().is_some_and(|path| report::html::is_page(path));
        let report = if page { report::html::of(outcome)? } else { report::json(&outcome)? };
        file.write_all(report.as_bytes())?;
    }
    Ok(())
}
