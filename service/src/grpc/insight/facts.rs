//! The pass, and the facts of one customer.

use tally_model::{spec::Target, time::Time};
use tally_proto::v1::{
    self, CustomerInsight, GetCustomerInsightRequest, RefreshInsightsRequest, RefreshInsightsResponse,
};
use tally_store::{Contact, Prediction};
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{InsightRpc, affinities::next_to_buy};
use crate::{
    grpc::{
        caller::actor,
        convert::{
            response::{self, timestamp},
            validator::Validator,
        },
        predictions::{Messages, stream},
        status::about,
    },
    insight::{self, InsightPass, Insights, PassPurpose},
    platform::error::Result,
};

/// RefreshInsights.
pub(super) async fn refresh(
    rpc: &InsightRpc,
    request: &Request<RefreshInsightsRequest>,
) -> Result<ReceiverStream<Result<RefreshInsightsResponse, Status>>, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let as_of = validator.as_of(request.get_ref().as_of_time.as_ref());
    let as_of = validator.finish(as_of)?;
    let event = rpc.audit.done(&actor(request, ""), "RefreshInsights").about(as_of.to_string());
    rpc.audit.note(event).await?;
    let insights = rpc.insights.clone();
    Ok(stream(move |messages| async move { report_progress(&insights, as_of, &messages).await }))
}

/// Makes a pass and reports each page. A client that has gone ends it, also while it waits for the passes of others; a
/// slow one misses some progress, so that others need not wait for it.
async fn report_progress(
    insights: &Insights,
    as_of: Time,
    messages: &Messages<RefreshInsightsResponse>,
) -> Result<()> {
    let mut pass = tokio::select! {
        biased;
        () = messages.closed() => return Ok(()),
        pass = InsightPass::start(insights, as_of, PassPurpose::Refresh) => pass?,
    };
    while let Some(progress) = pass.next().await? {
        let message = Ok(RefreshInsightsResponse {
            done: progress.done as i64,
            total: progress.total as i64,
            as_of_time: Some(timestamp(as_of)),
            known_time: Some(timestamp(pass.known_at())),
            warning: pass.warning(),
        });
        if pass.is_over() {
            drop(pass);
            // The client may have gone.
            let _ = messages.send(message).await;
            break;
        }
        if let Err(TrySendError::Closed(_)) = messages.try_send(message) {
            break;
        }
    }
    Ok(())
}

/// What is said of a customer whose money does not fit.
const MONEY_IS_CUT: &str = "the money of this customer is beyond the range of 64 bits, 9223372036854775807 minor units; the end of \
                            the range is shown instead. Are its amounts right?";

/// GetCustomerInsight.
pub(super) async fn customer(
    rpc: &InsightRpc,
    request: GetCustomerInsightRequest,
) -> Result<CustomerInsight, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let id = validator.id("customer_id", request.customer_id);
    let as_of = validator.as_of(request.as_of_time.as_ref());
    let (id, as_of) = validator.finish((id, as_of))?;
    let found = rpc.insights.customer(&id, as_of).await;
    let found = found.map_err(about(&[("customer_id", &id), ("as_of_time", &as_of)]))?;
    Ok(customer_insight(found, as_of))
}

fn customer_insight(found: insight::CustomerInsight, as_of: Time) -> CustomerInsight {
    let insight::CustomerInsight { customer, facts, placement, pass, value, .. } = found;
    let ever = facts.ever;
    let purchases = facts.purchases;
    let mut warnings = pass.as_ref().map(|pass| pass.population.value.warnings()).unwrap_or_default();
    warnings.extend(ever.is_cut().then(|| MONEY_IS_CUT.to_owned()));
    let relative = |text: &str| if pass.is_some() { text.to_owned() } else { String::new() };
    let model = pass.as_ref().map(|pass| &pass.population.value).filter(|_| value.clv.is_some());
    let mut scores = found.scores;
    let mut score = |target: Target| {
        let place = scores.iter().position(|score| score.target == target)?;
        Some(response::score(scores.swap_remove(place)))
    };
    CustomerInsight {
        customer_id: customer.customer_id,
        name: customer.name,
        as_of_time: Some(timestamp(as_of)),
        population_as_of_time: pass.as_ref().map(|pass| timestamp(pass.as_of)),
        life_cycle: placement.life_cycle.name().to_owned(),
        abc_class: relative(placement.abc.name()),
        rfm_cell: relative(&placement.rfm_cell()),
        rfm_segment: relative(&found.rfm_segment),
        value_loyalty: relative(placement.value_loyalty.name()),
        revenue_minor: ever.revenue,
        returns_minor: ever.returns,
        cost_minor: ever.cost,
        cost_stated: facts.cost_stated,
        profit_minor: ever.profit(),
        orders: ever.orders,
        purchase_days: purchases.map_or(0, |purchases| purchases.count),
        first_purchase_time: purchases.map(|purchases| timestamp(purchases.first_purchase)),
        last_purchase_time: purchases.map(|purchases| timestamp(purchases.last_purchase)),
        recency_days: purchases.map(|purchases| purchases.recency_days(as_of)),
        expected_interval_days: placement.expected_interval_days,
        overdue_ratio: placement.overdue_ratio,
        satisfaction: facts.satisfaction(),
        loyalty_points: placement.loyalty_points,
        discount_share: facts.discount_share(),
        referrals: facts.referrals,
        referrals_bought: found.referrals_bought as i64,
        share_of_wallet: found.share_of_wallet,
        complaints: facts.complaints,
        complaints_open: facts.complaints_open,
        last_contact_time: facts.last_contact.map(timestamp),
        completeness: found.completeness,
        missing_attributes: found.missing_attributes,
        lead_score: score(Target::Lead),
        churn_score: score(Target::Churn),
        score_history: found.score_history.iter().map(score_point).collect(),
        contacts: found.contacts.into_iter().map(contact).collect(),
        open_complaints: found.open_complaints.into_iter().map(contact).collect(),
        p_alive: value.of_buyer.map(|of_buyer| of_buyer.p_alive),
        expected_purchases: value.of_buyer.map(|of_buyer| of_buyer.expected_purchases),
        clv_minor: value.clv.map(|clv| clv.round() as i64),
        clv_lower_minor: value.interval.map(|[lower, _]| lower.round() as i64),
        clv_upper_minor: value.interval.map(|[_, upper]| upper.round() as i64),
        clv_horizon_days: model.map(|model| model.spec.horizon_days as i32),
        clv_margin_rate: model.map(|model| model.margin_rate),
        next_to_buy: found.next_to_buy.into_iter().map(next_to_buy).collect(),
        next_care_time: found.next_care.map(timestamp),
        held_out: found.held_out,
        cancel_time: placement.cancel_time.map(timestamp),
        warnings,
    }
}

fn score_point(prediction: &Prediction) -> v1::ScorePoint {
    v1::ScorePoint {
        target: response::target(prediction.target).into(),
        as_of_time: Some(timestamp(prediction.as_of)),
        probability: prediction.probability,
        model: format!("{}/{}", prediction.target, prediction.model_version),
    }
}

fn contact(contact: Contact) -> v1::Contact {
    let Contact { interaction_id, kind, occur_time, channel } = contact;
    v1::Contact { interaction_id, kind, occur_time: Some(timestamp(occur_time)), channel }
}
