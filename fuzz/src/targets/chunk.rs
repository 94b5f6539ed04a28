//! Chunks, alone and in head chunk files.

use std::path::Path;
use std::sync::Arc;

use testkit::SimDisk;
use tsdb::chunk::head_file::HeadChunks;
use tsdb::chunk::{DenseEncoder, Encoding, XorChunk, XorIter, decode_histograms, decode_xor};
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

/// Native histograms, of integers and of floats.
pub fn histogram(data: &[u8]) {
    for encoding in [Encoding::Histogram, Encoding::FloatHistogram] {
        let mut last = None;
        let _ =
            decode_histograms(encoding, data, i64::MIN, i64::MAX, |t, histogram| last = Some((t, histogram)));
    }
}

/// A layout and a few numbers: count of samples, flags, threshold, schema, spans, times and buckets, as bits come.
pub fn histogram_seeds() -> Vec<Vec<u8>> {
    let noise = |seed: u64, len: usize| {
        let mut random = testkit::Random::new(seed);
        let mut bytes = vec![0, 3, 0, 0];
        bytes.extend((0..len).map(|_| if random.chance(60) { 0 } else { random.bits() as u8 }));
        bytes
    };
    (0..8).map(|seed| noise(seed, 20 + 30 * seed as usize)).collect()
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
    let mut chunks = HeadChunks::open(disk, dir).expect("damage does not stop opening");
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
    let mut chunks = HeadChunks::open(Arc::clone(&disk), dir).expect("a directory");
    for (i, chunk) in some_chunks().iter().enumerate() {
        chunks.write(i as u64, 0, 1000, Encoding::Xor, chunk).expect("room");
    }
    chunks.flush().expect("room");
    vec![disk.read(&dir.join("000001")).expect("a file")]
}
