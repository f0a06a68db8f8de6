//! The customer scan: the histories of all customers in the order of their ids, in constant memory. Pages
//! are read ahead while the caller works on the ones before.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tally_model::{history::Packed, parallel::par_map};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::platform::{
    blocking::run_blocking,
    error::{Error, Result},
};
use tally_store::Store;

/// The most customers of a page, including those of other partitions.
const CUSTOMERS: usize = 1_000;
/// When the histories of a page take more bytes, later pages have fewer customers.
const PAGE_BYTES: usize = 2 << 20;
/// Customers that a core takes at a time.
const CHUNK: usize = 125;
/// Pages that wait for the caller; one more is being read.
const AHEAD: usize = 1;

/// One of several parts of the customers, by a hash of their ids. It is the same for every program and
/// version, so that machines can share a run without coordination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From 0 to `of` − 1.
    pub number: u32,
    /// The number of parts, above 0.
    pub of: u32,
}

impl Partition {
    /// All customers.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Whether the customer is in this partition: the first eight bytes of the SHA-256 of the id, as a
    /// big-endian number, modulo the number of partitions.
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

/// Some customers of a scan.
#[derive(Default)]
pub struct ScanPage {
    /// The number of customers read, including those of other partitions.
    pub customers: u64,
    /// The histories of the customers of this partition, by id.
    pub histories: Vec<(String, Packed)>,
}

/// A scan of the customers of a partition. Reading ends when it is dropped.
pub struct CustomerScan {
    pages: mpsc::Receiver<ScanPage>,
    /// The task that reads; None once its result was returned.
    reading: Option<JoinHandle<Result<()>>>,
}

impl CustomerScan {
    /// Begins to read.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, partition: Partition) -> Self {
        let (sender, pages) = mpsc::channel(AHEAD);
        let reading = tokio::spawn(async move { read(&*store, partition, &sender).await });
        Self { pages, reading: Some(reading) }
    }

    /// The next page; None after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<ScanPage>> {
        if let Some(page) = self.pages.recv().await {
            return Ok(Some(page));
        }
        // Only the task knows whether these were all pages, or reading failed.
        if let Some(reading) = self.reading.take() {
            reading.await.map_err(|error| Error::Internal(format!("a read panicked: {error}")))??;
        }
        Ok(None)
    }
}

/// Sends page after page until the receiver is dropped.
async fn read(store: &dyn Store, partition: Partition, pages: &mpsc::Sender<ScanPage>) -> Result<()> {
    let mut customers = CUSTOMERS;
    let mut ids = store.customer_ids("", customers).await?;
    while let Some(last) = ids.last().cloned() {
        let read = ids.len() as u64;
        ids.retain(|id| partition.holds(id));
        let (found, next) = tokio::try_join!(store.histories(&ids), store.customer_ids(&last, customers))?;
        let bytes: usize = found.iter().flatten().map(|history| history.as_bytes().len()).sum();
        let fit = (PAGE_BYTES * ids.len()).checked_div(bytes);
        customers = fit.map_or(CUSTOMERS, |fit| fit.clamp(1, CUSTOMERS));
        // A customer that was erased meanwhile is left out.
        let histories = ids.into_iter().zip(found).filter_map(|(id, history)| Some((id, history?))).collect();
        if pages.send(ScanPage { customers: read, histories }).await.is_err() {
            break;
        }
        ids = next;
    }
    Ok(())
}

/// Runs `part` on the histories of all customers, some at a time on all cores; `merge` gets the results in the order of the
/// customers.
///
/// # Errors
/// When the store or a part fails.
pub async fn for_all_customers<T: Send + 'static>(
    store: &Arc<dyn Store>,
    part: impl Fn(&[(String, Packed)]) -> Result<T> + Send + Sync + 'static,
    mut merge: impl FnMut(T),
) -> Result<()> {
    let part = Arc::new(part);
    let mut scan = CustomerScan::new(Arc::clone(store), Partition::WHOLE);
    while let Some(page) = scan.next().await? {
        let part = Arc::clone(&part);
        let parts = run_blocking(move || {
            par_chunks(&page.histories, |customers| part(customers)).into_iter().collect::<Result<Vec<_>>>()
        });
        parts.await??.into_iter().for_each(&mut merge);
    }
    Ok(())
}

/// Runs `work` on chunks of `items` on all cores; the results are in the order of the chunks.
pub fn par_chunks<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
    par_map(items.chunks(CHUNK), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customer_is_in_one_partition_and_their_sizes_are_alike() {
        let mut sizes = [0; 4];
        for n in 0..4_000 {
            let id = format!("customer-{n}");
            let holding: Vec<u32> =
                (0..4).filter(|number| Partition { number: *number, of: 4 }.holds(&id)).collect();
            assert_eq!(holding.len(), 1);
            sizes[holding[0] as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (900..1_100).contains(size)), "{sizes:?}");
        // Fixed for ever, since machines of different versions may share a run; printf C | sha256sum.
        assert!(Partition { number: (0x6b23_c0d5_f35d_1b11_u64 % 1_000) as u32, of: 1_000 }.holds("C"));
    }
}
