//! Alerts: the rules that say what somebody wants to be told, and the decision from what was known before and what is
//! known now. `docs/alerts.md` describes every rule.

mod decision;
mod file;
mod money;
mod rules;
mod text;

pub use decision::{CustomerChange, CustomerState, Finding};
pub use money::MoneyFormat;
pub use rules::{AlertKind, AlertRule, AlertRules, Condition, WebhookSpec};
