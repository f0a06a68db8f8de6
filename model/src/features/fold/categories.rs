//! The part of the row that is about channels and categorical properties: how often each level occurs.

use crate::{
    features::{Category, Habits},
    history::{CHANNEL, History},
    time::Time,
};

/// Which events of a history have a category.
#[derive(Clone, Copy)]
enum Source {
    /// All with this property, which is that of the channels.
    Channel { property: u32 },
    /// Those of this kind with this property.
    Property { kind: u32, property: u32 },
    /// None.
    Nothing,
}

/// How often each level of a category occurs.
struct LevelCounts<'a> {
    source: Source,
    /// The levels of the plan.
    levels: &'a [String],
    /// Per value of the history, its level.
    level_of: Vec<usize>,
    /// Per level, and for the others together.
    counts: Vec<u64>,
    /// The level of the newest event.
    last: Option<usize>,
    /// Per value of the history, whether it occurs; and how many do.
    seen: Vec<bool>,
    distinct: u64,
}

impl<'a> LevelCounts<'a> {
    fn new(history: &History, source: Option<Source>, levels: &'a [String]) -> Self {
        let level = |value: &String| levels.iter().position(|level| level == value).unwrap_or(levels.len());
        Self {
            source: source.unwrap_or(Source::Nothing),
            levels,
            level_of: history.values().iter().map(level).collect(),
            counts: vec![0; levels.len() + 1],
            last: None,
            seen: vec![false; history.values().len()],
            distinct: 0,
        }
    }

    fn clear(&mut self) {
        self.counts.fill(0);
        self.seen.fill(false);
        (self.last, self.distinct) = (None, 0);
    }

    fn has(&self, kind: u32, property: u32) -> bool {
        match self.source {
            Source::Channel { property: own } => property == own,
            Source::Property { kind: of, property: own } => (kind, property) == (of, own),
            Source::Nothing => false,
        }
    }

    /// Adds an event, which is not newer than those before.
    fn add(&mut self, value: usize) {
        let level = self.level_of[value];
        self.counts[level] += 1;
        self.last = self.last.or(Some(level));
        self.distinct += u64::from(!self.seen[value]);
        self.seen[value] = true;
    }

    /// The most frequent level, of equally frequent ones the first.
    fn commonest(&self) -> f64 {
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let level = self.counts.iter().position(|count| *count == most && most > 0);
        level.map_or(f64::NAN, |level| level as f64)
    }
}

/// The categories of a plan over a history.
pub(super) struct Categories<'a> {
    history: &'a History,
    channels: Option<LevelCounts<'a>>,
    /// Per categorical property of the plan.
    properties: Vec<LevelCounts<'a>>,
}

impl<'a> Categories<'a> {
    /// None when the plan has no categories.
    pub(super) fn new(habits: &'a Habits, history: &'a History) -> Option<Self> {
        let Habits { channels, categories, .. } = habits;
        if channels.is_empty() && categories.is_empty() {
            return None;
        }
        let of_channels = || {
            let source = history.property_slot(CHANNEL).map(|property| Source::Channel { property });
            LevelCounts::new(history, source, channels)
        };
        let of_property = |Category { kind, property, levels }: &'a Category| {
            let slots = history.kind_slot(kind).zip(history.property_slot(property));
            let source = slots.map(|(kind, property)| Source::Property { kind, property });
            LevelCounts::new(history, source, levels)
        };
        let channels = (!channels.is_empty()).then(of_channels);
        Some(Self { history, channels, properties: categories.iter().map(of_property).collect() })
    }

    /// Appends the values to a row.
    pub(super) fn write(&mut self, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        self.count(as_of, known_at);
        if let Some(channels) = &self.channels {
            row.push(channels.last.map_or(f64::NAN, |level| level as f64));
            row.push(channels.commonest());
            row.extend(channels.counts[..channels.levels.len()].iter().map(|count| *count as f64));
        }
        for property in &self.properties {
            row.push(property.distinct as f64);
            row.push(property.commonest());
        }
    }

    fn count(&mut self, as_of: Time, known_at: Time) {
        let Self { history, channels, properties } = self;
        channels.iter_mut().chain(properties.iter_mut()).for_each(LevelCounts::clear);
        for text in history.texts_until(as_of).iter().rev() {
            let Some(kind) = history.kind_if_visible(text.event, as_of, known_at) else { continue };
            let Some(value) = text.value else { continue };
            let of_text = channels.iter_mut().chain(properties.iter_mut());
            for counts in of_text.filter(|counts| counts.has(kind, text.property)) {
                counts.add(value as usize);
            }
        }
    }
}
