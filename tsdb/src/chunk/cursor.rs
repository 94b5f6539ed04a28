//! A position in a stream of bits, and the numbers of variable width that native histogram chunks are made of.

use super::bits::{BitReader, put_bits};
use super::xor::Fault;

/// A position in a stream of bits. Beyond the end there are zeros: callers check once per sample.
pub(super) struct Cursor<'a> {
    pub(super) bits: BitReader<'a>,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Cursor { bits: BitReader::new(data), at: 0 }
    }

    pub(super) fn check_end(&self) -> Result<(), Fault> {
        if self.at > self.bits.len() { Err(Fault::Short) } else { Ok(()) }
    }

    pub(super) fn take(&mut self, n: u32) -> u64 {
        let value = self.bits.bits(self.at, n);
        self.at += n as usize;
        value
    }

    pub(super) fn f64(&mut self) -> f64 {
        f64::from_bits(self.take(64))
    }

    /// How many ones are next, `most` at most; passes over them and the zero that ends the row.
    pub(super) fn ones(&mut self, most: u32) -> u32 {
        let ones = self.bits.peek57(self.at).leading_ones().min(most);
        self.at += if ones == most { most as usize } else { ones as usize + 1 };
        ones
    }

    /// The width of a number of variable width: a row of ones says which, of at most eight.
    fn width(&mut self) -> u32 {
        [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8) as usize]
    }

    pub(super) fn unsigned(&mut self) -> u64 {
        match self.width() {
            0 => 0,
            n => self.take(n),
        }
    }

    pub(super) fn signed(&mut self) -> i64 {
        match self.width() {
            0 => 0,
            64 => self.take(64) as i64,
            n => {
                let value = self.take(n) as i64;
                // As with timestamps, the top bit alone is positive.
                if value > 1 << (n - 1) { value - (1 << n) } else { value }
            }
        }
    }

    /// A uvarint of whole bytes that need not lie at a byte's begin.
    pub(super) fn uvarint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.take(8);
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return if i == 9 && byte > 1 { Err(Fault::Invalid("number")) } else { Ok(value) };
            }
        }
        Err(Fault::Invalid("number"))
    }

    /// The zigzag form of the same.
    pub(super) fn varint(&mut self) -> Result<i64, Fault> {
        let n = self.uvarint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

/// Bits that are being written.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Unused low bits of the last byte.
    free: u8,
}

impl BitWriter {
    pub(super) fn bits(&mut self, value: u64, n: u32) {
        put_bits(&mut self.bytes, &mut self.free, value, n);
    }

    pub(super) fn f64(&mut self, v: f64) {
        self.bits(v.to_bits(), 64);
    }

    /// A uvarint of whole bytes that need not lie at a byte's begin.
    pub(super) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    /// The zigzag form of the same.
    pub(super) fn varint(&mut self, value: i64) {
        self.uvarint((value << 1 ^ value >> 63) as u64);
    }

    /// A row of `ones` ones, ended by a zero unless there are eight; then the number's low bits.
    fn with_width(&mut self, ones: u32, value: u64) {
        if ones == 8 {
            self.bits(0xff, 8);
            return self.bits(value, 64);
        }
        self.bits((1 << (ones + 1)) - 2, ones + 1);
        let n = WIDTHS[ones as usize];
        if n > 0 {
            self.bits(value & (u64::MAX >> (64 - n)), n);
        }
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        let needed = 64 - value.leading_zeros();
        let ones = WIDTHS.iter().position(|&n| needed <= n).unwrap_or(8);
        self.with_width(ones as u32, value);
    }

    pub(super) fn signed(&mut self, value: i64) {
        // n bits hold -(2^(n-1) - 1) to 2^(n-1).
        let holds = |&n: &u32| match n {
            0 => value == 0,
            n => -((1i64 << (n - 1)) - 1) <= value && value <= 1i64 << (n - 1),
        };
        let ones = WIDTHS[..8].iter().position(holds).unwrap_or(8);
        self.with_width(ones as u32, value as u64);
    }
}

/// Bits behind a row of as many ones.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// The window of significant bits of values that are written by XOR with the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    leading: u8,
    trailing: u8,
}

impl Window {
    /// None yet.
    pub(super) const NONE: Window = Window { leading: 0xff, trailing: 0 };

    /// Writes a value by its XOR with the one before.
    pub(super) fn put(&mut self, out: &mut BitWriter, before: f64, v: f64) {
        let xor = before.to_bits() ^ v.to_bits();
        if xor == 0 {
            return out.bits(0, 1);
        }
        // Leading zeros have five bits.
        let (leading, trailing) = (xor.leading_zeros().min(31) as u8, xor.trailing_zeros() as u8);
        if self.leading != 0xff && leading >= self.leading && trailing >= self.trailing {
            out.bits(0b10, 2);
        } else {
            *self = Window { leading, trailing };
            let n = 64 - u64::from(leading) - u64::from(trailing);
            // 64 significant bits are written as 0.
            out.bits(0b11 << 11 | u64::from(leading) << 6 | n & 63, 13);
        }
        out.bits(xor >> self.trailing, 64 - u32::from(self.leading) - u32::from(self.trailing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn widths_are_the_least() {
        let bits_of = |value: i64| {
            let mut out = BitWriter::default();
            out.signed(value);
            out.bytes.len() * 8 - usize::from(out.free)
        };
        for (value, bits) in [(0, 1), (-3, 5), (4, 5), (-4, 9), (5, 9), (32, 9), (33, 13), (i64::MIN, 72)] {
            assert_eq!(bits_of(value), bits, "{value}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec((any::<i64>(), 0u32..64), 1..40)) {
            let mut out = BitWriter::default();
            for &(value, shift) in &values {
                out.signed(value >> shift);
                out.unsigned(value as u64 >> shift);
                out.varint(value >> shift);
            }
            let mut cursor = Cursor::new(&out.bytes);
            for &(value, shift) in &values {
                prop_assert_eq!(cursor.signed(), value >> shift);
                prop_assert_eq!(cursor.unsigned(), value as u64 >> shift);
                prop_assert_eq!(cursor.varint().ok(), Some(value >> shift));
            }
            prop_assert!(cursor.check_end().is_ok());
        }
    }
}
