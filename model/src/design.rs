//! The design matrix of many rows, kept small: columns that follow a value are stored as they are,
//! columns that depend only on a cell are stored as the cell and a table.
//!
//! A feature with 32 bins takes 2 bytes a row instead of 256, and the second derivatives of the loss
//! need one addition a row and pair of features, whatever the number of bins.

use ndarray::{Array1, Array2, ArrayView1, Axis, CowArray, Ix2, ShapeBuilder, concatenate, s};

use crate::{
    encode::Encoder,
    parallel::{each, over_rows},
};

/// So few columns of cells are stored as they are: a table would save nothing.
const NARROW: usize = 2;

/// Rows that are weighted at a time for the second derivatives.
const WEIGHTED: usize = 1_024;

/// Columns that depend only on a cell.
struct Block {
    /// The first column.
    at: usize,
    /// The cell of each row.
    cells: Vec<u16>,
    /// The columns of each cell.
    table: Array2<f64>,
}

/// The encoded rows.
pub struct Design {
    rows: usize,
    width: usize,
    /// Stored columns and which columns of the design they are.
    dense: Array2<f64>,
    dense_at: Vec<usize>,
    blocks: Vec<Block>,
}

/// A matrix as it is.
impl From<Array2<f64>> for Design {
    fn from(dense: Array2<f64>) -> Self {
        let (rows, width) = dense.dim();
        Self { rows, width, dense, dense_at: (0..width).collect(), blocks: Vec::new() }
    }
}

impl Design {
    /// Encodes the chosen rows of a flat matrix that has `raw_width` values a row.
    #[must_use]
    pub fn new(encoder: &Encoder, raw: &[f64], raw_width: usize, rows: &[usize]) -> Self {
        let value = |row: &usize, place: usize| raw[row * raw_width + place];
        let (mut dense_at, mut blocks) = (Vec::new(), Vec::new());
        for (feature, columns) in encoder.columns() {
            let width = feature.cells.width();
            if width <= NARROW {
                dense_at.extend(columns);
                continue;
            }
            let at = columns.end - width;
            dense_at.extend(columns.start..at);
            let cell = |row| feature.cells.cell(value(row, feature.place)) as u16;
            blocks.push(Block {
                at,
                cells: rows.iter().map(cell).collect(),
                table: table(feature.cells.count(), width, |cell, out| feature.cells.write(cell, out)),
            });
        }
        for (cross, columns) in encoder.cross_columns() {
            let [first, second] = cross.features.map(|n| encoder.features[n].place);
            let cell = |row| cross.cell(value(row, first), value(row, second)) as u16;
            blocks.push(Block {
                at: columns.start,
                cells: rows.iter().map(cell).collect(),
                table: table(cross.count(), cross.width(), |cell, out| cross.write(cell, out)),
            });
        }
        let mut dense = Array2::zeros((rows.len(), dense_at.len()).f());
        let mut start = 0;
        for (feature, columns) in encoder.columns() {
            let mut buffer = vec![0.0; columns.len()];
            let stored = match feature.cells.width() {
                narrow if narrow <= NARROW => columns.len(),
                wide => columns.len() - wide,
            };
            if stored == 0 {
                continue;
            }
            for (n, row) in rows.iter().enumerate() {
                feature.write(value(row, feature.place), &mut buffer);
                for (column, x) in buffer[..stored].iter().enumerate() {
                    dense[(n, start + column)] = *x;
                }
            }
            start += stored;
        }
        Self { rows: rows.len(), width: encoder.width(), dense, dense_at, blocks }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// X·w.
    #[must_use]
    pub fn dot(&self, weights: ArrayView1<'_, f64>) -> Array1<f64> {
        let dense_weights: Array1<f64> = self.dense_at.iter().map(|at| weights[*at]).collect();
        let values = |block: &Block| {
            block.table.dot(&weights.slice(s![block.at..block.at + block.table.ncols()])).to_vec()
        };
        let values: Vec<Vec<f64>> = self.blocks.iter().map(values).collect();
        let parts = over_rows(self.rows, |rows| {
            let mut product = self.dense.slice(s![rows.clone(), ..]).dot(&dense_weights);
            for (block, values) in self.blocks.iter().zip(&values) {
                let cells = &block.cells[rows.clone()];
                product.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += values[usize::from(*cell)]);
            }
            product
        });
        let parts: Vec<_> = parts.iter().map(Array1::view).collect();
        concatenate(Axis(0), &parts).unwrap_or_default()
    }

    /// Xᵀ·v.
    #[must_use]
    pub fn transposed_dot(&self, v: &Array1<f64>) -> Array1<f64> {
        let mut product = Array1::zeros(self.width);
        let dense = over_rows(self.rows, |rows| {
            self.dense.slice(s![rows.clone(), ..]).t().dot(&v.slice(s![rows]))
        });
        for (at, value) in self.dense_at.iter().zip(sum(dense, self.dense_at.len())) {
            product[*at] = value;
        }
        let of_blocks = each(&self.blocks, |block| block.table.t().dot(&block.sums(v.iter().copied())));
        for (block, own) in self.blocks.iter().zip(of_blocks) {
            product.slice_mut(s![block.columns()]).assign(&own);
        }
        product
    }

    /// (1, X)ᵀ·diag(v)·(1, X): the intercept comes first. v ≥ 0.
    #[must_use]
    pub fn gram(&self, v: &Array1<f64>) -> Array2<f64> {
        let mut gram = Array2::zeros((self.width + 1, self.width + 1));
        gram[(0, 0)] = v.sum();
        let border = self.transposed_dot(v);
        gram.slice_mut(s![0, 1..]).assign(&border);
        gram.slice_mut(s![1.., 0]).assign(&border);

        let width = self.dense_at.len();
        let products = over_rows(self.rows, |rows| {
            let mut product = Array2::zeros((width, width));
            // Only so many rows are copied at a time.
            for start in rows.clone().step_by(WEIGHTED) {
                let some = s![start..rows.end.min(start + WEIGHTED), ..];
                let dense = self.dense.slice(some);
                let weights = v.slice(s![start..rows.end.min(start + WEIGHTED)]);
                product += &dense.t().dot(&(&dense * &weights.insert_axis(Axis(1))));
            }
            product.into_flat()
        });
        let products = sum(products, width * width);
        for (n, value) in products.into_iter().enumerate() {
            gram[(self.dense_at[n / width] + 1, self.dense_at[n % width] + 1)] = value;
        }
        let of_blocks = each(0..self.blocks.len(), |n| self.gram_of(n, v));
        for (block, (with_dense, own, with_others)) in self.blocks.iter().zip(of_blocks) {
            let columns = block.at + 1..block.at + 1 + block.table.ncols();
            for (product, at) in with_dense.into_iter().zip(&self.dense_at) {
                gram.slice_mut(s![columns.clone(), at + 1]).assign(&product);
                gram.slice_mut(s![at + 1, columns.clone()]).assign(&product);
            }
            gram.slice_mut(s![columns.clone(), columns.clone()]).assign(&own);
            for (product, other) in with_others.into_iter().zip(&self.blocks) {
                let other_columns = other.at + 1..other.at + 1 + other.table.ncols();
                gram.slice_mut(s![other_columns.clone(), columns.clone()]).assign(&product.t());
                gram.slice_mut(s![columns.clone(), other_columns]).assign(&product);
            }
        }
        gram
    }

    /// What the n-th block has in the second derivatives: with each stored column, with itself, and with
    /// the blocks before it.
    fn gram_of(&self, n: usize, v: &Array1<f64>) -> (Vec<Array1<f64>>, Array2<f64>, Vec<Array2<f64>>) {
        let block = &self.blocks[n];
        let with_dense = self.dense.axis_iter(Axis(1)).map(|column| {
            let weighted = column.into_iter().zip(v).map(|(x, v)| x * v);
            block.table.t().dot(&block.sums(weighted))
        });
        let own = &block.table * &block.sums(v.iter().copied()).insert_axis(Axis(1));
        let with_others = self.blocks[..n]
            .iter()
            .map(|other| block.table.t().dot(&block.joint_sums(other, v)).dot(&other.table));
        (with_dense.collect(), block.table.t().dot(&own), with_others.collect())
    }

    /// Adds `scale` times the row to `sum`, which has a place for each column.
    pub fn add_row(&self, row: usize, scale: f64, mut sum: ndarray::ArrayViewMut1<'_, f64>) {
        for (at, value) in self.dense_at.iter().zip(self.dense.row(row)) {
            sum[*at] += scale * value;
        }
        for block in &self.blocks {
            let columns = block.table.row(usize::from(block.cells[row]));
            sum.slice_mut(s![block.at..block.at + columns.len()]).scaled_add(scale, &columns);
        }
    }

    /// The whole matrix, column-major; without a copy where it is stored like that.
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

/// The sum of vectors of this length, in their order.
fn sum(parts: Vec<Array1<f64>>, length: usize) -> Array1<f64> {
    parts.into_iter().fold(Array1::zeros(length), |sum, part| sum + part)
}

impl Block {
    /// Its columns in the design.
    fn columns(&self) -> std::ops::Range<usize> {
        self.at..self.at + self.table.ncols()
    }

    /// Per cell the sum of its rows' values.
    fn sums(&self, values: impl Iterator<Item = f64>) -> Array1<f64> {
        let mut sums = vec![0.0; self.table.nrows()];
        for (cell, value) in self.cells.iter().zip(values) {
            sums[usize::from(*cell)] += value;
        }
        Array1::from_vec(sums)
    }

    /// Per cell of both the sum of their rows' values.
    fn joint_sums(&self, other: &Self, values: &Array1<f64>) -> Array2<f64> {
        let (count, other_count) = (self.table.nrows(), other.table.nrows());
        let mut sums = vec![0.0; count * other_count];
        for ((cell, other_cell), value) in self.cells.iter().zip(&other.cells).zip(values) {
            sums[usize::from(*cell) * other_count + usize::from(*other_cell)] += value;
        }
        Array2::from_shape_fn((count, other_count), |(i, j)| sums[i * other_count + j])
    }
}

fn table(count: usize, width: usize, write: impl Fn(usize, &mut [f64])) -> Array2<f64> {
    let mut table = Array2::zeros((count, width));
    let mut out = vec![0.0; width];
    for (cell, mut row) in table.axis_iter_mut(Axis(0)).enumerate() {
        write(cell, &mut out);
        row.assign(&ArrayView1::from(&out));
    }
    table
}
