//! Lists that the server sends page by page.

use std::mem;

use indicatif::HumanCount;
use prost::{Message, Name};
use tally_proto::{
    limits,
    v1::{
        Affinity, Alert, AuditEvent, Episode, Interaction, ListAffinitiesResponse, ListAlertsResponse,
        ListAuditEventsResponse, ListEpisodesResponse, ListInteractionsResponse, ListModelsResponse,
        ListPredictionsResponse, ListPromotionsResponse, ListSegmentMembersResponse, ListWorklistResponse,
        Model, Promotion, Score, SegmentMember, WorkItem,
    },
};

use crate::{error::ClientError, output};

/// A page of a list.
pub(crate) trait Page: Default {
    /// What is listed.
    type Item: Message + Name;

    /// Takes the items and the token of the next page out of the page.
    fn split(&mut self) -> (Vec<Self::Item>, String);
}

/// Says which field of a response has its items.
macro_rules! pages {
    ($($page:ty: $items:ident of $item:ty;)+) => {
        $(impl Page for $page {
            type Item = $item;

            fn split(&mut self) -> (Vec<$item>, String) {
                (mem::take(&mut self.$items), mem::take(&mut self.next_page_token))
            }
        })+
    };
}

pages! {
    ListAffinitiesResponse: affinities of Affinity;
    ListAlertsResponse: alerts of Alert;
    ListAuditEventsResponse: events of AuditEvent;
    ListEpisodesResponse: episodes of Episode;
    ListInteractionsResponse: interactions of Interaction;
    ListModelsResponse: models of Model;
    ListPredictionsResponse: predictions of Score;
    ListPromotionsResponse: promotions of Promotion;
    ListSegmentMembersResponse: members of SegmentMember;
    ListWorklistResponse: items of WorkItem;
}

/// What was read of a list.
pub(crate) struct Listed<P: Page> {
    /// The items, unless they were printed as JSON.
    pub(crate) items: Vec<P::Item>,
    /// How many were read.
    pub(crate) shown: usize,
    /// Whether there are more.
    pub(crate) has_more: bool,
    /// The first page, without its items.
    pub(crate) first: P,
}

/// Reads a list up to `limit` items, by a function of the size of a page and its token. With `json` each page is printed when
/// it has come.
pub(crate) async fn read<P: Page>(
    limit: u64,
    json: bool,
    mut call: impl AsyncFnMut(i32, String) -> Result<P, ClientError>,
) -> Result<Listed<P>, ClientError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let size = limit.min(limits::LONGEST_PAGE) as i32;
    let mut listed = Listed { items: Vec::new(), shown: 0, has_more: false, first: P::default() };
    let mut token = String::new();
    loop {
        let is_first = token.is_empty();
        let mut page = call(size, token).await?;
        let (mut items, next) = page.split();
        items.truncate(limit - listed.shown);
        listed.shown += items.len();
        if json {
            items.iter().try_for_each(output::print_json)?;
        } else {
            listed.items.append(&mut items);
        }
        if is_first {
            listed.first = page;
        }
        token = next;
        listed.has_more = !token.is_empty();
        if listed.shown == limit || !listed.has_more {
            return Ok(listed);
        }
    }
}

/// Reads a whole list, by a function of the size of a page and its token.
pub(crate) async fn read_all<P: Page>(
    call: impl AsyncFnMut(i32, String) -> Result<P, ClientError>,
) -> Result<Vec<P::Item>, ClientError> {
    Ok(read(u64::MAX, false, call).await?.items)
}

/// How many items of a list are shown.
pub(crate) fn showing(shown: usize, total: i64) -> String {
    format!("showing {} of {}", HumanCount(shown as u64), HumanCount(total.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with so many alerts, whose pages have at most three.
    async fn listed(total: i32, limit: u64) -> (Listed<ListAlertsResponse>, Vec<(i32, String)>) {
        let mut calls = Vec::new();
        let listed = read(limit, false, async |size, token: String| {
            let first: i32 = token.parse().unwrap_or(0);
            calls.push((size, token));
            let end = total.min(first + size.min(3));
            Ok(ListAlertsResponse {
                alerts: (first..end).map(|n| Alert { alert_id: n.to_string(), ..Alert::default() }).collect(),
                next_page_token: if end < total { end.to_string() } else { String::new() },
                total_size: i64::from(total + first),
            })
        })
        .await
        .unwrap();
        (listed, calls)
    }

    #[tokio::test]
    async fn pages_are_read_until_there_are_enough() {
        for (total, limit, shown, has_more, calls) in [
            (7, 20, 7, false, vec!["", "3", "6"]),
            (7, 7, 7, false, vec!["", "3", "6"]),
            (7, 6, 6, true, vec!["", "3"]),
            (7, 4, 4, true, vec!["", "3"]),
            (7, u64::MAX, 7, false, vec!["", "3", "6"]),
            (0, 5, 0, false, vec![""]),
        ] {
            let (listed, asked) = listed(total, limit).await;
            let ids: Vec<String> = listed.items.iter().map(|alert| alert.alert_id.clone()).collect();
            let expected: Vec<String> = (0..shown).map(|n: usize| n.to_string()).collect();
            assert_eq!(
                (ids, listed.shown, listed.has_more),
                (expected, shown, has_more),
                "{limit} of {total}"
            );
            assert_eq!(listed.first.total_size, i64::from(total), "of the first page");
            let size = limit.min(1_000) as i32;
            assert!(
                asked
                    .iter()
                    .map(|(size, token)| (*size, token.as_str()))
                    .eq(calls.iter().map(|token| (size, *token)))
            );
        }
    }

    #[test]
    fn what_is_shown_is_counted() {
        assert_eq!(showing(20, 1_234), "showing 20 of 1,234");
    }
}
