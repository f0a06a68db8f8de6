//! Packed histories: unpacking gives the same history, and damage is detected.

use proptest::{collection::vec, option, prelude::*};
use tally_model::{
    history::{AttributeValue, History, Packed, Version},
    time::Time,
};

/// Any double, and many of the kind that people write.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("not NaN", |value| !value.is_nan()),
        (-1_000_000_i64..1_000_000).prop_map(|cents| cents as f64 / 100.0),
        any::<i32>().prop_map(f64::from),
        Just(-0.0),
    ]
}

fn attribute() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<bool>().prop_map(AttributeValue::Boolean),
        value().prop_map(AttributeValue::Number),
        ".{0,4}".prop_map(AttributeValue::Text),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    // Often the same names as in the version before, whose allocations are reused.
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), ".{0,3}"];
    let attributes = proptest::collection::btree_map(name, attribute(), 0..4);
    (any::<[i64; 3]>(), attributes).prop_map(|([effective, recorded, created], attributes)| Version {
        effective_time: Time(effective),
        record_time: Time(recorded),
        create_time: Time(created),
        attributes,
    })
}

/// Times of all sizes, recorded at once or later; more kinds and properties than a linear search is used for.
fn history() -> impl Strategy<Value = History> {
    let lateness = prop_oneof![Just(0), 0_i64..10_000_000, any::<i64>()];
    let gap = prop_oneof![Just(0), 0_i64..1 << 20, 0_i64..1 << 57];
    let property = (
        "[a-z]{1,2}",
        prop_oneof![value().prop_map(|value| value.to_string()), Just("text".to_owned()), "[a-z]{1,70}"],
    );
    let channel = prop_oneof![Just(String::new()), "[a-z]{1,2}"];
    let event = (0..40_u8, gap, lateness, option::of(any::<i64>()), vec(property, 0..3), channel);
    let survey = option::of((value(), value()));
    let retraction = option::weighted(0.2, any::<i64>());
    let events = vec((event, survey, retraction), 0..60);
    (any::<i32>(), events, vec(version(), 0..3)).prop_map(|(start, events, versions)| {
        let mut history = History::default();
        let mut time = i64::from(start);
        for ((kind, gap, late, amount, properties, channel), survey, retraction) in events {
            time = time.saturating_add(gap);
            let kind = if kind < 10 { "survey".to_owned() } else { format!("kind-{kind}") };
            history.push(&kind, Time(time), Time(time.wrapping_add(late)), amount, survey);
            history.push_channel(&channel);
            for (name, text) in properties {
                history.push_property(&name, &text);
            }
            if let Some(retraction) = retraction {
                history.push_retraction(Time(retraction));
            }
        }
        versions.into_iter().for_each(|version| history.push_version(version));
        history
    })
}

proptest! {
    #[test]
    fn unpacking_gives_the_same_history(history in history(), other in history()) {
        let packed = history.pack();
        prop_assert_eq!(packed.unpack().unwrap(), history.clone());
        // The columns that a thread reuses hold nothing of the history before.
        other.pack().with(|seen| assert_eq!(*seen, other)).unwrap();
        packed.with(|seen| assert_eq!(*seen, history)).unwrap();
        // The same content, the same bytes.
        prop_assert_eq!(packed.unpack().unwrap().pack(), packed);
    }

    #[test]
    fn damage_is_detected(history in history(), cut in any::<prop::sample::Index>(), noise in vec(any::<u8>(), 0..200)) {
        let bytes = history.pack().as_bytes().to_vec();
        let cut = Packed::from_bytes(&bytes[..cut.index(bytes.len())]);
        prop_assert!(cut.unpack().is_err());
        // Noise may decode, but never panics.
        let _ = Packed::from_bytes(&noise).unpack();
    }
}

#[test]
fn an_interaction_takes_about_ten_bytes() {
    let mut history = History::default();
    for day in 0..1_000 {
        let time = Time(1_700_000_000_000_000 + day * 86_437_123_457);
        history.push("purchase", time, time, Some(1_999), None);
        history.push_property("units", "3");
    }
    // 1 for the shape, 6 for the time, 2 for the amount, 1 for the number.
    assert_eq!(history.pack().as_bytes().len() / 1_000, 10);
}

#[test]
fn channels_and_categories_take_no_bytes_of_each_interaction() {
    let (mut with, mut without) = (History::default(), History::default());
    for day in 0..1_000_i64 {
        let time = Time(1_700_000_000_000_000 + day * 86_437_123_457);
        for history in [&mut with, &mut without] {
            history.push("purchase", time, time, Some(1_999), None);
        }
        with.push_channel(["web", "shop"][day as usize % 2]);
        with.push_property("category", ["coffee", "tea", "cups"][day as usize % 3]);
    }
    let more = with.pack().as_bytes().len() - without.pack().as_bytes().len();
    assert!(more < 100, "{more}");
}

/// Packed histories are stored: the bytes of a format stay the same.
#[test]
fn only_a_retraction_adds_bytes() {
    let mut history = History::default();
    let time = Time(1_700_000_000_000_000);
    history.push("purchase", time, time, Some(1_999), None);
    let before = history.pack().as_bytes().to_vec();
    let expected = [&[1, 8][..], b"purchase", &[0, 0, 0, 1, 1, 0, 0, 1, 0]].concat();
    assert_eq!(before[..expected.len()], expected);
    history.push_retraction(time.plus_days(1));
    // Five more for the mark of the shape, six for the time.
    assert_eq!(history.pack().as_bytes().len(), before.len() + 5 + 6);
}

/// A history of the kind `a` with a shape of so many texts, and two events: the second so much later than the first.
fn written(texts: u8, later: &[u8]) -> Packed {
    let names = [&[1, 1][..], b"a", &[1, 1], b"p", &[0, 0]].concat();
    let shape = [&[1, 0, 0, texts][..], &[0, 0].repeat(texts.into())].concat();
    let events = [&[2, 0, 0, 0][..], later].concat();
    Packed::from_bytes(&[names, shape, events, vec![0]].concat())
}

#[test]
fn what_no_history_has_is_damage() {
    assert!(written(64, &[5]).unpack().is_ok());
    assert!(written(65, &[5]).unpack().is_err(), "more texts than an interaction can have");
    let back = [0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert!(written(0, &back).unpack().is_err(), "an event before the one before it");
}
