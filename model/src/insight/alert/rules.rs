//! The rules: what each looks at, and when it alerts.

use serde::{Deserialize, Serialize};

use crate::{insight::AbcClass, spec::Target};

/// The whole file.
///
/// ```
/// use tally_model::insight::alert::AlertRules;
///
/// let rules = AlertRules::parse(
///     "[[rule]]\nname = \"big ones\"\nkind = \"grade_fell\"\nabc = [\"A\"]\n[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"\nhours = 48",
/// )?;
/// assert_eq!(rules.rules.len(), 2);
///
/// let error = AlertRules::parse("[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"").unwrap_err();
/// assert_eq!(error.to_string(), "rule \"slow\": hours is missing: allowed are 1 to 8760 hours");
/// # Ok::<(), tally_model::spec::SpecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertRules {
    /// The rules, up to 100 with different names.
    pub rules: Vec<AlertRule>,
    /// Where alerts are sent; None sends none.
    pub webhook: Option<WebhookSpec>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// What alerts call it, 1 to 64 characters.
    pub name: String,
    /// When it alerts.
    pub condition: Condition,
}

/// When a rule alerts. An empty list of ABC classes is all, and no target is both.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The churn grade of a customer fell to D since the last pass.
    GradeFell {
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// The probability that a customer leaves rose since the last pass.
    ProbabilityRose {
        /// By more than this, above 0 and below 1.
        by: f64,
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// P(churn) · CLV of a customer rose above a limit since the last pass.
    ValueAtRisk {
        /// The limit in minor units.
        above_minor: i64,
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// A complaint is open for longer than this.
    ComplaintOpen {
        /// The hours, 1 to 8,760.
        hours: u32,
    },
    /// A lead became grade A since the last pass.
    LeadHot,
    /// The score of a champion has drifted from its training.
    ModelDrifted {
        /// A PSI of this and more, 0.01 to 10.
        psi: f64,
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// A champion ranks worse than its card says.
    ModelWorse {
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// The gate refused to promote a model.
    ModelRefused {
        /// Only models of this target.
        target: Option<Target>,
    },
    /// A champion has not scored a population for longer than this.
    NotScored {
        /// The days, 1 to 3,650.
        days: u32,
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// The last interaction of a kind happened longer ago than this.
    KindSilent {
        /// The kind.
        interaction_kind: String,
        /// The days, 1 to 3,650.
        days: u32,
    },
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// [`Condition::GradeFell`].
    GradeFell,
    /// [`Condition::ProbabilityRose`].
    ProbabilityRose,
    /// [`Condition::ValueAtRisk`].
    ValueAtRisk,
    /// [`Condition::ComplaintOpen`].
    ComplaintOpen,
    /// [`Condition::LeadHot`].
    LeadHot,
    /// [`Condition::ModelDrifted`].
    ModelDrifted,
    /// [`Condition::ModelWorse`].
    ModelWorse,
    /// [`Condition::ModelRefused`].
    ModelRefused,
    /// [`Condition::NotScored`].
    NotScored,
    /// [`Condition::KindSilent`].
    KindSilent,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::GradeFell,
        Self::ProbabilityRose,
        Self::ValueAtRisk,
        Self::ComplaintOpen,
        Self::LeadHot,
        Self::ModelDrifted,
        Self::ModelWorse,
        Self::ModelRefused,
        Self::NotScored,
        Self::KindSilent,
    ];

    /// The names of all kinds, for messages.
    pub(super) const NAMES: &'static str = "grade_fell, probability_rose, value_at_risk, complaint_open, lead_hot, \
         model_drifted, model_worse, model_refused, not_scored and kind_silent";

    /// The name in rules, tables and replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GradeFell => "grade_fell",
            Self::ProbabilityRose => "probability_rose",
            Self::ValueAtRisk => "value_at_risk",
            Self::ComplaintOpen => "complaint_open",
            Self::LeadHot => "lead_hot",
            Self::ModelDrifted => "model_drifted",
            Self::ModelWorse => "model_worse",
            Self::ModelRefused => "model_refused",
            Self::NotScored => "not_scored",
            Self::KindSilent => "kind_silent",
        }
    }

    /// The keys of a rule of this kind.
    pub(super) const fn keys(self) -> &'static str {
        match self {
            Self::GradeFell => "name, kind, abc",
            Self::ProbabilityRose => "name, kind, by, abc",
            Self::ValueAtRisk => "name, kind, above_minor, abc",
            Self::ComplaintOpen => "name, kind, hours",
            Self::LeadHot => "name, kind",
            Self::ModelDrifted => "name, kind, psi, target",
            Self::ModelWorse | Self::ModelRefused => "name, kind, target",
            Self::NotScored => "name, kind, days, target",
            Self::KindSilent => "name, kind, interaction_kind, days",
        }
    }
}

/// The `[webhook]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct WebhookSpec {
    /// Where alerts are sent: an `https://` URL, or an `http://` URL of the machine itself.
    pub url: String,
    /// A file with the secret (`whsec_…`) that signs them; several secrets, one a line, all sign.
    pub secret_file: String,
    /// A PEM file with the certificates that sign the receiver's; None for the public authorities.
    pub ca_file: Option<String>,
    /// How long a delivery may take, 1 to 60 seconds.
    #[serde(default = "ten")]
    pub timeout_seconds: u32,
}

const fn ten() -> u32 {
    10
}

impl AlertRules {
    /// Whether a rule looks at the customers of a pass.
    #[must_use]
    pub fn look_at_passes(&self) -> bool {
        let kinds =
            [AlertKind::GradeFell, AlertKind::ProbabilityRose, AlertKind::ValueAtRisk, AlertKind::LeadHot];
        self.rules.iter().any(|rule| kinds.contains(&rule.condition.kind()))
    }
}

impl Condition {
    /// What the rule is about.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        match self {
            Self::GradeFell { .. } => AlertKind::GradeFell,
            Self::ProbabilityRose { .. } => AlertKind::ProbabilityRose,
            Self::ValueAtRisk { .. } => AlertKind::ValueAtRisk,
            Self::ComplaintOpen { .. } => AlertKind::ComplaintOpen,
            Self::LeadHot => AlertKind::LeadHot,
            Self::ModelDrifted { .. } => AlertKind::ModelDrifted,
            Self::ModelWorse { .. } => AlertKind::ModelWorse,
            Self::ModelRefused { .. } => AlertKind::ModelRefused,
            Self::NotScored { .. } => AlertKind::NotScored,
            Self::KindSilent { .. } => AlertKind::KindSilent,
        }
    }
}
