//! Early warning: what rules find, who is told, and what is delivered.

mod delivery;
mod kills;
mod passes;
mod receiver;
mod rules;
mod secrets;
mod watching;

use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use crate::support::{Tally, eventually, interaction};

/// A rule about complaints that are open for more than a day.
const COMPLAINTS: &str = "[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"\nhours = 24\n";

/// A moment so many minutes ago, as a text.
fn minutes_ago(minutes: i64) -> String {
    Time(system_clock().0 - minutes * DAY / 1_440).to_string()
}

/// A complaint that happened so many minutes ago.
fn complaint(customer: &str, id: &str, minutes: i64) -> v1::Interaction {
    interaction(customer, id, "complaint", &minutes_ago(minutes))
}

impl Tally {
    /// All alerts that pass a filter, newest first, page by page.
    async fn alerts(&self, filter: v1::ListAlertsRequest) -> Vec<v1::Alert> {
        let mut request = v1::ListAlertsRequest { page_size: 3, ..filter };
        let mut all = Vec::new();
        loop {
            let page = self.insights().list_alerts(request.clone()).await.unwrap().into_inner();
            all.extend(page.alerts);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn count_alerts(&self, filter: v1::ListAlertsRequest) -> i64 {
        self.insights().list_alerts(filter).await.unwrap().into_inner().total_size
    }

    /// Waits until there are so many alerts, and returns them, newest first.
    async fn wait_for_alerts(&self, number: i64) -> Vec<v1::Alert> {
        eventually(async || self.count_alerts(v1::ListAlertsRequest::default()).await >= number).await;
        let all = self.alerts(v1::ListAlertsRequest::default()).await;
        assert_eq!(all.len() as i64, number, "{all:#?}");
        all
    }
}

/// The sum of the series of a metric whose lines begin like this.
async fn metric_sum(server: &Tally, name: &str) -> f64 {
    let (_, text) = server.get("/metrics").await;
    let of_metric = text.lines().filter(|line| line.starts_with(name));
    of_metric.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// The customers of alerts, with what they are about, sorted.
fn subjects(alerts: &[v1::Alert]) -> Vec<(String, String)> {
    let mut subjects: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.rule.clone(), format!("{}{}", alert.customer_id, alert.subject)))
        .collect();
    subjects.sort();
    subjects
}
