//! Plots as SVG to be placed in an HTML page: no script, no font, no address outside the page.
//!
//! The shapes are drawn by `plotters`, which escapes the text in them. The `<svg>` element around the shapes,
//! with its title, is written by the template that shows the plot.

mod axis;
mod bar_chart;
mod chart;
mod draw;

pub(super) use axis::{Axis, short_number};
pub(super) use bar_chart::BarChart;
pub(super) use chart::{Chart, Mark};
use plotters::prelude::RGBColor;

/// The colour of what a plot is about.
pub(super) const BLUE: RGBColor = RGBColor(31, 98, 189);
/// The colour of what it is compared with.
pub(super) const ORANGE: RGBColor = RGBColor(214, 106, 10);
/// The colour of the background: axes and reference lines.
pub(super) const GREY: RGBColor = RGBColor(130, 130, 130);

/// A drawn plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it shows, for readers who cannot see it; not escaped.
    pub title: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The content of an `<svg>` element, safe to insert as it is.
    pub shapes: String,
}

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn: {0}")]
pub struct PlotError(String);
