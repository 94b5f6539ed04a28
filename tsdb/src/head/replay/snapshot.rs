//! Reading a snapshot of the memory in the place of the log up to where it ends.
//!
//! All of it is checked before any of it is taken: the snapshot, the head chunk files beside it, and whether it names all series that the
//! logs behind it go on with. Where something is amiss the whole log is replayed, which has everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use rustc_hash::{FxHashMap, FxHashSet};

use super::Reading;
use crate::block::Interval;
use crate::chunk::head_file::{self, HeadChunkReader, HeadChunkRef, HeadChunks};
use crate::chunk::{self, Encoding, Samples};
use crate::encoding;
use crate::head::exemplars::Exemplar;
use crate::head::memory::Snapshot;
use crate::head::series::{Chain, FullChunk, FullData, PAGE_SLOTS};
use crate::head::{CHUNKS_DIR, Head, WAL_DIR, WBL_DIR};
use crate::wal;
use crate::wal::read::SegmentsReader;
use crate::wal::records::{
    ExemplarRecord, Record, SnapshotChunk, SnapshotRecord, SnapshotSeries, TombstoneRecord, decode,
    decode_histograms, decode_samples, decode_series, decode_snapshot,
};

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it does not belong to what is there: {0}")]
    Stale(&'static str),
    #[error("damaged: record at offset {offset} of segment {segment}: {source}")]
    Record { segment: u32, offset: u64, source: encoding::Error },
    #[error("damaged: chunk of series {series}: {source}")]
    Chunk { series: u64, source: chunk::Error },
    #[error("damaged: {0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Log(#[from] wal::Error),
    #[error(transparent)]
    HeadChunks(#[from] head_file::Error),
    #[error(transparent)]
    Disk(#[from] crate::disk::Error),
}

impl Unusable {
    /// Whether it should be kept for whoever wants to look into it.
    pub(super) fn is_damage(&self) -> bool {
        !matches!(self, Unusable::Stale(_))
    }
}

/// A chunk in a head chunk file: first and last time, place.
type Placed = (i64, i64, HeadChunkRef);

/// The full chunks of the series that a snapshot names.
struct FullChunks {
    reader: Option<HeadChunkReader>,
    by_series: FxHashMap<u64, Vec<Placed>>,
}

/// A chunk's times, encoding and data.
struct Part {
    mint: i64,
    maxt: i64,
    encoding: Encoding,
    data: Vec<u8>,
}

impl Reading<'_> {
    /// Takes all that a snapshot has. After an error nothing of it is there.
    pub(super) fn read_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Unusable> {
        let mut known = check(snapshot, self.head)?;
        let full = full_chunks(snapshot, self.head, &known)?;
        check_logs(snapshot, self.head, &mut known)?;
        drop(known);
        let taken = self.apply_snapshot(snapshot, full);
        if taken.is_err() {
            self.forget_snapshot();
        }
        taken
    }

    fn apply_snapshot(&mut self, snapshot: &Snapshot, mut full: FullChunks) -> Result<(), Unusable> {
        let mut stones: Vec<TombstoneRecord> = Vec::new();
        let mut exemplars: Vec<ExemplarRecord> = Vec::new();
        let (disk, stop) = (self.head.disk.clone(), &self.head.replay.stop);
        let limit = self.head.exemplars.limit();
        for_each(&disk, &snapshot.dir, |record| {
            match record {
                _ if stop.load(SeqCst) => {}
                SnapshotRecord::Series(series) => {
                    let placed = full.by_series.remove(&series.ref_).unwrap_or_default();
                    self.snapshot_series(series, &placed, full.reader.as_ref())?;
                }
                SnapshotRecord::Tombstones(all) => stones.extend(all),
                SnapshotRecord::Exemplars(all) => exemplars.extend(all.into_iter().filter(|_| limit > 0)),
            }
            Ok(())
        })?;
        for deleted in stones {
            if let Some(&id) = self.ids.get(&deleted.ref_) {
                self.head.deleted.add(id, Interval { mint: deleted.mint, maxt: deleted.maxt });
            }
        }
        self.take_exemplars(exemplars);
        Ok(())
    }

    /// Takes one series, with the full chunks that stand in head chunk files.
    fn snapshot_series(
        &mut self,
        series: SnapshotSeries<'_>,
        placed: &[Placed],
        reader: Option<&HeadChunkReader>,
    ) -> Result<(), Unusable> {
        let head = self.head;
        let id = match head.get_or_create(&series.labels) {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(%error, series = %series.labels, "cannot replay a series");
                return Ok(());
            }
        };
        self.ids.insert(series.ref_, id);
        head.numbers.note(id, series.ref_);
        let mut parts = Vec::new();
        // What was cut behind the snapshot, the open chunk and the log behind it have as well.
        let from_open = series.open.as_ref().map_or(i64::MAX, |open| open.mint);
        let before = placed.iter().filter(|(mint, maxt, _)| *maxt >= self.oldest && *mint < from_open);
        for &(mint, maxt, place) in before {
            let mut data = Vec::new();
            let Some(reader) = reader else { break };
            let encoding = reader.read(place, &mut data)?;
            parts.push(Part { mint, maxt, encoding, data });
        }
        if let Some(SnapshotChunk { mint, maxt, encoding, data }) = series.open
            && maxt >= self.oldest
        {
            parts.push(Part { mint, maxt, encoding, data: data.to_vec() });
        }
        let Some(newest) = (0..parts.len()).max_by_key(|&i| parts[i].maxt) else { return Ok(()) };
        let newest = parts.remove(newest);
        let (mint, maxt) = (parts.iter().map(|p| p.mint).fold(newest.mint, i64::min), newest.maxt);
        let of_series = |source| Unusable::Chunk { series: series.ref_, source };
        let chain = chain_of(head, parts, &newest, self.oldest).map_err(of_series)?;
        let samples = &head.metrics.samples_replayed;
        samples.fetch_add(chain.1, Relaxed);
        head.note_times(mint.max(self.oldest), maxt);
        self.snapshot_newest = self.snapshot_newest.max(maxt);
        let page = head.page(id / PAGE_SLOTS as u32);
        let place = page.as_ref().and_then(|p| p.series(id as usize % PAGE_SLOTS));
        let Some(place) = place else { return Ok(()) };
        let mut state = place.state.lock();
        match &mut state.replayed {
            // under two numbers: both have samples where another program went on
            Some(known) => known.prepend(chain.0),
            none => *none = Some(Box::new(chain.0)),
        }
        drop(state);
        head.queue_full(vec![id]);
        self.flush_many();
        Ok(())
    }

    pub(super) fn take_exemplars(&mut self, all: Vec<ExemplarRecord>) {
        let limit = self.head.exemplars.limit();
        for e in all.into_iter().filter(|_| limit > 0) {
            let Some(&id) = self.ids.get(&e.ref_) else { continue };
            if self.exemplars.len() == limit {
                self.exemplars.pop_front();
            }
            let series = self.head.index.read().labels(id);
            self.exemplars.push_back((series, Exemplar { labels: e.labels, t: e.t, v: e.v }));
        }
    }

    /// Takes back what was taken of a snapshot that turned out to be unusable.
    fn forget_snapshot(&mut self) {
        let ids: Vec<u32> = self.head.index.read().ids().to_vec();
        self.head.with_series(&ids, |_, page, slot| {
            if let Some(series) = page.series(slot) {
                series.state.lock().replayed = None;
            }
        });
        self.ids.clear();
        self.head.numbers.forget();
        self.exemplars.clear();
        self.snapshot_newest = i64::MIN;
    }
}

/// The chain of a series' chunks, of which `newest` goes on growing, and how many samples it has. Samples before `oldest` are left out.
fn chain_of(head: &Head, parts: Vec<Part>, newest: &Part, oldest: i64) -> Result<(Chain, u64), chunk::Error> {
    let mut chain = Chain::default();
    let mut samples = Samples::default();
    samples.read_chunk(newest.encoding, &newest.data, oldest, i64::MAX)?;
    let mut count = samples.len() as u64;
    let mut histograms = samples.histograms.iter().peekable();
    for (i, (&t, &v)) in samples.ts.iter().zip(&samples.vs).enumerate() {
        let start = samples.start(i);
        match histograms.next_if(|(at, _)| *at == i) {
            None => chain.append(t, start, v, head.cut_rule),
            Some((_, h)) => chain.append_histogram(t, start, h, head.cut_rule),
        };
    }
    for part in parts {
        count += u64::from(part.encoding.num_samples(&part.data));
        let mut push = |mint, maxt, encoding, data| {
            chain.full.push(FullChunk { mint, maxt, data: FullData::Memory(encoding, Arc::new(data)) });
        };
        if part.mint >= oldest {
            push(part.mint, part.maxt, part.encoding, part.data);
            continue;
        }
        let mut some = Samples::default();
        some.read_chunk(part.encoding, &part.data, oldest, i64::MAX)?;
        let Ok(()) =
            some.encode(head.cut_rule.samples, head.cut_rule.encodings, |mint, maxt, encoding, data| {
                push(mint, maxt, encoding, data.to_vec());
                Ok::<(), std::convert::Infallible>(())
            });
    }
    chain.full.sort_by_key(|c| c.mint);
    Ok((chain, count))
}

/// Calls `each` for all records of a snapshot.
fn for_each(
    disk: &Arc<dyn crate::disk::Disk>,
    dir: &Path,
    mut each: impl FnMut(SnapshotRecord<'_>) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    let mut reader = SegmentsReader::open(disk.clone(), dir, 0)?;
    while let Some(entry) = reader.next()? {
        let (segment, offset) = (entry.segment, entry.offset);
        let record =
            decode_snapshot(entry.record).map_err(|source| Unusable::Record { segment, offset, source })?;
        each(record)?;
    }
    if reader.torn_tail().is_some() { Err(Unusable::Damaged("it ends within a record")) } else { Ok(()) }
}

/// Reads a snapshot to its end without taking anything; returns the numbers of its series.
fn check(snapshot: &Snapshot, head: &Head) -> Result<FxHashSet<u64>, Unusable> {
    if let Some(why) = snapshot.refused {
        return Err(Unusable::Stale(why));
    }
    let segments = &head.replay.segments;
    let behind: Vec<u32> = segments.iter().copied().filter(|s| *s >= snapshot.segment).collect();
    let is_whole = behind.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let lengths = wal::segments_with_len(&*head.disk, &head.dir.join(WAL_DIR))?;
    let reaches = |(segment, len): &(u32, u64)| *segment == snapshot.segment && *len >= snapshot.offset;
    if behind.first() != Some(&snapshot.segment) || !is_whole || !lengths.iter().any(reaches) {
        return Err(Unusable::Stale("the log does not go on where it ends"));
    }
    let mut known = FxHashSet::default();
    let mut is_whole = false;
    for_each(&head.disk, &snapshot.dir, |record| {
        match record {
            SnapshotRecord::Series(series) => {
                if let Some(open) = series.open {
                    let mut samples = Samples::default();
                    let read = samples.read_chunk(open.encoding, open.data, i64::MIN, i64::MAX);
                    read.map_err(|source| Unusable::Chunk { series: series.ref_, source })?;
                    let ends = (samples.ts.first().copied(), samples.ts.last().copied());
                    if ends != (Some(open.mint), Some(open.maxt)) {
                        return Err(Unusable::Damaged("a chunk has other times than it should"));
                    }
                }
                known.insert(series.ref_);
            }
            SnapshotRecord::Tombstones(_) => is_whole = true,
            SnapshotRecord::Exemplars(_) => {}
        }
        Ok(())
    })?;
    if is_whole { Ok(known) } else { Err(Unusable::Damaged("its end is missing")) }
}

/// Whether the logs behind a snapshot name only series that it knows, or that they introduce.
fn check_logs(snapshot: &Snapshot, head: &Head, known: &mut FxHashSet<u64>) -> Result<(), Unusable> {
    let wal =
        (head.dir.join(WAL_DIR), snapshot.segment, snapshot.offset, head.replay.segments.last().copied());
    let first = head.replay.wbl_segments.first().copied();
    let wbl = (head.dir.join(WBL_DIR), first.unwrap_or(0), 0, head.replay.wbl_segments.last().copied());
    for (dir, first, offset, last) in [wal, wbl] {
        let Some(last) = last else { continue };
        let mut reader = SegmentsReader::range(head.disk.clone(), &dir, first, last)?;
        while let Some(entry) = reader.next()? {
            if entry.segment == first && entry.offset < offset {
                continue;
            }
            if !names_known(entry.record, known) {
                return Err(Unusable::Stale("the log behind it names series that it does not know"));
            }
        }
    }
    Ok(())
}

/// Notes the series that a record introduces; whether it names only known ones. What cannot be decoded is met again when it is replayed.
fn names_known(record: &[u8], known: &mut FxHashSet<u64>) -> bool {
    let mut all_known = true;
    let _ = match record.first() {
        Some(1) => decode_series(record, |reference, _| {
            known.insert(reference);
        }),
        Some(2 | 11) => decode_samples(record, |reference, _, _, _| all_known &= known.contains(&reference)),
        Some(7..=10 | 12 | 13) => {
            decode_histograms(record, |reference, _, _, _| all_known &= known.contains(&reference))
        }
        _ => decode(record).map(|decoded| match decoded {
            Record::Tombstones(all) => all_known = all.iter().all(|t| known.contains(&t.ref_)),
            Record::Exemplars(all) => all_known = all.iter().all(|e| known.contains(&e.ref_)),
            _ => {}
        }),
    };
    all_known
}

/// The places of the full chunks of these series; late samples are in a log of their own.
fn full_chunks(snapshot: &Snapshot, head: &Head, known: &FxHashSet<u64>) -> Result<FullChunks, Unusable> {
    let dir: PathBuf = head.dir.join(CHUNKS_DIR);
    let mut found = FullChunks { reader: None, by_series: FxHashMap::default() };
    if !head.disk.exists(&dir) {
        return Ok(found);
    }
    let names = |entries: Vec<crate::disk::Entry>| -> Vec<String> {
        entries.into_iter().filter(|e| !e.is_dir).map(|e| e.name).collect()
    };
    let before = names(head.disk.list(&dir)?);
    let numbers: Vec<u32> = before.iter().filter_map(|name| name.parse().ok()).collect();
    if numbers.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
        return Err(Unusable::Damaged("a head chunk file is missing"));
    }
    for name in &before {
        head.disk.map(&dir.join(name))?; // one that cannot be read would count as empty
    }
    let mut chunks = HeadChunks::open(head.disk.clone(), &dir);
    let mut unknown = false;
    chunks.for_each(|c| {
        if !c.out_of_order && known.contains(&c.series) {
            found.by_series.entry(c.series).or_default().push((c.mint, c.maxt, c.ref_));
        } else if !c.out_of_order {
            unknown |= c.maxt >= head.min_valid();
        }
    })?;
    if unknown && !snapshot.is_ours {
        // Ours may be of series that left early. Prometheus leaves those out here that it found under a second number in the log.
        return Err(Unusable::Stale("head chunk files have newer chunks of series that it does not name"));
    }
    if names(head.disk.list(&dir)?) != before {
        return Err(Unusable::Damaged("a head chunk file is torn"));
    }
    found.reader = Some(chunks.reader());
    Ok(found)
}
