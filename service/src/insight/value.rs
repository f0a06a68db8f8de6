//! The value model of a pass, and how the one of a horizon ago did.

use std::sync::Arc;

use tally_model::{
    history::{History, Packed, kind},
    insight::{
        BacktestBasis, BuyerPurchases, Facts, InsightSpec, LifeCycle, Placement, Population,
        failed_intervals, missed_stage, missed_total, no_backtest, shorter_horizon,
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
        let of_backtest = self.backtest.iter().flat_map(Backtest::warnings);
        let population = &self.pass.population;
        let lacks_backtest = self.backtest.is_none() && population.value.bg_nbd.is_usable();
        let without =
            lacks_backtest.then(|| no_backtest(population.value.spec.horizon_days.into(), self.known_days));
        let of_model = population.value.warnings().into_iter().chain(of_backtest).chain(without);
        of_model.chain(population.margin_warning()).collect()
    }
}

/// What a model expected, beside what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtest {
    /// The moment of the model.
    pub as_of: Time,
    /// What the model was fitted to.
    pub basis: BacktestBasis,
    /// The share of revenue that is profit by the model, in what it expected and in what came.
    pub margin_rate: f64,
    /// The buyers of that time by their stage then, in the order of the life cycle; only stages with buyers, of which
    /// there is one at least.
    pub stages: Vec<(LifeCycle, BacktestSums)>,
}

/// What buyers were expected to bring, beside what they brought. Money is rounded to minor units for each buyer, as
/// lifetime values are everywhere, so that the sums of parts are those of all; beyond the 64-bit range they stay at its
/// ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BacktestSums {
    /// The buyers.
    pub customers: u64,
    /// The sum of their lifetime values, in minor units.
    pub expected: i64,
    /// What their purchases brought in the horizon, with margin and discount.
    pub actual: i64,
    /// The sum of the squares of what each of them brought beside its lifetime value.
    pub squares: f64,
    /// How many of them brought what is inside their interval.
    pub inside: u64,
}

type ByStage = [BacktestSums; LifeCycle::ALL.len()];

/// A buyer of a past moment.
struct PastBuyer {
    /// Its stage then.
    stage: LifeCycle,
    /// What it had bought by then.
    purchases: BuyerPurchases,
    /// The discounted sum of what it has paid since, within the horizon.
    paid: f64,
}

impl Backtest {
    /// All stages together.
    #[must_use]
    pub fn total(&self) -> BacktestSums {
        self.stages.iter().fold(BacktestSums::default(), |all, (_, stage)| all.and(stage))
    }

    fn warnings(&self) -> Vec<String> {
        let total = self.total();
        let missed = |(stage, sums): &(LifeCycle, BacktestSums)| {
            missed_stage(stage.name(), sums.customers, (sums.money(), sums.squares), total.money())
        };
        let of_total = [self.basis.warning(shorter_horizon), missed_total(total.money(), total.squares)];
        let failed = failed_intervals([total.inside, total.customers], total.customers, "buyers");
        let of_stages = self.stages.iter().filter_map(missed);
        of_total.into_iter().flatten().chain(of_stages).chain(failed).collect()
    }

    /// Compares what the model of `past` expects of its buyers with what came; None without buyers or a usable model.
    fn of(buyers: &[PastBuyer], past: &Population) -> Option<Self> {
        let (model, value) = (&past.value, past.value.prepared());
        let compare = |buyers: &[PastBuyer]| {
            let mut sums = ByStage::default();
            for PastBuyer { stage, purchases, paid } in buyers {
                let (expected, actual) = (value.value(purchases)?.clv, model.margin_rate * paid);
                let one = BacktestSums {
                    customers: 1,
                    expected: expected.round() as i64,
                    actual: actual.round() as i64,
                    squares: (actual - expected).powi(2),
                    inside: u64::from(model.contains(purchases, actual)?),
                };
                let sums = &mut sums[*stage as usize];
                *sums = sums.and(&one);
            }
            Some(sums)
        };
        // The parts are summed in order, so that the squares are the same on any number of cores.
        let parts: Option<Vec<_>> = par_chunks(buyers, compare).into_iter().collect();
        let add = |all: ByStage, part: ByStage| std::array::from_fn(|n| all[n].and(&part[n]));
        let sums = parts?.into_iter().reduce(add)?;
        let stages = LifeCycle::ALL.into_iter().zip(sums).filter(|(_, sums)| sums.customers > 0).collect();
        let held_out_days = i64::from(past.spec.value.horizon_days);
        let basis = BacktestBasis::of(buyers.iter().map(|buyer| &buyer.purchases), held_out_days);
        Some(Self { as_of: past.as_of, basis, margin_rate: model.margin_rate, stages })
    }
}

impl BacktestSums {
    /// The share of the buyers who brought what is inside their interval.
    #[must_use]
    pub fn inside_share(&self) -> f64 {
        self.inside as f64 / self.customers as f64
    }

    /// What was expected and what came.
    const fn money(&self) -> [f64; 2] {
        [self.expected as f64, self.actual as f64]
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            customers: self.customers + other.customers,
            expected: self.expected.saturating_add(other.expected),
            actual: self.actual.saturating_add(other.actual),
            squares: self.squares + other.squares,
            inside: self.inside + other.inside,
        }
    }
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
    /// the pass. All histories are read twice, as in a pass: a stage follows from the typical interval of all.
    async fn backtest(&self, past: Time, pass: &Pass) -> Result<Option<Backtest>> {
        let (until, known_at) = (pass.as_of, pass.known_at);
        let spec = Arc::new(pass.population.spec.clone());
        let past = Arc::new(self.population((past, known_at), spec).await?);
        if !past.value.bg_nbd.is_usable() {
            return Ok(None);
        }
        let of_part = Arc::clone(&past);
        let part =
            move |customers: &[(String, Packed)]| PastBuyer::all_of(customers, &of_part, (until, known_at));
        let mut buyers = Vec::new();
        for_all_customers(&self.store, part, |part| buyers.extend(part)).await?;
        run_blocking(move || Backtest::of(&buyers, &past)).await
    }
}

impl PastBuyer {
    /// The buyers among customers at the moment of `past`.
    fn all_of(
        customers: &[(String, Packed)],
        past: &Population,
        (until, known_at): (Time, Time),
    ) -> Result<Vec<Self>> {
        let (as_of, spec) = (past.as_of, &past.spec);
        let mut buyers = Vec::new();
        for (_, history) in customers {
            history.with(|history| {
                let Some(facts) = Facts::of(history, as_of, known_at, spec) else { return };
                let Some(purchases) = BuyerPurchases::of(&facts, as_of) else { return };
                let stage = Placement::of(history, &facts, (as_of, known_at), past).life_cycle;
                let paid = paid_since(history, (as_of, until, known_at), spec);
                buyers.push(Self { stage, purchases, paid });
            })?;
        }
        Ok(buyers)
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
