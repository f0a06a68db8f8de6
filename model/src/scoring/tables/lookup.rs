//! Looking a row up: what its values add to the log-odds and to their variance.

use std::iter;

use super::{
    Entry, Tables, Unit,
    vector::{LANES, Lanes, add, sum_at},
};
use crate::encode::{Cells, Encoder, Feature};

/// A row that was looked up. The allocations are reused for the next row.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// What each feature adds to the log-odds; for a time-dependent one only its cells. Half of what a cross adds
    /// belongs to each of its features.
    pub(crate) contributions: Vec<f64>,
    /// The time-dependent features that have a value, rising.
    pub(crate) time_dependent: Vec<usize>,
    /// The fixed lines.
    lines: Vec<f64>,
    /// The cells other than the reference cells.
    cells: Vec<usize>,
    /// Aᵀ·s + 2·Σ_c m(c), A being the triangle.
    projection: Vec<Lanes>,
}

/// r: the dynamic lines, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct DynamicLines(Vec<f64>);

impl Tables {
    /// The variance of the log-odds of an average customer.
    pub(crate) const fn average_variance(&self) -> f64 {
        self.average_variance
    }

    /// Looks up the values of a raw row, of time-dependent features only the cells.
    pub(crate) fn look_up(&self, encoder: &Encoder, raw: &[f64], lookup: &mut Lookup) {
        let Lookup { contributions, time_dependent, lines, cells, .. } = lookup;
        contributions.clear();
        time_dependent.clear();
        lines.clear();
        lines.extend_from_slice(&self.reference_lines);
        cells.clear();
        let fixed_weights = &self.line_weights[self.dynamic_lines..];
        for (n, table) in self.features.iter().enumerate() {
            let value = raw[table.place];
            let entry = if table.is_time_dependent {
                match value.is_nan() {
                    true => table.missing,
                    false => {
                        time_dependent.push(n);
                        self.units[n].cell(&encoder.features[n].cells, value)
                    }
                }
            } else if value == 0.0 {
                table.zero
            } else if value.is_nan() {
                lines[table.lines.clone()].fill(0.0);
                table.missing
            } else {
                let own = table.lines.clone();
                let weights = &fixed_weights[own.clone()];
                self.units[n].look_up(&encoder.features[n], weights, value, &mut lines[own])
            };
            contributions.push(entry.effect);
            cells.extend(entry.cell);
        }
        self.look_up_crosses(encoder, raw, lookup);
    }

    fn look_up_crosses(&self, encoder: &Encoder, raw: &[f64], lookup: &mut Lookup) {
        for (cross, unit) in encoder.crosses.iter().zip(&self.units[self.features.len()..]) {
            let [first, second] = cross.features.map(|n| raw[self.features[n].place]);
            let cell = cross.cell(first, second);
            let half = 0.5 * unit.effects[cell];
            cross.features.iter().for_each(|n| lookup.contributions[*n] += half);
            lookup.cells.extend(unit.index(cell));
        }
    }

    /// The variance of the log-odds of the row that was looked up, without the dynamic lines.
    pub(crate) fn variance(&self, lookup: &mut Lookup) -> f64 {
        let Lookup { lines, cells, projection, .. } = lookup;
        let begin = self.dynamic_strips.len();
        projection.clear();
        projection.resize(begin + self.fixed_rows.len().div_ceil(LANES), [0.0; LANES]);
        let mut sum = 0.0;
        for (n, cell) in cells.iter().enumerate() {
            add(projection, 1.0, &self.mixed[*cell]);
            let pairs = self.pairs_of(*cell);
            sum += f64::from(pairs[*cell]) + 2.0 * sum_at(pairs, &cells[n + 1..]);
        }
        let lines =
            lines.iter().zip(&self.reference_lines).map(|(line, reference)| (line - reference) as f32);
        let z = iter::once(1.0).chain(lines);
        for (z, row) in z.clone().zip(&self.fixed_rows) {
            if z != 0.0 {
                add(projection, z, row);
            }
        }
        let projection = projection[begin..].as_flattened();
        sum + z.zip(projection).map(|(z, projection)| f64::from(z) * f64::from(*projection)).sum::<f64>()
    }

    /// t of a cell; only its numbers with itself and later cells are its own, and the cells of a row rise.
    fn pairs_of(&self, cell: usize) -> &[f32] {
        let count = self.mixed.len();
        // The rows of the cells before are shorter than a full one by 0, 1, 2, …, and so is its own.
        let begin = cell * count - cell * (cell + 1) / 2;
        &self.pairs[begin..begin + count]
    }

    /// b of the row whose variance was computed last, for [`Tables::dynamic_variance`].
    pub(crate) fn projection<'a>(&self, lookup: &'a Lookup) -> &'a [Lanes] {
        &lookup.projection[..self.dynamic_strips.len()]
    }

    /// The value above which a time-dependent feature is in another cell, its own or that of a cross.
    pub(crate) fn next_edge(&self, feature: usize, value: f64) -> Option<f64> {
        let edges = &self.features[feature].edges;
        edges.get(edges.partition_point(|edge| value > *edge)).copied()
    }

    /// Sets all dynamic lines to 0.
    pub(crate) fn clear(&self, lines: &mut DynamicLines) {
        lines.0.clear();
        lines.0.resize(self.dynamic_strips.len() * LANES, 0.0);
    }

    /// Writes the lines of a time-dependent feature, and returns what they add to the log-odds.
    pub(crate) fn write_lines(
        &self,
        encoder: &Encoder,
        feature: usize,
        value: f64,
        dynamic: &mut DynamicLines,
    ) -> f64 {
        let Some(line) = &encoder.features[feature].line else { return 0.0 };
        let own = self.features[feature].lines.clone();
        let (lines, weights) = (&mut dynamic.0[own.clone()], &self.line_weights[own]);
        line.write(value, lines);
        lines.iter().zip(weights).map(|(x, w)| x * w).sum()
    }

    /// What the dynamic lines add to the variance; `b` is that of [`Tables::projection`].
    pub(crate) fn dynamic_variance(&self, b: &[Lanes], DynamicLines(lines): &DynamicLines) -> f64 {
        let mut sums = [0.0; LANES];
        for ((strip, rows), b) in self.dynamic_strips.iter().enumerate().zip(b) {
            // The rows of the lines before do not reach the strip.
            let lines = &lines[strip * LANES..];
            let mut projection = *b;
            for (line, row) in lines.iter().zip(rows) {
                projection.iter_mut().zip(row).for_each(|(sum, number)| *sum += *line as f32 * number);
            }
            let own = sums.iter_mut().zip(projection).zip(lines);
            own.for_each(|((sum, projection), line)| *sum += f64::from(*line as f32) * f64::from(projection));
        }
        sums.iter().sum()
    }
}

impl Unit {
    /// Writes the lines of a feature's value, and returns what lines and cell add.
    pub(super) fn look_up(
        &self,
        feature: &Feature,
        line_weights: &[f64],
        value: f64,
        lines: &mut [f64],
    ) -> Entry {
        let mut effect = 0.0;
        if let Some(line) = &feature.line {
            line.write(value, lines);
            effect = lines.iter().zip(line_weights).map(|(x, w)| x * w).sum();
        }
        let cell = self.cell(&feature.cells, value);
        Entry { effect: effect + cell.effect, ..cell }
    }

    /// What the cell of a value adds.
    pub(super) fn cell(&self, cells: &Cells, value: f64) -> Entry {
        if self.effects.is_empty() {
            return Entry { effect: 0.0, cell: None };
        }
        let cell = cells.cell(value);
        Entry { effect: self.effects[cell], cell: self.index(cell) }
    }

    /// The index of a cell among all cells; None for the reference cell.
    fn index(&self, cell: usize) -> Option<usize> {
        (cell != self.reference).then_some(self.first_cell + cell)
    }
}
