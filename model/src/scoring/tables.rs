//! A fitted model as tables: what a raw value adds to the log-odds and to their variance is looked up
//! instead of multiplied out over the columns of a design row.
//!
//! A row of the design is made of *lines*, which follow the values, and of *cells*, one a feature or
//! cross: all columns of a cell are fixed once the cell is known. Most customers have nothing of most
//! things: so the row is x₀, which has the intercept, every line at the raw value 0 and every cell at its
//! commonest, and the differences z of the lines, and for each other cell c the difference d(c). With
//! z₀ = 1 for x₀ the variance xᵀ·Σ·x is
//!
//! zᵀ·A·z + 2·Σ_c z·m(c) + Σ_c Σ_d t(c, d)
//!
//! with the matrix A, the vectors m and the numbers t computed once, and what is 0 left out.
//!
//! Lines of values that run with time are kept apart, so that the rest can be kept while it stands: x₀ has them at 0,
//! and with z = (r, s), r being theirs, the variance is that of r = 0 and
//!
//! r·b + rᵀ·A_rr·r, where b = 2·A_rs·s + 2·Σ_c m(c)_r.
//!
//! Sums go in a fixed order and without fused multiplication, so that every machine gets the same bits. The
//! tables are of single precision, as the covariance of the artifact is.

use std::ops::Range;

use crate::{
    artifact::Artifact,
    encode::{Cells, Encoder, Feature, Line},
};

/// What is looked up.
#[derive(Debug)]
pub(crate) struct Tables {
    /// One a feature.
    readers: Vec<Reader>,
    /// One a feature, then one a cross.
    units: Vec<Unit>,
    /// The weights of all lines, those that run first, else feature by feature.
    line_weights: Vec<f64>,
    /// How many lines run.
    running_lines: usize,
    /// The others at the raw value 0.
    usual_lines: Vec<f64>,
    /// The lower triangle of A, in which what is off the diagonal counts twice. First come the lines that run: their
    /// rows in strips of columns, of each strip those that reach it.
    running_strips: Vec<Vector>,
    /// Then, row by row, x₀ and the lines that stand. Their columns begin behind the strips.
    fixed_rows: Vec<Vector>,
    /// 2·m, per cell of all units, with the same columns.
    mixed: Vec<Vector>,
    /// t: cells by cells.
    pairs: Vec<f32>,
    /// The variance of an average customer's log-odds.
    average_variance: f64,
}

/// Numbers that go side by side.
pub(crate) type Lanes = [f32; LANES];
const LANES: usize = 8;
/// Numbers, filled up with zeros.
type Vector = Box<[Lanes]>;

#[derive(Debug)]
struct Unit {
    /// What each cell adds to the log-odds; empty when the unit has no columns of cells.
    effects: Vec<f64>,
    /// Where its cells begin among all.
    first_cell: usize,
    /// The commonest cell: that whose columns are nearest to the average, 0.
    reference: usize,
}

/// Where a feature's value is, and what is known of it before it is looked at.
#[derive(Debug)]
struct Reader {
    /// Of the value in a raw row.
    place: usize,
    /// Its lines among those that run, or among the others.
    lines: Range<usize>,
    /// Whether it runs: then the entries are of its cell alone.
    is_time_dependent: bool,
    /// Values above which it is in another cell, of its own or of a cross; rising.
    edges: Vec<f64>,
    /// What most values are: nothing, and none.
    zero: Entry,
    missing: Entry,
}

/// What a value comes to.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// What it adds to the log-odds.
    effect: f64,
    /// Its cell among all, when that is not the commonest.
    unusual: Option<usize>,
}

/// A row, looked up. What it takes to look up the next one stays allocated.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// What each feature adds to the log-odds, of one that runs only its cells. A cross counts half for each of
    /// its features.
    pub(crate) contributions: Vec<f64>,
    /// The features that run and have a value, rising.
    pub(crate) running: Vec<usize>,
    /// The lines that stand.
    lines: Vec<f64>,
    /// The cells other than the commonest.
    unusual: Vec<usize>,
    /// Aᵀ·s + 2·Σ_c m(c), A being the triangle.
    projection: Vec<Lanes>,
}

/// r: the lines that run, written, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct RunningLines(Vec<f64>);

impl Tables {
    pub(crate) fn new(artifact: &Artifact) -> Self {
        let encoder = &artifact.encoder;
        let width = encoder.width() + 1;
        let covariance = covariance(&artifact.covariance_factor, width);
        // Columns here count the intercept, which is the first.
        let (mut line_columns, mut fixed_columns) = (Vec::new(), Vec::new());
        let mut all: Vec<(&dyn Write, Range<usize>)> = Vec::new();
        for (feature, columns) in encoder.columns() {
            let cells = columns.end - feature.cells.width()..columns.end;
            let lines =
                if feature.measure.is_time_dependent() { &mut line_columns } else { &mut fixed_columns };
            lines.extend(columns.start + 1..=cells.start);
            all.push((&feature.cells, cells.start + 1..cells.end + 1));
        }
        let running_lines = line_columns.len();
        line_columns.append(&mut fixed_columns);
        for (cross, columns) in encoder.cross_columns() {
            all.push((cross, columns.start + 1..columns.end + 1));
        }
        let weights = &artifact.weights;
        let line_weights: Vec<f64> = line_columns.iter().map(|column| weights[column - 1]).collect();

        // x₀, and the columns of every cell of every unit as differences from it.
        let mut usual_row = vec![0.0; width];
        usual_row[0] = 1.0;
        for (feature, columns) in encoder.columns() {
            if let Some(line) = feature.line.as_ref().filter(|_| !feature.measure.is_time_dependent()) {
                line.write(0.0, &mut usual_row[columns.start + 1..=columns.start + line.width()]);
            }
        }
        let usual_lines = line_columns[running_lines..].iter().map(|column| usual_row[*column]).collect();
        let mut cells: Vec<(Range<usize>, Vec<f64>)> = Vec::new();
        let mut units = Vec::with_capacity(all.len());
        for (unit, columns) in &all {
            let written = (0..cells_of(*unit, columns)).map(|cell| {
                let mut row = vec![0.0; columns.len()];
                unit.write(cell, &mut row);
                row
            });
            let mut rows: Vec<Vec<f64>> = written.collect();
            let own = &weights[columns.start - 1..columns.end - 1];
            let effects = rows.iter().map(|row| product(row, own)).collect();
            let length = |row: &Vec<f64>| product(row, row);
            let reference = rows.iter().enumerate().min_by(|(_, a), (_, b)| length(a).total_cmp(&length(b)));
            let (reference, usual_cell) = reference.map_or((0, Vec::new()), |(n, row)| (n, row.clone()));
            rows.iter_mut().for_each(|row| row.iter_mut().zip(&usual_cell).for_each(|(x, u)| *x -= u));
            if !usual_cell.is_empty() {
                usual_row[columns.clone()].copy_from_slice(&usual_cell);
            }
            units.push(Unit { effects, first_cell: cells.len(), reference });
            cells.extend(rows.into_iter().map(|row| (columns.clone(), row)));
        }

        // What the covariance makes of them.
        let times_covariance = |columns: Range<usize>, row: &[f64]| {
            let mut product = vec![0.0; width];
            for (column, x) in columns.zip(row).filter(|(_, x)| **x != 0.0) {
                let line = &covariance[column * width..(column + 1) * width];
                product.iter_mut().zip(line).for_each(|(sum, c)| *sum += x * c);
            }
            product
        };
        let of_usual = times_covariance(0..width, &usual_row);
        let (running_columns, fixed_columns) = line_columns.split_at(running_lines);
        let mut mixed = Vec::with_capacity(cells.len());
        let mut pairs = Vec::with_capacity(cells.len() * cells.len());
        for (columns, row) in &cells {
            let projection = times_covariance(columns.clone(), row);
            let with = |column: &usize| 2.0 * projection[*column];
            let with_usual = 2.0 * product(row, &of_usual[columns.clone()]);
            let prepared = std::iter::once(with_usual).chain(fixed_columns.iter().map(with));
            mixed.push(vector(running_columns.iter().map(with), prepared));
            pairs.extend(
                cells.iter().map(|(others, other)| product(&projection[others.clone()], other) as f32),
            );
        }
        let covariance = |row: usize, column: usize| covariance[row * width + column];
        let twice_usual = |column: &usize| 2.0 * of_usual[*column];
        let reference = std::iter::once(product(&usual_row, &of_usual));
        let reference = vector(running_columns.iter().map(twice_usual), reference);
        let of_fixed = fixed_columns.iter().enumerate().map(|(n, row)| {
            let twice = |column: &usize| 2.0 * covariance(*row, *column);
            let others = fixed_columns[..n].iter().map(twice);
            let prepared = std::iter::once(twice_usual(row)).chain(others).chain([covariance(*row, *row)]);
            vector(running_columns.iter().map(twice), prepared)
        });
        let fixed_rows = std::iter::once(reference).chain(of_fixed).collect();
        let of_running = running_columns.iter().enumerate().map(|(n, row)| {
            let others = running_columns[..n].iter().map(|column| 2.0 * covariance(*row, *column));
            vector(others.chain([covariance(*row, *row)]), std::iter::empty())
        });
        let of_running: Vec<Vector> = of_running.collect();
        let strip = |n| of_running.iter().filter_map(|row| row.get(n).copied()).collect();
        let running_strips = (0..running_lines.div_ceil(LANES)).map(strip).collect();
        let mut readers = Vec::with_capacity(encoder.features.len());
        let (mut prepared, mut running) = (0, 0);
        for (n, (feature, unit)) in encoder.features.iter().zip(&units).enumerate() {
            let is_time_dependent = feature.measure.is_time_dependent();
            let at = if is_time_dependent { &mut running } else { &mut prepared };
            let lines = *at..*at + feature.line.as_ref().map_or(0, Line::width);
            *at = lines.end;
            let entry = |value| match is_time_dependent {
                true => unit.cell(&feature.cells, value),
                false => {
                    let weights = &line_weights[running_lines..][lines.clone()];
                    unit.look_up(feature, weights, value, &mut vec![0.0; lines.len()])
                }
            };
            let (zero, missing) = (entry(0.0), entry(f64::NAN));
            let edges = if is_time_dependent { edges(encoder, n) } else { Vec::new() };
            readers.push(Reader { place: feature.place, lines, is_time_dependent, edges, zero, missing });
        }
        let average_variance = covariance(0, 0);
        Self {
            readers,
            units,
            line_weights,
            running_lines,
            usual_lines,
            running_strips,
            fixed_rows,
            mixed,
            pairs,
            average_variance,
        }
    }

    /// The variance of an average customer's log-odds.
    pub(crate) const fn average_variance(&self) -> f64 {
        self.average_variance
    }

    /// Looks up what stands of a raw row.
    pub(crate) fn read(&self, encoder: &Encoder, raw: &[f64], reading: &mut Lookup) {
        let Lookup { contributions, running, lines, unusual, .. } = reading;
        contributions.clear();
        running.clear();
        lines.clear();
        lines.extend_from_slice(&self.usual_lines);
        unusual.clear();
        let standing_weights = &self.line_weights[self.running_lines..];
        for (n, reader) in self.readers.iter().enumerate() {
            let value = raw[reader.place];
            let entry = if reader.is_time_dependent {
                match value.is_nan() {
                    true => reader.missing,
                    false => {
                        running.push(n);
                        self.units[n].cell(&encoder.features[n].cells, value)
                    }
                }
            } else if value == 0.0 {
                reader.zero
            } else if value.is_nan() {
                lines[reader.lines.clone()].fill(0.0);
                reader.missing
            } else {
                let own = reader.lines.clone();
                let weights = &standing_weights[own.clone()];
                self.units[n].look_up(&encoder.features[n], weights, value, &mut lines[own])
            };
            contributions.push(entry.effect);
            unusual.extend(entry.unusual);
        }
        for (cross, unit) in encoder.crosses.iter().zip(&self.units[self.readers.len()..]) {
            let [first, second] = cross.features.map(|n| raw[self.readers[n].place]);
            let cell = cross.cell(first, second);
            let half = 0.5 * unit.effects[cell];
            cross.features.iter().for_each(|n| contributions[*n] += half);
            unusual.extend(unit.unusual(cell));
        }
    }

    /// The variance of the log-odds of the row that was read last, were it not for the lines that run.
    pub(crate) fn variance(&self, reading: &mut Lookup) -> f64 {
        let Lookup { lines, unusual, projection, .. } = reading;
        let begin = self.running_strips.len();
        projection.clear();
        projection.resize(begin + self.fixed_rows.len().div_ceil(LANES), [0.0; LANES]);
        let cells = self.mixed.len();
        let mut sum = 0.0;
        for (n, cell) in unusual.iter().enumerate() {
            add(projection, 1.0, &self.mixed[*cell]);
            let pairs = &self.pairs[cell * cells..(cell + 1) * cells];
            sum += f64::from(pairs[*cell]) + 2.0 * picked(pairs, &unusual[n + 1..]);
        }
        let lines = lines.iter().zip(&self.usual_lines).map(|(line, reference)| (line - reference) as f32);
        let z = std::iter::once(1.0).chain(lines);
        for (z, row) in z.clone().zip(&self.fixed_rows) {
            if z != 0.0 {
                add(projection, z, row);
            }
        }
        let projection = projection[begin..].as_flattened();
        sum + z.zip(projection).map(|(z, projection)| f64::from(z) * f64::from(*projection)).sum::<f64>()
    }

    /// b of the row whose variance was asked for last: what it takes to add the lines that run.
    pub(crate) fn projection<'a>(&self, reading: &'a Lookup) -> &'a [Lanes] {
        &reading.projection[..self.running_strips.len()]
    }

    /// The value above which a feature that runs comes into another cell, of its own or of a cross.
    pub(crate) fn next_edge(&self, feature: usize, value: f64) -> Option<f64> {
        let edges = &self.readers[feature].edges;
        edges.get(edges.partition_point(|edge| value > *edge)).copied()
    }

    /// Begins to write lines that run.
    pub(crate) fn begin_to_run(&self, running: &mut RunningLines) {
        running.0.clear();
        running.0.resize(self.running_strips.len() * LANES, 0.0);
    }

    /// Writes the lines of a feature that runs, and tells what they add to the log-odds.
    pub(crate) fn run(
        &self,
        encoder: &Encoder,
        feature: usize,
        value: f64,
        running: &mut RunningLines,
    ) -> f64 {
        let Some(line) = &encoder.features[feature].line else { return 0.0 };
        let own = self.readers[feature].lines.clone();
        let (lines, weights) = (&mut running.0[own.clone()], &self.line_weights[own]);
        line.write(value, lines);
        lines.iter().zip(weights).map(|(x, w)| x * w).sum()
    }

    /// What the lines that run add to the variance; `b` as [`Tables::projection`] told it.
    pub(crate) fn running_variance(&self, b: &[Lanes], RunningLines(lines): &RunningLines) -> f64 {
        let mut sums = [0.0; LANES];
        for ((strip, rows), b) in self.running_strips.iter().enumerate().zip(b) {
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
    /// Writes the lines of a feature's value, and tells what else there is of it.
    fn look_up(&self, feature: &Feature, line_weights: &[f64], value: f64, lines: &mut [f64]) -> Entry {
        let mut effect = 0.0;
        if let Some(line) = &feature.line {
            line.write(value, lines);
            effect = lines.iter().zip(line_weights).map(|(x, w)| x * w).sum();
        }
        let cell = self.cell(&feature.cells, value);
        Entry { effect: effect + cell.effect, ..cell }
    }

    /// What the cell of a value comes to.
    fn cell(&self, cells: &Cells, value: f64) -> Entry {
        if self.effects.is_empty() {
            return Entry { effect: 0.0, unusual: None };
        }
        let cell = cells.cell(value);
        Entry { effect: self.effects[cell], unusual: self.unusual(cell) }
    }

    /// A cell among all, when it is not the commonest.
    fn unusual(&self, cell: usize) -> Option<usize> {
        (cell != self.reference).then_some(self.first_cell + cell)
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

/// The values above which a feature comes into another cell, of its own or of a cross; rising.
fn edges(encoder: &Encoder, feature: usize) -> Vec<f64> {
    let of_crosses = encoder.crosses.iter().flat_map(|cross| cross.features.iter().zip(&cross.cells));
    let of_crosses = of_crosses.filter(|(n, _)| **n == feature).map(|(_, cells)| cells);
    let all = of_crosses.chain([&encoder.features[feature].cells]);
    let mut edges: Vec<f64> = all.flat_map(Cells::edges).collect();
    edges.sort_by(f64::total_cmp);
    edges
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
    let mut covariance = vec![0.0; width * width];
    for i in 0..width {
        for j in 0..=i {
            let sum = product(&rows[i * width..i * width + j + 1], &rows[j * width..j * width + j + 1]);
            covariance[i * width + j] = sum;
            covariance[j * width + i] = sum;
        }
    }
    covariance
}

/// Numbers of the lines that run, and behind them those of x₀ and the other lines.
fn vector(running: impl Iterator<Item = f64>, prepared: impl Iterator<Item = f64>) -> Vector {
    let mut vector: Vec<f32> = running.map(|number| number as f32).collect();
    vector.resize(vector.len().next_multiple_of(LANES), 0.0);
    vector.extend(prepared.map(|number| number as f32));
    vector.resize(vector.len().next_multiple_of(LANES), 0.0);
    vector.as_chunks().0.into()
}

/// Adds `x` times the vector.
fn add(sums: &mut [Lanes], x: f32, vector: &[Lanes]) {
    for (sums, numbers) in sums.iter_mut().zip(vector) {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += x * number;
        }
    }
}

/// The sum of the numbers at these places.
fn picked(numbers: &[f32], places: &[usize]) -> f64 {
    // One after the other, each addition would wait for the one before.
    let mut sums = [0.0; 4];
    let (fours, rest) = places.as_chunks::<4>();
    for four in fours {
        for (sum, place) in sums.iter_mut().zip(four) {
            *sum += f64::from(numbers[*place]);
        }
    }
    let rest: f64 = rest.iter().map(|place| f64::from(numbers[*place])).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// The inner product of long vectors.
fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, rest_of_a) = a.as_chunks::<LANES>();
    let (b, rest_of_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest_of_a.iter().zip(rest_of_b).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
