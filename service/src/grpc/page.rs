//! Pages: as many items as were asked for, but never more than a message may hold.

use prost::Message;

use tally_proto::limits;

/// Bytes of items on a page; what is left to the limit of a message is for the rest of the reply.
const PAGE_BYTES: usize = limits::MESSAGE_BYTES - (64 << 10);

/// Turns rows into the items of a page of at most `size`, and tells the cursor of its last row when
/// more rows follow. To know whether any do, the caller fetches one more than `size`.
pub(super) fn cut<R, M: Message, C>(
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
