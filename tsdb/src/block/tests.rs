//! Blocks as a whole: round trips, the bytes of a small index, damage.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::labels::Labels;
use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::chunk::{XorChunk, XorIter};
use crate::disk::{Disk, RealDisk};
use crate::encoding::crc32c;

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn xor(samples: &[(i64, f64)]) -> XorChunk {
    let mut chunk = XorChunk::new();
    for &(t, v) in samples {
        chunk.append(t, v);
    }
    chunk
}

fn data(chunk: &XorChunk) -> ChunkData<'_> {
    let first = chunk.iter().next().unwrap().unwrap().0;
    ChunkData { mint: first, maxt: chunk.last().unwrap().0, encoding: Encoding::Xor, bytes: chunk.bytes() }
}

type Series = BTreeMap<Labels, Vec<Vec<(i64, f64)>>>;

fn write(dir: &Path, series: &Series, segment: u64) -> BlockMeta {
    let ulid = Ulid::from_parts(1, series.len() as u128);
    let mut writer = BlockWriter::with_segment_size(disk(), dir, ulid, segment).unwrap();
    for (labels, chunks) in series {
        let chunks: Vec<_> = chunks.iter().map(|c| xor(c)).collect();
        writer.add_series(labels, &chunks.iter().map(data).collect::<Vec<_>>()).unwrap();
    }
    writer.finish(0, 1000, Compaction { level: 1, ..Compaction::default() }).unwrap().unwrap()
}

fn read(block: &Block) -> Result<Series, Error> {
    let (mut all, mut metas) = (Series::new(), Vec::new());
    for ref_ in block.all_postings()? {
        let labels = block.series(ref_, &mut metas)?;
        let mut chunks = Vec::new();
        for meta in &metas {
            let (encoding, bytes) = block.chunk(meta.ref_)?;
            assert_eq!(encoding, Encoding::Xor);
            // The sum of the chunk was right, so its samples are.
            chunks.push(XorIter::new(bytes).collect::<Result<Vec<_>, _>>().unwrap());
        }
        all.insert(labels, chunks);
    }
    Ok(all)
}

fn small() -> Series {
    let labels = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job)]);
    Series::from([
        (labels("a"), vec![vec![(10, 1.0), (20, 2.0)], vec![(30, 3.0)]]),
        (labels("b"), vec![vec![(15, 1.0)]]),
    ])
}

#[test]
fn a_small_index_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write(dir.path(), &small(), 1 << 20);
    let index = std::fs::read(dir.path().join(meta.ulid.to_string()).join("index")).unwrap();
    let mut expected = vec![0xba, 0xaa, 0xd7, 0x00, 2];
    let section = |out: &mut Vec<u8>, content: &[u8]| {
        out.extend((content.len() as u32).to_be_bytes());
        out.extend(content);
        out.extend(crc32c(content).to_be_bytes());
    };
    section(&mut expected, b"\0\0\0\x05\x08__name__\x01a\x01b\x03job\x02up");
    expected.resize(expected.len().next_multiple_of(16), 0);
    let series = expected.len() as u64;
    let ref_ = |bytes: &Vec<u8>| (bytes.len() / 16) as u8;
    let first = ref_(&expected);
    // Two labels; chunks [10, 20] at 8 and [30, 30]: first chunk 1 + 1 + data + 4 bytes.
    let len = xor(&[(10, 1.0), (20, 2.0)]).bytes().len() as u8 + 6;
    for entry in
        [vec![2, 0, 4, 3, 1, 2, 20, 10, 8, 10, 0, len * 2], vec![2, 0, 4, 3, 2, 1, 30, 0, 8 + len + 17]]
    {
        expected.resize(expected.len().next_multiple_of(16), 0);
        expected.push(entry.len() as u8);
        expected.extend(&entry);
        expected.extend(crc32c(&entry).to_be_bytes());
    }
    let second = first + 2;
    let label_indices = expected.len() as u64;
    expected.resize(expected.len().next_multiple_of(4), 0);
    let postings = expected.len() as u64;
    let mut offsets = b"\0\0\0\x04".to_vec();
    let lists: [(&[u8], &[u8]); 4] = [
        (b"\x02\0\0", &[first, second]),
        (b"\x02\x08__name__\x02up", &[first, second]),
        (b"\x02\x03job\x01a", &[first]),
        (b"\x02\x03job\x01b", &[second]),
    ];
    for (key, refs) in lists {
        offsets.extend(key);
        crate::encoding::put_uvarint(&mut offsets, expected.len() as u64);
        let mut content = vec![0, 0, 0, refs.len() as u8];
        content.extend(refs.iter().flat_map(|&r| [0, 0, 0, r]));
        section(&mut expected, &content);
    }
    let table = expected.len() as u64;
    section(&mut expected, &offsets);
    let toc: Vec<u8> =
        [5, series, label_indices, table, postings, table].iter().flat_map(|o| o.to_be_bytes()).collect();
    expected.extend(&toc);
    expected.extend(crc32c(&toc).to_be_bytes());
    assert_eq!(index, expected);
}

/// Version 1 by hand: symbols and series are named by their offsets, and the table of postings is in no order of values.
#[test]
fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let series = small();
    let meta = write(dir.path(), &series, 1 << 20);
    let block_dir = dir.path().join(meta.ulid.to_string());
    let chunk = ChunkRef(8);
    let section = |out: &mut Vec<u8>, content: &[u8]| {
        out.extend((content.len() as u32).to_be_bytes());
        out.extend(content);
        out.extend(crc32c(content).to_be_bytes());
    };
    let mut index = vec![0xba, 0xaa, 0xd7, 0x00, 1];
    // At 5: length, count, then from 13 on "a" at 13, "b" at 15, "job" at 17.
    section(&mut index, b"\0\0\0\x03\x01a\x01b\x03job");
    let mut refs = Vec::new();
    for value in [13, 15] {
        refs.push(index.len() as u32);
        let entry = [1, 17, value, 1, 20, 10, chunk.0 as u8];
        index.push(entry.len() as u8);
        index.extend(entry);
        index.extend(crc32c(&entry).to_be_bytes());
    }
    let mut table = b"\0\0\0\x03".to_vec();
    for (key, refs) in
        [(&b"\x02\x03job\x01b"[..], &refs[1..]), (b"\x02\x03job\x01a", &refs[..1]), (b"\x02\0\0", &refs)]
    {
        table.extend(key);
        crate::encoding::put_uvarint(&mut table, index.len() as u64);
        let mut content = (refs.len() as u32).to_be_bytes().to_vec();
        content.extend(refs.iter().flat_map(|r| r.to_be_bytes()));
        section(&mut index, &content);
    }
    let at = index.len() as u64;
    section(&mut index, &table);
    let toc: Vec<u8> = [5, 0, 0, 0, 0, at].iter().flat_map(|o: &u64| o.to_be_bytes()).collect();
    index.extend(&toc);
    index.extend(crc32c(&toc).to_be_bytes());
    std::fs::write(block_dir.join("index"), index).unwrap();
    let block = Block::open(disk(), &block_dir).unwrap();
    assert_eq!(block.label_values("job").unwrap(), ["a", "b"]);
    let mut metas = Vec::new();
    for (value, number) in [("a", refs[0]), ("b", refs[1])] {
        let found: Vec<_> = block.postings("job", value).unwrap().collect();
        assert_eq!(found, [SeriesRef(number)]);
        assert_eq!(block.series(found[0], &mut metas).unwrap(), Labels::from_pairs([("job", value)]));
        assert_eq!(metas, [ChunkMeta { mint: 10, maxt: 20, ref_: chunk }]);
    }
    assert_eq!(read(&block).unwrap().len(), 2);
    assert!(block.postings("job", "c").unwrap().is_empty());
}

#[test]
fn everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut series = Series::new();
    for i in 0..700i64 {
        let labels = Labels::from_pairs([
            ("__name__", format!("metric_{}", i % 7)),
            ("instance", format!("10.0.0.{i}")),
            (if i % 2 == 0 { "even" } else { "odd" }, "ü".repeat(i as usize % 90)),
        ]);
        series
            .insert(labels, (0..i % 3 + 1).map(|c| vec![(c * 100, i as f64), (c * 100 + 50, 0.5)]).collect());
    }
    let meta = write(dir.path(), &series, 4096);
    let block_dir = dir.path().join(meta.ulid.to_string());
    let block = Block::open(disk(), &block_dir).unwrap();
    assert_eq!(block.meta(), &meta);
    assert_eq!((meta.stats.num_series, meta.stats.num_samples), (700, 2 * meta.stats.num_chunks));
    assert!(std::fs::read_dir(block_dir.join("chunks")).unwrap().count() > 5);
    assert_eq!(read(&block).unwrap(), series);
    assert_eq!(block.label_names().unwrap(), ["__name__", "even", "instance", "odd"]);
    let mut metas = Vec::new();
    for name in block.label_names().unwrap() {
        let mut expected: BTreeMap<&str, Vec<&Labels>> = BTreeMap::new();
        for labels in series.keys().filter(|l| l.has(&name)) {
            expected.entry(labels.get(&name)).or_default().push(labels);
        }
        let values = block.label_values(&name).unwrap();
        assert!(values.iter().eq(expected.keys()));
        for (value, labels) in expected {
            let refs: Vec<_> = block.postings(&name, value).unwrap().collect();
            let found: Vec<_> = refs.iter().map(|&r| block.series(r, &mut metas).unwrap()).collect();
            assert!(found.iter().eq(labels), "{name}={value}");
            assert!(refs.iter().all(|&r| block.series_label_value(r, &name).unwrap() == value));
        }
    }
    assert!(block.postings("even", "nothing").unwrap().is_empty());
    assert!(block.postings("", "").unwrap().is_empty());
    let mut lists = Vec::new();
    block.postings_matching("instance", "10.0.0.69", |v| v != "10.0.0.690", &mut lists).unwrap();
    assert_eq!(lists.len(), 10);
    // All files, counted from outside.
    let files = ["meta.json", "index", "tombstones"].map(|f| block_dir.join(f).metadata().unwrap().len());
    let chunks = std::fs::read_dir(block_dir.join("chunks")).unwrap();
    let chunks: u64 = chunks.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(block.size(), files.iter().sum::<u64>() + chunks);
}

#[test]
fn disorder_is_refused_and_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(disk(), dir.path(), Ulid::from_parts(1, 1)).unwrap();
    let (a, b) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "2")]));
    let chunk = xor(&[(1, 1.0)]);
    writer.add_series(&b, &[data(&chunk)]).unwrap();
    for (labels, chunks) in [(&a, vec![data(&chunk)]), (&b, vec![data(&chunk)])] {
        assert!(writer.add_series(labels, &chunks).unwrap_err().to_string().contains("comes behind"));
    }
    let c = Labels::from_pairs([("c", "1")]);
    let error = writer.add_series(&c, &[data(&chunk), data(&chunk)]).unwrap_err();
    assert!(error.to_string().contains("overlap at 1 ms"), "{error}");
    writer.abort().unwrap();
    let writer = BlockWriter::create(disk(), dir.path(), Ulid::from_parts(1, 1)).unwrap();
    assert_eq!(writer.finish(0, 1, Compaction::default()).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn tombstones_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write(dir.path(), &small(), 1 << 20);
    let block_dir = dir.path().join(meta.ulid.to_string());
    let block = Block::open(disk(), &block_dir).unwrap();
    assert!(!block.has_tombstones());
    let ref_ = block.postings("job", "b").unwrap().next().unwrap();
    block
        .add_tombstones(&[(ref_, Interval { mint: 0, maxt: 5 }), (ref_, Interval { mint: 6, maxt: 9 })])
        .unwrap();
    for block in [&block, &Block::open(disk(), &block_dir).unwrap()] {
        assert_eq!(block.tombstones(ref_), [Interval { mint: 0, maxt: 9 }]);
        assert_eq!(block.num_tombstones(), 1);
    }
    assert_eq!(Block::open(disk(), &block_dir).unwrap().meta().stats.num_tombstones, 1);
}

#[test]
fn what_other_programs_added_to_meta_stays() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"ulid":"01EM6Q6A1YPX4G9TEB20J22B2R","minTime":1,"maxTime":2,"version":1,"thanos":{"labels":{"a":"b"}},
        "compaction":{"level":2,"sources":["01EM6Q6A1YPX4G9TEB20J22B2R"],"failed":true}}"#;
    std::fs::write(dir.path().join("meta.json"), text).unwrap();
    let meta = meta::read(&RealDisk, dir.path()).unwrap();
    assert!(meta.compaction.failed && meta.compaction.level == 2);
    meta::write(&RealDisk, dir.path(), &meta).unwrap();
    let written = std::fs::read_to_string(dir.path().join("meta.json")).unwrap();
    assert!(written.contains("\t\"thanos\": {\n\t\t\"labels\""), "{written}");
    assert_eq!(meta::read(&RealDisk, dir.path()).unwrap(), meta);
    std::fs::write(dir.path().join("meta.json"), "{\n\"ulid\": 1}").unwrap();
    let error = meta::read(&RealDisk, dir.path()).unwrap_err().to_string();
    assert!(error.contains("meta.json`, offset 1"), "{error}");
}

/// Every cut, and flipped bits everywhere, in index and chunks: an error or the same data, never a panic, never other data.
#[test]
fn damage_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let series = small();
    let meta = write(dir.path(), &series, 1 << 20);
    let block_dir = dir.path().join(meta.ulid.to_string());
    for file in ["index", "chunks/000001"] {
        let path = block_dir.join(file);
        let bytes = std::fs::read(&path).unwrap();
        let check = |damaged: &[u8]| {
            std::fs::write(&path, damaged).unwrap();
            match Block::open(disk(), &block_dir).and_then(|block| {
                block.label_names()?;
                block.label_values("job")?;
                block.postings("job", "b")?;
                read(&block)
            }) {
                // Padding is not covered by a sum, nor are the chunk file's three bytes.
                Ok(read) => assert_eq!(read, series),
                Err(error) => assert!(error.to_string().contains("offset"), "{error}"),
            }
        };
        for at in 0..bytes.len() {
            check(&bytes[..at]);
            for mask in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                check(&damaged);
            }
        }
        std::fs::write(&path, &bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Damage that no checksum shows: the sums are made to fit again.
    #[test]
    fn forged_indexes_never_panic(flips in proptest::collection::vec((0usize..10_000, any::<u8>()), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let meta = write(dir.path(), &small(), 1 << 20);
        let path = dir.path().join(meta.ulid.to_string()).join("index");
        let mut bytes = std::fs::read(&path).unwrap();
        let len = bytes.len();
        for (at, value) in flips {
            bytes[5 + at % (len - 5 - 52)] = value;
        }
        let toc = bytes[len - 52..].to_vec();
        let offset = |i: usize| u64::from_be_bytes(toc[i * 8..i * 8 + 8].try_into().unwrap()) as usize;
        for start in [offset(0), offset(5)] {
            let size = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
            if start + 8 + size <= len {
                let sum = crc32c(&bytes[start + 4..start + 4 + size]);
                bytes[start + 4 + size..start + 8 + size].copy_from_slice(&sum.to_be_bytes());
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(block) = Block::open(disk(), path.parent().unwrap()) {
            for name in block.label_names().unwrap() {
                let _ = block.label_values(&name);
                let _ = block.for_each_value(&name, |_, postings| {
                    for ref_ in postings.take(10) {
                        let _ = block.series(ref_, &mut Vec::new());
                        let _ = block.series_label_value(ref_, "job");
                    }
                    true
                });
            }
            let _ = read(&block);
        }
    }
}
