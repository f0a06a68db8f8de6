//! Special functions: ln Γ with its first two derivatives, and the incomplete beta function.
//!
//! They are ours, a page of text-book formulas, so that their bits do not depend on a library of the machine.

/// The 97.5 % quantile of the standard normal distribution, for intervals of 95 %.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// From here on the asymptotic series are exact to the last digit.
const LARGE: f64 = 12.0;
/// Where the density by the logarithm is less, what lies beyond is less than a rounding error.
const NEGLIGIBLE_DENSITY: f64 = 1e-18;

/// ln Γ(z), z > 0.
pub(crate) fn ln_gamma(z: f64) -> f64 {
    // Γ(z) = Γ(z + n) / (z·(z+1)·…·(z+n−1)).
    let (mut product, mut large) = (1.0, z);
    while large < LARGE {
        product *= large;
        large += 1.0;
    }
    let square = 1.0 / (large * large);
    // Stirling's series, B₂ₖ / (2k·(2k−1)·z²ᵏ⁻¹).
    let coefficients = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1_260.0,
        -1.0 / 1_680.0,
        1.0 / 1_188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let half_ln_tau = 0.918_938_533_204_672_8;
    (large - 0.5) * large.ln() - large + half_ln_tau + polynomial(coefficients, square) / large - product.ln()
}

/// ψ(z) and ψ′(z), the first two derivatives of ln Γ, z > 0.
pub(crate) fn digamma_and_trigamma(z: f64) -> [f64; 2] {
    let (mut digamma, mut trigamma, mut large) = (0.0, 0.0, z);
    while large < LARGE {
        let inverse = 1.0 / large;
        digamma -= inverse;
        trigamma += inverse * inverse;
        large += 1.0;
    }
    let inverse = 1.0 / large;
    let square = inverse * inverse;
    // −B₂ₖ / (2k·z²ᵏ) and B₂ₖ / z²ᵏ⁺¹.
    let of_digamma =
        [-1.0 / 12.0, 1.0 / 120.0, -1.0 / 252.0, 1.0 / 240.0, -1.0 / 132.0, 691.0 / 32_760.0, -1.0 / 12.0];
    let of_trigamma =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2_730.0, 7.0 / 6.0];
    digamma += large.ln() - 0.5 * inverse + square * polynomial(of_digamma, square);
    trigamma += inverse + 0.5 * square + inverse * square * polynomial(of_trigamma, square);
    [digamma, trigamma]
}

/// c₀ + c₁·x + c₂·x² + …
fn polynomial<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    coefficients.into_iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// ln B(a, b) = ln Γ(a)·Γ(b)/Γ(a+b), a and b > 0.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The regularised incomplete beta function I_z(a, b) for z = s/(1+s), a and b > 0, by `density` = zᵃ·(1−z)ᵇ / B(a, b):
/// a beta prime variable with a and b is at most s.
///
/// The even part of the continued fraction of Didonato and Morris (1992), "Significant digit computation of the incomplete
/// beta function ratios", ACM Transactions on Mathematical Software 18(3), equation 9, on the side of the mean where it
/// converges fast.
pub(crate) fn beta_prime_cdf(a: f64, b: f64, s: f64, density: f64) -> f64 {
    if density == 0.0 {
        return if s * b > a { 1.0 } else { 0.0 };
    }
    let z = s / (1.0 + s);
    if s * b <= a {
        density / continued_fraction(a, b, z, 1.0 / (1.0 + s))
    } else {
        1.0 - density / continued_fraction(b, a, 1.0 / (1.0 + s), z)
    }
}

/// β₀ + α₁/(β₁ + α₂/(β₂ + …)) by the method of Lentz; `rest` = 1 − z.
fn continued_fraction(a: f64, b: f64, z: f64, rest: f64) -> f64 {
    let distance = a * rest - b * z + 1.0;
    let mut fraction = a * distance / (a + 1.0);
    let (mut c, mut d) = (fraction, 0.0);
    let mut m = 0.0;
    loop {
        m += 1.0;
        let before = 1.0 / (a + 2.0 * m - 1.0);
        let numerator = (a + m - 1.0) * (a + b + m - 1.0) * m * (b - m) * (z * before) * (z * before);
        let denominator =
            m + m * (b - m) * z * before + (a + m) * (distance + m * (1.0 + rest)) / (a + 2.0 * m + 1.0);
        d = 1.0 / (denominator + numerator * d);
        c = denominator + numerator / c;
        let factor = c * d;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-15 || m > 100_000.0 {
            return fraction;
        }
    }
}

/// The regularised incomplete gamma function P(a, x), a and x > 0, by `density` = xᵃ·e⁻ˣ / Γ(a): a gamma variable with
/// shape a is at most x.
///
/// The series and the continued fraction of Abramowitz and Stegun 6.5.29 and 6.5.31, each where it converges fast.
pub(crate) fn gamma_cdf(a: f64, x: f64, density: f64) -> f64 {
    if density < NEGLIGIBLE_DENSITY {
        return if x > a { 1.0 } else { 0.0 };
    }
    if x < a + 1.0 { density * gamma_series(a, x) } else { 1.0 - density / gamma_fraction(a, x) }
}

/// 1/a + x/(a·(a+1)) + x²/(a·(a+1)·(a+2)) + …
fn gamma_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, 0.0);
    while term > 1e-16 * sum && n < 100_000.0 {
        n += 1.0;
        term *= x / (a + n);
        sum += term;
    }
    sum
}

/// x + 1 − a − 1·(1 − a)/(x + 3 − a − 2·(2 − a)/(x + 5 − a − …)) by the method of Lentz.
fn gamma_fraction(a: f64, x: f64) -> f64 {
    let mut denominator = x + 1.0 - a;
    let mut fraction = denominator;
    let (mut c, mut d) = (fraction, 0.0);
    let mut m = 0.0;
    loop {
        m += 1.0;
        let numerator = m * (a - m);
        denominator += 2.0;
        d = 1.0 / (denominator + numerator * d);
        c = denominator + numerator / c;
        let factor = c * d;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-15 || m > 100_000.0 {
            return fraction;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The constants were printed by mpmath 1.3 with 40 digits.
    #[test]
    fn ln_gamma_and_its_derivatives_are_those_of_mpmath() {
        for (z, [log, digamma, trigamma]) in [
            (1e-3, [6.907_178_885_383_853, -1_000.575_571_931_810_3, 1_000_001.642_533_195_9]),
            (0.5, [0.572_364_942_924_700_1, -1.963_510_026_021_423_5, 4.934_802_200_544_679]),
            (1.7, [-0.095_807_697_407_065_86, 0.208_547_874_873_493_96, 0.793_232_830_163_983_8]),
            (11.9, [17.258_477_450_595_52, 2.433_933_536_882_537_5, 0.087_663_201_190_004_19]),
            (300.25, [1_410.627_700_502_379, 5.702_949_257_642_254, 0.003_336_110_333_719_919_5]),
            (1e6, [12_815_504.569_147_612, 13.815_510_057_964_191, 1.000_000_500_000_166_7e-6]),
        ] {
            let [got_digamma, got_trigamma] = digamma_and_trigamma(z);
            for (got, wanted) in [(ln_gamma(z), log), (got_digamma, digamma), (got_trigamma, trigamma)] {
                assert!((got - wanted).abs() <= 1e-14 * (1.0 + wanted.abs()), "{z}: {got}, not {wanted}");
            }
        }
    }

    #[test]
    fn the_incomplete_gamma_function_is_that_of_mpmath() {
        for ([a, x], wanted) in [
            ([0.3, 0.01], 0.279_240_996_359_014_86),
            ([0.05, 3.0], 0.999_284_094_568_797_4),
            ([2.5, 1.2], 0.208_525_879_405_675_33),
            ([2.5, 9.0], 0.997_053_595_412_119_7),
            ([360.0, 340.0], 0.145_342_806_159_261_18),
            ([360.0, 395.5], 0.966_394_067_267_920_4),
            ([250_000.0, 250_600.0], 0.884_873_593_284_095_8),
        ] {
            let density = (a * f64::ln(x) - x - ln_gamma(a)).exp();
            let got = gamma_cdf(a, x, density);
            // The density of a great shape has lost digits.
            assert!((got - wanted).abs() < 1e-12 + 1e-14 * a, "{a} {x}: {got}, not {wanted}");
        }
        assert_eq!([gamma_cdf(9.0, 1e3, 0.0), gamma_cdf(9.0, 1e-9, 0.0)], [1.0, 0.0]);
    }

    #[test]
    fn the_incomplete_beta_function_is_that_of_mpmath() {
        for ([a, b, s], wanted) in [
            ([0.3, 2.5, 0.01], 0.350_719_065_421_703_1),
            ([6.25, 3.74, 1.5], 0.414_012_645_763_797_15),
            ([360.0, 250.5, 1.4], 0.373_297_323_376_484_12),
            ([1_800.0, 20.2, 120.0], 0.883_722_601_986_058_3),
            ([0.05, 1.01, 900.0], 0.999_948_601_662_495_9),
        ] {
            let density = (a * f64::ln(s / (1.0 + s)) - b * s.ln_1p() - ln_beta(a, b)).exp();
            let got = beta_prime_cdf(a, b, s, density);
            assert!((got - wanted).abs() < 1e-12, "{a} {b} {s}: {got}, not {wanted}");
        }
        assert_eq!([beta_prime_cdf(9.0, 9.0, 1e300, 0.0), beta_prime_cdf(9.0, 9.0, 1e-300, 0.0)], [1.0, 0.0]);
    }
}
