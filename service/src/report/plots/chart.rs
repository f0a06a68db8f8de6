//! Charts over two axes of numbers.

use plotters::{
    prelude::{Circle, Color, DashedLineSeries, LineSeries, RGBColor, Rectangle},
    style::ShapeStyle,
};

use super::{
    Axis, Plot, PlotError,
    draw::{Frame, Plane, plot_error},
};

/// What a chart shows.
pub(crate) enum Mark {
    /// Points joined by a line.
    Line(RGBColor, Vec<(f64, f64)>),
    /// Points joined by a line, with a dot at each point.
    Dots(RGBColor, Vec<(f64, f64)>),
    /// Points joined by a dashed line.
    Dashed(RGBColor, Vec<(f64, f64)>),
    /// Bars that start at 0: from x, to x, height.
    Bars(RGBColor, Vec<(f64, f64, f64)>),
}

/// A chart to be drawn.
pub(crate) struct Chart<'a> {
    /// What it shows, for readers who cannot see it.
    pub title: &'a str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The horizontal axis and its description.
    pub x: (Axis, &'a str),
    /// The vertical axis and its description.
    pub y: (Axis, &'a str),
    /// Drawn one above the other, the first at the bottom.
    pub marks: Vec<Mark>,
}

impl Chart<'_> {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`PlotError`] when the library fails.
    pub fn draw(self) -> Result<Plot, PlotError> {
        let Self { title, size, x, y, marks } = self;
        Frame { title, size, x, y, y_labels_width: 54 }
            .plot(|plane| marks.into_iter().try_for_each(|mark| mark.draw(plane)))
    }
}

impl Mark {
    fn draw(self, plane: &mut Plane<'_, '_>) -> Result<(), PlotError> {
        match self {
            Self::Line(colour, points) => line(plane, points, colour.stroke_width(2)),
            Self::Dots(colour, points) => {
                let dot = |point: &(f64, f64)| Circle::new(*point, 3, colour.filled());
                let dots: Vec<_> = points.iter().map(dot).collect();
                line(plane, points, colour.stroke_width(2))?;
                plane.draw_series(dots).map(|_| ()).map_err(plot_error)
            }
            Self::Dashed(colour, points) => {
                let dashes = DashedLineSeries::new(points, 5, 4, colour.stroke_width(1));
                plane.draw_series(dashes).map(|_| ()).map_err(plot_error)
            }
            Self::Bars(colour, bars) => {
                let bar = |(from, to, height)| {
                    Rectangle::new([(from, 0.0), (to, height)], colour.mix(0.5).filled())
                };
                plane.draw_series(bars.into_iter().map(bar)).map(|_| ()).map_err(plot_error)
            }
        }
    }
}

fn line(plane: &mut Plane<'_, '_>, points: Vec<(f64, f64)>, style: ShapeStyle) -> Result<(), PlotError> {
    plane.draw_series(LineSeries::new(points, style)).map(|_| ()).map_err(plot_error)
}
