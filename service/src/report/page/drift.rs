//! How far the training is from that of the former champion.

use tally_model::evaluation::drift::Shift;

use crate::{
    catalog::ModelName,
    lifecycle::training::ChampionDrift,
    report::plots::{Axis, BarChart, Plot, PlotError, short_number},
};

/// The number of features listed, those that moved most.
const FEATURES: usize = 15;
const WIDTH: u32 = 640;

/// The drift of the champion's score and features.
pub(super) struct DriftView<'a> {
    pub champion: ModelName,
    /// Customers at this training that were compared.
    pub compared: u64,
    /// Customers at the training of the champion.
    pub reference: u64,
    pub plot: Plot,
    /// The score, then the features that moved most.
    pub shifts: Vec<(&'a str, &'a Shift)>,
}

impl<'a> DriftView<'a> {
    pub fn new(drift: &'a ChampionDrift) -> Result<Self, PlotError> {
        let features = drift.report.features.iter().map(|(name, shift)| (name.as_str(), shift));
        let score = std::iter::once(("score", &drift.report.score));
        let shifts: Vec<(&str, &Shift)> = score.chain(features.take(FEATURES)).collect();
        Ok(Self {
            champion: drift.champion,
            compared: drift.compared,
            reference: drift.reference,
            plot: plot(&shifts)?,
            shifts,
        })
    }
}

fn plot(shifts: &[(&str, &Shift)]) -> Result<Plot, PlotError> {
    let bars: Vec<(String, f64)> =
        shifts.iter().map(|(name, shift)| ((*name).to_owned(), shift.psi)).collect();
    let high = bars.iter().map(|(_, psi)| *psi).fold(0.3, f64::max);
    let x = (Axis::numbers(0.0, high, 6, short_number), "PSI");
    BarChart { title: "Drift against the champion", width: WIDTH, x, bars }.draw()
}
