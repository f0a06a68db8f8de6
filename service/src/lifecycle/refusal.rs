//! What the gate refuses is noted, for those whom rules of alerts tell of it.

use tally_model::time::Time;
use tally_store::{PromotionRefusal, Store};

use crate::catalog::ModelName;

/// Notes that the gate refused a model. An error is logged: what was decided stands without the note.
pub(super) async fn note_refusal(store: &dyn Store, name: ModelName, reason: &str, now: Time) {
    let refusal = PromotionRefusal {
        target: name.target,
        model_version: name.version,
        reason: reason.to_owned(),
        refuse_time: now,
    };
    if let Err(error) = store.note_refusal(refusal).await {
        tracing::warn!(%error, model = %name, reason, "a refusal could not be noted; no alert tells of it");
    }
}
