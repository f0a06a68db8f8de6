//! Number formats that several templates use.

use askama::Values;
use tally_model::evaluation::drift;

/// A difference of log-odds or of log losses: `+0.1250`.
#[askama::filter_fn]
pub fn signed(x: &f64, _: &dyn Values) -> askama::Result<String> {
    // Adding 0 turns a negative zero into a positive one.
    Ok(format!("{:+.4}", (x * 1e4).round() / 1e4 + 0.0))
}

/// A count as a share of `all`: `12.5 %`.
#[askama::filter_fn]
pub fn share_of(count: &usize, _: &dyn Values, all: &usize) -> askama::Result<String> {
    Ok(format!("{:.1} %", 100.0 * (*count as f64 / *all as f64)))
}

/// What a population stability index says.
#[askama::filter_fn]
pub fn drift_level(level: &drift::DriftLevel, _: &dyn Values) -> askama::Result<&'static str> {
    Ok(match level {
        drift::DriftLevel::Stable => "stable",
        drift::DriftLevel::TooFew => "too few to tell",
        drift::DriftLevel::Moderate => "moderate",
        drift::DriftLevel::Large => "large",
    })
}
