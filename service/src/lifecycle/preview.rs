//! What a promotion would change: every customer graded by champion and candidate, page by page, in
//! constant memory, before anything moves.

use std::sync::Arc;

use tally_model::{
    features::fold::Row,
    history::{History, Packed, kind},
    scoring::Grade,
};

use crate::{
    app::App,
    histories::scan::{CustomerScan, Partition, par_chunks},
    platform::error::Result,
    scoring::population::existed,
    scoring::score::{ScoreRequest, run_blocking},
};

/// The purchases of so many days are the money behind a customer.
pub const MONEY_DAYS: i64 = 365;
/// Best to worst.
pub const GRADES: [Grade; 4] = [Grade::A, Grade::B, Grade::C, Grade::D];

/// Some customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How many.
    pub customers: u64,
    /// Their purchases of the last [`MONEY_DAYS`] days, in minor units.
    pub amount_minor: i64,
}

impl Cell {
    fn add(&mut self, other: Self) {
        self.customers += other.customers;
        self.amount_minor = self.amount_minor.saturating_add(other.amount_minor);
    }
}

/// The customers that both models are about, by the champion's grade and the candidate's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preview([[Cell; 4]; 4]);

impl Preview {
    /// All sixteen cells: the champion's grade, the candidate's, and who is in it.
    pub fn cells(&self) -> impl Iterator<Item = (Grade, Grade, Cell)> + '_ {
        GRADES
            .into_iter()
            .zip(&self.0)
            .flat_map(|(from, row)| GRADES.into_iter().zip(row).map(move |(to, cell)| (from, to, *cell)))
    }

    /// Everybody.
    #[must_use]
    pub fn all(&self) -> Cell {
        self.sum(|_, _| true)
    }

    /// Those whose grade changes.
    #[must_use]
    pub fn changed(&self) -> Cell {
        self.sum(|from, to| from != to)
    }

    fn sum(&self, wanted: impl Fn(Grade, Grade) -> bool) -> Cell {
        let mut sum = Cell::default();
        self.cells().filter(|(from, to, _)| wanted(*from, *to)).for_each(|(.., cell)| sum.add(cell));
        sum
    }

    /// Looks at every customer. Both questions are about the same moment.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(app: &App, champion: ScoreRequest, candidate: ScoreRequest) -> Result<Self> {
        let both = Arc::new((champion, candidate));
        let mut preview = Self::default();
        let mut scan = CustomerScan::new(Arc::clone(&app.store), Partition::WHOLE);
        while let Some(read) = scan.next().await? {
            let both = Arc::clone(&both);
            let parts = run_blocking(move || {
                par_chunks(&read.histories, |customers| page(&both.0, &both.1, customers))
            })
            .await?;
            for part in parts {
                let part = part?;
                for (sum, cell) in preview.0.iter_mut().flatten().zip(part.0.iter().flatten()) {
                    sum.add(*cell);
                }
            }
        }
        Ok(preview)
    }
}

fn page(
    champion: &ScoreRequest,
    candidate: &ScoreRequest,
    customers: &[(String, Packed)],
) -> Result<Preview> {
    let mut preview = Preview::default();
    let mut row = Row::default();
    let mut grade = |request: &ScoreRequest, history: &History| {
        let scorer = &request.model.scorer;
        scorer.row(history, request.as_of, request.known_at, &mut row).ok()?;
        Some(scorer.grade_of(&row.raw))
    };
    for (_, history) in customers {
        history.with(|history| {
            if existed(history, candidate)
                && let (Some(from), Some(to)) = (grade(champion, history), grade(candidate, history))
            {
                let amount_minor = money(history, candidate);
                preview.0[from as usize][to as usize].add(Cell { customers: 1, amount_minor });
            }
        })?;
    }
    Ok(preview)
}

/// A customer's purchases of the last [`MONEY_DAYS`] days before the moment in question.
fn money(history: &History, request: &ScoreRequest) -> i64 {
    let purchase = history.kind_slot(kind::PURCHASE);
    let since = request.as_of.plus_days(-MONEY_DAYS);
    history
        .visible(request.as_of, request.known_at)
        .filter(|event| Some(event.kind) == purchase && event.occur_time > since)
        .filter_map(|event| event.amount_minor)
        .fold(0, i64::saturating_add)
}
