//! Building the tables of a model.

use std::{iter, ops::Range};

use super::{
    FeatureTable, Tables, Unit,
    covariance::Covariance,
    vector::{LANES, Vector, product, vector},
};
use crate::{
    artifact::Artifact,
    encode::{Cells, Encoder, Feature, Line},
    parallel::par_map,
};

impl Tables {
    /// The tables of a validated artifact.
    pub(crate) fn new(artifact: &Artifact) -> Self {
        let Artifact { encoder, weights, .. } = artifact;
        let width = encoder.width() + 1;
        let covariance = Covariance::new(&artifact.covariance_factor, width);
        let lines = LineColumns::new(encoder);
        let line_weights: Vec<f64> = lines.all().map(|column| weights[column - 1]).collect();
        let mut reference_row = reference_row(encoder, width);
        let reference_lines = lines.fixed.iter().map(|column| reference_row[*column]).collect();
        let (units, cells) = units(encoder, weights, &mut reference_row);
        let sums =
            Sums { of_reference: covariance.times(0..width, &reference_row), covariance, lines, cells };
        let (mixed, pairs) = sums.cells();
        Self {
            features: features(encoder, &units, &line_weights, sums.lines.dynamic.len()),
            units,
            line_weights,
            dynamic_lines: sums.lines.dynamic.len(),
            reference_lines,
            dynamic_strips: sums.dynamic_strips(),
            fixed_rows: sums.fixed_rows(&reference_row),
            mixed,
            pairs,
            average_variance: sums.covariance.at(0, 0),
        }
    }
}

/// The columns of all lines. Columns count the intercept, which is the first.
struct LineColumns {
    dynamic: Vec<usize>,
    fixed: Vec<usize>,
}

impl LineColumns {
    fn new(encoder: &Encoder) -> Self {
        let (mut dynamic, mut fixed) = (Vec::new(), Vec::new());
        for (feature, columns) in encoder.columns() {
            let lines = if feature.measure.is_time_dependent() { &mut dynamic } else { &mut fixed };
            lines.extend(columns.start + 1..=columns.end - feature.cells.width());
        }
        Self { dynamic, fixed }
    }

    fn all(&self) -> impl Iterator<Item = &usize> {
        self.dynamic.iter().chain(&self.fixed)
    }
}

/// x₀, without the columns of cells.
fn reference_row(encoder: &Encoder, width: usize) -> Vec<f64> {
    let mut row = vec![0.0; width];
    row[0] = 1.0;
    for (feature, columns) in encoder.columns() {
        if let Some(line) = feature.line.as_ref().filter(|_| !feature.measure.is_time_dependent()) {
            line.write(0.0, &mut row[columns.start + 1..=columns.start + line.width()]);
        }
    }
    row
}

/// The columns of a cell, as differences from the reference cell of its unit.
struct CellRow {
    columns: Range<usize>,
    row: Vec<f64>,
}

/// The units and all their cells; writes the reference cells into x₀.
fn units(encoder: &Encoder, weights: &[f64], reference_row: &mut [f64]) -> (Vec<Unit>, Vec<CellRow>) {
    let (mut units, mut cells) = (Vec::new(), Vec::new());
    let mut add = |columns: Range<usize>, mut rows: Vec<Vec<f64>>| {
        let own = &weights[columns.start - 1..columns.end - 1];
        let effects = rows.iter().map(|row| product(row, own)).collect();
        let length = |row: &Vec<f64>| product(row, row);
        let nearest = rows.iter().enumerate().min_by(|(_, a), (_, b)| length(a).total_cmp(&length(b)));
        let (reference, reference_cell) = nearest.map_or((0, Vec::new()), |(n, row)| (n, row.clone()));
        rows.iter_mut().for_each(|row| row.iter_mut().zip(&reference_cell).for_each(|(x, r)| *x -= r));
        if !reference_cell.is_empty() {
            reference_row[columns.clone()].copy_from_slice(&reference_cell);
        }
        units.push(Unit { effects, first_cell: cells.len(), reference });
        cells.extend(rows.into_iter().map(|row| CellRow { columns: columns.clone(), row }));
    };
    for (feature, columns) in encoder.columns() {
        let cells = &feature.cells;
        let columns = columns.end - cells.width() + 1..columns.end + 1;
        let rows = rows(cells.count(), cells.width(), |cell, out| cells.write(cell, out));
        add(columns, rows);
    }
    for (cross, columns) in encoder.cross_columns() {
        let rows = rows(cross.count(), cross.width(), |cell, out| cross.write(cell, out));
        add(columns.start + 1..columns.end + 1, rows);
    }
    (units, cells)
}

/// The columns of every cell; none when there are no columns.
fn rows(count: usize, width: usize, write: impl Fn(usize, &mut [f64])) -> Vec<Vec<f64>> {
    let count = if width == 0 { 0 } else { count };
    (0..count)
        .map(|cell| {
            let mut row = vec![0.0; width];
            write(cell, &mut row);
            row
        })
        .collect()
}

/// What the sums over the covariance need.
struct Sums {
    covariance: Covariance,
    lines: LineColumns,
    cells: Vec<CellRow>,
    /// Σ·x₀.
    of_reference: Vec<f64>,
}

impl Sums {
    /// 2·m and t, for each cell.
    fn cells(&self) -> (Vec<Vector>, Vec<f32>) {
        let (mixed, pairs): (Vec<_>, Vec<_>) =
            par_map(0..self.cells.len(), |n| self.cell(n)).into_iter().unzip();
        (mixed, pairs.concat())
    }

    /// 2·m of a cell, and its t with itself and each later cell.
    fn cell(&self, n: usize) -> (Vector, Vec<f32>) {
        let CellRow { columns, row } = &self.cells[n];
        let projection = self.covariance.times(columns.clone(), row);
        let with = |column: &usize| 2.0 * projection[*column];
        let with_reference = 2.0 * product(row, &self.of_reference[columns.clone()]);
        let fixed = iter::once(with_reference).chain(self.lines.fixed.iter().map(with));
        let mixed = vector(self.lines.dynamic.iter().map(with), fixed);
        let of_other = |other: &CellRow| product(&projection[other.columns.clone()], &other.row) as f32;
        (mixed, self.cells[n..].iter().map(of_other).collect())
    }

    fn fixed_rows(&self, reference_row: &[f64]) -> Vec<Vector> {
        let LineColumns { dynamic, fixed } = &self.lines;
        let twice_reference = |column: &usize| 2.0 * self.of_reference[*column];
        let own = iter::once(product(reference_row, &self.of_reference));
        let reference = vector(dynamic.iter().map(twice_reference), own);
        let of_fixed = fixed.iter().enumerate().map(|(n, row)| {
            let twice = |column: &usize| 2.0 * self.covariance.at(*row, *column);
            let others = fixed[..n].iter().map(twice);
            let own = iter::once(twice_reference(row)).chain(others).chain([self.covariance.at(*row, *row)]);
            vector(dynamic.iter().map(twice), own)
        });
        iter::once(reference).chain(of_fixed).collect()
    }

    fn dynamic_strips(&self) -> Vec<Vector> {
        let dynamic = &self.lines.dynamic;
        let row = |(n, row): (usize, &usize)| {
            let others = dynamic[..n].iter().map(|column| 2.0 * self.covariance.at(*row, *column));
            vector(others.chain([self.covariance.at(*row, *row)]), iter::empty())
        };
        let rows: Vec<Vector> = dynamic.iter().enumerate().map(row).collect();
        let strip = |n| rows.iter().filter_map(|row| row.get(n).copied()).collect();
        (0..dynamic.len().div_ceil(LANES)).map(strip).collect()
    }
}

fn features(
    encoder: &Encoder,
    units: &[Unit],
    line_weights: &[f64],
    dynamic_lines: usize,
) -> Vec<FeatureTable> {
    let (mut fixed, mut dynamic) = (0, 0);
    let table = |(n, (feature, unit)): (usize, (&Feature, &Unit))| {
        let is_time_dependent = feature.measure.is_time_dependent();
        let at = if is_time_dependent { &mut dynamic } else { &mut fixed };
        let lines = *at..*at + feature.line.as_ref().map_or(0, Line::width);
        *at = lines.end;
        let entry = |value| match is_time_dependent {
            true => unit.cell(&feature.cells, value),
            false => {
                let weights = &line_weights[dynamic_lines..][lines.clone()];
                unit.look_up(feature, weights, value, &mut vec![0.0; lines.len()])
            }
        };
        let (zero, missing) = (entry(0.0), entry(f64::NAN));
        let edges = if is_time_dependent { edges(encoder, n) } else { Vec::new() };
        FeatureTable { place: feature.place, lines, is_time_dependent, edges, zero, missing }
    };
    encoder.features.iter().zip(units).enumerate().map(table).collect()
}

/// The values above which a feature is in another cell, its own or that of a cross; rising.
fn edges(encoder: &Encoder, feature: usize) -> Vec<f64> {
    let of_crosses = encoder.crosses.iter().flat_map(|cross| cross.features.iter().zip(&cross.cells));
    let of_crosses = of_crosses.filter(|(n, _)| **n == feature).map(|(_, cells)| cells);
    let all = of_crosses.chain([&encoder.features[feature].cells]);
    let mut edges: Vec<f64> = all.flat_map(Cells::edges).collect();
    edges.sort_by(f64::total_cmp);
    edges
}
