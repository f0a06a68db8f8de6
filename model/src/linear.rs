//! The linear algebra that fitting needs: the Cholesky factor of a symmetric matrix.
//!
//! It is ours, since bindings to LAPACK would need a Fortran library and give other bits on other machines.

use ndarray::{Array1, Array2, ArrayView2, s};

/// Below this many rows, plain loops are as fast as products of blocks.
const SMALL: usize = 48;

/// The lower triangular L of a symmetric positive definite A = L·Lᵀ, and its inverse.
pub struct Cholesky {
    factor: Array2<f64>,
    inverse: Array2<f64>,
}

impl Cholesky {
    /// Factors `a`, reading its lower triangle. None when `a` is not positive definite.
    #[must_use]
    pub fn new(a: &Array2<f64>) -> Option<Self> {
        let (factor, inverse) = factor(a.view())?;
        Some(Self { factor, inverse })
    }

    /// The x with A·x = b.
    #[must_use]
    pub fn solve(&self, b: &Array1<f64>) -> Array1<f64> {
        self.inverse.t().dot(&self.inverse.dot(b))
    }

    /// The factor L.
    #[must_use]
    pub const fn factor(&self) -> &Array2<f64> {
        &self.factor
    }

    /// Its inverse L⁻¹, so that A⁻¹ = L⁻ᵀ·L⁻¹.
    #[must_use]
    pub const fn inverse_factor(&self) -> &Array2<f64> {
        &self.inverse
    }
}

/// L and L⁻¹ by halves, so that nearly all of the work is products of matrices:
/// for A = [A₁ ·; B A₂], L = [L₁ 0; B·L₁⁻ᵀ L₂], where L₂·L₂ᵀ = A₂ − (B·L₁⁻ᵀ)(B·L₁⁻ᵀ)ᵀ.
fn factor(a: ArrayView2<'_, f64>) -> Option<(Array2<f64>, Array2<f64>)> {
    let n = a.nrows();
    if n <= SMALL {
        return factor_small(a);
    }
    let half = n / 2;
    let (first, first_inverse) = factor(a.slice(s![..half, ..half]))?;
    let below = a.slice(s![half.., ..half]).dot(&first_inverse.t());
    let rest = &a.slice(s![half.., half..]) - &below.dot(&below.t());
    let (second, second_inverse) = factor(rest.view())?;
    let below_inverse = -second_inverse.dot(&below).dot(&first_inverse);
    let join = |upper: &Array2<f64>, left: &Array2<f64>, lower: &Array2<f64>| {
        let mut whole = Array2::zeros((n, n));
        whole.slice_mut(s![..half, ..half]).assign(upper);
        whole.slice_mut(s![half.., ..half]).assign(left);
        whole.slice_mut(s![half.., half..]).assign(lower);
        whole
    };
    Some((join(&first, &below, &second), join(&first_inverse, &below_inverse, &second_inverse)))
}

fn factor_small(a: ArrayView2<'_, f64>) -> Option<(Array2<f64>, Array2<f64>)> {
    let n = a.nrows();
    let (mut l, mut inverse) = (Array2::<f64>::zeros((n, n)), Array2::<f64>::zeros((n, n)));
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
    for column in 0..n {
        inverse[(column, column)] = 1.0 / l[(column, column)];
        for i in column + 1..n {
            let dot = (column..i).map(|j| l[(i, j)] * inverse[(j, column)]).sum::<f64>();
            inverse[(i, column)] = -dot / l[(i, i)];
        }
    }
    Some((l, inverse))
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
        assert!(Cholesky::new(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
    }

    #[test]
    fn halves_give_the_same_as_the_whole() {
        // A diagonally dominant matrix, large enough to be halved twice.
        let n = 3 * SMALL + 5;
        let a = Array2::from_shape_fn((n, n), |(i, j)| {
            if i == j { 50.0 } else { ((i * j) as f64).sin() / (1.0 + i.abs_diff(j) as f64) }
        });
        let a = &a + &a.t();
        let cholesky = Cholesky::new(&a).unwrap();
        let (l, inverse) = (cholesky.factor(), cholesky.inverse_factor());
        let whole = factor_small(a.view()).unwrap();
        let distance =
            |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().fold(0.0_f64, |most, d| most.max(d.abs()));
        assert!(distance(l, &whole.0) < 1e-12 && distance(inverse, &whole.1) < 1e-12);
        assert!(distance(&l.dot(&l.t()), &a) < 1e-10 && distance(&l.dot(inverse), &Array2::eye(n)) < 1e-12);
    }
}
