//! Results of a batch to bytes, by an encoder of our own.
//!
//! A batch has thousands of scores. Making each a message of strings first, for prost to copy and drop,
//! takes as long as the scores themselves, and prost has no messages with borrowed strings. So scores are
//! encoded from their views, in the bytes that prost makes of [`response::score`]: fields by their
//! numbers, without those that are 0 or empty.

use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};
use tally_model::{features::explain::FeatureValue, scoring::ReasonView, time::Time};
use tally_proto::v1::{BatchResult, batch_result};

use super::response;
use crate::{
    grpc::status::item_status,
    scoring::{ScoreRequest, ScoredCustomer},
};
use tally_store::Prediction;
use tonic::Status;

/// Encodes the scores of one request as items of a batch.
pub struct BatchEncoder {
    /// What is the same in every score: the fields from `model` to `horizon_days`.
    common: Vec<u8>,
    /// A guess of the next item's length, from the item before.
    length: usize,
    /// The text of the current reason.
    text: String,
}

impl BatchEncoder {
    pub fn new(request: &ScoreRequest) -> Self {
        let mut common = Vec::new();
        Fields(&mut common)
            .text(10, &request.model.name.to_string())
            .message(11, |fields| fields.timestamp(request.as_of))
            .message(12, |fields| fields.timestamp(request.known_at))
            .integer(13, i64::from(request.model.scorer.artifact().outcome.horizon_days));
        Self { common, length: 0, text: String::new() }
    }

    /// An item with a score.
    pub fn score(&mut self, scored: &ScoredCustomer<'_>) -> Vec<u8> {
        let ScoredCustomer { customer_id, request, view } = scored;
        let Self { common, length, text } = self;
        let mut item = Vec::with_capacity(*length);
        Fields(&mut item).message(1, |score| {
            score
                .text(1, customer_id)
                .integer(2, response::target(request.model.name.target) as i64)
                .double(3, view.probability)
                .double(4, view.lower)
                .double(5, view.upper)
                .integer(6, response::grade(view.grade) as i64)
                .integer(7, response::basis(view.basis) as i64)
                .double(8, view.base_log_odds);
            for reason in view.reasons() {
                score.message(9, |fields| fields.reason(&reason, text));
            }
            score.0.extend_from_slice(common);
            for name in view.missing_features() {
                score.bytes(14, name.as_bytes());
            }
            for note in view.notes() {
                score.bytes(18, note.as_bytes());
            }
        });
        *length = item.len() + item.len() / 8;
        item
    }
}

/// An item with a stored score.
pub fn stored(prediction: Prediction) -> Vec<u8> {
    item(batch_result::Result::Score(response::score(prediction)))
}

/// An item with a status.
pub fn status(status: &Status) -> Vec<u8> {
    item(batch_result::Result::Status(item_status(status)))
}

fn item(result: batch_result::Result) -> Vec<u8> {
    BatchResult { result: Some(result) }.encode_to_vec()
}

/// Writes the fields of a message.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn reason(&mut self, reason: &ReasonView<'_>, text: &mut String) {
        text.clear();
        reason.write_text(text);
        self.text(1, reason.feature())
            .message(2, |fields| fields.feature_value(reason.value()))
            .message(3, |fields| fields.feature_value(reason.baseline()))
            .double(4, reason.contribution)
            .text(5, text);
    }

    /// A `google.protobuf.Value`. As a member of a oneof, it is written even when it is 0.
    fn feature_value(&mut self, value: FeatureValue) {
        match value {
            FeatureValue::Missing => self.key(1, 0).varint(0),
            FeatureValue::Number(number) => self.key(2, 1).0.extend_from_slice(&number.to_le_bytes()),
            FeatureValue::Text(text) => _ = self.bytes(3, text.as_bytes()),
            FeatureValue::Boolean(truth) => self.key(4, 0).varint(truth.into()),
        }
    }

    fn timestamp(&mut self, time: Time) {
        let timestamp = response::timestamp(time);
        self.integer(1, timestamp.seconds).integer(2, timestamp.nanos.into());
    }

    fn text(&mut self, field: u8, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.bytes(field, text.as_bytes()) }
    }

    fn integer(&mut self, field: u8, value: i64) -> &mut Self {
        if value != 0 {
            self.key(field, 0).varint(value as u64);
        }
        self
    }

    fn double(&mut self, field: u8, value: f64) -> &mut Self {
        if value != 0.0 {
            self.key(field, 1).0.extend_from_slice(&value.to_le_bytes());
        }
        self
    }

    /// A string or message, also an empty one.
    fn bytes(&mut self, field: u8, bytes: &[u8]) -> &mut Self {
        self.key(field, 2).varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// A message, whose length is known only after it is written.
    fn message(&mut self, field: u8, write: impl FnOnce(&mut Fields<'_>)) -> &mut Self {
        let before = self.key(field, 2).0.len();
        self.0.push(0);
        write(&mut Fields(self.0));
        let length = self.0.len() - before - 1;
        let digits = encoded_len_varint(length as u64);
        if digits > 1 {
            // The length takes more than the byte that was left for it, so the content moves up.
            let end = self.0.len();
            self.0.resize(end + digits - 1, 0);
            self.0.copy_within(before + 1..end, before + digits);
        }
        encode_varint(length as u64, &mut &mut self.0[before..before + digits]);
        self
    }

    /// A field's number and wire type.
    fn key(&mut self, field: u8, wire_type: u8) -> &mut Self {
        self.varint(u64::from(field) << 3 | u64::from(wire_type));
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_is_framed_as_prost_does() {
        let edges = [0, 1, 0x7f, 0x80, 0x81, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000];
        for length in edges {
            let inner: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let (mut ours, mut theirs) = (b"before".to_vec(), b"before".to_vec());
            Fields(&mut ours).message(9, |fields| fields.0.extend_from_slice(&inner)).integer(2, -1);
            prost::encoding::bytes::encode(9, &inner, &mut theirs);
            prost::encoding::int32::encode(2, &-1, &mut theirs);
            assert!(ours == theirs, "of {length} bytes");
        }
    }
}
