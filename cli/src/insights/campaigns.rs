//! `tally insights campaigns`: whom each campaign reached, and how many of them bought.

use tally_proto::v1::{CampaignRow, GetCampaignsRequest, GetCampaignsResponse};

use super::reply;
use crate::{
    args::CampaignsArgs,
    connection::Connection,
    error::ClientError,
    output::{Currency, count, cut, insert_bars, narrow_table, narrow_text, ratio},
    time,
};

/// The most columns of the name of a campaign.
const NAME: usize = 28;

/// Prints the campaigns.
pub(super) async fn campaigns(
    server: &Connection,
    args: &CampaignsArgs,
    json: bool,
) -> Result<(), ClientError> {
    let request = GetCampaignsRequest {
        from_time: args.from.map(time::timestamp),
        to_time: args.to.map(time::timestamp),
        window_days: args.window_days,
    };
    let reply = server.insights().get_campaigns(request).await.map_err(|status| server.error(&status))?;
    reply::show(server, reply.get_ref(), json, |reply, currency| page(reply, args.window_days, currency))
        .await
}

fn page(reply: &GetCampaignsResponse, window_days: i32, currency: &Currency) -> String {
    if reply.rows.is_empty() {
        return "no campaigns: no interaction in this time has the property `campaign`".to_owned();
    }
    let mut header = vec!["campaign", "reached", "judged", "bought", "share", "revenue", "per customer"];
    let mut rows: Vec<Vec<String>> = reply.rows.iter().map(|campaign| row(campaign, currency)).collect();
    insert_bars(&mut header, &mut rows, 5, reply.rows.iter().map(|campaign| campaign.conversion_rate));
    let days = super::rhythm::days(window_days.into());
    let mut notes = vec![format!(
        "a purchase counts for {days} after the customer was reached; judged are the customers whose {days} are over, \
         and share and revenue are of them"
    )];
    notes.extend(currency.note());
    format!("{}\n\n{}", narrow_table(&header, &[1, 2, 3, 4, 6, 7], rows), narrow_text(&notes.join("\n")))
}

fn row(campaign: &CampaignRow, currency: &Currency) -> Vec<String> {
    vec![
        cut(&campaign.campaign, NAME),
        count(campaign.reached),
        count(campaign.judged),
        count(campaign.converted),
        ratio(campaign.conversion_rate),
        currency.amount(campaign.revenue_minor),
        currency.mean(campaign.revenue_per_reached_minor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::{assert_fits, euro, long_name};

    #[test]
    fn campaigns_are_a_table() {
        let may = CampaignRow {
            campaign: "may".to_owned(),
            reached: 1_200,
            judged: 1_000,
            converted: 125,
            conversion_rate: Some(0.125),
            revenue_minor: 1_234_567,
            revenue_per_reached_minor: Some(1_234.567),
        };
        let running =
            CampaignRow { campaign: "christmas mail".to_owned(), reached: 40, ..CampaignRow::default() };
        let text =
            page(&GetCampaignsResponse { rows: vec![may, running], ..Default::default() }, 30, &euro());
        insta::assert_snapshot!(text, @r"
        campaign        reached  judged  bought   share         revenue  per customer
        ──────────────────────────────────────────────────────────────────────────────
        may               1,200   1,000     125  12.5 %  ██▌  12,345.67         12.35
        christmas mail       40       0       0       –            0.00             –

        a purchase counts for 30 days after the customer was reached; judged are the customers whose 30
          days are over, and share and revenue are of them
        amounts in EUR
        ");
    }

    #[test]
    fn long_names_and_large_numbers_fit() {
        let row = CampaignRow {
            campaign: long_name(),
            reached: i64::MAX,
            judged: i64::MAX,
            converted: i64::MAX,
            conversion_rate: Some(1.0),
            revenue_minor: i64::MAX,
            revenue_per_reached_minor: Some(1e18),
        };
        assert_fits(&page(&GetCampaignsResponse { rows: vec![row], ..Default::default() }, 1, &euro()));
    }

    #[test]
    fn no_campaign_is_a_sentence() {
        let text = page(&GetCampaignsResponse::default(), 30, &euro());
        assert_eq!(text, "no campaigns: no interaction in this time has the property `campaign`");
    }
}
