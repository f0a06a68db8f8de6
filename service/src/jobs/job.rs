//! The jobs there are.

use tally_model::spec::Target;

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Trains a model, as `tally-train` does.
    Train(Target),
    /// Makes a pass of insight, as RefreshInsights does.
    Insights,
}

impl Job {
    /// All jobs, in the order in which a server runs those that are due: a pass is best made with new models.
    pub const ALL: [Self; 3] = [Self::Train(Target::Lead), Self::Train(Target::Churn), Self::Insights];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train(Target::Lead) => "train-lead",
            Self::Train(Target::Churn) => "train-churn",
            Self::Insights => "insights",
        }
    }

    /// Whether it trains a model.
    #[must_use]
    pub const fn is_training(self) -> bool {
        matches!(self, Self::Train(_))
    }
}
