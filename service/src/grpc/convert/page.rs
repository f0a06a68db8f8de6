//! Pages of lists: as many items as were asked for, but not more than a message may hold.

use prost::Message;

use tally_proto::limits;

/// The most bytes of items on a page; the rest of the response needs some, too.
const PAGE_BYTES: usize = limits::MESSAGE_BYTES - (64 << 10);

/// Converts rows into the items of a page of at most `size`. Also returns the cursor of the last row
/// when more rows follow; to know whether they do, the caller fetches `size + 1` rows.
pub fn cut<R, M: Message, C>(
    rows: Vec<R>,
    size: usize,
    cursor: impl Fn(&R) -> C,
    item: impl Fn(R) -> M,
) -> (Vec<M>, Option<C>) {
    let (mut items, mut last, mut bytes) = (Vec::with_capacity(rows.len().min(size)), None, 0);
    for row in rows {
        let place = cursor(&row);
        let next = item(row);
        bytes += next.encoded_len();
        if items.len() == size || (bytes > PAGE_BYTES && !items.is_empty()) {
            return (items, last);
        }
        items.push(next);
        last = Some(place);
    }
    (items, None)
}

/// Splits items into pages, as few as messages can hold.
pub fn split<M: Message>(items: impl Iterator<Item = M>) -> Vec<Vec<M>> {
    let (mut pages, mut bytes) = (vec![Vec::new()], 0);
    for item in items {
        bytes += item.encoded_len();
        if bytes > PAGE_BYTES {
            pages.push(Vec::new());
            bytes = item.encoded_len();
        }
        if let Some(page) = pages.last_mut() {
            page.push(item);
        }
    }
    pages.retain(|page| !page.is_empty());
    pages
}
