//! The worklist.

use tally_model::insight::{Cause, Outcome, WorkKind, WorkKinds};
use tally_proto::{
    limits,
    v1::{
        self, ActionEffect, GetActionEffectRequest, GetActionEffectResponse, ListWorklistRequest,
        ListWorklistResponse, PublishWorklistRequest, PublishWorklistResponse, RecordActionOutcomeRequest,
        RecordActionOutcomeResponse,
    },
};
use tally_store::{EffectFilter, Episode, NewOutcome, OutcomeReport};
use tonic::{Request, Status};

use super::{InsightRpc, affinities::next_to_buy, range};
use crate::{
    grpc::{
        caller::actor,
        convert::{
            page,
            response::{self, timestamp},
            validator::Validator,
        },
        status::about,
    },
    insight::{EffectLine, HandedOut, ListedWork, WorklistCursor, WorklistRequest},
};

/// ListWorklist.
pub(super) async fn list(
    rpc: &InsightRpc,
    request: ListWorklistRequest,
) -> Result<ListWorklistResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let size = validator.page_size(request.page_size);
    let kinds = kinds(&mut validator, &request.kinds);
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let (size, kinds, as_of) = validator.finish((size, kinds, as_of))?;
    let (include_held_out, include_not_paying) = (request.include_held_out, request.include_not_paying);
    let scope = ("ListWorklist", kinds.0, include_held_out, include_not_paying, as_of);
    let after: Option<WorklistCursor> = rpc.page_tokens.open(&scope, &request.page_token)?;
    // All pages are of one pass.
    let pass = match &after {
        None => rpc.insights.pass(as_of).await?,
        Some(after) => rpc.insights.pass_of_page(after.pass_id).await?,
    };
    let request = WorklistRequest { kinds, include_held_out, include_not_paying, limit: size + 1 };
    let found = rpc.insights.worklist(&pass, request, after).await?;
    let (items, last) = page::cut(found.items, size, |listed| listed.cursor.clone(), item);
    Ok(ListWorklistResponse {
        items,
        next_page_token: rpc.page_tokens.next(&scope, last)?,
        total_size: found.total,
        as_of_time: Some(timestamp(pass.as_of)),
        known_time: Some(timestamp(pass.known_at)),
        not_paying: found.not_paying,
        places_left: found.places.map(|places| places.left),
        places_used: found.places.map(|places| places.used),
        warnings: found.warnings,
        without_place: found.without_place,
    })
}

/// PublishWorklist.
pub(super) async fn publish(
    rpc: &InsightRpc,
    request: Request<PublishWorklistRequest>,
) -> Result<PublishWorklistResponse, Status> {
    let (by, request) = (actor(&request, ""), request.into_inner());
    let mut validator = Validator::new(rpc.clock.now());
    let kinds = kinds(&mut validator, &request.kinds);
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let (kinds, as_of) = validator.finish((kinds, as_of))?;
    let published = rpc.insights.publish_worklist(kinds, as_of, request.include_not_paying, &by);
    let HandedOut { pass, published, places, warnings } = published.await?;
    Ok(PublishWorklistResponse {
        published: published.published,
        held_out: published.held_out,
        still_open: published.still_open,
        as_of_time: Some(timestamp(pass.as_of)),
        places_left: places.map(|places| places.left),
        places_used: places.map(|places| places.used),
        warnings,
    })
}

/// RecordActionOutcome.
pub(super) async fn outcome(
    rpc: &InsightRpc,
    request: RecordActionOutcomeRequest,
) -> Result<RecordActionOutcomeResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let customer_id = validator.id("customer_id", request.customer_id);
    let kind = kind(&mut validator, "kind", request.kind);
    let is_given = !request.action.is_empty();
    let action = is_given.then(|| validator.word("action", request.action));
    let outcome = reported(&mut validator, request.outcome);
    validator.remark("note", &request.note, limits::VALUE_CHARS);
    let occur_time = request.occur_time.as_ref().map_or(now, |time| validator.time("occur_time", time));
    let note = request.note;
    let outcome = validator.finish(NewOutcome {
        customer_id: customer_id.clone(),
        kind,
        action,
        outcome,
        note,
        occur_time,
    })?;
    let recorded = rpc.insights.record_outcome(outcome).await;
    let Episode { customer_id, kind, action, as_of, until, .. } =
        recorded.map_err(about(&[("customer_id", &customer_id)]))?;
    Ok(RecordActionOutcomeResponse {
        customer_id,
        kind: work_kind(kind).into(),
        action,
        as_of_time: Some(timestamp(as_of)),
        until_time: Some(timestamp(until)),
    })
}

/// GetActionEffect.
pub(super) async fn effect(
    rpc: &InsightRpc,
    request: GetActionEffectRequest,
) -> Result<GetActionEffectResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let kinds = kinds(&mut validator, &request.kinds);
    let times = (request.from_time.as_ref(), request.to_time.as_ref());
    let (from, to) = range::read_limits(&mut validator, times, now);
    let (kinds, from, to) = validator.finish((kinds, from, to))?;
    let insights = rpc.insights.clone();
    let filter = EffectFilter { kinds, from, to, now };
    let found = rpc.insights.report(async move { insights.action_effect(filter).await }).await?;
    Ok(GetActionEffectResponse {
        rows: found.lines.into_iter().map(action_effect).collect(),
        known_time: Some(timestamp(now)),
        warnings: found.warnings,
    })
}

/// A set of kinds; all when none is named.
pub(super) fn kinds(validator: &mut Validator, named: &[i32]) -> WorkKinds {
    if named.is_empty() {
        return WorkKind::ALL.into_iter().collect();
    }
    // A request may name a million kinds, all of them wrong.
    let most = named.iter().enumerate().take(limits::VIOLATIONS);
    let kinds = most.map(|(n, named)| kind(validator, &format!("kinds[{n}]"), *named)).collect();
    if named.len() > limits::VIOLATIONS {
        validator
            .refuse("kinds", format!("has {} items; allowed are up to {}", named.len(), limits::VIOLATIONS));
    }
    kinds
}

fn kind(validator: &mut Validator, field: &str, kind: i32) -> WorkKind {
    match v1::WorkKind::try_from(kind) {
        Ok(v1::WorkKind::AtRisk) => return WorkKind::AtRisk,
        Ok(v1::WorkKind::WinBack) => return WorkKind::WinBack,
        Ok(v1::WorkKind::HotLead) => return WorkKind::HotLead,
        Ok(v1::WorkKind::Neglected) => return WorkKind::Neglected,
        Ok(v1::WorkKind::CareDate) => return WorkKind::CareDate,
        Ok(v1::WorkKind::Unspecified) | Err(_) => {}
    }
    validator.refuse(field, format!("is {kind}; allowed are WORK_KIND_AT_RISK to WORK_KIND_CARE_DATE"));
    WorkKind::AtRisk
}

fn reported(validator: &mut Validator, outcome: i32) -> Outcome {
    match v1::Outcome::try_from(outcome) {
        Ok(v1::Outcome::Done) => return Outcome::Done,
        Ok(v1::Outcome::NotReached) => return Outcome::NotReached,
        Ok(v1::Outcome::Declined) => return Outcome::Declined,
        Ok(v1::Outcome::Other) => return Outcome::Other,
        Ok(v1::Outcome::Unspecified) | Err(_) => {}
    }
    validator.refuse("outcome", format!("is {outcome}; allowed are OUTCOME_DONE to OUTCOME_OTHER"));
    Outcome::Other
}

pub(super) const fn work_kind(kind: WorkKind) -> v1::WorkKind {
    match kind {
        WorkKind::AtRisk => v1::WorkKind::AtRisk,
        WorkKind::WinBack => v1::WorkKind::WinBack,
        WorkKind::HotLead => v1::WorkKind::HotLead,
        WorkKind::Neglected => v1::WorkKind::Neglected,
        WorkKind::CareDate => v1::WorkKind::CareDate,
    }
}

const fn cause(cause: Cause) -> v1::Cause {
    match cause {
        Cause::OpenComplaint => v1::Cause::OpenComplaint,
        Cause::Returns => v1::Cause::Returns,
        Cause::Neglect => v1::Cause::Neglect,
        Cause::FallingUse => v1::Cause::FallingUse,
        Cause::Price => v1::Cause::Price,
        Cause::NeedChanged => v1::Cause::NeedChanged,
        Cause::Unknown => v1::Cause::Unknown,
    }
}

fn item(listed: ListedWork) -> v1::WorkItem {
    let ListedWork {
        item,
        probability,
        cause: of_item,
        reasons,
        next_to_buy: next,
        open,
        measured_effect,
        ..
    } = listed;
    let due = item.next_care.filter(|_| item.kind == WorkKind::CareDate);
    v1::WorkItem {
        customer_id: item.customer_id,
        name: item.name,
        kind: work_kind(item.kind).into(),
        value_at_risk_minor: item.value_at_risk,
        probability,
        clv_minor: item.clv_minor,
        abc_class: item.abc_class,
        cause: cause(of_item).into(),
        action: item.action,
        reasons: reasons.into_iter().map(response::reason).collect(),
        due_time: due.map(timestamp),
        held_out: item.held_out,
        next_to_buy: next.into_iter().map(next_to_buy).collect(),
        expected_gain_minor: item.gain.map(|gain| gain.round() as i64),
        measured_effect,
        open_episode: open.map(open_episode),
    }
}

fn open_episode(episode: Episode) -> v1::OpenEpisode {
    v1::OpenEpisode {
        outcome: outcome_of(episode.report.as_ref()).into(),
        outcome_action: episode.report.map(|report| report.action),
        as_of_time: Some(timestamp(episode.as_of)),
        until_time: Some(timestamp(episode.until)),
        action: episode.action,
        held_out: episode.held_out,
    }
}

/// What was reported, if anything was.
pub(super) fn outcome_of(report: Option<&OutcomeReport>) -> v1::Outcome {
    match report.map(|report| report.outcome) {
        None => v1::Outcome::Unspecified,
        Some(Outcome::Done) => v1::Outcome::Done,
        Some(Outcome::NotReached) => v1::Outcome::NotReached,
        Some(Outcome::Declined) => v1::Outcome::Declined,
        Some(Outcome::Other) => v1::Outcome::Other,
    }
}

fn action_effect(line: EffectLine) -> ActionEffect {
    ActionEffect {
        kind: work_kind(line.kind).into(),
        action: line.action,
        treated: line.treated.customers,
        acted: line.acted,
        held_out: line.held_out.customers,
        treated_successes: line.treated.successes,
        held_out_successes: line.held_out.successes,
        rate_treated: line.treated.rate(),
        rate_held_out: line.held_out.rate(),
        effect: line.effect.map(|effect| effect.difference),
        lower: line.effect.map(|effect| effect.lower),
        upper: line.effect.map(|effect| effect.upper),
        open: line.open,
        more_needed: line.more_needed,
    }
}
