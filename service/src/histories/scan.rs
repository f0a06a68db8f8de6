//! Everybody: the histories of all customers in the order of their ids, read ahead while others work
//! on those before, in constant memory.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tally_model::{history::Packed, parallel::each};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::platform::error::{Error, Result};
use tally_store::Store;

/// Customers of a page at most, those of other parts included.
const CUSTOMERS: usize = 1_000;
/// Of customers with more than so many bytes in a page, later pages have fewer.
const PAGE_BYTES: usize = 2 << 20;
/// Customers that a core takes at a time.
const SHARE: usize = 125;
/// Pages that wait to be worked on; one more is being read.
const AHEAD: usize = 1;

/// One of several parts into which the customers fall by a hash of their ids. It is the same for every
/// program and version, so that machines can share a run without talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// 0 up to but without `of`.
    pub number: u32,
    /// How many parts there are, above 0.
    pub of: u32,
}

impl Partition {
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
#[derive(Default)]
pub struct Page {
    /// How many customers were looked at, those of other parts included.
    pub looked_at: u64,
    /// The customers of our part, by id.
    pub histories: Vec<(String, Packed)>,
}

/// A run through the customers of a part. Reading ends when it is dropped.
pub struct CustomerScan {
    pages: mpsc::Receiver<Page>,
    /// What becomes of the reading; None once that was told.
    reading: Option<JoinHandle<Result<()>>>,
}

impl CustomerScan {
    /// Begins to read.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, part: Partition) -> Self {
        let (sender, pages) = mpsc::channel(AHEAD);
        let reading = tokio::spawn(async move { read(&*store, part, &sender).await });
        Self { pages, reading: Some(reading) }
    }

    /// The next page; None after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Page>> {
        if let Some(page) = self.pages.recv().await {
            return Ok(Some(page));
        }
        // No more pages: only the reader knows whether those were all.
        if let Some(reading) = self.reading.take() {
            reading.await.map_err(|error| Error::Internal(format!("a read panicked: {error}")))??;
        }
        Ok(None)
    }
}

/// Hands over everybody, until nobody takes them any more.
async fn read(store: &dyn Store, part: Partition, pages: &mpsc::Sender<Page>) -> Result<()> {
    let mut customers = CUSTOMERS;
    let mut ids = store.customer_ids("", customers).await?;
    while let Some(last) = ids.last().cloned() {
        let looked_at = ids.len() as u64;
        ids.retain(|id| part.holds(id));
        let (found, next) = tokio::try_join!(store.histories(&ids), store.customer_ids(&last, customers))?;
        let bytes: usize = found.iter().flatten().map(|history| history.as_bytes().len()).sum();
        let fit = (PAGE_BYTES * ids.len()).checked_div(bytes);
        customers = fit.map_or(CUSTOMERS, |fit| fit.clamp(1, CUSTOMERS));
        // Who was erased meanwhile is left out.
        let histories = ids.into_iter().zip(found).filter_map(|(id, history)| Some((id, history?))).collect();
        if pages.send(Page { looked_at, histories }).await.is_err() {
            break;
        }
        ids = next;
    }
    Ok(())
}

/// Works on parts of a page on all cores; the results are in their order.
pub fn par_chunks<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
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
                (0..4).filter(|number| Partition { number: *number, of: 4 }.holds(&id)).collect();
            assert_eq!(holding.len(), 1);
            sizes[holding[0] as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (900..1_100).contains(size)), "{sizes:?}");
        // Fixed for ever, since machines of different versions may share a run: printf C | sha256sum.
        assert!(Partition { number: (0x6b23_c0d5_f35d_1b11_u64 % 1_000) as u32, of: 1_000 }.holds("C"));
    }
}
