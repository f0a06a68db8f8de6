//! Texts that are not UTF-8.

use std::io::{self, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Decoder, DecoderResult, Encoding, GB18030, GBK, ISO_8859_2, UTF_16BE, UTF_16LE, WINDOWS_1250,
    WINDOWS_1252,
};

/// The encoding that the first bytes of a text show: a byte order mark, or the zeros that UTF-16 has between Latin
/// letters.
pub(super) fn of_start(start: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return Some(encoding);
    }
    match start {
        [1..=255, 0, 1..=255, 0, ..] => Some(UTF_16LE),
        [0, 1..=255, 0, 1..=255, ..] => Some(UTF_16BE),
        _ => None,
    }
}

/// The most likely encoding of a text that is not UTF-8.
pub(super) fn guess(mut text: impl Read) -> io::Result<&'static Encoding> {
    /// Bytes that are looked at; more would not make the guess better.
    const ENOUGH: u64 = 16 << 20;
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut text = text.by_ref().take(ENOUGH);
    let mut block = vec![0; 1 << 16];
    let mut hanzi = Hanzi::default();
    loop {
        let read = text.read(&mut block)?;
        detector.feed(&block[..read], read == 0);
        block[..read].iter().for_each(|byte| hanzi.add(*byte));
        if read == 0 {
            break;
        }
    }
    let guess = detector.guess(None, Utf8Detection::Deny);
    // GB18030 is GBK with more characters. The detector takes short Chinese texts for Latin ones.
    let is_hanzi = guess == GBK
        || ((guess == WINDOWS_1252 || guess == ISO_8859_2 || guess == WINDOWS_1250) && hanzi.all());
    Ok(if is_hanzi { GB18030 } else { guess })
}

/// Whether all of a text that is not ASCII is pairs of bytes that are common Chinese characters in GBK, and none is
/// next to a Latin letter. Single letters of European languages hardly ever come in such pairs.
#[derive(Default)]
struct Hanzi {
    lead: bool,
    other: bool,
    /// The byte before.
    previous: u8,
}

impl Hanzi {
    fn add(&mut self, byte: u8) {
        let previous = std::mem::replace(&mut self.previous, byte);
        let fits = match (self.lead, byte) {
            (false, 0..=0x7f) => !(byte.is_ascii_alphabetic() && previous > 0x7f),
            (false, 0xa1..=0xa3 | 0xb0..=0xd7) => !previous.is_ascii_alphabetic(),
            (true, 0xa1..=0xfe) => true,
            _ => false,
        };
        self.other |= !fits;
        self.lead = !self.lead && fits && byte > 0x7f;
    }

    const fn all(&self) -> bool {
        !self.lead && !self.other
    }
}

/// A text in another encoding as UTF-8. What is not text in that encoding is an error.
pub(super) struct Decoded<R> {
    input: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    raw: Vec<u8>,
    /// The part of `raw` that is not decoded yet.
    undecoded: std::ops::Range<usize>,
    text: Vec<u8>,
    /// How much of `text` has been read.
    read: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(input: R, encoding: &'static Encoding) -> Self {
        Self {
            input,
            encoding,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: vec![0; 1 << 16],
            undecoded: 0..0,
            text: Vec::new(),
            read: 0,
            ended: false,
        }
    }

    /// Decodes the next part into `text`.
    fn decode(&mut self) -> io::Result<()> {
        if self.undecoded.is_empty() {
            let read = self.input.read(&mut self.raw)?;
            self.undecoded = 0..read;
            self.ended = read == 0;
        }
        // Space for all that the input can become, so that only a mistake stops the decoder early.
        self.text.resize(self.raw.len() * 3 + 16, 0);
        let raw = &self.raw[self.undecoded.clone()];
        let (result, used, written) =
            self.decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.ended);
        self.text.truncate(written);
        self.read = 0;
        self.undecoded.start += used;
        if matches!(result, DecoderResult::Malformed(..)) {
            let message = format!("it is not text in {}; --encoding names another", self.encoding.name());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.text.len() && !self.ended {
            self.decode()?;
        }
        let count = buffer.len().min(self.text.len() - self.read);
        buffer[..count].copy_from_slice(&self.text[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}
