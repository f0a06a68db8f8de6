//! The regression against an independent one, and the area under the ROC curve against its
//! definition. The expected coefficients are those of scikit-learn 1.9.1, `LogisticRegression(C=1/penalty,
//! solver="newton-cholesky", tol=1e-12)`, whose `lbfgs` agrees to 2e-7; the expected variances are
//! (1, x)ᵀ·H⁻¹·(J + max(λ, λ²τ²)·I)·H⁻¹·(1, x) by numpy, H and J the second derivatives of the loss with and
//! without the penalty at those coefficients, τ² the moment estimate of the mean square of the weights:
//! at λ = 0.3 it is below 1/λ, at 100 above.

use ndarray::{Array1, Array2, ShapeBuilder, array};
use proptest::prelude::*;
use tally_model::{
    evaluation::metrics::{Metrics, auc, reliability},
    training::design::Design,
    training::fit::Fit,
};

const ROWS: usize = 40;

/// 27 of 40.
const MOST: &str = "0011101111011111110011011110111100000111";
/// 12 of 40.
const FEW: &str = "0001101001000110000010000110100000000101";
/// 20 of 40; the first is negative.
const HALF: &str = "0001101001001111000011001110111100000111";

/// Labels, penalty, and intercept and weights by scikit-learn.
const COEFFICIENTS: [(&str, f64, [f64; 4]); 12] = [
    (MOST, 0.01, [0.0370735556, 0.9126324726, -1.3666392939, -0.2421755793]),
    (MOST, 0.3, [0.0670847031, 0.8471175778, -1.2626577827, -0.2291473735]),
    (MOST, 3.0, [0.2121633284, 0.5845859674, -0.8329739315, -0.1717421241]),
    (MOST, 100.0, [0.6378373448, 0.0865344309, -0.0887718338, -0.0349029096]),
    (FEW, 0.01, [-2.7930249558, 1.4982664039, -1.3700958519, 0.0266267612]),
    (FEW, 0.3, [-2.5445195454, 1.3591005893, -1.2159915940, 0.0252619267]),
    (FEW, 3.0, [-1.7538423879, 0.9038991920, -0.7078150121, 0.0304499533]),
    (FEW, 100.0, [-0.8848968165, 0.1375323846, -0.0642162299, 0.0224953924]),
    (HALF, 0.01, [-1.0546724672, 1.0208616581, -1.2724087028, -0.1592842593]),
    (HALF, 0.3, [-0.9787046251, 0.9567453342, -1.1784554805, -0.1472934690]),
    (HALF, 3.0, [-0.6539857961, 0.6890529801, -0.7789135706, -0.0998057926]),
    (HALF, 100.0, [-0.0750901071, 0.1170877971, -0.0843606491, -0.0134906196]),
];

/// The points at which variances are compared: in the middle, inside, at the edge, and far outside.
const POINTS: [[f64; 3]; 5] =
    [[0.0, 0.0, 0.0], [1.0, -1.0, 2.0], [-2.5, 2.0, 0.5], [0.25, -1.5, -3.0], [20.0, -10.0, 30.0]];

/// Labels, penalty, and the variance of the log-odds at each of the [`POINTS`] by numpy.
const VARIANCES: [(&str, f64, [f64; 5]); 6] = [
    (MOST, 0.3, [0.2462708625, 0.7666879176, 2.8697380110, 0.8349446538, 105.9827206982]),
    (MOST, 100.0, [0.1844187070, 0.5523856025, 1.1143392641, 0.3644692875, 69.8878165898]),
    (FEW, 0.3, [0.7391408426, 0.6761714274, 6.4270496497, 0.5299690096, 175.5414452992]),
    (FEW, 100.0, [0.2524284978, 0.8248762311, 1.9833201977, 0.5310775887, 119.0811225884]),
    (HALF, 0.3, [0.3174734270, 0.5931277374, 3.4433815426, 0.5235207638, 96.5716883252]),
    (HALF, 100.0, [0.1840776371, 0.5638391657, 1.2358006681, 0.3493787660, 73.8750949211]),
];

/// 40 rows of three columns from integer formulas, column-major.
fn design() -> Array2<f64> {
    let mut design = Array2::zeros((ROWS, 3).f());
    for (i, mut row) in design.rows_mut().into_iter().enumerate() {
        let i = i as i64;
        row[0] = ((7 * i) % 11 - 5) as f64 / 2.0;
        row[1] = ((5 * i * i + 3 * i) % 13 - 6) as f64 / 3.0;
        row[2] = ((3 * i + i * i * i) % 7 - 3) as f64;
    }
    design
}

fn x() -> Design {
    Design::from(design())
}

/// Each row belongs to another customer.
fn separate_customers() -> Vec<u32> {
    (0..ROWS as u32).collect()
}

fn outcomes(digits: &str) -> Vec<bool> {
    digits.bytes().map(|digit| digit == b'1').collect()
}

fn flipped(outcomes: &[bool]) -> Vec<bool> {
    outcomes.iter().map(|outcome| !outcome).collect()
}

fn coefficients(fit: &Fit) -> Vec<f64> {
    [fit.intercept].into_iter().chain(fit.weights.iter().copied()).collect()
}

fn assert_close(got: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len());
    for (got_one, wanted_one) in got.iter().zip(wanted) {
        assert!((got_one - wanted_one).abs() <= tolerance, "{got:?}, not {wanted:?}");
    }
}

#[test]
fn coefficients_are_those_of_scikit_learn_whichever_class_is_more_frequent() {
    for (digits, penalty, wanted) in COEFFICIENTS {
        let fit = Fit::new(&x(), &outcomes(digits), penalty, None).unwrap();
        assert_close(&coefficients(&fit), &wanted, 1e-6);
        assert_eq!(fit.penalty, penalty);
    }
}

#[test]
fn flipping_all_outcomes_negates_intercept_and_weights() {
    // For an exact tie, this changes the first label.
    for (digits, penalty, wanted) in COEFFICIENTS {
        let fit = Fit::new(&x(), &flipped(&outcomes(digits)), penalty, None).unwrap();
        assert_close(&coefficients(&fit), &wanted.map(|value| -value), 1e-6);
    }
}

#[test]
fn the_order_of_the_rows_does_not_matter_whichever_outcome_comes_first() {
    for (digits, penalty, wanted) in COEFFICIENTS {
        let (design, outcomes) = (design(), outcomes(digits));
        for first in 0..4 {
            let order: Vec<usize> = (0..ROWS).map(|row| (row * 3 + first) % ROWS).collect();
            let turned: Vec<bool> = order.iter().map(|row| outcomes[*row]).collect();
            let fit =
                Fit::new(&Design::from(design.select(ndarray::Axis(0), &order)), &turned, penalty, None)
                    .unwrap();
            assert_close(&coefficients(&fit), &wanted, 1e-6);
        }
    }
}

#[test]
fn the_optimum_does_not_depend_on_the_start_or_on_the_memory_layout() {
    let far = Fit { intercept: 8.0, weights: array![-9.0, 3.0, 20.0], penalty: 1.0 };
    let by_rows = design().as_standard_layout().into_owned();
    for (digits, penalty, wanted) in COEFFICIENTS {
        let outcomes = outcomes(digits);
        let started = Fit::new(&x(), &outcomes, penalty, Some(&far)).unwrap();
        assert_close(&coefficients(&started), &wanted, 1e-6);
        let laid_out = Fit::new(&Design::from(by_rows.clone()), &outcomes, penalty, None).unwrap();
        assert_close(&coefficients(&laid_out), &wanted, 1e-6);
    }
}

#[test]
fn the_penalty_is_on_the_summed_loss() {
    // Twice, and so many times that a sample of the rows is fitted first.
    for times in [2, 2_000] {
        let views = vec![design(); times];
        let views: Vec<_> = views.iter().map(Array2::view).collect();
        let often = ndarray::concatenate(ndarray::Axis(0), &views).unwrap();
        for (digits, penalty, wanted) in COEFFICIENTS {
            let outcomes = outcomes(&digits.repeat(times));
            let fit =
                Fit::new(&Design::from(often.clone()), &outcomes, times as f64 * penalty, None).unwrap();
            assert_close(&coefficients(&fit), &wanted, 1e-6);
        }
    }
}

#[test]
fn columns_that_a_sample_lacks_are_fitted() {
    let rows = 60_000;
    let mut matrix = Array2::zeros((rows, 3).f());
    let mut outcomes = vec![false; rows];
    for (n, mut row) in matrix.rows_mut().into_iter().enumerate() {
        row[0] = (n as f64 * 0.37).sin();
        // Two informative columns that a sample hardly contains, one large, one small.
        row[1] = if n % 15_013 == 7 { 40.0 } else { 0.0 };
        row[2] = if n % 997 == 3 { 0.01 } else { 0.0 };
        outcomes[n] = (n * n) % 7 < 2 || n % 15_013 == 7 || n % 997 == 3;
    }
    for penalty in [1e-6, 1e-3, 1.0, 1e6] {
        let fit = Fit::new(&Design::from(matrix.clone()), &outcomes, penalty, None).unwrap();
        // At the optimum the gradient is 0.
        let log_odds = matrix.dot(&fit.weights) + fit.intercept;
        let rest: Array1<f64> = log_odds
            .iter()
            .zip(&outcomes)
            .map(|(z, y)| 1.0 / (1.0 + (-z).exp()) - f64::from(u8::from(*y)))
            .collect();
        let pull = matrix.t().dot(&rest) + &fit.weights * penalty;
        assert!(rest.sum().abs() < 1e-6 * rows as f64, "{}", rest.sum());
        assert!(pull.iter().all(|pull| pull.abs() < 1e-6 * rows as f64), "{penalty}: {pull}");
    }
}

#[test]
fn a_strong_penalty_leaves_the_base_rate() {
    for digits in [MOST, FEW, HALF] {
        let outcomes = outcomes(digits);
        let fit = Fit::new(&x(), &outcomes, 1e12, None).unwrap();
        let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
        let base = (positives / (ROWS as f64 - positives)).ln();
        assert_close(&coefficients(&fit), &[base, 0.0, 0.0, 0.0], 1e-6);
    }
}

#[test]
fn log_odds_are_the_intercept_plus_the_weighted_row() {
    let fit = Fit { intercept: 0.5, weights: array![1.0, -2.0, 4.0], penalty: 1.0 };
    let log_odds = fit.log_odds(&Design::from(array![[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [2.0, -3.0, 0.25]]));
    assert_eq!(log_odds, array![0.5, 3.5, 9.5]);
}

#[test]
fn the_uncertainty_gives_the_variance_of_the_log_odds() {
    for (digits, penalty, variances) in VARIANCES {
        let outcomes = outcomes(digits);
        let fit = Fit::new(&x(), &outcomes, penalty, None).unwrap();
        let factor = fit.uncertainty(&x(), &outcomes, &separate_customers()).unwrap();
        for (i, j) in (0..4).flat_map(|i| (i + 1..4).map(move |j| (i, j))) {
            assert_eq!(factor[(i, j)], 0.0, "nothing above the diagonal");
        }
        for ([a, b, c], wanted) in POINTS.into_iter().zip(variances) {
            let product: Array1<f64> = factor.t().dot(&array![1.0, a, b, c]);
            let variance = product.dot(&product);
            assert!((variance - wanted).abs() <= 1e-6 * wanted.max(1.0), "{variance}, not {wanted}");
        }
    }
}

#[test]
fn repeated_rows_of_a_customer_do_not_reduce_the_uncertainty() {
    // Each row several times, for the same customer or for others. The penalty is tiny, and grows in proportion.
    let variances = |times: usize, one_customer: bool| {
        let rows: Vec<usize> = (0..times * ROWS).map(|n| n / times).collect();
        let design = Design::from(design().select(ndarray::Axis(0), &rows));
        let outcomes = outcomes(HALF);
        let repeated: Vec<bool> = rows.iter().map(|row| outcomes[*row]).collect();
        let customer = |n: usize| if one_customer { rows[n] as u32 } else { n as u32 };
        let customers: Vec<u32> = (0..rows.len()).map(customer).collect();
        let fit = Fit::new(&design, &repeated, 1e-3 * times as f64, None).unwrap();
        let factor = fit.uncertainty(&design, &repeated, &customers).unwrap();
        POINTS.map(|[a, b, c]| {
            let product: Array1<f64> = factor.t().dot(&array![1.0, a, b, c]);
            product.dot(&product)
        })
    };
    let (twice, thrice) = (variances(2, true), variances(3, true));
    for (twice, thrice) in twice.into_iter().zip(thrice) {
        assert!((thrice / twice - 1.0).abs() < 0.01, "{thrice}, not {twice}");
    }
    for (twice, thrice) in variances(2, false).into_iter().zip(variances(3, false)) {
        assert!(
            (thrice / twice - 2.0 / 3.0).abs() < 0.01,
            "equal rows of different customers: {thrice}, {twice}"
        );
    }
}

#[test]
fn a_singular_fit_has_no_uncertainty() {
    // A column of zeros, and no penalty on its weight.
    let column = design().column(0).to_owned();
    let zeros = Design::from(ndarray::stack![ndarray::Axis(1), column, Array1::zeros(ROWS)]);
    let fit = Fit { intercept: 0.0, weights: array![0.0, 0.0], penalty: 0.0 };
    assert!(fit.uncertainty(&zeros, &outcomes(MOST), &separate_customers()).is_none());
}

/// Every pair of a row with the outcome and one without, one by one.
fn pairwise_auc(probabilities: &[f64], outcomes: &[bool]) -> f64 {
    let rows = || probabilities.iter().zip(outcomes);
    let (mut right, mut pairs) = (0.0, 0.0);
    for (positive, _) in rows().filter(|(_, outcome)| **outcome) {
        for (negative, _) in rows().filter(|(_, outcome)| !**outcome) {
            pairs += 1.0;
            right += if positive > negative {
                1.0
            } else if positive < negative {
                0.0
            } else {
                0.5
            };
        }
    }
    right / pairs
}

/// Probabilities on a coarse grid, so that many are tied, and outcomes of both kinds.
fn predictions() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    let row = (1_u32..64, any::<bool>()).prop_map(|(share, outcome)| (f64::from(share) / 64.0, outcome));
    prop::collection::vec(row, 2..150)
        .prop_map(|rows| rows.into_iter().unzip())
        .prop_filter("both outcomes", |(_, outcomes): &(Vec<f64>, Vec<bool>)| {
            outcomes.contains(&true) && outcomes.contains(&false)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn auc_is_the_share_of_correctly_ordered_pairs((probabilities, outcomes) in predictions()) {
        prop_assert_eq!(auc(&probabilities, &outcomes), pairwise_auc(&probabilities, &outcomes));
    }

    #[test]
    fn auc_depends_on_ranks_alone((probabilities, outcomes) in predictions()) {
        let before = auc(&probabilities, &outcomes);
        let rising: [fn(f64) -> f64; 4] =
            [|p| p * p * p, |p| (p / (1.0 - p)).ln(), |p| 1e9 * p - 7.0, |p| f64::from(p > 0.0) + p / 1_024.0];
        for rise in rising {
            let risen: Vec<f64> = probabilities.iter().map(|p| rise(*p)).collect();
            prop_assert_eq!(auc(&risen, &outcomes), before);
        }
    }

    #[test]
    fn auc_is_reversed_with_the_probabilities_or_the_outcomes((probabilities, outcomes) in predictions()) {
        let before = auc(&probabilities, &outcomes);
        let turned: Vec<f64> = probabilities.iter().map(|p| 1.0 - p).collect();
        prop_assert!((auc(&turned, &outcomes) - (1.0 - before)).abs() < 1e-12);
        prop_assert!((auc(&probabilities, &flipped(&outcomes)) - (1.0 - before)).abs() < 1e-12);
        prop_assert!((auc(&turned, &flipped(&outcomes)) - before).abs() < 1e-12);
    }

    #[test]
    fn metrics_do_not_depend_on_the_order_of_the_rows((probabilities, outcomes) in predictions(), turn in 0_usize..150) {
        let turn = turn % outcomes.len();
        let (mut turned, mut turned_outcomes) = (probabilities.clone(), outcomes.clone());
        turned.rotate_left(turn);
        turned_outcomes.rotate_left(turn);
        let numbers = |m: Metrics| [m.auc, m.pr_auc, m.log_loss, m.brier, m.ece, m.lift_at_10_percent];
        let (one, other) = (Metrics::new(&probabilities, &outcomes), Metrics::new(&turned, &turned_outcomes));
        for (one, other) in numbers(one).into_iter().zip(numbers(other)) {
            prop_assert!((one - other).abs() < 1e-12, "{one} and {other}");
        }
    }

    #[test]
    fn reliability_bins_contain_all_rows_and_outcomes((probabilities, outcomes) in predictions()) {
        let bins = reliability(&probabilities, &outcomes);
        prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<usize>(), outcomes.len());
        let observed: f64 = bins.iter().map(|bin| bin.observed * bin.rows as f64).sum();
        let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
        prop_assert!((observed - positives).abs() < 1e-9);
        let predicted: f64 = bins.iter().map(|bin| bin.predicted * bin.rows as f64).sum();
        prop_assert!((predicted - probabilities.iter().sum::<f64>()).abs() < 1e-9);
        prop_assert!(bins.is_sorted_by(|a, b| a.predicted <= b.predicted + 1e-12));
    }
}
