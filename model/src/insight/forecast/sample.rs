//! What a forecast is made of, and what came, collected from the histories of customers.

use super::{
    FORECAST_STEP_DAYS, Forecast, ForecastMeasure, ForecastRow, PAST_STEPS, interval,
    markov::{STAGES, TransitionCounts},
    purchases::{StepSums, Steps, sort, sums},
    stages::stages,
};
use crate::{
    history::{History, kind},
    insight::{BacktestBasis, BuyerPurchases, Facts, LifeCycle, Population},
    time::Time,
};

/// The customers at a moment, as far as a forecast follows from them. Those of parts of the customers are merged.
#[derive(Clone, Debug, Default)]
pub struct ForecastSample {
    buyers: Vec<BuyerPurchases>,
    transitions: TransitionCounts,
    stages: [u64; STAGES],
}

impl ForecastSample {
    /// Adds a customer, if it existed at the moment of `population`, by what is known at `known_at`.
    pub fn add(&mut self, history: &History, known_at: Time, population: &Population) {
        let as_of = population.as_of;
        let Some(facts) = Facts::of(history, as_of, known_at, &population.spec) else { return };
        self.buyers.extend(BuyerPurchases::of(&facts, as_of));
        let moments: Vec<Time> = (-PAST_STEPS..=0).map(|step| boundary(as_of, step)).collect();
        let stages = stages(history, &moments, known_at, population);
        self.transitions.add(&stages);
        if let Some(Some(stage)) = stages.last() {
            self.stages[*stage as usize] += 1;
        }
    }

    /// Adds other customers.
    pub fn merge(&mut self, other: Self) {
        self.buyers.extend(other.buyers);
        self.transitions.merge(&other.transitions);
        self.stages.iter_mut().zip(other.stages).for_each(|(count, other)| *count += other);
    }

    /// What a forecast of so many steps that are over now is fitted to.
    #[must_use]
    pub fn basis(&self, steps: u32) -> BacktestBasis {
        BacktestBasis::of(self.buyers.iter(), FORECAST_STEP_DAYS * i64::from(steps))
    }

    /// The forecast of the steps after the moment of `population`, with its value model.
    #[must_use]
    pub fn forecast(mut self, population: &Population, steps: u32) -> Forecast {
        let counts = self.transitions.forecast(self.stages, steps as usize);
        sort(&mut self.buyers);
        let divided = Steps::new(steps);
        let [sums, whole] = [divided, divided.as_one()]
            .map(|steps| sums(&population.value, &self.buyers, steps).unwrap_or_default());
        let span = |from: u32, to: u32| [from, to].map(|step| boundary(population.as_of, i64::from(step)));
        let mut rows = Vec::new();
        for (step, counts) in (1..=steps).zip(counts) {
            let [from, to] = span(step - 1, step);
            rows.extend(
                sums.get(step as usize - 1).into_iter().flat_map(|sums| business(step, [from, to], sums)),
            );
            rows.extend(LifeCycle::ALL.into_iter().zip(counts).map(|(stage, count)| ForecastRow {
                step,
                from,
                to,
                measure: ForecastMeasure::Stage(stage),
                value: count.expected,
                interval: interval(count.expected, count.variance),
            }));
        }
        let totals = whole.iter().flat_map(|sums| business(0, span(0, steps), sums)).collect();
        let steps_to_loss = LifeCycle::ALL.into_iter().zip(self.transitions.steps_to_loss()).collect();
        Forecast { rows, totals, transitions: self.transitions.transitions(), steps_to_loss }
    }
}

/// The rows of purchases and revenue of a step.
fn business(step: u32, [from, to]: [Time; 2], sums: &StepSums) -> [ForecastRow; 2] {
    let of = [(ForecastMeasure::Purchases, sums.purchases), (ForecastMeasure::Revenue, sums.revenue)];
    of.map(|(measure, sum)| ForecastRow {
        step,
        from,
        to,
        measure,
        value: sum.expected,
        interval: interval(sum.expected, sum.variance),
    })
}

/// What the customers of a moment did in the steps after it. What parts of the customers did is merged.
#[derive(Clone, Debug)]
pub struct ForecastActual(Vec<ActualStep>);

#[derive(Clone, Copy, Debug, Default)]
struct ActualStep {
    purchases: i128,
    revenue: i128,
    stages: [u64; STAGES],
}

impl ForecastActual {
    /// Of nobody in this many steps.
    #[must_use]
    pub fn new(steps: u32) -> Self {
        Self(vec![ActualStep::default(); steps as usize])
    }

    /// Adds a customer, if it existed at the moment of `population`, by what is known at `known_at`. Purchases count when
    /// it had bought by then.
    pub fn add(&mut self, history: &History, known_at: Time, population: &Population) {
        let as_of = population.as_of;
        let moments: Vec<Time> = (0..=self.0.len() as i64).map(|step| boundary(as_of, step)).collect();
        let stages = stages(history, &moments, known_at, population);
        let Some(Some(now)) = stages.first() else { return };
        for (step, stage) in self.0.iter_mut().zip(stages.iter().skip(1)) {
            if let Some(stage) = stage {
                step.stages[*stage as usize] += 1;
            }
        }
        if *now != LifeCycle::Lead {
            self.add_purchases(history, known_at, &moments);
        }
    }

    /// Adds the purchases between the moments, and of their days those that are new.
    fn add_purchases(&mut self, history: &History, known_at: Time, moments: &[Time]) {
        let (Some(purchase), Some(until)) = (history.kind_slot(kind::PURCHASE), moments.last()) else {
            return;
        };
        let mut last_day = None;
        for event in history.visible(*until, known_at).filter(|event| event.kind == purchase) {
            let day = event.occur_time.day_number();
            let is_new_day = last_day.replace(day) != Some(day);
            let step = moments.partition_point(|moment| *moment < event.occur_time);
            if let Some(step) = step.checked_sub(1).and_then(|step| self.0.get_mut(step)) {
                step.purchases += i128::from(is_new_day);
                step.revenue += i128::from(event.amount_minor.unwrap_or(0));
            }
        }
    }

    /// Adds what other customers did.
    pub fn merge(&mut self, other: &Self) {
        for (step, other) in self.0.iter_mut().zip(&other.0) {
            step.purchases += other.purchases;
            step.revenue += other.revenue;
            step.stages.iter_mut().zip(other.stages).for_each(|(count, other)| *count += other);
        }
    }

    /// What came of a row; None when its step is not one of these.
    #[must_use]
    pub fn of(&self, row: &ForecastRow) -> Option<f64> {
        let steps = match row.step.checked_sub(1) {
            Some(step) => std::slice::from_ref(self.0.get(step as usize)?),
            None => &self.0[..],
        };
        Some(match row.measure {
            ForecastMeasure::Purchases => steps.iter().map(|step| step.purchases).sum::<i128>() as f64,
            ForecastMeasure::Revenue => steps.iter().map(|step| step.revenue).sum::<i128>() as f64,
            // Customers are counted at an end.
            ForecastMeasure::Stage(stage) => steps.last()?.stages[stage as usize] as f64,
        })
    }
}

/// The end of a step, counted from `as_of`.
fn boundary(as_of: Time, step: i64) -> Time {
    as_of.plus_days(step * FORECAST_STEP_DAYS)
}
