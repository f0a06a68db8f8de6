//! Axes: their range, their scale, and ticks at round values.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// The width of a character of a tick label, in pixels, roughly.
const CHARACTER: u32 = 7;

/// An axis and its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    /// Whether distances are those of ln(1 + x).
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Numbers from `low` to `high` with about `count` ticks, labelled by `label`.
    pub fn numbers(low: f64, high: f64, count: usize, label: impl Fn(f64) -> String) -> Self {
        // An axis of length 0 would divide by 0.
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        let rough = (high - low) / count as f64;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (low / step - 1e-9).ceil();
        let ticks = (0..=2 * count).map(|n| (first + n as f64) * step).filter(|x| *x <= high + 1e-9 * step);
        Self { low, high, log: false, ticks: ticks.map(|x| (x, label(x))).collect() }
    }

    /// Probabilities and shares from 0 to `high`, in percent.
    pub fn shares(high: f64) -> Self {
        let digits = if high > 0.1 { 0 } else { 1 };
        Self::numbers(0.0, high, 5, |x| format!("{:.digits$} %", 100.0 * x))
    }

    /// Numbers from `low` ≥ 0 to `high` that crowd at the lower end.
    pub fn skewed(low: f64, high: f64) -> Self {
        let decades = high.max(10.0).log10().ceil() as i32;
        let step = (decades + 3) / 4;
        let powers = (0..=decades).filter(|power| power % step == 0).map(|power| 10.0_f64.powi(power));
        let between =
            |power: f64| if step == 1 && decades < 4 { vec![power, 3.0 * power] } else { vec![power] };
        let ticks = std::iter::once(0.0).chain(powers.flat_map(between));
        let ticks = ticks.filter(|x| (low..=high).contains(x)).map(|x| (x, short_number(x)));
        Self { low, high, log: true, ticks: ticks.collect() }
    }

    /// Categories from the top down: category n is at -n. Names longer than `pixels` are cut.
    pub(super) fn names(names: impl ExactSizeIterator<Item = String>, pixels: u32) -> Self {
        let high = names.len() as f64 - 0.5;
        let ticks = names.enumerate().map(|(n, name)| (-(n as f64), cut(&name, pixels / CHARACTER)));
        Self { low: -high, high: 0.5, log: false, ticks: ticks.collect() }
    }

    fn scaled(&self, x: f64) -> f64 {
        if self.log { x.ln_1p() } else { x }
    }
}

/// A number as tick labels show it: `0.25`, `300`, `12k`, `1.5M`.
pub(crate) fn short_number(x: f64) -> String {
    let (x, unit) = match x.abs() {
        size if size >= 1e9 => (x / 1e9, "G"),
        size if size >= 1e6 => (x / 1e6, "M"),
        size if size >= 1e4 => (x / 1e3, "k"),
        _ => (x, ""),
    };
    // Rounded to remove the noise of the last bits; adding 0 turns -0 into 0.
    format!("{}{unit}", (x * 1e4).round() / 1e4 + 0.0)
}

fn cut(name: &str, characters: u32) -> String {
    let characters = characters as usize;
    if name.chars().count() <= characters {
        return name.to_owned();
    }
    name.chars().take(characters - 1).chain(['…']).collect()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (low, high) = (self.scaled(self.low), self.scaled(self.high));
        let share = (self.scaled(*value) - low) / (high - low);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(x, _)| *x).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(x, _)| x == value);
        tick.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}
