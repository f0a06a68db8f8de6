//! Horizontal bars, one for each category.

use plotters::prelude::{Color, Rectangle};

use super::{
    Axis, BLUE, Plot, PlotError,
    draw::{Frame, plot_error},
};

/// A bar chart to be drawn.
pub(crate) struct BarChart<'a> {
    /// What it shows, for readers who cannot see it.
    pub title: &'a str,
    /// In pixels; the height follows from the number of bars.
    pub width: u32,
    /// The horizontal axis and its description.
    pub x: (Axis, &'a str),
    /// Categories from the top down, each with the length of its bar from 0.
    pub bars: Vec<(String, f64)>,
}

impl BarChart<'_> {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`PlotError`] when the library fails.
    pub fn draw(self) -> Result<Plot, PlotError> {
        let Self { title, width, x, bars } = self;
        let y_labels_width = width / 3;
        let names = Axis::names(bars.iter().map(|(name, _)| name.clone()), y_labels_width - 8);
        let size = (width, 60 + 22 * bars.len() as u32);
        Frame { title, size, x, y: (names, ""), y_labels_width }.plot(|plane| {
            let bar = |(n, (_, length)): (usize, &(String, f64))| {
                let middle = -(n as f64);
                Rectangle::new([(0.0, middle - 0.35), (*length, middle + 0.35)], BLUE.mix(0.8).filled())
            };
            plane.draw_series(bars.iter().enumerate().map(bar)).map(|_| ()).map_err(plot_error)
        })
    }
}
