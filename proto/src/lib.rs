//! The gRPC contract of Tally: the messages, clients and servers generated from `tally/v1/*.proto`,
//! and the descriptor set that reflection serves. The proto files are the documentation.

/// Package `tally.v1`.
#[allow(missing_docs, clippy::all, reason = "generated; the proto files carry the documentation")]
pub mod v1 {
    tonic::include_proto!("tally.v1");
    tonic::include_proto!("servers/tally.v1");
}

/// A [`BatchPredictChurnResponse`](v1::BatchPredictChurnResponse) or
/// [`BatchScoreLeadsResponse`](v1::BatchScoreLeadsResponse) as a server writes it: on the wire a message within a
/// message looks as its bytes do. So each result is encoded as soon as it is made, while it is in the processor's
/// cache, rather than all of them in the end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EncodedBatch {
    /// One [`BatchResult`](v1::BatchResult) an id, encoded.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub results: Vec<Vec<u8>>,
}

/// The compiled descriptors of `tally.v1` and of what it imports, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
