//! The census: which kinds, properties and attributes the data holds, so that `auto` in a spec becomes a [`Plan`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use crate::{
    features::{Plan, Scale, level_name},
    history::{AttributeValue, History, kind},
    spec::{Choice, FeaturesSpec, property_of},
    time::Time,
};

/// How many of the commonest kinds get features of their own.
const KINDS: usize = 12;
/// How many numeric properties of one kind, and of all kinds, get features of their own.
const PROPERTIES_OF_A_KIND: usize = 4;
const PROPERTIES: usize = 12;
/// How many of the commonest values of a category get a column of their own.
const LEVELS: usize = 20;
/// A value that fewer customers have gets no column of its own: it is "other".
const RARE: u64 = 10;
/// How many attributes are taken at most, the commonest first.
const ATTRIBUTES: usize = 200;
/// Distinct values of one attribute, distinct kinds and distinct properties that are counted; more (free text, say)
/// only add to those known. Bounds the memory of the census.
const DISTINCT: usize = 10_000;

/// What has been seen of one attribute.
#[derive(Default)]
struct Seen {
    numbers: u64,
    booleans: u64,
    texts: u64,
    levels: HashMap<String, u64>,
}

/// What has been seen of one property of one kind.
#[derive(Clone, Copy)]
struct Values {
    numbers: u64,
    texts: u64,
    /// The least and the greatest number.
    low: f64,
    high: f64,
}

/// Counts over many histories, taken in one pass.
#[derive(Default)]
pub struct DataProfile {
    kinds: HashMap<String, u64>,
    /// By kind and name.
    properties: BTreeMap<(String, String), Values>,
    attributes: BTreeMap<String, Seen>,
}

impl DataProfile {
    /// Counts what was known of a customer at `as_of`.
    pub fn add(&mut self, history: &History, as_of: Time) {
        let mut counts = vec![0_u64; history.kinds().len()];
        for event in history.visible(as_of, as_of) {
            counts[event.kind as usize] += 1;
        }
        for (kind, count) in history.kinds().iter().zip(counts).filter(|(_, count)| *count > 0) {
            count_up(&mut self.kinds, kind, count);
        }
        self.add_properties(history, as_of);
        let Some(version) = history.version_at(as_of, as_of) else { return };
        for (name, value) in &version.attributes {
            if self.attributes.len() >= DISTINCT && !self.attributes.contains_key(name) {
                continue;
            }
            let seen = self.attributes.entry(name.clone()).or_default();
            match value {
                AttributeValue::Number(_) => seen.numbers += 1,
                AttributeValue::Boolean(_) => seen.booleans += 1,
                AttributeValue::Text(_) => seen.texts += 1,
            }
            count_up(&mut seen.levels, &level_name(value), 1);
        }
    }

    /// Adds what was counted of other customers.
    pub fn merge(&mut self, others: Self) {
        merge_counts(&mut self.kinds, others.kinds);
        for (key, values) in others.properties {
            if self.properties.len() < DISTINCT || self.properties.contains_key(&key) {
                self.properties.entry(key).or_default().merge(values);
            }
        }
        for (name, others) in others.attributes {
            if self.attributes.len() < DISTINCT || self.attributes.contains_key(&name) {
                self.attributes.entry(name).or_default().merge(others);
            }
        }
    }

    /// Resolves the spec against what was counted. A listed kind or attribute that does not occur
    /// gets its features all the same; they never vary and are dropped later.
    #[must_use]
    pub fn plan(&self, spec: &FeaturesSpec) -> Plan {
        let kinds = match &spec.kinds {
            Choice::List(names) => names.clone(),
            Choice::Auto => self.commonest_kinds(),
        };
        let properties = match &spec.properties {
            Choice::List(names) => {
                let own = |(kind, name): (&str, &str)| (kind.to_owned(), name.to_owned());
                names.iter().filter_map(|name| property_of(name).map(own)).collect()
            }
            Choice::Auto => self.telling_properties(&kinds),
        };
        let names = match &spec.attributes {
            Choice::List(names) => names.clone(),
            Choice::Auto => {
                let counts =
                    self.attributes.iter().map(|(name, seen)| (name.clone(), seen.count())).collect();
                let mut names = commonest(&counts, ATTRIBUTES);
                names.sort();
                names
            }
        };
        let scale = |name: &str| self.attributes.get(name).map_or(Scale::Number, Seen::scale);
        let attributes = names.into_iter().map(|name| (name.clone(), scale(&name))).collect();
        Plan { windows_days: spec.windows_days.clone(), kinds, properties, attributes, forecast: None }
    }
}

impl DataProfile {
    fn add_properties(&mut self, history: &History, as_of: Time) {
        // Per kind and property of the history.
        let names = history.properties();
        let mut own = vec![Values::default(); history.kinds().len() * names.len()];
        let mut count = |event: u32, property: u32, number: Option<f64>| {
            if let Some(kind) = history.kind_if_visible(event, as_of, as_of) {
                own[kind as usize * names.len() + property as usize].add(number);
            }
        };
        history.numbers().iter().for_each(|number| count(number.event, number.property, Some(number.value)));
        history.texts().iter().for_each(|text| count(text.event, text.property, None));
        let of_kinds = history.kinds().iter().zip(own.chunks(names.len().max(1)));
        let all = of_kinds.flat_map(|(kind, values)| names.iter().zip(values).map(move |own| (kind, own)));
        for (kind, (property, values)) in all.filter(|(_, (_, values))| values.numbers + values.texts > 0) {
            let key = (kind.clone(), property.clone());
            if self.properties.len() < DISTINCT || self.properties.contains_key(&key) {
                self.properties.entry(key).or_default().merge(*values);
            }
        }
    }

    /// The properties of these kinds that are likely to say something: numbers in at least 95 % of the
    /// interactions that carry them, carried by at least half of the kind's, not always the same, and
    /// not called as ids are; but not what a survey says, which has a feature of its own. Of each kind
    /// and of all the most commonly carried.
    fn telling_properties(&self, kinds: &[String]) -> Vec<(String, String)> {
        let telling = |((kind, name), values): &(&(String, String), &Values)| {
            let carried = values.numbers + values.texts;
            let of_survey = kind == kind::SURVEY && [kind::SCORE, kind::EXPECTED].contains(&name.as_str());
            // The name of a feature has its property behind the last dot.
            let is_fine = !(name.contains('.') || is_id(name) || of_survey);
            is_fine
                && 100 * values.numbers >= 95 * carried
                && 2 * carried >= self.kinds.get(kind).copied().unwrap_or(0)
                && values.low < values.high
        };
        let mut found: Vec<_> = self.properties.iter().filter(telling).collect();
        found.sort_by_key(|(name, values)| (Reverse(values.numbers + values.texts), *name));
        let mut chosen: Vec<(String, String)> = Vec::new();
        for (name, _) in found {
            let of_kind = chosen.iter().filter(|(kind, _)| *kind == name.0).count();
            if kinds.contains(&name.0) && of_kind < PROPERTIES_OF_A_KIND && chosen.len() < PROPERTIES {
                chosen.push(name.clone());
            }
        }
        chosen
    }

    /// The commonest kinds; purchases are among them wherever they occur, since all turns on them.
    fn commonest_kinds(&self) -> Vec<String> {
        let mut kinds = commonest(&self.kinds, KINDS);
        if self.kinds.contains_key(kind::PURCHASE) && !kinds.iter().any(|known| known == kind::PURCHASE) {
            kinds.truncate(KINDS - 1);
            kinds.push(kind::PURCHASE.to_owned());
        }
        kinds
    }
}

/// Whether a property of this name is an identifier, whose size says nothing: `id`, `order_id`, `orderId`.
fn is_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower == "id" || lower.ends_with("_id") || name.ends_with("Id")
}

impl Default for Values {
    fn default() -> Self {
        Self { numbers: 0, texts: 0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Values {
    /// Counts one more, None for a text.
    fn add(&mut self, number: Option<f64>) {
        match number {
            Some(value) => {
                self.merge(Self { numbers: 1, texts: 0, low: value, high: value });
            }
            None => self.texts += 1,
        }
    }

    fn merge(&mut self, other: Self) {
        self.numbers += other.numbers;
        self.texts += other.texts;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }
}

impl Seen {
    fn merge(&mut self, others: Self) {
        self.numbers += others.numbers;
        self.booleans += others.booleans;
        self.texts += others.texts;
        merge_counts(&mut self.levels, others.levels);
    }

    const fn count(&self) -> u64 {
        self.numbers + self.booleans + self.texts
    }

    /// The scale that fits all values seen; values of mixed types are a category.
    fn scale(&self) -> Scale {
        match self {
            Self { booleans: 0, texts: 0, .. } => Scale::Number,
            Self { numbers: 0, texts: 0, .. } => Scale::Boolean,
            Self { levels, .. } => {
                let mut counts = levels.clone();
                counts.retain(|_, count| *count >= RARE);
                Scale::Category { levels: commonest(&counts, LEVELS) }
            }
        }
    }
}

fn count_up(counts: &mut HashMap<String, u64>, name: &str, by: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count += by;
    } else if counts.len() < DISTINCT {
        counts.insert(name.to_owned(), by);
    }
}

/// In the order of the names: so they are always the same for which there is no room.
fn merge_counts(counts: &mut HashMap<String, u64>, others: HashMap<String, u64>) {
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_unstable();
    others.iter().for_each(|(name, count)| count_up(counts, name, *count));
}

/// The names with the greatest counts, equal counts by name.
fn commonest(counts: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut ranked: Vec<_> = counts.iter().collect();
    ranked.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    ranked.into_iter().take(most).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    use crate::history::Version;

    fn customer(attributes: &[(&str, AttributeValue)], kinds: &[&str]) -> History {
        let mut history = History::default();
        for (n, kind) in kinds.iter().enumerate() {
            history.push(kind, Time(n as i64), Time(n as i64), None, None);
        }
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let time = Time(0);
        history.push_version(Version {
            effective_time: time,
            record_time: time,
            create_time: time,
            attributes,
        });
        history
    }

    #[test]
    fn types_are_inferred_and_the_future_is_not_counted() {
        use AttributeValue::{Boolean, Number, Text};
        let mut census = DataProfile::default();
        let text = |text: &str| Text(text.to_owned());
        for _ in 0..9 {
            let usual = [("region", text("north")), ("mixed", Number(1.0)), ("mixed", Number(1.0))];
            census.add(&customer(&usual, &[]), Time(2));
            census.add(&customer(&[("region", text("south")), ("mixed", text("x"))], &[]), Time(2));
        }
        census.add(
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
        census.add(&customer(&[("region", text("south")), ("mixed", text("x"))], &["visit"]), Time(2));
        census.add(&customer(&[("region", text("south"))], &[]), Time(2));
        let plan = census.plan(&FeaturesSpec::default());
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
    fn parts_come_to_the_same_as_the_whole() {
        let of_number = |n: usize| {
            let text = |n: usize| AttributeValue::Text(format!("level {n}"));
            let attributes =
                [("few", text(n % 3)), ("many", text(n)), ("n", AttributeValue::Number(n as f64))];
            // The commonest kind changes on the way, and another one comes late.
            let kinds: &[&str] = match n {
                0..200 => &["call", "call", "visit"],
                200..10_000 => &["visit"],
                _ => &["email", "visit"],
            };
            let mut history = customer(&attributes[n % 2..], kinds);
            history.push_property("minutes", &n.to_string());
            history
        };
        let census = |numbers: Range<usize>| {
            let mut census = DataProfile::default();
            numbers.for_each(|n| census.add(&of_number(n), Time(2)));
            census
        };
        // More distinct values than are counted.
        let all = DISTINCT + 5_000;
        let mut parts = census(0..100);
        for begin in (100..all).step_by(100) {
            parts.merge(census(begin..begin + 100));
        }
        let spec = FeaturesSpec::default();
        let (parts, whole) = (parts.plan(&spec), census(0..all).plan(&spec));
        assert_eq!(parts, whole);
        assert_eq!((whole.kinds.len(), whole.properties.len(), whole.attributes.len()), (3, 1, 3));
    }

    /// The auto properties of interactions of these kinds, of which the `n`-th has these properties.
    fn properties(kinds: &[&str], of: impl Fn(&str, usize) -> Vec<(String, String)>) -> Vec<String> {
        let mut census = DataProfile::default();
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
            census.add(&history, Time(2));
        }
        let plan = census.plan(&FeaturesSpec::default());
        plan.properties.iter().map(|(kind, name)| format!("{kind}.{name}")).collect()
    }

    #[test]
    fn properties_are_taken_that_are_common_numbers_and_vary() {
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
    fn at_most_four_properties_of_a_kind_and_twelve_in_all_are_taken() {
        let found = properties(&["a", "b", "c", "d"], |kind, n| {
            // The later in the alphabet the commoner, and kind `d` has the rarest.
            let most = if kind == "d" { 80 } else { 100 };
            let carried = ["p", "q", "r", "s", "t"].into_iter().enumerate().filter(|(m, _)| n < most - 4 + m);
            carried.map(|(_, name)| (name.to_owned(), n.to_string())).collect()
        });
        let expected: Vec<String> = ["t", "s", "r", "q"]
            .iter()
            .flat_map(|p| ["a", "b", "c"].map(|kind| format!("{kind}.{p}")))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn listed_properties_are_taken_as_they_are_and_others_only_of_kinds_in_the_plan() {
        let mut census = DataProfile::default();
        for n in 0..2 {
            let mut history = customer(&[], &["visit"]);
            history.push_property("minutes", &n.to_string());
            census.add(&history, Time(2));
        }
        let plan = |properties: &Choice, kinds: &[&str]| {
            let kinds = Choice::List(kinds.iter().map(|kind| (*kind).to_owned()).collect());
            census
                .plan(&FeaturesSpec { properties: properties.clone(), kinds, ..FeaturesSpec::default() })
                .properties
        };
        let own = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
        assert_eq!(plan(&Choice::Auto, &["visit"]), [own("visit", "minutes")]);
        assert_eq!(plan(&Choice::Auto, &["call"]), []);
        let list = Choice::List(["call.minutes", "a.b.c"].map(str::to_owned).to_vec());
        assert_eq!(plan(&list, &[]), [own("call", "minutes"), own("a.b", "c")]);
    }

    #[test]
    fn only_the_commonest_kinds_and_levels_are_kept() {
        let mut census = DataProfile::default();
        for n in 0..30 {
            let level = AttributeValue::Text(format!("level{n:02}"));
            for _ in 0..=n {
                census.add(&customer(&[("city", level.clone())], &[format!("kind{n:02}").as_str()]), Time(9));
            }
        }
        let plan = census.plan(&FeaturesSpec::default());
        assert_eq!(plan.kinds.len(), 12);
        assert_eq!((plan.kinds[0].as_str(), plan.kinds[11].as_str()), ("kind29", "kind18"));
        match &plan.attributes[0].1 {
            Scale::Category { levels } => {
                assert_eq!(
                    (levels.len(), levels[0].as_str(), levels[19].as_str()),
                    (20, "level29", "level10")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
