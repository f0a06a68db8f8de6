//! A history as bytes: how it is kept where many are, in memory and in a database.
//!
//! Whoever computes with a history needs its columns; whoever keeps it needs few bytes and one piece. So
//! histories are kept packed, some 10 bytes an interaction, and unpacked for the moment in which they are
//! looked at ([`Packed::with`]). What comes out is what went in, to the bit.
//!
//! Numbers are written in groups of seven bits, the lowest first, all but the last group with the eighth bit
//! set; those that may be negative with the sign as their lowest bit. A text is its length and its bytes.
//! Lists begin with their length. The order is: kinds, names of properties, versions, shapes, events, surveys.
//!
//! Interactions are much alike. So what they have in common is written once, as a *shape*: the kind, whether
//! there is an amount, whether it was recorded at another time than it happened, and which properties it has. An
//! event is its shape, the microseconds since the event before, those until it was recorded, its amount, and its
//! numbers, as far as it has them.

use std::{cell::Cell, collections::HashMap, ops::Range, sync::Arc};

use super::{AttributeValue, Attributes, History, Names, Number, PAID, Survey, Text, Version};
use crate::time::Time;

/// A history in its kept form. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

/// The bytes are not those of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed history is damaged")]
pub struct DecodeError;

/// Marks of a shape: there is an amount, and a time of its own at which it was recorded.
const HAS_AMOUNT: u64 = 1;
const RECORDED_APART: u64 = 2;
const MARK_BITS: u32 = 2;
/// How a value is written: as so many units of this size, or as it is.
const UNITS: [f64; 2] = [1.0, 100.0];
const AS_IT_IS: u64 = UNITS.len() as u64;
const FORM_BITS: u32 = 2;
/// The kinds of attribute values.
const FALSE: u8 = 0;
const TRUE: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;

impl Packed {
    /// The number of this form. Bytes of another one must not be read as this.
    pub const FORMAT: i64 = 1;
    /// A thread goes on using the columns of a history of at most so many events.
    const KEPT_EVENTS: usize = 100_000;

    /// Takes bytes that were packed before.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Looks at the history, in columns that each thread uses again and again.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn with<T>(&self, look: impl FnOnce(&History) -> T) -> Result<T, DecodeError> {
        thread_local! {
            static ROOM: Cell<(History, Shapes)> = Cell::default();
        }
        let mut room = ROOM.take();
        let (history, shapes) = &mut room;
        self.unpack_into(history, shapes)?;
        let seen = look(history);
        if history.len() <= Self::KEPT_EVENTS {
            ROOM.set(room);
        }
        Ok(seen)
    }

    /// The history.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn unpack(&self) -> Result<History, DecodeError> {
        let mut history = History::default();
        self.unpack_into(&mut history, &mut Shapes::default())?;
        Ok(history)
    }

    /// Overwrites a history, using its room. Customers are much alike: often the names are those that were
    /// there before.
    fn unpack_into(&self, history: &mut History, shapes: &mut Shapes) -> Result<(), DecodeError> {
        let mut bytes = Reader(&self.0);
        bytes.names(&mut history.kinds)?;
        bytes.names(&mut history.properties)?;
        let blank = || Version {
            effective_time: Time(0),
            record_time: Time(0),
            create_time: Time(0),
            attributes: Attributes::new(),
        };
        history.versions.resize_with(bytes.length()?, blank);
        history.versions.iter_mut().try_for_each(|version| bytes.version(version))?;
        bytes.shapes(shapes, history.kinds.list().len(), history.properties.list().len())?;
        bytes.events(shapes, history)?;
        history.surveys.clear();
        let mut event = 0;
        for _ in 0..bytes.length()? {
            event = bytes.next_event(event, history.len())?;
            history.surveys.push(Survey { event, satisfaction: bytes.float()? });
        }
        if bytes.0.is_empty() { Ok(()) } else { Err(DecodeError) }
    }
}

impl History {
    /// Packs it.
    #[must_use]
    pub fn pack(&self) -> Packed {
        let mut bytes = Writer(Vec::with_capacity(256 + 10 * self.len()));
        bytes.names(&self.kinds);
        bytes.names(&self.properties);
        bytes.length(self.versions.len());
        self.versions.iter().for_each(|version| bytes.version(version));
        let (shapes, shape_of) = self.shapes();
        bytes.length(shapes.len());
        shapes.iter().for_each(|shape| bytes.shape(shape));
        bytes.length(self.len());
        let (mut before, mut numbers) = (0, self.numbers.iter());
        for (n, (event, number)) in self.events().zip(shape_of).enumerate() {
            let Time(occurred) = event.occur_time;
            bytes.number(number as u64);
            // Only the first can lie before 1970.
            if n == 0 {
                bytes.signed(occurred);
            } else {
                bytes.number(occurred.wrapping_sub(before) as u64);
            }
            if event.record_time != event.occur_time {
                bytes.signed(event.record_time.0.wrapping_sub(occurred));
            }
            if let Some(amount) = event.amount_minor {
                bytes.signed(amount);
            }
            numbers.by_ref().take(shapes[number].numbers.len()).for_each(|number| bytes.value(number.value));
            before = occurred;
        }
        bytes.length(self.surveys.len());
        let mut before = 0;
        for survey in &self.surveys {
            bytes.number((survey.event - before).into());
            bytes.0.extend(survey.satisfaction.to_le_bytes());
            before = survey.event;
        }
        Packed(bytes.0.into())
    }
}

/// What events have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shape {
    /// The kind, and marks.
    what: u64,
    /// The properties that read as numbers, in their order, and the others.
    numbers: Vec<u32>,
    texts: Vec<u32>,
}

impl History {
    /// The shapes that occur, and for each event which it has.
    fn shapes(&self) -> (Vec<Shape>, Vec<usize>) {
        let (mut numbers, mut texts) = (self.numbers.as_slice(), self.texts.as_slice());
        let mut known: HashMap<Shape, usize> = HashMap::new();
        let (mut shapes, mut shape_of) = (Vec::new(), Vec::with_capacity(self.len()));
        for (n, event) in (0_u32..).zip(self.events()) {
            let (own, rest) = numbers.split_at(numbers.iter().take_while(|number| number.event == n).count());
            numbers = rest;
            let (own_texts, rest) = texts.split_at(texts.iter().take_while(|text| text.event == n).count());
            texts = rest;
            let amount = event.amount_minor.map_or(0, |_| HAS_AMOUNT);
            let apart = if event.record_time == event.occur_time { 0 } else { RECORDED_APART };
            let shape = Shape {
                what: u64::from(event.kind) << MARK_BITS | amount | apart,
                numbers: own.iter().map(|number| number.property).collect(),
                texts: own_texts.iter().map(|text| text.property).collect(),
            };
            shape_of.push(*known.entry(shape).or_insert_with_key(|shape| {
                shapes.push(shape.clone());
                shapes.len() - 1
            }));
        }
        (shapes, shape_of)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(sign_last(number));
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn names(&mut self, names: &Names) {
        self.length(names.list().len());
        names.list().iter().for_each(|name| self.text(name));
    }

    fn version(&mut self, version: &Version) {
        let Version { effective_time, record_time, create_time, attributes } = version;
        [effective_time, record_time, create_time].into_iter().for_each(|time| self.signed(time.0));
        self.length(attributes.len());
        for (name, value) in attributes {
            self.text(name);
            match value {
                AttributeValue::Boolean(truth) => self.0.push(if *truth { TRUE } else { FALSE }),
                AttributeValue::Number(number) => {
                    self.0.push(NUMBER);
                    self.value(*number);
                }
                AttributeValue::Text(text) => {
                    self.0.push(TEXT);
                    self.text(text);
                }
            }
        }
    }

    fn shape(&mut self, shape: &Shape) {
        self.number(shape.what);
        for properties in [&shape.numbers, &shape.texts] {
            self.length(properties.len());
            properties.iter().for_each(|property| self.number((*property).into()));
        }
    }

    /// Most are counts and prices.
    fn value(&mut self, value: f64) {
        /// Beyond that the form does not fit beside them.
        const MOST: u64 = 1 << 60;
        for (form, unit) in UNITS.iter().enumerate() {
            let units = (value * unit).round() as i64;
            if units.unsigned_abs() < MOST && (units as f64 / unit).to_bits() == value.to_bits() {
                return self.number(sign_last(units) << FORM_BITS | form as u64);
            }
        }
        self.number(AS_IT_IS);
        self.0.extend(value.to_le_bytes());
    }
}

/// The sign becomes the lowest bit, and small numbers of either sign are small.
const fn sign_last(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

const fn sign_first(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Shapes, to be read by.
#[derive(Default)]
struct Shapes {
    /// Kind and marks; where its numbers and its texts are among the properties.
    list: Vec<(u64, Range<usize>, Range<usize>)>,
    properties: Vec<u32>,
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline(always)]
    fn number(&mut self) -> Result<u64, DecodeError> {
        if let [small @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok((*small).into());
        }
        // Eight bytes at once, when there are so many and the number ends within them.
        if let Some(eight) = self.0.first_chunk() {
            let word = u64::from_le_bytes(*eight);
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                self.0 = &self.0[bits as usize / 8..];
                let word = word & u64::MAX >> (64 - bits) & 0x7f7f_7f7f_7f7f_7f7f;
                let word = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
                let word = word & 0x0000_3fff_0000_3fff | (word & 0x3fff_0000_3fff_0000) >> 2;
                return Ok(word & 0x0fff_ffff | (word & 0x0fff_ffff_0000_0000) >> 4);
            }
        }
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError)
    }

    #[inline(always)]
    fn signed(&mut self) -> Result<i64, DecodeError> {
        self.number().map(sign_first)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (byte, rest) = self.0.split_first().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// Of a list, of which every element takes at least one byte.
    fn length(&mut self) -> Result<usize, DecodeError> {
        self.index(self.0.len() + 1).map(|length| length as usize)
    }

    /// A number below so many.
    fn index(&mut self, most: usize) -> Result<u32, DecodeError> {
        let number = self.number()?;
        if number < most as u64 { u32::try_from(number).map_err(|_| DecodeError) } else { Err(DecodeError) }
    }

    /// Of a text.
    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(DecodeError)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError)
    }

    fn float(&mut self) -> Result<f64, DecodeError> {
        let (float, rest) = self.0.split_first_chunk().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(f64::from_le_bytes(*float))
    }

    #[inline(always)]
    fn value(&mut self) -> Result<f64, DecodeError> {
        let number = self.number()?;
        let form = number & ((1 << FORM_BITS) - 1);
        match UNITS.get(form as usize) {
            Some(unit) => Ok(sign_first(number >> FORM_BITS) as f64 / unit),
            None if number == AS_IT_IS => self.float(),
            None => Err(DecodeError),
        }
    }

    fn names(&mut self, names: &mut Names) -> Result<(), DecodeError> {
        let length = self.length()?;
        names.refill((0..length).map(|_| self.bytes()), |bytes| {
            std::str::from_utf8(bytes).map_err(|_| DecodeError)
        })
    }

    fn version(&mut self, version: &mut Version) -> Result<(), DecodeError> {
        let mut time = || self.signed().map(Time);
        (version.effective_time, version.record_time, version.create_time) = (time()?, time()?, time()?);
        let length = self.length()?;
        let attributes = &mut version.attributes;
        if attributes.len() == length {
            let begin = self.0;
            if self.same_attributes(attributes)? {
                return Ok(());
            }
            self.0 = begin;
        }
        attributes.clear();
        for _ in 0..length {
            let name = self.text()?.to_owned();
            let mut value = AttributeValue::Boolean(false);
            self.attribute(&mut value)?;
            attributes.insert(name, value);
        }
        Ok(())
    }

    /// Overwrites the values of attributes as long as the names are these; tells whether all are.
    fn same_attributes(&mut self, attributes: &mut Attributes) -> Result<bool, DecodeError> {
        for (name, value) in attributes {
            if self.bytes()? != name.as_bytes() {
                return Ok(false);
            }
            self.attribute(value)?;
        }
        Ok(true)
    }

    fn attribute(&mut self, value: &mut AttributeValue) -> Result<(), DecodeError> {
        match (self.byte()?, value) {
            (FALSE, value) => *value = AttributeValue::Boolean(false),
            (TRUE, value) => *value = AttributeValue::Boolean(true),
            (NUMBER, value) => *value = AttributeValue::Number(self.value()?),
            (TEXT, AttributeValue::Text(room)) => self.text()?.clone_into(room),
            (TEXT, value) => *value = AttributeValue::Text(self.text()?.to_owned()),
            _ => return Err(DecodeError),
        }
        Ok(())
    }

    fn shapes(&mut self, shapes: &mut Shapes, kinds: usize, properties: usize) -> Result<(), DecodeError> {
        shapes.list.clear();
        shapes.properties.clear();
        for _ in 0..self.length()? {
            let what = self.number()?;
            if what >> MARK_BITS >= (kinds as u64).min(PAID.into()) {
                return Err(DecodeError);
            }
            let mut some = || {
                let begin = shapes.properties.len();
                for _ in 0..self.length()? {
                    shapes.properties.push(self.index(properties)?);
                }
                Ok(begin..shapes.properties.len())
            };
            let (numbers, texts) = (some()?, some()?);
            shapes.list.push((what, numbers, texts));
        }
        Ok(())
    }

    fn events(&mut self, shapes: &Shapes, history: &mut History) -> Result<(), DecodeError> {
        let History { occur_times, record_times, whats, amounts, numbers, texts, .. } = history;
        let length = self.length()?;
        for times in [&mut *occur_times, &mut *record_times] {
            times.clear();
            times.reserve(length);
        }
        whats.clear();
        whats.reserve(length);
        amounts.clear();
        numbers.clear();
        texts.clear();
        // One of its own, which the compiler can keep in registers.
        let mut bytes = Reader(self.0);
        let mut occurred = 0;
        for event in 0..length as u32 {
            let shape = usize::try_from(bytes.number()?).ok().and_then(|shape| shapes.list.get(shape));
            let (what, own_numbers, own_texts) = shape.ok_or(DecodeError)?;
            occurred =
                if event == 0 { bytes.signed()? } else { occurred.wrapping_add(bytes.number()? as i64) };
            let late = if what & RECORDED_APART == 0 { 0 } else { bytes.signed()? };
            let paid = if what & HAS_AMOUNT == 0 {
                0
            } else {
                amounts.push(bytes.signed()?);
                PAID
            };
            occur_times.push(Time(occurred));
            record_times.push(Time(occurred.wrapping_add(late)));
            whats.push((what >> MARK_BITS) as u32 | paid);
            for property in &shapes.properties[own_numbers.clone()] {
                numbers.push(Number { event, property: *property, value: bytes.value()? });
            }
            let own_texts = &shapes.properties[own_texts.clone()];
            texts.extend(own_texts.iter().map(|property| Text { event, property: *property }));
        }
        self.0 = bytes.0;
        Ok(())
    }

    fn next_event(&mut self, before: u32, events: usize) -> Result<u32, DecodeError> {
        let event = u64::from(before) + self.number()?;
        if event < events as u64 { Ok(event as u32) } else { Err(DecodeError) }
    }
}
