//! Indexes: any bytes behind a right header open or give an error, and all that can be asked of an open one is answered.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tsdb::block::Block;
use tsdb::disk::RealDisk;

const META: &str = r#"{"ulid":"01EM6Q6A1YPX4G9TEB20J22B2R","minTime":0,"maxTime":1,"version":1}"#;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("chunks")).expect("a directory");
    std::fs::write(dir.path().join("meta.json"), META).expect("a file");
    std::fs::write(dir.path().join("index"), data).expect("a file");
    let Ok(block) = Block::open(Arc::new(RealDisk), dir.path()) else { return };
    let mut chunks = Vec::new();
    for name in block.label_names().unwrap_or_default() {
        let _ = block.for_each_value(&name, |_, postings| {
            for ref_ in postings.take(100) {
                let _ = block.series(ref_, &mut chunks);
                let _ = block.series_label_value(ref_, "job");
                for chunk in &chunks {
                    let _ = block.chunk(chunk.ref_);
                }
            }
            true
        });
    }
});
