//! The settings of the value model.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{insight::spec::check, spec::SpecError};

/// Discounting is by the week.
pub(super) const WEEK: f64 = 7.0;

/// The `[value]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ValueSpec {
    /// The days to come whose purchases count, 1 to 3,650.
    pub horizon_days: u32,
    /// The rate a year by which money to come is worth less, 0 to 10.
    pub discount_rate: f64,
    /// The share of revenue that is profit.
    pub margin_rate: MarginRate,
}

/// The share of revenue that is profit: taken from the buyers, or given, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MarginRate {
    /// (revenue − returns − cost) / revenue of all buyers in the window, at least 0; 1 without revenue.
    #[default]
    Auto,
    /// This share.
    Rate(f64),
}

impl Default for ValueSpec {
    fn default() -> Self {
        Self { horizon_days: 365, discount_rate: 0.10, margin_rate: MarginRate::Auto }
    }
}

impl ValueSpec {
    pub(in crate::insight) fn validate(&self) -> Result<(), SpecError> {
        let days = "1 to 3650 days";
        check((1..=3_650).contains(&self.horizon_days), "value.horizon_days", self.horizon_days, days)?;
        let rate = self.discount_rate;
        check((0.0..=10.0).contains(&rate), "value.discount_rate", rate, "0 to 10 a year")?;
        if let MarginRate::Rate(rate) = self.margin_rate {
            check((0.0..=1.0).contains(&rate), "value.margin_rate", rate, "\"auto\" and 0 to 1")?;
        }
        Ok(())
    }

    /// The factor by which a purchase `elapsed_days` from now (above 0, up to the horizon) is worth less than one now:
    /// that of the end of its week. The last week ends with the horizon.
    #[must_use]
    pub fn discount(&self, elapsed_days: f64) -> f64 {
        let horizon = f64::from(self.horizon_days);
        let end = ((elapsed_days / WEEK).ceil().max(1.0) * WEEK).min(horizon);
        (-end / 365.0 * self.discount_rate.ln_1p()).exp()
    }

    /// The ends of the weeks of the horizon, in days.
    pub(super) fn week_ends(&self) -> impl Iterator<Item = f64> {
        let horizon = f64::from(self.horizon_days);
        (1..=self.horizon_days.div_ceil(7)).map(move |week| (f64::from(week) * WEEK).min(horizon))
    }
}

impl Serialize for MarginRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Rate(rate) => serializer.serialize_f64(*rate),
        }
    }
}

/// From `"auto"`, or a number with or without a decimal point.
impl<'de> Deserialize<'de> for MarginRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = MarginRate;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"auto\" or a share")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MarginRate, E> {
                if text == "auto" {
                    return Ok(MarginRate::Auto);
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_f64<E>(self, rate: f64) -> Result<MarginRate, E> {
                Ok(MarginRate::Rate(rate))
            }

            fn visit_i64<E>(self, rate: i64) -> Result<MarginRate, E> {
                Ok(MarginRate::Rate(rate as f64))
            }

            fn visit_u64<E>(self, rate: u64) -> Result<MarginRate, E> {
                Ok(MarginRate::Rate(rate as f64))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_is_discounted_from_the_end_of_its_week() {
        let spec = ValueSpec { horizon_days: 17, discount_rate: 0.5, ..ValueSpec::default() };
        assert_eq!(spec.week_ends().collect::<Vec<_>>(), [7.0, 14.0, 17.0]);
        for (elapsed, end) in [(0.001, 7.0), (7.0, 7.0), (7.001, 14.0), (14.5, 17.0), (17.0, 17.0)] {
            let wanted = 1.5_f64.powf(-end / 365.0);
            assert!((spec.discount(elapsed) - wanted).abs() < 1e-15, "{elapsed}");
        }
        let free = ValueSpec { discount_rate: 0.0, ..ValueSpec::default() };
        assert_eq!(free.discount(200.0), 1.0);
    }
}
