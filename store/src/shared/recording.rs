//! Recording a batch of interactions, in one transaction.

use std::{borrow::Cow, collections::HashSet, mem};

use tally_model::time::{DAY, Time};

use super::{
    Backend, Transaction,
    arrivals::admit,
    backfill::{self, ChangedPast},
    batch::SortedBatch,
    changes::note_change,
    create_times::settle_create_times,
    merges::SurvivorsOf,
    referrals::without_references,
    retractions::{LastRetractions, retract_stored},
};
use crate::{
    error::{Result, StoreError},
    interactions::{Interaction, OnConflict, RecordOptions, Recorded},
};

/// The reason of a retraction by [`OnConflict::Correct`].
const CORRECTED: &str = "corrected";

/// Stores a batch, without the interactions of erased customers, and without references to them.
pub(super) async fn record<B: Backend>(
    store: &B,
    batch: &SortedBatch,
    options: RecordOptions,
) -> Result<Recorded> {
    let mut tx = store.begin().await?;
    let batch = without_references(store, &mut tx, batch).await?;
    let batch = &*batch;
    let erased = admit(store, &mut tx, &batch.first_seen()).await?;
    if erased.is_empty() {
        return record_admitted(store, tx, batch, options).await;
    }
    let admitted = batch.without(&erased);
    let erased = batch.items.len() - admitted.items.len();
    let recorded = record_admitted(store, tx, &admitted, options).await?;
    Ok(Recorded { erased, ..recorded })
}

/// Stores a batch whose customers exist.
async fn record_admitted<B: Backend>(
    store: &B,
    mut tx: Transaction<B>,
    batch: &SortedBatch,
    options: RecordOptions,
) -> Result<Recorded> {
    if batch.items.is_empty() {
        return Ok(Compared::default().counts(batch, 0));
    }
    let (customer_ids, keys) = (batch.customer_ids(), batch.keys());
    let retracted = LastRetractions::read::<B>(&mut tx, &customer_ids, &keys).await?;
    let items = to_insert::<B>(&mut tx, batch, &retracted, options).await?;
    let before = stored_before::<B>(&mut tx, batch, options).await?;
    let inserted = B::insert_interactions(&mut tx, &items).await?;
    let mut found = match inserted.rows < items.len() {
        // This reads the rows inserted just now as well, which are equal to the batch.
        true => {
            let stored = B::stored_interactions(&mut tx, &keys).await?;
            batch.compare(stored.into_iter().map(Interaction::from), &retracted, options)?
        }
        false => Compared { late: late(&items, options), ..Compared::default() },
    };
    found.move_back::<B>(&mut tx, batch, options).await?;
    if !B::WRITES_ALONE && LastRetractions::read::<B>(&mut tx, &customer_ids, &keys).await? != retracted {
        // Keys of this batch were retracted meanwhile: the batch is repeated, which then knows of it.
        return Err(StoreError::Aborted);
    }
    found.correct::<B>(&mut tx, batch, options).await?;
    // After the insert, whose foreign keys lock the customers against a merge.
    let survivors = SurvivorsOf::read::<B>(&mut tx, &customer_ids).await?;
    let touched = survivors.with(&customer_ids);
    let settles = !(retracted.is_empty() && found.conflicts.is_empty() && survivors.is_empty());
    if settles {
        settle_create_times::<B>(&mut tx, &touched).await?;
    }
    let changes = inserted.rows + found.moved_of.len() + found.corrected > 0;
    if changes {
        // After the insert as well: see the table.
        B::forget_packed(&mut tx, &touched).await?;
    }
    let mut outdated_predictions = 0;
    if let Some(before) = &before {
        found.changes.extend(backfill::of_new(&items, before, options.record_time));
        let past = backfill::with_survivors(mem::take(&mut found.changes), &survivors);
        outdated_predictions = backfill::mark_predictions::<B>(&mut tx, &past, options.record_time).await?;
    }
    if changes || settles {
        let written = match &inserted.customer_ids {
            None if retracted.is_empty() => touched,
            None => found.written(batch, items.iter().map(|item| item.key().0), options, &survivors),
            Some(new) => found.written(batch, new.iter().map(String::as_str), options, &survivors),
        };
        note_change(store, &mut tx, written).await?;
    }
    tx.commit().await?;
    Ok(Recorded { outdated_predictions, ..found.counts(batch, inserted.rows) })
}

/// The interactions to insert: without those that were retracted with the same content and stay so. One whose key was
/// retracted becomes known now, since until then the retracted one was, also when it is history.
async fn to_insert<'a, B: Backend>(
    tx: &mut Transaction<B>,
    batch: &'a SortedBatch,
    retracted: &LastRetractions,
    options: RecordOptions,
) -> Result<Cow<'a, [Interaction]>> {
    if retracted.is_empty() {
        return Ok(Cow::Borrowed(&batch.items));
    }
    let stored = B::stored_interactions(tx, &retracted.keys()).await?;
    let stored = keys_of(stored.into_iter().map(Interaction::from));
    let mut items = Vec::with_capacity(batch.items.len());
    for item in &batch.items {
        let last = retracted.of(item).filter(|item| !contains(&stored, item));
        match last {
            Some(last) if options.on_conflict != OnConflict::Correct && last.same_content(item) => {}
            Some(_) => items.push(Interaction { record_time: options.record_time, ..item.clone() }),
            None => items.push(item.clone()),
        }
    }
    Ok(Cow::Owned(items))
}

/// The keys of the batch that are stored before it, when a backfill may concern predictions. Otherwise nobody needs
/// to know which ones are new.
async fn stored_before<B: Backend>(
    tx: &mut Transaction<B>,
    batch: &SortedBatch,
    options: RecordOptions,
) -> Result<Option<HashSet<(String, String)>>> {
    if !options.backfill || !backfill::any_predictions::<B>(tx).await? {
        return Ok(None);
    }
    let stored = B::stored_interactions(tx, &batch.keys()).await?;
    Ok(Some(keys_of(stored.into_iter().map(Interaction::from))))
}

fn keys_of(interactions: impl Iterator<Item = Interaction>) -> HashSet<(String, String)> {
    interactions.map(|item| (item.customer_id, item.interaction_id)).collect()
}

fn contains(keys: &HashSet<(String, String)>, item: &Interaction) -> bool {
    let (customer_id, interaction_id) = item.key();
    keys.contains(&(customer_id.to_owned(), interaction_id.to_owned()))
}

/// How many new interactions happened more than a day before they were recorded.
fn late(items: &[Interaction], options: RecordOptions) -> usize {
    let is_late = |item: &&Interaction| options.is_late(item.occur_time);
    if options.backfill { 0 } else { items.iter().filter(is_late).count() }
}

impl RecordOptions {
    fn is_late(&self, occur_time: Time) -> bool {
        occur_time.0 < self.record_time.0.saturating_sub(DAY)
    }
}

/// How a batch compares with what is stored under its keys.
#[derive(Default)]
pub(super) struct Compared<'a> {
    /// The places of items that are stored with different content.
    conflicts: Vec<usize>,
    /// The places of duplicates that were recorded later than they happened.
    moved: Vec<usize>,
    late: usize,
    changes: Vec<ChangedPast<'a>>,
    /// The customers of the rows whose record time was moved back.
    moved_of: Vec<String>,
    /// The number of conflicts that were corrected.
    corrected: usize,
}

impl SortedBatch {
    /// Compares the batch with what is stored under its keys.
    ///
    /// # Errors
    /// When it is different, and the options do not allow that.
    fn compare(
        &self,
        stored: impl Iterator<Item = Interaction>,
        retracted: &LastRetractions,
        options: RecordOptions,
    ) -> Result<Compared<'_>> {
        let mut found = Compared::default();
        for stored in stored {
            let Some(n) = self.place(&stored) else { continue };
            let item = &self.items[n];
            if !item.same_content(&stored) {
                if options.on_conflict == OnConflict::Fail {
                    return Err(self.conflict(n));
                }
                found.conflicts.push(n);
            } else if !options.backfill {
                let is_new = stored.record_time == options.record_time;
                found.late += usize::from(is_new && options.is_late(item.occur_time));
            } else if stored.record_time > item.record_time && retracted.of(item).is_none() {
                // Of a correction, the record time stays: until then the corrected one was known.
                found.moved.push(n);
                found.changes.push(ChangedPast {
                    customer_id: &item.customer_id,
                    occur_time: item.occur_time,
                    from: item.record_time,
                    until: Some(stored.record_time),
                });
            }
        }
        Ok(found)
    }
}

impl Compared<'_> {
    /// Moves the record times back.
    async fn move_back<B: Backend>(
        &mut self,
        tx: &mut Transaction<B>,
        batch: &SortedBatch,
        options: RecordOptions,
    ) -> Result<()> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.moved.iter().map(|n| batch.items[*n].key()).collect();
        let mut ids: Vec<&str> = keys.iter().map(|(customer_id, _)| *customer_id).collect();
        ids.sort_unstable();
        ids.dedup();
        self.moved_of = backfill::move_back::<B>(tx, &ids, &keys, options.record_time).await?;
        Ok(())
    }

    /// Retracts what is stored with different content and records the batch's in its place, known from now on.
    async fn correct<B: Backend>(
        &mut self,
        tx: &mut Transaction<B>,
        batch: &SortedBatch,
        options: RecordOptions,
    ) -> Result<()> {
        if options.on_conflict != OnConflict::Correct || self.conflicts.is_empty() {
            return Ok(());
        }
        let record_time = options.record_time;
        let correction = |n: &usize| Interaction { record_time, ..batch.items[*n].clone() };
        let mut corrections: Vec<Interaction> = self.conflicts.iter().map(correction).collect();
        corrections.sort_by(|a, b| a.key().cmp(&b.key()));
        let keys: Vec<_> = corrections.iter().map(Interaction::key).collect();
        let retracted = retract_stored::<B>(tx, &keys, record_time, CORRECTED).await?.len();
        let inserted = B::insert_interactions(tx, &corrections).await?.rows;
        if (retracted, inserted) != (keys.len(), keys.len()) {
            // Somebody else has just changed one of them.
            return Err(StoreError::Aborted);
        }
        self.corrected = inserted;
        Ok(())
    }

    /// The customers of whom something was written, with those that they are merged into; `new` are those of the rows that
    /// were inserted.
    fn written<'b>(
        &'b self,
        batch: &'b SortedBatch,
        new: impl Iterator<Item = &'b str>,
        options: RecordOptions,
        survivors: &'b SurvivorsOf,
    ) -> Vec<&'b str> {
        let corrects = options.on_conflict == OnConflict::Correct;
        let corrected = self.conflicts.iter().filter(|_| corrects).map(|n| batch.items[*n].key().0);
        let moved = self.moved_of.iter().map(String::as_str);
        survivors.with_those_of(&new.chain(moved).chain(corrected).collect::<Vec<_>>())
    }

    fn counts(&self, batch: &SortedBatch, inserted: usize) -> Recorded {
        Recorded {
            recorded: inserted + self.corrected,
            duplicates: batch.items.len() - inserted - self.conflicts.len() + batch.repeated,
            corrected: self.corrected,
            skipped: self.conflicts.len() - self.corrected + batch.skipped,
            late: self.late,
            moved: self.moved_of.len(),
            outdated_predictions: 0,
            erased: 0,
        }
    }
}
