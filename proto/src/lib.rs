//! The gRPC contract of Tally: the messages, clients and servers generated from `tally/v1/*.proto`,
//! and the descriptor set that reflection serves. The proto files are the documentation.

use prost::Message;
use tonic::{
    Status,
    codec::{Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

pub mod limits;
pub mod values;

/// The header in which callers may send a request id of their own, and in which a failed call returns its id, as a
/// header or a trailer. The server's log lines about the call carry it.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// Package `tally.v1`.
#[allow(missing_docs, clippy::all, reason = "generated; the proto files carry the documentation")]
pub mod v1 {
    tonic::include_proto!("tally.v1");
    tonic::include_proto!("servers/tally.v1");
}

/// A [`BatchPredictChurnResponse`](v1::BatchPredictChurnResponse) or
/// [`BatchScoreLeadsResponse`](v1::BatchScoreLeadsResponse) as a server writes it. On the wire a nested message and its
/// bytes look the same, so each result is encoded as soon as it is made, while it is in the processor's cache, instead
/// of all results at the end.
#[derive(Clone, PartialEq, Message)]
pub struct EncodedBatch {
    /// One encoded [`BatchResult`](v1::BatchResult) per id.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub results: Vec<Vec<u8>>,
}

/// prost's codec, but it reserves the length of a message first: a large one would otherwise be copied repeatedly while
/// its buffer grows.
#[derive(Debug)]
pub struct PreallocatingCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for PreallocatingCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T: Message + 'static, U: Message + Default + 'static> Codec for PreallocatingCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = PreallocatingEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        PreallocatingEncoder(self.0.encoder())
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.0.decoder()
    }
}

/// The encoder of [`PreallocatingCodec`].
#[derive(Debug)]
pub struct PreallocatingEncoder<T>(ProstEncoder<T>);

impl<T: Message> Encoder for PreallocatingEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        self.0.encode(message, buffer)
    }
}

/// The compiled descriptors of `tally.v1` and its imports, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
