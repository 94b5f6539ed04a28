//! Answers as they came over the wire, and their texts: buffers that are used again, and gzip at once.

use flate2::read::MultiGzDecoder;
use libdeflater::Decompressor;
use parking_lot::Mutex;
use runtime::room::{Held, Room};
use std::io::{self, Read as _};
use std::ops::Deref;

/// Buffers that wait for the next answer: as many as are usually in use at the same time on few cores.
const SPARE_BUFFERS: usize = 4;
/// A larger buffer than this is given back, bytes.
const SPARE_CAPACITY: usize = 4 << 20;
/// Of the room that bodies have, spare buffers of both kinds together may stay larger than empty by this share.
const SPARE_SHARE: usize = 16;
/// What a text of unknown length grows by, bytes.
const GROWTH: usize = 1 << 20;
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
    /// There is no memory for it now.
    NoRoom,
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
pub(crate) struct Buffers {
    /// A larger buffer than this is given back, bytes.
    spare_capacity: usize,
    received: Mutex<Vec<Vec<u8>>>,
    /// Longer than what they hold at the time: what stands there once need not be zeroed again.
    texts: Mutex<Vec<Vec<u8>>>,
    inflaters: Mutex<Vec<Decompressor>>,
}

impl Buffers {
    /// No buffers yet. All of them together stay small beside the room that bodies have.
    pub(crate) fn new(room: &Room) -> Self {
        let share = room.total().map_or(usize::MAX, |total| total / SPARE_SHARE / (2 * SPARE_BUFFERS));
        Buffers {
            spare_capacity: share.min(SPARE_CAPACITY),
            received: Mutex::default(),
            texts: Mutex::default(),
            inflaters: Mutex::default(),
        }
    }

    /// An empty buffer for what comes over the wire.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.received.lock().pop().unwrap_or_default()
    }

    /// Gives one back.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.keep(&self.received, buffer);
    }

    /// Gives a text back.
    pub(crate) fn put_body(&self, body: Body) {
        if body.plain { self.put(body.buffer) } else { self.keep(&self.texts, body.buffer) }
    }

    /// The text as it was received.
    pub(crate) fn plain(&self, received: Vec<u8>) -> Body {
        Body { len: received.len(), buffer: received, plain: true }
    }

    /// The text of a gzip.
    ///
    /// The usual answer, one member without options, is inflated at once: its end says how long the text is. All others,
    /// broken ones included, are read piece by piece. `held` has the room that the text announces, see [`announced_len`].
    pub(crate) fn unzip(&self, gzip: &[u8], limit: u64, held: &mut Held) -> Result<Body, Error> {
        let mut buffer = self.texts.lock().pop().unwrap_or_default();
        if let Some(announced) = announced(gzip) {
            if announced.len as u64 > limit {
                self.keep(&self.texts, buffer);
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
        let mut text = MultiGzDecoder::new(gzip).take(limit.saturating_add(1));
        loop {
            if !held.try_reach(buffer.len().saturating_add(GROWTH).min(limit as usize)) {
                return Err(Error::NoRoom);
            }
            buffer.reserve(GROWTH);
            if text.by_ref().take(GROWTH as u64).read_to_end(&mut buffer).map_err(Error::Gzip)? == 0 {
                break;
            }
            if buffer.len() as u64 > limit {
                return Err(Error::TooLong);
            }
        }
        Ok(Body { len: buffer.len(), buffer, plain: false })
    }

    fn keep(&self, spare: &Mutex<Vec<Vec<u8>>>, buffer: Vec<u8>) {
        let mut spare = spare.lock();
        if spare.len() < SPARE_BUFFERS && buffer.capacity() <= self.spare_capacity {
            spare.push(buffer);
        }
    }
}

/// How long the text of a gzip is, as far as it says so.
pub(crate) fn announced_len(gzip: &[u8]) -> Option<usize> {
    announced(gzip).map(|a| a.len)
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
        let room = Room::new(0);
        let buffers = Buffers::new(&room);
        let first = buffers.unzip(gzip, limit, &mut room.hold())?.to_vec();
        // once more with used buffers
        for _ in 0..2 {
            let body = buffers.unzip(gzip, limit, &mut room.hold())?;
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
    fn texts_of_unknown_length_need_room() {
        let text = b"0123456789".repeat(300_000);
        let zipped = [zip(&text), zip(b"a")].concat();
        let room = Room::new(text.len());
        let buffers = Buffers::new(&room);
        let read = buffers.unzip(&zipped, u64::MAX, &mut room.hold());
        assert!(matches!(read, Err(Error::NoRoom)), "{read:?}");
        let room = Room::new(2 * text.len());
        let read = buffers.unzip(&zipped, u64::MAX, &mut room.hold()).unwrap();
        assert_eq!(read.len(), text.len() + 1);
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
