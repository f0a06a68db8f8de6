//! The forecast of the customers of a pass, and the same forecast made as many steps ago.

use std::sync::Arc;

use tally_model::{
    counted,
    history::Packed,
    insight::{
        BacktestBasis, FORECAST_STEP_DAYS, Forecast, ForecastActual, ForecastMeasure, ForecastRow,
        ForecastSample, Population, failed_intervals, missed_forecast,
    },
    time::Time,
};
use tally_store::Pass;

use super::Insights;
use crate::{
    histories::scan::for_all_customers,
    platform::{blocking::run_blocking, error::Result},
};

/// A forecast of the customers of a pass.
pub struct ForecastReport {
    /// The pass.
    pub pass: Pass,
    /// What is expected.
    pub forecast: Forecast,
    /// The same in the past.
    pub backtest: ForecastBacktest,
}

impl ForecastReport {
    /// What makes the forecast questionable; empty when nothing does.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let ForecastBacktest { basis, rows, totals, .. } = &self.backtest;
        let (stages, business): (Vec<_>, Vec<_>) =
            rows.iter().partition(|(row, _)| matches!(row.measure, ForecastMeasure::Stage(_)));
        let population = &self.pass.population;
        let of_backtest = [
            // Without buyers, no purchases are expected that could be tested.
            basis.warning(fewer_steps).filter(|_| population.buyers() > 0),
            missed_forecast(totals),
            failed(&business, "numbers of purchase days and revenue"),
            failed(&stages, "numbers of customers by stage"),
        ];
        population.value.warnings().into_iter().chain(of_backtest.into_iter().flatten()).collect()
    }
}

/// How to hold out at most so many days of a forecast, see [`BacktestBasis::warning`].
fn fewer_steps(most_days: i64) -> Option<String> {
    let steps = most_days / FORECAST_STEP_DAYS;
    (steps > 0).then(|| format!("a forecast of at most {}", counted(steps, "step", "steps")))
}

/// The warning that the intervals of these rows failed, as far as they have any.
fn failed(rows: &[&(ForecastRow, f64)], what: &str) -> Option<String> {
    let judged = || rows.iter().filter_map(|(row, actual)| Some((row.step, row.interval?, *actual)));
    let inside = judged().filter(|(_, [lower, upper], actual)| lower <= actual && actual <= upper).count();
    // The steps of a measure rise and fall together.
    let measures = judged().filter(|(step, ..)| *step == 1).count();
    failed_intervals([inside as u64, judged().count() as u64], measures as u64, what)
}

/// A forecast of the past, beside what came.
pub struct ForecastBacktest {
    /// The moment of the forecast.
    pub as_of: Time,
    /// What it was made from.
    pub basis: BacktestBasis,
    /// Each number that was expected, with the one that came.
    pub rows: Vec<(ForecastRow, f64)>,
    /// The same of all steps together.
    pub totals: Vec<(ForecastRow, f64)>,
}

/// What both forecasts are made of.
#[derive(Clone)]
struct Parts {
    now: ForecastSample,
    past: ForecastSample,
    actual: ForecastActual,
}

impl Parts {
    fn new(steps: u32) -> Self {
        let (now, past) = (ForecastSample::default(), ForecastSample::default());
        Self { now, past, actual: ForecastActual::new(steps) }
    }

    fn of(
        customers: &[(String, Packed)],
        [now, past]: [&Population; 2],
        known_at: Time,
        steps: u32,
    ) -> Result<Self> {
        let mut parts = Self::new(steps);
        for (_, history) in customers {
            history.with(|history| {
                parts.now.add(history, known_at, now);
                parts.past.add(history, known_at, past);
                parts.actual.add(history, known_at, past);
            })?;
        }
        Ok(parts)
    }

    fn merge(&mut self, other: Self) {
        self.now.merge(other.now);
        self.past.merge(other.past);
        self.actual.merge(&other.actual);
    }
}

impl Insights {
    /// The forecast of `steps` steps after a pass.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forecast(&self, pass: Pass, steps: u32) -> Result<ForecastReport> {
        let past = pass.as_of.plus_days(-FORECAST_STEP_DAYS * i64::from(steps));
        let spec = Arc::new(pass.population.spec.clone());
        let past = Arc::new(self.population((past, pass.known_at), spec).await?);
        let now = Arc::new(pass.population.clone());
        let (known_at, of_now, of_past) = (pass.known_at, Arc::clone(&now), Arc::clone(&past));
        let part =
            move |customers: &[(String, Packed)]| Parts::of(customers, [&of_now, &of_past], known_at, steps);
        let mut all = Parts::new(steps);
        for_all_customers(&self.store, part, |part| all.merge(part)).await?;
        run_blocking(move || {
            let forecast = all.now.forecast(&now, steps);
            let basis = all.past.basis(steps);
            let expected = all.past.forecast(&past, steps);
            let [rows, totals] = [expected.rows, expected.totals]
                .map(|rows| rows.into_iter().filter_map(|row| Some((row, all.actual.of(&row)?))).collect());
            let backtest = ForecastBacktest { as_of: past.as_of, basis, rows, totals };
            ForecastReport { pass, forecast, backtest }
        })
        .await
    }
}
