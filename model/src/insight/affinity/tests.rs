use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::time::Time;

/// Values with these numbers.
fn values(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("v{n:03}")).collect()
}

fn counted(values: usize, baskets: &[BTreeSet<usize>]) -> AffinityCounter {
    let mut counter = AffinityCounter::new(values);
    for basket in baskets {
        counter.add(&basket.iter().copied().collect::<Vec<_>>(), 1);
    }
    counter
}

#[test]
fn the_interval_is_the_one_that_is_published() {
    // Newcombe 1998 (Interval estimation for the single proportion), table I, method 3.
    for (successes, trials, lower) in [(81, 263, 0.2553), (15, 148, 0.0624), (0, 20, 0.0), (1, 29, 0.0061)] {
        let found = Interval::of_share(successes, trials).lower;
        assert!((found - lower).abs() < 5e-5, "{successes} of {trials}: {found}");
    }
    // When all have succeeded, it is n / (n + z²).
    let found = Interval::of_share(10, 10).lower;
    assert!((found - 10.0 / (10.0 + 1.959_963_984_540_054_f64.powi(2))).abs() < 1e-15, "{found}");
}

#[test]
fn ten_customers_who_bought_both_are_enough() {
    let listed =
        |both, from, to, customers| AffinityPair::listed([0, 1], [from, to, both], customers).is_some();
    assert!(listed(10, 10, 10, 1_000));
    assert!(!listed(9, 9, 9, 1_000));
    // The lower end for 10 of 10 is 0.7225, just below and just above the share of those who bought B.
    assert!(listed(10, 10, 7_224, 10_000));
    assert!(!listed(10, 10, 7_225, 10_000));
    // A customer who bought everything says nothing about which values go together.
    assert!(!listed(50, 50, 50, 50));
}

#[test]
fn the_strongest_comes_first() {
    let mut counter = AffinityCounter::new(4);
    counter.add(&[0, 1], 40);
    counter.add(&[2, 3], 40);
    counter.add(&[0], 20);
    counter.add(&[], 100);
    let (found, _) = counter.affinities(&values(4), 100);
    let shown: Vec<_> = found.iter().map(|of| (of.from_value.as_str(), of.to_value.as_str())).collect();
    // All three with the same lower end: by lift, then by name.
    let expected = [("v002", "v003"), ("v003", "v002"), ("v001", "v000"), ("v000", "v001")];
    assert_eq!(shown, expected);
    let last = &found[3];
    assert_eq!((last.from_customers, last.to_customers, last.both), (60, 40, 40));
    assert!(
        (last.confidence() - 2.0 / 3.0).abs() < 1e-15 && (last.lift - 40.0 * 200.0 / 2_400.0).abs() < 1e-15
    );
}

#[test]
fn counts_are_those_of_a_naive_reference() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let baskets: Vec<BTreeSet<usize>> = (0..400)
        .map(|_| {
            let likes = random.gen_range(0.05..0.6);
            (0..9).filter(|_| random.gen_bool(likes)).collect()
        })
        .collect();
    let names = values(9);
    let (found, _) = counted(9, &baskets).affinities(&names, 100);
    let count = |of: &[usize]| {
        baskets.iter().filter(|basket| of.iter().all(|value| basket.contains(value))).count() as i64
    };
    let mut expected = 0;
    for from in 0..9 {
        for to in (0..9).filter(|to| *to != from) {
            let counts = [count(&[from]), count(&[to]), count(&[from, to])];
            let affinity = found.iter().find(|of| of.from_value == names[from] && of.to_value == names[to]);
            let lower = Interval::of_share(counts[2], counts[0]).lower;
            assert_eq!(affinity.is_some(), counts[2] >= 10 && lower > counts[1] as f64 / 400.0);
            if let Some(of) = affinity {
                expected += 1;
                assert_eq!([of.from_customers, of.to_customers, of.both], counts);
            }
        }
    }
    assert!(found.len() == expected && expected > 20, "{expected}");
    assert!(found.is_sorted_by(|a, b| a.confidence_lower >= b.confidence_lower));
}

/// The lower bound is two-sided 95 %, so that of pairs without any connection about 2.5 % pass it.
#[test]
fn of_a_thousand_independent_pairs_at_most_three_in_a_hundred_are_listed() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(11);
    let chances: Vec<f64> = (0..46).map(|_| random.gen_range(0.1..0.4)).collect();
    let baskets: Vec<BTreeSet<usize>> =
        (0..3_000).map(|_| (0..46).filter(|n| random.gen_bool(chances[*n])).collect()).collect();
    let (found, _) = counted(46, &baskets).affinities(&values(46), 10_000);
    // Of each of the 1,035 pairs, in both directions.
    let share = found.len() as f64 / 2_070.0;
    assert!((0.005..=0.03).contains(&share), "{share}");
}

#[test]
fn nobody_has_no_affinities() {
    assert_eq!(AffinityCounter::new(0).affinities(&[], 10), (Vec::new(), 0));
    let mut counter = AffinityCounter::new(1);
    counter.add(&[], 5);
    counter.add(&[0], 20);
    assert_eq!((counter.customers(), counter.affinities(&values(1), 10).0.len()), (25, 0));
}

#[test]
fn the_strongest_are_kept_and_the_others_counted() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let baskets: Vec<BTreeSet<usize>> = (0..500)
        .map(|_| {
            let likes = random.gen_range(0.02..0.6);
            (0..30).filter(|_| random.gen_bool(likes)).collect()
        })
        .collect();
    let counter = counted(30, &baskets);
    let (all, left_out) = counter.affinities(&values(30), 10_000);
    assert!(all.len() > 300 && left_out == 0, "{}", all.len());
    for most in [0, 1, 7, 100, all.len() - 1, all.len()] {
        assert_eq!(counter.affinities(&values(30), most), (all[..most].to_vec(), all.len() - most));
    }
}

#[test]
fn what_leads_to_a_value_first_in_the_list_speaks_for_it() {
    let pair = |from, to, confidence_lower, lift| AffinityPair { from, to, confidence_lower, lift };
    let pairs = vec![
        pair(0, 3, 0.9, 2.0),
        pair(1, 2, 0.8, 3.0),
        pair(0, 2, 0.8, 2.0),
        pair(1, 4, 0.8, 3.0),
        pair(0, 1, 0.7, 2.0),
        pair(5, 6, 0.9, 2.0),
        pair(0, 7, 1.0, 9.0),
    ];
    let index = AffinityIndex::new(values(7), pairs);
    let next = |bought: &[(usize, i64)], most| -> Vec<(String, String)> {
        let bought: Vec<(usize, Time)> = bought.iter().map(|(number, time)| (*number, Time(*time))).collect();
        let found = index.next_to_buy(&bought, Time(10), most).into_iter();
        found.map(|next| (next.value, next.because)).collect()
    };
    let named = |pairs: &[[usize; 2]]| -> Vec<(String, String)> {
        pairs.iter().map(|[to, from]| (format!("v{to:03}"), format!("v{from:03}"))).collect()
    };
    assert_eq!(next(&[(0, 11), (1, 11)], 5), named(&[[3, 0], [2, 1], [4, 1]]));
    assert_eq!(next(&[(1, 11), (0, 11)], 2), named(&[[3, 0], [2, 1]]));
    // What was bought only before the window speaks for nothing, but was bought.
    assert_eq!(next(&[(0, 11), (1, 10)], 5), named(&[[3, 0], [2, 0]]));
    assert_eq!(next(&[(0, 11), (3, 10)], 5), named(&[[2, 0], [1, 0]]));
    assert_eq!(next(&[(5, 11), (9, 11)], 5), named(&[[6, 5]]), "numbers without a value lead nowhere");
    assert_eq!(next(&[], 5), []);
}
