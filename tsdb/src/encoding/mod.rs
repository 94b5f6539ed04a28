//! Integers as the formats write them: big-endian, and variable-length as in Go's `encoding/binary`.
//!
//! A uvarint is seven bits a byte, the least first, the top bit set on all but the last byte (10 bytes at most). A varint
//! is the uvarint of the zigzag form: `(n << 1) ^ (n >> 63)`.

/// Bytes a variable-length 64-bit integer needs at most.
pub const MAX_VARINT_LEN: usize = 10;

/// Why bytes could not be decoded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within a value.
    #[error("ends within {what} at byte {offset}")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Where it began, counted from the start of the reader's bytes.
        offset: usize,
    },
    /// The value is not allowed there.
    #[error("invalid {what} at byte {offset}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        offset: usize,
    },
}

/// Reads integers and strings from a slice, never beyond its end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of the bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How far it has read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all is read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An error at the present position.
    pub fn invalid(&self, what: &'static str) -> Error {
        Error::Invalid { what, offset: self.at }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let rest = self.rest();
        let taken = rest.get(..len).ok_or(Error::Short { what, offset: self.at })?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let taken = self.rest().first_chunk::<N>().ok_or(Error::Short { what, offset: self.at })?;
        self.at += N;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Two bytes, big-endian.
    pub fn be16(&mut self, what: &'static str) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Four bytes, big-endian.
    pub fn be32(&mut self, what: &'static str) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// Eight bytes, big-endian.
    pub fn be64(&mut self, what: &'static str) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    /// Eight bytes, big-endian, two's complement.
    pub fn be64i(&mut self, what: &'static str) -> Result<i64, Error> {
        Ok(self.be64(what)? as i64)
    }

    /// A float as the eight bytes of its bits.
    pub fn f64(&mut self, what: &'static str) -> Result<f64, Error> {
        Ok(f64::from_bits(self.be64(what)?))
    }

    /// A uvarint of at most 64 bits.
    #[inline]
    pub fn uvarint(&mut self, what: &'static str) -> Result<u64, Error> {
        let rest = self.rest();
        // Most lengths and references fit one byte.
        if let Some(&first) = rest.first()
            && first < 0x80
        {
            self.at += 1;
            return Ok(u64::from(first));
        }
        let mut value = 0u64;
        for (i, &byte) in rest.iter().take(MAX_VARINT_LEN).enumerate() {
            if i == MAX_VARINT_LEN - 1 && byte > 1 {
                return Err(Error::Invalid { what, offset: self.at });
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(if rest.len() < MAX_VARINT_LEN {
            Error::Short { what, offset: self.at }
        } else {
            Error::Invalid { what, offset: self.at }
        })
    }

    /// A uvarint that must fit 32 bits.
    pub fn uvarint32(&mut self, what: &'static str) -> Result<u32, Error> {
        let offset = self.at;
        u32::try_from(self.uvarint(what)?).map_err(|_| Error::Invalid { what, offset })
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub fn varint(&mut self, what: &'static str) -> Result<i64, Error> {
        let zigzag = self.uvarint(what)?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Bytes behind their uvarint length.
    pub fn uvarint_bytes(&mut self, what: &'static str) -> Result<&'a [u8], Error> {
        let offset = self.at;
        let len = usize::try_from(self.uvarint(what)?).map_err(|_| Error::Invalid { what, offset })?;
        self.take(len, what)
    }

    /// UTF-8 text behind its uvarint length.
    pub fn uvarint_str(&mut self, what: &'static str) -> Result<&'a str, Error> {
        let offset = self.at;
        std::str::from_utf8(self.uvarint_bytes(what)?).map_err(|_| Error::Invalid { what, offset })
    }

    /// A count of things that take at least `min_size` bytes each: refused where so many cannot follow, so that a damaged
    /// count never leads to a large allocation.
    pub fn check_count(&self, count: u64, min_size: usize, what: &'static str) -> Result<usize, Error> {
        match usize::try_from(count) {
            Ok(n) if n.checked_mul(min_size).is_some_and(|size| size <= self.remaining()) => Ok(n),
            _ => Err(self.invalid(what)),
        }
    }
}

/// Appends a uvarint.
#[inline]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, (value << 1 ^ value >> 63) as u64);
}

/// Appends text behind its uvarint length.
pub fn put_uvarint_str(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes that the uvarint of a value takes.
pub fn uvarint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// The Castagnoli checksum of all the formats; constant under a fuzzer, which would not come past it.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// The checksum of bytes that come after those which have the checksum `sum`.
#[allow(unexpected_cfgs)] // `fuzzing` is what fuzz/run builds with
pub fn crc32c_append(sum: u32, bytes: &[u8]) -> u32 {
    if cfg!(fuzzing) { 0 } else { ::crc32c::crc32c_append(sum, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_integers() {
        let check = |value: i64, bytes: &[u8]| {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
        };
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(-64, &[0x7f]);
        check(64, &[0x80, 0x01]);
        check(i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c_append(crc32c(b"1234"), b"56789"), 0xe306_9283);
    }

    #[test]
    fn overlong_and_torn_varints_are_refused() {
        let mut r = Reader::new(&[0xff; 11]);
        assert_eq!(r.uvarint("ref"), Err(Error::Invalid { what: "ref", offset: 0 }));
        let mut r = Reader::new(&[1, 0xff, 0xff]);
        assert_eq!(r.uvarint("ref"), Ok(1));
        assert_eq!(r.uvarint("ref"), Err(Error::Short { what: "ref", offset: 1 }));
        assert_eq!(Reader::new(&[9, 9]).check_count(u64::MAX, 2, "count").ok(), None);
    }

    proptest! {
        #[test]
        fn integers_come_back(u: u64, i: i64, shift in 0u32..64) {
            let (u, i) = (u >> shift, i >> shift);
            let mut out = Vec::new();
            put_uvarint(&mut out, u);
            prop_assert_eq!(out.len(), uvarint_len(u));
            put_varint(&mut out, i);
            let mut r = Reader::new(&out);
            prop_assert_eq!(r.uvarint("u").unwrap(), u);
            prop_assert_eq!(r.varint("i").unwrap(), i);
            prop_assert!(r.is_at_end());
        }
    }
}
