//! The gRPC contract of Tally: the messages, clients and servers generated from `tally/v1/*.proto`,
//! and the descriptor set that reflection serves. The proto files are the documentation.

/// Package `tally.v1`.
#[allow(missing_docs, clippy::all, reason = "generated; the proto files carry the documentation")]
pub mod v1 {
    tonic::include_proto!("tally.v1");
}

/// The compiled descriptors of `tally.v1` and of what it imports, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
