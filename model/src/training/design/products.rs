//! Products with the design: X·w, Xᵀ·v, and both in one pass.

use std::ops::Range;

use ndarray::{Array1, ArrayView1, ArrayViewMut1, Axis, concatenate, s};

use super::{Design, block::Block};
use crate::parallel::par_map_rows;

/// The rows of a chunk, few enough to stay in a core's cache.
const CHUNK: usize = 1_024;

impl Design {
    /// X·w.
    #[must_use]
    pub fn dot(&self, weights: ArrayView1<'_, f64>) -> Array1<f64> {
        let weights = self.weights(weights);
        let parts = par_map_rows(self.rows, |rows| {
            let mut product = Array1::zeros(rows.len());
            for some in chunks(rows.clone()) {
                let place = s![some.start - rows.start..some.end - rows.start];
                self.add_dot(some, &weights, product.slice_mut(place));
            }
            product
        });
        joined(parts.iter().map(Array1::view))
    }

    /// In one pass: the log-odds b + X·w of each row; the sum of the losses; and (1, X)ᵀ·v, v being the slopes of
    /// the losses. `loss` gives the loss of a row at its log-odds, and its slope.
    #[must_use]
    pub fn slopes(
        &self,
        intercept: f64,
        weights: ArrayView1<'_, f64>,
        loss: impl Fn(usize, f64) -> (f64, f64) + Sync,
    ) -> (Array1<f64>, f64, Array1<f64>) {
        let weights = self.weights(weights);
        let parts = par_map_rows(self.rows, |rows| {
            let mut log_odds = Array1::from_elem(rows.len(), intercept);
            let (mut sum, mut slopes) = (0.0, self.no_slopes());
            for some in chunks(rows.clone()) {
                let mut log_odds = log_odds.slice_mut(s![some.start - rows.start..some.end - rows.start]);
                self.add_dot(some.clone(), &weights, log_odds.view_mut());
                let slope = |(row, log_odds): (usize, &f64)| {
                    let (own, slope) = loss(row, *log_odds);
                    sum += own;
                    slope
                };
                let v: Array1<f64> = some.clone().zip(&log_odds).map(slope).collect();
                slopes.intercept += v.sum();
                self.add_slopes(some, v.view(), &mut slopes);
            }
            (log_odds, sum, slopes)
        });
        let log_odds = joined(parts.iter().map(|(log_odds, ..)| log_odds.view()));
        let sum = parts.iter().map(|(_, sum, _)| sum).sum();
        let slopes = parts.iter().fold(self.no_slopes(), |all, (.., part)| all.plus(part));
        let mut whole = Array1::zeros(self.width + 1);
        whole[0] = slopes.intercept;
        whole.slice_mut(s![1..]).assign(&self.of_columns(slopes));
        (log_odds, sum, whole)
    }

    /// Xᵀ·v.
    #[must_use]
    pub fn transposed_dot(&self, v: &Array1<f64>) -> Array1<f64> {
        let parts = par_map_rows(self.rows, |rows| {
            let mut slopes = self.no_slopes();
            for some in chunks(rows) {
                self.add_slopes(some.clone(), v.slice(s![some]), &mut slopes);
            }
            slopes
        });
        self.of_columns(parts.iter().fold(self.no_slopes(), Slopes::plus))
    }

    /// The weights of the stored columns, and those of the cells of each block.
    fn weights(&self, weights: ArrayView1<'_, f64>) -> (Vec<f64>, Vec<Vec<f64>>) {
        let of_cells = |block: &Block| block.table.dot(&weights.slice(s![block.columns()])).to_vec();
        (self.dense_at.iter().map(|at| weights[*at]).collect(), self.blocks.iter().map(of_cells).collect())
    }

    /// Adds X·w for some rows.
    fn add_dot(
        &self,
        rows: Range<usize>,
        (stored, of_cells): &(Vec<f64>, Vec<Vec<f64>>),
        mut sum: ArrayViewMut1<'_, f64>,
    ) {
        for (column, weight) in self.dense.slice(s![rows.clone(), ..]).axis_iter(Axis(1)).zip(stored) {
            sum.scaled_add(*weight, &column);
        }
        for (block, values) in self.blocks.iter().zip(of_cells) {
            let cells = &block.cells[rows.clone()];
            sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += values[usize::from(*cell)]);
        }
    }

    fn no_slopes(&self) -> Slopes {
        Slopes {
            intercept: 0.0,
            stored: Array1::zeros(self.dense_at.len()),
            of_cells: self.blocks.iter().map(|block| Array1::zeros(block.table.nrows())).collect(),
        }
    }

    /// Adds Xᵀ·v for some rows.
    fn add_slopes(&self, rows: Range<usize>, v: ArrayView1<'_, f64>, sum: &mut Slopes) {
        let columns = self.dense.slice(s![rows.clone(), ..]);
        for (column, sum) in columns.axis_iter(Axis(1)).zip(&mut sum.stored) {
            *sum += column.dot(&v);
        }
        for (block, sums) in self.blocks.iter().zip(&mut sum.of_cells) {
            *sums += &block.sums_of_rows(rows.start, v.iter());
        }
    }

    /// Xᵀ·v, one value for each column.
    fn of_columns(&self, slopes: Slopes) -> Array1<f64> {
        let mut product = Array1::zeros(self.width);
        for (at, value) in self.dense_at.iter().zip(slopes.stored) {
            product[*at] = value;
        }
        for (block, sums) in self.blocks.iter().zip(slopes.of_cells) {
            product.slice_mut(s![block.columns()]).assign(&block.table.t().dot(&sums));
        }
        product
    }
}

/// Xᵀ·v while it is summed up.
struct Slopes {
    intercept: f64,
    stored: Array1<f64>,
    /// Per block the sum of the rows of each cell.
    of_cells: Vec<Array1<f64>>,
}

impl Slopes {
    fn plus(mut self, other: &Self) -> Self {
        self.intercept += other.intercept;
        self.stored += &other.stored;
        self.of_cells.iter_mut().zip(&other.of_cells).for_each(|(sum, other)| *sum += other);
        self
    }
}

/// The rows in chunks.
pub(super) fn chunks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(CHUNK).map(move |start| start..rows.end.min(start + CHUNK))
}

fn joined<'a>(parts: impl Iterator<Item = ArrayView1<'a, f64>>) -> Array1<f64> {
    concatenate(Axis(0), &parts.collect::<Vec<_>>()).unwrap_or_default()
}
