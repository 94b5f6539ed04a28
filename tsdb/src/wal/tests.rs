//! The log as a whole: round trips, golden bytes, tears, damage, repair, checkpoints.

mod full_disk;

use std::sync::Arc;

use super::read::{SegmentsReader, repair};
use super::records::{self, Record};
use super::*;
use crate::disk::RealDisk;
use model::labels::Labels;
use proptest::prelude::*;

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn open(dir: &Path, segment_size: u64, compression: Compression) -> Wal {
    Wal::open(disk(), dir, WalOptions { segment_size, compression, ..WalOptions::default() }).unwrap()
}

fn read_all(dir: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = SegmentsReader::open(disk(), dir, 0)?;
    let mut all = Vec::new();
    while let Some(entry) = reader.next()? {
        all.push(entry.record.to_vec());
    }
    Ok(all)
}

/// Bytes that do not compress, different for each seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}

#[test]
fn golden_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), 1 << 20, Compression::None);
    // Fill the first page but for ten bytes, so that the second record is split three bytes in.
    let first = vec![7; PAGE_SIZE - 7 - 10];
    wal.log(&[&first, b"abcdef", b""]).unwrap();
    let bytes = std::fs::read(segment_path(dir.path(), 0)).unwrap();
    let sum = |data: &[u8]| crate::encoding::crc32c(data).to_be_bytes();
    let mut expected = vec![1, 0x7f, 0xef];
    expected.extend(sum(&first));
    expected.extend(&first);
    for (kind, data) in [(2, &b"abc"[..]), (4, b"def"), (1, b"")] {
        expected.extend([kind, 0, data.len() as u8]);
        expected.extend(sum(data));
        expected.extend(data);
    }
    assert_eq!(bytes, expected);
    assert_eq!(read_all(dir.path()).unwrap(), [first, b"abcdef".to_vec(), vec![]]);
}

#[test]
fn a_new_segment_begins_where_a_record_does_not_fit_and_at_every_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 0..3 {
        let mut wal = open(dir.path(), 3 * PAGE_SIZE as u64, Compression::Snappy);
        let records: Vec<_> = (0..7).map(|i| noise(20_000 + i * 1000, round * 7 + i as u64)).collect();
        wal.log(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        wal.sync().unwrap();
        // Larger than a segment: it gets one of its own.
        let large = noise(5 * PAGE_SIZE, round);
        wal.log(&[&large]).unwrap();
        all.extend(records);
        all.push(large);
        let on_disk: u64 = segments_with_len(&RealDisk, dir.path()).unwrap().iter().map(|s| s.1).sum();
        assert_eq!(wal.size(), on_disk);
    }
    assert_eq!(read_all(dir.path()).unwrap(), all);
    let mut wal = open(dir.path(), 3 * PAGE_SIZE as u64, Compression::Snappy);
    let last = wal.last_segment();
    wal.truncate(last - 1).unwrap();
    assert_eq!(segments(&RealDisk, dir.path()).unwrap(), [last - 1, last]);
    assert_eq!(wal.first_segment(), last - 1);
    assert_eq!(wal.next_segment().unwrap(), last + 1);
}

#[test]
fn a_torn_tail_ends_the_log_and_is_cut_at_the_next_opening() {
    let whole = tempfile::tempdir().unwrap();
    let mut wal = open(whole.path(), 1 << 20, Compression::None);
    let (first, second) = (noise(1000, 1), noise(2 * PAGE_SIZE, 2));
    wal.log(&[&first, &second]).unwrap();
    let bytes = std::fs::read(segment_path(whole.path(), 0)).unwrap();
    let cuts = (1..40).chain((40..bytes.len()).step_by(997)).chain([bytes.len() - 1]);
    for cut in cuts {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(segment_path(dir.path(), 0), &bytes[..cut]).unwrap();
        let expected: &[Vec<u8>] = if cut < 1007 { &[] } else { std::slice::from_ref(&first) };
        let torn = match cut {
            1007 => None,
            _ => Some((0, if cut < 1007 { 0 } else { 1007 })),
        };
        let mut reader = SegmentsReader::open(disk(), dir.path(), 0).unwrap();
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.torn_tail(), torn, "cut at {cut}");
        let mut wal = open(dir.path(), 1 << 20, Compression::None);
        wal.log(&[b"new"]).unwrap();
        let mut expected = expected.to_vec();
        expected.push(b"new".to_vec());
        assert_eq!(read_all(dir.path()).unwrap(), expected, "cut at {cut}");
        let aside = std::fs::read(dir.path().join("00000000.torn")).unwrap_or_default();
        assert_eq!(aside, bytes[torn.map_or(cut, |t| t.1 as usize)..cut]);
    }
}

#[test]
fn damage_costs_what_was_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..40).map(|i| noise(5_000, i)).collect();
    let mut wal = open(dir.path(), 1 << 20, Compression::None);
    wal.log(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    wal.next_segment().unwrap();
    wal.log(&[b"behind"]).unwrap();
    let path = segment_path(dir.path(), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    // Within the third page: the record there, and the others of that page, are lost.
    bytes[2 * PAGE_SIZE + 9_000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = read_all(dir.path()).unwrap_err();
    assert!(error.to_string().contains("00000000`, offset 7"), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
    let repaired = repair(&disk(), dir.path(), error).unwrap();
    assert_eq!(std::fs::read(&repaired.set_aside).unwrap(), bytes);
    let left = read_all(dir.path()).unwrap();
    assert_eq!(left.len() as u64, repaired.kept_records + 1);
    assert_eq!(left.last().unwrap(), b"behind");
    assert!(left.len() > 40 - 7, "{}", left.len());
    assert!(left.iter().all(|r| records.contains(r) || r == b"behind"));
}

#[test]
fn gaps_are_errors_until_they_are_filled_and_other_files_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["00000001", "00000002", "00000004.corrupt", "x"] {
        std::fs::write(dir.path().join(name), b"").unwrap();
    }
    assert_eq!(segments(&RealDisk, dir.path()).unwrap(), [1, 2]);
    std::fs::write(dir.path().join("00000004"), b"").unwrap();
    let error = SegmentsReader::open(disk(), dir.path(), 0).unwrap_err().to_string();
    assert!(error.ends_with("not sequential: 4 follows 2"), "{error}");
    open(dir.path(), 1 << 20, Compression::None).log(&[b"new"]).unwrap();
    assert_eq!(segments(&RealDisk, dir.path()).unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(read_all(dir.path()).unwrap(), [b"new"]);
}

#[test]
fn checkpoints_keep_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), 1 << 20, Compression::Zstd);
    let series =
        |ref_| records::SeriesRecord { ref_, labels: Labels::from_pairs([("n", format!("{ref_}"))]) };
    let sample = |ref_, t| records::SampleRecord { ref_, t, v: t as f64 };
    let log = |wal: &mut Wal, encode: &dyn Fn(&mut Vec<u8>)| {
        let mut record = Vec::new();
        encode(&mut record);
        wal.log(&[&record]).unwrap();
    };
    log(&mut wal, &|out| records::encode_series(&[series(1), series(2)], out));
    log(&mut wal, &|out| records::encode_samples([sample(1, 10), sample(2, 20)], out));
    for help in ["old", "new"] {
        let meta = |ref_| records::MetadataRecord { ref_, type_: 1, unit: String::new(), help: help.into() };
        log(&mut wal, &|out| records::encode_metadata(&[meta(1), meta(2)], out));
    }
    wal.log(&[&[200, 1, 2, 3]]).unwrap();
    let second = wal.next_segment().unwrap();
    let stats =
        checkpoint::write(&disk(), dir.path(), 0, second - 1, |r| r == 2, 15, Compression::None).unwrap();
    assert_eq!((stats.series, stats.samples, stats.metadata), ((1, 1), (1, 1), (1, 3)));
    assert_eq!(stats.whole_records, 1);
    log(&mut wal, &|out| records::encode_samples([sample(2, 30)], out));
    wal.next_segment().unwrap();
    checkpoint::write(&disk(), dir.path(), 0, second, |_| true, 15, Compression::Snappy).unwrap();
    checkpoint::remove_before(&RealDisk, dir.path(), second).unwrap();
    let (path, covered) = checkpoint::last(&RealDisk, dir.path()).unwrap().unwrap();
    assert_eq!((covered, path.file_name().unwrap().to_str()), (second, Some("checkpoint.00000001")));
    let all: Vec<_> = read_all(&path).unwrap().iter().map(|r| records::decode(r).unwrap()).collect();
    let meta = records::MetadataRecord { ref_: 2, type_: 1, unit: String::new(), help: "new".into() };
    let expected = [
        Record::Series(vec![series(2)]),
        Record::Samples(vec![sample(2, 20)]),
        Record::Unknown(200),
        Record::Samples(vec![sample(2, 30)]),
        Record::Metadata(vec![meta]),
    ];
    assert_eq!(all.len(), expected.len());
    assert!(expected.iter().all(|e| all.contains(e)), "{all:?}");
}

#[test]
fn checkpoints_keep_start_timestamps() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), 1 << 20, Compression::None);
    let h = |n: u64| model::NativeHistogram::from(model::Histogram { count: n, ..Default::default() });
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    records::encode_samples_v2([(1, 10, 5, 1.0), (2, 20, 15, 2.0), (3, 30, 0, 3.0)], &mut samples);
    records::encode_histograms_v2(false, [(1, 10, 5, &h(1)), (2, 20, 15, &h(2))], &mut histograms);
    wal.log(&[&samples, &histograms]).unwrap();
    let next = wal.next_segment().unwrap();
    let stats = checkpoint::write(&disk(), dir.path(), 0, next - 1, |_| true, 15, Compression::None).unwrap();
    assert_eq!((stats.samples, stats.histograms), ((2, 1), (1, 1)));
    let (path, _) = checkpoint::last(&RealDisk, dir.path()).unwrap().unwrap();
    let (mut found, mut found_histograms) = (Vec::new(), Vec::new());
    for record in read_all(&path).unwrap() {
        let _ = records::decode_samples(&record, |ref_, t, st, v| found.push((ref_, t, st, v)));
        let _ = records::decode_histograms(&record, |ref_, t, st, h| found_histograms.push((ref_, t, st, h)));
    }
    assert_eq!(found, [(2, 20, 15, 2.0), (3, 30, 0, 3.0)]);
    assert_eq!(found_histograms, [(2, 20, 15, h(2))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn records_of_all_sizes_come_back(
        sizes in proptest::collection::vec(prop_oneof![0usize..50, 32_700usize..32_800, 0usize..100_000], 1..20),
        compression in prop_oneof![Just(Compression::None), Just(Compression::Snappy), Just(Compression::Zstd)],
        batch in 1usize..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = open(dir.path(), 4 * PAGE_SIZE as u64, compression);
        let records: Vec<_> = sizes.iter().enumerate().map(|(i, &len)| {
            if i % 2 == 0 { noise(len, i as u64) } else { vec![i as u8; len] }
        }).collect();
        for some in records.chunks(batch) {
            wal.log(&some.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        }
        prop_assert_eq!(read_all(dir.path()).unwrap(), records);
    }

    #[test]
    fn damaged_segments_never_panic(flips in proptest::collection::vec((0usize..120_000, 1u8..=255), 1..10), cut in 0usize..120_000) {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = open(dir.path(), 1 << 20, Compression::Snappy);
        let records: Vec<_> = (0..12).map(|i| if i % 2 == 0 { noise(i * 1700, i as u64) } else { vec![0; i * 10_000] }).collect();
        wal.log(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let path = segment_path(dir.path(), 0);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, mask) in flips {
            let at = at % bytes.len();
            bytes[at] ^= mask;
        }
        bytes.truncate(cut.max(1));
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = SegmentsReader::open(disk(), dir.path(), 0).unwrap();
        let mut rounds = 0;
        loop {
            rounds += 1;
            prop_assert!(rounds < 1000);
            match reader.next() {
                Ok(None) => break,
                Ok(Some(entry)) => prop_assert!(entry.record.len() < 200_000),
                Err(_) => reader.skip_damage().unwrap(),
            }
        }
        let mut wal = open(dir.path(), 1 << 20, Compression::None);
        wal.log(&[b"new"]).unwrap();
        let mut left = read_all(dir.path());
        while let Err(error) = left {
            repair(&disk(), dir.path(), error).unwrap();
            left = read_all(dir.path());
        }
        let left = left.unwrap();
        prop_assert_eq!(left.last().unwrap(), b"new");
        prop_assert!(left.iter().all(|r| r == b"new" || records.contains(r)));
    }
}
