//! What came of an action.

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The customer was not reached.
    NotReached,
    /// The customer did not want it.
    Declined,
    /// Anything else.
    Other,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Done, Self::NotReached, Self::Declined, Self::Other];

    /// The outcome of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::NotReached => "NOT_REACHED",
            Self::Declined => "DECLINED",
            Self::Other => "OTHER",
        }
    }
}
