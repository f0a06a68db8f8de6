//! The design matrix of many rows, kept small: columns that follow a value are stored as they are,
//! columns that depend only on a cell are stored as the cell and a table.
//!
//! A feature with 32 bins takes 2 bytes a row instead of 256, and the second derivatives of the loss
//! need one addition for each row and pair of features, whatever the number of bins.

mod block;
mod encode;
mod gram;
mod products;
#[cfg(test)]
mod tests;

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, CowArray, Ix2, ShapeBuilder, s};

use self::block::Block;

/// The encoded rows.
pub struct Design {
    rows: usize,
    width: usize,
    /// Stored columns, column-major, and their indices in the design.
    dense: Array2<f64>,
    dense_at: Vec<usize>,
    blocks: Vec<Block>,
}

/// A design of stored columns alone.
impl From<Array2<f64>> for Design {
    fn from(matrix: Array2<f64>) -> Self {
        let (rows, width) = matrix.dim();
        let dense = if matrix.t().is_standard_layout() { matrix } else { by_columns(matrix.view()) };
        Self { rows, width, dense, dense_at: (0..width).collect(), blocks: Vec::new() }
    }
}

impl Design {
    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The design of the chosen rows.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let block = |block: &Block| Block {
            at: block.at,
            cells: rows.iter().map(|row| block.cells[*row]).collect(),
            table: block.table.clone(),
        };
        let mut dense = Array2::zeros((rows.len(), self.dense_at.len()).f());
        for (mut to, from) in dense.axis_iter_mut(Axis(1)).zip(self.dense.axis_iter(Axis(1))) {
            to.iter_mut().zip(rows).for_each(|(to, row)| *to = from[*row]);
        }
        Self {
            rows: rows.len(),
            width: self.width,
            dense,
            dense_at: self.dense_at.clone(),
            blocks: self.blocks.iter().map(block).collect(),
        }
    }

    /// The columns from `first` on, which are those of cells alone.
    #[must_use]
    pub fn from_column(&self, first: usize) -> Self {
        let block = |block: &Block| Block {
            at: block.at - first,
            cells: block.cells.clone(),
            table: block.table.clone(),
        };
        Self {
            rows: self.rows,
            width: self.width - first,
            dense: Array2::zeros((self.rows, 0).f()),
            dense_at: Vec::new(),
            blocks: self.blocks.iter().filter(|block| block.at >= first).map(block).collect(),
        }
    }

    /// Multiplies the columns from `first` on, which are those of cells alone.
    pub fn scale_from_column(&mut self, first: usize, factor: f64) {
        self.blocks.iter_mut().filter(|block| block.at >= first).for_each(|block| block.table *= factor);
    }

    /// Adds `scale` times the row to `sum`, which has an element for each column.
    pub fn add_row(&self, row: usize, scale: f64, mut sum: ArrayViewMut1<'_, f64>) {
        for (at, value) in self.dense_at.iter().zip(self.dense.row(row)) {
            sum[*at] += scale * value;
        }
        for block in &self.blocks {
            let columns = block.table.row(usize::from(block.cells[row]));
            sum.slice_mut(s![block.at..block.at + columns.len()]).scaled_add(scale, &columns);
        }
    }

    /// The whole matrix, column-major; without a copy when it is stored like that.
    #[must_use]
    pub fn to_matrix(&self) -> CowArray<'_, f64, Ix2> {
        if self.blocks.is_empty() && self.dense_at.iter().enumerate().all(|(n, at)| n == *at) {
            return CowArray::from(&self.dense);
        }
        let mut matrix = Array2::zeros((self.rows, self.width).f());
        for (at, column) in self.dense_at.iter().zip(self.dense.axis_iter(Axis(1))) {
            matrix.column_mut(*at).assign(&column);
        }
        for block in &self.blocks {
            for (n, values) in block.table.axis_iter(Axis(1)).enumerate() {
                let column = block.cells.iter().map(|cell| values[usize::from(*cell)]);
                matrix.column_mut(block.at + n).iter_mut().zip(column).for_each(|(to, from)| *to = from);
            }
        }
        matrix.into()
    }
}

fn by_columns(matrix: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut columns = Array2::zeros(matrix.dim().f());
    columns.assign(&matrix);
    columns
}
