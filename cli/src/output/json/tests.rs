use std::{cell::Cell, collections::HashMap};

use prost_reflect::MessageDescriptor;
use tally_proto::v1::{
    ComparePredictionsResponse, CustomerInsight, Drift, DriftBin, DriftRange, Episode, FeatureDrift,
    GetActionEffectResponse, GetCampaignsResponse, GetCohortsResponse, GetDriftResponse, GetKpisResponse,
    GetSalesReportResponse, Grade, InsightServiceListAttributesResponse, ListSegmentsResponse, Model,
    PreviewPromotionResponse, PromoteModelResponse, Promotion, PublishWorklistResponse, RealisedMonth,
    RecordActionOutcomeResponse, RefreshInsightsResponse, ReplayPredictionResponse, Score,
    ScorePopulationResponse, SegmentMember, Study, Target, WorkItem, drift_bin::Bin,
};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

/// The JSON of a message with every field set, each to another value, as it is printed but on many lines.
fn snapshot<M: Message + Name + Default>() {
    let descriptor = CONTRACT.as_ref().unwrap().get_message_by_name(&M::full_name()).unwrap();
    let sent: M = Filler::default().message(&descriptor).transcode_to().unwrap();
    let shown = serde_json::to_string_pretty(&message(&sent).unwrap()).unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(M::NAME, shown);
    });
}

#[test]
fn every_message_that_is_printed_shows_every_field_under_its_name() {
    snapshot::<Score>();
    snapshot::<ScorePopulationResponse>();
    snapshot::<ReplayPredictionResponse>();
    snapshot::<ComparePredictionsResponse>();
    snapshot::<Model>();
    snapshot::<GetDriftResponse>();
    snapshot::<RealisedMonth>();
    snapshot::<PromoteModelResponse>();
    snapshot::<Promotion>();
    snapshot::<PreviewPromotionResponse>();
    snapshot::<RefreshInsightsResponse>();
    snapshot::<CustomerInsight>();
    snapshot::<InsightServiceListAttributesResponse>();
    snapshot::<ListSegmentsResponse>();
    snapshot::<SegmentMember>();
    snapshot::<GetKpisResponse>();
    snapshot::<GetSalesReportResponse>();
    snapshot::<GetCohortsResponse>();
    snapshot::<GetCampaignsResponse>();
    snapshot::<WorkItem>();
    snapshot::<Episode>();
    snapshot::<PublishWorklistResponse>();
    snapshot::<RecordActionOutcomeResponse>();
    snapshot::<GetActionEffectResponse>();
}

#[test]
fn what_is_not_set_is_null_or_zero_or_empty() {
    assert_eq!(
        message(&Score::default()).unwrap().to_string(),
        r#"{"as_of_time":null,"backfill_time":null,"base_log_odds":0.0,"basis":"UNSPECIFIED","customer_id":"","grade":"UNSPECIFIED","horizon_days":0,"known_time":null,"lower":0.0,"missing_features":[],"model":"","notes":[],"prediction_id":"","probability":0.0,"reasons":[],"score_time":null,"target":"UNSPECIFIED","upper":0.0}"#
    );
    assert_eq!(
        message(&FeatureDrift::default()).unwrap().to_string(),
        r#"{"beyond_share":null,"bins":[],"feature":"","mean_difference":null,"missing_difference":0.0,"psi":0.0,"psi_by_chance":0.0,"verdict":"UNSPECIFIED"}"#
    );
    // Of a study without a stack.
    assert_eq!(
        message(&Study::default()).unwrap().to_string(),
        r#"{"calibration":"","candidates":[],"recipe":null,"stack":null,"validation":""}"#
    );
}

#[test]
fn enums_lose_their_prefix_and_no_number_is_no_json_number() {
    let shown = message(&Score {
        target: Target::Churn.into(),
        grade: Grade::D.into(),
        basis: 99,
        probability: f64::NAN,
        ..Score::default()
    });
    let shown = shown.unwrap();
    assert_eq!([&shown["target"], &shown["grade"], &shown["basis"]], ["CHURN", "D", "UNSPECIFIED"]);
    assert_eq!(shown["probability"], Json::Null);
    let drift = FeatureDrift { verdict: Drift::TooFew.into(), ..FeatureDrift::default() };
    assert_eq!(message(&drift).unwrap()["verdict"], "TOO_FEW");
}

#[test]
fn of_a_oneof_the_one_that_is_set_is_shown() {
    let shown = |bin| message(&DriftBin { bin: Some(bin), ..DriftBin::default() }).unwrap().to_string();
    let range = Bin::Range(DriftRange { above: None, up_to: Some(2.5) });
    assert_eq!(
        [range, Bin::Level("x".to_owned()), Bin::Missing(true)].map(shown),
        [
            r#"{"population_share":0.0,"range":{"above":null,"up_to":2.5},"training_share":0.0}"#,
            r#"{"level":"x","population_share":0.0,"training_share":0.0}"#,
            r#"{"missing":true,"population_share":0.0,"training_share":0.0}"#,
        ]
    );
}

#[test]
fn values_are_shown_without_their_wrapping() {
    let shown = |kind| natural(&Value { kind: Some(kind) }).to_string();
    assert_eq!(shown(value::Kind::NumberValue(143.0)), "143");
    assert_eq!(shown(value::Kind::NumberValue(0.5)), "0.5");
    assert_eq!(shown(value::Kind::NumberValue(1e16)), "1e+16");
    assert_eq!(shown(value::Kind::StringValue("x".to_owned())), "\"x\"");
    assert_eq!(shown(value::Kind::NullValue(0)), "null");
}

#[test]
fn maps_and_structs_are_objects() {
    let interaction = tally_proto::v1::Interaction {
        properties: [("units", "2"), ("campaign", "may")]
            .map(|(name, text)| (name.into(), text.into()))
            .into(),
        ..Default::default()
    };
    assert_eq!(message(&interaction).unwrap()["properties"], json!({"campaign": "may", "units": "2"}));
    let value = Value { kind: Some(value::Kind::NumberValue(7.0)) };
    let attributes = Some(Struct { fields: [("size".to_owned(), value)].into() });
    let customer = tally_proto::v1::Customer { attributes, ..Default::default() };
    assert_eq!(message(&customer).unwrap()["attributes"], json!({"size": 7}));
}

#[test]
fn a_customer_without_a_score_is_shown_with_its_status() {
    let mut details = ErrorDetails::with_error_info("CUSTOMER_NOT_FOUND", "tally.v1", HashMap::new());
    details.add_bad_request_violation("customer_ids[0]", "is empty");
    let sent = tonic::Status::with_error_details(tonic::Code::NotFound, "no customer", details);
    let shown = unscored("C1", &Message::decode(sent.details()).unwrap());
    assert_eq!(
        shown.to_string(),
        r#"{"customer_id":"C1","status":{"code":5,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"tally.v1","metadata":{},"reason":"CUSTOMER_NOT_FOUND"},{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"description":"is empty","field":"customer_ids[0]"}]}],"message":"no customer"}}"#
    );
}

/// Makes messages of which every field is set; the numbers count up.
#[derive(Default)]
struct Filler(Cell<i32>);

impl Filler {
    fn next(&self) -> i32 {
        self.0.replace(self.0.get() + 1)
    }

    fn message(&self, descriptor: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        match descriptor.full_name() {
            "google.protobuf.Timestamp" => message.transcode_from(&self.timestamp()).unwrap(),
            "google.protobuf.Value" => message.transcode_from(&self.value()).unwrap(),
            _ => descriptor.fields().for_each(|field| message.set_field(&field, self.field(&field))),
        }
        message
    }

    fn timestamp(&self) -> Timestamp {
        let n = self.next();
        Timestamp { seconds: 1_315_569_600 + i64::from(n), nanos: n % 4 * 120_001_500 }
    }

    fn value(&self) -> Value {
        let n = self.next();
        let kind = match n % 4 {
            0 => value::Kind::NumberValue(f64::from(n)),
            1 => value::Kind::StringValue(format!("text {n}")),
            2 => value::Kind::NumberValue(f64::from(n) / 8.0),
            _ => value::Kind::BoolValue(true),
        };
        Value { kind: Some(kind) }
    }

    /// Lists get two items. Of a oneof the last field stays.
    fn field(&self, field: &FieldDescriptor) -> Field {
        let mut items = vec![self.item(&field.kind())];
        if field.is_list() {
            items.push(self.item(&field.kind()));
            return Field::List(items);
        }
        items.remove(0)
    }

    fn item(&self, kind: &Kind) -> Field {
        let n = self.next();
        match kind {
            Kind::Bool => Field::Bool(true),
            Kind::Int32 => Field::I32(n),
            Kind::Int64 => Field::I64(i64::from(n) * 1_000_000_000_000_007),
            Kind::Double => Field::F64(f64::from(n) / 7.0),
            Kind::String => Field::String(format!("\"{n}\"")),
            Kind::Enum(names) => Field::EnumNumber(1 + n % (names.values().len() as i32 - 1)),
            Kind::Message(descriptor) => Field::Message(self.message(descriptor)),
            other => panic!("{other:?}"),
        }
    }
}
