//! Key figures: the histories of all customers are scanned, page by page, so that both databases give the same numbers
//! and merged and late data count as they do everywhere else. Who is lost depends on the typical interval, so that
//! figures that depend on losses take a scan before, which finds it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tally_model::{
    history::Packed,
    insight::{
        Figure, Interval, KpiCounter, KpiCounts, KpiFigures, KpiMetric, KpiQuestion, KpiSpans, Period,
        ReportPeriod, TypicalInterval, kpi_interval, kpi_warning,
    },
    time::Time,
};

use super::Insights;
use crate::{
    histories::scan::{CustomerScan, Partition, par_chunks},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// What is said where the revenue of a customer does not fit.
const REVENUE_IS_CUT: &str = "revenue_share_top_20: the revenue of a customer in a period is beyond the range of 64 bits, \
                              9223372036854775807 minor units; the end of the range is counted instead. Are its amounts right?";

/// What is asked for.
pub struct KpiRequest {
    /// The key figures, in the order in which they are reported.
    pub metrics: Vec<&'static KpiMetric>,
    /// The periods.
    pub periods: Vec<ReportPeriod>,
    /// How time is divided, and where.
    pub period: Period,
    /// The time zone of the periods.
    pub zone: TimeZone,
    /// Only what happened before this moment counts.
    pub before: Time,
    /// Only what is known at this moment counts.
    pub known_at: Time,
    /// How many customers the market has; 0 if unknown.
    pub market_size: i64,
}

/// The answer.
pub struct KpiReport {
    /// By period, then in the order of the metrics.
    pub rows: Vec<KpiRow>,
    /// The typical interval as of the end of the range.
    pub typical_interval: Interval,
    /// What makes values questionable.
    pub warnings: Vec<String>,
}

/// A key figure of a period.
pub struct KpiRow {
    /// Which one.
    pub metric: &'static KpiMetric,
    /// Of which period.
    pub period: ReportPeriod,
    /// Its value.
    pub figure: Figure,
    /// The value of the period before.
    pub previous: Option<f64>,
    /// The value of the same period of the year before.
    pub year_before: Option<f64>,
}

/// What some customers add.
struct Counted {
    counts: KpiCounts,
    /// Their own intervals, where they are asked for.
    intervals: Vec<Interval>,
}

impl Insights {
    /// Key figures of periods, after the writes that are in flight.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn kpis(&self, request: KpiRequest) -> Result<KpiReport> {
        let configured = match self.spec.life_cycle.typical_interval_days {
            TypicalInterval::Auto => None,
            TypicalInterval::Days(days) => Some(Interval::days(days)),
        };
        if request.periods.is_empty() {
            // Nothing was bought before the end of the range.
            let typical_interval = configured.unwrap_or(Interval::DEFAULT);
            return Ok(KpiReport { rows: Vec::new(), typical_interval, warnings: Vec::new() });
        }
        self.scoring.wait_for_writes().await;
        let needed = request.metrics.iter().any(|metric| metric.needs_typical_interval());
        let typical = match configured {
            None if needed => Some(self.typical_interval(&request).await?),
            configured => configured,
        };
        let question = Arc::new(KpiQuestion {
            spans: KpiSpans::new(&request.periods, request.period, &request.zone),
            before: request.before,
            known_at: request.known_at,
            // Without one, no figure depends on it.
            typical: typical.unwrap_or(Interval::DEFAULT),
            spec: (*self.spec).clone(),
            keep_revenues: request.metrics.iter().any(|metric| metric.needs_revenues()),
        });
        let Counted { counts, intervals } = self.count(&question, typical.is_none()).await?;
        let typical_interval = typical.unwrap_or_else(|| median_or_default(intervals));
        let cut = counts.is_cut().then(|| REVENUE_IS_CUT.to_owned());
        let warnings =
            kpi_warning(&request.periods, self.first_purchase().await?).into_iter().chain(cut).collect();
        let rows = run_blocking(move || rows(&request, &question, counts)).await?;
        Ok(KpiReport { rows, typical_interval, warnings })
    }

    /// The median interval of the customers.
    async fn typical_interval(&self, request: &KpiRequest) -> Result<Interval> {
        let (before, known_at) = (request.before, request.known_at);
        let intervals = self.fold(
            Vec::new(),
            move |customers| intervals(customers, before, known_at),
            |all: &mut Vec<Interval>, some| all.extend(some),
        );
        Ok(median_or_default(intervals.await?))
    }

    /// Counts all customers, and collects their intervals if they are wanted.
    async fn count(&self, question: &Arc<KpiQuestion>, with_intervals: bool) -> Result<Counted> {
        let nobody = Counted { counts: KpiCounts::new(&question.spans), intervals: Vec::new() };
        let question = Arc::clone(question);
        let count = move |customers: &[(String, Packed)]| {
            let mut counter = KpiCounter::new(&question);
            for (_, history) in customers {
                history.with(|history| counter.add(history))?;
            }
            let intervals = match with_intervals {
                true => intervals(customers, question.before, question.known_at)?,
                false => Vec::new(),
            };
            Ok(Counted { counts: counter.finish(), intervals })
        };
        let merge = |all: &mut Counted, some: Counted| {
            all.counts.merge(some.counts);
            all.intervals.extend(some.intervals);
        };
        self.fold(nobody, count, merge).await
    }

    /// Scans all customers: merges what `work` makes of some of them into `all`, in the order of their ids.
    async fn fold<T: Send + 'static>(
        &self,
        mut all: T,
        work: impl Fn(&[(String, Packed)]) -> Result<T> + Send + Sync + 'static,
        merge: fn(&mut T, T),
    ) -> Result<T> {
        let work = Arc::new(work);
        let mut scan = CustomerScan::new(Arc::clone(&self.store), Partition::WHOLE);
        while let Some(page) = scan.next().await? {
            let work = Arc::clone(&work);
            let added = run_blocking(move || {
                for part in par_chunks(&page.histories, |customers| work(customers)) {
                    merge(&mut all, part?);
                }
                Ok::<T, Error>(all)
            });
            all = added.await??;
        }
        Ok(all)
    }
}

/// The intervals of the customers that have one.
fn intervals(customers: &[(String, Packed)], before: Time, known_at: Time) -> Result<Vec<Interval>> {
    let mut intervals = Vec::new();
    for (_, history) in customers {
        intervals.extend(history.with(|history| kpi_interval(history, before, known_at))?);
    }
    Ok(intervals)
}

fn median_or_default(intervals: Vec<Interval>) -> Interval {
    Interval::median(intervals).unwrap_or(Interval::DEFAULT)
}

/// The rows of all periods.
fn rows(request: &KpiRequest, question: &KpiQuestion, counts: KpiCounts) -> Vec<KpiRow> {
    let figures = KpiFigures::new(&question.spans, counts, request.market_size);
    let mut rows = Vec::with_capacity(request.periods.len() * request.metrics.len());
    for period in &request.periods {
        let own = figures.of(&request.metrics, period.counted);
        let [previous, year_before] = [period.previous, period.year_before]
            .map(|span| span.map(|span| figures.of(&request.metrics, span)).unwrap_or_default());
        for (n, (metric, figure)) in request.metrics.iter().zip(own).enumerate() {
            let value = |figures: &[Figure]| figures.get(n).and_then(|figure| figure.value);
            rows.push(KpiRow {
                metric,
                period: period.clone(),
                figure,
                previous: value(&previous),
                year_before: value(&year_before),
            });
        }
    }
    rows
}
