//! A batch of interactions, made ready to be stored.

use std::collections::HashSet;

use tally_model::time::Time;

use crate::{
    error::{RefusedItem, Result, StoreError},
    interactions::{Interaction, OnConflict},
};

/// The interactions of a batch, each key once, in the order of their keys, so that two batches lock rows in the
/// same order.
#[derive(Clone)]
pub(super) struct SortedBatch {
    pub(super) items: Vec<Interaction>,
    /// The index of each item in the request.
    indices: Vec<usize>,
    /// The number of repetitions that were left out.
    pub(super) repeated: usize,
    /// The number of items that were left out because another one has their key and different content.
    pub(super) skipped: usize,
}

impl SortedBatch {
    /// Sorts a batch. Of several items with one key and different content, the first counts when conflicts are skipped,
    /// the last when it corrects.
    ///
    /// # Errors
    /// When a key occurs twice with different content, and conflicts fail.
    pub(super) fn new(interactions: Vec<Interaction>, on_conflict: OnConflict) -> Result<Self> {
        let mut numbered: Vec<(usize, Interaction)> = interactions.into_iter().enumerate().collect();
        // Without the memory of a stable sort.
        numbered.sort_unstable_by(|(n, a), (m, b)| a.key().cmp(&b.key()).then(n.cmp(m)));
        let mut batch = Self {
            items: Vec::with_capacity(numbered.len()),
            indices: Vec::with_capacity(numbered.len()),
            repeated: 0,
            skipped: 0,
        };
        for (index, item) in numbered {
            match batch.items.last_mut() {
                Some(last) if last.key() == item.key() && last.same_content(&item) => batch.repeated += 1,
                Some(last) if last.key() == item.key() => {
                    match on_conflict {
                        OnConflict::Fail => return Err(conflict(index, &item)),
                        OnConflict::Skip => {}
                        OnConflict::Correct => *last = item,
                    }
                    batch.skipped += 1;
                }
                _ => {
                    batch.items.push(item);
                    batch.indices.push(index);
                }
            }
        }
        Ok(batch)
    }

    /// The batch without the items of these customers.
    pub(super) fn without(&self, customer_ids: &HashSet<String>) -> Self {
        let items = self.items.iter().zip(&self.indices);
        let kept = items.filter(|(item, _)| !customer_ids.contains(&item.customer_id));
        let (items, indices) = kept.map(|(item, index)| (item.clone(), *index)).unzip();
        Self { items, indices, repeated: self.repeated, skipped: self.skipped }
    }

    /// The key of each item.
    pub(super) fn keys(&self) -> Vec<(&str, &str)> {
        self.items.iter().map(Interaction::key).collect()
    }

    /// The customers of the items, each once.
    pub(super) fn customer_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.items.iter().map(|item| item.customer_id.as_str()).collect();
        ids.dedup();
        ids
    }

    /// The customers of the items, each with the time of its earliest one.
    pub(super) fn first_seen(&self) -> Vec<(&str, Time)> {
        self.items
            .chunk_by(|a, b| a.customer_id == b.customer_id)
            .map(|own| {
                let first = own.iter().map(|interaction| interaction.occur_time).min();
                (own[0].customer_id.as_str(), first.unwrap_or(Time::MIN))
            })
            .collect()
    }

    /// The place of the item with the key of a stored interaction.
    pub(super) fn place(&self, stored: &Interaction) -> Option<usize> {
        self.items.binary_search_by(|item| item.key().cmp(&stored.key())).ok()
    }

    /// The error that refuses the batch because of the item at a place.
    pub(super) fn conflict(&self, place: usize) -> StoreError {
        conflict(self.indices[place], &self.items[place])
    }
}

fn conflict(index: usize, item: &Interaction) -> StoreError {
    let (customer_id, interaction_id) = (item.customer_id.clone(), item.interaction_id.clone());
    let message = format!(
        "interactions[{index}]: `{interaction_id}` of customer `{customer_id}` was sent before with different \
         content; nothing of this batch was stored; on_conflict can skip or correct it"
    );
    StoreError::AlreadyExists(RefusedItem { index, customer_id, interaction_id, message })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn interaction(customer_id: &str, interaction_id: &str, occurred: i64) -> Interaction {
        Interaction {
            customer_id: customer_id.into(),
            interaction_id: interaction_id.into(),
            kind: "visit".into(),
            occur_time: Time(occurred),
            record_time: Time(1_000),
            amount_minor: None,
            channel: String::new(),
            properties: BTreeMap::new(),
        }
    }

    #[test]
    fn a_batch_is_sorted_and_repetitions_are_counted() {
        let sent = [("b", "1", 9), ("a", "2", 5), ("b", "1", 9), ("a", "1", 7)];
        let sent = sent.map(|(customer, id, occurred)| interaction(customer, id, occurred));

        let batch = SortedBatch::new(sent.into(), OnConflict::Fail).unwrap();

        assert_eq!(batch.keys(), [("a", "1"), ("a", "2"), ("b", "1")]);
        assert_eq!(batch.repeated, 1);
        assert_eq!(batch.customer_ids(), ["a", "b"]);
        assert_eq!(batch.first_seen(), [("a", Time(5)), ("b", Time(9))]);
    }

    #[test]
    fn a_conflict_names_the_place_in_the_request() {
        let conflict = |error: StoreError| match error {
            StoreError::AlreadyExists(item) => item.message,
            other => panic!("{other:?}"),
        };
        let twice = vec![interaction("b", "1", 1), interaction("a", "1", 1), interaction("a", "1", 2)];
        let refused = SortedBatch::new(twice, OnConflict::Fail).map(drop).unwrap_err();
        assert!(conflict(refused).starts_with("interactions[2]: `1` of customer `a`"));

        let batch = vec![interaction("b", "1", 1), interaction("a", "1", 1)];
        let batch = SortedBatch::new(batch, OnConflict::Fail).unwrap();
        assert_eq!(batch.place(&interaction("c", "1", 1)), None);
        let place = batch.place(&interaction("b", "1", 2)).unwrap();
        assert!(conflict(batch.conflict(place)).starts_with("interactions[0]: "));
    }

    #[test]
    fn of_one_key_the_first_is_kept_and_the_last_corrects() {
        for (on_conflict, occurred) in [(OnConflict::Skip, 1), (OnConflict::Correct, 3)] {
            let sent = [1, 2, 3, 3].map(|occurred| interaction("a", "1", occurred));
            let batch = SortedBatch::new(sent.into(), on_conflict).unwrap();
            assert_eq!(batch.items, [interaction("a", "1", occurred)]);
            assert_eq!(batch.repeated + batch.skipped, 3);
        }
    }
}
