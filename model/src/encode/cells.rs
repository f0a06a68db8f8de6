//! The columns that depend only on which cell a value falls into, of one feature and of two.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{feature::short, is_one, one};
use crate::features::Measure;

/// The most coarse cells of a feature in a cross: bins of a number, or levels of a category.
const COARSE: usize = 8;

/// The columns of a feature that depend only on which cell its value falls into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cells {
    /// For a number: for each edge, whether the value is above it.
    Bins {
        /// The edges in the unit of the number, rising, each with the share of the present values
        /// above it. The columns are 0 when the value is missing.
        edges: Vec<(f64, f64)>,
        /// The share of missing values, when there is an indicator column for them.
        missing: Option<f64>,
    },
    /// For a category: which level the value is.
    Levels {
        /// The raw value of each column, None for missing, with its share of the rows.
        levels: Vec<(Option<u32>, f64)>,
    },
}

impl Cells {
    /// The number of columns.
    #[must_use]
    pub const fn width(&self) -> usize {
        match self {
            Self::Bins { edges, missing } => edges.len() + missing.is_some() as usize,
            Self::Levels { levels } => levels.len(),
        }
    }

    /// The number of cells: the bins and "missing", or the levels and "other".
    #[must_use]
    pub const fn count(&self) -> usize {
        match self {
            Self::Bins { edges, .. } => edges.len() + 2,
            Self::Levels { levels } => levels.len() + 1,
        }
    }

    /// The cell of a raw value.
    #[must_use]
    pub fn cell(&self, raw: f64) -> usize {
        match self {
            Self::Bins { edges, .. } if raw.is_nan() => edges.len() + 1,
            Self::Bins { edges, .. } => edges.partition_point(|(edge, _)| raw > *edge),
            Self::Levels { levels } => {
                let level = (!raw.is_nan()).then_some(raw as u32);
                levels.iter().position(|(known, _)| *known == level).unwrap_or(levels.len())
            }
        }
    }

    /// The values above which a number is in the next bin, rising; none for a category.
    pub fn edges(&self) -> impl Iterator<Item = f64> {
        let edges = match self {
            Self::Bins { edges, .. } => edges.as_slice(),
            Self::Levels { .. } => &[],
        };
        edges.iter().map(|(edge, _)| *edge)
    }

    /// Writes the columns of a cell.
    pub fn write(&self, cell: usize, out: &mut [f64]) {
        match self {
            Self::Bins { edges, missing } => {
                let absent = cell == edges.len() + 1;
                for (n, (_, share)) in edges.iter().enumerate() {
                    out[n] = if absent { 0.0 } else { f64::from(u8::from(cell > n)) - share };
                }
                if let Some(share) = missing {
                    out[edges.len()] = f64::from(u8::from(absent)) - share;
                }
            }
            Self::Levels { levels } => {
                for (n, (_, share)) in levels.iter().enumerate() {
                    out[n] = f64::from(u8::from(cell == n)) - share;
                }
            }
        }
    }

    pub(super) fn column_names(&self, measure: &Measure) -> Vec<String> {
        match self {
            Self::Bins { edges, missing } => {
                let above = edges.iter().map(|(edge, _)| format!("> {}", short(*edge)));
                above.chain(missing.map(|_| "missing".to_owned())).collect()
            }
            Self::Levels { levels } => {
                let name = |level: &Option<u32>| match level {
                    Some(level) => format!("= {}", measure.level(f64::from(*level))),
                    None => "missing".to_owned(),
                };
                levels.iter().map(|(level, _)| name(level)).collect()
            }
        }
    }

    /// Whether the edges rise, the levels differ, and all shares are within 0 and 1.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let share = |share: &f64| (0.0..=1.0).contains(share);
        match self {
            Self::Bins { edges, missing } => {
                edges.iter().all(|(edge, above)| edge.is_finite() && share(above))
                    && edges.is_sorted_by(|(a, _), (b, _)| a < b)
                    && missing.iter().all(share)
            }
            Self::Levels { levels } => {
                let distinct: HashSet<_> = levels.iter().map(|(level, _)| level).collect();
                distinct.len() == levels.len() && levels.iter().all(|(_, s)| share(s))
            }
        }
    }
}

/// The product of the coarse cells of two features, minus its mean, times a scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cross {
    /// The indices of the two features in the encoder.
    pub features: [usize; 2],
    /// The coarse cells of each.
    pub cells: [Cells; 2],
    /// The mean of each product: first feature's columns by second feature's columns.
    pub means: Vec<f64>,
    /// What the columns are multiplied by, as in [`Line::scale`](super::Line::scale).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
}

impl Cross {
    /// The number of columns.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.cells[0].width() * self.cells[1].width()
    }

    /// The number of cells.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.cells[0].count() * self.cells[1].count()
    }

    /// The cell of two raw values.
    #[must_use]
    pub fn cell(&self, first: f64, second: f64) -> usize {
        self.cells[0].cell(first) * self.cells[1].count() + self.cells[1].cell(second)
    }

    /// Writes the columns of a cell.
    pub fn write(&self, cell: usize, out: &mut [f64]) {
        let (rows, columns) = (self.cells[0].width(), self.cells[1].width());
        let mut factors = vec![0.0; rows + columns];
        let (first, second) = factors.split_at_mut(rows);
        self.cells[0].write(cell / self.cells[1].count(), first);
        self.cells[1].write(cell % self.cells[1].count(), second);
        let products = first.iter().flat_map(|a| second.iter().map(move |b| a * b));
        for ((product, mean), out) in products.zip(&self.means).zip(out) {
            *out = self.scale * (product - mean);
        }
    }
}

/// One cell for each value of a category; none when all rows have the same value.
pub(super) fn levels(column: &[f64]) -> Cells {
    let mut counts = BTreeMap::<Option<u32>, usize>::new();
    for value in column {
        *counts.entry((!value.is_nan()).then_some(*value as u32)).or_default() += 1;
    }
    let share = |count| count as f64 / column.len() as f64;
    let levels = counts.into_iter().map(|(level, count)| (level, share(count))).collect::<Vec<_>>();
    Cells::Levels { levels: if levels.len() > 1 { levels } else { Vec::new() } }
}

/// The inner edges of `bins` quantile bins of `spread`, which is rising and not empty, each with the share of the rising
/// values `present` above it.
pub(super) fn edges(present: &[f64], spread: &[f64], bins: usize) -> Vec<(f64, f64)> {
    let n = present.len();
    let mut edges: Vec<f64> = (1..bins).map(|bin| spread[bin * spread.len() / bins]).collect();
    edges.dedup();
    edges
        .into_iter()
        .map(|edge| (edge, (n - present.partition_point(|value| *value <= edge)) as f64 / n as f64))
        .filter(|(_, above)| *above > 0.0)
        .collect()
}

/// The coarse cells of a feature in a cross: eighths of a number, the most frequent levels of a category.
#[must_use]
pub fn coarse(measure: &Measure, column: &[f64]) -> Cells {
    if measure.is_category() {
        let Cells::Levels { mut levels } = levels(column) else { return levels(column) };
        levels.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        levels.truncate(COARSE);
        return Cells::Levels { levels };
    }
    let mut present: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    present.sort_by(f64::total_cmp);
    let edges = if present.is_empty() { Vec::new() } else { edges(&present, &present, COARSE) };
    Cells::Bins { edges, missing: None }
}
