//! The name of a model version.

use std::fmt;

use tally_model::spec::Target;

/// A version of a target's model, written `churn/7`.
///
/// ```
/// use tally_model::spec::Target;
/// use tally_service::catalog::ModelName;
///
/// let name = ModelName { target: Target::Churn, version: 7 };
/// assert_eq!(ModelName::parse("churn/7"), Some(name));
/// assert_eq!(name.to_string(), "churn/7");
/// assert_eq!(ModelName::parse("churn"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// What the model predicts.
    pub target: Target,
    /// 1, 2, 3, … within the target.
    pub version: i64,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.target.name(), self.version)
    }
}

impl ModelName {
    /// Reads a name such as `churn/7`; returns None when `text` is not of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (target, version) = text.split_once('/')?;
        let target = Target::ALL.into_iter().find(|known| known.name() == target)?;
        let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|version| digits && *version > 0)?;
        Some(Self { target, version })
    }
}
