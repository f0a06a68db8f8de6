//! What a promotion would change: customers by the grade of the champion and that of the candidate,
//! counted page by page in constant memory.

use std::sync::Arc;

use tally_model::{
    features::fold::Row,
    history::{History, Packed, kind},
    scoring::Grade,
};
use tally_store::Store;

use super::Gate;
use crate::{
    catalog::ModelName,
    histories::scan::{CustomerScan, Partition, par_chunks},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
    scoring::{ScoreRequest, was_known},
};

/// The money behind a customer is that of its purchases in this many days.
const MONEY_DAYS: i64 = 365;
/// All grades, best to worst.
const GRADES: [Grade; 4] = [Grade::A, Grade::B, Grade::C, Grade::D];

/// What the promotion of a candidate would change.
pub struct PromotionPreview {
    /// The champion that would be replaced.
    pub champion: ModelName,
    /// What the gate finds.
    pub gate: Gate,
    /// Why the candidate would be refused without force, if it would.
    pub refusal: Option<Error>,
    /// The customers whose grade would change, and the money behind them.
    pub changes: GradeChanges,
}

/// Some customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradeCell {
    /// How many customers.
    pub customers: u64,
    /// Their purchases of the last 365 days, in minor units.
    pub amount_minor: i64,
}

impl GradeCell {
    fn add(&mut self, other: Self) {
        self.customers += other.customers;
        self.amount_minor = self.amount_minor.saturating_add(other.amount_minor);
    }
}

/// The customers that both models are about, by the champion's grade and the candidate's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradeChanges([[GradeCell; 4]; 4]);

impl GradeChanges {
    /// All sixteen cells: the champion's grade, the candidate's, and the customers who get both.
    pub fn cells(&self) -> impl Iterator<Item = (Grade, Grade, GradeCell)> + '_ {
        GRADES
            .into_iter()
            .zip(&self.0)
            .flat_map(|(from, row)| GRADES.into_iter().zip(row).map(move |(to, cell)| (from, to, *cell)))
    }

    /// All customers.
    #[must_use]
    pub fn all(&self) -> GradeCell {
        self.sum(|_, _| true)
    }

    /// The customers whose grade changes.
    #[must_use]
    pub fn changed(&self) -> GradeCell {
        self.sum(|from, to| from != to)
    }

    fn sum(&self, wanted: impl Fn(Grade, Grade) -> bool) -> GradeCell {
        let mut sum = GradeCell::default();
        self.cells().filter(|(from, to, _)| wanted(*from, *to)).for_each(|(.., cell)| sum.add(cell));
        sum
    }

    /// Grades every customer twice. Both requests are about the same moment.
    #[tracing::instrument(name = "preview", skip_all, fields(candidate = %candidate.model.name))]
    pub(super) async fn count(
        store: &Arc<dyn Store>,
        champion: ScoreRequest,
        candidate: ScoreRequest,
    ) -> Result<Self> {
        let both = Arc::new((champion, candidate));
        let mut changes = Self::default();
        let mut scan = CustomerScan::new(Arc::clone(store), Partition::WHOLE);
        while let Some(page) = scan.next().await? {
            let both = Arc::clone(&both);
            let count =
                move || par_chunks(&page.histories, |customers| count_some(&both.0, &both.1, customers));
            for counted in run_blocking(count).await? {
                changes.merge(&counted?);
            }
        }
        Ok(changes)
    }

    fn merge(&mut self, others: &Self) {
        for (sum, cell) in self.0.iter_mut().flatten().zip(others.0.iter().flatten()) {
            sum.add(*cell);
        }
    }
}

fn count_some(
    champion: &ScoreRequest,
    candidate: &ScoreRequest,
    customers: &[(String, Packed)],
) -> Result<GradeChanges> {
    let mut changes = GradeChanges::default();
    let mut row = Row::default();
    let mut grade = |request: &ScoreRequest, history: &History| {
        let scorer = &request.model.scorer;
        scorer.row(history, request.as_of, request.known_at, &mut row).ok()?;
        Some(scorer.grade_of(&row.raw))
    };
    for (_, history) in customers {
        history.with(|history| {
            if was_known(history, candidate)
                && let (Some(from), Some(to)) = (grade(champion, history), grade(candidate, history))
            {
                let amount_minor = money(history, candidate);
                changes.0[from as usize][to as usize].add(GradeCell { customers: 1, amount_minor });
            }
        })?;
    }
    Ok(changes)
}

/// A customer's purchases in the [`MONEY_DAYS`] days before the moment of the request.
fn money(history: &History, request: &ScoreRequest) -> i64 {
    let purchase = history.kind_slot(kind::PURCHASE);
    let since = request.as_of.plus_days(-MONEY_DAYS);
    history
        .visible(request.as_of, request.known_at)
        .filter(|event| Some(event.kind) == purchase && event.occur_time > since)
        .filter_map(|event| event.amount_minor)
        .fold(0, i64::saturating_add)
}
