//! Replay: reads what the runs before have logged, while this run appends already.
//!
//! A record's series number is mapped to the series with the same labels, found or made here; the samples go into a chain
//! of their own, which is put before the samples of this run at the end. Segments are read one by one: a torn end is cut
//! off, damage costs the rest of its segment, which is set aside, and what stands behind is read on.

pub(crate) mod files;
mod join;
mod snapshot;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use model::{Labels, NativeHistogram, Value};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use std::time::Duration;

use super::damage::set_aside;
use super::exemplars::Exemplar;
use super::memory::{self, Snapshot};
use super::ooo::Inserted;
use super::series::{Outcome, PAGE_SLOTS};
use super::{Head, WAL_DIR, WBL_DIR};
use crate::block::Interval;
use crate::wal;
use crate::wal::read::SegmentsReader;
use crate::wal::records::{Record, RecordType, decode, decode_histograms, decode_samples, decode_series};

/// More threads than this only wait for the one that decodes.
const MAX_WORKERS: usize = 4;
/// Samples handed to a worker at once.
const BATCH: usize = 8192;
/// Batches on the way to a worker: with 24 bytes a sample, under a megabyte each.
const BATCHES_CAPACITY: usize = 4;
/// Full chunks waiting in memory for this many series are written at once, so that replay does not outgrow memory.
const FLUSH_AT: usize = 1 << 16;

/// How far replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayStatus {
    /// The first segment that is replayed.
    pub min: u32,
    /// The last segment that is replayed.
    pub max: u32,
    /// The segment that is being read.
    pub current: u32,
    /// Whether all is replayed.
    pub done: bool,
}

/// What is replayed, and how far.
#[derive(Debug)]
pub(crate) struct Progress {
    checkpoint: Option<PathBuf>,
    segments: Vec<u32>,
    /// Segments of the log of samples that came out of order.
    wbl_segments: Vec<u32>,
    /// What must have been there and is not.
    missing: Vec<wal::Error>,
    /// A snapshot of the memory that stands for the log up to where it ends.
    snapshot: Option<Snapshot>,
    /// Whether it was used.
    from_snapshot: AtomicBool,
    /// Whether samples came out of order in the log of those in order: nothing else has them.
    pub(super) late_in_log: AtomicBool,
    current: AtomicU32,
    done: AtomicBool,
    stop: AtomicBool,
    /// Wakes those who wait for the end.
    ended: (Mutex<()>, Condvar),
    opened_at_ms: i64,
    newest: AtomicI64,
}

/// What a start has found to replay.
#[derive(Debug)]
pub(super) struct Logs {
    /// The last checkpoint, and the last segment that it covers.
    pub(crate) checkpoint: Option<(PathBuf, u32)>,
    pub(crate) segments: Vec<u32>,
    pub(crate) wbl_segments: Vec<u32>,
    pub(crate) missing: Vec<wal::Error>,
    /// A snapshot of the memory, taken already.
    pub(super) snapshot: Option<Snapshot>,
}

/// Numbers of earlier runs.
#[derive(Debug, Default)]
pub(crate) struct OldRefs {
    pub(crate) ids: FxHashMap<u64, u32>,
    /// The newest sample among them.
    pub(crate) newest: i64,
    /// Whether the log may have further ones: what a snapshot stood for was not read.
    pub(crate) may_be_more: bool,
}

/// Samples on the way to a worker.
#[derive(Debug, Default)]
struct Batch {
    samples: Vec<(u32, i64, f64)>,
    /// Their starts (0: unknown), or nothing where none is known.
    starts: Vec<i64>,
    /// Histograms by the index of their sample, whose value is 0 then.
    histograms: Vec<(usize, NativeHistogram)>,
}

impl Batch {
    fn new() -> Self {
        Batch { samples: Vec::with_capacity(BATCH), starts: Vec::new(), histograms: Vec::new() }
    }
}

impl Progress {
    pub(super) fn new(logs: Logs, now_ms: i64) -> Self {
        let Logs { checkpoint, mut segments, wbl_segments, missing, snapshot } = logs;
        if let Some((_, covered)) = &checkpoint {
            segments.retain(|s| s > covered);
        }
        Progress {
            current: AtomicU32::new(segments.first().copied().unwrap_or(0)),
            done: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ended: Default::default(),
            checkpoint: checkpoint.map(|(dir, _)| dir),
            segments,
            wbl_segments,
            missing,
            snapshot,
            from_snapshot: AtomicBool::new(false),
            late_in_log: AtomicBool::new(false),
            opened_at_ms: now_ms,
            newest: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(SeqCst)
    }

    fn finish(&self) {
        let _guard = self.ended.0.lock();
        self.done.store(true, SeqCst);
        self.ended.1.notify_all();
    }

    /// Waits for the end, at most so long; says whether it has come.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let mut guard = self.ended.0.lock();
        self.ended.1.wait_while_for(&mut guard, |()| !self.is_done(), patience);
        self.is_done()
    }

    /// Makes replay end early: the process is about to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, SeqCst);
    }

    pub(crate) fn status(&self) -> ReplayStatus {
        ReplayStatus {
            min: self.segments.first().copied().unwrap_or(0),
            max: self.segments.last().copied().unwrap_or(0),
            current: self.current.load(Relaxed),
            done: self.is_done(),
        }
    }

    /// What a query over `mint..=maxt` should say.
    pub(crate) fn warning(&self, mint: i64, maxt: i64) -> Option<String> {
        // Logs are in order of time but for stragglers: what lies well before the newest sample read is complete.
        if self.is_done()
            || mint > self.opened_at_ms
            || maxt < self.newest.load(Relaxed).saturating_sub(60 * 60 * 1000)
        {
            return None;
        }
        let status = self.status();
        Some(format!(
            "the write-ahead log is still being replayed (segment {} of {} to {}): samples from before the start may be missing",
            status.current, status.min, status.max
        ))
    }
}

/// Replays all there is. Errors cost what they concern and are logged and counted: the start goes on.
pub(crate) fn run(head: &Head) {
    let began = head.clock.monotonic();
    let workers = match head.options.background {
        true => std::thread::available_parallelism().map_or(1, usize::from).clamp(1, MAX_WORKERS),
        false => 1, // the chunks that it fills come in the same order in each run
    };
    let (newest, keep_snapshot) = std::thread::scope(|scope| {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..workers {
            let (sender, receiver) = sync_channel(BATCHES_CAPACITY);
            senders.push(sender);
            threads.push(scope.spawn(move || apply(head, &receiver)));
        }
        let mut reading = Reading::new(head, senders);
        reading.read_all();
        let (of_snapshot, keep_snapshot) = (reading.snapshot_newest, reading.keep_snapshot);
        reading.finish();
        let newest = threads.into_iter().filter_map(|t| t.join().ok()).max().unwrap_or(i64::MIN);
        (newest.max(of_snapshot), keep_snapshot)
    });
    if head.replay.stop.load(SeqCst) {
        return;
    }
    head.old_refs.lock().newest = newest;
    join::chains(head);
    match head.flush_full().and_then(|()| files::swap(head)) {
        Err(error) => tracing::error!(%error, "cannot write head chunks: they stay in memory"),
        Ok(()) => {
            if let Err(error) = head.settle_numbers() {
                tracing::error!(%error, "cannot give all series the numbers of earlier runs: Prometheus would not find what the log has of these");
            }
        }
    }
    let keep = keep_snapshot || head.metrics.wal_corruptions.load(Relaxed) > 0;
    if let Err(error) = memory::put_away(head, keep) {
        tracing::warn!(%error, "cannot take a snapshot of the memory away");
    }
    if let Err(error) = files::put_aside_away(head) {
        tracing::warn!(%error, "cannot take head chunks of the run before away");
    }
    head.metrics.replay_seconds.set(head.clock.monotonic().saturating_sub(began).as_secs_f64());
    head.replay.finish();
}

/// A worker: appends samples to the replayed chains of its share of the series; returns the newest time.
fn apply(head: &Head, batches: &Receiver<Batch>) -> i64 {
    let mut newest = i64::MIN;
    let mut page = None;
    let oldest = head.min_valid();
    for batch in batches {
        let (mut mint, mut maxt, mut appended) = (i64::MAX, i64::MIN, 0);
        let mut full = Vec::new();
        let mut histograms = batch.histograms.into_iter().peekable();
        for (i, (id, t, v)) in batch.samples.into_iter().enumerate() {
            let histogram = histograms.next_if(|(at, _)| *at == i).map(|(_, h)| h);
            let start = batch.starts.get(i).copied().unwrap_or(0);
            if t < oldest {
                continue;
            }
            let number = id / PAGE_SLOTS as u32;
            if page.as_ref().is_none_or(|(n, _)| *n != number) {
                page = head.page(number).map(|p| (number, p));
            }
            let Some(series) = page.as_ref().and_then(|(_, p)| p.series(id as usize % PAGE_SLOTS)) else {
                continue;
            };
            let mut state = series.state.lock();
            let chain = state.replayed.get_or_insert_default();
            // Logs may end a series of histograms with a float mark.
            let stale = || chain.last_histogram().filter(|_| model::is_stale(v)).map(|h| h.stale_like());
            let histogram = histogram.or_else(stale);
            let outcome = match &histogram {
                None => chain.append(t, start, v, head.cut_rule),
                Some(h) => chain.append_histogram(t, start, h, head.cut_rule),
            };
            match outcome {
                Outcome::Appended => {}
                Outcome::AppendedAndCut => full.push(id),
                Outcome::Repeated | Outcome::Duplicate => continue,
                // Prometheus logs late samples here too; and what it had in full chunks by then is there.
                Outcome::OutOfOrder if head.replay.from_snapshot.load(Relaxed) => continue,
                Outcome::OutOfOrder => {
                    // A run that began before this one took it when it had not replayed yet what was newer.
                    let value = histogram.map_or(Value::Float(v), Value::Histogram);
                    head.replay.late_in_log.store(true, Relaxed);
                    if head.out_of_order.insert(id, t, start, value) == Inserted::AddedAndCut {
                        full.push(id);
                    }
                    continue;
                }
            }
            appended += 1;
            mint = mint.min(t);
            maxt = maxt.max(t);
        }
        head.queue_full(full);
        if appended > 0 {
            head.note_times(mint, maxt);
            newest = newest.max(maxt);
            head.replay.newest.fetch_max(maxt, Relaxed);
            head.metrics.samples_replayed.fetch_add(appended, Relaxed);
        }
    }
    newest
}

/// The thread that reads and decodes.
struct Reading<'a> {
    head: &'a Head,
    senders: Vec<SyncSender<Batch>>,
    batches: Vec<Batch>,
    ids: FxHashMap<u64, u32>,
    /// Samples whose series no record names; records this version does not read.
    unknown: u64,
    skipped: u64,
    /// Samples before it are not wanted.
    oldest: i64,
    /// Whether full chunks can be written, as far as is known.
    flushes: bool,
    /// Whether samples are read that came out of order.
    out_of_order: bool,
    /// The newest exemplars, as many as are kept.
    exemplars: VecDeque<(Labels, Exemplar)>,
    /// The newest sample of a snapshot.
    snapshot_newest: i64,
    /// Whether the snapshot is damaged: it is kept then.
    keep_snapshot: bool,
    /// Records of this segment before this offset are in the snapshot.
    begin: (u32, u64),
}

impl<'a> Reading<'a> {
    fn new(head: &'a Head, senders: Vec<SyncSender<Batch>>) -> Self {
        let batches = senders.iter().map(|_| Batch::new()).collect();
        let oldest = head.min_valid();
        Reading {
            head,
            senders,
            batches,
            ids: FxHashMap::default(),
            unknown: 0,
            skipped: 0,
            oldest,
            flushes: true,
            out_of_order: false,
            exemplars: VecDeque::new(),
            snapshot_newest: i64::MIN,
            keep_snapshot: false,
            begin: (0, 0),
        }
    }

    /// Uses the snapshot, where there is one; says whether it could.
    fn use_snapshot(&mut self) -> bool {
        let head = self.head;
        let Some(snapshot) = &head.replay.snapshot else { return false };
        match self.read_snapshot(snapshot) {
            Ok(()) => {
                self.begin = (snapshot.segment, snapshot.offset);
                head.replay.from_snapshot.store(true, SeqCst);
                head.old_refs.lock().may_be_more = true;
                head.metrics.snapshots_used.fetch_add(1, Relaxed);
                tracing::info!(snapshot = %snapshot.dir.display(), series = self.ids.len(), "read a snapshot of the memory");
                true
            }
            Err(error) => {
                head.metrics.snapshots_failed.fetch_add(1, Relaxed);
                self.keep_snapshot = error.is_damage();
                tracing::warn!(snapshot = %snapshot.dir.display(), %error, "cannot use a snapshot of the memory: replaying the whole log");
                false
            }
        }
    }

    fn read_all(&mut self) {
        let head = self.head;
        head.replay.missing.iter().for_each(|missing| self.lost(missing));
        let from_snapshot = self.use_snapshot();
        if let Some(dir) = head.replay.checkpoint.as_ref().filter(|_| !from_snapshot) {
            match wal::segments(&*head.disk, dir) {
                Ok(segments) => segments.into_iter().for_each(|s| self.read_segment(dir, s)),
                Err(error) => self.lost(&error),
            }
        }
        let dir = head.dir.join(WAL_DIR);
        for (i, &segment) in head.replay.segments.iter().enumerate() {
            if segment < self.begin.0 {
                continue;
            }
            if i > 0 && head.replay.segments[i - 1] + 1 != segment {
                let before = head.replay.segments[i - 1];
                self.lost(&wal::Error::Gap { dir: dir.clone(), before, after: segment });
            }
            head.replay.current.store(segment, Relaxed);
            self.read_segment(&dir, segment);
        }
        self.begin = (0, 0);
        self.out_of_order = true;
        let dir = head.dir.join(WBL_DIR);
        for &segment in &head.replay.wbl_segments {
            self.read_segment(&dir, segment);
        }
    }

    fn lost(&self, error: &dyn std::error::Error) {
        self.head.metrics.wal_corruptions.fetch_add(1, Relaxed);
        tracing::error!(%error, "a part of the write-ahead log cannot be read: starting without it");
    }

    fn read_segment(&mut self, dir: &Path, segment: u32) {
        if self.head.replay.stop.load(SeqCst) {
            return;
        }
        let whole = match self.try_segment(dir, segment) {
            // Some devices need a second try.
            Err(wal::Error::Disk(error)) => {
                tracing::warn!(%error, "cannot read a segment of the log: trying once more");
                self.try_segment(dir, segment)
            }
            once => once,
        };
        if let Err(error) = whole {
            self.lost(&error);
            let disk = &self.head.disk;
            let aside = match &error {
                wal::Error::Corrupt { offset, .. } => set_aside(disk, dir, segment, Some(*offset)),
                wal::Error::Disk(_) => set_aside(disk, dir, segment, None),
                _ => Ok(()),
            };
            if let Err(error) = aside {
                tracing::error!(%error, "cannot set a damaged segment aside");
            }
        }
        self.hand_over();
    }

    /// Reads a segment as far as it goes.
    fn try_segment(&mut self, dir: &Path, segment: u32) -> Result<(), wal::Error> {
        let head = self.head;
        let mut reader = SegmentsReader::range(head.disk.clone(), dir, segment, segment)?;
        while let Some(entry) = reader.next()? {
            if head.replay.stop.load(SeqCst) {
                return Ok(());
            }
            if (segment, entry.offset) >= self.begin {
                self.record(entry.record, segment, entry.offset);
            }
        }
        let Some((segment, offset)) = reader.torn_tail() else { return Ok(()) };
        let is_last =
            [head.replay.segments.last(), head.replay.wbl_segments.last()].contains(&Some(&segment));
        if is_last && !head.log.lock().wal.is_open() {
            return Ok(()); // it is cut off when there is room for what comes behind
        }
        // A crash tears the last segment only, and opening the log for writing has cut that off: here it is damage.
        let path = wal::segment_path(dir, segment);
        Err(wal::Error::Corrupt { path, segment, offset, reason: "the segment ends within a record" })
    }

    fn record(&mut self, record: &[u8], segment: u32, offset: u64) {
        let head = self.head;
        let decoded = match RecordType::of(record) {
            Some(RecordType::Series) => {
                decode_series(record, |reference, labels| match head.get_or_create(&labels) {
                    Ok(id) => {
                        self.ids.insert(reference, id);
                        head.numbers.note(id, reference);
                    }
                    Err(error) => tracing::error!(%error, series = %labels, "cannot replay a series"),
                })
            }
            Some(RecordType::Samples | RecordType::SamplesV2) => {
                decode_samples(record, |reference, t, start, v| self.sample(reference, t, start, v, None))
            }
            Some(RecordType::Tombstones) => self.deletions(record),
            Some(RecordType::Exemplars) => self.exemplars(record),
            Some(RecordType::Metadata) => self.metadata(record),
            // They say what head chunk files hold, which are written anew from the log.
            Some(RecordType::MmapMarkers) => Ok(()),
            Some(
                RecordType::HistogramSamples
                | RecordType::FloatHistogramSamples
                | RecordType::CustomBucketsHistogramSamples
                | RecordType::CustomBucketsFloatHistogramSamples
                | RecordType::HistogramSamplesV2
                | RecordType::FloatHistogramSamplesV2,
            ) => decode_histograms(record, |reference, t, start, h| {
                self.sample(reference, t, start, 0.0, Some(h));
            }),
            _ => {
                self.skipped += 1;
                Ok(())
            }
        };
        if let Err(error) = decoded {
            head.metrics.wal_corruptions.fetch_add(1, Relaxed);
            tracing::error!(segment, offset, %error, "a record of the write-ahead log cannot be decoded: left out");
        }
        self.flush_many();
    }

    fn flush_many(&mut self) {
        if self.flushes
            && self.head.full.lock().len() > FLUSH_AT
            && let Err(error) = self.head.flush_full()
        {
            tracing::error!(%error, "cannot write head chunks: they stay in memory");
            self.flushes = false; // tried again when all is replayed
        }
    }

    fn exemplars(&mut self, record: &[u8]) -> Result<(), crate::encoding::Error> {
        if let Record::Exemplars(all) = decode(record)? {
            self.take_exemplars(all);
        }
        Ok(())
    }

    /// Nobody asks for it where none is logged; checkpoints keep it either way.
    fn metadata(&mut self, record: &[u8]) -> Result<(), crate::encoding::Error> {
        if !self.head.options.metadata_records {
            return Ok(());
        }
        if let Record::Metadata(all) = decode(record)? {
            for one in all {
                if let Some(&id) = self.ids.get(&one.ref_) {
                    self.head.describe_replayed(id, one);
                }
            }
        }
        Ok(())
    }

    fn deletions(&mut self, record: &[u8]) -> Result<(), crate::encoding::Error> {
        let Record::Tombstones(all) = decode(record)? else { return Ok(()) };
        for deleted in all {
            // A series that the log does not name has no samples there: it left, and its deletions are not needed.
            if let Some(&id) = self.ids.get(&deleted.ref_) {
                self.head.deleted.add(id, Interval { mint: deleted.mint, maxt: deleted.maxt });
            }
        }
        Ok(())
    }

    /// Hands a sample to the worker of its series.
    #[inline]
    fn sample(&mut self, reference: u64, t: i64, start: i64, v: f64, histogram: Option<NativeHistogram>) {
        let Some(&id) = self.ids.get(&reference) else {
            if t >= self.oldest {
                self.unknown += 1;
            }
            return;
        };
        if self.out_of_order {
            let value = histogram.map_or(Value::Float(v), Value::Histogram);
            if self.head.out_of_order.insert(id, t, start, value) == Inserted::AddedAndCut {
                self.head.queue_full(vec![id]);
            }
            self.head.metrics.samples_replayed.fetch_add(1, Relaxed);
            return;
        }
        let worker = id as usize / PAGE_SLOTS % self.batches.len();
        let batch = &mut self.batches[worker];
        if let Some(h) = histogram {
            batch.histograms.push((batch.samples.len(), h));
        }
        if start != 0 || !batch.starts.is_empty() {
            batch.starts.resize(batch.samples.len(), 0);
            batch.starts.push(start);
        }
        batch.samples.push((id, t, v));
        if batch.samples.len() == BATCH {
            let full = std::mem::replace(batch, Batch::new());
            let _ = self.senders[worker].send(full); // a worker ends only after this side
        }
    }

    fn hand_over(&mut self) {
        for (batch, sender) in self.batches.iter_mut().zip(&self.senders) {
            if !batch.samples.is_empty() {
                let _ = sender.send(std::mem::replace(batch, Batch::new()));
            }
        }
    }

    fn finish(self) {
        let unknown = self.unknown;
        if unknown > 0 || self.skipped > 0 {
            tracing::warn!(
                samples_without_series = unknown,
                records_of_other_kinds = self.skipped,
                "parts of the write-ahead log were not replayed"
            );
        }
        self.head.metrics.wal_unknown_samples.fetch_add(unknown, Relaxed);
        self.head.exemplars.prepend(self.exemplars);
        self.head.old_refs.lock().ids = self.ids;
    }
}
