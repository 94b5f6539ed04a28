//! A native histogram in a remote write request.
//!
//! ```text
//! Histogram  { count_int = 1 or count_float = 2; sum = 3; sint32 schema = 4; zero_threshold = 5; zero_count_int = 6 or zero_count_float = 7;
//!              repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9; repeated double negative_counts = 10;
//!              repeated BucketSpan positive_spans = 11; repeated sint64 positive_deltas = 12; repeated double positive_counts = 13;
//!              reset_hint = 14; int64 timestamp = 15; repeated double custom_values = 16 }
//! BucketSpan { sint32 offset = 1; uint32 length = 2 }
//! ```

use super::{Error, Field, Fields};
use model::histogram::{CounterReset, FloatHistogram, Histogram, NativeHistogram, Span};

fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Numbers of a repeated field: packed, or one a field.
fn add_doubles(content: Field<'_>, out: &mut Vec<f64>) {
    match content {
        Field::Fixed64(bits) => out.push(f64::from_bits(bits)),
        Field::Bytes(packed) => {
            let (all, _) = packed.as_chunks::<8>();
            out.extend(all.iter().map(|raw| f64::from_le_bytes(*raw)));
        }
        _ => {}
    }
}

fn add_deltas(content: Field<'_>, out: &mut Vec<i64>) -> Result<(), Error> {
    match content {
        Field::Varint(n) => out.push(zigzag(n)),
        Field::Bytes(packed) => {
            let mut rest = Fields::new(packed);
            while rest.at < packed.len() {
                out.push(zigzag(rest.varint()?));
            }
        }
        _ => {}
    }
    Ok(())
}

fn read_span(message: &[u8]) -> Result<Span, Error> {
    let mut span = Span::default();
    let mut fields = Fields::new(message);
    while let Some((number, content)) = fields.next()? {
        match (number, content) {
            (1, Field::Varint(n)) => span.offset = zigzag(n) as i32,
            (2, Field::Varint(n)) => span.length = n as u32,
            _ => {}
        }
    }
    Ok(span)
}

/// Reads a histogram and its time in milliseconds. Counts are floats where the request says `count_float`.
pub(super) fn read(message: &[u8]) -> Result<(i64, NativeHistogram), Error> {
    let mut t = 0;
    let (mut h, mut float) = (Histogram::default(), FloatHistogram::default());
    let mut is_float = false;
    let mut fields = Fields::new(message);
    while let Some((number, content)) = fields.next()? {
        match (number, content) {
            (1, Field::Varint(n)) => h.count = n,
            (2, Field::Fixed64(bits)) => {
                float.count = f64::from_bits(bits);
                is_float = true;
            }
            (3, Field::Fixed64(bits)) => h.sum = f64::from_bits(bits),
            (4, Field::Varint(n)) => h.schema = zigzag(n) as i32,
            (5, Field::Fixed64(bits)) => h.zero_threshold = f64::from_bits(bits),
            (6, Field::Varint(n)) => h.zero_count = n,
            (7, Field::Fixed64(bits)) => float.zero_count = f64::from_bits(bits),
            (8, Field::Bytes(span)) => h.negative_spans.push(read_span(span)?),
            (9, deltas) => add_deltas(deltas, &mut h.negative_buckets)?,
            (10, counts) => add_doubles(counts, &mut float.negative_buckets),
            (11, Field::Bytes(span)) => h.positive_spans.push(read_span(span)?),
            (12, deltas) => add_deltas(deltas, &mut h.positive_buckets)?,
            (13, counts) => add_doubles(counts, &mut float.positive_buckets),
            (14, Field::Varint(n)) => {
                h.counter_reset = match n {
                    1 => CounterReset::Reset,
                    2 => CounterReset::NotReset,
                    3 => CounterReset::Gauge,
                    _ => CounterReset::Unknown,
                }
            }
            (15, Field::Varint(ms)) => t = ms as i64,
            (16, bounds) => add_doubles(bounds, &mut h.custom_values),
            _ => {}
        }
    }
    if !is_float {
        return Ok((t, h.into()));
    }
    let Histogram {
        counter_reset,
        schema,
        zero_threshold,
        sum,
        positive_spans,
        negative_spans,
        custom_values,
        ..
    } = h;
    let rest = float;
    Ok((
        t,
        FloatHistogram {
            counter_reset,
            schema,
            zero_threshold,
            sum,
            positive_spans,
            negative_spans,
            custom_values,
            ..rest
        }
        .into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read() {
        let double = |v: f64| v.to_le_bytes();
        let mut message = vec![8, 3, 25]; // count 3, sum
        message.extend(double(2.5));
        message.extend([32, 3, 48, 1]); // schema -2, zero count 1
        message.extend([90, 4, 8, 1, 16, 2]); // a positive span: offset -1, length 2
        message.extend([98, 2, 2, 0]); // deltas 1, 0, packed
        message.extend([112, 3, 120, 7]); // gauge, at 7
        let expected = Histogram {
            counter_reset: CounterReset::Gauge,
            schema: -2,
            count: 3,
            zero_count: 1,
            sum: 2.5,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: vec![1, 0],
            ..Histogram::default()
        };
        assert_eq!(read(&message), Ok((7, expected.into())));
        let mut message = vec![17]; // count 1.5
        message.extend(double(1.5));
        message.extend([90, 2, 16, 1, 106, 8]); // a span of one, its count
        message.extend(double(1.5));
        let expected = FloatHistogram {
            count: 1.5,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![1.5],
            ..FloatHistogram::default()
        };
        assert_eq!(read(&message), Ok((0, expected.into())));
        assert!(read(&[17, 1]).is_err());
    }
}
