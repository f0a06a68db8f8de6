//! Campaigns: whom they reached, and how many of those bought.

use tally_model::time::Time;
use tally_store::{CampaignQuery, CampaignSums};

use super::{Insights, ROWS, ratio};
use crate::platform::error::{Error, Result};

/// A campaign.
pub struct CampaignLine {
    /// What it brought.
    pub sums: CampaignSums,
    /// The share of the judged who bought.
    pub conversion_rate: Option<f64>,
    /// The revenue for each of the judged.
    pub revenue_per_reached_minor: Option<f64>,
}

impl Insights {
    /// The campaigns that reached customers for the first time from `from` on and before `to`, by name. Purchases count
    /// for `window_days`; only windows that are over at `now` are judged.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when there are too many campaigns; FAILED_PRECONDITION (SUM_TOO_LARGE) when 64 bits do not hold
    /// a sum; when the store fails.
    pub async fn campaigns(
        &self,
        (from, to): (Option<Time>, Time),
        window_days: i64,
        now: Time,
    ) -> Result<Vec<CampaignLine>> {
        let query = CampaignQuery { from, to, window_days, now, limit: ROWS + 1 };
        let mut campaigns = self.store.campaigns(query).await?;
        if campaigns.len() > ROWS {
            return Err(Error::invalid(
                "from_time",
                format!(
                    "the range has more than {ROWS} campaigns; allowed are {ROWS}, so choose a shorter range"
                ),
            ));
        }
        campaigns.sort_by(|a, b| a.campaign.cmp(&b.campaign));
        let line = |sums: CampaignSums| CampaignLine {
            conversion_rate: ratio(sums.converted, sums.judged),
            revenue_per_reached_minor: ratio(sums.revenue_minor, sums.judged),
            sums,
        };
        Ok(campaigns.into_iter().map(line).collect())
    }
}
