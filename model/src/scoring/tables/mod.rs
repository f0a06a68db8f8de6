//! A fitted model as tables: what a raw value adds to the log-odds and to their variance is looked up
//! instead of multiplied out over the columns of a design row.
//!
//! A design row is made of *lines*, which follow the values, and of *cells*, one for each feature or
//! cross: all columns of a cell are fixed once the cell is known. Most features of most customers are 0.
//! So the row is x₀, which has the intercept, every line at the raw value 0 and every cell at its reference
//! cell, plus the differences z of the lines, and for each other cell c the difference d(c). With
//! z₀ = 1 for x₀ the variance xᵀ·Σ·x is
//!
//! zᵀ·A·z + 2·Σ_c z·m(c) + Σ_c Σ_d t(c, d)
//!
//! with the matrix A, the vectors m and the numbers t computed once, and zeros left out.
//!
//! The lines of time-dependent values ("dynamic" lines) are kept apart from the others ("fixed" lines), so that
//! everything else can be prepared once and stays valid: x₀ has them at 0, and with z = (r, s), r being the
//! dynamic lines, the variance is that of r = 0 plus
//!
//! r·b + rᵀ·A_rr·r, where b = 2·A_rs·s + 2·Σ_c m(c)_r.
//!
//! Sums go in a fixed order and without fused multiplication, so that every machine gets the same bits. The
//! tables have single precision, as the covariance of the artifact has.

mod build;
mod covariance;
mod lookup;
mod vector;

use std::ops::Range;

use self::vector::Vector;
pub(crate) use self::{
    lookup::{DynamicLines, Lookup},
    vector::Lanes,
};

/// The tables of a model.
#[derive(Debug)]
pub(crate) struct Tables {
    /// One for each feature.
    features: Vec<FeatureTable>,
    /// One for each feature, then one for each cross.
    units: Vec<Unit>,
    /// The weights of all lines, those of the dynamic ones first, else feature by feature.
    line_weights: Vec<f64>,
    /// The number of dynamic lines.
    dynamic_lines: usize,
    /// The fixed lines at the raw value 0.
    reference_lines: Vec<f64>,
    /// The lower triangle of A, in which the numbers off the diagonal are doubled. First come the dynamic lines:
    /// their rows in strips of columns, in each strip the rows that reach it.
    dynamic_strips: Vec<Vector>,
    /// Then, row by row, x₀ and the fixed lines. Their columns begin after the strips.
    fixed_rows: Vec<Vector>,
    /// 2·m, for each cell of all units, with the same columns.
    mixed: Vec<Vector>,
    /// t: the upper triangle, row by row; see [`Tables::pairs_of`].
    pairs: Vec<f32>,
    /// The variance of the log-odds of an average customer.
    average_variance: f64,
}

/// The cells of a feature or a cross.
#[derive(Debug)]
struct Unit {
    /// What each cell adds to the log-odds; empty when the unit has no columns of cells.
    effects: Vec<f64>,
    /// The index of its first cell among all cells.
    first_cell: usize,
    /// The reference cell: that whose columns are nearest to the average, 0.
    reference: usize,
}

/// A feature: where its value is, and the entries of frequent values.
#[derive(Debug)]
struct FeatureTable {
    /// The index of the value in a raw row.
    place: usize,
    /// Its lines among the dynamic ones, or among the fixed ones.
    lines: Range<usize>,
    /// Whether its lines are dynamic; entries are then of its cell alone.
    is_time_dependent: bool,
    /// The values above which it is in another cell, its own or that of a cross; rising.
    edges: Vec<f64>,
    /// The entries of 0 and of a missing value, which most values are.
    zero: Entry,
    missing: Entry,
}

/// What a value adds.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// What it adds to the log-odds.
    effect: f64,
    /// The index of its cell among all cells; None for the reference cell.
    cell: Option<usize>,
}
