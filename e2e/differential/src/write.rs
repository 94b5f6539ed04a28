//! Remote write 1.0: samples as a snappy-compressed protobuf `WriteRequest`.
//!
//! Field numbers: <https://github.com/prometheus/prometheus/blob/main/prompb/types.proto>.

use crate::data::Series;
use model::FloatHistogram;
use model::histogram::{CounterReset, Span};
use promql::testing::Item;

/// Series to a request, so that a body stays well below the limit of the receiver.
const SERIES_A_REQUEST: usize = 20;

/// The bodies of all requests that bring these series over.
pub(crate) fn bodies(series: &[Series]) -> Vec<Vec<u8>> {
    series
        .chunks(SERIES_A_REQUEST)
        .filter_map(|chunk| {
            let mut request = Message::default();
            // numbers and histograms in turns: each run is a series of its own, or all numbers would come first
            let same = |a: &(i64, Item), b: &(i64, Item)| {
                matches!(a.1, Item::Float(_)) == matches!(b.1, Item::Float(_))
            };
            for s in chunk {
                for run in s.samples.chunk_by(same) {
                    request.message(1, &time_series(s, run));
                }
            }
            snap::raw::Encoder::new().compress_vec(&request.0).ok()
        })
        .collect()
}

fn time_series(series: &Series, samples: &[(i64, Item)]) -> Message {
    let mut out = Message::default();
    for (name, value) in &series.labels {
        let mut label = Message::default();
        label.bytes(1, name.as_bytes());
        label.bytes(2, value.as_bytes());
        out.message(1, &label);
    }
    for (t, item) in samples {
        match item {
            Item::Float(v) => {
                let mut sample = Message::default();
                sample.double(1, *v);
                sample.varint(2, *t as u64);
                out.message(2, &sample);
            }
            Item::Histogram(h) => out.message(4, &histogram(h, *t, series.float_counts)),
        }
    }
    out
}

fn histogram(h: &FloatHistogram, t: i64, float_counts: bool) -> Message {
    let mut out = Message::default();
    let sides = [(8, &h.negative_spans, &h.negative_buckets), (11, &h.positive_spans, &h.positive_buckets)];
    if float_counts {
        out.double(2, h.count);
        out.double(7, h.zero_count);
    } else {
        out.varint(1, h.count as u64);
        out.varint(6, h.zero_count as u64);
    }
    out.double(3, h.sum);
    out.signed(4, i64::from(h.schema));
    out.double(5, h.zero_threshold);
    for (first, spans, buckets) in sides {
        for span in spans {
            out.message(first, &bucket_span(span));
        }
        if float_counts {
            let packed: Vec<u8> = buckets.iter().flat_map(|v| v.to_le_bytes()).collect();
            out.bytes(first + 2, &packed);
        } else {
            let mut packed = Message::default();
            let mut before = 0;
            for v in buckets {
                packed.raw_varint(zigzag(*v as i64 - before));
                before = *v as i64;
            }
            out.bytes(first + 1, &packed.0);
        }
    }
    out.varint(14, if h.counter_reset == CounterReset::Gauge { 3 } else { 0 });
    out.varint(15, t as u64);
    let packed: Vec<u8> = h.custom_values.iter().flat_map(|v| v.to_le_bytes()).collect();
    out.bytes(16, &packed);
    out
}

fn bucket_span(span: &Span) -> Message {
    let mut out = Message::default();
    out.signed(1, i64::from(span.offset));
    out.varint(2, u64::from(span.length));
    out
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

/// A protobuf message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.raw_varint(field << 3 | wire);
    }

    fn varint(&mut self, field: u64, v: u64) {
        self.key(field, 0);
        self.raw_varint(v);
    }

    fn signed(&mut self, field: u64, v: i64) {
        self.varint(field, zigzag(v));
    }

    fn double(&mut self, field: u64, v: f64) {
        self.key(field, 1);
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}
