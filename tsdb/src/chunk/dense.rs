//! Encodes known samples into the smallest float chunks that any reader of the format understands: what blocks are written with.
//!
//! A writer that sees one sample at a time keeps a window of significant bits as long as values fit in it, so that one outlier widens all values
//! behind it. Here all samples are known, so the windows are chosen for the smallest sum: values are cut into runs that share a window. A run of
//! `n` values whose union of significant bits is `w` wide costs `11 + n (2 + w)` bits; a good cut is found from left to right, with the best costs of
//! all beginnings kept. Where the last run may begin is tried for the last few values one by one, then at the beginnings of earlier runs:
//! trying all of them takes five times as long, for a few bits in a thousand.

use super::bits::{put_bits, put_dod};
use super::xor2::Bounds;
use super::{Encoding, SAMPLES_PER_CHUNK, SAMPLES_PER_COMPACTED_CHUNK, Xor2Chunk};
use crate::encoding::{put_uvarint, put_varint};

/// Runs are at most so long: their lengths are kept in bytes.
const MAX_RUN: usize = 240;
/// The last run may begin at any of so many values before the end.
const TRIED_ONE_BY_ONE: usize = 6;
/// Or so many earlier runs before.
const TRIED_RUNS: usize = 6;
/// Bits of the header that begins a window, beyond those of a value that keeps it.
const WINDOW_COST: u32 = 11;
/// Leading zeros have five bits.
const MAX_LEADING: u8 = 31;

/// A value's difference to the one before: significant bits between leading and trailing zeros.
#[derive(Clone, Copy, Debug, Default)]
struct Xor {
    bits: u64,
    leading: u8,
    trailing: u8,
}

/// The best way found to cut some of the first values into runs.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    /// Bits in all.
    cost: u32,
    /// Values in the last run.
    run: u8,
    /// The last run's window.
    leading: u8,
    trailing: u8,
}

/// Encodes samples densely; keeps its buffers from call to call.
#[derive(Clone, Debug, Default)]
pub struct DenseEncoder {
    xors: Vec<Xor>,
    /// Places of the values that differ from the one before.
    changed: Vec<u32>,
    /// What the first `n` changed values cost at least, as far as it was tried.
    best: Vec<Best>,
    /// Window at each changed value: leading and trailing zeros; a run begins where `.2` is set.
    windows: Vec<(u8, u8, bool)>,
    bytes: Vec<u8>,
}

impl DenseEncoder {
    /// An encoder without buffers yet.
    pub fn new() -> Self {
        DenseEncoder::default()
    }

    /// Cuts samples in order of time into chunks of about equal size, of at most 240 samples each, and calls
    /// `each(mint, maxt, encoding, data)` for every chunk. The two slices are of one length.
    pub fn encode<E>(
        &mut self,
        ts: &[i64],
        vs: &[f64],
        mut each: impl FnMut(i64, i64, Encoding, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        debug_assert_eq!(ts.len(), vs.len());
        if ts.is_empty() {
            return Ok(());
        }
        let chunks = ts.len().div_ceil(SAMPLES_PER_COMPACTED_CHUNK as usize);
        let size = ts.len().div_ceil(chunks);
        for (ts, vs) in ts.chunks(size).zip(vs.chunks(size)) {
            self.encode_chunk(ts, vs);
            each(ts[0], ts[ts.len() - 1], Encoding::Xor, &self.bytes)?;
        }
        Ok(())
    }

    /// The same as XOR2 chunks, with the samples' start timestamps (0: unknown): as many as samples, or none. With starts, a chunk has at most
    /// 120 samples: its header cannot say that they are known from a later one on.
    pub fn encode_xor2<E>(
        &mut self,
        ts: &[i64],
        vs: &[f64],
        starts: &[i64],
        mut each: impl FnMut(i64, i64, Encoding, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        debug_assert!(ts.len() == vs.len() && (starts.is_empty() || starts.len() == ts.len()));
        if ts.is_empty() {
            return Ok(());
        }
        let most = if starts.is_empty() { SAMPLES_PER_COMPACTED_CHUNK } else { SAMPLES_PER_CHUNK };
        let size = ts.len().div_ceil(ts.len().div_ceil(usize::from(most)));
        for begin in (0..ts.len()).step_by(size) {
            let end = ts.len().min(begin + size);
            self.find_windows(&vs[begin..end], true);
            let mut windows = self.windows.iter();
            let mut chunk = Xor2Chunk::default();
            for i in begin..end {
                let changed = self.xors[i - begin].bits != 0;
                // the window that a changed value begins, if it begins one
                let place = if changed { windows.next() } else { None };
                let window = place.filter(|(_, _, begins)| *begins).map(|&(leading, trailing, _)| Bounds {
                    leading: u32::from(leading),
                    trailing: u32::from(trailing),
                });
                chunk.append_in(ts[i], starts.get(i).copied().unwrap_or(0), vs[i], window);
            }
            each(ts[begin], ts[end - 1], Encoding::Xor2, chunk.bytes())?;
        }
        Ok(())
    }

    fn encode_chunk(&mut self, ts: &[i64], vs: &[f64]) {
        self.find_windows(vs, false);
        let (bytes, mut free) = (&mut self.bytes, 0);
        bytes.clear();
        bytes.extend_from_slice(&(ts.len() as u16).to_be_bytes());
        put_varint(bytes, ts[0]);
        bytes.extend_from_slice(&vs[0].to_bits().to_be_bytes());
        let mut delta = 0u64;
        let mut windows = self.windows.iter();
        for i in 1..ts.len() {
            let new_delta = ts[i].wrapping_sub(ts[i - 1]) as u64;
            if i == 1 {
                put_uvarint(bytes, new_delta);
            } else {
                put_dod(bytes, &mut free, new_delta.wrapping_sub(delta) as i64);
            }
            delta = new_delta;
            let xor = self.xors[i];
            if xor.bits == 0 {
                put_bits(bytes, &mut free, 0, 1);
            } else if let Some(&(leading, trailing, begins)) = windows.next() {
                let n = 64 - u32::from(leading) - u32::from(trailing);
                if begins {
                    let header = 0b11 << 11 | u64::from(leading) << 6 | u64::from(n & 63);
                    put_bits(bytes, &mut free, header, 13);
                } else {
                    put_bits(bytes, &mut free, 0b10, 2);
                }
                put_bits(bytes, &mut free, xor.bits >> trailing, n);
            }
        }
    }

    /// Fills `xors`, `changed` and `windows` for the values of a chunk. In one of the second kind, staleness marks are no values.
    fn find_windows(&mut self, vs: &[f64], second: bool) {
        self.xors.clear();
        self.changed.clear();
        self.xors.push(Xor::default());
        let is_passed = |v: f64| second && model::is_stale(v);
        let mut before = if is_passed(vs[0]) { 0 } else { vs[0].to_bits() };
        for (i, v) in vs.iter().enumerate().skip(1) {
            let bits = if is_passed(*v) { 0 } else { v.to_bits() ^ before };
            before ^= bits;
            let leading = (bits.leading_zeros() as u8).min(MAX_LEADING);
            self.xors.push(Xor { bits, leading, trailing: bits.trailing_zeros() as u8 });
            if bits != 0 {
                self.changed.push(i as u32);
            }
        }
        self.best.clear();
        self.best.push(Best::default());
        for end in 0..self.changed.len() {
            self.best.push(best_last_run(&self.xors, &self.changed[..=end], &self.best));
        }
        self.windows.clear();
        self.windows.resize(self.changed.len(), (0, 0, false));
        let mut end = self.changed.len();
        while end > 0 {
            let Best { run, leading, trailing, .. } = self.best[end];
            let begin = end - usize::from(run).clamp(1, end);
            for (i, window) in self.windows[begin..end].iter_mut().enumerate() {
                *window = (leading, trailing, i == 0);
            }
            end = begin;
        }
    }
}

/// The best way to cut the changed values, given that for all beginnings of them.
#[inline]
fn best_last_run(xors: &[Xor], changed: &[u32], best: &[Best]) -> Best {
    let mut found = Best { cost: u32::MAX, ..Best::default() };
    let mut try_run = |begin: usize, leading: u8, trailing: u8| {
        let count = (changed.len() - begin) as u32;
        let width = 64 - u32::from(leading) - u32::from(trailing);
        let cost = best[begin].cost + WINDOW_COST + count * (2 + width);
        if cost < found.cost {
            found = Best { cost, run: count as u8, leading, trailing };
        }
    };
    let own = |at: usize| xors[changed[at] as usize];
    let last = changed.len() - 1;
    let (mut leading, mut trailing) = (MAX_LEADING, 63);
    for begin in (0..=last).rev().take(TRIED_ONE_BY_ONE) {
        let xor = own(begin);
        (leading, trailing) = (leading.min(xor.leading), trailing.min(xor.trailing));
        try_run(begin, leading, trailing);
    }
    let (mut leading, mut trailing, mut begin) = (own(last).leading, own(last).trailing, last);
    for _ in 0..TRIED_RUNS {
        let before = best[begin];
        let run = usize::from(before.run);
        if run == 0 || changed.len() - begin + run > MAX_RUN {
            break;
        }
        begin -= run;
        (leading, trailing) = (leading.min(before.leading), trailing.min(before.trailing));
        try_run(begin, leading, trailing);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{XorChunk, decode_xor};
    use proptest::prelude::*;

    fn encode(ts: &[i64], vs: &[f64]) -> Vec<(i64, i64, Vec<u8>)> {
        let mut chunks = Vec::new();
        DenseEncoder::new()
            .encode(ts, vs, |mint, maxt, _, data| {
                chunks.push((mint, maxt, data.to_vec()));
                Ok::<_, std::convert::Infallible>(())
            })
            .unwrap();
        chunks
    }

    #[test]
    fn an_outlier_does_not_widen_what_follows() {
        let ts: Vec<i64> = (0..120).map(|i| i * 15_000).collect();
        let vs: Vec<f64> = (0..120).map(|i| if i == 3 { 0.1 } else { f64::from(i) }).collect();
        let mut plain = XorChunk::new();
        ts.iter().zip(&vs).for_each(|(&t, &v)| plain.append(t, v));
        let dense = &encode(&ts, &vs)[0].2;
        assert!(dense.len() * 3 < plain.bytes().len(), "{} {}", dense.len(), plain.bytes().len());
    }

    proptest! {
        #[test]
        fn the_second_kind_comes_back(
            steps in proptest::collection::vec((1i64..100_000, prop_oneof![
                (0u32..50).prop_map(f64::from), Just(model::STALE_NAN), any::<f64>(),
            ], prop_oneof![Just(0i64), Just(7), any::<i64>()]), 1..600),
            has_starts in any::<bool>(),
        ) {
            let mut t = 0;
            let (mut ts, mut vs, mut starts) = (Vec::new(), Vec::new(), Vec::new());
            for &(step, v, st) in &steps {
                t += step;
                ts.push(t);
                vs.push(v);
                starts.extend(has_starts.then_some(st));
            }
            let mut found = Vec::new();
            let encoded = DenseEncoder::new().encode_xor2(&ts, &vs, &starts, |mint, maxt, _, data| {
                crate::chunk::decode_xor2(data, mint, maxt, |t, st, v| found.push((t, st, v.to_bits())))
            });
            prop_assert_eq!(encoded, Ok(()));
            let start = |i: usize| starts.get(i).copied().unwrap_or(0);
            let expected: Vec<_> = (0..ts.len()).map(|i| (ts[i], start(i), vs[i].to_bits())).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn round_trip_and_never_larger(
            steps in proptest::collection::vec((1i64..100_000, prop_oneof![
                (0u32..50).prop_map(f64::from), (0u32..100_000).prop_map(|v| f64::from(v) / 10.0), any::<f64>(),
            ]), 1..600),
        ) {
            let mut t = 0;
            let (ts, vs): (Vec<_>, Vec<_>) = steps.iter().map(|&(step, v)| { t += step; (t, v) }).unzip();
            let chunks = encode(&ts, &vs);
            prop_assert_eq!(chunks.len(), ts.len().div_ceil(240));
            let (mut read_ts, mut read_vs) = (Vec::new(), Vec::new());
            let mut at = 0;
            for (mint, maxt, data) in &chunks {
                decode_xor(data, i64::MIN, i64::MAX, &mut read_ts, &mut read_vs).unwrap();
                prop_assert_eq!((*mint, *maxt), (ts[at], ts[read_ts.len() - 1]));
                let mut plain = XorChunk::new();
                (at..read_ts.len()).for_each(|i| plain.append(ts[i], vs[i]));
                // The limit on a run's length may cost a repeated header.
                prop_assert!(data.len() <= plain.bytes().len() + 6);
                at = read_ts.len();
            }
            prop_assert_eq!(read_ts, ts);
            let bits = |vs: &[f64]| vs.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&read_vs), bits(&vs));
        }
    }
}
