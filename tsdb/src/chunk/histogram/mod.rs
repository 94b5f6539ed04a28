//! Native histogram chunks: decoding here, encoding in [`encode`]. See `docs/chunk.md`.
//!
//! ```text
//! ┌─────────────┬─────────────┬─────────────────┬────────┬─────────────────┬─────────────────┬────────────────┬─────────┐
//! │ count <2b>  │ flags <1b>  │ zero threshold  │ schema │ positive spans  │ negative spans  │ custom bounds  │ samples │
//! └─────────────┴─────────────┴─────────────────┴────────┴─────────────────┴─────────────────┴────────────────┴─────────┘
//! ```

mod encode;
mod layout;

pub use encode::HistogramChunk;

use std::sync::Arc;

use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterReset, FloatHistogram, Histogram, NativeHistogram, Span,
};

use super::cursor::Cursor;
use super::start::Starts;
use super::xor::{Fault, State};
use super::{Encoding, Error};

/// Bytes of count and flags.
const HEADER: usize = 3;
/// The flags' two bits: a gauge's chunk has both.
const GAUGE: u8 = 0b1100_0000;
/// The chunk begins with a reset.
const RESET: u8 = 0b1000_0000;
/// The chunk goes on where the one before it ended.
const NOT_RESET: u8 = 0b0100_0000;
/// In a chunk with starts, the flags take the top two bits of the count.
const COUNT_MASK: u16 = 0x3fff;

/// Decodes a chunk of native histograms, of integers or floats, and calls `each(t, histogram)` for those with `mint <= t <= maxt`, in order.
/// Counts become floats; a staleness mark has only its sum. Histograms before damage are delivered before the error is returned.
pub fn decode_histograms(
    encoding: Encoding,
    data: &[u8],
    mint: i64,
    maxt: i64,
    mut each: impl FnMut(i64, FloatHistogram),
) -> Result<(), Error> {
    decode(encoding, data, mint, maxt, |decoder, _, reset| each(decoder.t, decoder.float(reset)))
}

/// The same, with integer counts where the chunk has them; `each(t, start, histogram)`, with a start of 0 where it is unknown.
pub fn decode_native(
    encoding: Encoding,
    data: &[u8],
    mint: i64,
    maxt: i64,
    mut each: impl FnMut(i64, i64, NativeHistogram),
) -> Result<(), Error> {
    decode(encoding, data, mint, maxt, |decoder, st, reset| each(decoder.t, st, decoder.native(reset)))
}

fn decode(
    encoding: Encoding,
    data: &[u8],
    mint: i64,
    maxt: i64,
    mut each: impl FnMut(&Decoder, i64, CounterReset),
) -> Result<(), Error> {
    let Some((header, rest)) = data.split_first_chunk::<HEADER>() else { return Ok(()) };
    let mut count = u16::from_be_bytes([header[0], header[1]]);
    let mut flags = header[2];
    let has_starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    let mut starts = Starts::from_header(if has_starts { header[2] } else { 0 });
    if has_starts {
        count &= COUNT_MASK;
        flags = header[0];
    }
    let count = usize::from(count);
    let is_gauge = flags & GAUGE == GAUGE;
    let mut cursor = Cursor::new(rest);
    let fail = |fault: Fault, sample| fault.at(data.len(), sample, count);
    if count == 0 {
        return Ok(());
    }
    let mut decoder = Decoder::read_layout(&mut cursor, encoding).map_err(|f| fail(f, 0))?;
    for sample in 0..count {
        let before = decoder.t;
        let step = if sample == 0 { decoder.first(&mut cursor) } else { decoder.next(&mut cursor) };
        step.and_then(|()| starts.read(&mut cursor, sample, before, decoder.t))
            .and_then(|()| cursor.check_end())
            .map_err(|f| fail(f, sample))?;
        if decoder.t > maxt {
            break;
        }
        if decoder.t >= mint {
            let reset = match (is_gauge, sample) {
                (true, _) => CounterReset::Gauge,
                // A reset begins a chunk, so within one there is none; what was before the chunk is for the reader to find out.
                (false, 0) => CounterReset::Unknown,
                (false, _) => CounterReset::NotReset,
            };
            each(&decoder, starts.st, reset);
        }
    }
    Ok(())
}

/// Takes back what a chunk says of the histogram before its first, for when that one changes: whether a counter began anew
/// is then for readers to find out. Chunks of gauges and of floats stay as they are.
pub(crate) fn forget_reset(encoding: Encoding, data: &mut [u8]) {
    let at = match encoding {
        Encoding::Xor | Encoding::Xor2 => return,
        Encoding::Histogram | Encoding::FloatHistogram => 2,
        Encoding::HistogramSt | Encoding::FloatHistogramSt => 0,
    };
    if let Some(flags) = data.get_mut(at).filter(|flags| **flags & GAUGE != GAUGE) {
        *flags &= !GAUGE;
    }
}

/// What histogram chunks have beyond bits and plain numbers.
impl Cursor<'_> {
    /// A count of things of at least `bits` bits each; no more than can follow.
    fn count(&mut self, bits: usize, what: &'static str) -> Result<usize, Fault> {
        let count = self.unsigned();
        self.check_end()?;
        match usize::try_from(count) {
            Ok(n) if n.saturating_mul(bits) <= self.bits.len() - self.at => Ok(n),
            _ => Err(Fault::Invalid(what)),
        }
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        let count = self.count(2, "number of spans")?;
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            let length = u32::try_from(self.unsigned()).map_err(|_| Fault::Invalid("span"))?;
            let offset = i32::try_from(self.signed()).map_err(|_| Fault::Invalid("span"))?;
            spans.push(Span { offset, length });
        }
        Ok(spans)
    }

    fn zero_threshold(&mut self) -> f64 {
        match self.take(8) {
            0 => 0.0,
            255 => self.f64(),
            // A power of two: 0.5 × 2^(n - 243).
            n => f64::from_bits((n + 1023 - 244) << 52),
        }
    }

    fn custom_bound(&mut self) -> f64 {
        match self.unsigned() {
            0 => self.f64(),
            // Thousandths, plus one.
            n => (n - 1) as f64 / 1000.0,
        }
    }

    /// A value by its XOR with the one before.
    fn xor(&mut self, state: &mut State) -> Result<(), Fault> {
        state.at = self.at;
        state.value(self.bits, self.bits.peek57(self.at), 57)?;
        self.at = state.at;
        Ok(())
    }
}

/// An integer that changes by a changing difference.
#[derive(Clone, Copy, Default)]
struct Count {
    value: i64,
    delta: i64,
}

impl Count {
    fn next(&mut self, cursor: &mut Cursor<'_>) {
        self.delta = self.delta.wrapping_add(cursor.signed());
        self.value = self.value.wrapping_add(self.delta);
    }
}

/// The numbers of one histogram: count, zero count, and all buckets, the positive ones first.
enum Numbers {
    Integers { count: Count, zero_count: Count, buckets: Vec<Count> },
    Floats { count: State, zero_count: State, buckets: Vec<State> },
}

struct Decoder {
    schema: i32,
    zero_threshold: f64,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    custom_values: Vec<f64>,
    positive: usize,
    t: i64,
    delta: i64,
    sum: State,
    numbers: Numbers,
}

impl Decoder {
    fn read_layout(cursor: &mut Cursor<'_>, encoding: Encoding) -> Result<Self, Fault> {
        let zero_threshold = cursor.zero_threshold();
        let schema = i32::try_from(cursor.signed()).map_err(|_| Fault::Invalid("schema"))?;
        let (positive_spans, negative_spans) = (cursor.spans()?, cursor.spans()?);
        let mut custom_values = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            for _ in 0..cursor.count(1, "number of custom bounds")? {
                custom_values.push(cursor.custom_bound());
            }
        }
        cursor.check_end()?;
        let buckets = |spans: &[Span]| spans.iter().map(|s| s.length as usize).sum::<usize>();
        let (positive, negative) = (buckets(&positive_spans), buckets(&negative_spans));
        // A bucket takes a bit of each histogram at least.
        let all = positive.saturating_add(negative);
        if all > cursor.bits.len() {
            return Err(Fault::Invalid("number of buckets"));
        }
        let numbers = match encoding {
            Encoding::Histogram | Encoding::HistogramSt => Numbers::Integers {
                count: Count::default(),
                zero_count: Count::default(),
                buckets: vec![Count::default(); all],
            },
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => Numbers::Floats {
                count: State::START,
                zero_count: State::START,
                buckets: vec![State::START; all],
            },
            Encoding::Xor | Encoding::Xor2 => return Err(Fault::Invalid("encoding")),
        };
        Ok(Decoder {
            schema,
            zero_threshold,
            positive_spans,
            negative_spans,
            custom_values,
            positive,
            t: 0,
            delta: 0,
            sum: State::START,
            numbers,
        })
    }

    fn first(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.t = cursor.signed();
        match &mut self.numbers {
            Numbers::Integers { count, zero_count, buckets } => {
                count.value = cursor.unsigned() as i64;
                zero_count.value = cursor.unsigned() as i64;
                self.sum.v = cursor.f64();
                for bucket in buckets {
                    bucket.value = cursor.signed();
                }
            }
            Numbers::Floats { count, zero_count, buckets } => {
                count.v = cursor.f64();
                zero_count.v = cursor.f64();
                self.sum.v = cursor.f64();
                for bucket in buckets {
                    bucket.v = cursor.f64();
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.delta = self.delta.wrapping_add(cursor.signed());
        self.t = self.t.wrapping_add(self.delta);
        match &mut self.numbers {
            Numbers::Integers { count, zero_count, buckets } => {
                count.next(cursor);
                zero_count.next(cursor);
                cursor.xor(&mut self.sum)?;
                // A staleness mark has no buckets.
                if !model::is_stale(self.sum.v) {
                    buckets.iter_mut().for_each(|bucket| bucket.next(cursor));
                }
            }
            Numbers::Floats { count, zero_count, buckets } => {
                cursor.xor(count)?;
                cursor.xor(zero_count)?;
                cursor.xor(&mut self.sum)?;
                if !model::is_stale(self.sum.v) {
                    for bucket in buckets {
                        cursor.xor(bucket)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn native(&self, counter_reset: CounterReset) -> NativeHistogram {
        let Numbers::Integers { count, zero_count, buckets } = &self.numbers else {
            return NativeHistogram::Float(Arc::new(self.float(counter_reset)));
        };
        if model::is_stale(self.sum.v) {
            return Histogram { sum: self.sum.v, counter_reset, ..Histogram::default() }.into();
        }
        let (positive, negative) = buckets.split_at(self.positive);
        let values = |buckets: &[Count]| buckets.iter().map(|b| b.value).collect();
        NativeHistogram::Integer(Arc::new(Histogram {
            counter_reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: zero_count.value as u64,
            count: count.value as u64,
            sum: self.sum.v,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: values(positive),
            negative_spans: self.negative_spans.clone(),
            negative_buckets: values(negative),
            custom_values: self.custom_values.clone(),
        }))
    }

    fn float(&self, counter_reset: CounterReset) -> FloatHistogram {
        if model::is_stale(self.sum.v) {
            return FloatHistogram { sum: self.sum.v, counter_reset, ..FloatHistogram::default() };
        }
        let (count, zero_count, positive, negative) = match &self.numbers {
            Numbers::Integers { count, zero_count, buckets } => {
                let (positive, negative) = buckets.split_at(self.positive);
                (
                    count.value as u64 as f64,
                    zero_count.value as u64 as f64,
                    absolute(positive),
                    absolute(negative),
                )
            }
            Numbers::Floats { count, zero_count, buckets } => {
                let (positive, negative) = buckets.split_at(self.positive);
                let values = |buckets: &[State]| buckets.iter().map(|b| b.v).collect();
                (count.v, zero_count.v, values(positive), values(negative))
            }
        };
        FloatHistogram {
            counter_reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count,
            count,
            sum: self.sum.v,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: positive,
            negative_spans: self.negative_spans.clone(),
            negative_buckets: negative,
            custom_values: self.custom_values.clone(),
        }
    }
}

/// Integer buckets are stored as differences to the bucket before.
fn absolute(buckets: &[Count]) -> Vec<f64> {
    let mut sum = 0i64;
    let add = |bucket: &Count| {
        sum = sum.wrapping_add(bucket.value);
        sum as f64
    };
    buckets.iter().map(add).collect()
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

    fn f64_bits(v: f64) -> String {
        format!("{:064b}", v.to_bits())
    }

    #[track_caller]
    fn check(encoding: Encoding, flags: u8, count: u8, text: &str, expected: &[(i64, FloatHistogram)]) {
        let data = [&[0, count, flags][..], &bits(text)].concat();
        let mut found = Vec::new();
        decode_histograms(encoding, &data, i64::MIN, i64::MAX, |t, h| found.push((t, h))).unwrap();
        assert_eq!(found, expected);
        for len in HEADER..data.len() {
            let cut = decode_histograms(encoding, &data[..len], i64::MIN, i64::MAX, |_, _| ());
            assert!(cut.is_err(), "cut at {len}");
        }
    }

    #[test]
    fn integers_by_hand() {
        // Zero threshold 2^-128 (116); schema 0; one positive span of two buckets at -1; no negative span.
        let layout = "01110100 | 0 | 10 001  10 010 10 111 | 0";
        // t 3; count 7; zero count 1; sum 2.0; buckets 2, +2.
        let first = format!("10 011 | 10 111 | 10 001 | {} | 10 010 | 10 010", f64_bits(2.0));
        // t +4; count +2 = 9; zero count +0; sum 2.0 again; buckets 2+1, and the difference 2-0.
        let second = "10 100 | 10 010 | 0 | 0 | 10 001 | 0";
        let histogram = |count, buckets: [f64; 2], counter_reset| FloatHistogram {
            counter_reset,
            zero_threshold: 2f64.powi(-128),
            zero_count: 1.0,
            count,
            sum: 2.0,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: buckets.to_vec(),
            ..FloatHistogram::default()
        };
        let expected = [
            (3, histogram(7.0, [2.0, 4.0], CounterReset::Unknown)),
            (7, histogram(9.0, [3.0, 5.0], CounterReset::NotReset)),
        ];
        check(Encoding::Histogram, 0x80, 2, &format!("{layout}{first}{second}"), &expected);
    }

    #[test]
    fn floats_with_custom_bounds_by_hand() {
        // Zero threshold 0; schema -53; one span of one bucket at 0; bounds 0.005 (5 thousandths, plus one) and -1.
        let layout =
            format!("00000000 | 1110 111001011 | 10 001 10 001 0 | 0 | 10 010 10 110 0 {}", f64_bits(-1.0));
        let [v1, v2, v3, v4] = [1.5, 0.0, 4.0, 1.5].map(f64_bits);
        // t 0; then count, zero count, sum and the bucket as they are.
        let text = format!("{layout} 0 {v1} {v2} {v3} {v4}");
        let expected = FloatHistogram {
            counter_reset: CounterReset::Gauge,
            schema: -53,
            count: 1.5,
            sum: 4.0,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![1.5],
            custom_values: vec![0.005, -1.0],
            ..FloatHistogram::default()
        };
        check(Encoding::FloatHistogram, GAUGE, 1, &text, &[(0, expected)]);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300), float: bool) {
            let encoding = if float { Encoding::FloatHistogram } else { Encoding::Histogram };
            let _ = decode_histograms(encoding, &data, i64::MIN, i64::MAX, |_, _| ());
            let encoding = if float { Encoding::FloatHistogramSt } else { Encoding::HistogramSt };
            let _ = decode_native(encoding, &data, i64::MIN, i64::MAX, |_, _, _| ());
        }
    }
}
