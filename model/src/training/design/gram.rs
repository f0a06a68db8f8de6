//! The weighted Gram matrix of a design: the second derivatives of the loss.

use std::ops::Range;

use ndarray::{Array1, Array2, Axis, s};

use super::{Design, block::Block, products::chunks};
use crate::parallel::{par_map, par_map_rows};

/// The most rows whose stored columns are weighted at a time: 20 MB for 150 columns.
const WEIGHTED: usize = 16_384;

/// The products of a block.
struct BlockProducts {
    /// The block's columns by the stored columns.
    with_dense: Array2<f64>,
    own: Array2<f64>,
    /// One for each block before.
    with_others: Vec<Array2<f64>>,
}

impl Design {
    /// (1, X)ᵀ·diag(v)·(1, X): the intercept comes first. v ≥ 0.
    #[must_use]
    pub fn gram(&self, v: &Array1<f64>) -> Array2<f64> {
        let mut gram = Array2::zeros((self.width + 1, self.width + 1));
        gram[(0, 0)] = v.sum();
        let border = self.transposed_dot(v);
        gram.slice_mut(s![0, 1..]).assign(&border);
        gram.slice_mut(s![1.., 0]).assign(&border);
        let width = self.dense_at.len();
        for (n, value) in self.gram_of_dense(v).into_iter().enumerate() {
            gram[(self.dense_at[n / width] + 1, self.dense_at[n % width] + 1)] = value;
        }
        let sums = self.sums_of_cells(v);
        let of_blocks = par_map(0..self.blocks.len(), |n| self.products_of(n, &sums[n], v));
        for (block, products) in self.blocks.iter().zip(of_blocks) {
            self.assign(block, products, &mut gram);
        }
        gram
    }

    /// The products of the stored columns with each other, row by row.
    fn gram_of_dense(&self, v: &Array1<f64>) -> Array1<f64> {
        let width = self.dense_at.len();
        let products = par_map_rows(self.rows, |rows| {
            let mut product = Array2::zeros((width, width));
            for some in chunks(rows) {
                let weighted = self.weighted(some.clone(), v);
                let weighted = Array2::from_shape_fn((some.len(), width), |(n, m)| weighted[n * width + m]);
                product += &self.dense.slice(s![some, ..]).t().dot(&weighted);
            }
            product.into_flat()
        });
        products.into_iter().fold(Array1::zeros(width * width), |sum, part| sum + part)
    }

    /// The stored columns of some rows times v, row by row: blocks add up whole rows, which takes a fraction of the
    /// time of adding up one column after another.
    fn weighted(&self, rows: Range<usize>, v: &Array1<f64>) -> Vec<f64> {
        let width = self.dense_at.len();
        let mut weighted = vec![0.0; rows.len() * width];
        for some in chunks(rows.clone()) {
            let of_rows = &mut weighted[(some.start - rows.start) * width..];
            for (n, column) in self.dense.axis_iter(Axis(1)).enumerate() {
                let products = column.slice_move(s![some.clone()]).into_iter().zip(v.slice(s![some.clone()]));
                let to = of_rows[n..].iter_mut().step_by(width);
                to.zip(products).for_each(|(to, (x, v))| *to = x * v);
            }
        }
        weighted
    }

    /// Per block and cell, the sums over the rows in the cell of v times each stored column.
    fn sums_of_cells(&self, v: &Array1<f64>) -> Vec<Array2<f64>> {
        let width = self.dense_at.len();
        let mut sums: Vec<Vec<f64>> =
            self.blocks.iter().map(|block| vec![0.0; block.table.nrows() * width]).collect();
        let weighted_rows = if width == 0 || sums.is_empty() { 0 } else { self.rows };
        for start in (0..weighted_rows).step_by(WEIGHTED) {
            let weighted = self.weighted(start..self.rows.min(start + WEIGHTED), v);
            par_map(self.blocks.iter().zip(&mut sums), |(block, sums)| {
                block.add_rows(start, &weighted, width, sums);
            });
        }
        let table = |(block, sums): (&Block, Vec<f64>)| {
            Array2::from_shape_fn((block.table.nrows(), width), |(n, m)| sums[n * width + m])
        };
        self.blocks.iter().zip(sums).map(table).collect()
    }

    /// The products of the block at index `n`: with each stored column, with itself, and with the blocks before
    /// it.
    fn products_of(&self, n: usize, sums: &Array2<f64>, v: &Array1<f64>) -> BlockProducts {
        let block = &self.blocks[n];
        let own = &block.table * &block.sums(v).insert_axis(Axis(1));
        let with_others = self.blocks[..n]
            .iter()
            .map(|other| block.table.t().dot(&block.joint_sums(other, v)).dot(&other.table));
        BlockProducts {
            with_dense: block.table.t().dot(sums),
            own: block.table.t().dot(&own),
            with_others: with_others.collect(),
        }
    }

    /// Writes the products of a block into the matrix, which is symmetric.
    fn assign(&self, block: &Block, products: BlockProducts, gram: &mut Array2<f64>) {
        let columns = with_intercept(block);
        for (product, at) in products.with_dense.axis_iter(Axis(1)).zip(&self.dense_at) {
            gram.slice_mut(s![columns.clone(), at + 1]).assign(&product);
            gram.slice_mut(s![at + 1, columns.clone()]).assign(&product);
        }
        gram.slice_mut(s![columns.clone(), columns.clone()]).assign(&products.own);
        for (product, other) in products.with_others.into_iter().zip(&self.blocks) {
            let other_columns = with_intercept(other);
            gram.slice_mut(s![other_columns.clone(), columns.clone()]).assign(&product.t());
            gram.slice_mut(s![columns.clone(), other_columns]).assign(&product);
        }
    }
}

/// The columns of a block, where the intercept comes first.
fn with_intercept(block: &Block) -> Range<usize> {
    let columns = block.columns();
    columns.start + 1..columns.end + 1
}
