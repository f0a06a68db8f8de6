//! The holdout by groups of snapshots: a good AUC over people long gone must not hide a poor one over those who
//! matter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    evaluation::metrics::Metrics,
    features::{Measure, Scale},
    history::kind,
    label::LabelDefinition,
    spec::Target,
    training::snapshot::Snapshots,
};

/// The groups by the calendar month (UTC) of the snapshots.
pub const MONTH: &str = "month";
/// The bounds of the ages of leads, in days.
const AGES: [i64; 8] = [0, 3, 7, 14, 30, 60, 120, 240];

/// The holdout rows of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldoutSlice {
    /// What the groups are formed by: `age`, `purchase within the horizon before`, `month`, or the name of an
    /// attribute such as `attribute.country`.
    pub by: String,
    /// The group, such as `2026-03`.
    pub group: String,
    /// The number of rows.
    pub rows: usize,
    /// How many of them have the outcome.
    pub positives: usize,
    /// Area under the ROC curve; None when all rows have the same outcome.
    pub auc: Option<f64>,
    /// Mean probability.
    pub mean_probability: f64,
    /// The share of the rows with the outcome.
    pub observed_rate: f64,
}

/// The holdout of a model to be divided into groups.
pub struct SlicedHoldout<'a> {
    /// The raw features.
    pub measures: &'a [Measure],
    /// All snapshots.
    pub rows: &'a Snapshots,
    /// The rows of the holdout with their probabilities.
    pub holdout: &'a [(usize, f64)],
    /// What is predicted.
    pub outcome: &'a LabelDefinition,
}

/// The slices by what their groups are formed by.
pub fn grouped(slices: &[HoldoutSlice]) -> impl Iterator<Item = &[HoldoutSlice]> {
    slices.chunk_by(|a, b| a.by == b.by)
}

/// The attributes that the holdout can be divided by.
pub fn categories(measures: &[Measure]) -> impl Iterator<Item = &str> {
    measures.iter().filter_map(|measure| match measure {
        Measure::Attribute { name, scale: Scale::Boolean | Scale::Category { .. } } => Some(name.as_str()),
        _ => None,
    })
}

impl SlicedHoldout<'_> {
    /// The groups by age (leads) or by a purchase within the horizon before (churn), by month, and by each of these
    /// attributes that is a category or a boolean.
    #[must_use]
    pub fn slices(&self, attributes: &[String]) -> Vec<HoldoutSlice> {
        let mut slices = match self.outcome.target {
            Target::Lead => self.by_age(),
            Target::Churn => self.by_recent_purchase(),
        };
        slices.extend(
            self.by(MONTH, |row| (0, self.rows.as_of[row].to_string()[.."2026-03".len()].to_owned())),
        );
        for name in attributes {
            slices.extend(self.by_attribute(name));
        }
        slices
    }

    fn by_age(&self) -> Vec<HoldoutSlice> {
        let Some(place) = self.place(|measure| *measure == Measure::TenureDays) else { return Vec::new() };
        self.by("age", |row| {
            let age = self.value(row, place);
            let Some(band) = AGES.iter().rposition(|from| age >= *from as f64) else {
                return (AGES.len(), "unknown".to_owned());
            };
            let group = match AGES.get(band + 1) {
                Some(next) => format!("{} to {} days", AGES[band], next - 1),
                None => format!("{} days and more", AGES[band]),
            };
            (band, group)
        })
    }

    fn by_recent_purchase(&self) -> Vec<HoldoutSlice> {
        let is_recency =
            |measure: &Measure| matches!(measure, Measure::DaysSinceLast { kind } if kind == kind::PURCHASE);
        let Some(place) = self.place(is_recency) else { return Vec::new() };
        let horizon = f64::from(self.outcome.horizon_days);
        self.by("purchase within the horizon before", |row| {
            let is_recent = self.value(row, place) < horizon;
            (usize::from(!is_recent), if is_recent { "yes" } else { "no" }.to_owned())
        })
    }

    fn by_attribute(&self, wanted: &str) -> Vec<HoldoutSlice> {
        let is_wanted =
            |measure: &Measure| matches!(measure, Measure::Attribute { name, .. } if name == wanted);
        let Some(place) = self.place(is_wanted) else { return Vec::new() };
        let measure = &self.measures[place];
        self.by(&measure.to_string(), |row| match (measure, self.value(row, place)) {
            (_, missing) if missing.is_nan() => (usize::MAX, "missing".to_owned()),
            (Measure::Attribute { scale: Scale::Boolean, .. }, truth) => {
                (usize::from(truth == 0.0), (truth != 0.0).to_string())
            }
            (_, level) => (level as usize, measure.level(level).to_owned()),
        })
    }

    /// Divides the holdout by an order and a name for each row.
    fn by(&self, by: &str, group: impl Fn(usize) -> (usize, String)) -> Vec<HoldoutSlice> {
        let mut groups = BTreeMap::<(usize, String), (Vec<f64>, Vec<bool>)>::new();
        for (row, probability) in self.holdout {
            let (probabilities, labels) = groups.entry(group(*row)).or_default();
            probabilities.push(*probability);
            labels.push(self.rows.label[*row]);
        }
        let slice = |((_, group), (probabilities, labels)): ((usize, String), (Vec<f64>, Vec<bool>))| {
            let metrics = Metrics::new(&probabilities, &labels);
            let rows = metrics.rows as f64;
            let both = 0 < metrics.positives && metrics.positives < metrics.rows;
            HoldoutSlice {
                by: by.to_owned(),
                group,
                rows: metrics.rows,
                positives: metrics.positives,
                auc: both.then_some(metrics.auc),
                mean_probability: probabilities.iter().sum::<f64>() / rows,
                observed_rate: metrics.positives as f64 / rows,
            }
        };
        groups.into_iter().map(slice).collect()
    }

    fn place(&self, is_it: impl Fn(&Measure) -> bool) -> Option<usize> {
        self.measures.iter().position(is_it)
    }

    fn value(&self, row: usize, place: usize) -> f64 {
        self.rows.features[row * self.measures.len() + place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{features::profile::DataProfile, spec::Spec, time::Time};

    const LEVELS: [&str; 2] = ["north", "south"];

    /// Six rows of a lead's age, its region and whether it buys.
    fn rows() -> (Vec<Measure>, Snapshots) {
        let levels = LEVELS.map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".to_owned(), scale: Scale::Category { levels } };
        let as_of = |text: &str| text.parse::<Time>().unwrap();
        let rows = Snapshots {
            customers: vec!["a".to_owned(), "b".to_owned()],
            customer: vec![0, 0, 0, 1, 1, 1],
            as_of: ["2026-01-05", "2026-01-12", "2026-02-04", "2026-02-01", "2026-02-08", "2026-03-03"]
                .map(as_of)
                .to_vec(),
            label: vec![false, false, true, true, true, true],
            features: vec![0.0, 0.0, 7.0, 0.0, 30.0, 0.0, 0.0, 1.0, 7.0, f64::NAN, 400.0, 2.0],
            ..Snapshots::default()
        };
        (vec![Measure::TenureDays, region], rows)
    }

    #[test]
    fn the_holdout_is_divided_by_age_month_and_attribute() {
        let (measures, rows) = rows();
        let holdout: Vec<(usize, f64)> = [0.1, 0.2, 0.6, 0.5, 0.2, 0.9].into_iter().enumerate().collect();
        let outcome = LabelDefinition::new(Target::Lead, &Spec::default(), &DataProfile::default());
        let sliced = SlicedHoldout { measures: &measures, rows: &rows, holdout: &holdout, outcome: &outcome };
        let slices = sliced.slices(&["region".to_owned()]);
        let found: Vec<(&str, usize, usize, Option<f64>)> =
            slices.iter().map(|s| (s.group.as_str(), s.rows, s.positives, s.auc)).collect();
        let expected = [
            ("0 to 2 days", 2, 1, Some(1.0)),
            ("7 to 13 days", 2, 1, Some(0.5)),
            ("30 to 59 days", 1, 1, None),
            ("240 days and more", 1, 1, None),
            ("2026-01", 2, 0, None),
            ("2026-02", 3, 3, None),
            ("2026-03", 1, 1, None),
            ("north", 3, 1, Some(1.0)),
            ("south", 1, 1, None),
            ("other", 1, 1, None),
            ("missing", 1, 1, None),
        ];
        assert_eq!(found, expected);
        assert!((slices[7].mean_probability - 0.3).abs() < 1e-12 && slices[7].by == "attribute.region");
        assert!((slices[7].observed_rate - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(categories(&measures).collect::<Vec<_>>(), ["region"]);
    }
}
