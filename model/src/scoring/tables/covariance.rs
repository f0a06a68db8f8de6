//! The covariance of the weights, from its factor.

use std::ops::Range;

use super::vector::product;
use crate::parallel::par_map;

/// A symmetric matrix, intercept first.
pub(super) struct Covariance {
    width: usize,
    numbers: Vec<f64>,
}

impl Covariance {
    /// C·Cᵀ of a lower triangle C, given row by row.
    pub(super) fn new(factor: &[f32], width: usize) -> Self {
        let mut rows = vec![0.0; width * width];
        let mut rest = factor;
        for (n, row) in rows.chunks_mut(width).enumerate() {
            let (own, below) = rest.split_at(n + 1);
            rest = below;
            row.iter_mut().zip(own).for_each(|(x, c)| *x = f64::from(*c));
        }
        let row = |n: usize| &rows[n * width..(n + 1) * width];
        let triangle = par_map(0..width, |i| -> Vec<f64> {
            (0..=i).map(|j| product(&row(i)[..=j], &row(j)[..=j])).collect()
        });
        let mut numbers = vec![0.0; width * width];
        for (i, products) in triangle.into_iter().enumerate() {
            for (j, product) in products.into_iter().enumerate() {
                numbers[i * width + j] = product;
                numbers[j * width + i] = product;
            }
        }
        Self { width, numbers }
    }

    /// The covariance of two columns.
    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.numbers[row * self.width + column]
    }

    /// The product with a row that is 0 outside of `columns`.
    pub(super) fn times(&self, columns: Range<usize>, row: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.width];
        for (column, x) in columns.zip(row).filter(|(_, x)| **x != 0.0) {
            let line = &self.numbers[column * self.width..(column + 1) * self.width];
            product.iter_mut().zip(line).for_each(|(sum, c)| *sum += x * c);
        }
        product
    }
}
