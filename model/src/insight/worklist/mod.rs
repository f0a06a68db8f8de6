//! The worklist: whom to turn to, why, with which action, and whether that has helped.
//!
//! Pure rules. What belongs to one customer follows from its facts and scores; the store keeps it with them.

mod care;
mod cause;
mod effect;
mod holdout;
mod kinds;
mod nobody;
mod outcome;
mod playbook;
mod spec;

pub use care::next_care_time;
pub use cause::{Cause, CauseSums, FeatureCauses};
pub use effect::{Arm, Effect, effect, more_needed};
pub use holdout::is_held_out;
pub use kinds::{Likelihood, WorkKind, WorkKinds, value_at_risk};
pub use outcome::Outcome;
pub(super) use playbook::validate as validate_playbook;
pub use playbook::{PlaybookEntry, default_playbook, play};
pub use spec::{OutcomeDays, WorklistSpec};
