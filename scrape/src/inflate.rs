//! Answers as they came over the wire, and their texts: buffers that are used again, and gzip at once.

use flate2::read::MultiGzDecoder;
use libdeflater::Decompressor;
use parking_lot::Mutex;
use std::io::{self, Read as _};
use std::ops::Deref;

/// Buffers that wait for the next answer: as many as are usually in use at the same time on few cores.
const SPARE_BUFFERS: usize = 4;
/// A larger buffer than this is given back, bytes.
const SPARE_CAPACITY: usize = 4 << 20;
/// Deflate cannot make more bytes than this of one: two bits stand for 258 bytes.
const MOST_OF_ONE: u64 = 1032;
/// Before and behind the deflated bytes of a gzip member without options.
const HEADER: usize = 10;
const TRAILER: usize = 8;

/// Why there is no text.
#[derive(Debug)]
pub(crate) enum Error {
    /// It is longer than the limit.
    TooLong,
    /// The bytes are no gzip.
    Gzip(io::Error),
}

/// The text of an answer.
#[derive(Debug)]
pub(crate) struct Body {
    buffer: Vec<u8>,
    len: usize,
    /// As it was received: the buffer is one for that.
    plain: bool,
}

impl Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// Buffers and inflaters that are used again.
#[derive(Default)]
pub(crate) struct Buffers {
    received: Mutex<Vec<Vec<u8>>>,
    /// Longer than what they hold at the time: what stands there once need not be zeroed again.
    texts: Mutex<Vec<Vec<u8>>>,
    inflaters: Mutex<Vec<Decompressor>>,
}

impl Buffers {
    /// An empty buffer for what comes over the wire.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.received.lock().pop().unwrap_or_default()
    }

    /// Gives one back.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        keep(&mut self.received.lock(), buffer);
    }

    /// Gives a text back.
    pub(crate) fn put_body(&self, body: Body) {
        if body.plain { self.put(body.buffer) } else { keep(&mut self.texts.lock(), body.buffer) }
    }

    /// The text as it was received.
    pub(crate) fn plain(&self, received: Vec<u8>) -> Body {
        Body { len: received.len(), buffer: received, plain: true }
    }

    /// The text of a gzip.
    ///
    /// The usual answer, one member without options, is inflated at once: its end says how long the text is. All others,
    /// broken ones included, are read piece by piece.
    pub(crate) fn unzip(&self, gzip: &[u8], limit: u64) -> Result<Body, Error> {
        let mut buffer = self.texts.lock().pop().unwrap_or_default();
        if let Some(announced) = announced(gzip) {
            if announced.len as u64 > limit {
                keep(&mut self.texts.lock(), buffer);
                return Err(Error::TooLong);
            }
            if buffer.len() < announced.len {
                buffer.resize(announced.len, 0);
            }
            let mut inflater = self.inflaters.lock().pop().unwrap_or_default();
            let text = &mut buffer[..announced.len];
            let whole = inflater.deflate_decompress(announced.deflated, text) == Ok(announced.len)
                && libdeflater::crc32(text) == announced.checksum;
            let mut spare = self.inflaters.lock();
            if spare.len() < SPARE_BUFFERS {
                spare.push(inflater);
            }
            if whole {
                return Ok(Body { buffer, len: announced.len, plain: false });
            }
        }
        buffer.clear();
        let read = MultiGzDecoder::new(gzip).take(limit.saturating_add(1)).read_to_end(&mut buffer);
        let len = read.map_err(Error::Gzip)?;
        if len as u64 > limit {
            return Err(Error::TooLong);
        }
        Ok(Body { buffer, len, plain: false })
    }
}

fn keep(spare: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_CAPACITY {
        spare.push(buffer);
    }
}

/// What a gzip of one member says of itself.
struct Announced<'a> {
    deflated: &'a [u8],
    checksum: u32,
    len: usize,
}

/// None where it has options, or cannot be what it says.
fn announced(gzip: &[u8]) -> Option<Announced<'_>> {
    let (header, rest) = gzip.split_first_chunk::<HEADER>()?;
    let (deflated, trailer) = rest.split_last_chunk::<TRAILER>()?;
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    let possible = u64::from(len) <= deflated.len() as u64 * MOST_OF_ONE;
    (header.starts_with(&[0x1f, 0x8b, 8, 0]) && possible).then_some(Announced {
        deflated,
        checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        len: len as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn zip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unzip(gzip: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
        let buffers = Buffers::default();
        let first = buffers.unzip(gzip, limit)?.to_vec();
        // once more with used buffers
        for _ in 0..2 {
            let body = buffers.unzip(gzip, limit)?;
            assert_eq!(*body, *first);
            buffers.put_body(body);
        }
        Ok(first)
    }

    #[test]
    fn inflates_any_gzip() {
        let text = b"some text, some text, some text\n".repeat(1000);
        for text in [&b""[..], b"x", &text] {
            assert_eq!(unzip(&zip(text), 1 << 20).unwrap(), text);
        }
        // two members, of different and of equal length
        for (a, b) in [(&text[..40], &text[..]), (b"abc", b"def")] {
            assert_eq!(unzip(&[zip(a), zip(b)].concat(), 1 << 20).unwrap(), [a, b].concat());
        }
        // with a file name, as an option
        let mut named = flate2::GzBuilder::new().filename("metrics").write(Vec::new(), Compression::fast());
        named.write_all(&text).unwrap();
        assert_eq!(unzip(&named.finish().unwrap(), 1 << 20).unwrap(), text);
    }

    #[test]
    fn refuses_long_texts_and_broken_ones() {
        let text = b"0123456789".repeat(100);
        assert_eq!(unzip(&zip(&text), 1000).unwrap(), text);
        assert!(matches!(unzip(&zip(&text), 999), Err(Error::TooLong)));
        assert!(matches!(unzip(&[zip(&text), zip(&text[..1])].concat(), 1000), Err(Error::TooLong)));
        let whole = zip(&text);
        for at in 0..whole.len() {
            assert!(matches!(unzip(&whole[..at], 1000), Err(Error::Gzip(_))), "cut at {at}");
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            // time and system of the header say nothing, and a period may be copied from one further back
            if let Ok(read) = unzip(&broken, 1000) {
                assert_eq!(read, text, "broken at {at}");
            }
        }
        let mut boastful = whole.clone();
        let end = boastful.len();
        boastful[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(unzip(&boastful, u64::MAX), Err(Error::Gzip(_))));
    }
}
