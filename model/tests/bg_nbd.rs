//! The BG/NBD model against other implementations, against its own assumptions, and at its limits.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod buyers;

use proptest::prelude::*;
use tally_model::{
    features::bg_nbd::{BgNbd, Purchases},
    features::profile::DataProfile,
    features::{Forecast, Plan},
    history::History,
    simulate::Business,
    spec::{Spec, Target},
    time::{DAY, Time},
    training::snapshot::{Sampling, Snapshots},
};

use buyers::Sampler;

fn bg_nbd([r, alpha, a, b]: [f64; 4]) -> BgNbd {
    BgNbd { r, alpha, a, b }
}

fn parameters(model: &BgNbd) -> [f64; 4] {
    [model.r, model.alpha, model.a, model.b]
}

/// Purchases by frequency and the days from the first to the last, and to now.
fn purchases([frequency, last, age]: [u32; 3]) -> Purchases {
    Purchases { frequency, recency_weeks: f64::from(last) / 7.0, age_weeks: f64::from(age) / 7.0 }
}

#[track_caller]
fn assert_close(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= 1e-8 * wanted.abs(), "{got}, not {wanted}");
}

// ---------------------------------------------------------------------------------------------------
// Other implementations: all constants here were printed by bench/quality/bg_nbd.py
// ---------------------------------------------------------------------------------------------------

struct Expected {
    parameters: [f64; 4],
    /// The log-likelihood of all [`CUSTOMERS`].
    log_likelihood: f64,
    /// For each of the [`HISTORIES`] and the [`DAYS`] after it: P(alive), the expected number of purchases,
    /// the probability of none.
    futures: [[f64; 3]; 12],
}

const CUSTOMERS: &str = "\
    8 134 377, 1 51 250, 0 0 387, 3 125 276, 0 0 239, 2 84 129, 0 0 37, 2 18 264, 1 8 387, 33 350 350, \
    1 71 279, 1 89 326, 0 0 45, 2 131 271, 2 60 120, 2 88 250, 0 0 196, 1 203 260, 2 36 284, 4 88 98, \
    0 0 133, 0 0 148, 0 0 35, 2 99 310, 0 0 145, 0 0 154, 1 10 370, 1 254 300, 1 128 297, 0 0 90, \
    0 0 72, 5 319 349, 4 96 131, 3 63 67, 5 28 319, 0 0 6, 1 25 61, 0 0 186, 0 0 35, 7 298 314, \
    0 0 90, 0 0 125, 1 34 204, 0 0 22, 2 129 138, 6 68 115, 0 0 5, 0 0 73, 3 51 84, 2 17 357, \
    5 118 158, 5 68 289, 2 41 78, 5 100 109, 0 0 74, 0 0 69, 0 0 380, 4 205 346, 3 56 305, 0 0 235";

const BEST: [f64; 4] = [0.560747371, 3.611208707, 1.449590061, 5.637886858];
const BEST_LOG_LIKELIHOOD: f64 = -392.263918754;

const HISTORIES: [[u32; 3]; 6] =
    [[0, 0, 0], [0, 0, 365], [1, 12, 400], [2, 213, 272], [40, 300, 310], [1500, 1600, 1601]];
const DAYS: [f64; 2] = [90.0, 3650.0];

const EXPECTED: [Expected; 5] = [
    Expected {
        parameters: [0.243, 4.414, 0.793, 2.426],
        log_likelihood: -406.311052612,
        futures: [
            [1.000000000e+00, 5.297692457e-01, 7.178359993e-01],
            [1.000000000e+00, 4.980725096e+00, 3.129870079e-01],
            [1.000000000e+00, 5.344538477e-02, 9.514419187e-01],
            [1.000000000e+00, 1.231380458e+00, 5.684707400e-01],
            [1.481124746e-01, 3.687962570e-02, 9.688901276e-01],
            [1.481124746e-01, 7.450284198e-01, 8.609438030e-01],
            [7.265897218e-01, 4.525360706e-01, 6.787950740e-01],
            [7.265897218e-01, 7.330304717e+00, 2.756956422e-01],
            [9.403456375e-01, 9.120846225e+00, 5.972996937e-02],
            [9.403456375e-01, 1.244571015e+02, 5.965436250e-02],
            [9.986769569e-01, 8.088239803e+01, 1.323043138e-03],
            [9.986769569e-01, 1.993021284e+03, 1.323043138e-03],
        ],
    },
    Expected {
        parameters: [0.6, 7.0, 1.0, 2.5],
        log_likelihood: -397.583929616,
        futures: [
            [1.000000000e+00, 8.179206798e-01, 5.349445507e-01],
            [1.000000000e+00, 6.007226720e+00, 7.469078936e-02],
            [1.000000000e+00, 1.244446304e-01, 8.886727899e-01],
            [1.000000000e+00, 2.340338131e+00, 2.539966479e-01],
            [9.299959943e-02, 2.823572482e-02, 9.764281679e-01],
            [9.299959943e-02, 4.733477518e-01, 9.097030552e-01],
            [6.736437333e-01, 4.511697938e-01, 6.806427809e-01],
            [6.736437333e-01, 5.950189090e+00, 3.273294702e-01],
            [9.294797092e-01, 8.480433416e+00, 7.062594167e-02],
            [9.294797092e-01, 9.365999902e+01, 7.052029079e-02],
            [9.983486174e-01, 7.956761784e+01, 1.651382627e-03],
            [9.983486174e-01, 1.749112036e+03, 1.651382627e-03],
        ],
    },
    Expected {
        parameters: [1.7, 0.02, 0.3, 0.2],
        log_likelihood: -902.337736385,
        futures: [
            [1.000000000e+00, 7.034221109e+01, 1.679027539e-05],
            [1.000000000e+00, 9.311420606e+02, 3.108074879e-08],
            [1.000000000e+00, 3.527599434e-01, 6.875978187e-01],
            [1.000000000e+00, 4.327572475e+00, 1.697812869e-02],
            [5.312559527e-05, 2.998463785e-05, 9.999775937e-01],
            [5.312559527e-05, 6.307640279e-04, 9.999469770e-01],
            [6.182518812e-01, 6.988486124e-01, 5.965579799e-01],
            [6.182518812e-01, 1.490959702e+01, 3.817800240e-01],
            [9.708563479e-01, 1.127008929e+01, 2.916725009e-02],
            [9.708563479e-01, 2.826830838e+02, 2.914365208e-02],
            [9.994889196e-01, 8.367179149e+01, 5.110803849e-04],
            [9.994889196e-01, 2.779498063e+03, 5.110803849e-04],
        ],
    },
    Expected {
        parameters: [12.0, 9.0, 0.4, 0.6],
        log_likelihood: -799.504807383,
        futures: [
            [1.000000000e+00, 6.005545575e+00, 2.375688107e-05],
            [1.000000000e+00, 5.619442588e+01, 5.693603276e-22],
            [1.000000000e+00, 1.715822697e+00, 1.012437240e-01],
            [1.000000000e+00, 1.776348883e+01, 1.786317163e-12],
            [7.931125094e-11, 1.626913385e-10, 9.999999999e-01],
            [7.931125094e-11, 2.234004217e-09, 9.999999999e-01],
            [2.098348860e-01, 6.459857044e-01, 7.976650917e-01],
            [2.098348860e-01, 9.269497725e+00, 7.901651140e-01],
            [9.601508530e-01, 1.138752053e+01, 3.986176492e-02],
            [9.601508530e-01, 2.442666903e+02, 3.984914702e-02],
            [9.993384858e-01, 8.085559538e+01, 6.615141650e-04],
            [9.993384858e-01, 2.532506668e+03, 6.615141650e-04],
        ],
    },
    Expected {
        parameters: [3.5, 30.0, 60.0, 400.0],
        log_likelihood: -412.300470737,
        futures: [
            [1.000000000e+00, 1.329264944e+00, 2.869743891e-01],
            [1.000000000e+00, 7.644476926e+00, 3.755882223e-05],
            [1.000000000e+00, 5.235852098e-01, 6.011207199e-01],
            [1.000000000e+00, 6.792899796e+00, 9.299165133e-04],
            [6.590295194e-02, 4.153866532e-02, 9.695741345e-01],
            [6.590295194e-02, 4.728400357e-01, 9.341075325e-01],
            [7.652122304e-01, 7.275332253e-01, 5.332314965e-01],
            [7.652122304e-01, 5.825696730e+00, 2.347934146e-01],
            [7.586821766e-01, 3.742960029e+00, 2.420495646e-01],
            [7.586821766e-01, 6.416650951e+00, 2.413178234e-01],
            [9.324094931e-01, 2.755645946e+01, 6.759050691e-02],
            [9.324094931e-01, 3.095915588e+01, 6.759050691e-02],
        ],
    },
];

fn customers() -> Vec<Purchases> {
    let row = |row: &str| {
        let numbers: Vec<u32> = row.split_whitespace().map(|number| number.parse().unwrap()).collect();
        purchases(numbers.try_into().unwrap())
    };
    CUSTOMERS.split(',').map(row).collect()
}

#[test]
fn the_likelihood_is_that_of_lifetimes() {
    for expected in EXPECTED {
        let model = bg_nbd(expected.parameters);
        let sum = customers().iter().map(|customer| model.log_likelihood(customer)).sum::<f64>();
        assert_close(sum, expected.log_likelihood);
    }
}

#[test]
fn the_future_is_that_of_the_integrals_over_rate_and_dropout() {
    for expected in EXPECTED {
        let model = bg_nbd(expected.parameters);
        let moments = HISTORIES.iter().flat_map(|history| DAYS.map(|days| (purchases(*history), days / 7.0)));
        for ((history, weeks), [alive, number, none]) in moments.zip(expected.futures) {
            assert_close(model.probability_alive(&history), alive);
            assert_close(model.expected_purchases(&history, weeks), number);
            assert_close(model.probability_of_none(&history, weeks), none);
        }
    }
}

#[test]
fn the_maximum_is_that_of_lifetimes() {
    let fitted = BgNbd::fit(&customers());
    assert!(fitted.converged(), "{:?}", fitted.problem);
    assert_close(fitted.log_likelihood, BEST_LOG_LIKELIHOOD);
    assert_eq!(fitted.customers, 60);
    assert!(fitted.gradient < 1e-9 && fitted.iterations < 50, "{fitted:?}");
    for (got, wanted) in parameters(&fitted.model).into_iter().zip(BEST) {
        assert!((got / wanted - 1.0).abs() < 1e-6, "{fitted:?}");
    }
}

// ---------------------------------------------------------------------------------------------------
// The assumptions of the model
// ---------------------------------------------------------------------------------------------------

/// A customer of the last 39 weeks, and the number of purchases in the 13 weeks after.
fn customer(sampler: &mut Sampler, truth: &BgNbd) -> (Purchases, u32) {
    let age = 39.0 * sampler.uniform();
    let rate = sampler.gamma(truth.r) / truth.alpha;
    let dropout = sampler.beta(truth.a, truth.b);
    let mut customer = Purchases { frequency: 0, recency_weeks: 0.0, age_weeks: age };
    let (mut week, mut later) = (0.0, 0);
    loop {
        week += sampler.exponential() / rate;
        if week > age + 13.0 {
            return (customer, later);
        }
        if week > age {
            later += 1;
        } else {
            customer.frequency += 1;
            customer.recency_weeks = week;
        }
        if sampler.uniform() < dropout {
            return (customer, later);
        }
    }
}

fn simulated(seed: u64, truth: &BgNbd, customers: usize) -> Vec<(Purchases, u32)> {
    let mut sampler = Sampler::new(seed);
    (0..customers).map(|_| customer(&mut sampler, truth)).collect()
}

#[test]
fn known_parameters_and_futures_are_recovered() {
    // The parameters, and about four standard errors of each, relative, from the curvature.
    let truths = [
        ([0.25, 4.0, 0.8, 2.5], [0.08, 0.12, 0.5, 0.6]),
        ([1.5, 6.0, 1.5, 4.0], [0.08, 0.1, 0.3, 0.3]),
        ([0.6, 2.0, 0.3, 0.6], [0.08, 0.12, 0.15, 0.15]),
    ];
    for (seed, (truth, tolerances)) in (1..).zip(truths) {
        let lives = simulated(seed, &bg_nbd(truth), 10_000);
        let customers: Vec<Purchases> = lives.iter().map(|(customer, _)| *customer).collect();
        let fitted = BgNbd::fit(&customers);
        assert!(fitted.converged(), "{:?}", fitted.problem);
        for ((got, wanted), tolerance) in parameters(&fitted.model).into_iter().zip(truth).zip(tolerances) {
            assert!((got / wanted - 1.0).abs() < tolerance, "{fitted:?}, not {truth:?}");
        }

        // The predictions for each half of the customers agree with what they did, within four standard errors.
        let model = fitted.model;
        for repeaters in [false, true] {
            let some: Vec<_> = lives.iter().filter(|(past, _)| (past.frequency > 0) == repeaters).collect();
            let excess = |of: &dyn Fn(&Purchases, u32) -> f64| {
                let each: Vec<f64> = some.iter().map(|(past, later)| of(past, *later)).collect();
                let (sum, squares) =
                    each.iter().fold((0.0, 0.0), |(s, q), value| (s + value, q + value * value));
                sum.abs() / f64::sqrt(squares)
            };
            let number = excess(&|past, later| f64::from(later) - model.expected_purchases(past, 13.0));
            let none = excess(&|past, later| {
                f64::from(u8::from(later == 0)) - model.probability_of_none(past, 13.0)
            });
            assert!(number < 4.0 && none < 4.0, "{truth:?}, {repeaters}: {number}, {none}");
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// Limits
// ---------------------------------------------------------------------------------------------------

#[test]
fn samples_without_a_maximum_are_reported() {
    let problem = |customers: &[Purchases]| {
        let fitted = BgNbd::fit(customers);
        assert!(!fitted.converged() && fitted.model.is_valid(), "{fitted:?}");
        assert!(fitted.log_likelihood.is_finite() && fitted.gradient.is_finite(), "{fitted:?}");
        assert_eq!(fitted.customers, customers.len());
        fitted.problem.unwrap()
    };
    assert_eq!(problem(&[]), "0 of 0 customers bought on more than one day; need 10");
    assert_eq!(problem(&[purchases([3, 20, 30])]), "1 of 1 customer bought on more than one day; need 10");
    let once: Vec<Purchases> = (0..500).map(|age| purchases([0, 0, age])).collect();
    assert_eq!(problem(&once), "0 of 500 customers bought on more than one day; need 10");
    let regular = problem(&[purchases([3, 20, 30]); 500]);
    assert!(regular.starts_with("no maximum inside the bounds: "), "{regular}");
    // Nobody leaves: a and b are not determined.
    let loyal: Vec<Purchases> = (0..500).map(|n| purchases([1 + n % 7, 350, 350 + n % 3])).collect();
    assert!(problem(&loyal).contains("a = 1e-5"), "{}", problem(&loyal));
    let broken = BgNbd::fit(&[Purchases { age_weeks: f64::NAN, ..purchases([3, 20, 30]) }; 500]);
    assert_eq!(broken.problem.unwrap(), "the likelihood is not finite");
}

#[test]
fn purchases_count_days_that_were_known() {
    let start: Time = "2026-03-01T23:00:00Z".parse().unwrap();
    let mut history = History::default();
    let mut push = |kind: &str, hours: i64, late: i64| {
        let occur = Time(start.0 + hours * DAY / 24);
        history.push(kind, occur, occur.plus_days(late), None, None);
    };
    push("visit", -30, 0);
    push("purchase", 0, 0);
    push("purchase", 0, 0);
    // The next day in UTC, an hour later.
    push("purchase", 1, 0);
    push("purchase", 2, 0);
    push("purchase", 24 * 9, 30);
    push("return", 24 * 10, 0);
    push("purchase", 24 * 14, 0);
    let of = |as_of: Time, known_at: Time| {
        Purchases::of(&history, as_of, known_at).map(|found| {
            [f64::from(found.frequency), found.recency_weeks * 7.0, found.age_weeks * 7.0].map(f64::round)
        })
    };
    assert_eq!(of(Time(start.0 - 1), Time::MAX), None);
    assert_eq!(of(start, Time(start.0 - 1)), None);
    assert_eq!(of(start, start), Some([0.0, 0.0, 0.0]));
    assert_eq!(of(Time(start.0 + DAY / 24), Time::MAX), Some([1.0, 1.0, 1.0]));
    assert_eq!(of(start.plus_days(13), Time::MAX), Some([2.0, 9.0, 13.0]));
    assert_eq!(of(start.plus_days(13), start.plus_days(13)), Some([1.0, 1.0, 13.0]));
    assert_eq!(of(start.plus_days(14), Time::MAX), Some([3.0, 14.0, 14.0]));
    assert_eq!(of(start.plus_days(700), start.plus_days(20)), Some([2.0, 14.0, 700.0]));
    assert_eq!(Purchases::of(&History::default(), start, start), None);
}

#[test]
fn rows_convert_between_plans_that_differ_in_the_parameters() {
    let now = Time(1_767_225_600_000_000);
    let spec = Spec::default();
    let sampling = Sampling::new(Target::Churn, &spec, &DataProfile::default(), now);
    let plan = |kinds: &[&str], parameters| Plan {
        windows_days: vec![30],
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        forecast: Some(Forecast { days: 90, model: parameters }),
        ..Plan::default()
    };
    let unfitted = plan(&["visit"], None);
    let fitted = plan(&["visit"], Some(bg_nbd(BEST)));
    assert!(unfitted.is_like(&fitted) && !plan(&["call"], None).is_like(&fitted));
    let mut seen = 0;
    for customer in (Business { customers: 50, ..Business::new(1, now) }).iter() {
        let history = customer.history();
        let mut rows = Snapshots::default();
        rows.add("somebody", &history, &unfitted, &sampling);
        for row in 0..rows.len() {
            let (mut got, mut wanted) = (Vec::new(), Vec::new());
            rows.row_of(&fitted, row, &mut got);
            fitted.fold(&history, rows.as_of[row], rows.as_of[row], &mut wanted);
            let bits = |row: Vec<f64>| row.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(got), bits(wanted));
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} rows");
}

/// Any valid model: each parameter from 1e-5 to 1e5.
fn any_model() -> impl Strategy<Value = BgNbd> {
    prop::array::uniform4(-5.0..=5.0).prop_map(|powers| bg_nbd(powers.map(|power| 10_f64.powf(power))))
}

/// Any history up to ten thousand purchase days in a century.
fn any_purchases() -> impl Strategy<Value = Purchases> {
    (prop_oneof![0_u32..5, 0_u32..10_000], 0_u32..36_500).prop_flat_map(|(frequency, silence)| {
        let last = if frequency == 0 { 0..=0 } else { frequency..=frequency.max(36_500) };
        last.prop_map(move |last| purchases([frequency, last, last + silence]))
    })
}

proptest! {
    #[test]
    fn predictions_are_within_their_limits(
        model in any_model(),
        history in any_purchases(),
        weeks in prop_oneof![0.0..60.0, 0.0..10_000.0],
        more in 1.01..100.0,
    ) {
        prop_assert!(model.is_valid());
        prop_assert!(model.log_likelihood(&history).is_finite());
        let alive = model.probability_alive(&history);
        prop_assert!((0.0..=1.0).contains(&alive));
        prop_assert!(history.frequency > 0 || alive == 1.0);

        let [soon, late] = [weeks, weeks * more].map(|weeks| model.probability_of_none(&history, weeks));
        prop_assert!(0.0 <= late && late <= soon && soon <= 1.0, "{soon} {late}");
        prop_assert!(1.0 - alive <= late + 1e-12);

        let [soon, late] = [weeks, weeks * more].map(|weeks| model.expected_purchases(&history, weeks));
        prop_assert!(0.0 <= soon && soon <= late * (1.0 + 1e-9) && late.is_finite(), "{soon} {late}");
        // At least one when there is any, and no more than by a customer who never leaves.
        prop_assert!(soon >= (1.0 - model.probability_of_none(&history, weeks)) * (1.0 - 1e-9) - 1e-15);
        let rate = (model.r + f64::from(history.frequency)) / (model.alpha + history.age_weeks);
        prop_assert!(soon <= rate * weeks * (1.0 + 1e-9), "{soon} {rate}");
        prop_assert_eq!(model.expected_purchases(&history, 0.0), 0.0);
        prop_assert!(model.probability_of_none(&history, 0.0) >= 1.0 - 1e-15);
    }

    #[test]
    fn the_order_of_the_customers_changes_no_bit(customers in Just(customers()).prop_shuffle()) {
        prop_assert_eq!(BgNbd::fit(&customers), BgNbd::fit(&self::customers()));
    }
}
