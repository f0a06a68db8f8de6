//! Sends customers, one batch after the other.

use tally_proto::v1::{UpsertCustomersRequest, UpsertCustomersResponse};
use tally_terminal::{Interrupts, progress};
use tokio::time::sleep;

use super::CustomerLayout;
use crate::{
    connection::Connection,
    error::ClientError,
    import::{
        batches::{RowBatch, read_ahead},
        check::Checked,
        retries::Retries,
        upload::Upload,
    },
};

/// How customers are stored.
#[derive(Clone, Copy, Debug)]
pub(in crate::import) struct CustomerOptions<'a> {
    /// The attributes that are brought into the past.
    pub(in crate::import) backfill_attributes: &'a [String],
    pub(in crate::import) recreate_erased: bool,
}

/// Sends the customers of a file. Batches do not overlap, so that of two rows of the same customer the
/// later one stays. A signal ends it between batches. Returns the totals of all replies.
pub(in crate::import) async fn send(
    server: &Connection,
    file: Checked<CustomerLayout>,
    options: CustomerOptions<'_>,
    interrupts: &Interrupts,
) -> Result<UpsertCustomersResponse, ClientError> {
    let Checked { source, layout, rows } = file;
    let bar = progress::begin("customers", rows);
    let mut client = server.customers();
    let mut batches = read_ahead(source.clone(), layout);
    let mut totals = UpsertCustomersResponse::default();
    let mut upload = Upload::new(server, source.name(), "customers");
    loop {
        let batch = tokio::select! {
            biased;
            signal = interrupts.received() => return Err(upload.interrupted(signal)),
            batch = batches.recv() => batch,
        };
        let Some(batch) = batch else { break };
        let RowBatch { items, lines } = batch.map_err(|error| upload.stopped(error.into()))?;
        let request = UpsertCustomersRequest {
            customers: items,
            backfill_attributes: options.backfill_attributes.to_vec(),
            recreate_erased: options.recreate_erased,
        };
        let mut retries = Retries::new();
        let reply = loop {
            let status = match client.upsert_customers(request.clone()).await {
                Ok(reply) => break reply.into_inner(),
                Err(status) => status,
            };
            let wait = retries.wait(&status).ok_or_else(|| upload.failed(&lines, &status))?;
            tokio::select! {
                () = sleep(wait) => {}
                signal = interrupts.received() => return Err(upload.interrupted(signal)),
            }
        };
        totals.upserted += reply.upserted;
        totals.backfilled += reply.backfilled;
        totals.outdated_predictions += reply.outdated_predictions;
        totals.erased += reply.erased;
        upload.rows += lines.len() as u64;
        bar.set_position(upload.rows);
    }
    upload.complete(rows)?;
    Ok(totals)
}
