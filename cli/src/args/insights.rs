//! The arguments of `tally insights`.

use clap::{Args, Subcommand};
use jiff::{Timestamp, tz::TimeZone};

use super::{MemberOrderArg, PeriodArg};
use crate::time::{self, Moment};

/// What to see of the customers together, or of one.
#[derive(Subcommand, Debug)]
pub enum InsightsCommand {
    /// Score all eligible customers and store the facts of every customer, which the other commands read
    Refresh {
        /// As of this time [default: now]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
    },
    /// Show a page about a customer: classes, money, rhythm, satisfaction, scores, what it may buy next
    Customer {
        /// Its id
        #[arg(value_name = "ID")]
        customer_id: String,
        /// As of this time [default: now]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
    },
    /// Show which attributes customers have, and how many have them
    Attributes(AttributesArgs),
    /// Show the segments of the customers, and who moved between them
    Segments(SegmentsArgs),
    /// List the customers of a segment, the greatest net revenue or lifetime value first
    Members(MembersArgs),
    /// Show key figures by period
    Kpis(KpisArgs),
    /// Show what was sold by period, and by channel, property or attribute
    Sales(SalesArgs),
    /// Show how many of those who first bought in a period bought again in later ones
    Cohorts(RangeArgs),
    /// Show the model behind the lifetime values, and how the one of a horizon ago did
    Value {
        /// As of this time [default: the latest pass]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
    },
    /// Show what is to be expected of the customers there are, and how the same forecast did before
    Forecast {
        /// As of this time [default: the latest pass]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
        /// How many steps of 30 days to look ahead
        #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=36))]
        steps: i32,
    },
    /// Show whom each campaign reached, and how many of them bought
    Campaigns(CampaignsArgs),
    /// List which values of a property, such as categories, customers buy together
    Affinities(AffinitiesArgs),
}

/// Of which customers to show the attributes.
#[derive(Args, Debug)]
pub struct AttributesArgs {
    /// As of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// Only the customers of a segment of this segmentation, such as abc
    #[arg(long, value_name = "NAME", requires = "segment")]
    pub segmentation: Option<String>,
    /// The segment, such as A
    #[arg(long, value_name = "NAME", requires = "segmentation")]
    pub segment: Option<String>,
}

/// Which segments to show.
#[derive(Args, Debug)]
pub struct SegmentsArgs {
    /// abc, rfm, rfm_cell, life_cycle, value_loyalty or attribute:NAME
    pub segmentation: String,
    /// As of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// Also show who moved since this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub compare_to: Option<Timestamp>,
}

/// Which customers of a segmentation to list.
#[derive(Args, Debug)]
pub struct MembersArgs {
    /// abc, rfm, rfm_cell, life_cycle, value_loyalty or attribute:NAME
    pub segmentation: String,
    /// The segment, such as A [default: all]
    pub segment: Option<String>,
    /// As of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Of attribute:NAME, only customers without a value
    #[arg(long, conflicts_with = "segment")]
    pub missing_value: bool,
    /// Which customers come first
    #[arg(long, value_enum, default_value_t = MemberOrderArg::Net)]
    pub order_by: MemberOrderArg,
}

/// The time that a report is about, and how it is divided.
#[derive(Args, Debug)]
pub struct RangeArgs {
    /// From this time on; a date begins in the time zone [default: the period of the first purchase]
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    pub from: Option<Moment>,
    /// Before this time; a date begins in the time zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    pub to: Option<Moment>,
    /// The length of a period
    #[arg(long, value_enum, default_value_t = PeriodArg::Month)]
    pub period: PeriodArg,
    /// The time zone in which periods begin, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "NAME", value_parser = time::named_zone)]
    pub time_zone: Option<TimeZone>,
}

/// Which key figures to show.
#[derive(Args, Debug)]
pub struct KpisArgs {
    /// Their names, such as retention_rate [default: all]
    #[arg(value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// From when to when
    #[command(flatten)]
    pub range: RangeArgs,
    /// How many customers the market has, for market_share
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub market_size: Option<i64>,
}

/// Which sales to show.
#[derive(Args, Debug)]
pub struct SalesArgs {
    /// Divide by channel, property:NAME or attribute:NAME
    #[arg(long, value_name = "DIMENSION")]
    pub by: Option<String>,
    /// From when to when
    #[command(flatten)]
    pub range: RangeArgs,
    /// How many values have rows of their own; the others share one
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub max_values: i32,
}

/// Which campaigns to show.
#[derive(Args, Debug)]
pub struct CampaignsArgs {
    /// Only customers reached from this time on [default: all time]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub from: Option<Timestamp>,
    /// Only customers reached before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub to: Option<Timestamp>,
    /// How many days a purchase counts for a campaign
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(i32).range(1..=3_650))]
    pub window_days: i32,
}

/// Which affinities to list.
#[derive(Args, Debug)]
pub struct AffinitiesArgs {
    /// The property of purchases [default: the one of the settings, category unless configured otherwise]
    pub property: Option<String>,
    /// As of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// How many to list, the strongest ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}
