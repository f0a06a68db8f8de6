//! `tally insights cohorts`: how many of those who first bought in a period bought again in later ones.

use tally_proto::v1::{CohortRow, GetCohortsRequest, GetCohortsResponse};

use super::periods::{Names, PARTIAL, Range};
use crate::{
    args::RangeArgs,
    connection::Connection,
    error::ClientError,
    output::{self, DASH, count, counted, fits, narrow_table, narrow_text},
};

/// Prints the cohorts.
pub(super) async fn cohorts(server: &Connection, args: &RangeArgs, json: bool) -> Result<(), ClientError> {
    let Range { from_time, to_time, period, time_zone } = Range::of(args);
    let request = GetCohortsRequest { from_time, to_time, period, time_zone };
    let reply = server.insights().get_cohorts(request).await.map_err(|status| server.error(&status))?;
    Ok(output::show(reply.get_ref(), json, |reply| page(reply, &Names::of(args)))?)
}

/// A triangle: a row for each cohort, and in it the retention after each number of periods.
fn page(reply: &GetCohortsResponse, names: &Names) -> String {
    let cohorts: Vec<&[CohortRow]> =
        reply.rows.chunk_by(|one, next| one.cohort_start == next.cohort_start).collect();
    if cohorts.is_empty() {
        return "no customer first bought in this time".to_owned();
    }
    let most = cohorts.iter().map(|cohort| cohort.len()).max().unwrap_or_default();
    let indexes: Vec<String> = (0..most).map(|index| format!("{index} ")).collect();
    let mut header = vec!["cohort", "customers"];
    header.extend(indexes.iter().map(String::as_str));
    let mut rows: Vec<Vec<String>> = cohorts.iter().map(|cohort| row(cohort, names)).collect();
    let mut shown = most;
    while shown > 1 && !fits(&header, &rows) {
        shown -= 1;
        header.truncate(2 + shown);
        rows.iter_mut().for_each(|row| row.truncate(2 + shown));
    }
    let numbers: Vec<usize> = (1..header.len()).collect();
    let periods = names.plural();
    let mut notes = vec![format!(
        "percent of the customers of a cohort who bought so many {periods} after their first purchase"
    )];
    if reply.rows.iter().any(|row| row.partial) {
        notes.push(PARTIAL.to_owned());
    }
    if shown < most {
        let one = format!("more {} is left out", periods.trim_end_matches('s'));
        let many = format!("more {periods} are left out");
        notes.push(format!("{}; --json has all", counted((most - shown) as u64, &one, &many)));
    }
    format!("{}\n\n{}", narrow_table(&header, &numbers, rows), narrow_text(&notes.join("\n")))
}

fn row(cohort: &[CohortRow], names: &Names) -> Vec<String> {
    let first = cohort.first().copied().unwrap_or_default();
    let mut row = vec![names.name(first.cohort_start.as_ref(), None, false), count(first.customers)];
    row.extend(cohort.iter().map(cell));
    row
}

/// The retention in whole percent.
fn cell(row: &CohortRow) -> String {
    let percent = row.retention.map(|retention| (retention * 100.0, retention > 0.0));
    let percent = match percent {
        None => DASH.to_owned(),
        Some((percent, true)) if percent < 0.5 => "<1".to_owned(),
        Some((percent, _)) => format!("{percent:.0}"),
    };
    // A space keeps the digits below each other.
    format!("{percent}{}", if row.partial { "*" } else { " " })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        args::{Args, Command, InsightsCommand},
        insights::samples::{assert_fits, moment},
    };

    fn months() -> Names {
        let args = Args::try_parse_from(["tally", "insights", "cohorts"]).unwrap();
        let Command::Insights(InsightsCommand::Cohorts(range)) = args.command else { panic!("{args:?}") };
        Names::of(&range)
    }

    /// A row for each period from that of the cohort to month `periods`, of which the last is partial.
    fn cohort(first: i32, periods: i32, customers: i64) -> Vec<CohortRow> {
        let month = |n: i32| moment(&format!("{}-{:02}-01", 2010 + n / 12, n % 12 + 1));
        let row = |index: i32| {
            let active = customers / i64::from(index + 1);
            CohortRow {
                cohort_start: month(first),
                period_index: index,
                period_start: month(first + index),
                partial: first + index + 1 == periods,
                customers,
                active,
                retention: (customers > 0).then(|| active as f64 / customers as f64),
                ..CohortRow::default()
            }
        };
        (0..periods - first).map(row).collect()
    }

    fn triangle(periods: i32, customers: i64) -> GetCohortsResponse {
        let rows = (0..periods).flat_map(|first| cohort(first, periods, customers)).collect();
        GetCohortsResponse { rows, ..GetCohortsResponse::default() }
    }

    #[test]
    fn cohorts_are_a_triangle() {
        let mut reply = triangle(4, 1_234);
        reply.rows[2].retention = Some(0.001);
        reply.rows[8].retention = None;
        insta::assert_snapshot!(page(&reply, &months()), @r"
        cohort   customers    0    1    2    3
        ────────────────────────────────────────
        2010-01      1,234  100   50   <1   25*
        2010-02      1,234  100   50   33*
        2010-03      1,234  100    –*
        2010-04      1,234  100*

        percent of the customers of a cohort who bought so many months after their first purchase
        * not over yet, or cut by the beginning or the end of the report
        ");
    }

    #[test]
    fn periods_without_room_are_counted() {
        for (periods, customers) in [(30, 1_234), (30, i64::MAX), (999, 3)] {
            let reply = GetCohortsResponse { rows: cohort(0, periods, customers), ..Default::default() };
            let text = page(&reply, &months());
            assert_fits(&text);
            let header = text.lines().next().unwrap();
            let shown = header.split_whitespace().count() - 2;
            assert!(
                shown > 5 && text.contains(&format!("{} more months", periods as usize - shown)),
                "{text}"
            );
        }
        assert!(!page(&triangle(12, 1_234), &months()).contains("left out"));
    }

    #[test]
    fn no_cohort_is_a_sentence() {
        assert_eq!(page(&GetCohortsResponse::default(), &months()), "no customer first bought in this time");
    }
}
