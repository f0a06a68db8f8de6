//! `tally-train`: arguments in, a model version in the database and a report out.
//!
//! Exit code 2 means that the data do not suffice (or that the arguments are wrong) and nothing was
//! stored, 1 any other failure.

use std::{error::Error, fs::File, io::Write, process::ExitCode};

use clap::Parser;
use tally_model::train::{Options, TrainError};
use tally_service::{
    app::system_clock,
    config::Train,
    progress, report, store, telemetry,
    train::{self, JobError, Order},
};

#[tokio::main]
async fn main() -> ExitCode {
    let config = Train::parse();
    match run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let short = matches!(
                error.downcast_ref::<JobError>(),
                Some(JobError::Train(
                    TrainError::TooLittle { .. } | TrainError::OneSided { .. } | TrainError::NothingVaries(_)
                ))
            );
            ExitCode::from(if short { 2 } else { 1 })
        }
    }
}

async fn run(config: &Train) -> Result<(), Box<dyn Error>> {
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
    let store = store::open(&config.database).await?;
    let order = Order {
        target: config.target.into(),
        as_of,
        spec,
        options: Options { split: config.split.into(), seed: config.seed },
        promote: config.promote,
    };
    let matrix_out = config.matrix_out.as_deref();
    let outcome = train::run(&*store, order, matrix_out, system_clock, progress::training()).await?;
    println!("{}", report::text(&outcome));
    if let Some(file) = &mut report_out {
        file.write_all(report::json(&outcome)?.as_bytes())?;
    }
    Ok(())
}
