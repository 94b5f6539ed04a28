//! Float chunks: round trips, bytes derived by hand, cuts and garbage.

use super::*;
use proptest::prelude::*;

fn chunk(samples: &[(i64, f64)]) -> XorChunk {
    let mut chunk = XorChunk::new();
    for &(t, v) in samples {
        chunk.append(t, v);
    }
    chunk
}

#[track_caller]
fn check_round_trip(samples: &[(i64, f64)]) {
    let bits = |s: &[(i64, f64)]| s.iter().map(|&(t, v)| (t, v.to_bits())).collect::<Vec<_>>();
    let chunk = chunk(samples);
    let read: Vec<(i64, f64)> = chunk.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(bits(&read), bits(samples));
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    decode_xor(chunk.bytes(), i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
    assert_eq!(bits(&ts.into_iter().zip(vs).collect::<Vec<_>>()), bits(samples));
}

/// By hand from the document: three samples ten seconds apart, the value rising by one, then a step in time.
#[test]
fn golden_bytes() {
    let chunk = chunk(&[(1000, 1.0), (11_000, 2.0), (21_000, 2.0), (31_001, 3.0)]);
    #[rustfmt::skip]
    let expected = [
        0x00, 0x04,                                     // four samples
        0xd0, 0x0f,                                     // zigzag(1000) = 2000
        0x3f, 0xf0, 0, 0, 0, 0, 0, 0,                   // 1.0
        0x90, 0x4e,                                     // 10000
        // 2.0 ^ 1.0 = 0x7ff0…: 1 leading zero, 52 trailing, 11 significant: 11 00001 001011 11111111111
        0b1100_0010, 0b0101_1111, 0b1111_1111,
        // (21000, 2.0): 0 0; (31001, 3.0): dod 1: 10 00000000000001;
        // 3.0 ^ 2.0 = 0x0008…: 12 leading, 51 trailing, 1 significant: 11 01100 000001 1
        0b0010_0000, 0b0000_0000, 0b0111_0110, 0b0000_0011,
    ];
    assert_eq!(chunk.bytes(), expected);
}

#[test]
fn edges_of_the_delta_ranges() {
    for dod in [
        0,
        1,
        -1,
        8191,
        8192,
        8193,
        -8191,
        -8192,
        65_536,
        65_537,
        -65_535,
        -65_536,
        524_288,
        524_289,
        -524_287,
        -524_288,
        1 << 40,
    ] {
        let base = 1 << 41;
        check_round_trip(&[(0, 1.0), (base, 1.0), (2 * base + dod, -1.0), (3 * base, 0.5)]);
    }
    check_round_trip(&[
        (i64::MIN, f64::MAX),
        (0, f64::MIN_POSITIVE),
        (i64::MAX, f64::from_bits(0x7ff0_0000_0000_0002)),
    ]);
    check_round_trip(&[]);
    // 64 significant bits.
    check_round_trip(&[(0, f64::from_bits(0)), (1, f64::from_bits(0x8000_0000_0000_0001)), (2, 0.0)]);
}

#[test]
fn bulk_decoding_keeps_to_the_range() {
    let samples: Vec<_> = (0..120).map(|i| (i * 15_000, i as f64)).collect();
    let chunk = chunk(&samples);
    let (mut ts, mut vs) = (vec![-1], vec![-1.0]);
    decode_xor(chunk.bytes(), 30_000, 60_000, &mut ts, &mut vs).unwrap();
    assert_eq!((ts, vs), (vec![-1, 30_000, 45_000, 60_000], vec![-1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn memory_stays_close_to_the_data() {
    let mut chunk = XorChunk::new();
    for i in 0..120 {
        chunk.append(i * 15_000 + i % 7, (i * i) as f64 / 3.0);
        let (len, heap) = (chunk.bytes().len(), chunk.heap_size());
        assert!(heap <= len + if len < 1024 { 64 } else { 256 }, "{heap} bytes for {len}");
    }
    assert_eq!(std::mem::size_of::<XorChunk>(), 56);
    let len = chunk.bytes().len();
    assert_eq!((chunk.take().capacity(), chunk.heap_size()), (len, 0));
}

#[test]
fn every_truncation_is_an_error() {
    let samples: Vec<_> = (0..20).map(|i| (i * 15_000 + i % 3, i as f64 * 1.1)).collect();
    let chunk = chunk(&samples);
    for len in 2..chunk.bytes().len() {
        let cut = &chunk.bytes()[..len];
        assert!(decode_xor(cut, i64::MIN, i64::MAX, &mut vec![], &mut vec![]).is_err(), "{len}");
        assert!(XorIter::new(cut).any(|s| s.is_err()));
        assert!(XorChunk::from_bytes(cut).is_err());
    }
}

fn sample() -> impl Strategy<Value = (i64, f64)> {
    let step = prop_oneof![4 => Just(15_000i64), 2 => 14_990i64..15_010, 1 => 1i64..1 << 42];
    let value = prop_oneof![
        3 => (0u32..1000).prop_map(f64::from),
        2 => any::<f64>(),
        1 => any::<u64>().prop_map(f64::from_bits),
    ];
    (step, value)
}

proptest! {
    #[test]
    fn round_trip(start: i32, steps in proptest::collection::vec(sample(), 0..300)) {
        let mut t = i64::from(start);
        let samples: Vec<_> = steps.iter().map(|&(step, v)| { t += step; (t, v) }).collect();
        check_round_trip(&samples);
    }

    #[test]
    fn goes_on_after_a_restart(steps in proptest::collection::vec(sample(), 1..100), cut in 0usize..100) {
        let mut t = 0;
        let samples: Vec<_> = steps.iter().map(|&(step, v)| { t += step; (t, v) }).collect();
        let cut = cut.min(samples.len());
        let mut resumed = XorChunk::from_bytes(chunk(&samples[..cut]).bytes()).unwrap();
        for &(t, v) in &samples[cut..] {
            resumed.append(t, v);
        }
        let whole = chunk(&samples);
        prop_assert_eq!(resumed.bytes(), whole.bytes());
    }

    #[test]
    fn any_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        let bulk = decode_xor(&data, i64::MIN, i64::MAX, &mut ts, &mut vs);
        let single: Result<Vec<_>, _> = XorIter::new(&data).collect();
        prop_assert_eq!(bulk.err(), single.err());
        prop_assert_eq!(ts.len(), vs.len());
        let _ = XorChunk::from_bytes(&data);
    }
}
