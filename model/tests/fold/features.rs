//! The reference of every feature: it scans all interactions for each single one.

use std::collections::BTreeSet;

use tally_model::{
    features::{Measure, Scale},
    history::AttributeValue,
    time::Time,
};

use crate::reference::{Customer, Interaction, MICROSECONDS_A_DAY, Moment};

impl Customer {
    /// The value of a feature by its documentation, where these kinds begin a relation.
    pub fn feature(&self, measure: &Measure, start_kinds: &[String], at: Moment) -> f64 {
        let within = |interaction: &Interaction, days: Option<u32>| {
            days.is_none_or(|days| interaction.occur > at.as_of - i64::from(days) * MICROSECONDS_A_DAY)
        };
        let seen = || self.seen(at).into_iter();
        let of = |kind: &str| {
            let kind = kind.to_owned();
            self.seen(at).into_iter().filter(move |interaction| interaction.kind == kind)
        };
        let purchases = || of("purchase").map(|purchase| purchase.occur);
        let age = |moment: i64| days_between(moment, at.as_of);
        match measure {
            // None of these plans has a forecast.
            Measure::ExpectedPurchases { .. } | Measure::NoPurchaseProbability { .. } => f64::NAN,
            Measure::Count { kind, days } => of(kind).filter(|i| within(i, *days)).count() as f64,
            Measure::Amount { kind, days } => sum(of(kind).filter(|i| within(i, *days))),
            Measure::DaysSinceLast { kind } => of(kind).map(|i| i.occur).max().map_or(f64::NAN, age),
            Measure::DaysSinceFirst { kind } => of(kind).map(|i| i.occur).min().map_or(f64::NAN, age),
            Measure::PropertySum { kind, property, days } => {
                of(kind).filter(|i| within(i, *days)).filter_map(|i| i.number(property)).sum::<f64>() + 0.0
            }
            Measure::PropertyMean { kind, property } => {
                let numbers: Vec<f64> = of(kind).filter_map(|i| i.number(property)).collect();
                match numbers.len() {
                    0 => f64::NAN,
                    many => (numbers.iter().sum::<f64>() + 0.0) / many as f64,
                }
            }
            Measure::PropertyLast { kind, property } => {
                let values = of(kind).filter_map(|i| Some((i.occur, &i.id, i.number(property)?)));
                values.max_by_key(|(occur, id, _)| (*occur, *id)).map_or(f64::NAN, |(.., number)| number)
            }
            Measure::SilenceDays => seen().map(|i| i.occur).max().map_or(f64::NAN, age),
            Measure::PurchaseDays => {
                let days = purchases().map(|occur| occur.div_euclid(MICROSECONDS_A_DAY));
                days.collect::<BTreeSet<_>>().len() as f64
            }
            Measure::ActiveDays { days } => {
                let days =
                    seen().filter(|i| within(i, *days)).map(|i| i.occur.div_euclid(MICROSECONDS_A_DAY));
                days.collect::<BTreeSet<_>>().len() as f64
            }
            Measure::MeanGapDays => mean_gap(purchases().collect()),
            Measure::RecencyOverGap => match mean_gap(purchases().collect()) {
                gap if gap > 0.0 => age(purchases().max().unwrap()) / gap,
                _ => f64::NAN,
            },
            Measure::AverageAmount => match of("purchase").filter(|p| p.amount.is_some()).count() {
                0 => f64::NAN,
                carrying => sum(of("purchase")) / carrying as f64,
            },
            Measure::ReturnShare => match purchases().count() {
                0 => f64::NAN,
                bought => of("return").count() as f64 / bought as f64,
            },
            Measure::OpenComplaints => {
                let resolutions: Vec<i64> = of("resolution").map(|resolution| resolution.occur).collect();
                let open = |complaint: &&Interaction| !resolutions.iter().any(|time| *time > complaint.occur);
                of("complaint").filter(open).count() as f64
            }
            Measure::Satisfaction => of("survey")
                .filter_map(|survey| Some((survey.occur, &survey.id, readable(survey.survey?)?)))
                .max_by_key(|(occur, id, _)| (*occur, *id))
                .map_or(f64::NAN, |(.., (score, expected))| score / expected),
            Measure::Trend => Self::trend(at, &self.seen(at)),
            Measure::KindTrend { kind } => Self::trend(at, &of(kind).collect::<Vec<_>>()),
            Measure::GapVariation => gap_variation(purchases()),
            Measure::DiscountShare { property } => match purchases().count() {
                0 => f64::NAN,
                bought => {
                    let is_discounted = |p: &&Interaction| p.number(property).is_some_and(|by| by > 0.0);
                    of("purchase").filter(is_discounted).count() as f64 / bought as f64
                }
            },
            // Day 0 was a Thursday.
            Measure::ArrivalWeekday => self.created(at).map_or(f64::NAN, |created| {
                ((created.div_euclid(MICROSECONDS_A_DAY) + 3).rem_euclid(7)) as f64
            }),
            Measure::Month => month(at.as_of),
            Measure::ChannelLast { levels } => {
                let latest = seen().filter(|i| !i.channel.is_empty()).max_by_key(|i| (i.occur, &i.id));
                latest.map_or(f64::NAN, |latest| level(latest.channel, levels) as f64)
            }
            Measure::ChannelCommonest { levels } => {
                commonest(seen().map(|i| i.channel).filter(|channel| !channel.is_empty()), levels)
            }
            Measure::ChannelCount { channel } => seen().filter(|i| i.channel == channel).count() as f64,
            Measure::PropertyDistinct { kind, property } => {
                of(kind).filter_map(|i| i.category(property)).collect::<BTreeSet<_>>().len() as f64
            }
            Measure::PropertyCommonest { kind, property, levels } => {
                commonest(of(kind).filter_map(|i| i.category(property)), levels)
            }
            Measure::TenureDays => match self.created(at) {
                None => f64::NAN,
                Some(created) if created >= at.as_of => 0.0,
                Some(created) => age(created),
            },
            Measure::Returned => {
                let cancels: Vec<i64> = of("cancel").map(|cancel| cancel.occur).collect();
                let starts = || seen().filter(|i| start_kinds.iter().any(|kind| *kind == i.kind));
                f64::from(u8::from(starts().any(|start| cancels.iter().any(|cancel| *cancel < start.occur))))
            }
            Measure::Attribute { name, scale } => self
                .version(at)
                .and_then(|version| version.attributes.get(name))
                .map_or(f64::NAN, |v| read(v, scale)),
        }
    }

    /// The number of these interactions in the last 30 days, compared with that in the 90 days before.
    fn trend(at: Moment, interactions: &[&Interaction]) -> f64 {
        let younger = |days: u32| {
            let since = at.as_of - i64::from(days) * MICROSECONDS_A_DAY;
            interactions.iter().filter(|interaction| interaction.occur > since).count()
        };
        (younger(30) as f64 + 1.0) / ((younger(120) - younger(30)) as f64 / 3.0 + 1.0)
    }
}

fn days_between(earlier: i64, later: i64) -> f64 {
    (later - earlier) as f64 / MICROSECONDS_A_DAY as f64
}

fn sum<'a>(interactions: impl Iterator<Item = &'a Interaction>) -> f64 {
    interactions.filter_map(|interaction| interaction.amount).map(i128::from).sum::<i128>() as f64
}

fn mean_gap(mut moments: Vec<i64>) -> f64 {
    moments.sort_unstable();
    let gaps: Vec<i64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    match gaps.len() {
        0 => f64::NAN,
        many => days_between(0, gaps.iter().sum()) / many as f64,
    }
}

/// The index of a text among the levels.
fn level(text: &str, levels: &[String]) -> usize {
    levels.iter().position(|level| level == text).unwrap_or(levels.len())
}

/// The most frequent level, of equally frequent ones the first.
fn commonest<'a>(texts: impl Iterator<Item = &'a str>, levels: &[String]) -> f64 {
    let found: Vec<usize> = texts.map(|text| level(text, levels)).collect();
    let count = |level: usize| found.iter().filter(|other| **other == level).count();
    // Of equal ones `max_by_key` returns the last.
    let most = (0..=levels.len()).rev().filter(|level| count(*level) > 0).max_by_key(|level| count(*level));
    most.map_or(f64::NAN, |level| level as f64)
}

/// The month in the text of the moment.
fn month(moment: i64) -> f64 {
    Time(moment).to_string()[5..7].parse::<f64>().unwrap() - 1.0
}

fn gap_variation(moments: impl Iterator<Item = i64>) -> f64 {
    let days: BTreeSet<i64> = moments.map(|moment| moment.div_euclid(MICROSECONDS_A_DAY)).collect();
    let days: Vec<i64> = days.into_iter().collect();
    let gaps: Vec<i64> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if gaps.len() < 2 {
        return f64::NAN;
    }
    let (sum, squares): (i64, i64) = (gaps.iter().sum(), gaps.iter().map(|gap| gap * gap).sum());
    ((gaps.len() as i64 * squares - sum * sum) as f64).sqrt() / sum as f64
}

fn readable((score, expected): (f64, f64)) -> Option<(f64, f64)> {
    let is_valid =
        score.is_finite() && expected.is_finite() && expected > 0.0 && (score / expected).is_finite();
    is_valid.then_some((score, expected))
}

fn read(value: &AttributeValue, scale: &Scale) -> f64 {
    match (scale, value) {
        (Scale::Number, AttributeValue::Number(number)) => *number,
        (Scale::Boolean, AttributeValue::Boolean(truth)) => f64::from(u8::from(*truth)),
        (Scale::Number | Scale::Boolean, _) => f64::NAN,
        (Scale::Category { levels }, value) => {
            let called = match value {
                AttributeValue::Boolean(truth) => truth.to_string(),
                AttributeValue::Number(number) => number.to_string(),
                AttributeValue::Text(text) => text.clone(),
            };
            levels.iter().position(|level| *level == called).unwrap_or(levels.len()) as f64
        }
    }
}
