//! The settings of the RFM segments.

use serde::{Deserialize, Serialize};

use super::spec::{NONE, OTHER, check, is_name};
use crate::spec::SpecError;

/// The `[rfm]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct RfmSpec {
    /// The segments; a customer is in the first whose ranges hold its scores, up to 50.
    pub segment: Vec<RfmSegment>,
}

/// An RFM segment: a name, and for each score the least and the greatest value, both from 1 to 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RfmSegment {
    /// Its name.
    pub name: String,
    /// Recency.
    #[serde(default = "any")]
    pub r: [u8; 2],
    /// Frequency.
    #[serde(default = "any")]
    pub f: [u8; 2],
    /// Money.
    #[serde(default = "any")]
    pub m: [u8; 2],
}

const fn any() -> [u8; 2] {
    [1, 5]
}

impl RfmSegment {
    fn new(name: &str, r: [u8; 2], f: [u8; 2], m: [u8; 2]) -> Self {
        Self { name: name.to_owned(), r, f, m }
    }

    /// Whether a customer with these scores is in it, unless one before it holds them.
    #[must_use]
    pub fn holds(&self, [r, f, m]: [u8; 3]) -> bool {
        let within = |[least, most]: [u8; 2], score: u8| (least..=most).contains(&score);
        within(self.r, r) && within(self.f, f) && within(self.m, m)
    }
}

impl Default for RfmSpec {
    fn default() -> Self {
        let segment = vec![
            RfmSegment::new("champions", [4, 5], [4, 5], [4, 5]),
            RfmSegment::new("loyal", [3, 5], [4, 5], any()),
            RfmSegment::new("new", [4, 5], [1, 1], any()),
            RfmSegment::new("promising", [3, 5], [1, 3], any()),
            RfmSegment::new("cannot_lose", [1, 2], [4, 5], [4, 5]),
            RfmSegment::new("at_risk", [1, 2], [3, 5], any()),
            RfmSegment::new("lost", [1, 1], any(), any()),
        ];
        Self { segment }
    }
}

impl RfmSpec {
    pub(super) fn validate(&self) -> Result<(), SpecError> {
        check(self.segment.len() <= 50, "rfm.segment", self.segment.len(), "up to 50 segments")?;
        for (n, segment) in self.segment.iter().enumerate() {
            let before = self.segment.get(..n).unwrap_or_default();
            let place = |error: SpecError| error.within(format!("rfm.segment {}", n + 1));
            segment.validate(before).map_err(place)?;
        }
        Ok(())
    }
}

impl RfmSegment {
    fn validate(&self, before: &[Self]) -> Result<(), SpecError> {
        let fine = is_name(&self.name) && ![NONE, OTHER].contains(&self.name.as_str());
        let allowed = "names of 1 to 64 characters other than none and other, none of them a control character, no blank at an end";
        check(fine, "name", format!("{:?}", self.name), allowed)?;
        let is_new = before.iter().all(|segment| segment.name != self.name);
        check(is_new, "name", format!("{:?}", self.name), "names that no segment before it has")?;
        for (key, [least, most]) in [("r", self.r), ("f", self.f), ("m", self.m)] {
            let fine = 1 <= least && least <= most && most <= 5;
            check(fine, key, format!("[{least}, {most}]"), "[least, greatest] from 1 to 5")?;
        }
        let mut scores = (0..125).map(|n| [1 + n / 25, 1 + n / 5 % 5, 1 + n % 5]);
        let holds_some =
            scores.any(|scores| self.holds(scores) && !before.iter().any(|segment| segment.holds(scores)));
        let shown = format!("{:?}, f = {:?}, m = {:?}", self.r, self.f, self.m);
        check(holds_some, "r", shown, "ranges with scores that no segment before it holds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_that_holds_the_scores_counts() {
        let spec = RfmSpec::default();
        let segment = |scores: [u8; 3]| {
            spec.segment.iter().find(|segment| segment.holds(scores)).map_or(OTHER, |found| &found.name)
        };
        let cases = [
            ([5, 5, 5], "champions"),
            ([3, 4, 4], "loyal"),
            ([4, 1, 5], "new"),
            ([3, 1, 1], "promising"),
            ([2, 4, 4], "cannot_lose"),
            ([2, 3, 5], "at_risk"),
            ([1, 2, 1], "lost"),
            ([2, 2, 5], "other"),
        ];
        for (scores, name) in cases {
            assert_eq!(segment(scores), name, "{scores:?}");
        }
    }
}
