//! The forecast of the customers of a pass, and the same forecast made as many steps ago.

use std::sync::Arc;

use tally_model::{
    history::Packed,
    insight::{FORECAST_STEP_DAYS, Forecast, ForecastActual, ForecastRow, ForecastSample, Population},
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

/// A forecast of the past, beside what came.
pub struct ForecastBacktest {
    /// The moment of the forecast.
    pub as_of: Time,
    /// Each number that was expected, with the one that came.
    pub rows: Vec<(ForecastRow, f64)>,
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
            let rows = all.past.forecast(&past, steps).rows.into_iter();
            let rows = rows.filter_map(|row| Some((row, all.actual.of(&row)?))).collect();
            ForecastReport { pass, forecast, backtest: ForecastBacktest { as_of: past.as_of, rows } }
        })
        .await
    }
}
