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
