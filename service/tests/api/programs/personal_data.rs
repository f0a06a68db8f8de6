//! What is stored of a person is found in no log and no metric, whatever is called.

use std::{fs, fs::File, path::Path, process::Stdio, time::Duration};

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use prost::{Message, encoding};
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
    value::Kind,
};
use tally_proto::v1::{
    self, customer_service_client::CustomerServiceClient,
    interaction_service_client::InteractionServiceClient,
};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::support::{Database, ServeProcess, customer, get, interaction, program, text};

/// In ids, and in all else.
const ID: &str = "canary-person";
const CONTENT: &str = "canary-content";
/// How deep the messages of made up requests are.
const DEPTH: usize = 3;
/// A watch never ends by itself.
const LONGEST: Duration = Duration::from_millis(500);

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// All messages of the contract.
struct Contract(FileDescriptorSet);

impl Contract {
    fn message(&self, name: &str) -> Option<&DescriptorProto> {
        self.0.file.iter().find_map(|file| {
            let own = name.strip_prefix(&format!(".{}.", file.package()))?;
            file.message_type.iter().find(|message| message.name() == own)
        })
    }

    /// A message with every field, every text of which is a canary.
    fn filled(&self, name: &str, depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(message) = self.message(name).filter(|_| depth > 0) else { return bytes };
        for field in &message.field {
            let tag = field.number().unsigned_abs();
            match field.r#type() {
                Type::String => {
                    let is_id =
                        field.name().ends_with("customer_id") || field.name().ends_with("customer_ids");
                    let value = if is_id { ID.to_owned() } else { format!("{CONTENT}-{}", field.name()) };
                    encoding::string::encode(tag, &value, &mut bytes);
                }
                Type::Message => {
                    let inner = self.filled(field.type_name(), depth - 1);
                    encoding::bytes::encode(tag, &inner, &mut bytes);
                }
                Type::Double => encoding::double::encode(tag, &0.5, &mut bytes),
                Type::Bytes => encoding::bytes::encode(tag, &CONTENT.as_bytes().to_vec(), &mut bytes),
                _ if field.label() == Label::Repeated => {
                    encoding::int64::encode_packed(tag, &[1], &mut bytes);
                }
                _ => encoding::int64::encode(tag, &1, &mut bytes),
            }
        }
        bytes
    }

    /// The path of each RPC with a request.
    fn requests(&self) -> Vec<(String, Vec<u8>)> {
        let services =
            self.0.file.iter().flat_map(|file| file.service.iter().map(move |s| (file.package(), s)));
        services
            .filter(|(package, _)| *package == "tally.v1")
            .flat_map(|(package, service)| {
                service.method.iter().map(move |method| {
                    let path = format!("/{package}.{}/{}", service.name(), method.name());
                    (path, method.input_type().to_owned())
                })
            })
            .map(|(path, input)| (path, self.filled(&input, DEPTH)))
            .collect()
    }
}

/// Calls an RPC and reads its answer.
async fn call(channel: &Channel, path: &str, bytes: Vec<u8>) -> Result<usize, Status> {
    let mut raw = tonic::client::Grpc::new(channel.clone());
    raw.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(tokio_stream::iter([bytes]));
    request.set_timeout(LONGEST);
    let path: PathAndQuery = path.parse().unwrap();
    let mut replies = raw.streaming(request, path, Raw).await?.into_inner();
    let mut count = 0;
    while replies.message().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// The customers that are stored, scored, refused and erased.
async fn live(channel: &Channel) {
    let person = v1::Customer {
        name: CONTENT.to_owned(),
        ..customer(ID, "2024-01-01", &[("email", Kind::StringValue(format!("{CONTENT}@example.org")))])
    };
    let mut customers = CustomerServiceClient::new(channel.clone());
    let upsert = v1::UpsertCustomersRequest { customers: vec![person], ..Default::default() };
    customers.upsert_customers(upsert).await.unwrap();
    let mut items: Vec<v1::Interaction> =
        (0..30).map(|n| interaction(ID, &format!("{CONTENT}-{n}"), "visit", "2024-01-02")).collect();
    for item in &mut items {
        item.channel = CONTENT.to_owned();
        item.properties = [(CONTENT.to_owned(), CONTENT.to_owned())].into();
    }
    let mut interactions = InteractionServiceClient::new(channel.clone());
    let batch = v1::RecordInteractionsRequest { interactions: items.clone(), ..Default::default() };
    interactions.record_interactions(batch.clone()).await.unwrap();
    // Other content under the same key.
    items[3].channel.clear();
    let other = v1::RecordInteractionsRequest { interactions: items, ..batch };
    interactions.record_interactions(other).await.unwrap_err();
    let contract = Contract(FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap());
    let requests = contract.requests();
    assert!(requests.len() > 40);
    for (path, bytes) in requests {
        // Most are refused; that is logged no less.
        drop(call(channel, &path, bytes).await);
        // Neither is a message that cannot be read.
        drop(call(channel, &path, CONTENT.as_bytes().to_vec()).await);
    }
    let erase = v1::DeleteCustomerRequest { customer_id: ID.to_owned() };
    // One of the calls may have done it.
    drop(customers.delete_customer(erase).await);
}

/// What a server logs at a level, and its metrics.
async fn seen(database: &Database, folder: &Path, level: &str) -> [String; 2] {
    let log = folder.join(level);
    let mut serve = program("tally-serve", &database.url);
    serve.args(["--listen", "127.0.0.1:0"]).env("TALLY_LOG", level);
    serve.stderr(Stdio::from(File::create(&log).unwrap()));
    let mut server = ServeProcess::spawn(serve);
    let channel = Channel::from_shared(server.url()).unwrap().connect().await.unwrap();
    live(&channel).await;
    let (_, address) = server.banner.split_once("://").unwrap();
    let (_, metrics) = get(address.split_once('/').unwrap().0.parse().unwrap(), "/metrics").await;
    drop(channel);
    server.terminate();
    [fs::read_to_string(&log).unwrap(), metrics]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_or_metric_has_personal_data() {
    let folder = tempfile::tempdir().unwrap();
    for level in ["info", "debug"] {
        for database in Database::both().await {
            let [log, metrics] = seen(&database, folder.path(), level).await;
            assert!(metrics.contains("tally_rpc_calls"), "{metrics}");
            assert!(level == "info" || log.contains("call ended"), "{}: {log}", text(folder.path()));
            for (place, text) in [("log", &log), ("metrics", &metrics)] {
                for canary in [ID, CONTENT] {
                    let found = text.find(canary).map(|at| &text[at.saturating_sub(300)..at + 50]);
                    assert_eq!(found, None, "{place} at {level}");
                }
            }
        }
    }
}
