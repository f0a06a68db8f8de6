//! The latest predictions, which are listed: they leave the list when their customers are not eligible any more.

use std::collections::HashMap;

use sqlx::FromRow;
use tally_model::{history::kind, spec::Target};

use super::{Backend, Stamp, Statement, Transaction, batch::SortedBatch, merges::SurvivorsOf};
use crate::{error::Result, interactions::Interaction};

/// The kinds that can end what a prediction is about.
const ENDING_KINDS: [&str; 2] = [kind::PURCHASE, kind::CANCEL];

/// A latest prediction that an interaction of some kind ends.
#[derive(FromRow)]
pub(crate) struct EndedByRow {
    pub(crate) customer_id: String,
    pub(crate) target: String,
    pub(crate) as_of_time: Stamp,
}

/// Takes predictions off the list whose customers have bought (leads) or cancelled (churn by `cancel`), as a stored
/// batch tells: with any `purchase`, since who has ever bought is no lead; with a `cancel` that was not known when the
/// score was computed, so that one which is sent again says nothing about a customer that has come back.
pub(super) async fn forget_ended<B: Backend>(
    tx: &mut Transaction<B>,
    batch: &SortedBatch,
    survivors: &SurvivorsOf,
) -> Result<()> {
    for kind in ENDING_KINDS {
        let ending: Vec<&Interaction> = batch.items.iter().filter(|item| item.kind == kind).collect();
        let mut by_customer: HashMap<&str, Vec<&Interaction>> = HashMap::new();
        for item in ending {
            let merged_into = survivors.of(&item.customer_id).map(|(into, _)| into);
            for id in merged_into.chain([item.customer_id.as_str()]) {
                by_customer.entry(id).or_default().push(item);
            }
        }
        if by_customer.is_empty() {
            continue;
        }
        let ids: Vec<&str> = by_customer.keys().copied().collect();
        for row in B::latest_ended_by(tx, kind, &ids).await? {
            let items = by_customer.get(row.customer_id.as_str()).map(Vec::as_slice).unwrap_or_default();
            if row.target == Target::Lead.name() || has_unknown::<B>(tx, &row, items).await? {
                let delete =
                    Statement::new("DELETE FROM latest_predictions WHERE customer_id = $1 AND target = $2")
                        .bind(row.customer_id.as_str())
                        .bind(row.target.as_str());
                B::run::<()>(tx, delete).await?;
            }
        }
    }
    Ok(())
}

/// Whether one of these interactions was recorded after the moment of the prediction.
async fn has_unknown<B: Backend>(
    tx: &mut Transaction<B>,
    latest: &EndedByRow,
    items: &[&Interaction],
) -> Result<bool> {
    let keys: Vec<(&str, &str)> = items.iter().map(|item| item.key()).collect();
    let stored = B::stored_interactions(tx, &keys).await?;
    let mut stored = stored.into_iter().map(Interaction::from);
    Ok(stored.any(|stored| stored.record_time > latest.as_of_time.0))
}
