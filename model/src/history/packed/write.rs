//! Packing: [`History::pack`].

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use super::{
    Packed, SHAPE_AMOUNT, SHAPE_MARK_BITS, SHAPE_RECORDED_APART, SHAPE_RETRACTED, TAG_FALSE, TAG_NUMBER,
    TAG_TEXT, TAG_TRUE, VALUE_FLOAT, VALUE_FORM_BITS, VALUE_UNITS,
};
use crate::{
    history::{AttributeValue, History, Survey, Version, names::NameTable},
    time::Time,
};

impl History {
    /// Packs the history.
    #[must_use]
    pub fn pack(&self) -> Packed {
        let mut bytes = ByteWriter(Vec::with_capacity(256 + 10 * self.len()));
        bytes.names(&self.kind_names);
        bytes.names(&self.property_names);
        bytes.names(&self.values);
        bytes.length(self.versions.len());
        self.versions.iter().for_each(|version| bytes.version(version));
        let (shapes, shape_of) = self.shapes();
        bytes.length(shapes.len());
        shapes.iter().for_each(|shape| bytes.shape(shape));
        bytes.events(self, &shapes, &shape_of);
        bytes.surveys(&self.surveys);
        Packed(bytes.0.into())
    }

    /// The shapes that occur, and the shape of each event.
    fn shapes(&self) -> (Vec<Shape>, Vec<u32>) {
        let (mut numbers, mut texts) = (self.numbers.as_slice(), self.texts.as_slice());
        let mut known: HashMap<Shape, u32> = HashMap::new();
        let (mut shapes, mut shape_of) = (Vec::new(), Vec::with_capacity(self.len()));
        // That of the event; its memory is used for each, since most are known.
        let mut shape = Shape::default();
        for (n, event) in (0_u32..).zip(self.events()) {
            let (own, rest) = numbers.split_at(numbers.iter().take_while(|number| number.event == n).count());
            numbers = rest;
            let (own_texts, rest) = texts.split_at(texts.iter().take_while(|text| text.event == n).count());
            texts = rest;
            let amount = event.amount_minor.map_or(0, |_| SHAPE_AMOUNT);
            let apart = if event.record_time == event.occur_time { 0 } else { SHAPE_RECORDED_APART };
            let retracted = event.retract_time.map_or(0, |_| SHAPE_RETRACTED);
            shape.kind_and_marks = u64::from(event.kind) << SHAPE_MARK_BITS | amount | apart | retracted;
            shape.numbers.clear();
            shape.numbers.extend(own.iter().map(|number| number.property));
            shape.texts.clear();
            shape.texts.extend(own_texts.iter().map(|text| (text.property, text.value)));
            let number = known.get(&shape).copied().unwrap_or_else(|| {
                let number = shapes.len() as u32;
                known.insert(shape.clone(), number);
                shapes.push(shape.clone());
                number
            });
            shape_of.push(number);
        }
        (shapes, shape_of)
    }
}

/// What many events have in common.
#[derive(Clone, Debug, Default, Eq)]
struct Shape {
    kind_and_marks: u64,
    /// The properties that are numbers, in their order, and the others.
    numbers: Vec<u32>,
    texts: Vec<(u32, Option<u32>)>,
}

/// Compares the numbers one by one: most events have none, and comparing slices of nothing may take 120 ns, see
/// [`NameTable`].
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.kind_and_marks == other.kind_and_marks
            && self.numbers.iter().eq(&other.numbers)
            && self.texts == other.texts
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind_and_marks.hash(state);
        self.numbers.hash(state);
        self.texts.hash(state);
    }
}

struct ByteWriter(Vec<u8>);

impl ByteWriter {
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

    fn names(&mut self, names: &NameTable) {
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
                AttributeValue::Boolean(truth) => self.0.push(if *truth { TAG_TRUE } else { TAG_FALSE }),
                AttributeValue::Number(number) => {
                    self.0.push(TAG_NUMBER);
                    self.value(*number);
                }
                AttributeValue::Text(text) => {
                    self.0.push(TAG_TEXT);
                    self.text(text);
                }
            }
        }
    }

    fn shape(&mut self, shape: &Shape) {
        self.number(shape.kind_and_marks);
        self.length(shape.numbers.len());
        shape.numbers.iter().for_each(|property| self.number((*property).into()));
        self.length(shape.texts.len());
        for (property, value) in &shape.texts {
            self.number((*property).into());
            self.number(value.map_or(0, |value| u64::from(value) + 1));
        }
    }

    fn events(&mut self, history: &History, shapes: &[Shape], shape_of: &[u32]) {
        self.length(history.len());
        let (mut before, mut numbers) = (0, history.numbers.iter());
        for (n, (event, shape)) in history.events().zip(shape_of).enumerate() {
            let Time(occurred) = event.occur_time;
            self.number((*shape).into());
            // Only the first can lie before 1970.
            if n == 0 {
                self.signed(occurred);
            } else {
                self.number(occurred.wrapping_sub(before) as u64);
            }
            if event.record_time != event.occur_time {
                self.signed(event.record_time.0.wrapping_sub(occurred));
            }
            if let Some(retract_time) = event.retract_time {
                self.signed(retract_time.0.wrapping_sub(occurred));
            }
            if let Some(amount) = event.amount_minor {
                self.signed(amount);
            }
            let own = numbers.by_ref().take(shapes[*shape as usize].numbers.len());
            own.for_each(|number| self.value(number.value));
            before = occurred;
        }
    }

    fn surveys(&mut self, surveys: &[Survey]) {
        self.length(surveys.len());
        let mut before = 0;
        for survey in surveys {
            self.number((survey.event - before).into());
            self.0.extend(survey.satisfaction.to_le_bytes());
            before = survey.event;
        }
    }

    /// Writes a float; most are counts and prices, which take few bytes.
    fn value(&mut self, value: f64) {
        /// Greater integers leave no room for the form beside them.
        const MOST: u64 = 1 << 60;
        for (form, unit) in VALUE_UNITS.iter().enumerate() {
            let units = (value * unit).round() as i64;
            if units.unsigned_abs() < MOST && (units as f64 / unit).to_bits() == value.to_bits() {
                return self.number(sign_last(units) << VALUE_FORM_BITS | form as u64);
            }
        }
        self.number(VALUE_FLOAT);
        self.0.extend(value.to_le_bytes());
    }
}

/// Moves the sign to the lowest bit, so that small numbers of either sign are small.
const fn sign_last(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}
