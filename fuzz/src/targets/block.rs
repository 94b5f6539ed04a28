//! The files of a block: each in turn beside three valid ones.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use model::Labels;
use testkit::SimDisk;
use tsdb::block::{Block, BlockWriter, ChunkRef, Compaction, Interval};
use tsdb::disk::Disk;

const ULID: &str = "01EM6Q6A1YPX4G9TEB20J22B2R";
const FILES: [&str; 4] = ["index", "chunks/000001", "tombstones", "meta.json"];

/// A small valid block: its files.
fn valid() -> &'static [(&'static str, Vec<u8>)] {
    static BLOCK: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    BLOCK.get_or_init(|| {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let ulid = ULID.parse().expect("a ULID");
        let mut writer = BlockWriter::create(Arc::clone(&disk), Path::new("/"), ulid).expect("a block");
        for i in 0..40u32 {
            let pairs =
                [("__name__", format!("m{}", i / 20)), ("i", format!("{i:02}")), ("job", "a".to_owned())];
            let ts: Vec<i64> = (0..30).map(|k| k * 1000).collect();
            let vs: Vec<f64> = (0..30).map(|k| f64::from(k * i)).collect();
            writer.add_series_samples(&Labels::from_pairs(pairs), &ts, &vs).expect("a series");
        }
        writer.finish(0, 30_000, Compaction { level: 1, ..Compaction::default() }).expect("a block");
        let dir = Path::new("/").join(ULID);
        let block = Block::open(Arc::clone(&disk), &dir).expect("a block");
        let first = block.all_postings().expect("postings").next().expect("a series");
        block.add_tombstones(&[(first, Interval { mint: 5, maxt: 5000 })]).expect("tombstones");
        FILES.iter().map(|name| (*name, disk.read(&dir.join(name)).expect("a file"))).collect()
    })
}

fn seed(name: &str) -> Vec<Vec<u8>> {
    valid().iter().filter(|(n, _)| *n == name).map(|(_, bytes)| bytes.clone()).collect()
}

/// Opens the block with one file replaced, and asks it all that can be asked.
fn open_with(name: &str, data: &[u8]) {
    let disk = SimDisk::new(1);
    let dir = Path::new("/").join(ULID);
    disk.create_dir_all(&dir.join("chunks")).expect("a directory");
    for (file, bytes) in valid() {
        let bytes = if *file == name { data } else { bytes };
        disk.create(&dir.join(file)).and_then(|mut f| f.write(bytes)).expect("a file");
    }
    let Ok(block) = Block::open(Arc::new(disk), &dir) else { return };
    let mut chunks = Vec::new();
    for name in block.label_names().unwrap_or_default() {
        let _ = block.label_values(&name);
        let _ = block.for_each_value(&name, |_, postings| {
            for ref_ in postings.take(100) {
                let _ = block.series(ref_, &mut chunks);
                let _ = block.series_label_value(ref_, "job");
                let _ = block.tombstones(ref_);
                for chunk in chunks.iter().take(100) {
                    let _ = block.chunk(chunk.ref_);
                }
            }
            true
        });
    }
    if name == FILES[1] {
        (0..data.len() as u64 + 2).for_each(|offset| drop(block.chunk(ChunkRef(offset))));
    }
}

/// Any bytes as the index.
pub fn index(data: &[u8]) {
    open_with(FILES[0], data);
}

/// Any bytes as the chunks.
pub fn chunks(data: &[u8]) {
    open_with(FILES[1], data);
}

/// Any bytes as the tombstones.
pub fn tombstones(data: &[u8]) {
    open_with(FILES[2], data);
}

/// Any bytes as meta.json.
pub fn meta(data: &[u8]) {
    open_with(FILES[3], data);
}

/// The valid block's.
pub fn index_seeds() -> Vec<Vec<u8>> {
    seed(FILES[0])
}

/// The valid block's.
pub fn chunks_seeds() -> Vec<Vec<u8>> {
    seed(FILES[1])
}

/// The valid block's.
pub fn tombstones_seeds() -> Vec<Vec<u8>> {
    seed(FILES[2])
}

/// The valid block's.
pub fn meta_seeds() -> Vec<Vec<u8>> {
    seed(FILES[3])
}
