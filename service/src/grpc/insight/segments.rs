//! Segments, their members, and the attributes of customers.

use tally_model::{
    insight::{AttributeTypes, Segmentation, UnknownSegmentation, growth},
    time::Time,
};
use tally_proto::v1::{
    self, InsightServiceListAttributesRequest, InsightServiceListAttributesResponse,
    ListSegmentMembersRequest, ListSegmentMembersResponse, ListSegmentsRequest, ListSegmentsResponse,
};
use tally_store::{Member, MemberCursor, MemberFilter, MemberOrder, Pass, SegmentMove, SegmentSums};
use tonic::Status;

use super::{InsightRpc, reports::fitting};
use crate::{
    grpc::convert::{page, response::timestamp, validator::Validator},
    insight::{AttributeCoverage, ValuedMember, segment_growth},
    platform::error::Shortened,
};

/// ListSegments.
pub(super) async fn list(
    rpc: &InsightRpc,
    request: ListSegmentsRequest,
) -> Result<ListSegmentsResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let segmentation = segmentation(&mut validator, &request.segmentation);
    let mut time = |field, time: Option<_>| time.as_ref().map(|time| validator.time(field, time));
    let as_of = time("as_of_time", request.as_of_time);
    let compare_to = time("compare_to_time", request.compare_to_time);
    let (segmentation, as_of, compare_to) = validator.finish((segmentation, as_of, compare_to))?;
    let found = rpc.insights.segments(&segmentation, as_of, compare_to).await?;
    let warnings = rpc.insights.segment_warnings(&found.pass, &segmentation).await?;
    let population = &found.pass.population;
    let customers: i64 = found.segments.iter().map(|sums| sums.customers).sum();
    let revenue: i128 = found.segments.iter().map(|sums| i128::from(sums.revenue)).sum();
    let (before, moves) = found.moves.unzip();
    let response = ListSegmentsResponse {
        segments: found.segments.into_iter().map(|sums| segment(sums, customers, revenue)).collect(),
        transitions: moves.into_iter().flatten().map(transition).collect(),
        as_of_time: Some(timestamp(found.pass.as_of)),
        compare_to_time: before.map(|before| timestamp(before.as_of)),
        known_time: Some(timestamp(found.pass.known_at)),
        definition: segmentation.definition(population),
        typical_interval_days: population.typical_interval.as_days(),
        warnings,
    };
    Ok(fitting(response, "segmentation", "choose an attribute with fewer values")?)
}

/// ListSegmentMembers.
pub(super) async fn members(
    rpc: &InsightRpc,
    request: ListSegmentMembersRequest,
) -> Result<ListSegmentMembersResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let size = validator.page_size(request.page_size);
    let segmentation = segmentation(&mut validator, &request.segmentation);
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    if request.missing_value && !matches!(segmentation, Segmentation::Attribute(_)) {
        validator.refuse("missing_value", "is set; allowed is that only for `attribute:NAME`");
    }
    if request.missing_value && !request.segment.is_empty() {
        validator.refuse("segment", "is set beside missing_value; allowed is one of them");
    }
    check_segment(&mut validator, &request.segment);
    let order = order(&mut validator, &request.order_by);
    let (size, segmentation, as_of) = validator.finish((size, segmentation, as_of))?;
    let of_segment = (segmentation.to_string(), &request.segment, request.missing_value);
    let scope = ("ListSegmentMembers", of_segment, as_of, order == MemberOrder::Clv);
    let after: Option<MemberCursor> = rpc.page_tokens.open(&scope, &request.page_token)?;
    // All pages are of one pass.
    let pass = match &after {
        None => rpc.insights.pass(as_of).await?,
        Some(after) => rpc.insights.pass_of_page(after.pass_id).await?,
    };
    let all = request.segment.is_empty() && !request.missing_value;
    let segment = (!all).then(|| request.segment.clone());
    if let Some(segment) = &segment {
        rpc.insights.check_segment(&pass, &segmentation, segment)?;
    }
    let filter = MemberFilter { pass_id: pass.pass_id, segmentation, segment };
    let (found, total) = rpc.insights.members(&pass, &filter, (order, after), size + 1).await?;
    let warnings = rpc.insights.segment_warnings(&pass, &filter.segmentation).await?;
    let (members, last) = page::cut(found, size, |valued| cursor(&pass, order, &valued.member), member);
    Ok(ListSegmentMembersResponse {
        members,
        next_page_token: rpc.page_tokens.next(&scope, last)?,
        total_size: total as i64,
        as_of_time: Some(timestamp(pass.as_of)),
        known_time: Some(timestamp(pass.known_at)),
        warnings,
    })
}

/// ListAttributes.
pub(super) async fn attributes(
    rpc: &InsightRpc,
    request: InsightServiceListAttributesRequest,
) -> Result<InsightServiceListAttributesResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let as_of: Option<Time> = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let of_segment = !request.segmentation.is_empty();
    if !of_segment && !request.segment.is_empty() {
        validator.refuse("segmentation", "is empty beside segment; allowed are both or neither");
    }
    let segmentation =
        if of_segment { segmentation(&mut validator, &request.segmentation) } else { Segmentation::Abc };
    check_segment(&mut validator, &request.segment);
    let (as_of, segmentation) = validator.finish((as_of, segmentation))?;
    let pass = rpc.insights.pass(as_of).await?;
    let segment = of_segment.then_some(request.segment);
    if let Some(segment) = &segment {
        rpc.insights.check_segment(&pass, &segmentation, segment)?;
    }
    let filter = MemberFilter { pass_id: pass.pass_id, segmentation, segment };
    let (attributes, customers) = rpc.insights.attributes(&pass, &filter).await?;
    let response = InsightServiceListAttributesResponse {
        attributes: attributes.into_iter().map(|attribute| coverage(attribute, customers)).collect(),
        as_of_time: Some(timestamp(pass.as_of)),
        known_time: Some(timestamp(pass.known_at)),
        customers: customers as i64,
    };
    Ok(fitting(response, "segmentation", "choose a segment whose customers have fewer attributes")?)
}

fn segmentation(validator: &mut Validator, text: &str) -> Segmentation {
    match text.parse() {
        Ok(Segmentation::Attribute(name)) => Segmentation::Attribute(validator.word("segmentation", name)),
        Ok(segmentation) => segmentation,
        Err(UnknownSegmentation) => {
            validator.refuse("segmentation", format!("is `{}`, {UnknownSegmentation}", Shortened(text)));
            Segmentation::Abc
        }
    }
}

/// Checks the name of a segment, which is a value for an attribute. None such has the character U+0000.
fn check_segment(validator: &mut Validator, name: &str) {
    if name.contains('\0') {
        validator.refuse("segment", "has the character U+0000, which is not allowed");
    }
}

fn segment(sums: SegmentSums, customers: i64, revenue: i128) -> v1::Segment {
    let share = |part: i64, of: i128| (of > 0).then(|| part as f64 / of as f64);
    v1::Segment {
        share_of_customers: share(sums.customers, customers.into()),
        share_of_revenue: share(sums.revenue, revenue),
        growth: segment_growth(&sums),
        satisfaction: (sums.surveys > 0).then(|| sums.satisfaction_sum / sums.surveys as f64),
        clv_minor: sums.clv,
        segment: sums.segment,
        customers: sums.customers,
        revenue_minor: sums.revenue,
        returns_minor: sums.returns,
        orders: sums.orders,
    }
}

fn transition(moved: SegmentMove) -> v1::SegmentTransition {
    let SegmentMove { from, to, customers } = moved;
    v1::SegmentTransition {
        did_not_exist: from.is_none(),
        from_segment: from.unwrap_or_default(),
        to_segment: to,
        customers,
    }
}

/// What the members of a segment are listed by.
fn order(validator: &mut Validator, order_by: &str) -> MemberOrder {
    match order_by {
        "" | "net desc" => MemberOrder::Net,
        "clv desc" => MemberOrder::Clv,
        _ => {
            let given = Shortened(order_by);
            validator.refuse("order_by", format!("is `{given}`; allowed are `net desc` and `clv desc`"));
            MemberOrder::Net
        }
    }
}

fn cursor(pass: &Pass, order: MemberOrder, member: &Member) -> MemberCursor {
    let (value, customer_id) = (order.of(member), member.customer_id.clone());
    MemberCursor { pass_id: pass.pass_id, value, customer_id }
}

fn member(ValuedMember { member, name, interval }: ValuedMember) -> v1::SegmentMember {
    v1::SegmentMember {
        name,
        growth: growth(member.net, member.previous_net),
        customer_id: member.customer_id,
        segment: member.segment,
        revenue_minor: member.revenue,
        returns_minor: member.returns,
        orders: member.orders,
        previous_net_minor: member.previous_net,
        recency_days: member.recency_days,
        rfm_cell: member.rfm_cell,
        abc_class: member.abc_class,
        life_cycle: member.life_cycle,
        loyalty_points: member.loyalty_points as i32,
        expected_interval_days: member.expected_interval_days,
        overdue_ratio: member.overdue_ratio,
        churn_probability: member.churn_probability,
        clv_minor: member.clv,
        clv_lower_minor: interval.map(|[lower, _]| lower.round() as i64),
        clv_upper_minor: interval.map(|[_, upper]| upper.round() as i64),
        expected_purchases: member.expected_purchases,
    }
}

fn coverage(attribute: AttributeCoverage, customers: u64) -> v1::AttributeCoverage {
    let AttributeCoverage { values, types } = attribute;
    let of_type = match types {
        AttributeTypes { booleans: 0, texts: 0, .. } => "number",
        AttributeTypes { numbers: 0, texts: 0, .. } => "boolean",
        AttributeTypes { numbers: 0, booleans: 0, .. } => "text",
        _ => "mixed",
    };
    let count = |(value, customers)| v1::ValueCount { value, customers };
    v1::AttributeCoverage {
        name: values.name,
        r#type: of_type.to_owned(),
        customers: values.customers,
        coverage: values.customers as f64 / customers as f64,
        distinct_values: values.distinct,
        top_values: values.top.into_iter().map(count).collect(),
    }
}
