//! The messages of a request, read whole before anything of them is decoded.
//!
//! A message is preceded by five bytes: a flag and its length. From these it is known what the message needs, so that
//! one for which there is no room is refused before it is read. A call that is let in has all that its caller sends, so
//! that it waits for nobody while others wait for it.

use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::HeaderMap;
use http_body_util::BodyExt;
use tally_proto::limits::MESSAGE_BYTES;
use tokio::task::block_in_place;
use tonic::{Status, body::Body};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::memory::Reservation;
use crate::{
    grpc::status::{self, Overload},
    platform::error::Error,
};

/// What precedes a message: whether it is compressed, and its length.
const HEADER_BYTES: usize = 5;
/// The most fields of a message. Two million empty interactions are a message of 4 MiB, and half a gigabyte when they
/// are decoded; the largest batch that is allowed has half of this number.
const MOST_FIELDS: usize = 20_000;
/// The memory that a byte of a message takes until its call ends: in buffers, decoded, and as rows to be stored.
const MEMORY_PER_BYTE: usize = 8;
/// The largest window of zstd, as the logarithm of its bytes: what it needs for the largest message.
const ZSTD_WINDOW_LOG: u32 = 22;
/// Decompressed bytes between two looks at the budget of memory.
const DECOMPRESSED_STEP: usize = 256 << 10;

/// How the messages of a request are compressed.
#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Zstd,
}

/// What precedes a message.
#[derive(Clone, Copy)]
pub(super) struct Header {
    is_compressed: bool,
    /// As it is sent, in bytes.
    pub(super) length: usize,
}

impl Header {
    /// The memory that the message takes, as far as that is known before it is decompressed, in bytes.
    pub(super) const fn memory(self) -> usize {
        self.length * MEMORY_PER_BYTE
    }
}

/// Reads the messages of a request.
pub(super) struct Messages {
    body: Body,
    /// What has been read of the next message.
    read: Bytes,
    /// None when it is none of ours; then tonic refuses the call.
    encoding: Option<Encoding>,
}

impl Messages {
    pub(super) fn new(body: Body, headers: &HeaderMap) -> Self {
        let encoding = match headers.get("grpc-encoding").map(http::HeaderValue::as_bytes) {
            Some(b"gzip") => Some(Encoding::Gzip),
            Some(b"zstd") => Some(Encoding::Zstd),
            _ => None,
        };
        Self { body, read: Bytes::new(), encoding }
    }

    /// Reads what precedes the next message; None at the end of the request.
    pub(super) async fn header(&mut self) -> Result<Option<Header>, Status> {
        if !self.fill(HEADER_BYTES).await? {
            return if self.read.is_empty() { Ok(None) } else { Err(incomplete()) };
        }
        let [flag, a, b, c, d] = *self.read.first_chunk().ok_or_else(incomplete)?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MESSAGE_BYTES {
            return Err(status::too_large(MESSAGE_BYTES));
        }
        Ok(Some(Header { is_compressed: flag == 1, length }))
    }

    /// Reads the message of a header, which comes first. A compressed one is decompressed, for which its call may need
    /// more memory.
    pub(super) async fn message(&mut self, header: Header, memory: &Reservation) -> Result<Bytes, Status> {
        let length = HEADER_BYTES + header.length;
        if !self.fill(length).await? {
            return Err(incomplete());
        }
        let message = self.read.split_to(length);
        if self.read.len() < length {
            // A part of the message's memory would keep all of it until the next one has come.
            self.read = Bytes::copy_from_slice(&self.read);
        }
        let message = match self.encoding.filter(|_| header.is_compressed) {
            Some(encoding) => block_in_place(|| decompressed(encoding, &message[HEADER_BYTES..], memory))?,
            None => message,
        };
        if message.len() > MOST_FIELDS && field_count(&message[HEADER_BYTES..]) > MOST_FIELDS {
            let error = format!("has more than {MOST_FIELDS} fields; send it in parts");
            return Err(Error::invalid("message", error).into());
        }
        Ok(message)
    }

    /// Waits for the end of a request with one message. tonic would ignore a second one, of which the caller would never
    /// hear.
    pub(super) async fn end(&mut self) -> Result<(), Status> {
        if self.fill(1).await? {
            return Err(Error::invalid("message", "is followed by another one; a unary call has one").into());
        }
        Ok(())
    }

    /// Reads until so many bytes are there. Returns whether they are; otherwise the request has ended.
    async fn fill(&mut self, bytes: usize) -> Result<bool, Status> {
        if self.read.len() >= bytes {
            return Ok(true);
        }
        let Some(next) = self.next().await? else { return Ok(false) };
        if self.read.is_empty() && next.len() >= bytes {
            // Most messages arrive in one piece, which is not copied.
            self.read = next;
            return Ok(true);
        }
        // With room for the last frame, which may have the beginning of what follows: to grow would take twice the memory.
        let mut joined = BytesMut::with_capacity(bytes + next.len());
        joined.put(std::mem::take(&mut self.read));
        joined.put(next);
        while joined.len() < bytes {
            let Some(next) = self.next().await? else { break };
            joined.put(next);
        }
        self.read = joined.freeze();
        Ok(self.read.len() >= bytes)
    }

    /// Some bytes of the request, None at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(frame) = self.body.frame().await {
            // What fails is the connection, or the stream was reset.
            let frame = frame.map_err(|_| status::caller_has_gone())?;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                data => return Ok(data.ok()),
            }
        }
        Ok(None)
    }
}

fn incomplete() -> Status {
    Error::invalid("message", "ends before it is complete").into()
}

/// The message with its header, as if it had been sent without compression.
fn decompressed(encoding: Encoding, compressed: &[u8], memory: &Reservation) -> Result<Bytes, Status> {
    let damaged = |_| Error::invalid("message", "cannot be decompressed by its grpc-encoding");
    let mut source: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(GzDecoder::new(compressed)),
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::with_buffer(compressed).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
            Box::new(decoder)
        }
    };
    let mut message = vec![0; HEADER_BYTES];
    loop {
        let step =
            source.by_ref().take(DECOMPRESSED_STEP as u64).read_to_end(&mut message).map_err(damaged)?;
        let length = message.len() - HEADER_BYTES;
        if length > MESSAGE_BYTES {
            return Err(status::too_large(MESSAGE_BYTES));
        }
        if !memory.grow(length * MEMORY_PER_BYTE) {
            return Err(status::overloaded(&Overload::Memory));
        }
        if step < DECOMPRESSED_STEP {
            message[1..HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
            return Ok(message.into());
        }
    }
}

/// The number of fields at the top of an encoded message, up to where it is damaged.
fn field_count(mut message: &[u8]) -> usize {
    let mut count = 0;
    while let Some(rest) = after_field(message) {
        message = rest;
        count += 1;
    }
    count
}

/// What follows the first field of an encoded message, None when there is no whole field.
fn after_field(message: &[u8]) -> Option<&[u8]> {
    let (key, rest) = varint(message)?;
    match key & 7 {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..),
        2 => varint(rest).and_then(|(length, rest)| rest.get(usize::try_from(length).ok()?..)),
        5 => rest.get(4..),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[n + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use prometheus_client::metrics::gauge::Gauge;
    use prost::Message;
    use tally_proto::v1::BatchPredictChurnRequest;
    use tonic::Code;

    use super::{super::memory::MemoryBudget, *};

    fn framed(length: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend((length as u32).to_be_bytes());
        message.resize(HEADER_BYTES + length, 7);
        message
    }

    /// The messages of a body that arrives in pieces of this size.
    fn messages(body: &[u8], size: usize) -> Messages {
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(piece)));
        Messages::new(Body::new(StreamBody::new(stream::iter(frames))), &HeaderMap::new())
    }

    async fn next(messages: &mut Messages, memory: &Reservation) -> Result<Option<Bytes>, Status> {
        match messages.header().await? {
            Some(header) => Ok(Some(messages.message(header, memory).await?)),
            None => Ok(None),
        }
    }

    #[tokio::test]
    async fn messages_are_found_however_the_body_is_cut() {
        let memory = MemoryBudget::new(1 << 20, Gauge::default()).try_reserve(0).unwrap();
        for length in [0, 1, 200] {
            let (one, other) = (framed(length), framed(3));
            let both = [one.clone(), other.clone()].concat();
            for size in 1..=both.len() {
                let mut reader = messages(&both, size);
                assert_eq!(next(&mut reader, &memory).await.unwrap().unwrap(), one);
                assert_eq!(reader.end().await.unwrap_err().code(), Code::InvalidArgument, "{size}");
                assert_eq!(next(&mut reader, &memory).await.unwrap().unwrap(), other);
                reader.end().await.unwrap();
                assert!(next(&mut reader, &memory).await.unwrap().is_none());
                for cut in 1..one.len() {
                    let refused = next(&mut messages(&one[..cut], size), &memory).await.unwrap_err();
                    assert_eq!(refused.code(), Code::InvalidArgument);
                }
            }
        }
    }

    #[test]
    fn fields_are_counted_as_prost_reads_them() {
        for count in [0, 1, 20_000] {
            let customer_ids = vec![String::new(); count];
            let request = BatchPredictChurnRequest {
                customer_ids,
                as_of_time: Some(prost_types::Timestamp { seconds: 1, nanos: 2 }),
                max_reasons: -1,
                ..Default::default()
            };
            assert_eq!(field_count(&request.encode_to_vec()), count + 2);
        }
        assert_eq!(field_count(&[0xff; 20]), 0);
        assert_eq!(field_count(&[0x08, 1, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4, 0x22, 9]), 3);
    }
}
