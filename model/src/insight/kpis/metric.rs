//! The key figures: their names, what they mean and how they follow from what was counted.

use std::fmt;

use super::{
    counts::Count,
    figures::{Figure, SpanFigures},
};
use crate::time::DAY;

/// A key figure of a period.
pub struct KpiMetric {
    /// Its name, such as `churn_rate`.
    pub name: &'static str,
    /// What it means.
    pub definition: &'static str,
    /// What it is measured in.
    pub unit: KpiUnit,
    needs: Needs,
    figure: fn(&SpanFigures) -> Figure,
}

/// What a key figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KpiUnit {
    /// A number of customers.
    Customers,
    /// A number of purchases.
    Orders,
    /// Money in minor units.
    MoneyMinor,
    /// A share, or another number without a unit of which 1 is the whole.
    Ratio,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// A number of complaints.
    Complaints,
    /// A number of which 1 is what was expected.
    Index,
}

/// What a key figure needs beyond what is always counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    TypicalInterval,
    Revenues,
}

impl KpiMetric {
    /// Whether it depends on the typical interval, because it depends on losses.
    #[must_use]
    pub fn needs_typical_interval(&self) -> bool {
        self.needs == Needs::TypicalInterval
    }

    /// Whether it needs the revenue of each customer.
    #[must_use]
    pub fn needs_revenues(&self) -> bool {
        self.needs == Needs::Revenues
    }

    pub(super) fn figure(&self, figures: &SpanFigures) -> Figure {
        (self.figure)(figures)
    }
}

impl fmt::Debug for KpiMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for KpiUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::MoneyMinor => "money_minor",
            Self::Ratio => "ratio",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Complaints => "complaints",
            Self::Index => "index",
        })
    }
}

/// All key figures, in the order in which they are reported.
pub static KPI_METRICS: [KpiMetric; 33] = [
    KpiMetric {
        name: "customers_total",
        definition: "Customers that exist before the end of the period: from their creation or their first interaction \
                     on, whichever is earlier.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::Customers]),
    },
    KpiMetric {
        name: "buyers",
        definition: "Customers with a purchase before the end of the period.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::New]),
    },
    KpiMetric {
        name: "buyers_once",
        definition: "Customers with exactly one purchase before the end of the period.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::New] - of.at_end[Count::Repeating]),
    },
    KpiMetric {
        name: "buyers_repeat",
        definition: "Customers with two purchases or more before the end of the period.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::Repeating]),
    },
    KpiMetric {
        name: "never_bought",
        definition: "Customers that exist before the end of the period and have no purchase before it.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::Customers] - of.at_end[Count::New]),
    },
    KpiMetric {
        name: "never_contacted",
        definition: "Customers that exist before the end of the period and have no interaction of a contact kind before \
                     it.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::Customers] - of.at_end[Count::Contacted]),
    },
    KpiMetric {
        name: "customers_active",
        definition: "Customers with a purchase in the period.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.active),
    },
    KpiMetric {
        name: "customers_new",
        definition: "Customers whose first purchase ever is in the period.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.within[Count::New]),
    },
    KpiMetric {
        name: "customers_lost",
        definition: "Losses in the period: a cancel after the last purchase, or no purchase for a number of expected \
                     intervals (3 unless configured otherwise).",
        unit: KpiUnit::Customers,
        needs: Needs::TypicalInterval,
        figure: |of| Figure::number(of.within[Count::Lost]),
    },
    KpiMetric {
        name: "customers_won_back",
        definition: "Purchases in the period that are the first after a loss.",
        unit: KpiUnit::Customers,
        needs: Needs::TypicalInterval,
        figure: |of| Figure::number(of.within[Count::WonBack]),
    },
    KpiMetric {
        name: "customers_retained",
        definition: "Customers with a purchase in the period and in the calendar period before.",
        unit: KpiUnit::Customers,
        needs: Needs::Nothing,
        figure: |of| of.retained.map_or(Figure::UNDEFINED, |(retained, _)| Figure::number(retained)),
    },
    KpiMetric {
        name: "customers_current",
        definition: "Customers who have bought and are not lost at the end of the period.",
        unit: KpiUnit::Customers,
        needs: Needs::TypicalInterval,
        figure: |of| Figure::number(of.at_end.current()),
    },
    KpiMetric {
        name: "growth_rate",
        definition: "Current customers at the end less those at the start of the period, by those at the start.",
        unit: KpiUnit::Ratio,
        needs: Needs::TypicalInterval,
        figure: |of| Figure::ratio(of.at_end.current() - of.at_start.current(), of.at_start.current()),
    },
    KpiMetric {
        name: "retention_rate",
        definition: "Retained customers by the customers with a purchase in the calendar period before.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| {
            of.retained.map_or(Figure::UNDEFINED, |(retained, before)| Figure::ratio(retained, before))
        },
    },
    KpiMetric {
        name: "churn_rate",
        definition: "Customers current at the start who were lost in the period, once each and also if they came back, \
                     by the customers current at the start.",
        unit: KpiUnit::Ratio,
        needs: Needs::TypicalInterval,
        figure: |of| Figure::ratio(of.churned, of.at_start.current()),
    },
    KpiMetric {
        name: "repurchase_rate",
        definition: "Active customers with two purchases or more before the end of the period, by the active customers.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.repeating, of.active),
    },
    KpiMetric {
        name: "revenue",
        definition: "The amounts of the purchases in the period, before returns.",
        unit: KpiUnit::MoneyMinor,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.within[Count::Revenue]),
    },
    KpiMetric {
        name: "returns",
        definition: "The amounts of the returns in the period, whenever the goods were bought.",
        unit: KpiUnit::MoneyMinor,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.within[Count::Returns]),
    },
    KpiMetric {
        name: "net_revenue",
        definition: "Revenue less returns.",
        unit: KpiUnit::MoneyMinor,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.within[Count::Revenue] - of.within[Count::Returns]),
    },
    KpiMetric {
        name: "orders",
        definition: "Purchases in the period, with or without an amount.",
        unit: KpiUnit::Orders,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.within[Count::Orders]),
    },
    KpiMetric {
        name: "average_order_value",
        definition: "Revenue by orders.",
        unit: KpiUnit::MoneyMinor,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::Revenue], of.within[Count::Orders]),
    },
    KpiMetric {
        name: "revenue_per_customer",
        definition: "Revenue by active customers.",
        unit: KpiUnit::MoneyMinor,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::Revenue], of.active),
    },
    KpiMetric {
        name: "revenue_share_top_20",
        definition: "The revenue of the fifth of the active customers, rounded up, who bring most in the period, by the \
                     revenue.",
        unit: KpiUnit::Ratio,
        needs: Needs::Revenues,
        figure: |of| Figure::ratio(of.top_revenue, of.within[Count::Revenue]),
    },
    KpiMetric {
        name: "return_rate",
        definition: "Returns by revenue.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::Returns], of.within[Count::Revenue]),
    },
    KpiMetric {
        name: "satisfaction_index",
        definition: "The mean of score by expected score over the surveys in the period that have both; 1 is what was \
                     expected.",
        unit: KpiUnit::Index,
        needs: Needs::Nothing,
        figure: |of| Figure::quotient(of.within.satisfaction(), of.within[Count::Surveys]),
    },
    KpiMetric {
        name: "complaint_rate",
        definition: "Complaints by orders.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::Complaints], of.within[Count::Orders]),
    },
    KpiMetric {
        name: "complaints_open",
        definition: "Complaints before the end of the period that no resolution has followed before it. A resolution \
                     closes all earlier complaints of its customer.",
        unit: KpiUnit::Complaints,
        needs: Needs::Nothing,
        figure: |of| Figure::number(of.at_end[Count::Complaints] - of.at_end[Count::Resolved]),
    },
    KpiMetric {
        name: "hours_to_first_answer",
        definition: "The mean hours from a complaint to the first contact or resolution after it, of the complaints \
                     answered in the period.",
        unit: KpiUnit::Hours,
        needs: Needs::Nothing,
        figure: |of| Figure::quotient(hours(of.within[Count::AnswerTime]), of.within[Count::Answered]),
    },
    KpiMetric {
        name: "hours_to_resolution",
        definition: "The mean hours from a complaint to its resolution, of the complaints resolved in the period.",
        unit: KpiUnit::Hours,
        needs: Needs::Nothing,
        figure: |of| Figure::quotient(hours(of.within[Count::ResolutionTime]), of.within[Count::Resolved]),
    },
    KpiMetric {
        name: "answered_within_sla",
        definition: "Of the complaints of the period whose hours to be answered (24 unless configured otherwise) are \
                     over, those that a contact or a resolution answered in these hours.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::DueAnswered], of.within[Count::Due]),
    },
    KpiMetric {
        name: "lead_conversion_rate",
        definition: "Of the leads created in the period whose first 30 days are over, those who bought in these days.",
        unit: KpiUnit::Ratio,
        needs: Needs::Nothing,
        figure: |of| Figure::ratio(of.within[Count::LeadsConverted], of.within[Count::Leads]),
    },
    KpiMetric {
        name: "days_to_conversion",
        definition: "The mean days from creation to the first purchase, of the leads who bought for the first time in \
                     the period.",
        unit: KpiUnit::Days,
        needs: Needs::Nothing,
        figure: |of| Figure::quotient(days(of.within[Count::ConversionTime]), of.within[Count::Conversions]),
    },
    KpiMetric {
        name: "market_share",
        definition: "Current customers at the end of the period by the size of the market.",
        unit: KpiUnit::Ratio,
        needs: Needs::TypicalInterval,
        figure: |of| match of.market_size {
            0 => Figure::UNDEFINED,
            size => Figure::ratio(of.at_end.current(), size),
        },
    },
];

fn hours(microseconds: i128) -> f64 {
    microseconds as f64 / (DAY / 24) as f64
}

fn days(microseconds: i128) -> f64 {
    microseconds as f64 / DAY as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_definitions_are_sentences() {
        let names: BTreeSet<&str> = KPI_METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), KPI_METRICS.len());
        assert!(KPI_METRICS.iter().all(|metric| metric.definition.ends_with('.')));
    }
}
