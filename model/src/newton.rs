//! The maximum of a likelihood of a few positive parameters: Newton's method on their logarithms, inside bounds.
//!
//! The caller computes the log-likelihood and its derivatives by the parameters; this module takes them to the
//! logarithms, climbs, and says why the end is no maximum when it is none.

use ndarray::{Array1, Array2};

use crate::linear::Cholesky;

/// The least and the greatest value of a parameter. A parameter at either has no optimum of its own.
pub(crate) const LEAST: f64 = 1e-5;
pub(crate) const GREATEST: f64 = 1e5;
/// The most Newton steps from one start; some ten are usual.
const STEPS: usize = 200;
/// A Newton step that changes no parameter by more than this share is the last one: the next would
/// be its square.
const SMALL_STEP: f64 = 1e-5;
/// The greatest gradient by the logarithm of a parameter, per customer, at the maximum.
const TOLERANCE: f64 = 1e-8;

/// A log-likelihood, and its first and second derivatives by the parameters. Of the second derivatives only the
/// lower triangle is filled.
pub(crate) struct Derivatives<const N: usize> {
    pub(crate) log_likelihood: f64,
    pub(crate) slope: [f64; N],
    pub(crate) bend: [[f64; N]; N],
}

impl<const N: usize> Default for Derivatives<N> {
    fn default() -> Self {
        Self { log_likelihood: 0.0, slope: [0.0; N], bend: [[0.0; N]; N] }
    }
}

impl<const N: usize> Derivatives<N> {
    /// Adds `count` times those of one customer.
    pub(crate) fn add(&mut self, count: f64, one: &Self) {
        self.log_likelihood += count * one.log_likelihood;
        for i in 0..N {
            self.slope[i] += count * one.slope[i];
            for j in 0..=i {
                self.bend[i][j] += count * one.bend[i][j];
            }
        }
    }

    /// Adds up, in the order given.
    pub(crate) fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            all.add(1.0, &part);
        }
        all
    }
}

/// The log-likelihood of `customers` at the parameters that a function is given.
pub(crate) struct Surface<F> {
    pub(crate) customers: f64,
    pub(crate) at: F,
}

impl<F> Surface<F> {
    /// The point at these logarithms of the parameters.
    pub(crate) fn point<const N: usize>(&self, logs: [f64; N]) -> ParameterPoint<N>
    where
        F: Fn([f64; N]) -> Derivatives<N>,
    {
        let parameters = logs.map(|log| log.exp().clamp(LEAST, GREATEST));
        let all = (self.at)(parameters);
        // By the logarithms.
        let gradient = std::array::from_fn(|i| parameters[i] * all.slope[i]);
        let hessian = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let own = if i == j { gradient[i] } else { 0.0 };
                parameters[i] * parameters[j] * all.bend[i.max(j)][i.min(j)] + own
            })
        });
        ParameterPoint { logs, parameters, log_likelihood: all.log_likelihood, gradient, hessian }
    }

    /// Climbs to a maximum of the log-likelihood: Newton's method on the logarithms of the
    /// parameters, damped where the surface does not bend downwards, inside the bounds.
    pub(crate) fn ascent<const N: usize>(&self, start: [f64; N]) -> Ascent<N>
    where
        F: Fn([f64; N]) -> Derivatives<N>,
    {
        let mut point = self.point(start);
        for steps in 1..=STEPS {
            let Some((step, damped)) = point.step(self.customers) else {
                return self.end(point, steps, false);
            };
            let longest = step.iter().fold(0.0, |longest: f64, part| longest.max(part.abs()));
            if longest <= SMALL_STEP && !damped {
                // So near to the maximum the likelihood is the same to the last digit; only the slope counts.
                return self.end(self.point(point.moved(step, 1.0)), steps, true);
            }
            // A step multiplies or divides a parameter by e at most.
            let lengths = (0..40).map(|halving| 0.5_f64.powi(halving) / longest.max(1.0));
            let higher = lengths
                .map(|length| self.point(point.moved(step, length)))
                .find(|next| next.log_likelihood > point.log_likelihood);
            match higher {
                Some(next) => point = next,
                None => return self.end(point, steps, false),
            }
        }
        self.end(point, STEPS, false)
    }

    /// The end of the steps from one start.
    pub(crate) fn end<const N: usize>(
        &self,
        point: ParameterPoint<N>,
        steps: usize,
        converged: bool,
    ) -> Ascent<N> {
        let greatest = point.gradient.iter().fold(0.0, |greatest: f64, slope| greatest.max(slope.abs()));
        Ascent { gradient: greatest / self.customers.max(1.0), point, steps, converged }
    }
}

/// The log-likelihood and its derivatives at some parameters, by their logarithms.
pub(crate) struct ParameterPoint<const N: usize> {
    pub(crate) logs: [f64; N],
    pub(crate) parameters: [f64; N],
    pub(crate) log_likelihood: f64,
    pub(crate) gradient: [f64; N],
    pub(crate) hessian: [[f64; N]; N],
}

impl<const N: usize> ParameterPoint<N> {
    fn moved(&self, step: [f64; N], length: f64) -> [f64; N] {
        std::array::from_fn(|i| (self.logs[i] + length * step[i]).clamp(LEAST.ln(), GREATEST.ln()))
    }

    /// The parameters that no bound holds; one is held at a bound beyond which the likelihood would rise.
    fn free(&self) -> Vec<usize> {
        let is_held = |i: &usize| {
            (self.logs[*i] <= LEAST.ln() && self.gradient[*i] <= 0.0)
                || (self.logs[*i] >= GREATEST.ln() && self.gradient[*i] >= 0.0)
        };
        (0..N).filter(|i| !is_held(i)).collect()
    }

    /// The Cholesky factor of the damped negative second derivatives by the free parameters.
    fn downwards(&self, free: &[usize], damping: f64) -> Option<Cholesky> {
        Cholesky::new(&Array2::from_shape_fn((free.len(), free.len()), |(i, j)| {
            let damping = if i == j { damping } else { 0.0 };
            damping - self.hessian[free[i]][free[j]]
        }))
    }

    /// A step upwards in the parameters that no bound holds, and whether it had to be damped. None when
    /// no damping helps.
    fn step(&self, customers: f64) -> Option<([f64; N], bool)> {
        let free = self.free();
        let gradient: Array1<f64> = free.iter().map(|i| self.gradient[*i]).collect();
        std::iter::once(0.0).chain((-9..=3).map(|power| 10_f64.powi(power))).find_map(|damping| {
            let solved = self.downwards(&free, damping * customers)?.solve(&gradient);
            let mut step = [0.0; N];
            free.iter().zip(solved).for_each(|(i, part)| step[*i] = part);
            Some((step, damping > 0.0))
        })
    }

    /// The covariance of the logarithms of the parameters: the inverse of the negative second derivatives. A
    /// parameter that a bound holds has none. None when the surface does not bend downwards.
    pub(crate) fn covariance(&self) -> Option<[[f64; N]; N]> {
        let free = self.free();
        let inverse = self.downwards(&free, 0.0)?;
        let product = inverse.inverse_factor().t().dot(inverse.inverse_factor());
        let mut covariance = [[0.0; N]; N];
        for (i, row) in free.iter().enumerate() {
            for (j, column) in free.iter().enumerate() {
                covariance[*row][*column] = product[(i, j)];
            }
        }
        Some(covariance)
    }
}

/// Where the steps from one start ended.
pub(crate) struct Ascent<const N: usize> {
    pub(crate) point: ParameterPoint<N>,
    pub(crate) steps: usize,
    /// The greatest slope by the logarithm of a parameter, per customer.
    pub(crate) gradient: f64,
    converged: bool,
}

impl<const N: usize> Ascent<N> {
    /// The one with the greater likelihood; this one when they are equal.
    #[must_use]
    pub(crate) fn higher(self, other: Self) -> Self {
        if other.point.log_likelihood > self.point.log_likelihood { other } else { self }
    }

    /// Why this is not a maximum, by the names of the parameters; None when it is.
    pub(crate) fn problem(&self, names: [&str; N]) -> Option<String> {
        let point = &self.point;
        let bounded: Vec<String> = names
            .iter()
            .zip(point.logs.iter().zip(point.parameters))
            .filter(|(_, (log, _))| **log <= LEAST.ln() || **log >= GREATEST.ln())
            .map(|(name, (_, value))| format!("{name} = {value:e}"))
            .collect();
        if !point.log_likelihood.is_finite() {
            Some("the likelihood is not finite".to_owned())
        } else if !bounded.is_empty() {
            Some(format!(
                "no maximum inside the bounds: {}; the values at the bounds are used",
                bounded.join(", ")
            ))
        } else if !self.converged || self.gradient > TOLERANCE {
            Some(format!(
                "no maximum after {} steps: the gradient is {:.1e} a customer, allowed is {TOLERANCE:.0e}",
                self.steps, self.gradient
            ))
        } else {
            None
        }
    }
}
