//! Writes the part of the corpus that depends on formats and on the contract: two small models, packed histories, and a
//! request for each method. The other files are written by hand, or found by fuzzing.

use std::{error::Error, fs, path::PathBuf};

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use tally_fuzz::method_name;
use tally_model::{
    artifact::{Artifact, SplitKind},
    features::profile::DataProfile,
    history::{AttributeValue, Attributes, History, Version},
    simulate::Business,
    spec::{Spec, Target},
    time::Time,
    training::{
        snapshot::{Sampling, Snapshots},
        train::{TrainingInput, TrainingOptions, train},
    },
};

/// Few features make a small model.
const SPEC: &str = r#"
[features]
windows_days = [30]
kinds = []
properties = []
attributes = []
"#;
const NOW: Time = Time(1_750_000_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    for target in Target::ALL {
        write("artifact", target.name(), &model(target)?.to_bytes()?)?;
    }
    for (name, history) in histories() {
        write("histories", name, history.pack().as_bytes())?;
    }
    let pool = DescriptorPool::decode(tally_proto::DESCRIPTOR_SET)?;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let name = method_name(&method);
        let request = message(&method.input(), 0).encode_to_vec();
        let bytes = [name.as_bytes(), b"\n", &request].concat();
        write("requests", name.split('/').next_back().unwrap_or_default(), &bytes)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "corpus", target].iter().collect();
    fs::write(folder.join(name), bytes)
}

fn model(target: Target) -> Result<Artifact, Box<dyn Error>> {
    let spec = Spec::parse(SPEC)?;
    let business = Business { customers: 300, ..Business::new(1, NOW) };
    let customers: Vec<_> =
        business.iter().map(|customer| (customer.customer_id.clone(), customer.history())).collect();
    let mut profile = DataProfile::default();
    customers.iter().for_each(|(_, history)| profile.add(history, NOW));
    let plan = profile.plan(&spec.features);
    let sampling = Sampling::new(target, &spec, &profile, NOW);
    let mut rows = Snapshots::default();
    customers.iter().for_each(|(id, history)| rows.add(id, history, &plan, &sampling));
    let options = TrainingOptions { split: SplitKind::Temporal, seed: 1 };
    let lead_ages = profile.lead_ages();
    let input = TrainingInput { spec: &spec, outcome: &sampling.outcome, as_of: NOW, lead_ages, options };
    Ok(train(&mut rows, plan, &input, &|_step| ())?.artifact)
}

fn histories() -> Vec<(&'static str, History)> {
    let mut simulated = Business { customers: 40, ..Business::new(1, NOW) }
        .iter()
        .map(|customer| customer.history())
        .collect::<Vec<_>>();
    simulated.sort_by_key(|history| history.events().count());
    let (shortest, middle) = (simulated[0].clone(), simulated[simulated.len() / 2].clone());
    vec![
        ("empty", History::default()),
        ("simulated-short", shortest),
        ("simulated", middle),
        ("every-form", every_form()),
        ("late-and-retracted", late_and_retracted()),
    ]
}

/// Every kind of value that a history has.
fn every_form() -> History {
    let mut history = History::default();
    let time = Time(1_700_000_000_000_000);
    let values = [
        ("text", AttributeValue::Text("north".to_owned())),
        ("truth", AttributeValue::Boolean(true)),
        ("whole", AttributeValue::Number(12.0)),
        ("price", AttributeValue::Number(19.99)),
        ("tiny", AttributeValue::Number(5e-324)),
        ("huge", AttributeValue::Number(-1e308)),
    ];
    let attributes: Attributes = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    history.push_version(Version { effective_time: time, record_time: time, create_time: time, attributes });
    for (n, kind) in ["purchase", "survey", "return", "complaint", "call"].into_iter().enumerate() {
        let at = time.plus_days(n as i64);
        history.push(kind, at, at, (n % 2 == 0).then_some(1_999), Some((9.0, 8.0)));
        history.push_channel("web");
        history.push_property("units", "3");
        history.push_property("discount_percent", "12.345678");
        history.push_property("category", "tea");
        history.push_property("order_id", "x-1");
    }
    history
}

/// Times before 1970, times at the end of time, late records, retractions.
fn late_and_retracted() -> History {
    let mut history = History::default();
    for at in [-1, 0, 1, Time::MAX.0 - 1, Time::MAX.0] {
        history.push("purchase", Time(at), Time(at).plus_days(30), Some(i64::MAX), None);
        history.push_retraction(Time(at).plus_days(60));
    }
    history
}

/// A message in which every field is set.
fn message(descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let fields = descriptor.fields().filter(|field| depth < 4 || !matches!(field.kind(), Kind::Message(_)));
    for field in fields {
        let one = value(&field, &field.kind(), depth);
        let value = match &field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let inner = entry.map_entry_value_field();
                Value::Map([(MapKey::String("units".to_owned()), value(&inner, &inner.kind(), depth))].into())
            }
            _ if field.is_list() => Value::List(vec![one]),
            _ => one,
        };
        message.set_field(&field, value);
    }
    message
}

/// A value that a field of this name may have.
fn value(field: &FieldDescriptor, kind: &Kind, depth: usize) -> Value {
    match kind {
        Kind::Message(timestamp) if timestamp.full_name() == "google.protobuf.Timestamp" => {
            let mut message = DynamicMessage::new(timestamp.clone());
            message.set_field_by_name("seconds", Value::I64(1_717_200_000));
            Value::Message(message)
        }
        Kind::Message(inner) => Value::Message(message(inner, depth + 1)),
        Kind::Double => Value::F64(0.5),
        Kind::Float => Value::F32(0.5),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Bytes => Value::Bytes(Vec::new().into()),
        Kind::String => Value::String(text(field.name()).to_owned()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(2),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(2),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(2),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(2),
    }
}

fn text(name: &str) -> &'static str {
    match name {
        "customer_id" | "customer_ids" | "into_customer_id" => "C00001",
        "interaction_id" => "i-1",
        "kind" | "kinds" => "purchase",
        "channel" => "web",
        "model" | "model_version" | "version" => "churn/1",
        "time_zone" => "Europe/Berlin",
        "property" => "category",
        "segmentation" => "abc",
        "page_token" | "order_by" => "",
        _ => "a",
    }
}
