//! A history as bytes: the form in which many of them are kept, in memory and in a database.
//!
//! Computing needs the columns of a history; keeping it needs few bytes in one allocation. So histories are
//! kept packed, some 10 bytes an interaction, and unpacked while they are read ([`Packed::with`]). Unpacking
//! gives the same history to the bit.
//!
//! # Format
//! Numbers are written in groups of seven bits, the lowest first, all but the last group with the eighth bit
//! set; signed ones with the sign as their lowest bit. A text is its length and its bytes. Lists begin with
//! their length. The order is: kinds, names of properties, texts that are kept, versions, shapes, events, surveys.
//!
//! Interactions resemble each other. What they have in common is written once, as a *shape*: the kind, whether
//! there is an amount, whether the time of recording differs from that of occurrence, whether it is retracted, and
//! which properties there are, with the texts of those that are not numbers. An event is its shape, the microseconds since the event before, those until it was
//! recorded and until it was retracted, its amount and its numbers, as far as it has them.

mod read;
mod write;

use std::{cell::Cell, sync::Arc};

use self::read::{ByteReader, Shapes};
use super::History;

/// A packed history. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

/// The bytes are not a packed history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed history is damaged")]
pub struct DecodeError;

/// The marks of a shape: it has an amount, and a time of recording of its own.
const SHAPE_AMOUNT: u64 = 1;
const SHAPE_RECORDED_APART: u64 = 2;
const SHAPE_MARK_BITS: u32 = 2;
/// The mark of a shape that is retracted, above all kinds: few histories have one.
const SHAPE_RETRACTED: u64 = 1 << 40;
/// The most texts of a shape: the contract allows 50 properties and a channel. Without a limit, the few bytes of an event
/// could stand for any number of texts.
const SHAPE_TEXTS: usize = 64;
/// The forms of a value: an integer number of these units, or the eight bytes of the float.
const VALUE_UNITS: [f64; 2] = [1.0, 100.0];
const VALUE_FLOAT: u64 = VALUE_UNITS.len() as u64;
const VALUE_FORM_BITS: u32 = 2;
/// The tags of attribute values.
const TAG_FALSE: u8 = 0;
const TAG_TRUE: u8 = 1;
const TAG_NUMBER: u8 = 2;
const TAG_TEXT: u8 = 3;

impl Packed {
    /// The number of this format. Bytes of another format must not be read as this one.
    pub const FORMAT: i64 = 2;
    /// A thread keeps the columns for the next history when they hold at most this many events.
    const KEPT_EVENTS: usize = 100_000;

    /// Takes bytes from [`Packed::as_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Calls `f` with the history, unpacked into columns that the thread reuses.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are damaged.
    pub fn with<T>(&self, f: impl FnOnce(&History) -> T) -> Result<T, DecodeError> {
        thread_local! {
            static SCRATCH: Cell<(History, Shapes)> = Cell::default();
        }
        let mut scratch = SCRATCH.take();
        let (history, shapes) = &mut scratch;
        ByteReader(&self.0).history(history, shapes)?;
        let result = f(history);
        if history.len() <= Self::KEPT_EVENTS {
            SCRATCH.set(scratch);
        }
        Ok(result)
    }

    /// Unpacks the history.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are damaged.
    pub fn unpack(&self) -> Result<History, DecodeError> {
        let mut history = History::default();
        ByteReader(&self.0).history(&mut history, &mut Shapes::default())?;
        Ok(history)
    }
}
