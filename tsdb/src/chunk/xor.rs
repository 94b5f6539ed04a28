//! Float chunks: delta-of-delta timestamps, XORed values. See `docs/chunk.md`.
//!
//! ```text
//! ┌─────────────┬─────────────┬──────────┬──────────────────┬─────────┬──────────────┬─────────┬───┐
//! │ count <2b>  │ t0 <varint> │ v0 <8b>  │ t1-t0 <uvarint>  │ v1 xor  │ t2 dod       │ v2 xor  │ … │
//! └─────────────┴─────────────┴──────────┴──────────────────┴─────────┴──────────────┴─────────┴───┘
//! ```

use super::Error;
use super::bits::{BitReader, put_bits, put_dod, reserve};
use crate::encoding::{self, Reader, put_uvarint, put_varint};

/// "No window of significant bits yet."
const NO_WINDOW: u8 = 0xff;
/// Leading zeros have five bits: more than 31 are written as 31.
const MAX_LEADING: u32 = 31;

/// A float chunk that grows: what each active series holds. 56 bytes and the data, whose buffer grows in steps of 16 bytes.
#[derive(Clone, Debug)]
pub struct XorChunk {
    bytes: Vec<u8>,
    t: i64,
    v: f64,
    delta: u64,
    leading: u8,
    trailing: u8,
    /// Unused low bits of the last byte.
    free: u8,
}

impl Default for XorChunk {
    fn default() -> Self {
        XorChunk::new()
    }
}

impl XorChunk {
    /// An empty chunk. It holds no heap memory until the first sample.
    pub const fn new() -> Self {
        XorChunk { bytes: Vec::new(), t: 0, v: 0.0, delta: 0, leading: NO_WINDOW, trailing: 0, free: 0 }
    }

    /// A chunk that goes on where valid data ends.
    pub fn from_bytes(data: &[u8]) -> Result<Self, Error> {
        let mut iter = XorIter::new(data);
        for sample in iter.by_ref() {
            sample?;
        }
        let State { t, v, delta, leading, trailing, at } = iter.state;
        let used = if iter.count == 0 { 0 } else { 2 + at.div_ceil(8) };
        let free = (at.next_multiple_of(8) - at) as u8;
        let mut bytes = Vec::new();
        reserve(&mut bytes, used);
        bytes.extend_from_slice(&data[..used]);
        if let Some(last) = bytes.last_mut() {
            // Bits behind the end would be mixed into the next sample.
            *last &= 0xff << free;
        }
        Ok(XorChunk { bytes, t, v, delta, leading, trailing, free })
    }

    /// Appends a sample (t in milliseconds). The caller sees to rising timestamps, and begins a new chunk well before 65,535 samples.
    #[inline]
    pub fn append(&mut self, t: i64, v: f64) {
        match self.num_samples() {
            0 => self.append_first(t, v),
            1 => {
                self.delta = t.wrapping_sub(self.t) as u64;
                reserve(&mut self.bytes, encoding::uvarint_len(self.delta) + 1);
                put_uvarint(&mut self.bytes, self.delta);
                self.put_value(v);
            }
            n => {
                assert!(n < u16::MAX, "a chunk holds at most 65,535 samples");
                let delta = t.wrapping_sub(self.t) as u64;
                put_dod(&mut self.bytes, &mut self.free, delta.wrapping_sub(self.delta) as i64);
                self.put_value(v);
                self.delta = delta;
            }
        }
        (self.t, self.v) = (t, v);
        let count = self.num_samples() + 1;
        if let Some(header) = self.bytes.first_chunk_mut::<2>() {
            *header = count.to_be_bytes();
        }
    }

    #[cold]
    fn append_first(&mut self, t: i64, v: f64) {
        self.bytes.clear();
        // 2 count, at most 7 for a timestamp of this millennium, 8 value: two steps of 16 leave room for some samples.
        reserve(&mut self.bytes, 17);
        self.bytes.extend_from_slice(&[0, 0]);
        put_varint(&mut self.bytes, t);
        reserve(&mut self.bytes, 8);
        self.bytes.extend_from_slice(&v.to_bits().to_be_bytes());
        (self.leading, self.trailing, self.free) = (NO_WINDOW, 0, 0);
    }

    #[inline]
    fn put_value(&mut self, v: f64) {
        let xor = v.to_bits() ^ self.v.to_bits();
        if xor == 0 {
            put_bits(&mut self.bytes, &mut self.free, 0, 1);
            return;
        }
        let leading = xor.leading_zeros().min(MAX_LEADING);
        let trailing = xor.trailing_zeros();
        let (bits, n) = if self.leading != NO_WINDOW
            && leading >= u32::from(self.leading)
            && trailing >= u32::from(self.trailing)
        {
            put_bits(&mut self.bytes, &mut self.free, 0b10, 2);
            (xor >> self.trailing, 64 - u32::from(self.leading) - u32::from(self.trailing))
        } else {
            (self.leading, self.trailing) = (leading as u8, trailing as u8);
            let n = 64 - leading - trailing;
            // 64 significant bits are written as 0; there are never 0 of them.
            let header = 0b11 << 11 | u64::from(leading) << 6 | u64::from(n & 63);
            put_bits(&mut self.bytes, &mut self.free, header, 13);
            (xor >> trailing, n)
        };
        put_bits(&mut self.bytes, &mut self.free, bits, n);
    }

    /// How many samples.
    #[inline]
    pub fn num_samples(&self) -> u16 {
        self.bytes.first_chunk().map_or(0, |b| u16::from_be_bytes(*b))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The data: a valid chunk at any moment (without encoding byte, length and checksum); empty while there is no sample.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The data, owned, without spare room; the chunk is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(self).bytes;
        bytes.shrink_to_fit();
        bytes
    }

    /// Empties the chunk and keeps its buffer (re-encoding many chunks in a row).
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The last sample.
    #[inline]
    pub fn last(&self) -> Option<(i64, f64)> {
        (!self.bytes.is_empty()).then_some((self.t, self.v))
    }

    /// Its samples.
    pub fn iter(&self) -> XorIter<'_> {
        XorIter::new(self.bytes())
    }

    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Where decoding stands: the last sample and the bit behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    t: i64,
    pub(super) v: f64,
    delta: u64,
    leading: u8,
    trailing: u8,
    /// Position in bits behind the two bytes of the count.
    pub(super) at: usize,
}

impl State {
    pub(super) const START: State = State { t: 0, v: 0.0, delta: 0, leading: NO_WINDOW, trailing: 0, at: 0 };

    /// The first sample, from whole bytes.
    fn first(&mut self, data: &[u8]) -> Result<(), Fault> {
        let mut r = Reader::new(data);
        self.t = r.varint("timestamp")?;
        self.v = r.f64("value")?;
        self.at = r.position() * 8;
        Ok(())
    }

    /// The second sample: its time is a plain difference.
    fn second(&mut self, data: &[u8], bits: BitReader<'_>) -> Result<(), Fault> {
        let mut r = Reader::new(data.get(self.at / 8..).unwrap_or(&[]));
        self.delta = r.uvarint("timestamp")?;
        self.at += r.position() * 8;
        self.t = self.t.wrapping_add(self.delta as i64);
        self.value(bits, bits.peek57(self.at), 57)
    }

    /// Any further sample: the loop of all queries. One load of eight bytes serves the usual sample, regular in time.
    #[inline(always)]
    fn next(&mut self, bits: BitReader<'_>) -> Result<(), Fault> {
        let word = bits.peek57(self.at);
        if word >> 63 == 0 {
            self.t = self.t.wrapping_add(self.delta as i64);
            self.at += 1;
            return self.value(bits, word << 1, 56);
        }
        let dod = self.dod(bits, word);
        self.delta = self.delta.wrapping_add(dod as u64);
        self.t = self.t.wrapping_add(self.delta as i64);
        self.value(bits, bits.peek57(self.at), 57)
    }

    /// A delta of deltas that is not zero.
    #[inline(always)]
    fn dod(&mut self, bits: BitReader<'_>, word: u64) -> i64 {
        let (prefix, n) = match (word >> 60) & 0b111 {
            0b000..=0b011 => (2, 14),
            0b100 | 0b101 => (3, 17),
            0b110 => (4, 20),
            _ => {
                let dod = bits.bits(self.at + 4, 64);
                self.at += 68;
                return dod as i64;
            }
        };
        self.at += prefix as usize + n as usize;
        let value = (word << prefix >> (64 - n)) as i64;
        // Two's complement but for one value: the top bit alone is positive.
        if value > 1 << (n - 1) { value - (1 << n) } else { value }
    }

    /// A value; `word` holds `valid` bits from the present position on, in its high bits.
    #[inline(always)]
    pub(super) fn value(&mut self, bits: BitReader<'_>, word: u64, valid: u32) -> Result<(), Fault> {
        if word >> 63 == 0 {
            self.at += 1;
            return Ok(());
        }
        let (header, n);
        if word >> 62 & 1 == 0 {
            header = 2;
            if self.leading == NO_WINDOW {
                // A writer that went on with an old chunk may reuse the whole word as its window.
                self.leading = 0;
            }
            n = 64 - u32::from(self.leading) - u32::from(self.trailing);
        } else {
            header = 13;
            let leading = (word >> 57 & 31) as u32;
            n = match (word >> 51 & 63) as u32 {
                0 => 64,
                n => n,
            };
            if leading + n > 64 {
                return Err(Fault::Invalid("value"));
            }
            self.leading = leading as u8;
            self.trailing = (64 - leading - n) as u8;
        }
        let significant = if header + n <= valid {
            word << header >> (64 - n)
        } else {
            bits.bits(self.at + header as usize, n)
        };
        self.at += (header + n) as usize;
        self.v = f64::from_bits(self.v.to_bits() ^ significant << self.trailing);
        Ok(())
    }
}

/// What is wrong with a sample, before it is known which one it is.
pub(super) enum Fault {
    Short,
    Invalid(&'static str),
}

impl From<encoding::Error> for Fault {
    fn from(e: encoding::Error) -> Self {
        match e {
            encoding::Error::Short { .. } => Fault::Short,
            encoding::Error::Invalid { what, .. } => Fault::Invalid(what),
        }
    }
}

impl Fault {
    #[cold]
    pub(super) fn at(self, len: usize, sample: usize, count: usize) -> Error {
        match self {
            Fault::Short => Error::Short { len, sample, count },
            Fault::Invalid(what) => Error::Invalid { what, sample, count },
        }
    }
}

/// How many samples a chunk announces, and the data behind that.
fn split(data: &[u8]) -> (usize, &[u8]) {
    match data.split_first_chunk::<2>() {
        Some((count, rest)) => (usize::from(u16::from_be_bytes(*count)), rest),
        None => (0, &[]),
    }
}

/// The samples of a float chunk, one by one. After an error it is at its end.
#[derive(Clone, Debug)]
pub struct XorIter<'a> {
    data: &'a [u8],
    state: State,
    read: usize,
    count: usize,
}

impl<'a> XorIter<'a> {
    /// The samples of a chunk's data. Data shorter than a count has none.
    pub fn new(data: &'a [u8]) -> Self {
        let (count, data) = split(data);
        XorIter { data, state: State::START, read: 0, count }
    }
}

impl Iterator for XorIter<'_> {
    type Item = Result<(i64, f64), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.read >= self.count {
            return None;
        }
        let bits = BitReader::new(self.data);
        let step = match self.read {
            0 => self.state.first(self.data),
            1 => self.state.second(self.data, bits),
            _ => self.state.next(bits),
        };
        let step = if self.state.at > bits.len() { Err(Fault::Short) } else { step };
        if let Err(fault) = step {
            let error = fault.at(self.data.len() + 2, self.read, self.count);
            self.read = self.count;
            return Some(Err(error));
        }
        self.read += 1;
        Some(Ok((self.state.t, self.state.v)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.count - self.read))
    }
}

/// Appends the samples with `mint <= t <= maxt` to the two vectors: the fast way to read a whole chunk. Samples before damage are appended before the error
/// is returned.
pub fn decode_xor(
    data: &[u8],
    mint: i64,
    maxt: i64,
    ts: &mut Vec<i64>,
    vs: &mut Vec<f64>,
) -> Result<(), Error> {
    let (count, data) = split(data);
    let bits = BitReader::new(data);
    let end = bits.len();
    // A sample takes two bits at least: a damaged count cannot ask for more memory than that.
    let room = count.min(data.len() * 4 + 2);
    ts.reserve(room);
    vs.reserve(room);
    let mut state = State::START;
    for sample in 0..count.min(2) {
        let step = if sample == 0 { state.first(data) } else { state.second(data, bits) };
        let step = if state.at > end { Err(Fault::Short) } else { step };
        step.map_err(|fault| fault.at(data.len() + 2, sample, count))?;
        if state.t > maxt {
            return Ok(());
        }
        if state.t >= mint {
            ts.push(state.t);
            vs.push(state.v);
        }
    }
    // of its own: nothing takes its address from here on, so that it stays in registers
    let mut state = State { ..state };
    let mut sample = 2;
    while sample < count {
        // Two zero bits a sample: regular in time, the same value. Gauges that stand still are long runs of them.
        let run = (bits.peek57(state.at).leading_zeros() / 2).min(28) as usize;
        if run > 1 {
            let run = run.min(count - sample).min(end.saturating_sub(state.at) / 2);
            for _ in 0..run {
                state.t = state.t.wrapping_add(state.delta as i64);
                if state.t > maxt {
                    return Ok(());
                }
                if state.t >= mint {
                    ts.push(state.t);
                    vs.push(state.v);
                }
            }
            state.at += 2 * run;
            sample += run;
            if run > 0 {
                continue;
            }
        }
        let step = state.next(bits);
        let step = if state.at > end { Err(Fault::Short) } else { step };
        if let Err(fault) = step {
            return Err(fault.at(data.len() + 2, sample, count));
        }
        if state.t > maxt {
            return Ok(());
        }
        if state.t >= mint {
            ts.push(state.t);
            vs.push(state.v);
        }
        sample += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
