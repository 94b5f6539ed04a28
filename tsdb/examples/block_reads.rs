//! Chunks of a block, mapped against read at their positions: what `docs/reads.md` decides by.
//!
//! `cargo run --release -p tsdb --example block_reads -- DIR [rounds]` makes a block in DIR, and prints nanoseconds a chunk.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a measurement ends where it fails, and reads the clock

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use model::Labels;
use tsdb::block::{BlockWriter, Compaction};
use tsdb::chunk::decode_xor;
use tsdb::disk::{Disk as _, Mapped, RealDisk};
use tsdb::encoding::{Reader, crc32c};

const SERIES: u32 = 20_000;
const SAMPLES: i64 = 1440;
/// One read fetches most chunks whole; longer ones take a second one.
const FIRST_READ: usize = 512;

fn make(dir: &Path) -> PathBuf {
    let ulid = ulid::Ulid::from_parts(1, 1);
    let path = dir.join(ulid.to_string());
    if !path.exists() {
        let mut writer = BlockWriter::create(Arc::new(RealDisk), dir, ulid).unwrap();
        for i in 0..SERIES {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", format!("{i:06}"))]);
            let ts: Vec<i64> = (0..SAMPLES).map(|k| k * 15_000 + i64::from(i % 7)).collect();
            let vs: Vec<f64> =
                (0..SAMPLES).map(|k| ((k * i64::from(i % 97)) as f64 * 0.37).floor()).collect();
            writer.add_series_samples(&labels, &ts, &vs).unwrap();
        }
        writer.finish(0, SAMPLES * 15_000, Compaction { level: 1, ..Compaction::default() }).unwrap();
    }
    path.join("chunks/000001")
}

/// Where the chunks begin.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut all) = (8, Vec::new());
    while at < bytes.len() {
        all.push(at);
        let mut r = Reader::new(&bytes[at..]);
        let len = r.uvarint32("length").unwrap() as usize;
        at += r.position() + 1 + len + 4;
    }
    all
}

/// Checks and decodes a chunk; none where the bytes end before it does.
fn decode(bytes: &[u8], ts: &mut Vec<i64>, vs: &mut Vec<f64>) -> Result<(), usize> {
    let mut r = Reader::new(bytes);
    let len = r.uvarint32("length").unwrap() as usize;
    let needed = r.position() + 1 + len + 4;
    if bytes.len() < needed {
        return Err(needed);
    }
    let encoded = r.take(len + 1, "chunk").unwrap();
    assert_eq!(crc32c(encoded), r.be32("sum").unwrap());
    ts.clear();
    vs.clear();
    decode_xor(&encoded[1..], i64::MIN, i64::MAX, ts, vs).unwrap();
    Ok(())
}

fn mapped(map: &Mapped, order: &[usize]) {
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    order.iter().for_each(|&at| decode(&map[at..], &mut ts, &mut vs).unwrap());
}

fn positioned(file: &File, len: usize, order: &[usize]) {
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    for &at in order {
        let first = FIRST_READ.min(len - at);
        file.read_exact_at(&mut buffer[..first], at as u64).unwrap();
        if let Err(needed) = decode(&buffer[..first], &mut ts, &mut vs) {
            file.read_exact_at(&mut buffer[first..needed], (at + first) as u64).unwrap();
            decode(&buffer[..needed], &mut ts, &mut vs).unwrap();
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().expect("a directory"));
    let rounds: usize = args.next().map_or(5, |n| n.parse().unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    let path = make(&dir);
    let file = File::open(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let in_order = offsets(&whole);
    println!("{} chunks, {} bytes each", in_order.len(), whole.len() / in_order.len());
    let len = whole.len();
    drop(whole);
    let mut random = in_order.clone();
    let mut state = 88_172_645_463_325_252u64;
    for i in (1..random.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        random.swap(i, (state % (i as u64 + 1)) as usize);
    }
    // What a query over a few series touches: one chunk in two hundred.
    let few: Vec<usize> = random.iter().step_by(200).copied().collect();
    let forget = || {
        file.sync_all().unwrap();
        rustix::fs::fadvise(file.as_fd(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    };
    let cases: [(&str, &[usize], bool); 5] = [
        ("warm, in order", &in_order, false),
        ("warm, at random", &random, false),
        ("cold, in order", &in_order, true),
        ("cold, at random", &random, true),
        ("cold, few at random", &few, true),
    ];
    for (name, order, cold) in cases {
        let mut best = [f64::MAX; 2];
        for _ in 0..rounds {
            for (kind, best) in best.iter_mut().enumerate() {
                if cold {
                    forget();
                }
                // Mapping and opening belong to it: page tables are filled anew, as in a query's first touch.
                let start = Instant::now();
                if kind == 0 {
                    mapped(&RealDisk.map(&path).unwrap(), order);
                } else {
                    positioned(&File::open(&path).unwrap(), len, order);
                }
                *best = best.min(start.elapsed().as_nanos() as f64 / order.len() as f64);
            }
        }
        println!("{name}: mapped {:.0} ns, positioned {:.0} ns a chunk", best[0], best[1]);
    }
}
