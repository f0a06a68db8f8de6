//! `tally-train`: arguments in, a model version in the database and a report out.
//!
//! Exit code 2 means that the data or the arguments do not allow the training, and that nothing was stored for that
//! target, or that its model is stored but may not serve, since it fails a check; 1 means any other failure. With `--all`
//! both targets are trained, and 1 outweighs 2. A signal ends the training before its model is stored, or after.

use std::{
    fs,
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    pin::pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Parser;
use tally_model::{
    spec::{Spec, Target},
    time::Time,
    training::train::TrainingOptions,
};
use tally_service::{
    config::TrainArgs,
    failure::{FailsCheck, Failure, Interrupted, exit_code},
    histories::scan::Partition,
    lifecycle::training::{Trainer, TrainingJob},
    platform::{
        actor,
        blocking::Cores,
        clock::{Clock, check_system_clock, system_clock},
        error::Error,
        progress::{self, ProgressStep},
        shutdown, telemetry,
    },
    report,
};
use tally_store::Store;
use tally_terminal::{Interrupts, NewFile, StopSignal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let args = TrainArgs::parse();
    let log = args.log.start_without_slow_statements();
    let failures = run(&args).await.unwrap_or_else(|error| {
        telemetry::remark(&format!("error: {error}"));
        vec![error]
    });
    let codes: Vec<u8> = failures.iter().map(|failure| exit_code(&**failure)).collect();
    // An interruption outweighs a failure, and that a refusal.
    let code = codes.iter().find(|code| **code > 2).or(codes.iter().min()).copied().unwrap_or_default();
    drop(log);
    // Without waiting for threads that go on computing after a signal.
    process::exit(code.into());
}

/// Trains the targets that are asked for and returns the failures.
async fn run(args: &TrainArgs) -> Result<Vec<Failure>, Failure> {
    check_system_clock()?;
    let interrupts = Interrupts::listen()?;
    let spec = args.read_spec()?;
    let clock = Arc::new(Clock::new(system_clock));
    let as_of = as_of(args, clock.now())?;
    // A file that cannot be written must not have cost a model.
    let outputs = Outputs::open(args)?;
    // Only a server creates a database: a misspelt name must not become an empty one.
    let store = tally_store::open_with(&args.database, args.pool.open_options(false)).await?.patient();
    let failures = train_all(args, Arc::clone(&store), (spec, clock, as_of), outputs, &interrupts).await;
    shutdown::close(&*store).await;
    Ok(failures)
}

/// Trains the targets one after the other, until all are done or a signal comes, and returns the failures.
async fn train_all(
    args: &TrainArgs,
    store: Arc<dyn Store>,
    (spec, clock, as_of): (Spec, Arc<Clock>, Time),
    mut outputs: Outputs,
    interrupts: &Interrupts,
) -> Vec<Failure> {
    let storing = Arc::new(AtomicBool::new(false));
    let (terminal, stores) = (progress::on_terminal(), Arc::clone(&storing));
    let progress = Arc::new(move |step| {
        stores.store(matches!(step, ProgressStep::Store), Ordering::Relaxed);
        terminal(step);
    });
    let trainer = Trainer { store, clock, actor: actor::of_this_process(), progress, cores: Cores::all() };
    let mut failures = Vec::new();
    for target in args.targets() {
        let job = TrainingJob {
            target,
            as_of,
            spec: spec.clone(),
            options: TrainingOptions { split: args.split.into(), seed: args.seed },
            promote: args.promote,
            partition: Partition { number: 0, of: args.one_in },
            by: args.by.clone(),
        };
        let mut training = pin!(train(args, &trainer, job, mem::take(&mut outputs)));
        let trained = tokio::select! {
            biased;
            trained = &mut training => trained,
            signal = interrupts.received() => match storing.load(Ordering::Relaxed) {
                true => training.await,
                false => Err(interrupted(signal, target)),
            },
        };
        if let Err(error) = trained {
            telemetry::remark(&format!("error: {target}: {error}"));
            let ends = error.is::<Interrupted>();
            failures.push(error);
            if ends {
                break;
            }
        }
    }
    failures
}

fn interrupted(signal: StopSignal, target: Target) -> Failure {
    Interrupted { signal, state: format!("no {target} model is stored by this training") }.into()
}

fn as_of(args: &TrainArgs, now: Time) -> Result<Time, Error> {
    match args.as_of {
        Some(as_of) if as_of > now => {
            let message = format!("{as_of} lies in the future; allowed is up to now, {now}");
            Err(Error::invalid("--as-of", message))
        }
        as_of => Ok(as_of.unwrap_or(now)),
    }
}

/// The files that a training writes.
#[derive(Default)]
struct Outputs {
    report: Option<NewFile>,
    matrix: Option<NewFile>,
}

impl Outputs {
    fn open(args: &TrainArgs) -> Result<Self, Error> {
        check_outputs(args)?;
        let open = |flag: &str, path: &Option<PathBuf>| {
            let open = |path: &PathBuf| {
                NewFile::create(path)
                    .map_err(|error| Error::invalid(flag, format!("{}: {error}", path.display())))
            };
            path.as_ref().map(open).transpose()
        };
        let (report, matrix) = (&args.report_out, &args.matrix_out);
        Ok(Self { report: open("--report-out", report)?, matrix: open("--matrix-out", matrix)? })
    }
}

/// Checks that an output replaces neither the database, nor the spec, nor the other output.
fn check_outputs(args: &TrainArgs) -> Result<(), Error> {
    // The same file by another name or a link is the same.
    let own = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut taken: Vec<(PathBuf, &str)> =
        tally_store::files(&args.database)?.iter().map(|file| (own(file), "the database")).collect();
    taken.extend(args.spec.iter().map(|spec| (own(spec), "--spec")));
    for (flag, path) in [("--report-out", &args.report_out), ("--matrix-out", &args.matrix_out)] {
        let Some(path) = path else { continue };
        if let Some((_, what)) = taken.iter().find(|(file, _)| *file == own(path)) {
            return Err(Error::invalid(flag, format!("{} is the file of {what}", path.display())));
        }
        taken.push((own(path), flag));
    }
    Ok(())
}

/// Trains a model and reports on it. Fails, too, when it was not promoted because it fails a check.
async fn train(
    args: &TrainArgs,
    trainer: &Trainer,
    job: TrainingJob,
    Outputs { report, matrix }: Outputs,
) -> Result<(), Failure> {
    let result = trainer.train(job, matrix).await?;
    let (name, stopped_by_checks) = (result.name, result.verdict.stopped_by_checks);
    match tally_terminal::print_wrapped(&report::text::render(&result, tally_terminal::columns())) {
        // Who reads no further has read enough; the model is stored.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    if let Some(mut file) = report {
        let page = args.report_out.as_ref().is_some_and(|path| report::page::is_page(path));
        // Names and values are the customers' data.
        let report = match page {
            true => tally_terminal::lines_printable(&report::page::render(result)?),
            false => tally_terminal::json_escaped(&report::json::render(&result)?),
        };
        file.write_all(report.as_bytes())?;
        file.finish()?;
    }
    match stopped_by_checks {
        true => Err(FailsCheck(name).into()),
        false => Ok(()),
    }
}
