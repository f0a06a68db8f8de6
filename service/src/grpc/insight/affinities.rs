//! What customers buy together.

use tally_model::insight::{Affinity, NextToBuy};
use tally_proto::v1::{self, ListAffinitiesRequest, ListAffinitiesResponse};
use tonic::Status;

use super::InsightRpc;
use crate::grpc::convert::{page, response::timestamp, validator::Validator};

/// ListAffinities.
pub(super) async fn list(
    rpc: &InsightRpc,
    request: ListAffinitiesRequest,
) -> Result<ListAffinitiesResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let size = validator.page_size(request.page_size);
    let property = (!request.property.is_empty()).then(|| validator.word("property", request.property));
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let (size, property, as_of) = validator.finish((size, property, as_of))?;
    let scope = ("ListAffinities", &property, as_of);
    let after: Option<(i64, i64)> = rpc.page_tokens.open(&scope, &request.page_token)?;
    // All pages are of one list.
    let (pass, list) = match after {
        Some((list_id, _)) => {
            let list = rpc.insights.affinity_list_of_page(list_id).await?;
            (rpc.insights.pass_of_page(list.content.pass_id).await?, list)
        }
        None => {
            let pass = rpc.insights.pass(as_of).await?;
            let property = property.as_deref().unwrap_or(&pass.population.spec.affinity.property);
            let list = rpc.insights.affinity_list(&pass, property).await?;
            (pass, list)
        }
    };
    let found = rpc.insights.affinities(&list, after.map(|(_, place)| place), size + 1).await?;
    let (affinities, last) =
        page::cut(found, size, |(place, _)| (list.list_id, *place), |(_, affinity)| message(affinity));
    Ok(ListAffinitiesResponse {
        affinities,
        next_page_token: rpc.page_tokens.next(&scope, last)?,
        total_size: list.affinities,
        as_of_time: Some(timestamp(pass.as_of)),
        known_time: Some(timestamp(list.content.known_at)),
        customers: list.content.customers,
        values_left_out: list.content.values_left_out,
        affinities_left_out: list.content.affinities_left_out,
        property: list.content.property,
    })
}

fn message(affinity: Affinity) -> v1::Affinity {
    v1::Affinity {
        confidence: affinity.confidence(),
        from_value: affinity.from_value,
        to_value: affinity.to_value,
        from_customers: affinity.from_customers,
        to_customers: affinity.to_customers,
        both: affinity.both,
        confidence_lower: affinity.confidence_lower,
        lift: affinity.lift,
    }
}

/// What a customer may buy next.
pub(super) fn next_to_buy(next: NextToBuy) -> v1::NextToBuy {
    let NextToBuy { value, because, confidence_lower, lift } = next;
    v1::NextToBuy { value, because, confidence_lower, lift }
}
