//! One feature of the design: its line, its cells, and the names of its columns.

use serde::{Deserialize, Serialize};

use super::{Cells, Line, Transform};
use crate::features::Measure;

/// An effect of less than this is rounding.
const NOTHING: f64 = 1e-9;
/// Each halves the interval in which an effect changes its sign; half of the bits of a value are more than are shown.
const BISECTIONS: u32 = 32;

/// One feature of the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// What it measures.
    pub measure: Measure,
    /// The index of its value in the raw row.
    pub place: usize,
    /// The columns that follow the value, for numbers that vary.
    pub line: Option<Line>,
    /// The columns of the cell that the value falls into.
    pub cells: Cells,
    /// The raw values at which the effect curve is drawn: quantiles of the values in training, rising;
    /// empty for a category.
    pub grid: Vec<f64>,
}

impl Feature {
    /// The number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.line.as_ref().map_or(0, Line::width) + self.cells.width()
    }

    /// Writes the columns of one raw value: the line's, then those of the cell.
    pub fn write(&self, raw: f64, out: &mut [f64]) {
        let (line, cells) = out.split_at_mut(out.len() - self.cells.width());
        if let Some(of_value) = &self.line {
            of_value.write(raw, line);
        }
        self.cells.write(self.cells.cell(raw), cells);
    }

    /// The typical raw value: the mean of a number on its transformed scale, or the most frequent
    /// level (`NaN` when that is "missing").
    #[must_use]
    pub fn typical(&self) -> f64 {
        match (&self.line, &self.cells) {
            (Some(line), _) => line.transform.invert(line.mean),
            (None, Cells::Bins { .. }) => self.grid.first().copied().unwrap_or(f64::NAN),
            (None, Cells::Levels { levels }) => levels
                .iter()
                .fold(None, |best: Option<&(Option<u32>, f64)>, level| match best {
                    Some(best) if best.1 >= level.1 => Some(best),
                    _ => Some(level),
                })
                .and_then(|(level, _)| *level)
                .map_or(f64::NAN, f64::from),
        }
    }

    /// What a raw value adds to the log-odds, without crosses; `weights` are those of the columns.
    #[must_use]
    pub fn effect(&self, raw: f64, weights: &[f64]) -> f64 {
        let mut row = vec![0.0; self.width()];
        self.write(raw, &mut row);
        row.iter().zip(weights).map(|(x, w)| x * w).sum()
    }

    /// The raw value of a number at which its effect changes its sign, the one nearest to the
    /// [typical value](Self::typical) if there are several. The typical value itself if the effect never does, and for
    /// a category.
    ///
    /// The effects of all rows in training add up to 0. Only that of a straight line is 0 at the typical value.
    #[must_use]
    pub fn neutral(&self, weights: &[f64]) -> f64 {
        let typical = self.typical();
        if self.grid.is_empty() || self.effect(typical, weights).abs() < NOTHING {
            return typical;
        }
        let is_positive = |raw: f64| self.effect(raw, weights) > 0.0;
        let changes =
            self.grid.iter().zip(&self.grid[1..]).filter(|(a, b)| is_positive(**a) != is_positive(**b));
        let distance = |[low, high]: &[f64; 2]| (low - typical).max(typical - high).max(0.0);
        let nearest =
            changes.map(|(low, high)| [*low, *high]).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.map_or(typical, |[mut low, mut high]| {
            let of_low = is_positive(low);
            for _ in 0..BISECTIONS {
                let middle = low + 0.5 * (high - low);
                *(if is_positive(middle) == of_low { &mut low } else { &mut high }) = middle;
            }
            high
        })
    }

    /// The least and the greatest value in training; None for categories and booleans, which have no values beyond.
    #[must_use]
    pub fn range(&self) -> Option<[f64; 2]> {
        match self.grid.as_slice() {
            [low, .., high] if !self.measure.is_boolean() => Some([*low, *high]),
            [only] if !self.measure.is_boolean() => Some([*only; 2]),
            _ => None,
        }
    }

    /// The raw values at which the effect curve is drawn: the grid or the levels, and `NaN` when
    /// missing values have an effect of their own.
    #[must_use]
    pub fn curve_values(&self) -> Vec<f64> {
        match &self.cells {
            Cells::Bins { missing, .. } => {
                self.grid.iter().copied().chain(missing.map(|_| f64::NAN)).collect()
            }
            Cells::Levels { levels } => {
                levels.iter().map(|(level, _)| level.map_or(f64::NAN, f64::from)).collect()
            }
        }
    }

    /// The name of each column: `value`, `log`, `hinge at X`, `> X`, `missing`, or `= LEVEL`.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(line) = &self.line {
            names.push(if line.transform == Transform::Log { "log" } else { "value" }.to_owned());
            let natural = |knot: f64| line.transform.invert(line.mean + line.sd * knot);
            names.extend(line.hinges.iter().map(|(knot, _)| format!("hinge at {}", short(natural(*knot)))));
        }
        names.extend(self.cells.column_names(&self.measure));
        names
    }
}

/// A number to six digits, enough to distinguish columns.
pub(super) fn short(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}
