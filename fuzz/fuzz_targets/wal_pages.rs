//! Log segments: any bytes are read to the end with errors passed over, and opening for writing makes a log that reads well after repairs.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tsdb::disk::{Disk, RealDisk};
use tsdb::wal::read::{SegmentsReader, repair};
use tsdb::wal::{Wal, WalOptions, segment_path};

fuzz_target!(|data: &[u8]| {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(segment_path(dir.path(), 0), data).expect("a segment");
    let mut reader = SegmentsReader::open(Arc::clone(&disk), dir.path(), 0).expect("a log");
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(_)) => {}
            Err(_) => reader.skip_damage().expect("the directory can be listed"),
        }
    }
    let mut wal = Wal::open(Arc::clone(&disk), dir.path(), WalOptions::default()).expect("a log");
    wal.log(&[b"new"]).expect("a record");
    loop {
        let mut reader = SegmentsReader::open(Arc::clone(&disk), dir.path(), 0).expect("a log");
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
                repair(&disk, dir.path(), e).expect("a repaired log");
            }
        }
    }
});
