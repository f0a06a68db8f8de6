//! One encoder with the columns of several that were fitted to the same rows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cells, Cross, Encoder, Feature, Form};

/// An encoder with the columns of several, and where they are in it.
#[derive(Debug)]
pub struct Merged {
    /// The encoder. A column that several have is in it once, and its crosses are not scaled.
    pub encoder: Encoder,
    /// For each column of each encoder: the column of the merged one that it is a multiple of, and the factor.
    pub columns: Vec<Vec<(usize, f64)>>,
}

/// What a column is; features are given by their indices in the raw row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Value(usize),
    /// The bits of the knot.
    Hinge(usize, u64),
    /// The bits of the edge.
    Edge(usize, u64),
    Missing(usize),
    Level(usize, Option<u32>),
    /// Its number among the columns of the cross.
    Product([usize; 2], usize),
}

impl Merged {
    /// Merges encoders. They were fitted to the same features of the same rows, so that features differ in their hinges
    /// and edges alone, and crosses of the same features in their scales.
    #[must_use]
    pub fn new(encoders: &[&Encoder]) -> Self {
        let mut features = BTreeMap::<usize, Feature>::new();
        for feature in encoders.iter().flat_map(|encoder| &encoder.features) {
            features.entry(feature.place).and_modify(|known| known.add(feature)).or_insert(feature.clone());
        }
        let form = encoders.iter().map(|encoder| encoder.form).max().unwrap_or(Form::Plain);
        let mut encoder = Encoder { form, features: features.into_values().collect(), crosses: Vec::new() };
        let mut seen = BTreeSet::new();
        for (places, cross) in encoders.iter().flat_map(|encoder| encoder.crosses_by_place()) {
            let index = |place| encoder.features.iter().position(|feature| feature.place == place);
            if let [Some(first), Some(second)] = places.map(index)
                && seen.insert(places)
            {
                encoder.crosses.push(Cross { features: [first, second], scale: 1.0, ..cross.clone() });
            }
        }
        let at: BTreeMap<Column, usize> =
            encoder.identities().into_iter().enumerate().map(|(n, (column, _))| (column, n)).collect();
        let columns = |encoder: &&Encoder| {
            let own = encoder.identities().into_iter();
            own.filter_map(|(column, scale)| Some((*at.get(&column)?, scale))).collect()
        };
        Self { columns: encoders.iter().map(columns).collect(), encoder }
    }
}

impl Encoder {
    fn crosses_by_place(&self) -> impl Iterator<Item = ([usize; 2], &Cross)> {
        self.crosses.iter().map(|cross| (cross.features.map(|n| self.features[n].place), cross))
    }

    /// Per column what it is, and its scale if it is that of a cross.
    fn identities(&self) -> Vec<(Column, f64)> {
        let of_features = self.features.iter().flat_map(|feature| feature.identities().into_iter());
        let of_crosses = self.crosses_by_place().flat_map(|(places, cross)| {
            (0..cross.width()).map(move |n| (Column::Product(places, n), cross.scale))
        });
        of_features.map(|column| (column, 1.0)).chain(of_crosses).collect()
    }
}

impl Feature {
    /// Adds the hinges and the edges of the same feature in another form.
    fn add(&mut self, other: &Self) {
        if let (Some(line), Some(other)) = (&mut self.line, &other.line) {
            line.hinges.extend(&other.hinges);
            line.hinges.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            line.hinges.dedup();
        }
        if let (Cells::Bins { edges, .. }, Cells::Bins { edges: others, .. }) =
            (&mut self.cells, &other.cells)
        {
            edges.extend(others);
            edges.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            edges.dedup();
        }
    }

    /// What each column is.
    fn identities(&self) -> Vec<Column> {
        let place = self.place;
        let value = self.line.iter().map(|_| Column::Value(place));
        let hinges = self.line.iter().flat_map(|line| &line.hinges);
        let mut columns: Vec<Column> =
            value.chain(hinges.map(|(knot, _)| Column::Hinge(place, knot.to_bits()))).collect();
        match &self.cells {
            Cells::Bins { edges, missing } => {
                columns.extend(edges.iter().map(|(edge, _)| Column::Edge(place, edge.to_bits())));
                columns.extend(missing.map(|_| Column::Missing(place)));
            }
            Cells::Levels { levels } => {
                columns.extend(levels.iter().map(|(level, _)| Column::Level(place, *level)));
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encode::Sample,
        features::{Measure, Scale},
    };

    /// Two numbers, one with gaps, and a category.
    fn raw() -> Vec<f64> {
        let row = |n: usize| {
            let n = n as f64;
            let gap = if n % 7.0 == 0.0 { f64::NAN } else { (n * 0.37).sin() };
            [(n * 1.7).cos().exp() * 100.0, gap, (n * n) % 3.0]
        };
        (0..400).flat_map(row).collect()
    }

    #[test]
    fn each_column_is_the_multiple_of_a_merged_one() {
        let levels = ["north", "south", "west"].map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let count = |n| Measure::Count { kind: format!("k{n}"), days: None };
        let (measures, raw, rows) = ([count(0), count(1), region], raw(), (0..400).collect::<Vec<_>>());
        let sample = Sample { measures: &measures, raw: &raw, rows: &rows, customers: &rows, rarer: 200 };
        let fit = |form| Encoder::fit(sample, form, &[0, 1, 2]);
        let members = [
            fit(Form::Spline),
            fit(Form::Steps),
            fit(Form::Steps).with_crosses(sample, &[[0, 2], [1, 2]], 3.0),
            fit(Form::Spline).with_crosses(sample, &[[1, 2], [0, 1]], 10.0),
        ];
        let merged = Merged::new(&members.each_ref());
        let widths = members.each_ref().map(Encoder::width);
        let crosses = merged.encoder.crosses.iter().map(Cross::width).sum::<usize>();
        assert_eq!(merged.encoder.crosses.len(), 3, "the shared cross is in it once");
        // Value, and levels or "missing", are shared.
        let shared = fit(Form::Plain).width();
        assert_eq!(merged.encoder.width(), widths[0] + widths[1] - shared + crosses);
        assert!(merged.columns.iter().zip(widths).all(|(columns, width)| columns.len() == width));
        let mut whole = vec![0.0; merged.encoder.width()];
        for row in raw.chunks(3).chain([[f64::NAN, 0.3, 9.0].as_slice(), &[1e9, -1e9, 0.0]]) {
            merged.encoder.encode(row, &mut whole);
            for (encoder, columns) in members.iter().zip(&merged.columns) {
                let mut own = vec![0.0; encoder.width()];
                encoder.encode(row, &mut own);
                for (x, (at, factor)) in own.iter().zip(columns) {
                    assert!((x - factor * whole[*at]).abs() < 1e-12, "{x}, {factor} of {}", whole[*at]);
                }
            }
        }
    }
}
