//! The census: which kinds and attributes the data holds, so that `auto` in a spec becomes a [`Plan`].

use std::collections::{BTreeMap, HashMap};

use crate::{
    features::{Plan, Scale, level_name},
    history::{AttributeValue, History, kind},
    spec::{Choice, FeaturesSpec},
    time::Time,
};

/// How many of the commonest kinds get features of their own.
const KINDS: usize = 12;
/// How many of the commonest values of a category get a column of their own.
const LEVELS: usize = 20;
/// A value that fewer customers have gets no column of its own: it is "other".
const RARE: u64 = 10;
/// How many attributes are taken at most, the commonest first.
const ATTRIBUTES: usize = 200;
/// Distinct values of one attribute, and distinct kinds, that are counted; more (free text, say)
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

/// Counts over many histories, taken in one pass.
#[derive(Default)]
pub struct Census {
    kinds: HashMap<String, u64>,
    attributes: BTreeMap<String, Seen>,
}

impl Census {
    /// Counts what was known of a customer at `as_of`.
    pub fn add(&mut self, history: &History, as_of: Time) {
        let mut counts = vec![0_u64; history.kinds().len()];
        for (_, event) in history.visible(as_of, as_of) {
            counts[event.kind as usize] += 1;
        }
        for (kind, count) in history.kinds().iter().zip(counts).filter(|(_, count)| *count > 0) {
            count_up(&mut self.kinds, kind, count);
        }
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

    /// Resolves the spec against what was counted. A listed kind or attribute that does not occur
    /// gets its features all the same; they never vary and are dropped later.
    #[must_use]
    pub fn plan(&self, spec: &FeaturesSpec) -> Plan {
        let kinds = match &spec.kinds {
            Choice::List(names) => names.clone(),
            Choice::Auto => self.commonest_kinds(),
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
        Plan { windows_days: spec.windows_days.clone(), kinds, attributes, forecast: None }
    }
}

impl Census {
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

impl Seen {
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

/// The names with the greatest counts, equal counts by name.
fn commonest(counts: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut ranked: Vec<_> = counts.iter().collect();
    ranked.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    ranked.into_iter().take(most).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let mut census = Census::default();
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
    fn only_the_commonest_kinds_and_levels_are_kept() {
        let mut census = Census::default();
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
