//! The value model of a pass, and how the one of a horizon ago did.

use tally_model::{
    history::{History, Packed, kind},
    insight::{
        BacktestBasis, BuyerPurchases, Facts, InsightSpec, ValueModel, ValueSample, failed_intervals,
        missed_total, no_backtest, shorter_horizon,
    },
    time::{DAY, Time},
};
use tally_store::Pass;

use super::Insights;
use crate::{
    histories::scan::{for_all_customers, par_chunks},
    platform::{blocking::run_blocking, error::Result},
};

/// The value model of a pass.
pub struct ValueReport {
    /// The pass, which has the model.
    pub pass: Pass,
    /// How the model of a horizon ago did; None when it could not be fitted then.
    pub backtest: Option<Backtest>,
    /// The days up to the pass since the first purchase; 0 without one.
    pub known_days: i64,
}

impl ValueReport {
    /// What makes the lifetime values questionable; empty when nothing does.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let of_backtest = self.backtest.iter().flat_map(|backtest| {
            let counts = [backtest.inside, backtest.customers];
            [
                backtest.basis.warning(shorter_horizon),
                missed_total([backtest.expected, backtest.actual], backtest.squares),
                failed_intervals(counts, backtest.customers, "buyers"),
            ]
        });
        let population = &self.pass.population;
        let lacks_backtest = self.backtest.is_none() && population.value.bg_nbd.is_usable();
        let without =
            lacks_backtest.then(|| no_backtest(population.value.spec.horizon_days.into(), self.known_days));
        let of_model = population.value.warnings().into_iter().chain(of_backtest.flatten()).chain(without);
        of_model.chain(population.margin_warning()).collect()
    }
}

/// What a model expected, beside what came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backtest {
    /// The moment of the model.
    pub as_of: Time,
    /// What the model was fitted to.
    pub basis: BacktestBasis,
    /// The buyers of that time.
    pub customers: u64,
    /// The sum of their lifetime values, in minor units.
    pub expected: f64,
    /// What their purchases brought in the horizon, with margin and discount.
    pub actual: f64,
    /// The sum of the squares of what each of them brought beside its lifetime value.
    pub squares: f64,
    /// How many of them brought what is inside their interval.
    pub inside: u64,
}

/// The buyers of a past moment, and what each of them has brought since.
#[derive(Default)]
struct PastBuyers {
    sample: ValueSample,
    /// Each buyer with the discounted sum of what it has paid within the horizon.
    since: Vec<(BuyerPurchases, f64)>,
}

impl Insights {
    /// The value model of a pass.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn value_model(&self, pass: Pass) -> Result<ValueReport> {
        let past = pass.as_of.plus_days(-i64::from(pass.population.spec.value.horizon_days));
        let backtest = self.backtest(past, &pass).await?;
        let first = self.first_purchase().await?;
        let known_days = first.map_or(0.0, |first| pass.as_of.days_since(first).max(0.0)) as i64;
        Ok(ValueReport { pass, backtest, known_days })
    }

    /// Fits the model to what had happened by `past`, and compares it with what has happened since, by what is known to
    /// the pass.
    async fn backtest(&self, past: Time, pass: &Pass) -> Result<Option<Backtest>> {
        let (until, known_at) = (pass.as_of, pass.known_at);
        let spec = pass.population.spec.clone();
        let part =
            move |customers: &[(String, Packed)]| PastBuyers::of(customers, (past, until, known_at), &spec);
        let mut buyers = PastBuyers::default();
        let merge = |part: PastBuyers| {
            buyers.sample.merge(part.sample);
            buyers.since.extend(part.since);
        };
        for_all_customers(&self.store, part, merge).await?;
        let spec = pass.population.spec.clone();
        run_blocking(move || buyers.backtest(past, &spec)).await
    }
}

impl PastBuyers {
    fn of(
        customers: &[(String, Packed)],
        (past, until, known_at): (Time, Time, Time),
        spec: &InsightSpec,
    ) -> Result<Self> {
        let mut buyers = Self::default();
        for (_, history) in customers {
            history.with(|history| {
                let Some(facts) = Facts::of(history, past, known_at, spec) else { return };
                buyers.sample.add(&facts, past);
                if let Some(buyer) = BuyerPurchases::of(&facts, past) {
                    buyers.since.push((buyer, paid_since(history, (past, until, known_at), spec)));
                }
            })?;
        }
        Ok(buyers)
    }

    fn backtest(self, past: Time, spec: &InsightSpec) -> Option<Backtest> {
        let model = ValueModel::fit(&self.sample, &spec.value);
        let value = model.prepared();
        let held_out_days = i64::from(spec.value.horizon_days);
        let basis = BacktestBasis::of(self.since.iter().map(|(buyer, _)| buyer), held_out_days);
        let (expected, actual, squares) = (0.0, 0.0, 0.0);
        let nobody = Backtest { as_of: past, basis, customers: 0, expected, actual, squares, inside: 0 };
        let compare = |buyers: &[(BuyerPurchases, f64)]| {
            let mut sums = nobody;
            for (buyer, paid) in buyers {
                let actual = model.margin_rate * paid;
                let expected = value.value(buyer)?.clv;
                sums.customers += 1;
                sums.expected += expected;
                sums.actual += actual;
                sums.squares += (actual - expected).powi(2);
                sums.inside += u64::from(model.contains(buyer, actual)?);
            }
            Some(sums)
        };
        // The parts are summed in order, so that the sums are the same on any number of cores.
        let parts: Option<Vec<Backtest>> = par_chunks(&self.since, compare).into_iter().collect();
        parts?.into_iter().reduce(|all, part| Backtest {
            customers: all.customers + part.customers,
            expected: all.expected + part.expected,
            actual: all.actual + part.actual,
            squares: all.squares + part.squares,
            inside: all.inside + part.inside,
            ..nobody
        })
    }
}

/// What purchases in (past, until] brought, each discounted.
fn paid_since(history: &History, (past, until, known_at): (Time, Time, Time), spec: &InsightSpec) -> f64 {
    let Some(purchase) = history.kind_slot(kind::PURCHASE) else { return 0.0 };
    let later = history.visible(until, known_at).filter(|event| event.occur_time > past);
    let paid = later.filter(|event| event.kind == purchase).map(|event| {
        let days = (event.occur_time.0 - past.0) as f64 / DAY as f64;
        event.amount_minor.unwrap_or(0) as f64 * spec.value.discount(days)
    });
    paid.sum()
}
