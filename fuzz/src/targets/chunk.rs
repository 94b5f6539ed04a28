//! Chunks, alone and in head chunk files.

use std::path::Path;
use std::sync::Arc;

use model::NativeHistogram;
use model::histogram::{Histogram, Span};
use testkit::SimDisk;
use tsdb::chunk::head_file::HeadChunks;
use tsdb::chunk::{
    DenseEncoder, Encoding, HistogramChunk, Xor2Chunk, XorChunk, XorIter, decode_histograms, decode_native,
    decode_xor, decode_xor2,
};
use tsdb::disk::Disk;

/// Any bytes decode to samples or an error, the same one by one as at once, and what decodes encodes to the same samples.
pub fn xor(data: &[u8]) {
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
        .encode(&ts, &vs, |_, _, _, bytes| {
            decode_xor(bytes, i64::MIN, i64::MAX, &mut again_ts, &mut again_vs)
        })
        .expect("what was just encoded can be read");
    assert_eq!(ts, again_ts);
    assert!(vs.iter().zip(&again_vs).all(|(a, b)| a.to_bits() == b.to_bits()));
}

fn some_chunks() -> Vec<Vec<u8>> {
    let encode = |samples: &[(i64, f64)]| {
        let mut chunk = XorChunk::new();
        samples.iter().for_each(|&(t, v)| chunk.append(t, v));
        chunk.take()
    };
    let regular: Vec<(i64, f64)> = (0..120).map(|i| (1_700_000_000_000 + i * 15_000, i as f64)).collect();
    let wild: Vec<(i64, f64)> = (0..40).map(|i| (i * i * i * 977, (i as f64).sqrt() * 1e9)).collect();
    vec![encode(&regular), encode(&wild), encode(&wild[..1]), encode(&wild[..2])]
}

/// Chunks as the encoder makes them.
pub fn xor_seeds() -> Vec<Vec<u8>> {
    some_chunks()
}

/// Any bytes decode to samples or an error; what decodes encodes to the same samples and starts.
pub fn xor2(data: &[u8]) {
    let (mut ts, mut starts, mut vs) = (Vec::new(), Vec::new(), Vec::new());
    let _ = decode_xor2(data, i64::MIN, i64::MAX, |t, start, v| {
        ts.push(t);
        starts.push(start);
        vs.push(v);
    });
    if ts.is_empty() || ts.windows(2).any(|w| w[0] >= w[1]) {
        return;
    }
    let mut at = 0;
    DenseEncoder::new()
        .encode_xor2(&ts, &vs, &starts, |_, _, _, bytes| {
            decode_xor2(bytes, i64::MIN, i64::MAX, |t, start, v| {
                assert_eq!((t, start, v.to_bits()), (ts[at], starts[at], vs[at].to_bits()));
                at += 1;
            })
        })
        .expect("what was just encoded can be read");
    assert_eq!(at, ts.len());
}

/// Chunks as the encoder makes them, with starts and without.
pub fn xor2_seeds() -> Vec<Vec<u8>> {
    let encode = |samples: &[(i64, i64, f64)]| {
        let mut chunk = Xor2Chunk::default();
        samples.iter().for_each(|&(t, start, v)| chunk.append(t, start, v));
        chunk.take()
    };
    let regular: Vec<_> = (0..120).map(|i| (1_700_000_000_000 + i * 15_000, 0, i as f64)).collect();
    let started: Vec<_> = (0..60)
        .map(|i| (i * 15_000, if i < 20 { 0 } else { i / 30 * 300_000 + 7 }, (i as f64).sqrt()))
        .collect();
    let wild: Vec<_> =
        (0..40).map(|i| (i * i * i * 977, -i, if i % 9 == 4 { model::STALE_NAN } else { 1.5 })).collect();
    vec![encode(&regular), encode(&started), encode(&wild), encode(&wild[..1]), encode(&wild[..2])]
}

/// Native histograms, of integers and of floats, with starts and without. What decodes to valid ones encodes to the same.
pub fn histogram(data: &[u8]) {
    use Encoding::{FloatHistogram, FloatHistogramSt, Histogram, HistogramSt};
    for encoding in [Histogram, FloatHistogram, HistogramSt, FloatHistogramSt] {
        let mut last = None;
        let _ =
            decode_histograms(encoding, data, i64::MIN, i64::MAX, |t, histogram| last = Some((t, histogram)));
        let mut all = Vec::new();
        let _ = decode_native(encoding, data, i64::MIN, i64::MAX, |t, start, h| all.push((t, start, h)));
        let rises = all.windows(2).all(|w| w[0].0 < w[1].0);
        if rises && all.iter().all(|(_, _, h)| h.is_stale() || h.validate().is_ok()) {
            encode_again(&all);
        }
    }
}

fn encode_again(all: &[(i64, i64, NativeHistogram)]) {
    let mut chunk = HistogramChunk::new(true);
    let mut chunks = Vec::new();
    for (t, start, h) in all {
        chunks.extend(chunk.append(*t, *start, h));
    }
    if !chunk.is_empty() {
        chunks.push((chunk.encoding(), chunk.take()));
    }
    let mut found = Vec::new();
    for (encoding, bytes) in chunks {
        let each = |t, start, h: NativeHistogram| found.push((t, start, h.to_float().count.to_bits()));
        decode_native(encoding, &bytes, i64::MIN, i64::MAX, each).expect("what was just encoded can be read");
    }
    let count = |h: &NativeHistogram| if h.is_stale() { 0 } else { h.to_float().count.to_bits() };
    let expected: Vec<_> = all.iter().map(|(t, start, h)| (*t, *start, count(h))).collect();
    assert_eq!(found, expected);
}

/// A histogram whose counters grow with `n`.
pub fn some_histogram(n: u64, floats: bool) -> NativeHistogram {
    let h = Histogram {
        zero_threshold: 0.001,
        zero_count: n,
        count: 4 * n,
        sum: n as f64 * 2.5,
        positive_spans: vec![Span { offset: -1, length: 1 }, Span { offset: 2, length: 1 }],
        positive_buckets: vec![n as i64, 0],
        negative_spans: vec![Span { offset: 2, length: 1 }],
        negative_buckets: vec![n as i64],
        ..Histogram::default()
    };
    if floats { h.to_float().into() } else { h.into() }
}

/// Chunks as the encoder makes them.
fn whole_histograms() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (floats, starts) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut chunk = HistogramChunk::new(starts);
        for n in 0..20 {
            chunk.append(n * 15_000, n / 7 * 1000, &some_histogram(n as u64, floats));
        }
        all.push(chunk.take());
    }
    all
}

/// Whole chunks; and a layout and a few numbers: count of samples, flags, threshold, schema, spans, times and buckets, as bits come.
pub fn histogram_seeds() -> Vec<Vec<u8>> {
    let noise = |seed: u64, len: usize| {
        let mut random = testkit::Random::new(seed);
        let mut bytes = vec![0, 3, 0, 0];
        bytes.extend((0..len).map(|_| if random.chance(60) { 0 } else { random.bits() as u8 }));
        bytes
    };
    let noise = (0..8).map(|seed| noise(seed, 20 + 30 * seed as usize));
    whole_histograms().into_iter().chain(noise).collect()
}

const DIR: &str = "/head";

/// A head chunk file: gone through, repaired until it is whole, and written behind.
pub fn head_file(data: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("a directory");
    for name in ["000001", "000002"] {
        disk.create(&dir.join(name)).and_then(|mut f| f.write(data)).expect("a file");
    }
    let mut chunks = HeadChunks::open(disk, dir);
    let mut rounds = 0;
    while let Err(error) = chunks.for_each(|_| {}) {
        rounds += 1;
        assert!(rounds < 4, "repaired three times, and still: {error}");
        chunks.repair(error).expect("a repaired file");
    }
    let mut refs = Vec::new();
    chunks.for_each(|chunk| refs.push(chunk.ref_)).expect("whole");
    let mut out = Vec::new();
    for ref_ in refs {
        chunks.read(ref_, &mut out).expect("it was just found");
    }
    let new = chunks.write(1, 2, 3, Encoding::Xor, b"new").expect("room");
    out.clear();
    chunks.read(new, &mut out).expect("it was just written");
    assert_eq!(out, b"new");
}

/// A file as the writer makes it.
pub fn head_file_seeds() -> Vec<Vec<u8>> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let dir = Path::new(DIR);
    let mut chunks = HeadChunks::open(Arc::clone(&disk), dir);
    for (i, chunk) in some_chunks().iter().enumerate() {
        chunks.write(i as u64, 0, 1000, Encoding::Xor, chunk).expect("room");
    }
    chunks.flush().expect("room");
    vec![disk.read(&dir.join("000001")).expect("a file")]
}
