//! What each feature adds to the log-odds, for the most important features.

use std::collections::HashMap;

use tally_model::{
    artifact::Artifact,
    evaluation::drift::{Bin, Counts, Share},
    features::explain::FeatureValue,
    scoring::{Effect, Scorer},
};

use super::effect::EffectView;
use crate::report::plots::{Axis, PlotError, short_number};

/// The number of features shown, the most important ones.
const SHOWN: usize = 12;

/// The effects of the most important features.
pub(super) struct EffectsView {
    /// The most important first.
    pub shown: Vec<EffectView>,
    /// The number of features of the model.
    pub features: usize,
}

impl EffectsView {
    pub fn new(scorer: &Scorer) -> Result<Self, PlotError> {
        let shares = training_shares(scorer.artifact());
        let shares_of = |effect: &Effect| shares.get(&effect.feature).map_or(&[][..], Vec::as_slice);
        let mut effects: Vec<(f64, Effect)> = scorer
            .effects()
            .into_iter()
            .map(|effect| (importance(&effect, shares_of(&effect)), effect))
            .collect();
        effects.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let features = effects.len();
        effects.truncate(SHOWN);
        let log_odds = log_odds_axis(&effects);
        let drawn = effects.into_iter().filter(|(_, effect)| !effect.curve.is_empty());
        let shown = drawn.map(|(importance, effect)| EffectView::new(effect, importance, &log_odds));
        Ok(Self { shown: shown.collect::<Result<_, _>>()?, features })
    }
}

/// The bins of each feature and the share of the customers at the training in them. They are kept to watch drift.
fn training_shares(artifact: &Artifact) -> HashMap<String, Vec<Share>> {
    let no_population = Counts::new(&artifact.reference);
    let report = artifact.drift(&no_population);
    report.features.into_iter().map(|(name, shift)| (name, shift.bins)).collect()
}

/// One axis for all effects, so that they can be compared.
fn log_odds_axis(effects: &[(f64, Effect)]) -> Axis {
    let log_odds = effects.iter().flat_map(|(_, effect)| effect.curve.iter().map(|(_, z)| *z));
    let (low, high) = log_odds.fold((0.0, 0.0), |(low, high): (f64, f64), z| (low.min(z), high.max(z)));
    let margin = 0.05 * (high - low);
    Axis::numbers(low - margin, high + margin, 4, short_number)
}

/// The standard deviation of what a feature adds over the customers at the training. A bin counts as the mean of the
/// points of the curve in it.
fn importance(effect: &Effect, shares: &[Share]) -> f64 {
    let added: Vec<(f64, f64)> = shares
        .iter()
        .filter_map(|share| {
            let inside = || effect.curve.iter().filter(|(value, _)| holds(&share.bin, value));
            let n = inside().count();
            (n > 0).then(|| (share.training, inside().map(|(_, z)| z).sum::<f64>() / n as f64))
        })
        .collect();
    if added.is_empty() {
        return 0.0;
    }
    let mean = |of: &dyn Fn(f64) -> f64| {
        added.iter().map(|(share, z)| share * of(*z)).sum::<f64>()
            / added.iter().map(|(share, _)| share).sum::<f64>()
    };
    let centre = mean(&|z| z);
    mean(&|z| (z - centre).powi(2)).sqrt()
}

fn holds(bin: &Bin, value: &FeatureValue) -> bool {
    match (bin, value) {
        (Bin::Missing, FeatureValue::Missing) => true,
        (Bin::Range(above, to), FeatureValue::Number(x)) => {
            above.is_none_or(|above| *x > above) && to.is_none_or(|to| *x <= to)
        }
        (Bin::Level(level), value) => level == value,
        _ => false,
    }
}
