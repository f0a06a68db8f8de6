//! The encoder: raw feature values -> design row. Fitted at training, stored in the artifact.
//!
//! A feature becomes a *line* (numbers only: a standardised value, perhaps with hinges) and *cells*
//! (which bin or level the value falls into). In the richest [`Form`] a number has both: the line
//! carries the trend, and cumulative ("thermometer") bins carry the departures from it; the L2 penalty
//! then penalises the jumps between neighbouring bins, so that the curves come out smooth. A *cross*
//! is the product of the coarse cells of two features (the pairs of a GA²M: Lou, Caruana, Gehrke and
//! Hooker 2013, "Accurate Intelligible Models with Pairwise Interactions").
//!
//! Numbers are clamped to their range in training; those that are attributes to a quarter more of it, because prices
//! and rates trend. Skewed ones go through a signed log(1 + x). A missing number contributes nothing, and has an
//! indicator column. Indicators are centred but not scaled, so that the penalty shrinks rare levels rather than favouring
//! them. Every column has mean 0 in training: the intercept is the log-odds of an average customer, and contributions
//! are relative to it.
//!
//! The age of a lead is known at the few ages of the snapshots alone. It has a knot at each of them, and a scale that
//! makes its penalty small: it says how fast leads buy, which no other column should have to explain.
//!
//! Constant columns are left out, and so is a column that equals an earlier one, except that the age comes first.

mod cells;
mod encoder;
mod feature;
mod fit;
mod line;
mod merge;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use cells::{Cells, Cross, coarse};
pub use encoder::Encoder;
pub use feature::Feature;
pub use fit::Sample;
pub use line::{Line, Transform};
pub use merge::Merged;

pub(crate) use line::{is_one, one};

/// How rich the effect curve of a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A straight line.
    Plain,
    /// A straight line, on a logarithmic scale when the values are skewed.
    Log,
    /// A line with a hinge at each of a few quantiles.
    Spline,
    /// A line and cumulative quantile bins.
    Steps,
}

impl Form {
    /// `plain`, `log`, `spline` or `steps`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Log => "log",
            Self::Spline => "spline",
            Self::Steps => "steps",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Measure, Scale};

    fn measures(n: usize) -> Vec<Measure> {
        (0..n).map(|n| Measure::Count { kind: format!("k{n}"), days: None }).collect()
    }

    fn fit(measures: &[Measure], raw: &[f64], form: Form) -> Encoder {
        let rows: Vec<usize> = (0..raw.len() / measures.len()).collect();
        Encoder::fit(
            Sample { measures, raw, rows: &rows, customers: &rows, rarer: rows.len() / 2 },
            form,
            &(0..measures.len()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn columns_are_centred_and_constant_or_repeated_ones_are_left_out() {
        // Columns: plain, constant, equal to the first, with a gap, always missing.
        let raw: Vec<f64> = [1.0, 2.0, 3.0, 4.0]
            .into_iter()
            .zip([f64::NAN, 5.0, 6.0, 5.0])
            .flat_map(|(x, gap)| [x, 7.0, x, gap, f64::NAN])
            .collect();
        let encoder = fit(&measures(5), &raw, Form::Log);
        let places: Vec<usize> = encoder.features.iter().map(|feature| feature.place).collect();
        assert_eq!(places, [0, 3]);
        assert_eq!(encoder.features[1].column_names(), ["value", "missing"]);
        let mut rows = [[0.0; 3]; 4];
        raw.chunks(5).zip(&mut rows).for_each(|(raw, row)| encoder.encode(raw, row));
        for column in 0..3 {
            let mean = rows.iter().map(|row| row[column]).sum::<f64>() / 4.0;
            assert!(mean.abs() < 1e-12, "{mean}");
        }
        assert_eq!(rows[0][1], 0.0, "a missing number is the mean");
        assert_eq!(rows[0][2], 0.75, "and its indicator says so");
    }

    #[test]
    fn extremes_are_clamped_to_the_range_of_training() {
        let encoder = fit(&measures(1), &[0.0, 1.0, 2.0, 3.0], Form::Log);
        let encode = |value: f64| {
            let mut out = [0.0];
            encoder.encode(&[value], &mut out);
            out[0]
        };
        assert_eq!(encode(1e300), encode(3.0));
        assert_eq!(encode(-1e300), encode(0.0));
    }

    #[test]
    fn the_age_of_leads_has_a_knot_at_each_age_and_is_hardly_penalised() {
        let measures = [Measure::DaysSinceFirst { kind: "visit".into() }, Measure::TenureDays];
        let raw: Vec<f64> = [0.0, 3.0, 7.0, 14.0].iter().flat_map(|age| [*age; 2]).cycle().take(80).collect();
        for form in [Form::Log, Form::Steps] {
            let encoder = fit(&measures, &raw, form);
            assert_eq!(encoder.features.len(), 1, "of equal columns the age is taken");
            let feature = &encoder.features[0];
            let line = feature.line.as_ref().unwrap();
            assert_eq!((&feature.measure, feature.width(), line.scale), (&measures[1], 3, 10.0));
            let encode = |age: f64| {
                let mut out = vec![0.0; encoder.width()];
                encoder.encode(&[f64::NAN, age], &mut out);
                out
            };
            // Between two knots, all columns are straight: half-way from 7 to 14 on the scale of the value.
            let half_way = [encode(7.0), encode(14.0)].map(|columns| columns[1]);
            assert!((encode(10.5)[1] - f64::midpoint(half_way[0], half_way[1])).abs() < 1e-9, "{form}");
            assert_eq!(encode(3.0)[1], encode(0.0)[1], "a hinge begins at its knot");
            assert!(encode(3.1)[1] > encode(3.0)[1] && encode(7.0)[2] == encode(0.0)[2], "{form}");
        }
    }

    #[test]
    fn edges_are_quantiles_of_one_row_a_customer() {
        // Of each customer a first row with the values 1 to 40, and three later ones with a 0.
        let raw: Vec<f64> = (1..=40).flat_map(|n| [f64::from(n), 0.0, 0.0, 0.0]).collect();
        let (rows, first): (Vec<usize>, Vec<usize>) = ((0..160).collect(), (0..160).step_by(4).collect());
        let encoder = |customers: &[usize]| {
            let measures = &measures(1);
            Encoder::fit(Sample { measures, raw: &raw, rows: &rows, customers, rarer: 80 }, Form::Steps, &[0])
        };
        assert_eq!(encoder(&rows).features[0].cells.edges().filter(|edge| *edge > 0.0).count(), 4);
        assert_eq!(encoder(&first).features[0].cells.edges().filter(|edge| *edge > 0.0).count(), 15);
    }

    #[test]
    fn an_attribute_is_followed_a_quarter_beyond_its_range_and_no_further() {
        let rate = Measure::Attribute { name: "rate".into(), scale: Scale::Number };
        let raw: Vec<f64> = (0..40).map(|n| 1.0 + f64::from(n) / 13.0).collect();
        for form in [Form::Plain, Form::Log, Form::Spline, Form::Steps] {
            let encoder = fit(std::slice::from_ref(&rate), &raw, form);
            let encode = |value: f64| {
                let mut out = vec![0.0; encoder.width()];
                encoder.encode(&[value], &mut out);
                out
            };
            // The range is 1 to 4.
            assert_eq!(encode(1e6), encode(4.75), "{form}");
            assert_eq!(encode(-1e6), encode(0.25), "{form}");
            assert!(encode(4.75)[0] > encode(4.7)[0] && encode(4.7)[0] > encode(4.0)[0], "{form}");
            // In a unit of the value, the column goes on as it did within the range.
            let slope = |from: f64, to: f64| (encode(to)[0] - encode(from)[0]) / (to - from);
            assert!((slope(4.0, 4.75) - slope(2.0, 3.0)).abs() < 1e-12, "{form}");
        }
        // Of 0 to 1,000 on a logarithmic scale, a quarter below is -4.6, not -250.
        let skewed: Vec<f64> = (0..40).map(|n| (f64::from(n) / 39.0 * 1_001_f64.ln()).exp_m1()).collect();
        let skewed = fit(std::slice::from_ref(&rate), &skewed, Form::Log).features.remove(0).line.unwrap();
        assert_eq!(skewed.transform, Transform::Log);
        assert!((skewed.low - (1.0 - 1_001_f64.powf(0.25))).abs() < 1e-9, "{skewed:?}");
        assert!((skewed.high - 1_250.0).abs() < 1e-9, "{skewed:?}");
        // The logarithm cannot tell such numbers apart.
        let mut accounts = [9e15; 40];
        accounts[36..].fill(9e15 + 1.0);
        let accounts = fit(std::slice::from_ref(&rate), &accounts, Form::Log).features.remove(0).line;
        assert!(accounts.is_none_or(|line| line.low <= 9e15 && line.high > 9e15), "holds the range");
        let extreme = fit(&[rate], &[-1.7e308, 0.0, 1.0, 1.7e308], Form::Log);
        let line = extreme.features[0].line.as_ref();
        assert!(line.is_none_or(|line| line.low.is_finite() && line.high.is_finite()));
    }

    #[test]
    fn constants_and_twins_take_no_bins_from_others() {
        let own: Vec<f64> = (0..4_000).map(f64::from).collect();
        let alone = fit(&measures(1), &own, Form::Steps).width();
        let crowd: Vec<f64> =
            own.iter().flat_map(|x| [[*x].as_slice(), &[7.0; 20], &[*x; 20]].concat()).collect();
        assert_eq!(fit(&measures(41), &crowd, Form::Steps).width(), alone);
        assert_eq!(alone, 128, "a line and the edges of 128 bins");
    }

    #[test]
    fn skewed_numbers_go_through_the_log_and_back() {
        let raw: Vec<f64> = (0..12).map(|n| f64::from(1 << n)).collect();
        assert_eq!(fit(&measures(1), &raw, Form::Plain).features[0].column_names(), ["value"]);
        let encoder = fit(&measures(1), &raw, Form::Log);
        assert_eq!(encoder.features[0].column_names(), ["log"]);
        let mut out = [1.0];
        encoder.encode(&[encoder.features[0].typical()], &mut out);
        assert!(out[0].abs() < 1e-12, "the typical value contributes nothing");
    }

    #[test]
    fn a_curved_effect_is_nothing_at_the_neutral_value_and_nowhere_nearer_to_the_typical_one() {
        let raw: Vec<f64> = (0..400).map(|n| f64::from(n * n) / 400.0).collect();
        for form in [Form::Log, Form::Spline, Form::Steps] {
            let encoder = fit(&measures(1), &raw, form);
            let feature = &encoder.features[0];
            // A rise that is steep for small values: the typical one is above the mean of the effect.
            let weights: Vec<f64> = (0..feature.width()).map(|n| 1.0 / (1.0 + n as f64)).collect();
            let neutral = feature.neutral(&weights);
            let (below, above) = (neutral * (1.0 - 1e-6), neutral * (1.0 + 1e-6));
            assert!(feature.effect(below, &weights) <= 0.0 && feature.effect(above, &weights) >= 0.0);
            if form == Form::Log {
                assert_eq!(neutral, feature.typical());
            } else {
                assert!(feature.effect(feature.typical(), &weights).abs() > 0.01, "else it would not matter");
            }
        }
    }

    #[test]
    fn a_level_unseen_in_training_is_no_level() {
        let levels = ["north", "south"].map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let encoder = fit(&[region], &[0.0, 1.0, 1.0, f64::NAN], Form::Log);
        assert_eq!(encoder.features[0].column_names(), ["missing", "= north", "= south"]);
        assert_eq!(encoder.features[0].typical(), 1.0);
        let mut out = [0.0; 3];
        encoder.encode(&[2.0], &mut out);
        assert_eq!(out, [-0.25, -0.25, -0.5]);
    }
}
