//! Records of native histograms. See `docs/wal.md`.

use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterReset, FloatHistogram, Histogram, NativeHistogram, Span,
};

use super::{RecordType, V2Base, put_base, put_delta};
use crate::encoding::{self, Reader, put_uvarint, put_varint};

/// A native histogram of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRecord {
    /// The series' number.
    pub ref_: u64,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The histogram.
    pub h: NativeHistogram,
}

impl RecordType {
    /// The type of record that a histogram goes into.
    pub fn of_histogram(h: &NativeHistogram) -> Self {
        match (h, h.schema() == CUSTOM_BUCKETS_SCHEMA) {
            (NativeHistogram::Integer(_), false) => RecordType::HistogramSamples,
            (NativeHistogram::Float(_), false) => RecordType::FloatHistogramSamples,
            (NativeHistogram::Integer(_), true) => RecordType::CustomBucketsHistogramSamples,
            (NativeHistogram::Float(_), true) => RecordType::CustomBucketsFloatHistogramSamples,
        }
    }
}

/// Appends a record of histograms, `(series, time, histogram)`, which must all go into records of this type.
pub fn encode_histograms<'a>(
    type_: RecordType,
    histograms: impl IntoIterator<Item = (u64, i64, &'a NativeHistogram)>,
    out: &mut Vec<u8>,
) {
    out.push(type_ as u8);
    let mut base = None;
    for (ref_, t, h) in histograms {
        debug_assert_eq!(type_, RecordType::of_histogram(h));
        let (base_ref, base_t) = *base.get_or_insert_with(|| {
            put_base(out, ref_, t);
            (ref_, t)
        });
        put_delta(out, base_ref, base_t, ref_, t);
        put_histogram(out, h);
    }
}

/// Appends a record of histograms with start timestamps, `(series, time, start, histogram)`, all of integers or all of floats; a start of 0 is
/// unknown.
pub fn encode_histograms_v2<'a>(
    floats: bool,
    histograms: impl IntoIterator<Item = (u64, i64, i64, &'a NativeHistogram)>,
    out: &mut Vec<u8>,
) {
    out.push(if floats { RecordType::FloatHistogramSamplesV2 } else { RecordType::HistogramSamplesV2 } as u8);
    let mut base = None;
    for (ref_, t, st, h) in histograms {
        debug_assert_eq!(floats, matches!(h, NativeHistogram::Float(_)));
        V2Base::put(&mut base, out, ref_, t, st);
        put_histogram(out, h);
    }
}

pub(super) fn put_histogram(out: &mut Vec<u8>, h: &NativeHistogram) {
    match h {
        NativeHistogram::Integer(h) => {
            put_head(out, h.counter_reset, h.schema, h.zero_threshold);
            put_uvarint(out, h.zero_count);
            put_uvarint(out, h.count);
            put_f64(out, h.sum);
            put_spans(out, &h.positive_spans);
            put_spans(out, &h.negative_spans);
            for buckets in [&h.positive_buckets, &h.negative_buckets] {
                put_uvarint(out, buckets.len() as u64);
                buckets.iter().for_each(|&b| put_varint(out, b));
            }
            put_custom_values(out, h.schema, &h.custom_values);
        }
        NativeHistogram::Float(h) => {
            put_head(out, h.counter_reset, h.schema, h.zero_threshold);
            for v in [h.zero_count, h.count, h.sum] {
                put_f64(out, v);
            }
            put_spans(out, &h.positive_spans);
            put_spans(out, &h.negative_spans);
            for buckets in [&h.positive_buckets, &h.negative_buckets] {
                put_uvarint(out, buckets.len() as u64);
                buckets.iter().for_each(|&b| put_f64(out, b));
            }
            put_custom_values(out, h.schema, &h.custom_values);
        }
    }
}

fn put_f64(out: &mut Vec<u8>, v: f64) {
    out.extend_from_slice(&v.to_bits().to_be_bytes());
}

fn put_head(out: &mut Vec<u8>, reset: CounterReset, schema: i32, zero_threshold: f64) {
    out.push(match reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    });
    put_varint(out, i64::from(schema));
    put_f64(out, zero_threshold);
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_uvarint(out, spans.len() as u64);
    for span in spans {
        put_varint(out, i64::from(span.offset));
        put_uvarint(out, u64::from(span.length));
    }
}

fn put_custom_values(out: &mut Vec<u8>, schema: i32, values: &[f64]) {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        put_uvarint(out, values.len() as u64);
        values.iter().for_each(|&v| put_f64(out, v));
    }
}

/// Decodes a record of histograms of any type: calls `each(ref, t, start, histogram)` in order; a start of 0 is unknown. Histograms before
/// damage are delivered.
pub fn decode_histograms(
    record: &[u8],
    mut each: impl FnMut(u64, i64, i64, NativeHistogram),
) -> Result<(), encoding::Error> {
    use RecordType::{
        CustomBucketsFloatHistogramSamples, CustomBucketsHistogramSamples, FloatHistogramSamples,
        FloatHistogramSamplesV2, HistogramSamples, HistogramSamplesV2,
    };
    let mut r = Reader::new(record);
    let invalid = r.invalid("record type");
    r.u8("record type")?;
    let type_ = RecordType::of(record);
    let is_float = match type_ {
        Some(HistogramSamples | CustomBucketsHistogramSamples | HistogramSamplesV2) => false,
        Some(FloatHistogramSamples | CustomBucketsFloatHistogramSamples | FloatHistogramSamplesV2) => true,
        _ => return Err(invalid),
    };
    if r.is_at_end() {
        return Ok(());
    }
    let histogram = |r: &mut Reader<'_>| histogram(r, is_float);
    if matches!(type_, Some(HistogramSamplesV2 | FloatHistogramSamplesV2)) {
        let mut base = V2Base::read(&mut r)?;
        each(base.ref_, base.first_t, base.st, histogram(&mut r)?);
        while !r.is_at_end() {
            let t = base.next(&mut r)?;
            each(base.ref_, t, base.st, histogram(&mut r)?);
        }
        return Ok(());
    }
    let (base_ref, base_t) = (r.be64("first series")?, r.be64i("first timestamp")?);
    while !r.is_at_end() {
        let ref_ = base_ref.wrapping_add(r.varint("series")? as u64);
        let t = base_t.wrapping_add(r.varint("timestamp")?);
        each(ref_, t, 0, histogram(&mut r)?);
    }
    Ok(())
}

/// A histogram as [`put_histogram`] writes it.
pub(super) fn histogram(r: &mut Reader<'_>, is_float: bool) -> Result<NativeHistogram, encoding::Error> {
    if is_float { float(r).map(Into::into) } else { integer(r).map(Into::into) }
}

struct Head {
    counter_reset: CounterReset,
    schema: i32,
    zero_threshold: f64,
}

fn head(r: &mut Reader<'_>) -> Result<Head, encoding::Error> {
    let invalid = r.invalid("counter reset hint");
    let counter_reset = match r.u8("counter reset hint")? {
        0 => CounterReset::Unknown,
        1 => CounterReset::Reset,
        2 => CounterReset::NotReset,
        3 => CounterReset::Gauge,
        _ => return Err(invalid),
    };
    let invalid = r.invalid("schema");
    let schema = i32::try_from(r.varint("schema")?).map_err(|_| invalid)?;
    Ok(Head { counter_reset, schema, zero_threshold: r.f64("zero threshold")? })
}

fn integer(r: &mut Reader<'_>) -> Result<Histogram, encoding::Error> {
    let Head { counter_reset, schema, zero_threshold } = head(r)?;
    let (zero_count, count) = (r.uvarint("zero count")?, r.uvarint("count")?);
    let sum = r.f64("sum")?;
    let (positive_spans, negative_spans) = (spans(r)?, spans(r)?);
    let positive_buckets = buckets(r, &positive_spans, 1, |r| r.varint("bucket"))?;
    let negative_buckets = buckets(r, &negative_spans, 1, |r| r.varint("bucket"))?;
    let custom_values = custom_values(r, schema)?;
    Ok(Histogram {
        counter_reset,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
    })
}

fn float(r: &mut Reader<'_>) -> Result<FloatHistogram, encoding::Error> {
    let Head { counter_reset, schema, zero_threshold } = head(r)?;
    let (zero_count, count, sum) = (r.f64("zero count")?, r.f64("count")?, r.f64("sum")?);
    let (positive_spans, negative_spans) = (spans(r)?, spans(r)?);
    let positive_buckets = buckets(r, &positive_spans, 8, |r| r.f64("bucket"))?;
    let negative_buckets = buckets(r, &negative_spans, 8, |r| r.f64("bucket"))?;
    let custom_values = custom_values(r, schema)?;
    Ok(FloatHistogram {
        counter_reset,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
    })
}

fn spans(r: &mut Reader<'_>) -> Result<Vec<Span>, encoding::Error> {
    let count = r.uvarint("number of spans")?;
    let count = r.check_count(count, 2, "number of spans")?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let invalid = r.invalid("span");
        let offset = i32::try_from(r.varint("span")?).map_err(|_| invalid)?;
        spans.push(Span { offset, length: r.uvarint32("span")? });
    }
    Ok(spans)
}

/// Buckets of `size` bytes at least, as many as the spans tell.
fn buckets<T>(
    r: &mut Reader<'_>,
    spans: &[Span],
    size: usize,
    mut bucket: impl FnMut(&mut Reader<'_>) -> Result<T, encoding::Error>,
) -> Result<Vec<T>, encoding::Error> {
    let invalid = r.invalid("number of buckets");
    let count = r.uvarint("number of buckets")?;
    let count = r.check_count(count, size, "number of buckets")?;
    if spans.iter().map(|s| u64::from(s.length)).sum::<u64>() != count as u64 {
        return Err(invalid);
    }
    (0..count).map(|_| bucket(r)).collect()
}

fn custom_values(r: &mut Reader<'_>, schema: i32) -> Result<Vec<f64>, encoding::Error> {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return Ok(Vec::new());
    }
    let count = r.uvarint("number of custom bounds")?;
    let count = r.check_count(count, 8, "number of custom bounds")?;
    (0..count).map(|_| r.f64("custom bound")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer_histogram() -> Histogram {
        Histogram {
            counter_reset: CounterReset::Gauge,
            schema: -1,
            zero_threshold: 0.5,
            zero_count: 1,
            count: 300,
            sum: 2.0,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: vec![2, -1],
            negative_spans: vec![Span { offset: 3, length: 1 }],
            negative_buckets: vec![295],
            custom_values: vec![],
        }
    }

    #[test]
    fn golden_record() {
        let mut out = Vec::new();
        let h = integer_histogram().into();
        encode_histograms(RecordType::HistogramSamples, [(7, 1000, &h)], &mut out);
        #[rustfmt::skip]
        assert_eq!(out, [
            7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x03, 0xe8,
            0, 0, 3, 1, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0, 1, 0xac, 2, 0x40, 0, 0, 0, 0, 0, 0, 0,
            1, 1, 2, 1, 6, 1, 2, 4, 1, 1, 0xce, 4,
        ]);
    }

    #[test]
    fn all_types_come_back() {
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            negative_spans: vec![],
            negative_buckets: vec![],
            custom_values: vec![0.1, 5.0],
            ..integer_histogram()
        };
        for h in [integer_histogram(), custom] {
            for h in [NativeHistogram::from(h.clone()), h.to_float().into(), h.to_float().into()] {
                let mut out = Vec::new();
                let type_ = RecordType::of_histogram(&h);
                encode_histograms(type_, [(3, 5, &h), (1, 4, &h)], &mut out);
                let mut found = Vec::new();
                decode_histograms(&out, |ref_, t, st, h| found.push((ref_, t, st, h))).unwrap();
                assert_eq!(found, [(3, 5, 0, h.clone()), (1, 4, 0, h.clone())]);
                for len in 1..out.len() {
                    let _ = decode_histograms(&out[..len], |_, _, _, _| ());
                }
                out.clear();
                found.clear();
                let with_starts = [(3, 5, 4, h.clone()), (1, 4, 0, h.clone()), (9, 4, 4, h.clone())];
                let is_float = matches!(h, NativeHistogram::Float(_));
                encode_histograms_v2(
                    is_float,
                    with_starts.iter().map(|(r, t, s, h)| (*r, *t, *s, h)),
                    &mut out,
                );
                decode_histograms(&out, |ref_, t, st, h| found.push((ref_, t, st, h))).unwrap();
                assert_eq!(found, with_starts);
            }
        }
    }
}
