//! A fitted model as tables: what a raw value adds to the log-odds and to their variance is looked up
//! instead of multiplied out over the columns of a design row.
//!
//! A row of the design is made of *lines*, which follow the values, and of *cells*, one a feature or
//! cross: all columns of a cell are fixed once the cell is known. So with the lines z (the intercept's
//! 1 first) and the cells c the variance (1, x)ᵀ·Σ·(1, x) is
//!
//! zᵀ·A·z + 2·Σ_c z·m(c) + Σ_c Σ_d t(c, d)
//!
//! with the vectors m and the numbers t computed once. Sums go in a fixed order and without fused
//! multiplication, so that every machine gets the same bits.

use std::ops::Range;

use crate::{
    artifact::Artifact,
    encode::{Cells, Encoder},
};

/// What is looked up.
#[derive(Debug)]
pub(crate) struct Tables {
    /// One a feature, then one a cross.
    units: Vec<Unit>,
    /// The weights of all lines, feature by feature.
    line_weights: Vec<f64>,
    /// A: `lines` by `lines`, the intercept's included.
    quadratic: Vec<f64>,
    /// m: per cell of all units `lines` numbers.
    mixed: Vec<f64>,
    /// t: cells by cells.
    pairs: Vec<f32>,
    /// How many cells all units have.
    cells: usize,
    /// How many line columns there are, and 1.
    lines: usize,
}

#[derive(Debug)]
struct Unit {
    /// What each cell adds to the log-odds; empty when the unit has no columns of cells.
    effects: Vec<f64>,
    /// Where its cells begin among all.
    first_cell: usize,
}

/// A row, looked up.
pub(crate) struct Reading {
    /// What each feature adds to the log-odds. A cross counts half for each of its features.
    pub(crate) contributions: Vec<f64>,
    /// The variance of the log-odds.
    pub(crate) variance: f64,
}

impl Tables {
    pub(crate) fn new(artifact: &Artifact) -> Self {
        let encoder = &artifact.encoder;
        let width = encoder.width() + 1;
        let covariance = covariance(&artifact.covariance_factor, width);
        // Columns here count the intercept, which is the first.
        let mut line_columns = vec![0];
        let mut all: Vec<(&dyn Write, Range<usize>)> = Vec::new();
        for (feature, columns) in encoder.columns() {
            let cells = columns.end - feature.cells.width()..columns.end;
            line_columns.extend(columns.start + 1..=cells.start);
            all.push((&feature.cells, cells.start + 1..cells.end + 1));
        }
        for (cross, columns) in encoder.cross_columns() {
            all.push((cross, columns.start + 1..columns.end + 1));
        }
        let weights = &artifact.weights;
        let line_weights = line_columns[1..].iter().map(|column| weights[column - 1]).collect();
        let cells = all.iter().map(|(unit, columns)| cells_of(*unit, columns)).sum();

        // The columns of every cell of every unit, and what the covariance makes of them.
        let mut written: Vec<(Range<usize>, Vec<f64>)> = Vec::with_capacity(cells);
        let mut units = Vec::with_capacity(all.len());
        for (unit, columns) in &all {
            let first_cell = written.len();
            let mut effects = Vec::new();
            for cell in 0..cells_of(*unit, columns) {
                let mut row = vec![0.0; columns.len()];
                unit.write(cell, &mut row);
                let own = &weights[columns.start - 1..columns.end - 1];
                effects.push(row.iter().zip(own).map(|(x, w)| x * w).sum());
                written.push((columns.clone(), row));
            }
            units.push(Unit { effects, first_cell });
        }
        let mut mixed = Vec::with_capacity(cells * line_columns.len());
        let mut pairs = Vec::with_capacity(cells * cells);
        let mut product = vec![0.0; width];
        for (columns, row) in &written {
            product.fill(0.0);
            for (column, x) in columns.clone().zip(row).filter(|(_, x)| **x != 0.0) {
                let line = &covariance[column * width..(column + 1) * width];
                product.iter_mut().zip(line).for_each(|(sum, c)| *sum += x * c);
            }
            mixed.extend(line_columns.iter().map(|column| product[*column]));
            pairs.extend(written.iter().map(|(others, other)| {
                let sum: f64 = product[others.clone()].iter().zip(other).map(|(p, x)| p * x).sum();
                sum as f32
            }));
        }
        let quadratic = line_columns
            .iter()
            .flat_map(|row| line_columns.iter().map(move |column| (row, column)))
            .map(|(row, column)| covariance[row * width + column])
            .collect();
        Self { units, line_weights, quadratic, mixed, pairs, cells, lines: line_columns.len() }
    }

    /// The variance of an average customer's log-odds.
    pub(crate) fn average_variance(&self) -> f64 {
        self.quadratic[0]
    }

    /// Looks a raw row up.
    pub(crate) fn read(&self, encoder: &Encoder, raw: &[f64]) -> Reading {
        let features = encoder.features.len();
        let mut contributions = vec![0.0; features];
        let mut z = vec![0.0; self.lines];
        z[0] = 1.0;
        let mut chosen = Vec::with_capacity(self.units.len());
        let mut at = 1;
        for ((n, feature), unit) in encoder.features.iter().enumerate().zip(&self.units) {
            let value = raw[feature.place];
            let own = feature.width() - feature.cells.width();
            if let Some(line) = &feature.line {
                line.write(value, &mut z[at..at + own]);
            }
            let weights = &self.line_weights[at - 1..at - 1 + own];
            let mut sum = z[at..at + own].iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
            at += own;
            if !unit.effects.is_empty() {
                let cell = feature.cells.cell(value);
                sum += unit.effects[cell];
                chosen.push(unit.first_cell + cell);
            }
            contributions[n] = sum;
        }
        for (cross, unit) in encoder.crosses.iter().zip(&self.units[features..]) {
            let [first, second] = cross.features.map(|n| raw[encoder.features[n].place]);
            let cell = cross.cell(first, second);
            let half = 0.5 * unit.effects[cell];
            cross.features.iter().for_each(|n| contributions[*n] += half);
            chosen.push(unit.first_cell + cell);
        }
        Reading { contributions, variance: self.variance(&z, &chosen) }
    }

    fn variance(&self, z: &[f64], chosen: &[usize]) -> f64 {
        let mut along = vec![0.0; self.lines];
        let mut sum = 0.0;
        for (n, cell) in chosen.iter().enumerate() {
            let mixed = &self.mixed[cell * self.lines..(cell + 1) * self.lines];
            along.iter_mut().zip(mixed).for_each(|(sum, m)| *sum += m);
            let pairs = &self.pairs[cell * self.cells..(cell + 1) * self.cells];
            let others: f64 = chosen[n + 1..].iter().map(|other| f64::from(pairs[*other])).sum();
            sum += f64::from(pairs[*cell]) + 2.0 * others;
        }
        for (row, (x, m)) in self.quadratic.chunks(self.lines).zip(z.iter().zip(&along)) {
            sum += x * (dot(row, z) + 2.0 * m);
        }
        // Rounding may leave nothing of a variance that is nearly nothing.
        sum.max(0.0)
    }
}

/// What has cells with columns of their own.
trait Write {
    fn count(&self) -> usize;
    fn write(&self, cell: usize, out: &mut [f64]);
}

impl Write for Cells {
    fn count(&self) -> usize {
        Self::count(self)
    }

    fn write(&self, cell: usize, out: &mut [f64]) {
        Self::write(self, cell, out);
    }
}

impl Write for crate::encode::Cross {
    fn count(&self) -> usize {
        Self::count(self)
    }

    fn write(&self, cell: usize, out: &mut [f64]) {
        Self::write(self, cell, out);
    }
}

/// A unit without columns needs no cells.
fn cells_of(unit: &dyn Write, columns: &Range<usize>) -> usize {
    if columns.is_empty() { 0 } else { unit.count() }
}

/// C·Cᵀ of a lower triangle given row by row.
fn covariance(factor: &[f32], width: usize) -> Vec<f64> {
    let mut rows = vec![0.0; width * width];
    let mut rest = factor;
    for (n, row) in rows.chunks_mut(width).enumerate() {
        let (own, below) = rest.split_at(n + 1);
        rest = below;
        row.iter_mut().zip(own).for_each(|(x, c)| *x = f64::from(*c));
    }
    let mut product = vec![0.0; width * width];
    for i in 0..width {
        for j in 0..=i {
            let sum = dot(&rows[i * width..i * width + j + 1], &rows[j * width..j * width + j + 1]);
            product[i * width + j] = sum;
            product[j * width + i] = sum;
        }
    }
    product
}

/// The inner product, in eight sums that go side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}
