//! A batch of interactions, made ready to be stored.

use tally_model::time::Time;

use crate::{
    error::{Result, StoreError},
    interactions::Interaction,
};

/// The interactions of a batch, each key once, in the order of their keys, so that two batches lock rows in the
/// same order.
pub(super) struct SortedBatch {
    pub(super) items: Vec<Interaction>,
    /// The index of each item in the request.
    indices: Vec<usize>,
    /// The number of repetitions that were left out.
    pub(super) repeated: usize,
}

impl SortedBatch {
    /// Sorts a batch.
    ///
    /// # Errors
    /// When a key occurs twice with different content.
    pub(super) fn new(interactions: Vec<Interaction>) -> Result<Self> {
        let mut numbered: Vec<(usize, Interaction)> = interactions.into_iter().enumerate().collect();
        numbered.sort_by(|(_, a), (_, b)| a.key().cmp(&b.key()));
        let mut batch = Self {
            items: Vec::with_capacity(numbered.len()),
            indices: Vec::with_capacity(numbered.len()),
            repeated: 0,
        };
        for (index, item) in numbered {
            match batch.items.last() {
                Some(last) if last.key() == item.key() && last.same_content(&item) => batch.repeated += 1,
                Some(last) if last.key() == item.key() => return Err(conflict(index, &item)),
                _ => {
                    batch.items.push(item);
                    batch.indices.push(index);
                }
            }
        }
        Ok(batch)
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

    /// Refuses the batch when it would change a stored interaction.
    pub(super) fn check_same(&self, stored: &Interaction) -> Result<()> {
        match self.items.binary_search_by(|item| item.key().cmp(&stored.key())) {
            Ok(n) if !self.items[n].same_content(stored) => Err(conflict(self.indices[n], &self.items[n])),
            _ => Ok(()),
        }
    }
}

fn conflict(index: usize, item: &Interaction) -> StoreError {
    StoreError::AlreadyExists(format!(
        "interactions[{index}]: `{}` of customer `{}` was sent before with different content; \
         nothing of this batch was stored",
        item.interaction_id, item.customer_id
    ))
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

        let batch = SortedBatch::new(sent.into()).unwrap();

        assert_eq!(batch.keys(), [("a", "1"), ("a", "2"), ("b", "1")]);
        assert_eq!(batch.repeated, 1);
        assert_eq!(batch.customer_ids(), ["a", "b"]);
        assert_eq!(batch.first_seen(), [("a", Time(5)), ("b", Time(9))]);
    }

    #[test]
    fn a_conflict_names_the_place_in_the_request() {
        let conflict = |result: Result<()>| match result {
            Err(StoreError::AlreadyExists(text)) => text,
            other => panic!("{other:?}"),
        };
        let twice = vec![interaction("b", "1", 1), interaction("a", "1", 1), interaction("a", "1", 2)];
        assert!(
            conflict(SortedBatch::new(twice).map(drop)).starts_with("interactions[2]: `1` of customer `a`")
        );

        let batch = SortedBatch::new(vec![interaction("b", "1", 1), interaction("a", "1", 1)]).unwrap();
        assert!(batch.check_same(&interaction("b", "1", 1)).is_ok());
        assert!(batch.check_same(&interaction("c", "1", 1)).is_ok());
        assert!(conflict(batch.check_same(&interaction("b", "1", 2))).starts_with("interactions[0]: "));
    }
}
