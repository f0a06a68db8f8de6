//! Columns that depend only on a cell: the cell of each row, and the columns of each cell.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, Axis};

/// How many sums of a cell take turns. Most rows are in a few cells, and an addition to a sum has to wait for the one
/// before.
const TURNS: usize = 4;

/// Columns that depend only on a cell.
pub(super) struct Block {
    /// The first column.
    pub(super) at: usize,
    /// The cell of each row.
    pub(super) cells: Vec<u16>,
    /// The columns of each cell.
    pub(super) table: Array2<f64>,
}

impl Block {
    /// The columns in the design.
    pub(super) fn columns(&self) -> Range<usize> {
        self.at..self.at + self.table.ncols()
    }

    /// Per cell the sum of the values of its rows.
    pub(super) fn sums(&self, values: &Array1<f64>) -> Array1<f64> {
        self.sums_of_rows(0, values.iter())
    }

    /// Per cell the sum of the values of its rows, which are those from `start` on.
    pub(super) fn sums_of_rows<'a>(
        &self,
        start: usize,
        values: impl Iterator<Item = &'a f64>,
    ) -> Array1<f64> {
        let mut sums = vec![[0.0; TURNS]; self.table.nrows()];
        for (n, (cell, value)) in self.cells[start..].iter().zip(values).enumerate() {
            sums[usize::from(*cell)][n % TURNS] += value;
        }
        sums.into_iter().map(|turns| turns.iter().sum::<f64>()).collect()
    }

    /// Adds `values`, of which each row from `start` on has `width`, to the sums of the cells.
    pub(super) fn add_rows(&self, start: usize, values: &[f64], width: usize, sums: &mut [f64]) {
        for (cell, values) in self.cells[start..].iter().zip(values.chunks_exact(width)) {
            let sums = &mut sums[usize::from(*cell) * width..][..width];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Per pair of cells the sum of the values of their rows.
    pub(super) fn joint_sums(&self, other: &Self, values: &Array1<f64>) -> Array2<f64> {
        let (count, other_count) = (self.table.nrows(), other.table.nrows());
        let mut sums = vec![0.0; count * other_count];
        for ((cell, other_cell), value) in self.cells.iter().zip(&other.cells).zip(values) {
            sums[usize::from(*cell) * other_count + usize::from(*other_cell)] += value;
        }
        Array2::from_shape_fn((count, other_count), |(i, j)| sums[i * other_count + j])
    }
}

/// The table of `count` cells of `width` columns.
pub(super) fn table(count: usize, width: usize, write: impl Fn(usize, &mut [f64])) -> Array2<f64> {
    let mut table = Array2::zeros((count, width));
    let mut out = vec![0.0; width];
    for (cell, mut row) in table.axis_iter_mut(Axis(0)).enumerate() {
        write(cell, &mut out);
        row.assign(&ArrayView1::from(&out));
    }
    table
}
