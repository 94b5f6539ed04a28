//! Retention by a share of the disk: whatever comes, no more than that is held, and what is newest stays.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::{Labels, Matcher};
use testkit::{ManualClock, SimDisk};
use tsdb::{Db, Options, Retention};

const START: i64 = 1_700_000_000_000 / RANGE * RANGE;
const RANGE: i64 = 60_000;
const SERIES: u64 = 50;
/// Bytes of the disk: a small part of what is appended.
const CAPACITY: u64 = 2_000_000;

#[test]
fn a_share_of_the_disk_is_held() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(CAPACITY));
    let options = Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(3 * RANGE),
        retention: Retention { percentage: Some(40.0), bytes: Some(1), ..Retention::default() },
        wal_segment_size: 32 << 10,
        background: false,
        ..Options::default()
    };
    let clock = ManualClock::at(START);
    let db = Db::open_on(Arc::new(disk.clone()), Path::new("/data"), options, clock.clone()).unwrap();
    db.replay();
    let labels: Vec<Labels> = (0..SERIES)
        .map(|i| Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]))
        .collect();
    let mut most = 0;
    for second in 0..4000i64 {
        clock.set(START + second * 1000);
        let mut appender = db.appender();
        for (i, labels) in labels.iter().enumerate() {
            // random bits: eight bytes and more a sample
            let v = f64::from_bits(
                (second as u64 * SERIES + i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2,
            );
            appender.append(0, labels, START + second * 1000, v).unwrap();
        }
        appender.commit().unwrap();
        if second % 60 == 59 {
            db.maintain().unwrap();
            most = most.max(disk.used());
            assert!(disk.used() <= CAPACITY * 40 / 100, "{} bytes are held after {second} s", disk.used());
        }
    }
    assert!(most > CAPACITY * 25 / 100, "the share is made use of: {most}");
    assert!(db.metrics().retention_size_deletions.load(SeqCst) > 3, "blocks left");
    let found = db.querier().select(&[Matcher::equal("i", "7")], i64::MIN, i64::MAX).unwrap();
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    found[0].read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
    let seconds: Vec<i64> = ts.iter().map(|t| (t - START) / 1000).collect();
    let first = seconds[0];
    assert!(first > 2000 && seconds == (first..4000).collect::<Vec<_>>(), "the newest stay, without a gap");
    // all of it may be kept on a disk that grows
    disk.set_capacity(Some(CAPACITY * 10));
    let removed = db.metrics().retention_size_deletions.load(SeqCst);
    db.maintain().unwrap();
    assert_eq!(db.metrics().retention_size_deletions.load(SeqCst), removed);
}
