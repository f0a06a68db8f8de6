//! The snapshots of a training. The histories are read once and kept packed; two passes go over them,
//! page by page: the first profiles the data, which settles the features, and the second takes the
//! snapshots, after which a page is dropped.

use std::{sync::Arc, thread};

use tally_model::{
    evaluation::drift::Counts,
    features::{Plan, profile::DataProfile},
    history::Packed,
    time::Time,
    training::{
        checks::AttributeChanges,
        snapshot::{Sampling, Snapshots},
    },
};
use tally_store::Store;

use super::incumbent::Incumbent;
use crate::{
    histories::scan::{CustomerScan, Partition, ScanPage, par_chunks},
    platform::{
        blocking::Cores,
        error::{Error, Result},
        progress::{ProgressListener, ProgressStep},
    },
};

/// Reads and profiles the customers. The histories are kept, packed, since only the profile of all of
/// them says which features to take.
pub(super) async fn profile(
    store: &Arc<dyn Store>,
    (partition, as_of): (Partition, Time),
    cores: &Cores,
    progress: &ProgressListener,
) -> Result<(DataProfile, Vec<ScanPage>)> {
    let mut profile = DataProfile::default();
    let mut pages = Vec::new();
    let mut scan = CustomerScan::new(Arc::clone(store), partition);
    let mut done = 0;
    while let Some(page) = scan.next().await? {
        let profile_page = move || {
            let parts = par_chunks(&page.histories, |customers| profile_some(customers, as_of));
            (page, parts)
        };
        let (page, parts) = cores.run(profile_page).await?;
        for part in parts {
            profile.merge(part?);
        }
        done += page.customers;
        pages.push(page);
        progress(ProgressStep::Done(done));
    }
    Ok((profile, pages))
}

fn profile_some(customers: &[(String, Packed)], as_of: Time) -> Result<DataProfile> {
    let mut profile = DataProfile::default();
    for (_, history) in customers {
        history.with(|history| profile.add(history, as_of))?;
    }
    Ok(profile)
}

/// Takes the snapshots of all customers.
pub(super) struct SnapshotTaker {
    pub(super) plan: Plan,
    pub(super) sampling: Sampling,
    /// The champion, when it predicts the same.
    pub(super) incumbent: Option<Incumbent>,
}

/// The snapshots of some customers.
#[derive(Default)]
pub(super) struct SnapshotBatch {
    pub(super) rows: Snapshots,
    /// The champion's probability for each row that it has not learned from.
    pub(super) incumbent_probabilities: Vec<Option<f64>>,
    /// Where the customers that would be scored now lie in the bins of the champion's training.
    pub(super) counts: Option<Counts>,
    /// How the attributes changed within the horizons.
    pub(super) changes: AttributeChanges,
}

impl SnapshotTaker {
    /// Takes them on all cores, page by page; a page is dropped when it is done.
    pub(super) fn take_all(
        self,
        pages: Vec<ScanPage>,
        progress: &ProgressListener,
    ) -> Result<(Self, SnapshotBatch)> {
        let mut all = SnapshotBatch::default();
        let customers: usize = pages.iter().map(|page| page.histories.len()).sum();
        let mut done = 0;
        let mut before = Vec::new();
        for page in pages {
            let taken = thread::scope(|scope| {
                // Moving the rows of a page takes so long that it overlaps with taking the next ones.
                scope.spawn(|| before.drain(..).for_each(|part| all.append(part)));
                par_chunks(&page.histories, |customers| self.take_some(customers))
            });
            before = taken.into_iter().collect::<Result<Vec<_>, Error>>()?;
            if done == 0 {
                // The other pages have about as many rows each; all get their room at once.
                let rows: usize = before.iter().map(|part| part.rows.len()).sum();
                all.rows.reserve(rows * customers / page.histories.len().max(1), self.plan.width());
            }
            done += page.customers;
            progress(ProgressStep::Done(done));
        }
        before.into_iter().for_each(|part| all.append(part));
        Ok((self, all))
    }

    fn take_some(&self, customers: &[(String, Packed)]) -> Result<SnapshotBatch> {
        let counts = self.incumbent.as_ref().map(Incumbent::empty_counts);
        let mut taken = SnapshotBatch { counts, ..SnapshotBatch::default() };
        for (id, history) in customers {
            history.with(|history| {
                let SnapshotBatch { rows, incumbent_probabilities, counts, changes } = &mut taken;
                let (before, population) = (rows.len(), rows.population.customers);
                rows.add(id, history, &self.plan, &self.sampling);
                let snapshots = (before..rows.len()).map(|row| (rows.as_of[row], rows.label[row]));
                changes.add(history, snapshots, &self.sampling.outcome, self.sampling.now);
                let Some((incumbent, counts)) = self.incumbent.as_ref().zip(counts.as_mut()) else { return };
                for row in before..rows.len() {
                    incumbent_probabilities.push(incumbent.probability(history, rows, row));
                }
                if rows.population.customers > population {
                    incumbent.count(history, self.sampling.now, counts);
                }
            })?;
        }
        Ok(taken)
    }
}

impl SnapshotBatch {
    fn append(&mut self, others: Self) {
        self.rows.append(others.rows);
        self.incumbent_probabilities.extend(others.incumbent_probabilities);
        self.changes.merge(others.changes);
        match (&mut self.counts, others.counts) {
            (Some(counts), Some(others)) => counts.merge(&others),
            (counts, others) => *counts = others.or(counts.take()),
        }
    }
}
