//! What stays of erased customers in the pages of a file.
//!
//! With `secure_delete` SQLite overwrites rows where it deletes them. But when it moves rows to other pages, to balance
//! a tree, their bytes stay in the middle of the page that they came from, between the places of its rows and the rows,
//! and are not overwritten when the rows are deleted later. So the middles of all pages are overwritten after an erasure.

use std::ops::Range;

use super::Sqlite;
use crate::{
    error::Result,
    shared::{Engine, Statement, Transaction, detached},
};

/// Pages that are looked at in one query, and overwritten in one transaction.
const PAGES: i64 = 512;
/// The number of a page is part of others, the first byte of which is not that of a page of a tree up to this number.
const MOST_PAGES: i64 = (1 << 25) - 1;

/// Selects the pages of two numbers and between them.
const SELECT: &str = "WITH RECURSIVE n (number) AS (SELECT $1 UNION ALL SELECT number + 1 FROM n WHERE number < $2) \
     SELECT p.pgno, p.data FROM n CROSS JOIN sqlite_dbpage AS p WHERE p.pgno = n.number";

/// Overwrites the middles of all pages.
pub(super) async fn scrub(store: &Sqlite) -> Result<()> {
    let mut first = 1;
    while first <= MOST_PAGES {
        let pages = Statement::new(SELECT).bind(first).bind(first + PAGES - 1);
        let pages: Vec<(i64, Vec<u8>)> = store.read(pages).await?;
        let Some((last, _)) = pages.last() else { break };
        first = last + 1;
        let left: Vec<i64> =
            pages.iter().filter(|(number, page)| clean(*number, page).is_some()).map(|(n, _)| *n).collect();
        if !left.is_empty() {
            overwrite(store, left).await?;
        }
    }
    Ok(())
}

async fn overwrite(store: &Sqlite, numbers: Vec<i64>) -> Result<()> {
    let owned = store.clone();
    detached(store, async move {
        let mut tx = owned.begin().await?;
        for number in numbers {
            overwrite_page(&mut tx, number).await?;
        }
        Ok(tx.commit().await?)
    })
    .await
}

async fn overwrite_page(tx: &mut Transaction<Sqlite>, number: i64) -> Result<()> {
    // Others may have written to it since it was looked at.
    let select = Statement::new("SELECT data FROM sqlite_dbpage WHERE pgno = $1").bind(number);
    let page: Option<(Vec<u8>,)> = Sqlite::run(tx, select).await?.pop();
    if let Some(page) = page.and_then(|(page,)| clean(number, &page)) {
        let update = Statement::new("UPDATE sqlite_dbpage SET data = $1 WHERE pgno = $2");
        Sqlite::run::<()>(tx, update.bind(page.as_slice()).bind(number)).await?;
    }
    Ok(())
}

/// The page with zeros in its middle; None when it has nothing else there.
fn clean(number: i64, page: &[u8]) -> Option<Vec<u8>> {
    let middle = middle(number, page)?;
    if page[middle.clone()].iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut page = page.to_vec();
    page[middle].fill(0);
    Some(page)
}

/// What lies between the places of the rows of a page and the rows, which is not used; None for a page that is not of a
/// tree. See "B-tree Pages" in the description of the file format of SQLite.
fn middle(number: i64, page: &[u8]) -> Option<Range<usize>> {
    // The first page begins with the header of the file.
    let header = if number == 1 { 100 } else { 0 };
    let places = header
        + match page.get(header)? {
            2 | 5 => 12,
            10 | 13 => 8,
            _ => return None,
        };
    let number_at = |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    let begin = places + 2 * number_at(header + 3)?;
    let end = match number_at(header + 5)? {
        0 => 1 << 16,
        end => end,
    };
    (begin <= end && end <= page.len()).then_some(begin..end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tally_model::time::Time;
    use uuid::Uuid;

    use super::*;
    use crate::{
        CustomerStore, IntegrityStore, Interaction, InteractionStore, OpenOptions, RecordOptions, Store,
        audit::Actor,
    };

    const NOW: Time = Time(1_700_000_000_000_000);

    /// A visit of a customer that nobody else has, with its id among the properties.
    fn visit(customer: u64, n: u64) -> Interaction {
        // As if drawn by chance, so that rows go to all places of the trees.
        let id = Uuid::from_u64_pair((customer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
        let customer_id = Uuid::from_u64_pair(customer.wrapping_mul(0x9e37_79b9_7f4a_7c15), 7).to_string();
        Interaction {
            properties: BTreeMap::from([("page".to_owned(), format!("/of/{customer_id}"))]),
            customer_id,
            interaction_id: id.to_string(),
            kind: "visit".to_owned(),
            occur_time: NOW,
            record_time: NOW,
            amount_minor: None,
            channel: "web".to_owned(),
        }
    }

    #[tokio::test]
    async fn nothing_of_rows_that_were_moved_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tally.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
        let store = Sqlite::open(options, OpenOptions::default(), "test".into()).await.unwrap();
        for n in 0..4 {
            for part in 0..20 {
                let items = (part * 100..(part + 1) * 100).map(|customer| visit(customer, n)).collect();
                store.record_interactions(items, RecordOptions::new(NOW)).await.unwrap();
            }
        }
        let erased: Vec<String> = (0..2_000).step_by(10).map(|n| visit(n, 0).customer_id).collect();
        for id in &erased {
            store.delete_customer(id, &Actor::default(), NOW).await.unwrap().unwrap();
        }
        let problems = store.check_structure(None).await.unwrap().problems;
        Store::close(&store).await.unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let is_left = |id: &&String| bytes.windows(id.len()).any(|part| part == id.as_bytes());
        assert_eq!(erased.iter().filter(is_left).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn only_pages_of_trees_have_a_middle() {
        let mut page = vec![0; 4_096];
        page[..8].copy_from_slice(&[13, 0, 0, 0, 3, 0x0f, 0x00, 0]);
        assert_eq!(middle(2, &page), Some(14..0x0f00));
        assert_eq!(clean(2, &page), None);
        page[2_000] = 1;
        assert!(clean(2, &page).unwrap()[14..0x0f00].iter().all(|byte| *byte == 0));
        assert_eq!(middle(1, &page), None);
        page[0] = 0;
        assert_eq!(middle(2, &page), None);
        page[0] = 2;
        page[3..7].copy_from_slice(&[0xff, 0xff, 0x0f, 0x00]);
        assert_eq!(middle(2, &page), None);
    }
}
