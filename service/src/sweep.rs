//! Everybody: the histories of all customers in the order of their ids, read ahead while others work
//! on those before, in constant memory.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tally_model::{history::History, parallel::each};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    error::{Error, Result},
    store::Store,
};

/// Customers of a page.
const PAGE: usize = 1_000;
/// Customers that a core takes at a time.
const SHARE: usize = 125;
/// Pages that wait to be worked on, fetched or being fetched; one more is about to.
const AHEAD: usize = 1;

/// One of several parts into which the customers fall by a hash of their ids. It is the same for every
/// program and version, so that machines can share a run without talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// 0 up to but without `of`.
    pub number: u32,
    /// How many parts there are, above 0.
    pub of: u32,
}

impl Part {
    /// Everybody.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Whether the customer is in this part: the first eight bytes of the SHA-256 of the id, as a
    /// big-endian number, modulo the number of parts.
    #[must_use]
    pub fn holds(self, customer_id: &str) -> bool {
        if self.of == 1 {
            return true;
        }
        let digest = Sha256::digest(customer_id.as_bytes());
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.number)
    }
}

/// Some customers.
pub struct Page {
    /// How many ids were looked at, those of other parts included.
    pub looked_at: u64,
    /// The customers of our part, by id. Who was erased while they were read is not among them.
    pub histories: Vec<(String, History)>,
}

/// A run through the customers of a part. Reading ends when it is dropped.
pub struct Sweep {
    /// Reads under way, in order.
    pages: mpsc::Receiver<JoinHandle<Result<Page>>>,
}

impl Sweep {
    /// Begins to read.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, part: Part) -> Self {
        let (sender, pages) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut after = String::new();
            loop {
                let found = store.customer_ids(&after, PAGE).await;
                let last = found.as_ref().ok().and_then(|ids| ids.last().cloned());
                if found.as_ref().is_ok_and(Vec::is_empty) {
                    break;
                }
                let store = Arc::clone(&store);
                let page = tokio::spawn(async move { fetch(&*store, found?, part).await });
                // Nobody listens any more, or there is no telling what comes next.
                let (Ok(()), Some(last)) = (sender.send(page).await, last) else { break };
                after = last;
            }
        });
        Self { pages }
    }

    /// The next page; None after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Page>> {
        let Some(page) = self.pages.recv().await else { return Ok(None) };
        let page = page.await.map_err(|error| Error::Internal(format!("a read panicked: {error}")))?;
        page.map(Some)
    }
}

async fn fetch(store: &dyn Store, ids: Vec<String>, part: Part) -> Result<Page> {
    let looked_at = ids.len() as u64;
    let own: Vec<String> = ids.into_iter().filter(|id| part.holds(id)).collect();
    let found = store.histories(&own).await?;
    let known = own.into_iter().zip(found).filter_map(|(id, history)| Some((id, history?)));
    Ok(Page { looked_at, histories: known.collect() })
}

/// Works on parts of a page on all cores; the results are in their order.
pub fn on_all_cores<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
    each(items.chunks(SHARE), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customer_is_in_one_part_and_the_parts_are_alike() {
        let mut sizes = [0; 4];
        for n in 0..4_000 {
            let id = format!("customer-{n}");
            let holding: Vec<u32> =
                (0..4).filter(|number| Part { number: *number, of: 4 }.holds(&id)).collect();
            assert_eq!(holding.len(), 1);
            sizes[holding[0] as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (900..1_100).contains(size)), "{sizes:?}");
        // Fixed for ever, since machines of different versions may share a run: printf C | sha256sum.
        assert!(Part { number: (0x6b23_c0d5_f35d_1b11_u64 % 1_000) as u32, of: 1_000 }.holds("C"));
    }
}
