//! Histogram chunks: what is appended is read back, and chunks end where they must.

use super::*;
use model::FloatHistogram;
use model::histogram::NativeHistogram::{Float, Integer};
use proptest::prelude::*;

/// A histogram with these counts in buckets `from..`, of the integer or the float kind.
fn histogram(float: bool, from: i32, counts: &[u32]) -> NativeHistogram {
    let mut before = 0;
    let deltas = counts.iter().map(|&c| i64::from(c) - std::mem::replace(&mut before, i64::from(c)));
    let sum: u32 = counts.iter().sum();
    let h = Histogram {
        zero_threshold: 0.001,
        count: u64::from(sum),
        sum: f64::from(sum) * 1.5,
        positive_spans: vec![Span { offset: from, length: counts.len() as u32 }],
        positive_buckets: deltas.collect(),
        ..Histogram::default()
    };
    if float { h.to_float().into() } else { h.into() }
}

fn hinted(h: NativeHistogram, hint: CounterReset) -> NativeHistogram {
    match h {
        Integer(h) => Histogram { counter_reset: hint, ..(*h).clone() }.into(),
        Float(h) => FloatHistogram { counter_reset: hint, ..(*h).clone() }.into(),
    }
}

/// What a histogram says, however its buckets are laid out: index and count of those that are not empty, zero count, count, sum.
fn meaning(h: &NativeHistogram) -> (Vec<(i32, u64)>, [u64; 3], i32) {
    let h = h.to_float();
    let indexed = super::super::layout::indices(&h.positive_spans).zip(&h.positive_buckets);
    let buckets = indexed.filter(|(_, c)| **c != 0.0).map(|(i, c)| (i, c.to_bits())).collect();
    (buckets, [h.zero_count, h.count, h.sum].map(f64::to_bits), h.schema)
}

type Chunks = Vec<(Encoding, Vec<u8>)>;

fn write(histograms: &[NativeHistogram]) -> Chunks {
    let mut chunk = HistogramChunk::default();
    let mut ended: Chunks = Vec::new();
    for (i, h) in histograms.iter().enumerate() {
        ended.extend(chunk.append(i as i64 * 15_000, 0, h));
    }
    ended.push((chunk.encoding(), chunk.take()));
    ended
}

fn read(chunks: &Chunks) -> Vec<(i64, NativeHistogram)> {
    let mut found = Vec::new();
    for (encoding, data) in chunks {
        decode_native(*encoding, data, i64::MIN, i64::MAX, |t, _, h| found.push((t, h))).unwrap();
    }
    found
}

#[track_caller]
fn check(histograms: &[NativeHistogram], flags: &[u8]) {
    let chunks = write(histograms);
    assert_eq!(chunks.iter().map(|(_, data)| data[2]).collect::<Vec<_>>(), flags);
    let found = read(&chunks);
    assert_eq!(found.len(), histograms.len());
    for (i, ((t, found), expected)) in found.iter().zip(histograms).enumerate() {
        assert_eq!((*t, meaning(found)), (i as i64 * 15_000, meaning(expected)), "{i}");
    }
}

#[test]
fn counters_begin_anew_in_a_new_chunk() {
    for float in [false, true] {
        let h = |from, counts: &[u32]| histogram(float, from, counts);
        check(&[h(0, &[1, 2]), h(0, &[1, 3]), h(-1, &[1, 2, 3, 1])], &[0]);
        // a bucket that was empty may be missing, one that counted may not
        check(&[h(0, &[1, 0]), h(0, &[1]), h(0, &[2, 1])], &[0]);
        check(&[h(0, &[1, 2]), h(0, &[9])], &[0, RESET]);
        check(&[h(0, &[5, 5]), h(0, &[4, 9])], &[0, RESET]);
        check(&[h(0, &[5]), h(0, &[4]), h(0, &[5])], &[0, RESET]);
        let schema = match h(0, &[9]) {
            Integer(h) => Histogram { schema: 3, ..(*h).clone() }.into(),
            Float(h) => FloatHistogram { schema: 3, ..(*h).clone() }.into(),
        };
        check(&[h(0, &[5]), schema], &[0, 0]);
        check(&[h(0, &[5]), hinted(h(0, &[6]), CounterReset::Reset)], &[0, RESET]);
    }
    check(&[histogram(true, 0, &[1]), histogram(false, 0, &[1])], &[0, 0]);
}

#[test]
fn gauges_may_fall() {
    for float in [false, true] {
        let h = |from, counts: &[u32]| hinted(histogram(float, from, counts), CounterReset::Gauge);
        check(&[h(0, &[5, 5]), h(0, &[1]), h(-3, &[1, 0, 2]), h(0, &[2])], &[GAUGE]);
        check(&[histogram(float, 0, &[5]), h(0, &[6])], &[0, GAUGE]);
        check(&[h(0, &[5]), histogram(float, 0, &[6])], &[GAUGE, 0]);
    }
}

#[test]
fn staleness_marks_end_a_chunk() {
    for float in [false, true] {
        let h = |counts: &[u32]| histogram(float, 0, counts);
        let stale = h(&[1]).stale_like();
        let chunks = write(&[h(&[1, 2]), stale.clone(), stale.clone(), h(&[1, 2])]);
        assert_eq!(chunks.len(), 2);
        let found = read(&chunks);
        assert!(found[1].1.same(&stale) && found[2].1.same(&stale));
        assert_eq!(meaning(&found[3].1), meaning(&h(&[1, 2])));
        check(&[stale, h(&[1])], &[0, 0]);
    }
}

#[test]
fn a_taken_chunk_is_remembered() {
    let mut chunk = HistogramChunk::default();
    assert_eq!(chunk.append(1, 0, &histogram(false, 0, &[5])), None);
    assert_eq!(chunk.take()[2], 0);
    assert_eq!(chunk.append(2, 0, &histogram(false, 0, &[5, 1])), None);
    assert_eq!(chunk.take()[2], NOT_RESET);
    assert_eq!(chunk.append(3, 0, &histogram(false, 0, &[1, 1])), None);
    assert_eq!(chunk.take()[2], RESET);
}

#[test]
fn custom_bounds_come_back() {
    let h = |bounds: &[f64]| -> NativeHistogram {
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3,
            sum: 1.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![1, 1],
            custom_values: bounds.to_vec(),
            ..Histogram::default()
        }
        .into()
    };
    let bounds = [-1.5, -0.0, 0.005, 0.1, 1.0 / 3.0, 33_554.43, 33_554.431, 1e300];
    let chunks = write(&[h(&bounds), h(&bounds), h(&bounds[..3])]);
    assert_eq!(chunks.iter().map(|(_, data)| data[2]).collect::<Vec<_>>(), [0, RESET]);
    let found = read(&chunks);
    assert!(found[1].1.same(&h(&bounds)) && found[2].1.same(&h(&bounds[..3])));
}

#[test]
fn zero_thresholds_come_back() {
    for threshold in [
        0.0,
        -0.0,
        0.001,
        1.0,
        2f64.powi(-243),
        2f64.powi(-244),
        2f64.powi(10),
        2f64.powi(11),
        f64::MIN_POSITIVE / 4.0,
    ] {
        let h: NativeHistogram = Histogram { zero_threshold: threshold, ..Histogram::default() }.into();
        let chunks = write(std::slice::from_ref(&h));
        assert!(read(&chunks)[0].1.same(&h), "{threshold:e}");
    }
}

proptest! {
    #[test]
    fn any_histograms_come_back(
        float: bool,
        all in proptest::collection::vec(
            (-6i32..6, proptest::collection::vec(0u32..6, 1..8), 0u8..4, 0u8..12), 1..60),
    ) {
        let hints = [CounterReset::Unknown, CounterReset::NotReset, CounterReset::Unknown, CounterReset::Gauge];
        let histograms: Vec<NativeHistogram> = all
            .iter()
            .map(|(from, counts, hint, stale)| {
                let h = hinted(histogram(float, *from, counts), hints[usize::from(*hint)]);
                if *stale == 0 { h.stale_like() } else { h }
            })
            .collect();
        let found = read(&write(&histograms));
        prop_assert_eq!(found.len(), histograms.len());
        for ((_, found), expected) in found.iter().zip(&histograms) {
            if expected.is_stale() {
                prop_assert!(found.is_stale());
                continue;
            }
            prop_assert_eq!(meaning(found), meaning(expected));
            let gauge = |h: &NativeHistogram| h.counter_reset() == CounterReset::Gauge;
            prop_assert_eq!(gauge(found), gauge(expected));
        }
    }
}

#[test]
fn starts_follow_the_histograms() {
    for float in [false, true] {
        let mut chunk = HistogramChunk::new(true);
        let mut ended = Vec::new();
        let mut expected = Vec::new();
        for i in 0..300i64 {
            // new buckets at 20 (the chunk is written anew), a reset at 200, the start unknown, known, and another one
            let counts: Vec<u32> =
                (0..if i < 20 { 1 } else { 3 }).map(|b| (i % 200) as u32 * 2 + b).collect();
            let (t, start) = (i * 15_000, [0, 70, 3_000_000][usize::from(i > 10) + usize::from(i >= 200)]);
            ended.extend(chunk.append(t, start, &histogram(float, 0, &counts)));
            expected.push((t, start, counts.iter().sum::<u32>()));
        }
        let kind = if float { Encoding::FloatHistogramSt } else { Encoding::HistogramSt };
        assert_eq!((chunk.encoding(), chunk.num_samples()), (kind, 100));
        ended.push((chunk.encoding(), chunk.take()));
        let mut found = Vec::new();
        for (encoding, data) in &ended {
            let each = |t, start, h: NativeHistogram| found.push((t, start, h.to_float().count as u32));
            decode_native(*encoding, data, i64::MIN, i64::MAX, each).unwrap();
        }
        assert_eq!(found, expected);
        assert_eq!(ended.len(), 2);
        assert_eq!(ended[1].1[0] & GAUGE, RESET, "where the flags are in such chunks");
    }
}

#[test]
fn a_start_that_the_header_cannot_tell_ends_the_chunk() {
    let mut chunk = HistogramChunk::new(true);
    for t in 0..200 {
        assert_eq!(chunk.append(t, 0, &histogram(false, 0, &[5])), None);
    }
    assert!(chunk.append(200, 9, &histogram(false, 0, &[5])).is_some());
    assert_eq!((chunk.num_samples(), chunk.bytes()[0] & GAUGE), (1, NOT_RESET));
}
