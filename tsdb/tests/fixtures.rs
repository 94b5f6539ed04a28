//! Directories as other programs, other times and accidents left them: `fixtures/README.md` says how each was made.
#![allow(clippy::unwrap_used)] // a test ends where it fails

mod dump;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dump::{Samples, assert_same, ours, parse};
use model::Matcher;
use runtime::clock::ManualClock;
use tsdb::{Db, Options, Retention};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open(dir: &Path) -> Arc<Db> {
    let options = Options { retention: Retention::default(), background: false, ..Options::default() };
    let db = Db::open(dir, options, ManualClock::at(1_800_000_000_000)).unwrap();
    db.replay();
    assert!(db.wait_for_replay(std::time::Duration::from_secs(60)));
    db
}

/// What promtool saw in the directory that Prometheus left.
fn expected() -> Samples {
    parse(&std::fs::read_to_string(fixture("prometheus-3.14.dump")).unwrap())
}

/// The part of it that is in blocks.
fn expected_blocks() -> Samples {
    let mut samples = expected();
    samples.retain(|labels, _| labels.contains("\"m\"") || labels.contains("\"c_total\""));
    assert_eq!(samples.len(), 4);
    samples
}

#[test]
fn a_directory_that_prometheus_left() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&fixture("prometheus-3.14"), dir.path());
    let db = open(dir.path());
    assert_same(&ours(&db), &expected());
    assert_eq!(db.blocks().iter().map(|b| b.stats.num_tombstones).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(db.metrics().wal_corruptions.load(SeqCst), 0);
    let values = db.querier().label_values("größe.in m", &[], i64::MIN, i64::MAX, 0).unwrap();
    assert_eq!(values, ["v0", "v1"]);
    db.maintain().unwrap();
    db.clean_tombstones().unwrap();
    assert_same(&ours(&db), &expected());
    drop(db);
    assert_same(&ours(&open(dir.path())), &expected());
}

#[test]
fn an_index_of_version_1() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&fixture("index-v1"), dir.path());
    let db = open(dir.path());
    let expected = expected_blocks();
    assert_same(&ours(&db), &expected);
    let querier = db.querier();
    assert_eq!(querier.label_names(&[], i64::MIN, i64::MAX, 0).unwrap(), ["__name__", "größe.in m", "i"]);
    let one = [Matcher::equal("größe.in m", "v1"), Matcher::equal("i", "1")];
    assert_eq!(querier.series(&one, i64::MIN, i64::MAX).unwrap().len(), 1);
    // Deleting names series by their old numbers, cleaning writes version 2.
    db.delete(&[Matcher::equal("i", "2")], i64::MIN, i64::MAX).unwrap();
    db.clean_tombstones().unwrap();
    let mut left = expected;
    left.retain(|labels, _| !labels.contains("i=\"2\""));
    assert_same(&ours(&db), &left);
    for block in db.blocks() {
        let index = std::fs::read(dir.path().join(block.ulid.to_string()).join("index")).unwrap();
        assert_eq!(index[4], 2);
    }
}

/// The start goes on, the block is kept as it is, counted, and named with file and offset. Damaged tombstones alone do not hide their block.
#[test]
fn damaged_blocks() {
    let cases = [
        ("chunks-header", "chunks/000001`, offset 0: not a chunk segment"),
        ("index-cut", "index`, offset"),
        ("index-postings-flipped", "index`, offset"),
        ("meta-not-json", "meta.json`, offset"),
        ("tombstones-flipped", "tombstones`, offset 5: the checksum does not match"),
    ];
    for (name, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&fixture("damaged").join(name), dir.path());
        let block = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let error = tsdb::block::Block::open(Arc::new(tsdb::disk::RealDisk), &block).unwrap_err().to_string();
        assert!(error.starts_with("damaged block: ") && error.contains(reason), "{name}: {error}");
        let db = open(dir.path());
        assert_eq!(db.metrics().blocks_damaged.load(SeqCst), 1, "{name}");
        let kept = fixture("damaged").join(name).join(block.file_name().unwrap());
        if name == "tombstones-flipped" {
            let stones = std::fs::read(format!("{}.tombstones.corrupt", block.display())).unwrap();
            assert_eq!(stones, std::fs::read(kept.join("tombstones")).unwrap());
            let shown: usize = ours(&db).values().map(|samples| samples.len()).sum();
            assert_eq!(shown as u64, db.blocks()[0].stats.num_samples, "all of it, deleted or not");
            continue;
        }
        assert_eq!(ours(&db), Samples::new(), "{name}");
        let aside = PathBuf::from(format!("{}.corrupt", block.display()));
        assert!(!block.exists() && aside.join("index").exists(), "{name}");
        for file in ["index", "meta.json", "tombstones"] {
            assert_eq!(
                std::fs::read(aside.join(file)).unwrap(),
                std::fs::read(kept.join(file)).unwrap(),
                "{name}"
            );
        }
    }
}

/// What is damaged inside a block shows when it is read: the query fails, others do not.
#[test]
fn a_block_whose_chunks_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&fixture("damaged/chunks-missing"), dir.path());
    let db = open(dir.path());
    let found = db.querier().select(&[Matcher::equal("i", "1")], i64::MIN, i64::MAX).unwrap();
    let error = found[0].read(i64::MIN, i64::MAX, &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("chunks/000001`, offset"), "{error}");
    assert_eq!(db.querier().label_values("i", &[], i64::MIN, i64::MAX, 0).unwrap(), ["0", "1", "2"]);
}

/// A byte in the middle of the log of a killed Prometheus: what stands before it is there, and all blocks.
#[test]
fn a_damaged_log() {
    let whole = std::fs::read(fixture("prometheus-3.14/wal/00000000")).unwrap();
    let everything = expected();
    for at in [9, 700, 9_000, 15_000] {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&fixture("prometheus-3.14"), dir.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(dir.path().join("wal/00000000"), &bytes).unwrap();
        let db = open(dir.path());
        let found = ours(&db);
        for (labels, samples) in expected_blocks() {
            assert_eq!(found.get(&labels), Some(&samples));
        }
        // A deletion that stood behind the damage may be lost with it: what it deleted is back then, nothing else.
        let deleted = "{__name__=\"temp\", instance=\"127.0.0.1:19782\", job=\"small\", place=\"a\"}";
        for (labels, samples) in found.iter().filter(|(labels, _)| *labels != deleted) {
            let known = |(t, v): (&i64, _)| everything.get(labels).is_some_and(|s| s.get(t) == Some(v));
            assert!(labels.contains("\"lat\"") || samples.iter().all(known), "{labels} at {at}");
        }
        let kept = dir.path().join("wal/00000000.corrupt");
        if db.metrics().wal_corruptions.load(SeqCst) > 0 && kept.exists() {
            assert_eq!(std::fs::read(kept).unwrap(), bytes, "the damaged segment is kept as it was");
        }
    }
}
