//! What all plots share: the drawing area, the mesh with the axes, and the errors of the library.

use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::Shift,
    drawing::DrawingArea,
    prelude::{Cartesian2d, IntoDrawingArea, IntoFont, RGBColor, SVGBackend, TRANSPARENT},
};

use super::{Axis, GREY, Plot, PlotError};

const GRID: RGBColor = RGBColor(228, 228, 228);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The frame of a plot: everything but its marks.
pub(super) struct Frame<'a> {
    pub title: &'a str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The horizontal axis and its description.
    pub x: (Axis, &'a str),
    /// The vertical axis and its description.
    pub y: (Axis, &'a str),
    /// Pixels for the labels of the vertical axis.
    pub y_labels_width: u32,
}

impl Frame<'_> {
    /// Draws the frame, and the marks by `marks`.
    pub fn plot(
        self,
        marks: impl FnOnce(&mut Plane<'_, '_>) -> Result<(), PlotError>,
    ) -> Result<Plot, PlotError> {
        let (width, height) = self.size;
        let title = self.title.to_owned();
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, self.size).into_drawing_area();
            marks(&mut self.plane(&area)?)?;
            area.present().map_err(plot_error)?;
        }
        Ok(Plot { title, width, height, shapes: content(&svg)?.to_owned() })
    }

    fn plane<'a, 'b>(self, area: &'a Area<'b>) -> Result<Plane<'a, 'b>, PlotError> {
        let mut plane = ChartBuilder::on(area)
            .margin(8)
            .margin_right(14)
            .x_label_area_size(36)
            .y_label_area_size(self.y_labels_width)
            .build_cartesian_2d(self.x.0, self.y.0)
            .map_err(plot_error)?;
        plane
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GREY)
            .label_style(("sans-serif", 13).into_font())
            .axis_desc_style(("sans-serif", 13).into_font())
            .x_desc(self.x.1)
            .y_desc(self.y.1)
            .draw()
            .map_err(plot_error)?;
        Ok(plane)
    }
}

/// What is between the tags of the `<svg>` element that the library writes.
fn content(svg: &str) -> Result<&str, PlotError> {
    let inside = svg.trim_end().strip_suffix("</svg>").and_then(|rest| rest.split_once('>'));
    inside.map(|(_, shapes)| shapes).ok_or_else(|| PlotError("not an <svg> element".to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
pub(super) fn plot_error(error: impl ToString) -> PlotError {
    PlotError(error.to_string())
}
