//! Sends customers, one batch after the other.

use tally_proto::v1::UpsertCustomersRequest;

use super::CustomerLayout;
use crate::{
    connection::Connection,
    error::ClientError,
    import::{
        batches::{RowBatch, read_ahead},
        check::Checked,
        upload::Upload,
    },
    progress,
};

/// Sends the customers of a file. Batches do not overlap, so that of two rows of the same customer the
/// later one stays. Returns the number of customers upserted.
pub(in crate::import) async fn send(
    server: &Connection,
    file: Checked<CustomerLayout>,
) -> Result<i64, ClientError> {
    let Checked { path, layout, rows } = file;
    let bar = progress::begin("customers", rows);
    let mut client = server.customers();
    let mut batches = read_ahead(path.clone(), layout);
    let mut upserted = 0;
    let mut upload = Upload::new(server, &path, "customers");
    while let Some(batch) = batches.recv().await {
        let RowBatch { items, lines } = batch.map_err(|error| upload.stopped(error.into()))?;
        let reply =
            client.upsert_customers(UpsertCustomersRequest { customers: items, ..Default::default() }).await;
        upserted += reply.map_err(|status| upload.failed(&lines, &status))?.into_inner().upserted;
        upload.rows += lines.len() as u64;
        bar.set_position(upload.rows);
    }
    upload.complete(rows)?;
    Ok(upserted)
}

#[cfg(test)]
mod tests {
    use std::{iter, path::Path};

    use tally_proto::v1::Customer;

    use super::*;
    use crate::{
        error::CsvError,
        import::batches::{BATCH_BYTES, in_batches},
    };

    fn sizes(ids: impl Iterator<Item = String>) -> Vec<usize> {
        let row = |(line, customer_id)| Ok((line, Customer { customer_id, ..Customer::default() }));
        in_batches::<CustomerLayout>((2..).zip(ids).map(row))
            .map(|batch| batch.unwrap().items.len())
            .collect()
    }

    #[test]
    fn batches_are_full_but_not_too_large_and_have_no_customer_twice() {
        assert_eq!(sizes((0..2_500).map(|n| format!("C{n}"))), [1_000, 1_000, 500]);
        assert_eq!(sizes(["a", "b", "a", "a", "c"].map(str::to_owned).into_iter()), [2, 1, 2]);
        assert_eq!(sizes(iter::empty()), [0; 0]);
        let long = "x".repeat(BATCH_BYTES / 3);
        assert_eq!(sizes((0..5).map(|n| format!("{n}{long}"))), [2, 2, 1]);
    }

    #[test]
    fn a_row_that_cannot_be_read_ends_the_batches() {
        let rows = [Ok((2, Customer::default())), Err(CsvError::of_file(Path::new("x"), "y"))];
        let mut batches = in_batches::<CustomerLayout>(rows.into_iter());
        assert!(batches.next().unwrap().is_err());
    }
}
