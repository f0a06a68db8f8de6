//! Functions of one variable in panels, each panel a sum of Chebyshev polynomials.

const PANEL_WIDTH: f64 = 1.0;

/// The panel that contains `y`, and the place in it, from −1 to 1.
pub(in crate::insight) fn panel_of(y: f64) -> (i32, f64) {
    let panel = (y / PANEL_WIDTH).floor();
    (panel as i32, 2.0 * (y / PANEL_WIDTH - panel) - 1.0)
}

/// The number at a place of a panel.
pub(in crate::insight) fn at_place(panel: i32, place: f64) -> f64 {
    (f64::from(panel) + (place + 1.0) / 2.0) * PANEL_WIDTH
}

/// A function on [−1, 1] by the coefficients of its Chebyshev polynomials.
#[derive(Debug)]
pub(in crate::insight) struct Chebyshev<const NODES: usize>([f64; NODES]);

impl<const NODES: usize> Chebyshev<NODES> {
    pub(in crate::insight) fn of(function: impl Fn(f64) -> f64) -> Self {
        Self::of_nodes(std::array::from_fn(|node| function(Self::node(node))))
    }

    /// By its values at the nodes.
    pub(in crate::insight) fn of_nodes(values: [f64; NODES]) -> Self {
        let coefficient = |degree: usize| {
            let sum: f64 = values
                .iter()
                .enumerate()
                .map(|(node, value)| value * (degree as f64 * Self::angle(node)).cos())
                .sum();
            sum * if degree == 0 { 1.0 } else { 2.0 } / NODES as f64
        };
        Self(std::array::from_fn(coefficient))
    }

    pub(in crate::insight) fn node(node: usize) -> f64 {
        Self::angle(node).cos()
    }

    fn angle(node: usize) -> f64 {
        std::f64::consts::PI * (node as f64 + 0.5) / NODES as f64
    }

    /// By Clenshaw's recurrence.
    pub(in crate::insight) fn at(&self, place: f64) -> f64 {
        let (mut next, mut after) = (0.0, 0.0);
        for coefficient in self.0[1..].iter().rev() {
            (next, after) = (2.0 * place * next - after + coefficient, next);
        }
        place * next - after + self.0[0]
    }
}
