//! The write-ahead log: records, and the pages they stand in.

use std::path::Path;
use std::sync::Arc;

use model::{Labels, NativeHistogram, Value};
use testkit::SimDisk;
use tsdb::chunk::Encoding;
use tsdb::disk::Disk;
use tsdb::wal::read::{SegmentsReader, repair};
use tsdb::wal::{Compression, Wal, WalOptions, records, segment_path};

/// Any bytes decode to a record or an error.
pub fn record(data: &[u8]) {
    let _ = records::decode(data);
    let _ = records::decode_samples(data, |_, _, _, _| {});
    let _ = records::decode_histograms(data, |_, _, _, _| {});
    let _ = records::decode_series(data, |_, _| {});
}

/// A record of each kind that is written.
pub fn record_seeds() -> Vec<Vec<u8>> {
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let mut all = vec![Vec::new(); 11];
    records::encode_series_from([(1, &labels), (2, &labels)], &mut all[0]);
    let samples: Vec<_> = (1..20)
        .map(|i| records::SampleRecord { ref_: i, t: 1_700_000_000_000 + i as i64, v: i as f64 })
        .collect();
    records::encode_samples(samples.iter().copied(), &mut all[1]);
    records::encode_tombstones(&[records::TombstoneRecord { ref_: 1, mint: 2, maxt: 3 }], &mut all[2]);
    records::encode_exemplars(&[records::ExemplarRecord { ref_: 1, t: 5, v: 0.5, labels }], &mut all[3]);
    let metadata = records::MetadataRecord { ref_: 1, type_: 1, unit: "s".into(), help: "h".into() };
    records::encode_metadata(&[metadata], &mut all[4]);
    records::encode_mmap_markers(&[records::MmapMarkerRecord { ref_: 1, mmap_ref: 9 }], &mut all[5]);
    let with_starts = samples.iter().map(|s| (s.ref_, s.t, s.t & !7, s.v));
    records::encode_samples_v2(with_starts, &mut all[6]);
    for (i, floats) in [false, true].into_iter().enumerate() {
        let some: Vec<NativeHistogram> = (1..5).map(|n| super::chunk::some_histogram(n, floats)).collect();
        let all_of = |t: i64| some.iter().enumerate().map(move |(n, h)| (n as u64, t + n as i64, 7, h));
        let plain = records::RecordType::of_histogram(&some[0]);
        records::encode_histograms(plain, all_of(1000).map(|(r, t, _, h)| (r, t, h)), &mut all[7 + 2 * i]);
        records::encode_histograms_v2(floats, all_of(1000), &mut all[8 + 2 * i]);
    }
    all
}

/// Any bytes decode to a record of a snapshot of the memory, or an error.
pub fn snapshot(data: &[u8]) {
    let _ = records::decode_snapshot(data);
}

/// A record of each kind that a snapshot has.
pub fn snapshot_seeds() -> Vec<Vec<u8>> {
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
    let mut all = vec![Vec::new(); 6];
    records::encode_snapshot_series(1, &labels, None, &mut all[0]);
    let data = [0, 1, 0, 63, 240, 0, 0, 0, 0, 0, 0];
    let open = |encoding| records::SnapshotChunk { mint: 0, maxt: 0, encoding, data: &data };
    let float = (open(Encoding::Xor), &Value::Float(1.0));
    records::encode_snapshot_series(2, &labels, Some(float), &mut all[1]);
    for (i, floats) in [false, true].into_iter().enumerate() {
        let encoding = if floats { Encoding::FloatHistogram } else { Encoding::Histogram };
        let last = Value::Histogram(super::chunk::some_histogram(3, floats));
        records::encode_snapshot_series(3, &labels, Some((open(encoding), &last)), &mut all[2 + i]);
    }
    let stone = records::TombstoneRecord { ref_: 1, mint: 2, maxt: 3 };
    records::encode_snapshot_tombstones(&[stone, stone], &mut all[4]);
    records::encode_snapshot_exemplars(
        &[records::ExemplarRecord { ref_: 1, t: 5, v: 0.5, labels }],
        &mut all[5],
    );
    all
}

const DIR: &str = "/wal";

/// Any bytes as a segment are read to the end with errors passed over, and opening for writing makes a log that reads well after repairs.
pub fn pages(data: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("a directory");
    disk.create(&segment_path(dir, 0)).and_then(|mut f| f.write(data)).expect("a segment");
    let mut reader = SegmentsReader::open(Arc::clone(&disk), dir, 0).expect("a log");
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(_)) => {}
            Err(_) => reader.skip_damage().expect("the directory can be listed"),
        }
    }
    let mut wal = Wal::open(Arc::clone(&disk), dir, WalOptions::default()).expect("a log");
    wal.log(&[b"new"]).expect("a record");
    loop {
        let mut reader = SegmentsReader::open(Arc::clone(&disk), dir, 0).expect("a log");
        let mut last = Vec::new();
        let read = loop {
            match reader.next() {
                Ok(None) => break Ok(()),
                Ok(Some(entry)) => last = entry.record.to_vec(),
                Err(e) => break Err(e),
            }
        };
        match read {
            Ok(()) => {
                assert_eq!(last, b"new");
                break;
            }
            Err(e) => {
                repair(&disk, dir, e).expect("a repaired log");
            }
        }
    }
}

/// Segments as the writer makes them, with each compression.
pub fn pages_seeds() -> Vec<Vec<u8>> {
    let compressions = [Compression::None, Compression::Snappy, Compression::Zstd];
    let segment = |compression| {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let options = WalOptions { compression, ..WalOptions::default() };
        let mut wal = Wal::open(Arc::clone(&disk), Path::new(DIR), options).expect("a log");
        for record in record_seeds() {
            wal.log(&[&record, &record]).expect("a record");
        }
        disk.read(&segment_path(Path::new(DIR), 0)).expect("a segment")
    };
    compressions.into_iter().map(segment).collect()
}
