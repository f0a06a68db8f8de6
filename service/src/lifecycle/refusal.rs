//! What the gate refuses is noted, for those whom rules of alerts tell of it.

use tally_model::time::Time;
use tally_store::{PromotionRefusal, Store};

use crate::{catalog::ModelName, platform::error::Result};

/// Notes that the gate refused a model.
///
/// # Errors
/// When the store fails.
pub(super) async fn note_refusal(store: &dyn Store, name: ModelName, reason: &str, now: Time) -> Result<()> {
    let refusal = PromotionRefusal {
        target: name.target,
        model_version: name.version,
        reason: reason.to_owned(),
        refuse_time: now,
    };
    Ok(store.note_refusal(refusal).await?)
}
