//! Encoding raw rows into a design.

use ndarray::{Array2, ShapeBuilder};

use super::{
    Design,
    block::{Block, table},
};
use crate::encode::{Encoder, Feature};

/// Cells with at most this many columns are stored as columns: a table would save nothing.
const NARROW: usize = 2;

/// The chosen rows of a flat matrix.
struct RawRows<'a> {
    raw: &'a [f64],
    width: usize,
    rows: &'a [usize],
}

impl RawRows<'_> {
    fn value(&self, row: usize, place: usize) -> f64 {
        self.raw[row * self.width + place]
    }

    /// The cell of each row.
    fn cells(&self, cell: impl Fn(usize) -> usize) -> Vec<u16> {
        self.rows.iter().map(|row| cell(*row) as u16).collect()
    }
}

impl Design {
    /// Encodes the chosen rows of a flat matrix that has `raw_width` values a row.
    #[must_use]
    pub fn new(encoder: &Encoder, raw: &[f64], raw_width: usize, rows: &[usize]) -> Self {
        let raw_rows = RawRows { raw, width: raw_width, rows };
        let (mut dense_at, mut blocks) = (Vec::new(), Vec::new());
        for (feature, columns) in encoder.columns() {
            let begin = columns.start;
            let dense = begin..begin + dense_width(feature);
            if dense.end < columns.end {
                blocks.push(feature_block(&raw_rows, feature, dense.end));
            }
            dense_at.extend(dense);
        }
        for (cross, columns) in encoder.cross_columns() {
            let [first, second] = cross.features.map(|n| encoder.features[n].place);
            let cell = |row| cross.cell(raw_rows.value(row, first), raw_rows.value(row, second));
            blocks.push(Block {
                at: columns.start,
                cells: raw_rows.cells(cell),
                table: table(cross.count(), cross.width(), |cell, out| cross.write(cell, out)),
            });
        }
        let dense = dense(encoder, &raw_rows, dense_at.len());
        Self { rows: rows.len(), width: encoder.width(), dense, dense_at, blocks }
    }
}

/// The number of columns of a feature that are stored as they are; they come first.
fn dense_width(feature: &Feature) -> usize {
    match feature.cells.width() {
        narrow if narrow <= NARROW => feature.width(),
        wide => feature.width() - wide,
    }
}

fn feature_block(raw_rows: &RawRows<'_>, feature: &Feature, at: usize) -> Block {
    let cells = &feature.cells;
    Block {
        at,
        cells: raw_rows.cells(|row| cells.cell(raw_rows.value(row, feature.place))),
        table: table(cells.count(), cells.width(), |cell, out| cells.write(cell, out)),
    }
}

/// The stored columns.
fn dense(encoder: &Encoder, raw_rows: &RawRows<'_>, width: usize) -> Array2<f64> {
    let mut dense = Array2::zeros((raw_rows.rows.len(), width).f());
    let mut start = 0;
    for feature in &encoder.features {
        let stored = dense_width(feature);
        if stored == 0 {
            continue;
        }
        let mut buffer = vec![0.0; feature.width()];
        for (n, row) in raw_rows.rows.iter().enumerate() {
            feature.write(raw_rows.value(*row, feature.place), &mut buffer);
            for (column, x) in buffer[..stored].iter().enumerate() {
                dense[(n, start + column)] = *x;
            }
        }
        start += stored;
    }
    dense
}
