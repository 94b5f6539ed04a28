//! Samples that came out of order: older than the newest of their series, but within the window. They are kept apart from
//! the others, logged in a log of their own (`wbl/`), and cut into blocks of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use model::Value;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::Head;
use super::read::{HeadPart, HeldChunk, HeldData};
use super::series::{FullChunk, FullData};
use crate::block::{BlockMeta, BlockWriter, Compaction};
use crate::chunk::head_file::HeadChunkRef;
use crate::chunk::{Encoding, Encodings, Samples};
use crate::compact::HINT_OUT_OF_ORDER;
use crate::error::Error;

/// Samples of a series after which they go into a chunk, as in Prometheus.
const CHUNK_SAMPLES: usize = 32;

/// The samples of all series that came out of order.
#[derive(Debug)]
pub(crate) struct OutOfOrder {
    /// Which encodings chunks get.
    encodings: Encodings,
    /// How much older than the head's newest sample a sample may be, milliseconds; 0: none is taken.
    window: AtomicI64,
    /// Whether there are any: all that readers pay for where there are none.
    any: AtomicBool,
    series: RwLock<FxHashMap<u32, Box<Series>>>,
    /// The oldest one's time.
    min_time: AtomicI64,
}

#[derive(Debug, Default)]
struct Series {
    /// Those that came last, in order of time: time, start (0: unknown), value.
    open: Vec<(i64, i64, Value)>,
    /// Chunks in the order in which they were filled; they may overlap.
    full: Vec<FullChunk>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    Added,
    /// Added, and those before it are a chunk now.
    AddedAndCut,
    /// There is a sample at that time.
    Repeated,
}

/// What a compaction takes: the chunks that there were when it began.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Segments before it hold nothing else.
    segment: u32,
    chunks: FxHashMap<u32, usize>,
    /// First times of the blocks to be written.
    pub(crate) blocks: BTreeSet<i64>,
}

impl Series {
    fn insert(&mut self, t: i64, start: i64, value: Value, encodings: Encodings) -> Inserted {
        let cut = self.open.len() >= CHUNK_SAMPLES;
        if cut {
            self.cut(encodings);
        }
        match self.open.binary_search_by_key(&t, |(t, ..)| *t) {
            Ok(_) => Inserted::Repeated,
            Err(at) => {
                self.open.insert(at, (t, start, value));
                if cut { Inserted::AddedAndCut } else { Inserted::Added }
            }
        }
    }

    /// Makes chunks of the open samples.
    fn cut(&mut self, encodings: Encodings) {
        self.full.extend(self.encoded(encodings));
        self.open = Vec::new();
    }

    fn encoded(&self, encodings: Encodings) -> Vec<FullChunk> {
        let mut samples = Samples::default();
        for (t, start, value) in &self.open {
            samples.push(*t, value);
            let has_room = match value {
                Value::Float(_) => encodings.xor2,
                Value::Histogram(_) => encodings.histogram_starts,
            };
            samples.push_start(if has_room { *start } else { 0 });
        }
        let mut chunks = Vec::new();
        let Ok(()) = samples.encode(CHUNK_SAMPLES as u16, encodings, |mint, maxt, encoding, data| {
            let data = FullData::Memory(encoding, Arc::new(data.to_vec()));
            chunks.push(FullChunk { mint, maxt, data });
            Ok::<(), std::convert::Infallible>(())
        });
        chunks
    }

    /// Bytes that it takes, its place among the others included.
    fn heap_bytes(&self) -> usize {
        let data = |c: &FullChunk| match &c.data {
            FullData::Memory(_, data) => data.capacity() + size_of::<Vec<u8>>() + 16,
            FullData::File(_) => 0,
        };
        let full = self.full.capacity() * size_of::<FullChunk>() + self.full.iter().map(data).sum::<usize>();
        size_of::<Series>() + 32 + self.open.capacity() * size_of::<(i64, i64, Value)>() + full
    }

    /// First and last time.
    fn times(&self) -> Option<(i64, i64)> {
        let chunks = self.full.iter().map(|c| (c.mint, c.maxt));
        let all = chunks.chain(self.open.iter().map(|(t, ..)| (*t, *t)));
        all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

fn hold(chunk: &FullChunk) -> HeldChunk {
    let data = match &chunk.data {
        FullData::Memory(encoding, data) => HeldData::Full(*encoding, data.clone()),
        FullData::File(place) => HeldData::File(*place),
    };
    HeldChunk { mint: chunk.mint, maxt: chunk.maxt, data }
}

impl OutOfOrder {
    pub(super) fn new(window_ms: i64, encodings: Encodings) -> Self {
        OutOfOrder {
            encodings,
            window: AtomicI64::new(window_ms),
            any: AtomicBool::new(false),
            series: RwLock::default(),
            min_time: AtomicI64::new(i64::MAX),
        }
    }

    /// Changes the window, in milliseconds; 0: no more samples are taken.
    pub(crate) fn set_window(&self, window_ms: i64) {
        self.window.store(window_ms, Relaxed);
    }

    /// Samples from this time on are taken; `i64::MAX` where none are. `newest` is the time of the head's newest sample.
    pub(super) fn taken_from(&self, newest: i64) -> i64 {
        match self.window.load(Relaxed) {
            0 => i64::MAX,
            window => newest.saturating_sub(window),
        }
    }

    /// Whether samples are taken.
    pub(crate) fn is_open(&self) -> bool {
        self.window.load(Relaxed) > 0
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// Whether there may be samples at `maxt` or before.
    pub(crate) fn reaches(&self, maxt: i64) -> bool {
        self.any() && self.min_time.load(Relaxed) <= maxt
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.any() && self.series.read().contains_key(&id)
    }

    /// First and last time of a series.
    pub(super) fn times(&self, id: u32) -> Option<(i64, i64)> {
        if self.any() { self.series.read().get(&id)?.times() } else { None }
    }

    pub(super) fn num_chunks(&self) -> u64 {
        let count = |s: &Series| s.full.len() as u64 + u64::from(!s.open.is_empty());
        if self.any() { self.series.read().values().map(|s| count(s)).sum() } else { 0 }
    }

    /// Bytes of memory, estimated from some of the series.
    pub(super) fn bytes(&self) -> usize {
        const SAMPLED: usize = 2048;
        let all = self.series.read();
        let sampled = all.values().take(SAMPLED);
        let (count, bytes) = sampled.fold((0, 0), |(n, bytes), s| (n + 1, bytes + s.heap_bytes()));
        (bytes * all.len()).checked_div(count).unwrap_or(0)
    }

    /// Adds a sample; its start (0: unknown) is left out where the chunks have no room for it.
    pub(super) fn insert(&self, id: u32, t: i64, start: i64, value: Value) -> Inserted {
        let inserted = self.series.write().entry(id).or_default().insert(t, start, value, self.encodings);
        self.min_time.fetch_min(t, Relaxed);
        self.any.store(true, Release);
        inserted
    }

    /// Adds what there is of a series in `mint..=maxt` to what was taken of it.
    #[inline]
    pub(super) fn add_to(&self, id: u32, part: Option<HeadPart>, range: (i64, i64)) -> Option<HeadPart> {
        if self.any() { self.add_some_to(id, part, range) } else { part }
    }

    fn add_some_to(&self, id: u32, part: Option<HeadPart>, (mint, maxt): (i64, i64)) -> Option<HeadPart> {
        let all = self.series.read();
        let Some(series) = all.get(&id) else { return part };
        let reaches = |c: &&FullChunk| c.mint <= maxt && c.maxt >= mint;
        let mut held: Vec<HeldChunk> = series.full.iter().filter(reaches).map(hold).collect();
        held.extend(series.encoded(self.encodings).iter().filter(reaches).map(hold));
        if held.is_empty() {
            return part;
        }
        let mut part = part.unwrap_or_else(HeadPart::empty);
        part.out_of_order = held;
        Some(part)
    }

    /// The chunks of a series that are in memory.
    fn in_memory(&self, id: u32) -> Vec<(i64, i64, Encoding, Arc<Vec<u8>>)> {
        let all = self.series.read();
        let chunks = all.get(&id).into_iter().flat_map(|s| &s.full);
        let in_memory = chunks.filter_map(|c| match &c.data {
            FullData::Memory(encoding, data) => Some((c.mint, c.maxt, *encoding, data.clone())),
            FullData::File(_) => None,
        });
        in_memory.collect()
    }

    fn set_written(&self, id: u32, written: &Arc<Vec<u8>>, place: HeadChunkRef) {
        let mut all = self.series.write();
        let mut chunks = all.get_mut(&id).into_iter().flat_map(|s| &mut s.full);
        let is_it =
            |c: &&mut FullChunk| matches!(&c.data, FullData::Memory(_, data) if Arc::ptr_eq(data, written));
        if let Some(chunk) = chunks.find(is_it) {
            chunk.data = FullData::File(place);
        }
    }

    /// The series that have some.
    pub(super) fn series(&self) -> Vec<u32> {
        self.series.read().keys().copied().collect()
    }

    /// The first head chunk file that holds some of it.
    pub(super) fn first_file(&self) -> Option<u32> {
        let all = self.series.read();
        let places = all.values().flat_map(|s| &s.full).filter_map(|c| match &c.data {
            FullData::File(place) => Some(place.file()),
            FullData::Memory(..) => None,
        });
        places.min()
    }

    /// Makes chunks of all that there is: how many each series has, and the first times of the blocks that they reach into.
    fn cut_all(&self, range_ms: i64) -> (FxHashMap<u32, usize>, BTreeSet<i64>) {
        let (mut counts, mut blocks) = (FxHashMap::default(), BTreeSet::new());
        for (&id, series) in self.series.write().iter_mut() {
            series.cut(self.encodings);
            counts.insert(id, series.full.len());
            for chunk in &series.full {
                let (first, last) = (chunk.mint.div_euclid(range_ms), chunk.maxt.div_euclid(range_ms));
                blocks.extend((first..=last).map(|n| n * range_ms));
            }
        }
        (counts, blocks)
    }

    /// Forgets the chunks that are in blocks now; says how many.
    fn forget(&self, counts: &FxHashMap<u32, usize>) -> u64 {
        let mut all = self.series.write();
        let mut forgotten = 0;
        all.retain(|id, series| {
            let count = counts.get(id).copied().unwrap_or(0).min(series.full.len());
            series.full.drain(..count);
            forgotten += count as u64;
            !series.full.is_empty() || !series.open.is_empty()
        });
        let oldest = all.values().filter_map(|s| s.times()).map(|(first, _)| first).min();
        self.min_time.store(oldest.unwrap_or(i64::MAX), Relaxed);
        if all.is_empty() {
            *all = FxHashMap::default();
            self.any.store(false, Release);
        }
        forgotten
    }
}

impl Head {
    /// Moves a series' full chunks from memory to head chunk files.
    pub(super) fn flush_out_of_order(&self, id: u32, number: u64) -> Result<(), Error> {
        if !self.out_of_order.any() {
            return Ok(());
        }
        for (mint, maxt, encoding, data) in self.out_of_order.in_memory(id) {
            let place = self.chunks.lock().write_out_of_order(number, mint, maxt, encoding, &data)?;
            self.metrics.chunks_mapped.fetch_add(1, Relaxed);
            self.out_of_order.set_written(id, &data, place);
        }
        Ok(())
    }

    /// Makes chunks of all samples that came out of order, to be moved to head chunk files.
    pub(super) fn cut_out_of_order_chunks(&self) {
        if self.out_of_order.any() {
            let (chunks, _) = self.out_of_order.cut_all(self.options.min_block_duration_ms);
            self.queue_full(chunks.into_keys().collect());
        }
    }

    /// Begins a compaction of the samples that came out of order; none where there are none.
    pub(crate) fn take_out_of_order(&self) -> Result<Option<Taken>, Error> {
        if !self.out_of_order.any() {
            return Ok(None);
        }
        let segment =
            self.log.lock().wbl(&self.disk, &self.dir, &self.options, &self.metrics)?.next_segment()?;
        let (chunks, blocks) = self.out_of_order.cut_all(self.options.min_block_duration_ms);
        self.queue_full(chunks.keys().copied().collect());
        self.flush_full()?;
        Ok(Some(Taken { segment, chunks, blocks }))
    }

    /// Writes what was taken with `mint <= t < maxt` as a block under `parent`; none where that is nothing.
    pub(crate) fn write_out_of_order_block(
        &self,
        parent: &Path,
        ulid: ulid::Ulid,
        (mint, maxt): (i64, i64),
        taken: &Taken,
    ) -> Result<Option<BlockMeta>, Error> {
        let mut ids: Vec<u32> = taken.chunks.keys().copied().collect();
        ids.sort_unstable();
        let ids: Vec<u32> =
            self.index.read().order_by_labels(&ids).into_iter().map(|at| ids[at as usize]).collect();
        let reader = self.chunks.lock().reader();
        let mut writer = BlockWriter::create(self.disk.clone(), parent, ulid)?;
        let mut packer = self.packer();
        for id in ids {
            let held: Vec<HeldChunk> = {
                let all = self.out_of_order.series.read();
                let chunks = all.get(&id).into_iter().flat_map(|s| &s.full).take(taken.chunks[&id]);
                chunks.filter(|c| c.mint < maxt && c.maxt >= mint).map(hold).collect()
            };
            let part = HeadPart { chunks: held, ..HeadPart::empty() };
            let written = match self.deleted.mark(id, part) {
                Some(part) => {
                    self.write_series(&mut writer, &mut packer, id, &part, &reader, (mint, maxt - 1))
                }
                None => Ok(()),
            };
            if let Err(error) = written {
                if let Err(error) = writer.abort() {
                    tracing::warn!(%error, "cannot remove an unfinished block");
                }
                return Err(error);
            }
        }
        let hints = vec![HINT_OUT_OF_ORDER.to_owned()];
        let compaction = Compaction { level: 1, sources: vec![ulid], hints, ..Compaction::default() };
        Ok(writer.finish(mint, maxt, compaction)?)
    }

    /// Ends a compaction whose blocks queriers see: what was taken leaves memory and the log.
    pub(crate) fn forget_out_of_order(&self, taken: &Taken) -> Result<(), Error> {
        self.metrics.chunks_removed.fetch_add(self.out_of_order.forget(&taken.chunks), Relaxed);
        // Queriers that are open now may still read its head chunk files.
        let mut unneeded = self.unneeded.lock();
        *unneeded = Some((self.held_from(), self.isolation.mark()));
        drop(unneeded);
        self.metrics.wbl_truncations.fetch_add(1, Relaxed);
        let mut log = self.log.lock();
        let wbl = log.wbl(&self.disk, &self.dir, &self.options, &self.metrics);
        wbl.and_then(|wbl| wbl.truncate(taken.segment)).inspect_err(|_| {
            self.metrics.wbl_truncations_failed.fetch_add(1, Relaxed);
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_series_come_in_any_order() {
        let late = OutOfOrder::new(1000, Encodings::default());
        assert_eq!((late.taken_from(5000), late.reaches(i64::MAX)), (4000, false));
        let value = |t: i64| Value::Float(t as f64);
        let mut cuts = 0;
        for i in 0..100i64 {
            let t = i * 37 % 100;
            match late.insert(7, t, 0, value(t)) {
                Inserted::AddedAndCut => cuts += 1,
                other => assert_eq!(other, Inserted::Added),
            }
        }
        assert_eq!(late.insert(7, 63, 0, value(1)), Inserted::Repeated, "the last one, still open");
        assert_eq!((cuts, late.num_chunks(), late.times(7)), (3, 4, Some((0, 99))));
        let part = late.add_to(7, None, (10, 20)).unwrap();
        assert!(part.chunks.is_empty() && part.out_of_order.iter().all(|c| c.mint <= 20 && c.maxt >= 10));
        let (counts, blocks) = late.cut_all(50);
        assert_eq!((counts[&7], blocks), (4, BTreeSet::from([0, 50])));
        late.insert(7, 200, 0, value(200));
        late.forget(&counts);
        assert_eq!(late.times(7), Some((200, 200)));
        let (counts, _) = late.cut_all(50);
        late.forget(&counts);
        assert!(!late.any() && !late.has(7));
    }
}
