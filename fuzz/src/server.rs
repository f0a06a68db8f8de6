//! A server within this program, on a database of its own.

use std::{future::pending, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tally_model::{insight::InsightSpec, spec::Target, training::assessment::Assessment};
use tally_proto::v1::{
    Customer, Interaction, OnConflict, RecordInteractionsRequest, UpsertCustomersRequest,
    customer_service_client::CustomerServiceClient, interaction_service_client::InteractionServiceClient,
};
use tally_service::{
    app::{App, Jobs, Transport},
    demo,
    grpc::server::Capacity,
    platform::clock::system_clock,
    security::Security,
};
use tally_store::{Promotion, PromotionKind, Store, StoredEvaluation, StoredModel};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, time::timeout};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::{CHURN, LEAD};

/// How long a call may take. A stream that waits for what happens is only listened to for a moment.
const WITHIN: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(20);
/// Replies of a stream that are read.
const REPLIES: usize = 3;
const CUSTOMERS: u32 = 100;

/// A running server with SQLite. It ends, and its database is removed, when this is dropped.
pub struct Server {
    runtime: Runtime,
    channel: Channel,
    methods: Vec<MethodDescriptor>,
    _folder: TempDir,
}

impl Server {
    /// A server that holds nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::start(None)
    }

    /// A server with simulated customers, models and scores.
    #[must_use]
    pub fn of_demo() -> Self {
        Self::start(Some(CUSTOMERS))
    }

    fn start(customers: Option<u32>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}", folder.path().join("tally.db").display());
        let channel = runtime.block_on(serve(&url, customers));
        let pool = DescriptorPool::decode(tally_proto::DESCRIPTOR_SET).expect("the contract");
        let services = pool.services();
        let mut methods: Vec<_> =
            services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        methods.sort_by(|a, b| a.full_name().cmp(b.full_name()));
        Self { runtime, channel, methods, _folder: folder }
    }

    /// The methods of the contract.
    #[must_use]
    pub fn methods(&self) -> &[MethodDescriptor] {
        &self.methods
    }

    /// Calls a method with bytes in the place of a message. Returns the first replies, and how the call ended.
    pub(crate) fn call(&self, method: &MethodDescriptor, message: &[u8]) -> (Vec<Bytes>, Result<(), Status>) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = path.parse().expect("names are paths");
        let waits = method.name().starts_with("Watch");
        let mut replies = Vec::new();
        let calling = async {
            let mut client = tonic::client::Grpc::new(self.channel.clone());
            client.ready().await.expect("the server runs");
            let messages = tokio_stream::iter([Bytes::copy_from_slice(message)]);
            let mut stream = client.streaming(Request::new(messages), path, RawCodec).await?.into_inner();
            while replies.len() < REPLIES {
                let Some(reply) = stream.message().await? else { break };
                replies.push(reply);
            }
            Ok(())
        };
        let within = if waits { MOMENT } else { WITHIN };
        let ended = self.runtime.block_on(async { timeout(within, calling).await });
        let ended = ended.unwrap_or_else(|_| if waits { Ok(()) } else { Err(Status::deadline_exceeded("")) });
        (replies, ended)
    }

    /// Stores customers, which must all be accepted.
    pub(crate) fn upsert(&self, customers: Vec<Customer>) {
        let request = UpsertCustomersRequest { customers, ..Default::default() };
        let sent = request.clone();
        let mut client = CustomerServiceClient::new(self.channel.clone());
        let stored = self.runtime.block_on(async move { client.upsert_customers(sent).await });
        assert!(stored.is_ok(), "{stored:?} for {request:?}");
    }

    /// Records interactions, which must all be accepted.
    pub(crate) fn record(&self, interactions: Vec<Interaction>) {
        let on_conflict = OnConflict::Correct.into();
        let request =
            RecordInteractionsRequest { interactions, backfill: true, on_conflict, ..Default::default() };
        let sent = request.clone();
        let mut client = InteractionServiceClient::new(self.channel.clone());
        let stored = self.runtime.block_on(async move { client.record_interactions(sent).await });
        assert!(stored.is_ok(), "{stored:?} for {request:?}");
    }
}

/// Serves until the runtime ends. Returns a connection.
async fn serve(url: &str, customers: Option<u32>) -> Channel {
    let store = tally_store::open(url).await.expect("the database can be created");
    if customers.is_some() {
        for (target, artifact) in [(Target::Lead, LEAD), (Target::Churn, CHURN)] {
            store_champion(&*store, target, artifact).await;
        }
    }
    let app = App::new(store, 16 << 20, InsightSpec::default(), system_clock).await.expect("a new database");
    if let Some(customers) = customers {
        let quiet = Arc::new(|_| ());
        demo::prepare(&app, customers, &(quiet as _)).await.map(drop).expect("the demo works");
    }
    let grpc = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = grpc.local_addr().expect("its address");
    let transport = Transport {
        grpc,
        http: None,
        max_connection_age: None,
        max_connections: 100,
        capacity: Capacity { memory_in_flight: 128 << 20, calls_per_second: None },
        security: Security::default(),
    };
    tokio::spawn(async move { app.serve(transport, Jobs::default(), pending()).await });
    let channel = Channel::from_shared(format!("http://{address}")).expect("a URL");
    channel.connect().await.expect("the server listens")
}

async fn store_champion(store: &dyn Store, target: Target, artifact: &[u8]) {
    let (time, who) = (system_clock(), "fuzz".to_owned());
    let model = StoredModel {
        target,
        version: 0,
        create_time: time,
        created_by: who.clone(),
        artifact: artifact.to_vec(),
        assessment: Assessment::default(),
        champion: false,
    };
    let evaluation = StoredEvaluation { evaluated: artifact.to_vec(), incumbent: None, scores: Vec::new() };
    let to = store.insert_model(model, evaluation).await.expect("a model can be stored");
    let promotion = Promotion {
        target,
        sequence: 1,
        time,
        who,
        from: None,
        to,
        kind: PromotionKind::Promote,
        forced: false,
        reason: String::new(),
        gate_result: String::new(),
    };
    assert!(store.promote(promotion, "").await.expect("a model can be promoted"), "it is the first champion");
}

/// Sends and receives encoded messages as they are.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
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
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
