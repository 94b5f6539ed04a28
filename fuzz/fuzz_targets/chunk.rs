//! Float chunks: any bytes decode to samples or an error, the same one by one as at once, and what decodes encodes to the same samples.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::chunk::{DenseEncoder, XorChunk, XorIter, decode_xor};

fuzz_target!(|data: &[u8]| {
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    let bulk = decode_xor(data, i64::MIN, i64::MAX, &mut ts, &mut vs);
    let single: Result<Vec<_>, _> = XorIter::new(data).collect();
    assert_eq!(bulk.err(), single.err());
    let _ = XorChunk::from_bytes(data);
    if ts.is_empty() || ts.windows(2).any(|w| w[0] >= w[1]) {
        return;
    }
    let (mut again_ts, mut again_vs) = (Vec::new(), Vec::new());
    DenseEncoder::new()
        .encode(&ts, &vs, |_, _, _, bytes| decode_xor(bytes, i64::MIN, i64::MAX, &mut again_ts, &mut again_vs))
        .expect("what was just encoded can be read");
    assert_eq!(ts, again_ts);
    assert!(vs.iter().zip(&again_vs).all(|(a, b)| a.to_bits() == b.to_bits()));
});
