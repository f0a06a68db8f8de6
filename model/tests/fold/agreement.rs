//! Fold and reference agree on random histories to the last bit.

use proptest::{prelude::*, sample::select};
use tally_model::{
    features::{
        Measure, Plan,
        bg_nbd::Purchases,
        fold::{Fold, Wanted},
        profile::DataProfile,
    },
    label::{Basis, Ineligible, LabelDefinition},
    spec::{Spec, Target},
    time::Time,
    training::snapshot::{Sampling, Snapshots},
};

use crate::{
    random::{DAYS, case, customer, interactions, outcome, spec},
    reference::{Customer, MICROSECONDS_A_DAY, Moment},
};

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// The features by name that differ in a bit.
fn differences(plan: &Plan, got: &[f64], wanted: &[f64]) -> Vec<String> {
    let names = plan.measures().into_iter().map(|measure| measure.to_string());
    let pairs = names.zip(got.iter().zip(wanted)).filter(|(_, (got, wanted))| bits(**got) != bits(**wanted));
    pairs.map(|(name, (got, wanted))| format!("{name} is {got}, not {wanted}")).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_feature_is_as_documented((plan, at, customer) in case()) {
        let wanted: Vec<f64> = plan.measures().iter().map(|measure| customer.feature(measure, &plan.start_kinds, at)).collect();
        let got = customer.row(&plan, at);
        prop_assert_eq!(got.len(), plan.width());
        prop_assert_eq!(wanted.len(), plan.width());
        prop_assert_eq!(differences(&plan, &got, &wanted), Vec::<String>::new());
    }

    #[test]
    fn a_row_is_appended_and_changes_nothing_before_it((plan, at, customer) in case()) {
        let mut rows = vec![1.0, -2.5];
        plan.fold(&customer.history(), Time(at.as_of), Time(at.known_at), &mut rows);
        prop_assert_eq!(&rows[..2], &[1.0, -2.5]);
        prop_assert_eq!(differences(&plan, &rows[2..], &customer.row(&plan, at)), Vec::<String>::new());
    }

    #[test]
    fn a_row_of_wanted_features_has_them_as_the_whole_row_does((plan, at, customer) in case(), nth in 1_usize..40) {
        let (measures, whole) = (plan.measures(), customer.row(&plan, at));
        let places = || (0..measures.len()).step_by(nth);
        let history = customer.history();
        let mut row = Vec::new();
        let wanted = Wanted::by(places().map(|place| &measures[place]));
        Fold::of_wanted(&plan, wanted, &history).row(Time(at.as_of), Time(at.known_at), &mut row);
        prop_assert_eq!(row.len(), plan.width());
        for place in places() {
            prop_assert_eq!(bits(row[place]), bits(whole[place]), "{}", measures[place]);
        }
        let none = Wanted::by(std::iter::empty());
        row.clear();
        Fold::of_wanted(&plan, none, &history).row(Time(at.as_of), Time(at.known_at), &mut row);
        let same = |place: &usize| bits(row[*place]) == bits(whole[*place]) || row[*place].is_nan();
        prop_assert!(row.len() == plan.width() && (0..row.len()).all(|place| same(&place)));
    }

    #[test]
    fn a_row_is_valid_until_it_says_so_except_for_its_elapsed_times(
        (plan, at, customer) in case(),
        shares in [0.0_f64..1.0, 0.0..1.0],
    ) {
        let history = customer.history();
        let mut row = Vec::new();
        let mut fold = Fold::new(&plan, &history);
        fold.row(Time(at.as_of), Time(at.known_at), &mut row);
        let time_dependent: Vec<bool> = plan.measures().iter().map(Measure::is_time_dependent).collect();
        let elapsed: Vec<usize> = fold.elapsed().iter().map(|(place, _)| *place).collect();
        let with_value = (0..row.len()).filter(|place| time_dependent[*place] && !row[*place].is_nan());
        prop_assert_eq!(elapsed, with_value.collect::<Vec<_>>(), "these are time-dependent, and no others");
        let Time(until) = plan.valid_until(&history, Time(at.as_of), Time(at.known_at));
        prop_assert!(until > at.as_of.min(at.known_at));
        let later = |moment: i64, share: f64| {
            let most = (until - 1).min(moment + 100 * MICROSECONDS_A_DAY);
            moment + ((most - moment) as f64 * share) as i64
        };
        let [some, other] = shares;
        for [a, b] in [[some, other], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]] {
            let then = Moment { as_of: later(at.as_of, a), known_at: later(at.known_at, b) };
            if then.as_of < at.as_of || then.known_at < at.known_at {
                // One of the moments is past the end already.
                continue;
            }
            let mut expected = row.clone();
            for (place, elapsed) in fold.elapsed() {
                expected[*place] = elapsed.value(Time(then.as_of));
            }
            prop_assert_eq!(differences(&plan, &expected, &customer.row(&plan, then)), Vec::<String>::new());
        }
    }

    #[test]
    fn later_facts_and_later_knowledge_change_nothing(
        (plan, at, customer, more) in case().prop_flat_map(|(plan, at, customer_)| {
            (Just(plan), Just(at), Just(customer_), customer(at))
        }),
        after in 1..50 * MICROSECONDS_A_DAY,
    ) {
        let mut extended = customer.clone();
        for (n, mut interaction) in more.interactions.into_iter().enumerate() {
            if n % 2 == 0 {
                interaction.occur = at.as_of + after;
            } else {
                interaction.record = at.known_at + after;
            }
            interaction.id.push('+');
            extended.interactions.push(interaction);
        }
        for (n, mut version) in more.versions.into_iter().enumerate() {
            if n % 2 == 0 {
                version.effective_time.0 = at.as_of + after;
            } else {
                version.record_time.0 = at.known_at + after;
            }
            extended.versions.insert(n % (extended.versions.len() + 1), version);
        }
        let (before, now) = (customer.row(&plan, at), extended.row(&plan, at));
        prop_assert_eq!(differences(&plan, &now, &before), Vec::<String>::new());
        let outcome = LabelDefinition::new(Target::Lead, &Spec::default(), &DataProfile::default());
        let eligible = |customer: &Customer| outcome.eligible(&customer.history(), Time(at.as_of), Time(at.known_at));
        // That the customer existed may become known later.
        if eligible(&customer) != Err(Ineligible::NotYetCreated) {
            prop_assert_eq!(eligible(&extended), eligible(&customer));
        }
    }

    #[test]
    fn the_order_of_equal_times_matters_only_to_the_latest_values((plan, at, mut customer) in case(), turn in 0_usize..40) {
        // Coarse times, so that many are equal.
        for interaction in &mut customer.interactions {
            interaction.occur -= interaction.occur.rem_euclid(20 * MICROSECONDS_A_DAY);
            interaction.survey = None;
        }
        let mut turned = customer.clone();
        let ids: Vec<String> = customer.interactions.iter().map(|interaction| interaction.id.clone()).collect();
        for (interaction, id) in turned.interactions.iter_mut().zip(ids.iter().cycle().skip(turn)) {
            interaction.id.clone_from(id);
        }
        let (one, other) = (customer.row(&plan, at), turned.row(&plan, at));
        let mut found = differences(&plan, &other, &one);
        found.retain(|difference| !difference.contains("_last is "));
        prop_assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn labels_and_eligibility_are_as_documented(
        (_, at, customer) in case(),
        outcome in outcome(),
        back in select(&DAYS[..6]),
    ) {
        let history = customer.history();
        // At `as_of` and at moments whose horizon ends near it.
        for days in [0, back, outcome.horizon_days] {
            let at = Moment { as_of: at.as_of - i64::from(days) * MICROSECONDS_A_DAY, ..at };
            let (as_of, known_at) = (Time(at.as_of), Time(at.known_at));
            prop_assert_eq!(outcome.label(&history, as_of, known_at), customer.label(&outcome, at));
            prop_assert_eq!(outcome.eligible(&history, as_of, known_at), customer.eligible(&outcome, at));
        }
    }

    #[test]
    fn snapshots_are_at_the_moments_of_the_spec_and_know_what_was_known_then(
        (plan, at, customer) in case(),
        outcome in outcome(),
    ) {
        let (spec, now) = (spec(&outcome), at.as_of);
        let mut got = Snapshots::default();
        let sampling = Sampling::new(outcome.target, &spec, &DataProfile::default(), Time(now));
        got.add("somebody", &customer.history(), &plan, &sampling);

        let mut wanted = Snapshots::default();
        for as_of in customer.moments(&spec, &outcome, now) {
            let (then, today) = (Moment { as_of, known_at: as_of }, Moment { as_of, known_at: now });
            if customer.eligible(&outcome, then) == Ok(Basis::Model) && customer.eligible(&outcome, today).is_ok() {
                wanted.customers = vec!["somebody".to_owned()];
                wanted.customer.push(0);
                wanted.as_of.push(Time(as_of));
                wanted.label.push(customer.label(&outcome, today));
                wanted.features.extend(customer.row(&plan, then));
            }
        }
        prop_assert_eq!(&got.as_of, &wanted.as_of);
        prop_assert_eq!(&got.label, &wanted.label);
        prop_assert_eq!((&got.customer, &got.customers), (&wanted.customer, &wanted.customers));
        prop_assert!(got.features.iter().map(|v| bits(*v)).eq(wanted.features.iter().map(|v| bits(*v))));
    }

    #[test]
    fn snapshots_never_read_anything_later_than_now(
        (plan, at, customer, more) in case().prop_flat_map(|(plan, at, customer)| {
            (Just(plan), Just(at), Just(customer), interactions(at))
        }),
        outcome in outcome(),
        after in 1..50 * MICROSECONDS_A_DAY,
    ) {
        let mut extended = customer.clone();
        for (n, mut interaction) in more.into_iter().enumerate() {
            let late = if n % 2 == 0 { &mut interaction.occur } else { &mut interaction.record };
            *late = at.as_of + after;
            interaction.id.push('+');
            extended.interactions.push(interaction);
        }
        // That the customer existed may become known later.
        let existed = |customer: &Customer| {
            let history = customer.history();
            let moments = customer.moments(&spec(&outcome), &outcome, at.as_of);
            moments.into_iter().map(|as_of| history.existed(Time(as_of))).collect::<Vec<_>>()
        };
        if existed(&extended) != existed(&customer) {
            return Ok(());
        }
        let rows = |customer: &Customer| {
            let mut rows = Snapshots::default();
            let spec = spec(&outcome);
            let sampling = Sampling::new(outcome.target, &spec, &DataProfile::default(), Time(at.as_of));
            rows.add("somebody", &customer.history(), &plan, &sampling);
            (rows.as_of, rows.label, rows.features.into_iter().map(bits).collect::<Vec<_>>())
        };
        prop_assert_eq!(rows(&extended), rows(&customer));
    }

    #[test]
    fn a_retracted_interaction_counts_until_its_retraction_and_not_from_then_on(
        (plan, at, customer) in case(),
        outcome in outcome(),
        which in any::<prop::sample::Index>(),
        after in 0..50 * MICROSECONDS_A_DAY,
    ) {
        let mut before = customer;
        before.interactions.iter_mut().for_each(|interaction| interaction.retract = None);
        if before.interactions.is_empty() {
            return Ok(());
        }
        let (mut retracted, mut without) = (before.clone(), before.clone());
        let which = which.index(before.interactions.len());
        without.interactions.remove(which);
        let then = at.known_at + after;
        retracted.interactions[which].retract = Some(then);
        for (known_at, like) in [(then - 1, &before), (then, &without), (then + after, &without)] {
            let at = Moment { known_at, ..at };
            let (as_of, known_at) = (Time(at.as_of), Time(at.known_at));
            let (one, other) = (retracted.row(&plan, at), like.row(&plan, at));
            prop_assert_eq!(differences(&plan, &one, &other), Vec::<String>::new());
            let (one, other) = (retracted.history(), like.history());
            prop_assert_eq!(outcome.label(&one, as_of, known_at), outcome.label(&other, as_of, known_at));
            // A customer of a retracted interaction existed all the same.
            let eligible = outcome.eligible(&other, as_of, known_at);
            if eligible != Err(Ineligible::NotYetCreated) {
                prop_assert_eq!(outcome.eligible(&one, as_of, known_at), eligible);
            }
            prop_assert_eq!(one.create_time(as_of, known_at), other.create_time(as_of, known_at));
            prop_assert_eq!(Purchases::of(&one, as_of, known_at), Purchases::of(&other, as_of, known_at));
        }
        let before_retraction = Moment { known_at: then - 1, ..at };
        let next = retracted.history().next_change(Time(at.as_of), Time(before_retraction.known_at));
        prop_assert!(next <= Time(then), "a kept score ends with the retraction");
    }
}
