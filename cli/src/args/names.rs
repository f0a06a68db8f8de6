//! Enums of the contract on the command line.

use clap::ValueEnum;
use tally_proto::v1::{Grade, OnConflict, Period, Target};

/// A target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetArg {
    /// Leads that buy
    Lead,
    /// Customers that leave
    Churn,
}

/// A grade on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GradeArg {
    /// Best for the business
    #[value(name = "A")]
    A,
    /// Second quarter
    #[value(name = "B")]
    B,
    /// Third quarter
    #[value(name = "C")]
    C,
    /// Worst for the business
    #[value(name = "D")]
    D,
}

/// A sort order on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// The greatest probability first
    Probability,
    /// The latest score first
    ScoreTime,
    /// The greatest net revenue of the window in the latest pass of insights first
    Net,
}

/// What members of a segment are listed by, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum MemberOrderArg {
    /// The greatest net revenue of the window first
    Net,
    /// The greatest lifetime value first
    Clv,
}

/// A stage of the life cycle on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum LifeCycleArg {
    /// Never bought
    Lead,
    /// No purchase for several times as long as expected, or cancelled
    Lost,
    /// Overdue, but not lost
    Declining,
    /// Bought again after a loss
    WonBack,
    /// Bought on one day
    New,
    /// Bought on a few days
    Growing,
    /// Bought on many days
    Mature,
}

/// An ABC class on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AbcArg {
    /// Brings most of the revenue
    #[value(name = "A")]
    A,
    /// Brings a smaller part
    #[value(name = "B")]
    B,
    /// Brings the rest
    #[value(name = "C")]
    C,
    /// Bought nothing in the window
    None,
}

/// A period of the calendar on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PeriodArg {
    /// Days
    Day,
    /// Weeks from Monday
    Week,
    /// Months
    Month,
    /// Quarters
    Quarter,
    /// Years
    Year,
    /// One period from beginning to end
    All,
}

/// What to do with an interaction whose ids are stored with different content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnConflictArg {
    /// Stop the import
    Fail,
    /// Keep what is stored
    Skip,
    /// Retract what is stored, and store this
    Correct,
}

impl TargetArg {
    /// The number of the target in the contract.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Lead => Target::Lead.into(),
            Self::Churn => Target::Churn.into(),
        }
    }
}

impl GradeArg {
    /// The number of the grade in the contract.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::A => Grade::A.into(),
            Self::B => Grade::B.into(),
            Self::C => Grade::C.into(),
            Self::D => Grade::D.into(),
        }
    }
}

impl OnConflictArg {
    /// The value of the contract.
    pub(crate) const fn value(self) -> OnConflict {
        match self {
            Self::Fail => OnConflict::Fail,
            Self::Skip => OnConflict::Skip,
            Self::Correct => OnConflict::Correct,
        }
    }
}

impl OrderArg {
    /// The `order_by` of ListPredictions.
    pub(crate) const fn order_by(self) -> &'static str {
        match self {
            Self::Probability => "probability desc",
            Self::ScoreTime => "score_time desc",
            Self::Net => "net_revenue desc",
        }
    }
}

impl MemberOrderArg {
    /// The `order_by` of ListSegmentMembers.
    pub(crate) const fn order_by(self) -> &'static str {
        match self {
            Self::Net => "net desc",
            Self::Clv => "clv desc",
        }
    }
}

impl LifeCycleArg {
    /// The name in the contract.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Lost => "lost",
            Self::Declining => "declining",
            Self::WonBack => "won_back",
            Self::New => "new",
            Self::Growing => "growing",
            Self::Mature => "mature",
        }
    }
}

impl AbcArg {
    /// The name in the contract.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::None => "none",
        }
    }
}

impl PeriodArg {
    /// The number of the period in the contract.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Day => Period::Day.into(),
            Self::Week => Period::Week.into(),
            Self::Month => Period::Month.into(),
            Self::Quarter => Period::Quarter.into(),
            Self::Year => Period::Year.into(),
            Self::All => Period::All.into(),
        }
    }
}
