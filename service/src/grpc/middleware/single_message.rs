//! The check that a unary call has one message. tonic reads the first one and ignores the others, of which
//! the caller would never hear.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::platform::error::Error;

/// What precedes a message: whether it is compressed, and its length.
const HEADER_BYTES: usize = 5;

/// A request body that ends with INVALID_ARGUMENT where a second message begins.
pub(super) struct SingleMessage {
    inner: Body,
    state: State,
}

/// How far the first message has been read.
enum State {
    /// Some bytes of its header.
    Header { read: usize, length: u32 },
    /// This many bytes of its content are left.
    Content(usize),
}

impl SingleMessage {
    pub(super) fn new(inner: Body) -> Self {
        Self { inner, state: State::Header { read: 0, length: 0 } }
    }
}

impl State {
    /// Follows the message through some bytes of the body. Returns whether a second message begins.
    fn advance(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            match self {
                Self::Header { read, length } => {
                    if *read > 0 {
                        *length = *length << 8 | u32::from(*first);
                    }
                    *read += 1;
                    bytes = rest;
                    if *read == HEADER_BYTES {
                        *self = Self::Content(*length as usize);
                    }
                }
                Self::Content(0) => return true,
                Self::Content(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                }
            }
        }
        false
    }
}

impl http_body::Body for SingleMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && self.state.advance(data.chunk())
        {
            let error = Error::invalid("message", "is followed by another one; a unary call has one");
            return Poll::Ready(Some(Err(error.into())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u8) -> Vec<u8> {
        [vec![0, 0, 0, 0, length], vec![7; length.into()]].concat()
    }

    #[test]
    fn a_second_message_is_found_however_the_body_is_cut() {
        for length in [0, 1, 200] {
            let one = message(length);
            let two = [one.clone(), message(1)].concat();
            for size in 1..=two.len() {
                let read = |body: &[u8]| {
                    let mut state = State::Header { read: 0, length: 0 };
                    body.chunks(size).any(|part| state.advance(part))
                };
                assert!(!read(&one), "{length} bytes, cut by {size}");
                assert!(read(&two), "{length} bytes, cut by {size}");
            }
        }
    }
}
