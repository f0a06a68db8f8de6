//! The weighted Gram matrix of a design: the second derivatives of the loss.

use std::ops::Range;

use ndarray::{Array1, Array2, Axis, s};

use super::{Design, block::Block, products::chunks};
use crate::parallel::{par_map, par_map_rows};

/// The products of a block.
struct BlockProducts {
    /// One for each stored column.
    with_dense: Vec<Array1<f64>>,
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
        let of_blocks = par_map(0..self.blocks.len(), |n| self.products_of(n, v));
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
                let dense = self.dense.slice(s![some.clone(), ..]);
                product += &dense.t().dot(&(&dense * &v.slice(s![some]).insert_axis(Axis(1))));
            }
            product.into_flat()
        });
        products.into_iter().fold(Array1::zeros(width * width), |sum, part| sum + part)
    }

    /// The products of the block at index `n`: with each stored column, with itself, and with the blocks before
    /// it.
    fn products_of(&self, n: usize, v: &Array1<f64>) -> BlockProducts {
        let block = &self.blocks[n];
        let with_dense = self.dense.axis_iter(Axis(1)).map(|column| {
            let weighted = column.into_iter().zip(v).map(|(x, v)| x * v);
            block.table.t().dot(&block.sums(weighted))
        });
        let own = &block.table * &block.sums(v.iter().copied()).insert_axis(Axis(1));
        let with_others = self.blocks[..n]
            .iter()
            .map(|other| block.table.t().dot(&block.joint_sums(other, v)).dot(&other.table));
        BlockProducts {
            with_dense: with_dense.collect(),
            own: block.table.t().dot(&own),
            with_others: with_others.collect(),
        }
    }

    /// Writes the products of a block into the matrix, which is symmetric.
    fn assign(&self, block: &Block, products: BlockProducts, gram: &mut Array2<f64>) {
        let columns = with_intercept(block);
        for (product, at) in products.with_dense.into_iter().zip(&self.dense_at) {
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
