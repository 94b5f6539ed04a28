//! Float chunks of the second kind: one prefix tells both the step in time and whether the value changed; starts are optional.
//! See `docs/chunk.md`.
//!
//! ```text
//! ┌─────────────┬──────────────┬──────────┬──────────────┬────────────────┬─────────────────┬──────────┬──────────────┬───┐
//! │ count <2b>  │ starts <1b>  │ t0, v0   │ ?st0 <varint>│ t1 - t0, v1 xor│ ?st1            │ sample 2 │ ?st2         │ … │
//! └─────────────┴──────────────┴──────────┴──────────────┴────────────────┴─────────────────┴──────────┴──────────────┴───┘
//! ```

use model::STALE_NAN;

use super::Error;
use super::bits::reserve;
use super::cursor::{BitWriter, Cursor};
use super::start::{StartWriter, Starts};
use super::xor::Fault;

const HEADER: usize = 3;
/// Leading zeros have five bits: more than 31 are written as 31.
const MAX_LEADING: u32 = 31;
/// What the header of a new window costs, in bits.
const WINDOW_COST: u32 = 11;

/// The significant bits of changed values: leading and trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) leading: u32,
    pub(super) trailing: u32,
}

impl Bounds {
    fn of(xor: u64) -> Self {
        Bounds { leading: xor.leading_zeros().min(MAX_LEADING), trailing: xor.trailing_zeros() }
    }

    fn width(self) -> u32 {
        64 - self.leading - self.trailing
    }

    fn holds(self, other: Bounds) -> bool {
        other.leading >= self.leading && other.trailing >= self.trailing
    }
}

/// A float chunk of the second kind that grows.
#[derive(Clone, Debug, Default)]
pub struct Xor2Chunk {
    out: BitWriter,
    t: i64,
    delta: u64,
    /// The last value that is no staleness mark.
    base: u64,
    window: Option<Bounds>,
    starts: StartWriter,
}

impl Xor2Chunk {
    /// Appends a sample (`t` in milliseconds; `start` likewise, 0: unknown). The caller sees to rising timestamps and to
    /// [`Xor2Chunk::takes`], and begins a new chunk well before 65,535 samples.
    pub fn append(&mut self, t: i64, start: i64, v: f64) {
        let xor = self.base ^ v.to_bits();
        let window = match self.window {
            _ if xor == 0 => None,
            // what it saves at once must be more than it costs
            Some(window)
                if window.holds(Bounds::of(xor))
                    && window.width() <= Bounds::of(xor).width() + WINDOW_COST =>
            {
                None
            }
            _ => Some(Bounds::of(xor)),
        };
        self.append_in(t, start, v, window);
    }

    /// Appends a sample whose changed value begins the window given, or goes into the one in force.
    pub(super) fn append_in(&mut self, t: i64, start: i64, v: f64, window: Option<Bounds>) {
        let n = self.num_samples();
        assert!(n < u16::MAX, "a chunk holds at most 65,535 samples");
        let before = self.t;
        match n {
            0 => self.first(t, v),
            1 => {
                self.delta = t.wrapping_sub(self.t) as u64;
                self.out.uvarint(self.delta);
                self.put_value(v, window);
            }
            _ => {
                let delta = t.wrapping_sub(self.t) as u64;
                self.put(delta.wrapping_sub(self.delta) as i64, v, window);
                self.delta = delta;
            }
        }
        self.t = t;
        let starts = self.starts.put(&mut self.out, usize::from(n), before, t, start);
        if let Some(header) = self.out.bytes.first_chunk_mut::<HEADER>() {
            let count = (n + 1).to_be_bytes();
            *header = [count[0], count[1], starts];
        }
    }

    #[cold]
    fn first(&mut self, t: i64, v: f64) {
        *self = Xor2Chunk::default();
        reserve(&mut self.out.bytes, 18);
        self.out.bytes.extend_from_slice(&[0; HEADER]);
        self.out.varint(t);
        self.out.f64(v);
        if !model::is_stale(v) {
            self.base = v.to_bits();
        }
    }

    /// A sample behind the second: step and value under one prefix.
    fn put(&mut self, dod: i64, v: f64, window: Option<Bounds>) {
        let is_stale = model::is_stale(v);
        if dod == 0 {
            return match self.base ^ v.to_bits() {
                _ if is_stale => self.out.bits(0b11111, 5),
                0 => self.out.bits(0, 1),
                xor => {
                    self.out.bits(0b10, 2);
                    self.out.bits(u64::from(window.is_some()), 1);
                    self.put_changed(xor, window);
                }
            };
        }
        match dod {
            -4096..=4095 => {
                self.out.bits(0b110, 3);
                self.out.bits(dod as u64 & 0x1fff, 13);
            }
            -524_288..=524_287 => {
                self.out.bits(0b1110, 4);
                self.out.bits(dod as u64 & 0xf_ffff, 20);
            }
            _ => {
                self.out.bits(0b11110, 5);
                self.out.bits(dod as u64, 64);
            }
        }
        self.put_value(v, window);
    }

    fn put_value(&mut self, v: f64, window: Option<Bounds>) {
        match self.base ^ v.to_bits() {
            _ if model::is_stale(v) => self.out.bits(0b111, 3),
            0 => self.out.bits(0, 1),
            xor => {
                if window.is_some() {
                    self.out.bits(0b110, 3)
                } else {
                    self.out.bits(0b10, 2)
                }
                self.put_changed(xor, window);
            }
        }
    }

    /// A changed value's bits, behind the header of a window that begins.
    fn put_changed(&mut self, xor: u64, window: Option<Bounds>) {
        if let Some(begins) = window {
            // 64 significant bits are written as 0; there are never 0 of them.
            self.out.bits(u64::from(begins.leading) << 6 | u64::from(begins.width() & 63), WINDOW_COST);
            self.window = Some(begins);
        }
        let Bounds { leading, trailing } = self.window.unwrap_or(Bounds { leading: 0, trailing: 0 });
        self.out.bits(xor >> trailing, 64 - leading - trailing);
        self.base ^= xor;
    }

    /// Whether a sample with this start (0: unknown) can follow in this chunk.
    pub fn takes(&self, start: i64) -> bool {
        self.starts.takes(usize::from(self.num_samples()), start)
    }

    /// How many samples.
    #[inline]
    pub fn num_samples(&self) -> u16 {
        self.out.bytes.first_chunk().map_or(0, |b| u16::from_be_bytes(*b))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.out.bytes.is_empty()
    }

    /// The data: a valid chunk at any moment; empty while there is no sample.
    pub fn bytes(&self) -> &[u8] {
        &self.out.bytes
    }

    /// Ends the chunk: its data, without spare room.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(self).out.bytes;
        bytes.shrink_to_fit();
        bytes
    }
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    t: i64,
    delta: u64,
    v: f64,
    /// The last value that is no staleness mark: what the next one differs from.
    base: u64,
    leading: u32,
    trailing: u32,
}

/// Calls `each(t, start, v)` for the samples with `mint <= t <= maxt`, in order; a start of 0 is unknown. Samples before damage are
/// delivered before the error is returned.
pub fn decode_xor2(
    data: &[u8],
    mint: i64,
    maxt: i64,
    mut each: impl FnMut(i64, i64, f64),
) -> Result<(), Error> {
    let Some((header, rest)) = data.split_first_chunk::<HEADER>() else { return Ok(()) };
    let count = usize::from(u16::from_be_bytes([header[0], header[1]]));
    let mut starts = Starts::from_header(header[2]);
    let cursor = Cursor::new(rest);
    let mut decoder = Decoder { cursor, t: 0, delta: 0, v: 0.0, base: 0, leading: 0, trailing: 0 };
    for sample in 0..count {
        let before = decoder.t;
        let step = match sample {
            0 => decoder.first(),
            1 => decoder.second(),
            _ => decoder.next(),
        };
        step.and_then(|()| starts.read(&mut decoder.cursor, sample, before, decoder.t))
            .and_then(|()| decoder.cursor.check_end())
            .map_err(|fault| fault.at(data.len(), sample, count))?;
        if decoder.t > maxt {
            break;
        }
        if decoder.t >= mint {
            each(decoder.t, starts.st, decoder.v);
        }
    }
    Ok(())
}

impl Decoder<'_> {
    fn first(&mut self) -> Result<(), Fault> {
        self.t = self.cursor.varint()?;
        self.v = self.cursor.f64();
        if !model::is_stale(self.v) {
            self.base = self.v.to_bits();
        }
        Ok(())
    }

    fn second(&mut self) -> Result<(), Fault> {
        self.delta = self.cursor.uvarint()?;
        self.t = self.t.wrapping_add(self.delta as i64);
        self.value()
    }

    fn next(&mut self) -> Result<(), Fault> {
        match self.cursor.ones(5) {
            // in step, and the value as before
            0 => {
                self.step(0);
                self.v = f64::from_bits(self.base);
                Ok(())
            }
            1 => {
                self.step(0);
                let begins = self.cursor.take(1) == 1;
                self.changed(begins)
            }
            2 => self.late(13),
            3 => self.late(20),
            4 => self.late(64),
            _ => {
                self.step(0);
                self.v = STALE_NAN;
                Ok(())
            }
        }
    }

    fn step(&mut self, dod: i64) {
        self.delta = self.delta.wrapping_add(dod as u64);
        self.t = self.t.wrapping_add(self.delta as i64);
    }

    /// A sample whose step differs from the one before, by a two's complement number of `n` bits.
    fn late(&mut self, n: u32) -> Result<(), Fault> {
        let raw = self.cursor.take(n);
        self.step((raw << (64 - n)) as i64 >> (64 - n));
        self.value()
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.cursor.ones(3) {
            0 => {
                self.v = f64::from_bits(self.base);
                Ok(())
            }
            1 => self.changed(false),
            2 => self.changed(true),
            _ => {
                self.v = STALE_NAN;
                Ok(())
            }
        }
    }

    /// A changed value, in the window in force or in one that `begins` here.
    fn changed(&mut self, begins: bool) -> Result<(), Fault> {
        if begins {
            self.leading = self.cursor.take(5) as u32;
            let n = match self.cursor.take(6) as u32 {
                0 => 64,
                n => n,
            };
            if self.leading + n > 64 {
                return Err(Fault::Invalid("value"));
            }
            self.trailing = 64 - self.leading - n;
        }
        let significant = self.cursor.take(64 - self.leading - self.trailing);
        self.base ^= significant << self.trailing;
        self.v = f64::from_bits(self.base);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::bits::put_bits;
    use proptest::prelude::*;

    /// Bits by hand: "0" and "1" count, all else is for the eye.
    fn bits(text: &str) -> Vec<u8> {
        let (mut bytes, mut free) = (Vec::new(), 0);
        for bit in text.bytes().filter(|b| b"01".contains(b)) {
            put_bits(&mut bytes, &mut free, u64::from(bit - b'0'), 1);
        }
        bytes
    }

    #[test]
    fn by_hand() {
        // t 2, v 1.0, start 2 - 1 = 1; then +10 unchanged; +10 unchanged; +10 changed to 2.0; +11 stale; +11 as 2.0; +11 stale.
        let one = format!("{:064b}", 1f64.to_bits());
        let text = format!(
            "00000100 {one} 00000010 | 00001010 0 | 0 | 10 1 00001 001011 11111111111 \
             | 110 0000000000001 111 | 0 | 11111"
        );
        let data = [&[0, 7, 0x80][..], &bits(&text)].concat();
        let mut found = Vec::new();
        decode_xor2(&data, i64::MIN, i64::MAX, |t, st, v| found.push((t, st, v.to_bits()))).unwrap();
        let (one, two, stale) = (1f64.to_bits(), 2f64.to_bits(), STALE_NAN.to_bits());
        let expected = [(2, one), (12, one), (22, one), (32, two), (43, stale), (54, two), (65, stale)]
            .map(|(t, v)| (t, 1, v));
        assert_eq!(found, expected);
        for len in HEADER..data.len() {
            assert!(decode_xor2(&data[..len], i64::MIN, i64::MAX, |_, _, _| ()).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn written_by_hand_as_read_by_hand() {
        let one = format!("{:064b}", 1f64.to_bits());
        let text = format!(
            "00000100 {one} 00000010 | 00001010 0 | 0 | 10 1 00001 001011 11111111111 \
             | 110 0000000000001 111 | 0 | 11111"
        );
        let mut chunk = Xor2Chunk::default();
        for (t, v) in [(2, 1.0), (12, 1.0), (22, 1.0), (32, 2.0), (43, STALE_NAN), (54, 2.0), (65, STALE_NAN)]
        {
            assert!(chunk.takes(1));
            chunk.append(t, 1, v);
        }
        assert_eq!(chunk.bytes(), [&[0, 7, 0x80][..], &bits(&text)].concat());
    }

    #[test]
    fn starts_that_become_known_late() {
        let read = |chunk: &Xor2Chunk| {
            let mut starts = Vec::new();
            decode_xor2(chunk.bytes(), i64::MIN, i64::MAX, |_, st, _| starts.push(st)).unwrap();
            starts
        };
        let mut chunk = Xor2Chunk::default();
        (0..128).for_each(|t| chunk.append(t * 10, 0, 1.0));
        assert!(!chunk.takes(5) && chunk.takes(0), "the header has seven bits");
        chunk.append(1280, 0, 1.0);
        assert_eq!(read(&chunk), [0; 129]);
        // known ones are written before that
        let mut chunk = Xor2Chunk::default();
        let starts: Vec<i64> = (0..300).map(|i| if i < 200 { 7 } else { 2000 }).collect();
        for (i, &st) in starts.iter().enumerate() {
            assert!(chunk.takes(st));
            chunk.append(i as i64 * 10, st, 1.0);
        }
        assert_eq!(read(&chunk), starts);
    }

    proptest! {
        #[test]
        fn samples_come_back(
            steps in proptest::collection::vec((
                prop_oneof![Just(15_000i64), 1i64..100_000, 1i64..1 << 40],
                prop_oneof![Just(0i64), Just(1000), any::<i64>()],
                prop_oneof![Just(1.5), Just(STALE_NAN), (0u32..50).prop_map(f64::from), any::<f64>()],
            ), 1..120),
            first in any::<i32>(),
        ) {
            let mut t = i64::from(first);
            let (mut chunk, mut expected) = (Xor2Chunk::default(), Vec::new());
            for (step, st, v) in steps {
                chunk.append(t, st, v);
                expected.push((t, st, v.to_bits()));
                t += step;
                let mut found = Vec::new();
                decode_xor2(chunk.bytes(), i64::MIN, i64::MAX, |t, st, v| found.push((t, st, v.to_bits()))).unwrap();
                prop_assert_eq!(&found, &expected);
            }
        }

        #[test]
        fn any_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_xor2(&data, i64::MIN, i64::MAX, |_, _, _| ());
        }
    }
}
