//! Plots as SVG that stands in an HTML page: no script, no font and no address outside it.

use plotters::{
    coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    prelude::{
        ChartBuilder, Circle, Color, DashedLineSeries, IntoDrawingArea, IntoFont, LineSeries, RGBColor,
        Rectangle, SVGBackend, TRANSPARENT,
    },
};

/// The first thing to look at …
pub const BLUE: RGBColor = RGBColor(31, 98, 189);
/// … what it is set against …
pub const ORANGE: RGBColor = RGBColor(214, 106, 10);
/// … and what stands in the background.
pub const GREY: RGBColor = RGBColor(130, 130, 130);
const GRID: RGBColor = RGBColor(228, 228, 228);
/// Pixels that a character of a tick takes, about.
const CHARACTER: u32 = 7;

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn: {0}")]
pub struct PlotError(String);

/// An axis and its ticks.
#[derive(Clone, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    /// Whether distances are those of ln(1 + x).
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Numbers from `low` to `high`, at about `count` ticks.
    #[must_use]
    pub fn numbers(low: f64, high: f64, count: usize, name: impl Fn(f64) -> String) -> Self {
        // An axis of no length would divide by 0.
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        let rough = (high - low) / count as f64;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (low / step - 1e-9).ceil();
        let ticks = (0..=2 * count).map(|n| (first + n as f64) * step).filter(|x| *x <= high + 1e-9 * step);
        Self { low, high, log: false, ticks: ticks.map(|x| (x, name(x))).collect() }
    }

    /// Probabilities and shares up to `high`.
    #[must_use]
    pub fn shares(high: f64) -> Self {
        let digits = if high > 0.1 { 0 } else { 1 };
        Self::numbers(0.0, high, 5, |x| format!("{:.digits$} %", 100.0 * x))
    }

    /// Numbers from `low` ≥ 0 to `high` that crowd at the lower end.
    #[must_use]
    pub fn skewed(low: f64, high: f64) -> Self {
        let decades = high.max(10.0).log10().ceil() as i32;
        let step = (decades + 3) / 4;
        let powers = (0..=decades).filter(|power| power % step == 0).map(|power| 10.0_f64.powi(power));
        let between =
            |power: f64| if step == 1 && decades < 4 { vec![power, 3.0 * power] } else { vec![power] };
        let ticks = std::iter::once(0.0).chain(powers.flat_map(between));
        let ticks = ticks.filter(|x| (low..=high).contains(x)).map(|x| (x, number(x)));
        Self { low, high, log: true, ticks: ticks.collect() }
    }

    /// Categories, from the top down: number n stands at -n. Names take at most so many pixels.
    fn names(names: impl ExactSizeIterator<Item = String>, pixels: u32) -> Self {
        let high = names.len() as f64 - 0.5;
        let ticks = names.enumerate().map(|(n, name)| (-(n as f64), short(&name, pixels / CHARACTER)));
        Self { low: -high, high: 0.5, log: false, ticks: ticks.collect() }
    }

    fn scaled(&self, x: f64) -> f64 {
        if self.log { x.ln_1p() } else { x }
    }
}

/// A number as a tick has it.
#[must_use]
pub fn number(x: f64) -> String {
    let (x, unit) = match x.abs() {
        size if size >= 1e9 => (x / 1e9, "G"),
        size if size >= 1e6 => (x / 1e6, "M"),
        size if size >= 1e4 => (x / 1e3, "k"),
        _ => (x, ""),
    };
    // Without the noise of the last bits; "-0" is 0.
    format!("{}{unit}", (x * 1e4).round() / 1e4 + 0.0)
}

fn short(name: &str, most: u32) -> String {
    let most = most as usize;
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
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

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(x, _)| x == value);
        tick.map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

/// What a chart shows.
pub enum Mark {
    /// Points joined by a line.
    Line(RGBColor, Vec<(f64, f64)>),
    /// The same, with a dot at each of the points.
    Dots(RGBColor, Vec<(f64, f64)>),
    /// Points joined by a dashed line.
    Dashed(RGBColor, Vec<(f64, f64)>),
    /// Bars from 0, each from x to x and so high.
    Bars(RGBColor, Vec<(f64, f64, f64)>),
}

/// A plot.
pub struct Chart<'a> {
    /// What it is, for those who cannot see it.
    pub title: &'a str,
    /// Width and height.
    pub size: (u32, u32),
    /// The horizontal axis, and what it shows.
    pub x: (Axis, &'a str),
    /// The vertical axis, and what it shows.
    pub y: (Axis, &'a str),
    /// What it shows.
    pub marks: Vec<Mark>,
}

impl Chart<'_> {
    /// As an `<svg>` element.
    ///
    /// # Errors
    /// [`PlotError`] when the library gives up.
    pub fn draw(self) -> Result<String, PlotError> {
        svg(self.title, self.size, |area| {
            let mut builder = ChartBuilder::on(area);
            let builder = builder.margin(8).margin_right(14).x_label_area_size(36).y_label_area_size(54);
            let (x, y) = (self.x.0, self.y.0);
            let mut chart = builder.build_cartesian_2d(x, y).map_err(problem)?;
            mesh(&mut chart, self.x.1, self.y.1)?;
            for mark in self.marks {
                match mark {
                    Mark::Line(colour, points) => {
                        chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map(|_| ())
                    }
                    Mark::Dots(colour, points) => {
                        let dots: Vec<_> =
                            points.iter().map(|point| Circle::new(*point, 3, colour.filled())).collect();
                        chart
                            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                            .map_err(problem)?;
                        chart.draw_series(dots).map(|_| ())
                    }
                    Mark::Dashed(colour, points) => chart
                        .draw_series(DashedLineSeries::new(points, 5, 4, colour.stroke_width(1)))
                        .map(|_| ()),
                    Mark::Bars(colour, bars) => {
                        let bar = |(from, to, height)| {
                            Rectangle::new([(from, 0.0), (to, height)], colour.mix(0.5).filled())
                        };
                        chart.draw_series(bars.into_iter().map(bar)).map(|_| ())
                    }
                }
                .map_err(problem)?;
            }
            Ok(())
        })
    }
}

/// Horizontal bars from 0, one a category, as an `<svg>` element.
///
/// # Errors
/// [`PlotError`] when the library gives up.
pub fn bars(title: &str, width: u32, x: (Axis, &str), bars: &[(String, f64)]) -> Result<String, PlotError> {
    let height = 60 + 22 * bars.len() as u32;
    let names_width = width / 3;
    svg(title, (width, height), |area| {
        let mut builder = ChartBuilder::on(area);
        let builder = builder.margin(8).margin_right(14).x_label_area_size(36).y_label_area_size(names_width);
        let names = Axis::names(bars.iter().map(|(name, _)| name.clone()), names_width - 8);
        let mut chart = builder.build_cartesian_2d(x.0, names).map_err(problem)?;
        mesh(&mut chart, x.1, "")?;
        let bar = |(n, (_, length)): (usize, &(String, f64))| {
            let middle = -(n as f64);
            Rectangle::new([(0.0, middle - 0.35), (*length, middle + 0.35)], BLUE.mix(0.8).filled())
        };
        chart.draw_series(bars.iter().enumerate().map(bar)).map_err(problem)?;
        Ok(())
    })
}

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Plane<'a, 'b> =
    plotters::chart::ChartContext<'a, SVGBackend<'b>, plotters::prelude::Cartesian2d<Axis, Axis>>;

fn mesh(chart: &mut Plane<'_, '_>, x: &str, y: &str) -> Result<(), PlotError> {
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GREY)
        .label_style(("sans-serif", 13).into_font())
        .axis_desc_style(("sans-serif", 13).into_font())
        .x_desc(x)
        .y_desc(y)
        .draw()
        .map_err(problem)
}

/// An `<svg>` element that says what it is. Text in it is escaped by the library.
fn svg(
    title: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
        draw(&area)?;
        area.present().map_err(problem)?;
    }
    // A page has no need of the namespace, a reader of the title.
    let label = format!(r#" role="img" aria-label="{}""#, super::html::Escaped(title));
    Ok(drawn.replacen(r#" xmlns="http://www.w3.org/2000/svg""#, &label, 1))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn problem(error: impl ToString) -> PlotError {
    PlotError(error.to_string())
}
