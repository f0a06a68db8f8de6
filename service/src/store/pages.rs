//! Customers on their way from a database to whoever works on them.

use tally_model::history::History;
use tokio::sync::mpsc;

use crate::sweep::{Page, Part};

/// Customers of a page, those of other parts included.
pub(super) const CUSTOMERS: usize = 1_000;
/// A page is handed over as well when it has so many interactions.
const INTERACTIONS: usize = 100_000;

/// Fills pages and hands them over.
pub(super) struct Pages {
    part: Part,
    to: mpsc::Sender<Page>,
    page: Page,
    interactions: usize,
}

impl Pages {
    pub(super) fn new(part: Part, to: mpsc::Sender<Page>) -> Self {
        Self { part, to, page: Page::default(), interactions: 0 }
    }

    /// Whether the customer is in our part, so that its history is worth being built.
    pub(super) fn wants(&self, customer_id: &str) -> bool {
        self.part.holds(customer_id)
    }

    /// Counts customers of other parts. False when nobody listens any more.
    pub(super) async fn skip(&mut self, customers: usize) -> bool {
        self.page.looked_at += customers as u64;
        self.hand_over_if_full().await
    }

    /// Adds the next customer of our part. False when nobody listens any more.
    pub(super) async fn add(&mut self, customer_id: String, history: History) -> bool {
        self.page.looked_at += 1;
        self.interactions += history.len();
        self.page.histories.push((customer_id, history));
        self.hand_over_if_full().await
    }

    async fn hand_over_if_full(&mut self) -> bool {
        let full = self.page.looked_at >= CUSTOMERS as u64 || self.interactions >= INTERACTIONS;
        !full || self.hand_over().await
    }

    /// Hands over what is left.
    pub(super) async fn end(mut self) {
        if self.page.looked_at > 0 {
            self.hand_over().await;
        }
    }

    async fn hand_over(&mut self) -> bool {
        self.interactions = 0;
        self.to.send(std::mem::take(&mut self.page)).await.is_ok()
    }
}
