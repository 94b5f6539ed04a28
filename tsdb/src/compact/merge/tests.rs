//! Merging, compared with a plain map.

use std::collections::BTreeMap;

use model::Histogram;
use proptest::prelude::*;

use super::*;
use crate::chunk::XorChunk;
use crate::disk::RealDisk;

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Value bits by series and time.
type Plain = BTreeMap<(u8, i64), u64>;

fn labels(series: u8) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", format!("{series}"))])
}

fn write(dir: &Path, n: u128, samples: &Plain, per_chunk: usize) -> Arc<Block> {
    let ulid = Ulid::from_parts(1, n);
    let mut writer = BlockWriter::create(disk(), dir, ulid).unwrap();
    let mut by_series: BTreeMap<Labels, Vec<(i64, u64)>> = BTreeMap::new();
    for (&(series, t), &v) in samples {
        by_series.entry(labels(series)).or_default().push((t, v));
    }
    for (labels, samples) in by_series {
        let chunks: Vec<_> = samples
            .chunks(per_chunk)
            .map(|some| {
                let mut chunk = XorChunk::new();
                some.iter().for_each(|&(t, v)| chunk.append(t, f64::from_bits(v)));
                (some[0].0, some[some.len() - 1].0, chunk)
            })
            .collect();
        let data: Vec<_> = chunks
            .iter()
            .map(|(mint, maxt, c)| ChunkData {
                mint: *mint,
                maxt: *maxt,
                encoding: Encoding::Xor,
                bytes: c.bytes(),
            })
            .collect();
        writer.add_series(&labels, &data).unwrap();
    }
    writer.finish(0, 2000, Compaction { level: 1, ..Compaction::default() }).unwrap();
    Arc::new(Block::open(disk(), &dir.join(ulid.to_string())).unwrap())
}

fn read(block: &Block) -> Plain {
    let (mut all, mut metas) = (Plain::new(), Vec::new());
    for ref_ in block.all_postings().unwrap() {
        let labels = block.series(ref_, &mut metas).unwrap();
        let series = labels.get("i").parse().unwrap();
        for meta in &metas {
            let (_, bytes) = block.chunk(meta.ref_).unwrap();
            let (mut ts, mut vs) = (Vec::new(), Vec::new());
            crate::chunk::decode_xor(bytes, i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
            assert_eq!((meta.mint, meta.maxt), (ts[0], ts[ts.len() - 1]));
            for (t, v) in ts.into_iter().zip(vs) {
                assert!(all.insert((series, t), v.to_bits()).is_none());
            }
        }
    }
    all
}

#[test]
fn the_meta_says_from_what_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let samples = |from: i64| (from..from + 500).map(|t| ((0, t), (t as f64).to_bits())).collect::<Plain>();
    let blocks = [write(dir.path(), 1, &samples(0), 120), write(dir.path(), 2, &samples(500), 120)];
    let meta =
        compact(&disk(), dir.path(), Ulid::from_parts(2, 0), &blocks, Encodings::default()).unwrap().unwrap();
    assert_eq!(meta.compaction.level, 2);
    assert_eq!(meta.compaction.sources, [Ulid::from_parts(1, 1), Ulid::from_parts(1, 2)]);
    assert_eq!(meta.compaction.parents.len(), 2);
    // 1000 samples in five chunks of 200, not in ten of 120 and fewer.
    assert_eq!((meta.stats.num_chunks, meta.stats.num_samples), (5, 1000));
    let merged = Block::open(disk(), &dir.path().join(meta.ulid.to_string())).unwrap();
    assert!(merged.size() < blocks.iter().map(|b| b.size()).sum());
}

#[test]
fn what_is_all_deleted_leaves_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let block = write(dir.path(), 1, &Plain::from([((0, 5), 0)]), 120);
    let ref_ = block.all_postings().unwrap().next().unwrap();
    block.add_tombstones(&[(ref_, Interval { mint: 0, maxt: 100 })]).unwrap();
    assert_eq!(
        compact(&disk(), dir.path(), Ulid::from_parts(2, 0), &[block], Encodings::default()).unwrap(),
        None
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn damage_in_a_parent_stops_the_compaction_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let block = write(dir.path(), 1, &(0..50).map(|t| ((0, t), 7)).collect(), 10);
    let path = block.dir().join("chunks/000001");
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len - 1] ^= 1;
    let dir_of_block = block.dir().to_owned();
    drop(block);
    std::fs::write(&path, bytes).unwrap();
    let block = Arc::new(Block::open(disk(), &dir_of_block).unwrap());
    let error =
        compact(&disk(), dir.path(), Ulid::from_parts(2, 0), &[block], Encodings::default()).unwrap_err();
    assert!(error.to_string().contains("000001"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A block of one series with histograms, floats in between, from `samples`.
fn write_mixed(dir: &Path, n: u128, samples: &Samples) -> Arc<Block> {
    let ulid = Ulid::from_parts(1, n);
    let mut writer = BlockWriter::create(disk(), dir, ulid).unwrap();
    let mut chunks: Vec<(i64, i64, Encoding, Vec<u8>)> = Vec::new();
    let Ok(()) = samples.encode(10, Encodings::default(), |mint, maxt, encoding, data| {
        chunks.push((mint, maxt, encoding, data.to_vec()));
        Ok::<(), std::convert::Infallible>(())
    });
    let chunks: Vec<ChunkData<'_>> = chunks
        .iter()
        .map(|(mint, maxt, encoding, bytes)| ChunkData {
            mint: *mint,
            maxt: *maxt,
            encoding: *encoding,
            bytes,
        })
        .collect();
    writer.add_series(&labels(0), &chunks).unwrap();
    writer.finish(0, 2000, Compaction { level: 1, ..Compaction::default() }).unwrap();
    Arc::new(Block::open(disk(), &dir.join(ulid.to_string())).unwrap())
}

fn read_mixed(block: &Block) -> Samples {
    let (mut all, mut metas) = (Samples::default(), Vec::new());
    for ref_ in block.all_postings().unwrap() {
        block.series(ref_, &mut metas).unwrap();
        for meta in &metas {
            let (encoding, bytes) = block.chunk(meta.ref_).unwrap();
            let from = all.len();
            all.read_chunk(encoding, bytes, i64::MIN, i64::MAX).unwrap();
            assert_eq!((meta.mint, meta.maxt), (all.ts[from], all.ts[all.len() - 1]));
        }
    }
    all
}

/// Histograms whose counters grow and begin anew; at each seventh time a float.
fn mixed(times: impl Iterator<Item = i64>, reset_at: i64) -> Samples {
    let mut samples = Samples::default();
    for t in times {
        let count = if t < reset_at { t as u64 } else { (t - reset_at) as u64 };
        let h = Histogram { count, zero_count: count, sum: t as f64, ..Histogram::default() };
        if t % 7 == 0 { samples.push_float(t, t as f64) } else { samples.push_histogram(t, h.into()) }
    }
    samples
}

#[test]
fn histograms_are_merged_sample_by_sample() {
    let dir = tempfile::tempdir().unwrap();
    let all = mixed(1..400, 250);
    let parts = [
        mixed((1..300).filter(|t| t % 2 == 0), 250),
        mixed((1..400).filter(|t| t % 2 == 1 || *t >= 280), 250),
    ];
    let blocks = [write_mixed(dir.path(), 1, &parts[0]), write_mixed(dir.path(), 2, &parts[1])];
    let ref_ = blocks[1].all_postings().unwrap().next().unwrap();
    blocks[1].add_tombstones(&[(ref_, Interval { mint: 320, maxt: 333 })]).unwrap();
    let mut expected = all.clone();
    expected.retain_from(0, |t| !(320..=333).contains(&t));
    let meta =
        compact(&disk(), dir.path(), Ulid::from_parts(2, 0), &blocks, Encodings::default()).unwrap().unwrap();
    let merged = Block::open(disk(), &dir.path().join(meta.ulid.to_string())).unwrap();
    let read = read_mixed(&merged);
    assert_eq!(read.ts, expected.ts);
    assert!(read.iter().zip(expected.iter()).all(|(a, b)| a.1.same(&b.1)));
    assert_eq!(meta.stats.num_float_samples, expected.ts.iter().filter(|t| *t % 7 == 0).count() as u64);
    assert_eq!(meta.stats.num_samples, expected.len() as u64);
}

#[test]
fn a_chunk_behind_a_deletion_does_not_say_that_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // Chunks of ten: the second begins with a reset, the others go on.
    let mut samples = Samples::default();
    for t in 1..=40u64 {
        let count = if t <= 10 { 1000 + t } else { t };
        samples
            .push_histogram(t as i64, Histogram { count, zero_count: count, ..Histogram::default() }.into());
    }
    let block = write_mixed(dir.path(), 1, &samples);
    let flags = |block: &Block| {
        let (mut metas, ref_) = (Vec::new(), block.all_postings().unwrap().next().unwrap());
        block.series(ref_, &mut metas).unwrap();
        metas.iter().map(|m| block.chunk(m.ref_).unwrap().1[2] >> 6).collect::<Vec<_>>()
    };
    let before = flags(&block);
    assert_eq!(before[1], 0b10);
    let ref_ = block.all_postings().unwrap().next().unwrap();
    block.add_tombstones(&[(ref_, Interval { mint: 11, maxt: 20 })]).unwrap();
    let meta =
        rewrite(&disk(), dir.path(), Ulid::from_parts(2, 0), &block, Encodings::default()).unwrap().unwrap();
    let after = flags(&Block::open(disk(), &dir.path().join(meta.ulid.to_string())).unwrap());
    assert_eq!(after, [before[0], 0b00, before[3]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn merging_is_a_union_without_what_is_deleted(
        inputs in proptest::collection::vec(
            (proptest::collection::btree_map((0u8..4, 0i64..1000), 0u64..5, 1..300), 1usize..130),
            1..4,
        ),
        deletions in proptest::collection::vec((0usize..4, 0u8..4, 0i64..1000, 0i64..300), 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Plain::new();
        let mut blocks = Vec::new();
        for (n, (samples, per_chunk)) in inputs.iter().enumerate() {
            let block = write(dir.path(), n as u128, samples, *per_chunk);
            let mut left = samples.clone();
            for &(of, series, mint, len) in &deletions {
                let Some(ref_) = block.postings("i", &series.to_string()).unwrap().next() else { continue };
                if of == n {
                    let interval = Interval { mint, maxt: mint + len };
                    block.add_tombstones(&[(ref_, interval)]).unwrap();
                    left.retain(|&(s, t), _| s != series || !interval.contains(t));
                }
            }
            for (at, v) in left {
                expected.entry(at).or_insert(v);
            }
            blocks.push(block);
        }
        let merged = compact(&disk(), dir.path(), Ulid::from_parts(2, 0), &blocks, Encodings::default()).unwrap();
        let found = merged.map(|meta| read(&Block::open(disk(), &dir.path().join(meta.ulid.to_string())).unwrap()));
        prop_assert_eq!(found.unwrap_or_default(), expected);
    }
}
