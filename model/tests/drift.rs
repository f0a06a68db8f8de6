//! Drift against values computed elsewhere (a dozen lines of Python that bin and add up by the
//! definition), and properties that hold for any data.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use tally_model::{
    evaluation::drift::{Bin, Counts, DriftLevel, DriftReport, Reference, Shift},
    features::{Measure, Scale, explain::FeatureValue},
};

fn measures() -> Vec<Measure> {
    let attribute = |name: &str, scale| Measure::Attribute { name: name.into(), scale };
    let levels = ["north", "south"].map(str::to_owned).to_vec();
    vec![
        Measure::TenureDays,
        attribute("region", Scale::Category { levels }),
        attribute("vip", Scale::Boolean),
    ]
}

/// Rows of (number, category, boolean), flat.
fn flat(rows: &[[f64; 3]]) -> Vec<f64> {
    rows.concat()
}

fn reference(rows: &[[f64; 3]], probabilities: &[f64]) -> Reference {
    learned(rows, probabilities, None)
}

/// The reference of a model that has learned from numbers in this range.
fn learned(rows: &[[f64; 3]], probabilities: &[f64], range: Option<[f64; 2]>) -> Reference {
    Reference::new(&measures(), [(0, range), (1, None), (2, None)], &flat(rows), probabilities)
}

fn report(training: &[[f64; 3]], population: &[[f64; 3]]) -> DriftReport {
    let reference = reference(training, &vec![0.5; training.len()]);
    let mut counts = Counts::new(&reference);
    population.iter().for_each(|row| counts.add(&reference, row, 0.5));
    assert!(reference.fits(&measures()) && counts.fit(&reference));
    DriftReport::new(&measures(), &reference, &counts, reference.rows())
}

fn shift<'a>(report: &'a DriftReport, feature: &str) -> &'a Shift {
    &report.features.iter().find(|(name, _)| name == feature).unwrap().1
}

/// Rows that differ only in their number.
fn numbers(values: impl IntoIterator<Item = f64>) -> Vec<[f64; 3]> {
    values.into_iter().map(|value| [value, 0.0, 1.0]).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn a_shifted_number_is_measured_as_by_hand() {
    let training = numbers((1..=100).map(f64::from));
    let half_at_95 = (1..=100).step_by(2).map(f64::from).chain(std::iter::repeat_n(95.0, 50));
    let report = report(&training, &numbers(half_at_95));
    let tenure = shift(&report, "tenure_days");
    assert!(close(tenure.psi, 0.990_700_683_648_841_7), "{}", tenure.psi);
    assert!(close(tenure.chance, 0.18) && tenure.level == DriftLevel::Large);
    assert!((tenure.mean_difference.unwrap() - 0.762_140_463_306_194_6).abs() < 1e-6);
    assert_eq!(tenure.bins.len(), 10);
    assert_eq!(tenure.bins[0].bin, Bin::Range(None, Some(10.5)));
    assert_eq!(tenure.bins[9].bin, Bin::Range(Some(90.5), None));
    assert!(close(tenure.bins[9].training, 0.1) && close(tenure.bins[9].population, 0.55));
    for other in ["attribute.region", "attribute.vip"] {
        assert_eq!((shift(&report, other).psi, shift(&report, other).level), (0.0, DriftLevel::Stable));
    }
    assert_eq!(report.features[0].0, "tenure_days", "the greatest PSI first");
    assert_eq!(report.score.psi, 0.0);
}

#[test]
fn a_shifted_category_is_measured_as_by_hand() {
    let rows = |counts: [usize; 4]| -> Vec<[f64; 3]> {
        let levels = [0.0, 1.0, 2.0, f64::NAN].into_iter().zip(counts);
        levels.flat_map(|(level, n)| vec![[1.0, level, f64::from(u8::from(n > 20))]; n]).collect()
    };
    let report = report(&rows([60, 30, 10, 0]), &rows([10, 10, 0, 20]));
    let region = shift(&report, "attribute.region");
    assert!(close(region.psi, 2.724_732_924_117_251_5), "{}", region.psi);
    assert!(close(region.chance, 0.105) && region.mean_difference.is_none());
    assert!(close(region.missing_difference, 0.5));
    let level = |name: &str| Bin::Level(FeatureValue::Text(name.into()));
    let bins: Vec<(&Bin, f64, f64)> =
        region.bins.iter().map(|share| (&share.bin, share.training, share.population)).collect();
    assert_eq!(
        bins,
        [
            (&level("north"), 0.6, 0.25),
            (&level("south"), 0.3, 0.25),
            (&level("other"), 0.1, 0.0),
            (&Bin::Missing, 0.0, 0.5),
        ]
    );
    let vip = &shift(&report, "attribute.vip").bins;
    assert_eq!(vip[1].bin, Bin::Level(FeatureValue::Boolean(true)));
    assert_eq!((vip.len(), vip[1].training, vip[1].population), (2, 0.9, 0.0));
}

#[test]
fn few_customers_are_no_alarm() {
    let training = numbers((0..1_000).map(|n| f64::from(n % 100)));
    let few = report(&training, &numbers([3.0, 47.0, 55.0, 91.0]));
    assert!(shift(&few, "tenure_days").psi > 0.25);
    assert_eq!(shift(&few, "tenure_days").level, DriftLevel::TooFew);
    let none = report(&training, &[]);
    assert_eq!((none.score.psi, none.score.level), (0.0, DriftLevel::TooFew));
    let nobody_before = report(&[], &training);
    assert_eq!((nobody_before.score.psi, nobody_before.score.level), (0.0, DriftLevel::TooFew));
    let many = report(&training, &numbers((0..400).map(|n| f64::from(n % 80))));
    assert_eq!(shift(&many, "tenure_days").level, DriftLevel::Large);
    let slight = report(&training, &numbers((0..4_000).map(|n| f64::from(n % 100) * 1.17)));
    assert_eq!(shift(&slight, "tenure_days").level, DriftLevel::Moderate, "{slight:?}");
}

#[test]
fn constant_columns_are_compared() {
    // When most values are the greatest one, the others have a bin.
    let mostly_one = numbers((0..100).map(|n| f64::from(u8::from(n >= 5))));
    let bins = &shift(&report(&mostly_one, &mostly_one), "tenure_days").bins.clone();
    assert_eq!((bins.len(), bins[0].training, bins[1].training), (2, 0.05, 0.95));
    // Only missing values against numbers and the reverse; a constant against itself.
    let nothing = numbers([f64::NAN; 100]);
    let present = report(&nothing, &numbers((0..100).map(f64::from)));
    assert!(shift(&present, "tenure_days").level == DriftLevel::Large);
    assert_eq!(shift(&present, "tenure_days").missing_difference, -1.0);
    assert_eq!(shift(&present, "tenure_days").mean_difference, None);
    let absent = report(&numbers((0..100).map(f64::from)), &nothing);
    assert_eq!(shift(&absent, "tenure_days").mean_difference, None);
    assert!(shift(&absent, "tenure_days").level == DriftLevel::Large);
    let same = report(&nothing, &nothing);
    assert_eq!(shift(&same, "tenure_days").psi, 0.0);
    let constant = report(&numbers([7.3; 100]), &numbers([7.3; 50]));
    assert_eq!(
        (shift(&constant, "tenure_days").psi, shift(&constant, "tenure_days").mean_difference),
        (0.0, None)
    );
}

#[test]
fn unknown_customers_are_counted_and_not_compared() {
    let reference = reference(&numbers((0..100).map(f64::from)), &[0.5; 100]);
    let mut counts = Counts::new(&reference);
    counts.add(&reference, &[], 0.9);
    assert_eq!((counts.customers, counts.cold), (1, 1));
    assert_eq!(
        DriftReport::new(&measures(), &reference, &counts, reference.rows()).score.level,
        DriftLevel::TooFew
    );
}

#[test]
fn values_beyond_what_was_learned_from_are_counted() {
    let reference = learned(&numbers((1..=100).map(f64::from)), &[0.5; 100], Some([5.0, 90.0]));
    assert!(reference.fits(&measures()));
    let count = |values: &[f64]| {
        let mut counts = Counts::new(&reference);
        numbers(values.iter().copied()).iter().for_each(|row| counts.add(&reference, row, 0.5));
        counts
    };
    let report = |counts: &Counts| DriftReport::new(&measures(), &reference, counts, 100);
    // Both ends are within; a missing value is a customer, but not beyond.
    let mut counts = count(&[5.0, 90.0, 4.9, 90.1, 1e9, f64::NAN]);
    assert_eq!(shift(&report(&counts), "tenure_days").beyond, Some(3.0 / 6.0));
    counts.merge(&count(&[50.0, 4.0]));
    assert!(counts.fit(&reference));
    let merged = report(&counts);
    assert_eq!(shift(&merged, "tenure_days").beyond, Some(4.0 / 8.0));
    assert_eq!((shift(&merged, "attribute.region").beyond, merged.score.beyond), (None, None));
    assert_eq!(shift(&report(&Counts::new(&reference)), "tenure_days").beyond, Some(0.0));
}

/// Populations and models that older versions have stored say nothing about values beyond.
#[test]
fn counts_of_older_versions_are_read() {
    let rows = numbers((1..=100).map(f64::from));
    let (new, old) = (learned(&rows, &[0.5; 100], Some([1.0, 100.0])), reference(&rows, &[0.5; 100]));
    let mut counts = Counts::new(&old);
    counts.add(&old, &[101.0, 0.0, 1.0], 0.5);
    let stored = serde_json::to_string(&counts).unwrap();
    assert!(!stored.contains("beyond") && !serde_json::to_string(&old).unwrap().contains("learned"));
    let read: Counts = serde_json::from_str(&stored).unwrap();
    assert!(read.fit(&new));
    let shift_of = |counts: &Counts| {
        let report = DriftReport::new(&measures(), &new, counts, 100);
        shift(&report, "tenure_days").clone()
    };
    let mut counted = Counts::new(&new);
    counted.add(&new, &[101.0, 0.0, 1.0], 0.5);
    assert_eq!(shift_of(&counted), Shift { beyond: Some(1.0), ..shift_of(&read) });
    assert_eq!(shift_of(&read).beyond, None);
}

#[test]
fn a_reference_of_another_model_is_recognised() {
    let own = reference(&numbers((0..100).map(f64::from)), &[0.5; 100]);
    assert!(own.fits(&measures()));
    assert!(!own.fits(&measures()[..2]));
    let mut turned = measures();
    turned.swap(0, 1);
    assert!(!own.fits(&turned));
    let other = reference(&numbers([1.0; 100]), &[0.5; 100]);
    assert!(!Counts::new(&other).fit(&own), "other bins");
}

/// Any values at all that a raw row may hold.
fn rows() -> impl Strategy<Value = Vec<[f64; 3]>> {
    let number = prop_oneof![
        Just(f64::NAN),
        Just(0.0),
        Just(-0.0),
        Just(f64::MAX),
        Just(f64::MIN),
        -1e3..1e3_f64,
        (0..5_i32).prop_map(f64::from)
    ];
    let level = |most: i32| prop_oneof![Just(f64::NAN), (0..=most).prop_map(f64::from)];
    prop::collection::vec((number, level(2), level(1)).prop_map(|(a, b, c)| [a, b, c]), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_data_give_a_finite_report(training in rows(), population in rows()) {
        let report = report(&training, &population);
        for (name, shift) in report.features.iter().chain([&("score".to_owned(), report.score.clone())]) {
            prop_assert!(shift.psi.is_finite() && shift.psi >= 0.0, "{name}: {shift:?}");
            prop_assert!(shift.chance.is_finite() && shift.mean_difference.is_none_or(f64::is_finite));
            prop_assert!((-1.0..=1.0).contains(&shift.missing_difference));
            let shares = |side: fn(&tally_model::evaluation::drift::Share) -> f64| shift.bins.iter().map(side).sum::<f64>();
            let whole = |sum: f64, empty: bool| if empty { sum == 0.0 } else { close(sum, 1.0) };
            prop_assert!(whole(shares(|share| share.training), training.is_empty()), "{name}: {shift:?}");
            prop_assert!(whole(shares(|share| share.population), population.is_empty()), "{name}: {shift:?}");
            prop_assert!(shift.bins.len() <= 11);
        }
    }

    #[test]
    fn the_order_of_the_rows_changes_no_bit(rows in rows().prop_shuffle(), seed in any::<u64>()) {
        let mut turned = rows.clone();
        turned.sort_by_key(|row| (row[0].to_bits() ^ row[1].to_bits()).wrapping_mul(seed | 1));
        let probability = |row: &[f64; 3]| 1.0 / (1.0 + (-row[1]).exp()).clamp(1.0, 9.0);
        let reference_of = |rows: &[[f64; 3]]| {
            let probabilities: Vec<f64> = rows.iter().map(probability).collect();
            serde_json::to_string(&reference(rows, &probabilities)).unwrap()
        };
        prop_assert_eq!(reference_of(&rows), reference_of(&turned));
        let reference = reference(&rows, &vec![0.5; rows.len()]);
        let count = |rows: &[[f64; 3]]| {
            let mut counts = Counts::new(&reference);
            rows.iter().for_each(|row| counts.add(&reference, row, probability(row)));
            counts
        };
        prop_assert_eq!(count(&rows), count(&turned));
    }

    #[test]
    fn reference_and_counts_survive_storage(rows in rows()) {
        let reference = learned(&rows, &vec![0.25; rows.len()], Some([-1.5, 2.0]));
        let text = serde_json::to_string(&reference).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Reference>(&text).unwrap(), &reference);
        let mut counts = Counts::new(&reference);
        rows.iter().for_each(|row| counts.add(&reference, row, 0.75));
        let text = serde_json::to_string(&counts).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Counts>(&text).unwrap(), &counts);
    }
}
