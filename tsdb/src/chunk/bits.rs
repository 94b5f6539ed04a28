//! Streams of bits, the highest bit of a byte first: written to a vector, read by words of eight bytes.

/// Appends the low `n` bits of `value`. `free` is the number of unused low bits of the last byte.
#[inline]
pub(super) fn put_bits(bytes: &mut Vec<u8>, free: &mut u8, value: u64, n: u32) {
    debug_assert!(n <= 64 && (n == 64 || value >> n == 0), "{value:#x} has more than {n} bits");
    let mut n = n;
    if *free > 0
        && let Some(last) = bytes.last_mut()
    {
        let room = u32::from(*free);
        if n <= room {
            *last |= (value << (room - n)) as u8;
            *free -= n as u8;
            return;
        }
        n -= room;
        *last |= (value >> n) as u8;
    }
    if n > 0 {
        // The shift drops the bits that are written already.
        let word = (value << (64 - n)).to_be_bytes();
        let len = n.div_ceil(8) as usize;
        reserve(bytes, len);
        bytes.extend_from_slice(&word[..len]);
    }
    *free = ((8 - n % 8) % 8) as u8;
}

/// Appends a delta of deltas of timestamps.
#[inline]
pub(super) fn put_dod(bytes: &mut Vec<u8>, free: &mut u8, dod: i64) {
    // The ranges are not symmetric: 14 bits hold -8191 to 8192.
    let (value, n) = match dod {
        0 => (0, 1),
        -8191..=8192 => (0b10 << 14 | dod as u64 & 0x3fff, 16),
        -65_535..=65_536 => (0b110 << 17 | dod as u64 & 0x1_ffff, 20),
        -524_287..=524_288 => (0b1110 << 20 | dod as u64 & 0xf_ffff, 24),
        _ => {
            put_bits(bytes, free, 0b1111, 4);
            (dod as u64, 64)
        }
    };
    put_bits(bytes, free, value, n);
}

/// Makes room in steps of what allocators hand out anyway, not by doubling: there is one such vector per active series, and a full chunk
/// is copied to a file soon.
#[inline]
pub(super) fn reserve(bytes: &mut Vec<u8>, additional: usize) {
    let need = bytes.len() + additional;
    if need > bytes.capacity() {
        let step = match need {
            0..=128 => 16,
            129..=256 => 32,
            257..=1024 => 64,
            _ => 256,
        };
        bytes.reserve_exact(need.next_multiple_of(step) - bytes.len());
    }
}

/// Reads bits at a position that the caller keeps. Beyond the end there are zeros: the caller compares its position with
/// [`BitReader::len`] once per sample instead of checking every read.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        BitReader { data }
    }

    /// Bits there are.
    pub(super) fn len(&self) -> usize {
        self.data.len() * 8
    }

    #[inline(always)]
    fn word(&self, byte: usize) -> u64 {
        match self.data.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => self.last_word(byte),
        }
    }

    #[cold]
    #[inline(never)]
    fn last_word(&self, byte: usize) -> u64 {
        let mut word = [0; 8];
        if let Some(rest) = self.data.get(byte..) {
            word[..rest.len()].copy_from_slice(rest);
        }
        u64::from_be_bytes(word)
    }

    /// At least 57 bits from the position on, in the high bits of the word.
    #[inline(always)]
    pub(super) fn peek57(&self, at: usize) -> u64 {
        self.word(at / 8) << (at % 8)
    }

    /// `n` bits (1 to 64) from the position on, in the low bits.
    #[inline(always)]
    pub(super) fn bits(&self, at: usize, n: u32) -> u64 {
        let mut word = self.peek57(at);
        let shift = at % 8;
        if n > 57 && shift > 0 {
            let next = self.data.get(at / 8 + 8).copied().unwrap_or(0);
            word |= u64::from(next) >> (8 - shift);
        }
        word >> (64 - n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(fields in proptest::collection::vec((any::<u64>(), 1u32..=64), 0..60)) {
            let (mut bytes, mut free) = (Vec::new(), 0);
            for &(value, n) in &fields {
                put_bits(&mut bytes, &mut free, value >> (64 - n), n);
            }
            let reader = BitReader::new(&bytes);
            let mut at = 0;
            for &(value, n) in &fields {
                prop_assert_eq!(reader.bits(at, n), value >> (64 - n));
                prop_assert_eq!(reader.peek57(at) >> 57, reader.bits(at, 7));
                at += n as usize;
            }
            prop_assert_eq!(bytes.len() * 8, at + usize::from(free));
            prop_assert_eq!(reader.bits(at + 64, 64), 0);
        }
    }
}
