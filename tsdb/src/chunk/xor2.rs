//! Float chunks of the second kind: one prefix tells both the step in time and whether the value changed; starts are optional.
//! Read, not written. See `docs/chunk.md`.
//!
//! ```text
//! ┌─────────────┬──────────────┬──────────┬──────────────┬────────────────┬─────────────────┬──────────┬──────────────┬───┐
//! │ count <2b>  │ starts <1b>  │ t0, v0   │ ?st0 <varint>│ t1 - t0, v1 xor│ ?st1            │ sample 2 │ ?st2         │ … │
//! └─────────────┴──────────────┴──────────┴──────────────┴────────────────┴─────────────────┴──────────┴──────────────┴───┘
//! ```

use model::STALE_NAN;

use super::Error;
use super::cursor::Cursor;
use super::start::Starts;
use super::xor::Fault;

const HEADER: usize = 3;

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

    proptest! {
        #[test]
        fn any_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_xor2(&data, i64::MIN, i64::MAX, |_, _, _| ());
        }
    }
}
