//! `tally jobs`: what the servers do by themselves, when, and what came of it.

use jiff::{SignedDuration, Timestamp};
use tally_proto::v1::{Job, JobRun, JobRunState, ListJobsRequest, ListJobsResponse};

use crate::{
    args::JobsCommand,
    connection::Connection,
    environment::system_clock,
    error::ClientError,
    output::{self, DASH, cut, datetime, narrow_table, narrow_text, printable},
};

/// The most columns of the name of a server.
const SERVER: usize = 38;
/// What the page says when no server has ever run a job.
const NONE: &str = "no jobs: no server has run with --score-every or --train-every yet";
/// What the contract says of a model that a training did not make the champion.
const NOT_SERVING: &str = " is stored and does not serve: ";
/// A run that is due for longer than this is overdue: servers look for jobs every second, and clocks differ.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// What the page says of overdue jobs. A server is also busy with another job for a while.
const OVERDUE: &str = "overdue: no server with the flag of the job is up, all of them run another job, or there are no \
                       customers yet";

/// Runs a command about jobs.
pub(crate) async fn run(server: &Connection, command: &JobsCommand, json: bool) -> Result<(), ClientError> {
    let JobsCommand::List { runs } = command;
    let request = ListJobsRequest { max_runs: *runs };
    let reply = server.insights().list_jobs(request).await.map_err(|status| server.error(&status))?;
    let now = system_clock();
    Ok(output::show(reply.get_ref(), json, |reply| page(reply, now))?)
}

fn page(reply: &ListJobsResponse, now: Timestamp) -> String {
    if reply.jobs.is_empty() {
        return NONE.to_owned();
    }
    let header = ["job", "every", "state", "next due", "last success"];
    let jobs = narrow_table(&header, &[1], reply.jobs.iter().map(|job| job_row(job, now)));
    let overdue = reply.jobs.iter().any(|job| is_overdue(job, now)).then(|| narrow_text(OVERDUE));
    let runs = reply.jobs.iter().filter(|job| !job.runs.is_empty()).map(runs);
    [jobs].into_iter().chain(overdue).chain(runs).collect::<Vec<_>>().join("\n\n")
}

/// Whether a job should run and does not.
fn is_overdue(job: &Job, now: Timestamp) -> bool {
    let due = job.next_due_time.and_then(|due| Timestamp::new(due.seconds, due.nanos).ok());
    !job.running && due.is_some_and(|due| now.duration_since(due) > OVERDUE_AFTER)
}

fn job_row(job: &Job, now: Timestamp) -> Vec<String> {
    let waits = if is_overdue(job, now) { "overdue" } else { "waits" };
    let state = match (job.running, job.retries) {
        (true, _) => "runs now".to_owned(),
        (false, 0) => waits.to_owned(),
        (false, retries) => format!("{waits} after {retries} without success"),
    };
    vec![
        cut(&job.job, SERVER),
        every(job.interval_seconds),
        state,
        datetime(job.next_due_time.as_ref()),
        job.last_success_time.as_ref().map_or_else(|| DASH.to_owned(), |time| datetime(Some(time))),
    ]
}

/// The runs of a job, and below them what came of the last one, and why the last model that does not serve does not.
fn runs(job: &Job) -> String {
    let header = [job.job.as_str(), "took", "state", "server"];
    let mut text = narrow_table(&header, &[1], job.runs.iter().map(run_row));
    let last = job.runs.iter().position(|run| !run.result.is_empty());
    let not_serving = job.runs.iter().position(|run| run.result.contains(NOT_SERVING));
    let shown = job.runs.iter().enumerate().filter(|(n, _)| [last, not_serving].contains(&Some(*n)));
    let result =
        |(_, run): (_, &JobRun)| format!("{}: {}", datetime(run.start_time.as_ref()), printable(&run.result));
    let results: Vec<String> = shown.map(result).collect();
    if !results.is_empty() {
        text.push_str(&format!("\n\n{}", narrow_text(&results.join("\n"))));
    }
    text
}

fn run_row(run: &JobRun) -> Vec<String> {
    vec![
        datetime(run.start_time.as_ref()),
        run.duration_seconds.map_or_else(|| DASH.to_owned(), took),
        state(run),
        cut(&run.server, SERVER),
    ]
}

/// How a run ended; of a training also that its model does not serve.
fn state(run: &JobRun) -> String {
    let name = run.state().as_str_name().trim_start_matches("JOB_RUN_STATE_").to_lowercase();
    match run.state() {
        JobRunState::Unspecified => DASH.to_owned(),
        JobRunState::Succeeded if run.result.contains(NOT_SERVING) => format!("{name}, does not serve"),
        _ => name.replace('_', " "),
    }
}

/// An interval in the largest unit that divides it, as the flags of the server take it.
fn every(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// How long a run took.
fn took(seconds: f64) -> String {
    match seconds as u64 {
        ..60 => format!("{seconds:.1} s"),
        whole @ ..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    fn moment(text: &str) -> Option<prost_types::Timestamp> {
        Some(time::timestamp(time::parse(text).unwrap()))
    }

    /// When the jobs of the tests are due.
    fn due() -> Timestamp {
        time::parse("2026-07-07T06:00:00Z").unwrap()
    }

    /// A moment before that.
    fn in_time() -> Timestamp {
        due() - SignedDuration::from_secs(1)
    }

    fn ended(state: JobRunState, seconds: f64, result: &str) -> JobRun {
        JobRun {
            state: state.into(),
            start_time: moment("2026-06-30T06:00:01.5Z"),
            end_time: moment("2026-06-30T06:02:11Z"),
            duration_seconds: Some(seconds),
            result: result.to_owned(),
            server: "tally@crm-1, process 4711".to_owned(),
        }
    }

    fn training(name: &str, running: bool, retries: i64, runs: Vec<JobRun>) -> Job {
        Job {
            job: name.to_owned(),
            interval_seconds: 604_800,
            next_due_time: moment("2026-07-07T06:00:00Z"),
            running,
            retries,
            last_success_time: None,
            runs,
        }
    }

    #[test]
    fn jobs_and_their_runs_are_tables() {
        let running =
            JobRun { end_time: None, duration_seconds: None, ..ended(JobRunState::Running, 0.0, "") };
        let lack = "0 snapshots: 50 of either outcome are needed; known at 2026-06-30T06:00:01Z of 3 customers are 5 \
                    visit, the first of 2026-06-01, the last of 2026-06-29";
        let insights = Job {
            interval_seconds: 21_600,
            last_success_time: moment("2026-06-30T06:02:11Z"),
            ..training(
                "insights",
                false,
                0,
                vec![ended(
                    JobRunState::Succeeded,
                    129.5,
                    "insights of 3000 customers as of 2026-06-30T06:00:01Z",
                )],
            )
        };
        let refused = "lead/2 is stored and does not serve: no better than lead/1; the champion stays";
        let lead = vec![
            running,
            ended(JobRunState::NotEnoughData, 2.25, lack),
            ended(JobRunState::Succeeded, 61.0, refused),
        ];
        let churn = vec![ended(JobRunState::Interrupted, 7_385.0, "its server was stopped")];
        let jobs =
            vec![insights, training("train-churn", false, 2, churn), training("train-lead", true, 1, lead)];
        insta::assert_snapshot!(page(&ListJobsResponse { jobs }, in_time()), @r"
        job          every  state                          next due              last success
        ──────────────────────────────────────────────────────────────────────────────────────────────
        insights        6h  waits                          2026-07-07T06:00:00Z  2026-06-30T06:02:11Z
        train-churn     7d  waits after 2 without success  2026-07-07T06:00:00Z  –
        train-lead      7d  runs now                       2026-07-07T06:00:00Z  –

        insights                    took  state      server
        ───────────────────────────────────────────────────────────────────────
        2026-06-30T06:00:01Z  2 min 09 s  succeeded  tally@crm-1, process 4711

        2026-06-30T06:00:01Z: insights of 3000 customers as of 2026-06-30T06:00:01Z

        train-churn                 took  state        server
        ─────────────────────────────────────────────────────────────────────────
        2026-06-30T06:00:01Z  2 h 03 min  interrupted  tally@crm-1, process 4711

        2026-06-30T06:00:01Z: its server was stopped

        train-lead                  took  state                      server
        ───────────────────────────────────────────────────────────────────────────────────────
        2026-06-30T06:00:01Z           –  running                    tally@crm-1, process 4711
        2026-06-30T06:00:01Z       2.2 s  not enough data            tally@crm-1, process 4711
        2026-06-30T06:00:01Z  1 min 01 s  succeeded, does not serve  tally@crm-1, process 4711

        2026-06-30T06:00:01Z: 0 snapshots: 50 of either outcome are needed; known at 2026-06-30T06:00:01Z
          of 3 customers are 5 visit, the first of 2026-06-01, the last of 2026-06-29
        2026-06-30T06:00:01Z: lead/2 is stored and does not serve: no better than lead/1; the champion
          stays
        ");
    }

    #[test]
    fn a_job_that_should_run_and_does_not_is_overdue() {
        let jobs = vec![
            training("insights", false, 0, Vec::new()),
            training("train-churn", false, 2, Vec::new()),
            training("train-lead", true, 0, Vec::new()),
        ];
        let reply = ListJobsResponse { jobs };
        assert!(!page(&reply, due() + OVERDUE_AFTER).contains("overdue"));
        insta::assert_snapshot!(page(&reply, due() + OVERDUE_AFTER + SignedDuration::from_secs(1)), @r"
        job          every  state                            next due              last success
        ────────────────────────────────────────────────────────────────────────────────────────
        insights        7d  overdue                          2026-07-07T06:00:00Z  –
        train-churn     7d  overdue after 2 without success  2026-07-07T06:00:00Z  –
        train-lead      7d  runs now                         2026-07-07T06:00:00Z  –

        overdue: no server with the flag of the job is up, all of them run another job, or there are no
          customers yet
        ");
    }

    #[test]
    fn long_names_fit() {
        let ended = |state, result: &str| JobRun { server: "h".repeat(300), ..ended(state, 3.5e6, result) };
        let refused = format!("churn/7 is stored and does not serve: {}", "word ".repeat(90));
        let runs = vec![ended(JobRunState::Failed, "word"), ended(JobRunState::Succeeded, &refused)];
        let jobs = vec![training("train-churn", false, i64::MAX, runs)];
        let text = page(&ListJobsResponse { jobs }, in_time());
        assert!(text.lines().all(|line| tally_terminal::width(line) <= 100), "{text}");
        assert_eq!(page(&ListJobsResponse::default(), in_time()), NONE);
    }

    #[test]
    fn intervals_are_written_as_the_flags_take_them() {
        assert_eq!([604_800, 21_600, 5_400, 601].map(every), ["7d", "6h", "90m", "601s"]);
        assert_eq!(
            [0.04, 59.9, 60.0, 3_599.9, 3_600.0].map(took),
            ["0.0 s", "59.9 s", "1 min 00 s", "59 min 59 s", "1 h 00 min"]
        );
    }
}
