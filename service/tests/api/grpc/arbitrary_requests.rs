//! Requests that nobody would write: for every RPC of the contract, messages whose fields have values at and beyond all
//! limits. Each is answered by a code that says whose fault it is, and the server goes on.

use std::{slice::Iter, time::Duration};

use bytes::{Buf, BufMut};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, MethodDescriptor, Value,
};
use tokio::{runtime::Handle, task::block_in_place, time::timeout};
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::support::{Tally, business, on_both_stores, time};

on_both_stores!(every_request_is_answered);

/// Requests of each RPC.
const CASES: u32 = 60;
/// Replies of a stream that are read; some streams never end.
const REPLIES: usize = 3;
const WITHIN: Duration = Duration::from_secs(20);

async fn every_request_is_answered(tally: Tally) {
    tally.simulate(&business(60, 9, time("2024-06-01"))).await;
    let pool = DescriptorPool::decode(tally_proto::DESCRIPTOR_SET).unwrap();
    let methods: Vec<MethodDescriptor> =
        pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(methods.len() > 40, "{}", methods.len());
    for method in methods {
        block_in_place(|| {
            let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
            let ran = TestRunner::new(config).run(&vec(any::<u8>(), 0..300), |entropy| {
                let request = message(&method.input(), &mut Entropy(entropy.iter()), 0);
                let code = Handle::current().block_on(call(&tally, &method, &request));
                assert!(is_expected(code), "{}: {code:?} for {request}", method.full_name());
                Ok(())
            });
            ran.unwrap();
        });
    }
    assert!(tally.customer("nobody").await.is_err_and(|status| status.code() == Code::NotFound));
}

/// What a mistake of a caller, or a request that is good, may be answered with.
const fn is_expected(code: Code) -> bool {
    matches!(
        code,
        Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::ResourceExhausted
    )
}

/// Calls a method with one message, whatever its kind.
async fn call(tally: &Tally, method: &MethodDescriptor, request: &DynamicMessage) -> Code {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut client = tonic::client::Grpc::new(tally.channel.clone());
    client.ready().await.unwrap();
    let messages = tokio_stream::iter([request.encode_to_vec()]);
    let replies = async {
        let called = client.streaming(Request::new(messages), path.parse().unwrap(), RawCodec).await;
        let mut replies = called?.into_inner();
        for _ in 0..REPLIES {
            if replies.message().await?.is_none() {
                break;
            }
        }
        Ok::<(), Status>(())
    };
    // A watch says nothing while nothing happens.
    match timeout(if method.name().starts_with("Watch") { WITHIN / 100 } else { WITHIN }, replies).await {
        Ok(Ok(())) => Code::Ok,
        Ok(Err(status)) => status.code(),
        Err(_) if method.name().starts_with("Watch") => Code::Ok,
        Err(_) => Code::DeadlineExceeded,
    }
}

/// Bytes that decide what a message is like; 0 after the last.
struct Entropy<'a>(Iter<'a, u8>);

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn of<T>(&mut self, values: impl IntoIterator<Item = T>) -> T {
        let mut values: Vec<T> = values.into_iter().collect();
        let place = usize::from(self.byte()) % values.len();
        values.swap_remove(place)
    }
}

fn message(descriptor: &MessageDescriptor, entropy: &mut Entropy<'_>, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        // Deeper than a value of JSON in a value of JSON only the fields that have no fields.
        if depth > 5 && matches!(field.kind(), Kind::Message(_)) || entropy.byte().is_multiple_of(2) {
            continue;
        }
        let value = field_value(&field, entropy, depth);
        message.set_field(&field, value);
    }
    message
}

fn field_value(field: &FieldDescriptor, entropy: &mut Entropy<'_>, depth: usize) -> Value {
    let count = usize::from(entropy.byte() % 4);
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { panic!("a map has entries") };
        let pair = |_| {
            let key = MapKey::String(text(entropy));
            (key, value(&entry.map_entry_value_field().kind(), entropy, depth))
        };
        return Value::Map((0..count).map(pair).collect());
    }
    match field.is_list() {
        true => Value::List((0..count).map(|_| value(&field.kind(), entropy, depth)).collect()),
        false => value(&field.kind(), entropy, depth),
    }
}

fn value(kind: &Kind, entropy: &mut Entropy<'_>, depth: usize) -> Value {
    let integer = |entropy: &mut Entropy<'_>| {
        let few = [0, 1, -1, 2, 10, 1_000, 10_000, 1_000_000_000_000_001, -62_135_596_800, 253_402_300_800];
        entropy.of(few.into_iter().chain([i64::MAX, i64::MIN, i64::from(i32::MAX), 1_700_000_000]))
    };
    match kind {
        Kind::Double => Value::F64(entropy.of([
            0.5,
            0.0,
            -0.0,
            1.0,
            -1.0,
            1e308,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324,
        ])),
        Kind::Float => Value::F32(entropy.of([0.5, f32::NAN, f32::MAX])),
        Kind::Bool => Value::Bool(entropy.byte() % 2 == 1),
        Kind::String => Value::String(text(entropy)),
        Kind::Bytes => Value::Bytes(text(entropy).into_bytes().into()),
        Kind::Enum(_) => Value::EnumNumber(entropy.of([0, 1, 2, 3, 4, 5, 99, -1, i32::MAX])),
        Kind::Message(descriptor) => Value::Message(message(descriptor, entropy, depth + 1)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(integer(entropy) as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer(entropy)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(integer(entropy) as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(integer(entropy) as u64),
    }
}

fn text(entropy: &mut Entropy<'_>) -> String {
    let long = |of: &str, bytes: usize| of.repeat(bytes / of.len());
    let texts = [
        "",
        "c1",
        "purchase",
        "visit",
        "churn/1",
        "lead/999999999999999999999",
        "abc",
        "rfm",
        "attribute:region",
        "property:category",
        "channel",
        "Europe/Berlin",
        "Mars/Olympus",
        "probability desc",
        "' OR 1=1; --",
        "%s{}\\",
        "\u{202e}\u{200b}right",
        "\u{1f600}",
        "nul\0",
        "line\nbreak",
        " ",
        "-1",
        "NaN",
        "1e400",
    ];
    let texts = texts.iter().map(|text| (*text).to_owned());
    let limits =
        [("x", 64), ("x", 65), ("x", 256), ("x", 257), ("\u{1f600}", 260), ("x", 1_025), ("x", 70_000)];
    let limits: Vec<String> = limits.into_iter().map(|(of, bytes)| long(of, bytes)).collect();
    let random = [String::from_utf8_lossy(&[entropy.byte(), entropy.byte(), entropy.byte()]).into_owned()];
    entropy.of(texts.chain(limits).chain(random))
}

/// Sends and receives encoded messages as they are.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}
