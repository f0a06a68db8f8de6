//! The encoder of a whole row.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Cross, Feature, Form};

/// Maps a raw row to a design row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// How rich the effect curves of numbers are.
    pub form: Form,
    /// The features, in the order of their columns.
    pub features: Vec<Feature>,
    /// The crosses, whose columns come after those of all features.
    pub crosses: Vec<Cross>,
}

impl Encoder {
    /// The number of columns of a design row.
    #[must_use]
    pub fn width(&self) -> usize {
        let features: usize = self.features.iter().map(Feature::width).sum();
        features + self.crosses.iter().map(Cross::width).sum::<usize>()
    }

    /// Each feature with its columns.
    pub fn columns(&self) -> impl Iterator<Item = (&Feature, Range<usize>)> {
        self.features.iter().scan(0, |start, feature| {
            let columns = *start..*start + feature.width();
            *start = columns.end;
            Some((feature, columns))
        })
    }

    /// Each cross with its columns.
    pub fn cross_columns(&self) -> impl Iterator<Item = (&Cross, Range<usize>)> {
        let start: usize = self.features.iter().map(Feature::width).sum();
        self.crosses.iter().scan(start, |start, cross| {
            let columns = *start..*start + cross.width();
            *start = columns.end;
            Some((cross, columns))
        })
    }

    /// The feature and the name of each column; for a cross `FIRST × SECOND`.
    #[must_use]
    pub fn column_names(&self) -> Vec<(String, String)> {
        let features = self.features.iter().flat_map(|feature| {
            feature.column_names().into_iter().map(|column| (feature.measure.to_string(), column))
        });
        let crosses = self.crosses.iter().flat_map(|cross| {
            let [first, second] = cross.features.map(|n| &self.features[n].measure);
            let [columns, others] = [(0, first), (1, second)].map(|(n, m)| cross.cells[n].column_names(m));
            let name = format!("{first} × {second}");
            let pairs = columns.iter().flat_map(|a| others.iter().map(move |b| format!("{a} × {b}")));
            pairs.map(|column| (name.clone(), column)).collect::<Vec<_>>()
        });
        features.chain(crosses).collect()
    }

    /// Writes the design row of one raw row; `out` has [`Encoder::width`] elements.
    pub fn encode(&self, raw: &[f64], out: &mut [f64]) {
        for (feature, columns) in self.columns() {
            feature.write(raw[feature.place], &mut out[columns]);
        }
        for (cross, columns) in self.cross_columns() {
            let [first, second] = cross.features.map(|n| raw[self.features[n].place]);
            cross.write(cross.cell(first, second), &mut out[columns]);
        }
    }
}
