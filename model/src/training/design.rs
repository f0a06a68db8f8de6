//! The design matrix of many rows, kept small: columns that follow a value are stored as they are,
//! columns that depend only on a cell are stored as the cell and a table.
//!
//! A feature with 32 bins takes 2 bytes a row instead of 256, and the second derivatives of the loss
//! need one addition a row and pair of features, whatever the number of bins.

use std::ops::Range;

use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, CowArray, Ix2, ShapeBuilder, concatenate, s,
};

use crate::{
    encode::Encoder,
    parallel::{each, over_rows},
};

/// So few columns of cells are stored as they are: a table would save nothing.
const NARROW: usize = 2;

/// Rows that are worked on at a time: what is read of them stays in a core's cache.
const PIECE: usize = 1_024;

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
    /// Stored columns, each in one piece, and which columns of the design they are.
    dense: Array2<f64>,
    dense_at: Vec<usize>,
    blocks: Vec<Block>,
}

/// A matrix as it is.
impl From<Array2<f64>> for Design {
    fn from(matrix: Array2<f64>) -> Self {
        let (rows, width) = matrix.dim();
        let dense = if matrix.t().is_standard_layout() { matrix } else { by_columns(matrix.view()) };
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

    /// The chosen rows.
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

    /// X·w.
    #[must_use]
    pub fn dot(&self, weights: ArrayView1<'_, f64>) -> Array1<f64> {
        let weights = self.weights(weights);
        let parts = over_rows(self.rows, |rows| {
            let mut product = Array1::zeros(rows.len());
            for some in pieces(rows.clone()) {
                let place = s![some.start - rows.start..some.end - rows.start];
                self.add_dot(some, &weights, product.slice_mut(place));
            }
            product
        });
        joined(parts.iter().map(Array1::view))
    }

    /// In one pass: the log-odds b + X·w of each row; the sum of what `measure` says first of a row and its
    /// log-odds; and (1, X)ᵀ·v, v being what it says second.
    #[must_use]
    pub fn slopes(
        &self,
        intercept: f64,
        weights: ArrayView1<'_, f64>,
        measure: impl Fn(usize, f64) -> (f64, f64) + Sync,
    ) -> (Array1<f64>, f64, Array1<f64>) {
        let weights = self.weights(weights);
        let parts = over_rows(self.rows, |rows| {
            let mut log_odds = Array1::from_elem(rows.len(), intercept);
            let (mut sum, mut slopes) = (0.0, self.no_slopes());
            for some in pieces(rows.clone()) {
                let mut log_odds = log_odds.slice_mut(s![some.start - rows.start..some.end - rows.start]);
                self.add_dot(some.clone(), &weights, log_odds.view_mut());
                let measure = |(row, log_odds): (usize, &f64)| {
                    let (own, slope) = measure(row, *log_odds);
                    sum += own;
                    slope
                };
                let v: Array1<f64> = some.clone().zip(&log_odds).map(measure).collect();
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
        let parts = over_rows(self.rows, |rows| {
            let mut slopes = self.no_slopes();
            for some in pieces(rows) {
                self.add_slopes(some.clone(), v.slice(s![some]), &mut slopes);
            }
            slopes
        });
        self.of_columns(parts.iter().fold(self.no_slopes(), Slopes::plus))
    }

    /// Of the stored columns, and of each block's cells.
    fn weights(&self, weights: ArrayView1<'_, f64>) -> (Vec<f64>, Vec<Vec<f64>>) {
        let of_cells = |block: &Block| block.table.dot(&weights.slice(s![block.columns()])).to_vec();
        (self.dense_at.iter().map(|at| weights[*at]).collect(), self.blocks.iter().map(of_cells).collect())
    }

    /// Adds X·w of some rows.
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

    /// Adds Xᵀ·v of some rows.
    fn add_slopes(&self, rows: Range<usize>, v: ArrayView1<'_, f64>, sum: &mut Slopes) {
        let columns = self.dense.slice(s![rows.clone(), ..]);
        for (column, sum) in columns.axis_iter(Axis(1)).zip(&mut sum.stored) {
            *sum += column.dot(&v);
        }
        for (block, sums) in self.blocks.iter().zip(&mut sum.of_cells) {
            for (cell, v) in block.cells[rows.clone()].iter().zip(v) {
                sums[usize::from(*cell)] += v;
            }
        }
    }

    /// Xᵀ·v, one value a column.
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
            for some in pieces(rows) {
                let dense = self.dense.slice(s![some.clone(), ..]);
                product += &dense.t().dot(&(&dense * &v.slice(s![some]).insert_axis(Axis(1))));
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
    pub fn add_row(&self, row: usize, scale: f64, mut sum: ArrayViewMut1<'_, f64>) {
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

/// Xᵀ·v in the making.
struct Slopes {
    intercept: f64,
    stored: Array1<f64>,
    /// Per block the sums of its cells' rows.
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

/// The rows, some at a time.
fn pieces(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(PIECE).map(move |start| start..rows.end.min(start + PIECE))
}

fn joined<'a>(parts: impl Iterator<Item = ArrayView1<'a, f64>>) -> Array1<f64> {
    concatenate(Axis(0), &parts.collect::<Vec<_>>()).unwrap_or_default()
}

fn by_columns(matrix: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut columns = Array2::zeros(matrix.dim().f());
    columns.assign(&matrix);
    columns
}

/// The sum of vectors of this length, in their order.
fn sum(parts: Vec<Array1<f64>>, length: usize) -> Array1<f64> {
    parts.into_iter().fold(Array1::zeros(length), |sum, part| sum + part)
}

impl Block {
    /// Its columns in the design.
    fn columns(&self) -> Range<usize> {
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
