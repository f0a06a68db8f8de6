//! One look at a whole text before its rows are read: what separates its columns, whether it is UTF-8, and whether
//! all quotes are closed.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};

const BLOCK: usize = 1 << 20;
/// What may separate columns; the first one wins a tie.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// What a text looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextShape {
    pub(super) empty: bool,
    pub(super) utf8: bool,
    pub(super) delimiter: u8,
    /// Whether the first line is `sep=;`, as Excel writes and reads it.
    pub(super) sep_line: bool,
    /// Whether lines end with CR alone.
    pub(super) cr: bool,
    /// The byte at which a quote opens that never closes.
    pub(super) open_quote: Option<u64>,
    /// The first byte of text that follows a closing quote, as where a quote before it is left open.
    pub(super) loose_quote: Option<u64>,
}

/// Reads a text to its end.
pub(super) fn scan(mut text: impl Read, delimiter: Option<u8>) -> io::Result<TextShape> {
    let mut block = Vec::with_capacity(BLOCK);
    read_block(&mut text, &mut block)?;
    let first = first_line(&block);
    let sep = sep_line(first);
    let header =
        if sep.is_some() { first_line(block.get(first.len() + 1..).unwrap_or_default()) } else { first };
    let delimiter = delimiter.or(sep).unwrap_or_else(|| most_frequent(header));
    let mut shape = TextShape {
        empty: block.iter().all(u8::is_ascii_whitespace),
        utf8: true,
        delimiter,
        sep_line: sep.is_some(),
        cr: block.contains(&b'\r'),
        open_quote: None,
        loose_quote: None,
    };
    let mut quotes = Quotes { delimiter, open: None, closing: false, loose: None, previous: b'\n', begin: 0 };
    // Bytes of a character that the block before has begun.
    let mut begun = 0;
    let mut broken = BrokenUtf8::default();
    while block.len() > begun {
        quotes.feed(&block[begun..]);
        shape.cr &= memchr(b'\n', &block).is_none();
        begun = match std::str::from_utf8(&block) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => block.len() - error.valid_up_to(),
            Err(_) => {
                broken.add(&block);
                0
            }
        };
        block.drain(..block.len() - begun);
        read_block(&mut text, &mut block)?;
    }
    shape.utf8 = begun == 0 && broken.is_utf8();
    shape.open_quote = quotes.open_at_end();
    shape.loose_quote = quotes.loose;
    Ok(shape)
}

/// Blocks that are not UTF-8 throughout.
#[derive(Default)]
struct BrokenUtf8 {
    /// Characters of several bytes.
    characters: usize,
    /// Places that are not UTF-8.
    mistakes: usize,
}

impl BrokenUtf8 {
    fn add(&mut self, block: &[u8]) {
        for chunk in block.utf8_chunks() {
            self.characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
            self.mistakes += usize::from(!chunk.invalid().is_empty());
        }
    }

    /// Whether the text is UTF-8 with a few mistakes: in other encodings, letters hardly ever are UTF-8 by chance.
    const fn is_utf8(&self) -> bool {
        self.mistakes == 0 || self.characters > self.mistakes
    }
}

/// Fills the block, which may hold a few bytes already.
fn read_block(text: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
    text.take((BLOCK - block.len()) as u64).read_to_end(block).map(drop)
}

/// The first line, without its end.
fn first_line(text: &[u8]) -> &[u8] {
    text.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default()
}

/// The delimiter that a line such as `sep=;` names.
fn sep_line(line: &[u8]) -> Option<u8> {
    let inner = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match inner {
        [name @ .., delimiter] if name.eq_ignore_ascii_case(b"sep=") => Some(*delimiter),
        _ => None,
    }
}

fn most_frequent(header: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(n) = DELIMITERS.iter().position(|delimiter| delimiter == byte).filter(|_| !quoted) {
            counts[n] += 1;
        }
    }
    // The last of several maxima would win.
    let most = counts.iter().enumerate().rev().max_by_key(|(_, count)| **count);
    most.map_or(DELIMITERS[0], |(n, _)| DELIMITERS[n])
}

/// Follows the quotes through a text, block by block.
struct Quotes {
    delimiter: u8,
    /// Where the quote is that is open.
    open: Option<u64>,
    /// Whether the last byte is a quote within quotes, which closes them unless another follows.
    closing: bool,
    /// Where text has first followed a closing quote.
    loose: Option<u64>,
    /// The last byte of the block before.
    previous: u8,
    /// The position of the block in the text.
    begin: u64,
}

impl Quotes {
    fn feed(&mut self, block: &[u8]) {
        let mut skipped = None;
        if std::mem::take(&mut self.closing) {
            match block.first() {
                Some(b'"') => skipped = Some(0),
                Some(next) => self.close(*next, self.begin),
                None => self.closing = true,
            }
        }
        for at in memchr_iter(b'"', block) {
            if skipped == Some(at) {
                continue;
            }
            if self.open.is_none() {
                let before = if at == 0 { self.previous } else { block[at - 1] };
                let opens = before == self.delimiter || matches!(before, b'\n' | b'\r');
                self.open = opens.then_some(self.begin + at as u64);
                continue;
            }
            match block.get(at + 1) {
                Some(b'"') => skipped = Some(at + 1),
                Some(next) => self.close(*next, self.begin + at as u64 + 1),
                None => self.closing = true,
            }
        }
        self.previous = block.last().copied().unwrap_or(self.previous);
        self.begin += block.len() as u64;
    }

    /// Closes the quote before the byte `next`, which is at `at` in the text.
    fn close(&mut self, next: u8, at: u64) {
        self.open = None;
        if next != self.delimiter && !matches!(next, b'\n' | b'\r') {
            self.loose.get_or_insert(at);
        }
    }

    fn open_at_end(&self) -> Option<u64> {
        self.open.filter(|_| !self.closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &[u8]) -> TextShape {
        scan(text, None).unwrap()
    }

    #[test]
    fn delimiters_are_those_of_the_header() {
        for (text, delimiter) in [
            ("a,b\n1;2;3,4\n", b','),
            ("a;b,c;d\n", b';'),
            ("a\tb\n", b'\t'),
            ("a|b|c\n", b'|'),
            ("\"a;b;c\",d\n", b','),
            ("a;b,c\n", b','),
            ("a\n", b','),
        ] {
            assert_eq!(shape(text.as_bytes()).delimiter, delimiter, "{text:?}");
        }
        let excel = shape(b"sep=;\r\na,b\r\n");
        assert_eq!((excel.sep_line, excel.delimiter), (true, b';'));
        assert_eq!(scan(&b"a;b\n"[..], Some(b'#')).unwrap().delimiter, b'#');
    }

    #[test]
    fn quotes_that_stay_open_are_found() {
        for text in ["a,\"b\"\"c\"\n", "\"a\nb\",c\n", "5\" nail,x\n", "a,\"b\"", "\"\"\"\",x\n", "a,\"\"\n"]
        {
            assert_eq!(shape(text.as_bytes()).open_quote, None, "{text:?}");
        }
        assert_eq!(shape(b"a,b\n1,\"2\n3,4\n").open_quote, Some(6));
        assert_eq!(shape(b"\"a\"\",b\n").open_quote, Some(0));
        let shape = shape(b"a,\"b\n1,\"two\nlines\"\n");
        assert_eq!((shape.open_quote, shape.loose_quote), (None, Some(8)));
    }

    #[test]
    fn blocks_do_not_matter() {
        for gap in 0..4 {
            let text = format!("{}\n\"{}é\"\"\",x\n", "a".repeat(BLOCK - gap), "b".repeat(BLOCK - 4));
            assert_eq!(shape(text.as_bytes()).open_quote, None);
            assert!(shape(text.as_bytes()).utf8);
        }
        assert!(!shape(b"a,\xe4\n").utf8 && !shape(b"a,\xc3").utf8);
    }
}
