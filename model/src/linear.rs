//! The little linear algebra that fitting needs: the Cholesky factor of a symmetric matrix.

use ndarray::{Array1, Array2};

/// The lower triangular L of a symmetric positive definite A = L·Lᵀ.
pub struct Cholesky(Array2<f64>);

impl Cholesky {
    /// Factors `a`, reading its lower triangle. None when `a` is not positive definite.
    #[must_use]
    pub fn new(a: &Array2<f64>) -> Option<Self> {
        let n = a.nrows();
        let mut l = Array2::<f64>::zeros((n, n));
        for i in 0..n {
            for j in 0..=i {
                let dot = l.row(i).iter().zip(l.row(j)).take(j).map(|(x, y)| x * y).sum::<f64>();
                let rest = a[(i, j)] - dot;
                if i == j {
                    if rest.is_nan() || rest <= 0.0 {
                        return None;
                    }
                    l[(i, i)] = rest.sqrt();
                } else {
                    l[(i, j)] = rest / l[(j, j)];
                }
            }
        }
        Some(Self(l))
    }

    /// The x with A·x = b.
    #[must_use]
    pub fn solve(&self, b: &Array1<f64>) -> Array1<f64> {
        let (l, n) = (&self.0, b.len());
        let mut x = b.clone();
        for i in 0..n {
            let dot = (0..i).map(|j| l[(i, j)] * x[j]).sum::<f64>();
            x[i] = (x[i] - dot) / l[(i, i)];
        }
        for i in (0..n).rev() {
            let dot = (i + 1..n).map(|j| l[(j, i)] * x[j]).sum::<f64>();
            x[i] = (x[i] - dot) / l[(i, i)];
        }
        x
    }

    /// L⁻¹, so that xᵀ·A⁻¹·x = ‖L⁻¹·x‖².
    #[must_use]
    pub fn inverse_factor(&self) -> Array2<f64> {
        let (l, n) = (&self.0, self.0.nrows());
        let mut inverse = Array2::<f64>::zeros((n, n));
        for column in 0..n {
            inverse[(column, column)] = 1.0 / l[(column, column)];
            for i in column + 1..n {
                let dot = (column..i).map(|j| l[(i, j)] * inverse[(j, column)]).sum::<f64>();
                inverse[(i, column)] = -dot / l[(i, i)];
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn factors_solves_and_inverts() {
        let a = array![[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let cholesky = Cholesky::new(&a).unwrap();
        let x = cholesky.solve(&array![1.0, -2.0, 3.0]);
        for (got, wanted) in a.dot(&x).iter().zip([1.0, -2.0, 3.0]) {
            assert!((got - wanted).abs() < 1e-12);
        }
        let inverse = cholesky.inverse_factor();
        let identity = inverse.t().dot(&inverse).dot(&a);
        for ((i, j), value) in identity.indexed_iter() {
            assert!((value - f64::from(u8::from(i == j))).abs() < 1e-12, "{identity}");
        }
        assert!(Cholesky::new(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
    }
}
