//! Unpacking: reads bytes that may be damaged into a history whose allocations are reused.

use std::ops::Range;

use super::{
    DecodeError, SHAPE_AMOUNT, SHAPE_MARK_BITS, SHAPE_RECORDED_APART, SHAPE_RETRACTED, SHAPE_TEXTS,
    TAG_FALSE, TAG_NUMBER, TAG_TEXT, TAG_TRUE, VALUE_FLOAT, VALUE_FORM_BITS, VALUE_UNITS,
};
use crate::{
    history::{
        AttributeValue, Attributes, History, Number, Survey, Text, Version,
        columns::Retraction,
        events::{HAS_AMOUNT, IS_RETRACTED},
        names::NameTable,
    },
    time::Time,
};

/// The shapes of the history that is being read.
#[derive(Default)]
pub(super) struct Shapes {
    list: Vec<ShapeRanges>,
    /// The properties that are numbers, and the texts with their values.
    properties: Vec<u32>,
    texts: Vec<(u32, Option<u32>)>,
}

struct ShapeRanges {
    kind_and_marks: u64,
    /// The places of its numbers in [`Shapes::properties`], and of its texts in [`Shapes::texts`].
    numbers: Range<usize>,
    texts: Range<usize>,
}

/// The bytes that are left to read.
pub(super) struct ByteReader<'a>(pub(super) &'a [u8]);

impl<'a> ByteReader<'a> {
    /// Overwrites a history. Customers resemble each other: often the names are those that were there before.
    pub(super) fn history(&mut self, history: &mut History, shapes: &mut Shapes) -> Result<(), DecodeError> {
        self.names(&mut history.kind_names)?;
        self.names(&mut history.property_names)?;
        self.names(&mut history.values)?;
        let blank = || Version {
            effective_time: Time(0),
            record_time: Time(0),
            create_time: Time(0),
            attributes: Attributes::new(),
        };
        history.versions.resize_with(self.length()?, blank);
        history.versions.iter_mut().try_for_each(|version| self.version(version))?;
        let names = [&history.kind_names, &history.property_names, &history.values];
        self.shapes(shapes, names.map(|names| names.list().len()))?;
        self.events(shapes, history)?;
        self.surveys(history)?;
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError) }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<u64, DecodeError> {
        if let [small @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok((*small).into());
        }
        // Eight bytes at once, when that many are left and the number ends within them.
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

    /// The length of a list, each of whose elements takes at least one byte.
    fn length(&mut self) -> Result<usize, DecodeError> {
        self.index(self.0.len() + 1).map(|length| length as usize)
    }

    /// A number below `end`.
    fn index(&mut self, end: usize) -> Result<u32, DecodeError> {
        let number = self.number()?;
        if number < end as u64 { u32::try_from(number).map_err(|_| DecodeError) } else { Err(DecodeError) }
    }

    /// The bytes of a text.
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
        let form = number & ((1 << VALUE_FORM_BITS) - 1);
        match VALUE_UNITS.get(form as usize) {
            Some(unit) => Ok(sign_first(number >> VALUE_FORM_BITS) as f64 / unit),
            None if number == VALUE_FLOAT => self.float(),
            None => Err(DecodeError),
        }
    }

    fn names(&mut self, names: &mut NameTable) -> Result<(), DecodeError> {
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

    /// Overwrites the values of attributes as long as the names match; returns whether all did.
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
            (TAG_FALSE, value) => *value = AttributeValue::Boolean(false),
            (TAG_TRUE, value) => *value = AttributeValue::Boolean(true),
            (TAG_NUMBER, value) => *value = AttributeValue::Number(self.value()?),
            (TAG_TEXT, AttributeValue::Text(old)) => self.text()?.clone_into(old),
            (TAG_TEXT, value) => *value = AttributeValue::Text(self.text()?.to_owned()),
            _ => return Err(DecodeError),
        }
        Ok(())
    }

    /// The shapes of a history with this many kinds, properties and values.
    fn shapes(
        &mut self,
        shapes: &mut Shapes,
        [kinds, properties, values]: [usize; 3],
    ) -> Result<(), DecodeError> {
        shapes.list.clear();
        shapes.properties.clear();
        shapes.texts.clear();
        for _ in 0..self.length()? {
            let kind_and_marks = self.number()?;
            let kind = (kind_and_marks & !SHAPE_RETRACTED) >> SHAPE_MARK_BITS;
            if kind >= (kinds as u64).min(IS_RETRACTED.into()) {
                return Err(DecodeError);
            }
            let (number, text) = (shapes.properties.len(), shapes.texts.len());
            for _ in 0..self.length()? {
                shapes.properties.push(self.index(properties)?);
            }
            for _ in 0..self.index(SHAPE_TEXTS + 1)? {
                shapes.texts.push((self.index(properties)?, self.index(values + 1)?.checked_sub(1)));
            }
            let (numbers, texts) = (number..shapes.properties.len(), text..shapes.texts.len());
            shapes.list.push(ShapeRanges { kind_and_marks, numbers, texts });
        }
        Ok(())
    }

    fn events(&mut self, shapes: &Shapes, history: &mut History) -> Result<(), DecodeError> {
        let length = self.length()?;
        history.reserve_events(length);
        let History { occur_times, record_times, kinds, amounts, retractions, numbers, texts, .. } = history;
        // A reader of its own, which the compiler can keep in registers.
        let mut bytes = ByteReader(self.0);
        let mut occurred = 0;
        for event in 0..length as u32 {
            let shape = usize::try_from(bytes.number()?).ok().and_then(|shape| shapes.list.get(shape));
            let ShapeRanges { kind_and_marks, numbers: own_numbers, texts: own_texts } =
                shape.ok_or(DecodeError)?;
            occurred = match event {
                0 => bytes.signed()?,
                // Events are in order of time.
                _ => occurred.checked_add_unsigned(bytes.number()?).ok_or(DecodeError)?,
            };
            let late = if kind_and_marks & SHAPE_RECORDED_APART == 0 { 0 } else { bytes.signed()? };
            let mut kind = ((kind_and_marks & !SHAPE_RETRACTED) >> SHAPE_MARK_BITS) as u32;
            if kind_and_marks & SHAPE_RETRACTED != 0 {
                retractions.push(Retraction { event, time: Time(occurred.wrapping_add(bytes.signed()?)) });
                kind |= IS_RETRACTED;
            }
            if kind_and_marks & SHAPE_AMOUNT != 0 {
                amounts.push(bytes.signed()?);
                kind |= HAS_AMOUNT;
            }
            occur_times.push(Time(occurred));
            record_times.push(Time(occurred.wrapping_add(late)));
            kinds.push(kind);
            for property in &shapes.properties[own_numbers.clone()] {
                numbers.push(Number { event, property: *property, value: bytes.value()? });
            }
            let own_texts = &shapes.texts[own_texts.clone()];
            texts.extend(own_texts.iter().map(|(property, value)| Text {
                event,
                property: *property,
                value: *value,
            }));
        }
        self.0 = bytes.0;
        Ok(())
    }

    fn surveys(&mut self, history: &mut History) -> Result<(), DecodeError> {
        history.surveys.clear();
        let mut event = 0;
        for _ in 0..self.length()? {
            let next = u64::from(event) + self.number()?;
            if next >= history.len() as u64 {
                return Err(DecodeError);
            }
            event = next as u32;
            history.surveys.push(Survey { event, satisfaction: self.float()? });
        }
        Ok(())
    }
}

impl History {
    /// Empties the columns of the events and makes room for `length` events.
    fn reserve_events(&mut self, length: usize) {
        for times in [&mut self.occur_times, &mut self.record_times] {
            times.clear();
            times.reserve(length);
        }
        self.kinds.clear();
        self.kinds.reserve(length);
        self.amounts.clear();
        self.retractions.clear();
        self.numbers.clear();
        self.texts.clear();
    }
}

const fn sign_first(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
