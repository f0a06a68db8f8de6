//! Types are inferred, the future is not counted, and `auto` chooses what is informative.

use std::ops::Range;

use super::*;
use crate::{
    features::{Plan, Scale},
    history::{Version, kind},
    spec::{FeaturesSpec, Selector, Spec},
};

fn customer(attributes: &[(&str, AttributeValue)], kinds: &[&str]) -> History {
    let mut history = History::default();
    for (n, kind) in kinds.iter().enumerate() {
        history.push(kind, Time(n as i64), Time(n as i64), None, None);
    }
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let time = Time(0);
    history.push_version(Version { effective_time: time, record_time: time, create_time: time, attributes });
    history
}

#[test]
fn types_are_inferred_and_the_future_is_not_counted() {
    use AttributeValue::{Boolean, Number, Text};
    let mut profile = DataProfile::default();
    let text = |text: &str| Text(text.to_owned());
    for _ in 0..9 {
        let attributes = [("region", text("north")), ("mixed", Number(1.0)), ("mixed", Number(1.0))];
        profile.add(&customer(&attributes, &[]), Time(2));
        profile.add(&customer(&[("region", text("south")), ("mixed", text("x"))], &[]), Time(2));
    }
    profile.add(
        &customer(
            &[
                ("age", Number(3.0)),
                ("vip", Boolean(true)),
                ("region", text("north")),
                ("mixed", Number(1.0)),
            ],
            &["visit", "call", "visit", "purchase"],
        ),
        Time(2),
    );
    profile.add(&customer(&[("region", text("south")), ("mixed", text("x"))], &["visit"]), Time(2));
    profile.add(&customer(&[("region", text("south"))], &[]), Time(2));
    let plan = profile.plan(&FeaturesSpec::default());
    assert_eq!(plan.kinds, ["visit", "call"]);
    let category =
        |levels: &[&str]| Scale::Category { levels: levels.iter().map(|l| (*l).to_owned()).collect() };
    assert_eq!(
        plan.attributes,
        [
            ("age".to_owned(), Scale::Number),
            ("mixed".to_owned(), category(&["1", "x"])),
            ("region".to_owned(), category(&["south", "north"])),
            ("vip".to_owned(), Scale::Boolean),
        ]
    );
}

#[test]
fn merged_profiles_equal_the_whole() {
    let of_number = |n: usize| {
        let text = |n: usize| AttributeValue::Text(format!("level {n}"));
        let attributes = [("few", text(n % 3)), ("many", text(n)), ("n", AttributeValue::Number(n as f64))];
        // The most frequent kind changes on the way, and another one comes late.
        let kinds: &[&str] = match n {
            0..200 => &["call", "call", "visit"],
            200..10_000 => &["visit"],
            _ => &["email", "visit"],
        };
        let mut history = customer(&attributes[n % 2..], kinds);
        history.push_channel(["web", "shop"][n % 2]);
        history.push_property("minutes", &n.to_string());
        history.push_property("product", &format!("product {}", n % 7));
        history
    };
    let profile = |numbers: Range<usize>| {
        let mut profile = DataProfile::default();
        numbers.for_each(|n| profile.add(&of_number(n), Time(2)));
        profile
    };
    // More distinct values than are counted.
    let all = DISTINCT + 5_000;
    let mut parts = profile(0..100);
    for begin in (100..all).step_by(100) {
        parts.merge(profile(begin..begin + 100));
    }
    let spec = FeaturesSpec::default();
    let (parts, whole) = (parts.plan(&spec), profile(0..all).plan(&spec));
    assert_eq!(parts, whole);
    assert_eq!((whole.kinds.len(), whole.properties.len(), whole.attributes.len()), (3, 1, 3));
    assert_eq!((whole.habits.channels.len(), whole.habits.categories.len()), (2, 1));
}

/// The properties that `auto` chooses, for interactions of these kinds with the properties `of(kind, n)`.
fn properties(kinds: &[&str], of: impl Fn(&str, usize) -> Vec<(String, String)>) -> Vec<String> {
    let mut profile = DataProfile::default();
    for n in 0..100 {
        let mut history = History::default();
        for kind in kinds {
            history.push(kind, Time(1), Time(1), None, None);
            of(kind, n).iter().for_each(|(name, text)| history.push_property(name, text));
        }
        // Neither of these is known yet.
        for (occur, record) in [(1, 3), (3, 3)] {
            history.push(kinds[0], Time(occur), Time(record), None, None);
            history.push_property("constant", "2");
            history.push_property("units", "many");
        }
        profile.add(&history, Time(2));
    }
    let plan = profile.plan(&FeaturesSpec::default());
    plan.properties.iter().map(|(kind, name)| format!("{kind}.{name}")).collect()
}

#[test]
fn frequent_numbers_that_vary_are_informative() {
    let found = properties(&["purchase", "survey"], |kind, n| {
        let own = |name: &str, text: String| (name.to_owned(), text);
        let number = n.to_string();
        let word = || "n/a".to_owned();
        let mut all = vec![
            own("constant", "1".to_owned()),
            own("id", number.clone()),
            own("order_id", number.clone()),
            own("orderId", number.clone()),
            own("a.b", number.clone()),
            own("note", word()),
            own("paid", if n < 5 { word() } else { number.clone() }),
            own("nearly", if n < 6 { word() } else { number.clone() }),
        ];
        all.extend((n < 50).then(|| own("half", number.clone())));
        all.extend((n < 49).then(|| own("rare", number.clone())));
        all.extend((kind == "purchase").then(|| own("units", number.clone())));
        all.extend((kind == "survey").then(|| own(kind::SCORE, number.clone())));
        all.extend((kind == "survey").then(|| own(kind::EXPECTED, number)));
        all
    });
    assert_eq!(found, ["purchase.paid", "purchase.units", "survey.paid", "purchase.half", "survey.half"]);
}

#[test]
fn at_most_four_properties_of_a_kind_and_twelve_in_all_are_chosen() {
    let found = properties(&["a", "b", "c", "d"], |kind, n| {
        // The later in the alphabet the more frequent, and kind `d` has the rarest.
        let most = if kind == "d" { 80 } else { 100 };
        let carried = ["p", "q", "r", "s", "t"].into_iter().enumerate().filter(|(m, _)| n < most - 4 + m);
        carried.map(|(_, name)| (name.to_owned(), n.to_string())).collect()
    });
    let expected: Vec<String> =
        ["t", "s", "r", "q"].iter().flat_map(|p| ["a", "b", "c"].map(|kind| format!("{kind}.{p}"))).collect();
    assert_eq!(found, expected);
}

#[test]
fn listed_properties_are_chosen_as_they_are_and_others_only_of_kinds_in_the_plan() {
    let mut profile = DataProfile::default();
    for n in 0..2 {
        let mut history = customer(&[], &["visit"]);
        history.push_property("minutes", &n.to_string());
        profile.add(&history, Time(2));
    }
    let plan = |properties: &Selector, kinds: &[&str]| {
        let kinds = Selector::List(kinds.iter().map(|kind| (*kind).to_owned()).collect());
        profile
            .plan(&FeaturesSpec { properties: properties.clone(), kinds, ..FeaturesSpec::default() })
            .properties
    };
    let own = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    assert_eq!(plan(&Selector::Auto, &["visit"]), [own("visit", "minutes")]);
    assert_eq!(plan(&Selector::Auto, &["call"]), []);
    let list = Selector::List(["call.minutes", "a.b.c"].map(str::to_owned).to_vec());
    assert_eq!(plan(&list, &[]), [own("call", "minutes"), own("a.b", "c")]);
}

#[test]
fn nearly_all_numbers_are_a_number() {
    let scale = |texts: usize| {
        let mut profile = DataProfile::default();
        for n in 0..100 {
            let value = match n < texts {
                true => AttributeValue::Text("unknown".to_owned()),
                false => AttributeValue::Number(n as f64),
            };
            profile.add(&customer(&[("total", value)], &[]), Time(9));
        }
        profile.plan(&FeaturesSpec::default()).attributes[0].1.clone()
    };
    assert_eq!([scale(0), scale(1), scale(5)], [Scale::Number, Scale::Number, Scale::Number]);
    for texts in [6, 50, 100] {
        assert!(matches!(scale(texts), Scale::Category { .. }), "{texts}");
    }
}

#[test]
fn only_the_most_frequent_kinds_and_levels_are_kept() {
    let mut profile = DataProfile::default();
    for n in 0..30 {
        let level = AttributeValue::Text(format!("level{n:02}"));
        for _ in 0..=n {
            profile.add(&customer(&[("city", level.clone())], &[format!("kind{n:02}").as_str()]), Time(9));
        }
    }
    let plan = profile.plan(&FeaturesSpec::default());
    assert_eq!(plan.kinds.len(), 12);
    assert_eq!((plan.kinds[0].as_str(), plan.kinds[11].as_str()), ("kind29", "kind18"));
    match &plan.attributes[0].1 {
        Scale::Category { levels } => {
            assert_eq!((levels.len(), levels[0].as_str(), levels[19].as_str()), (20, "level29", "level10"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_discount_is_the_number_of_that_name_that_most_purchases_carry() {
    let of = |name: &str, value: fn(usize) -> Option<&'static str>| {
        let mut profile = DataProfile::default();
        for n in 0..100 {
            let mut history = customer(&[], &["purchase"]);
            value(n).into_iter().for_each(|text| history.push_property(name, text));
            profile.add(&history, Time(2));
        }
        profile.plan(&FeaturesSpec::default()).habits.discount
    };
    let some = |n| (n < 20).then_some("10");
    for name in ["discount", "discount_percent", "couponValue", "total_rebate_minor"] {
        assert_eq!(of(name, some).as_deref(), Some(name), "of a fifth of the purchases");
    }
    assert_eq!(of("units", some), None);
    assert_eq!(of("coupon_id", some), None);
    assert_eq!(of("discount", |_| Some("0")), None, "nothing is discounted");
    assert_eq!(of("discount", |_| Some("10")), None, "everything is");
    assert_eq!(of("discount", |n| (n < 20).then_some("SPRING")), None, "a code is no number");

    let mut profile = DataProfile::default();
    for n in 0..10 {
        let mut history = customer(&[], &["purchase"]);
        history.push_property("a_discount", if n < 2 { "1" } else { "0" });
        if n < 9 {
            history.push_property("discount", &n.to_string());
        }
        profile.add(&history, Time(2));
    }
    let discount = |kinds: &[&str]| {
        let kinds = Selector::List(kinds.iter().map(|kind| (*kind).to_owned()).collect());
        profile.plan(&FeaturesSpec { kinds, ..FeaturesSpec::default() }).habits.discount
    };
    assert_eq!(discount(&["purchase"]).as_deref(), Some("a_discount"), "more purchases carry it");
    assert_eq!(discount(&["visit"]), None, "purchases get no features");
}

/// Stored artifacts have the plan of their time.
#[test]
fn a_plan_without_habits_is_written_as_before_there_were_any() {
    let stored = r#"{"windows_days":[7],"kinds":["visit"],"properties":[],"attributes":[],"forecast":null}"#;
    let plan: Plan = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&plan).unwrap(), stored);
    // Six of the kind, two windows of active days, and ten of every plan.
    assert_eq!((plan.measures().len(), plan.width()), (18, 18));
}

/// The categories that `spec` gets of purchases with the properties `of(n)`.
fn categories(spec: &FeaturesSpec, of: impl Fn(usize) -> Vec<(&'static str, String)>) -> Vec<String> {
    let mut profile = DataProfile::default();
    for n in 0..100 {
        let mut history = customer(&[], &["purchase"]);
        of(n).iter().for_each(|(name, text)| history.push_property(name, text));
        profile.add(&history, Time(2));
    }
    let categories = profile.plan(spec).habits.categories;
    categories.iter().map(|own| format!("{}.{} {}", own.kind, own.property, own.levels.join(" "))).collect()
}

#[test]
fn frequent_texts_with_levels_are_categories() {
    let of = |n: usize| {
        let level = |n: usize| format!("level{n}");
        let mut all = vec![
            ("category", level(usize::from(n.is_multiple_of(3)))),
            ("note", level(n)),
            ("order_id", level(n % 2)),
            ("a.b", level(n % 2)),
            ("constant", level(0)),
            ("mixed", if n < 6 { "5".to_owned() } else { level(n % 2) }),
        ];
        all.extend((n < 49).then(|| ("rare", level(n % 2))));
        all
    };
    let auto = FeaturesSpec::default();
    assert_eq!(categories(&auto, of), ["purchase.category level0 level1"]);
    let none = FeaturesSpec { properties: Selector::List(Vec::new()), ..FeaturesSpec::default() };
    assert_eq!(categories(&none, of), Vec::<String>::new());
    let attribute = |attributes| FeaturesSpec { attributes, ..FeaturesSpec::default() };
    let named = attribute(Selector::List(vec!["category".to_owned()]));
    assert_eq!(categories(&named, of), Vec::<String>::new(), "an attribute says the same");
    let listed = ["purchase.mixed", "purchase.note", "purchase.none"].map(str::to_owned).to_vec();
    let listed = FeaturesSpec { properties: Selector::List(listed), ..auto };
    assert_eq!(categories(&listed, of), ["purchase.mixed level0 level1", "purchase.note "]);
}

#[test]
fn common_channels_are_levels_if_there_are_two() {
    let channels = |of: &dyn Fn(usize) -> &'static str| {
        let mut profile = DataProfile::default();
        for n in 0..100 {
            let mut history = customer(&[], &["purchase"]);
            history.push_channel(of(n));
            profile.add(&history, Time(2));
        }
        let plan = profile.plan(&FeaturesSpec::default());
        assert!(plan.properties.is_empty() && plan.habits.categories.is_empty(), "a channel is no property");
        plan.habits.channels
    };
    assert_eq!(channels(&|n| ["web", "shop", "shop", ""][n % 4]), ["shop", "web"]);
    assert_eq!(channels(&|n| if n < 9 { "fair" } else { "web" }), Vec::<String>::new(), "one is rare");
}

#[test]
fn names_that_do_not_occur_are_found() {
    let mut profile = DataProfile::default();
    let mut history = customer(&[("region", AttributeValue::Boolean(true))], &["visit", "a.b"]);
    history.push_property("units", "3");
    profile.add(&history, Time(2));
    let text = r#"
        [churn]
        start_kinds = ["visit", "join"]
        [features]
        kinds = ["Visit", "visit"]
        properties = ["visit.units", "a.b.units"]
        attributes = ["region", "regoin"]"#;
    let spec = Spec::parse(text).unwrap();
    let found: Vec<_> =
        profile.unknown_names(&spec).iter().map(|unknown| (unknown.key, unknown.name)).collect();
    assert_eq!(
        found,
        [
            ("churn.start_kinds", "join"),
            ("features.kinds", "Visit"),
            ("features.properties", "visit.units"),
            ("features.attributes", "regoin"),
        ]
    );
    assert_eq!(profile.unknown_names(&Spec::default()), []);
}
