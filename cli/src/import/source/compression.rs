//! Compressed files, known by their first bytes.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The input, decompressed if its first bytes are those of gzip or zstd.
pub(super) fn decompressed(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let (start, whole) = peek(input, ZSTD.len())?;
    Ok(if start.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(whole))
    } else if start == ZSTD {
        Box::new(zstd::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    })
}

/// The first bytes of the input, and all of it.
pub(super) fn peek<R: Read>(mut input: R, bytes: usize) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut start = Vec::new();
    input.by_ref().take(bytes as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}
