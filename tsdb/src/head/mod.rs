//! The head: the newest samples of all series in memory, and the log that keeps them safe.

mod appender;
pub(crate) mod cut;
mod damage;
mod delete;
mod ended;
pub(crate) mod exemplars;
pub(crate) mod index;
mod isolation;
mod memory;
mod metadata;
mod numbers;
pub(crate) mod ooo;
pub(crate) mod pairs;
pub(crate) mod read;
mod refs;
pub(crate) mod replay;
pub(crate) mod series;
mod size;
pub(crate) mod start;
mod truncate;

pub use appender::Appender;
pub use size::HeadBytes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};

use model::Labels;
use parking_lot::{Mutex, RwLock};
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;

use crate::chunk::head_file::HeadChunks;
use crate::disk::{self, Disk};
use crate::error::{AppendError, Error};
use crate::metadata::MetadataMap;
use crate::options::Options;
use crate::spreads::timed;
use crate::stats::Metrics;
use crate::sync::GroupSync;
use crate::wal::{self, Wal, WalOptions};
use index::Index;
use isolation::Isolation;
use numbers::Numbers;
use refs::Refs;
use series::{CutRule, FullData, PAGE_SLOTS, Page};

/// Where the log lies in the database's directory.
pub(crate) const WAL_DIR: &str = "wal";
/// Where the log of samples lies that came out of order.
pub(crate) const WBL_DIR: &str = "wbl";
/// Where head chunk files lie.
pub(crate) const CHUNKS_DIR: &str = "chunks_head";

/// The log, as long as one thread writes to it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) wal: Wal,
    /// That of samples that came out of order, once there were any.
    pub(crate) wbl: Option<Wal>,
}

impl Log {
    /// The log of samples that came out of order; begun where there is none yet.
    fn wbl(
        &mut self,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        options: &Options,
        metrics: &Metrics,
    ) -> Result<&mut Wal, wal::Error> {
        let counted = WalOptions { counters: metrics.wbl.clone(), ..wal_options(options) };
        match &mut self.wbl {
            Some(wbl) => Ok(wbl),
            none => Ok(none.insert(Wal::open(disk.clone(), &dir.join(WBL_DIR), counted)?)),
        }
    }
}

fn wal_options(options: &Options) -> WalOptions {
    WalOptions {
        segment_size: options.wal_segment_size,
        compression: options.wal_compression,
        ..WalOptions::default()
    }
}

/// The newest samples of all series.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    clock: SharedClock,
    pub(crate) metrics: Arc<Metrics>,
    cut_rule: CutRule,
    /// The handle of series 0.
    base: u64,
    pub(crate) numbers: Numbers,
    next_id: AtomicU32,
    refs: Mutex<Refs>,
    pub(crate) index: RwLock<Index>,
    pages: RwLock<FxHashMap<u32, Arc<Page>>>,
    pub(crate) log: Mutex<Log>,
    pub(crate) chunks: Mutex<HeadChunks>,
    /// Held while chunks of a series are moved to files: none is written twice, and they come in order, as Prometheus wants them.
    flushing: Mutex<()>,
    /// Series with full chunks in memory. Bounded by the series: each flush empties it.
    full: Mutex<Vec<u32>>,
    isolation: Isolation,
    /// Files with nothing from this time on may go when all queriers are past this mark.
    unneeded: Mutex<Option<(i64, u64)>>,
    batches: Mutex<Vec<appender::Batch>>,
    /// Samples before it are refused.
    min_valid: AtomicI64,
    /// All before it is in blocks that queriers see.
    held_from: AtomicI64,
    /// Times of the samples held: `i64::MAX` and `i64::MIN` where there are none.
    min_time: AtomicI64,
    max_time: AtomicI64,
    /// Newest sample when ended series left early for the last time; `i64::MIN` before.
    ended_left: AtomicI64,
    /// Series that left early, and the log's segment of that time: older ones name them.
    left: Mutex<Vec<(u32, u32)>>,
    pub(crate) replay: replay::Progress,
    group_sync: GroupSync,
    /// What is deleted of the samples held.
    deleted: delete::Deleted,
    pub(crate) out_of_order: ooo::OutOfOrder,
    pub(crate) exemplars: exemplars::Exemplars,
    /// What series are.
    described: RwLock<MetadataMap<u32>>,
    /// Numbers of earlier runs' logs, as long as their segments or a checkpoint hold them.
    old_refs: Mutex<replay::OldRefs>,
}

impl Head {
    /// Opens the log for appending behind what is there; [`replay::run`] then reads what is there.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        metrics: Arc<Metrics>,
        min_valid: i64,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        let (wal_dir, wbl_dir) = (dir.join(WAL_DIR), dir.join(WBL_DIR));
        start::clear_the_way(&*disk, dir, &metrics);
        start::or_without(
            wal::checkpoint::remove_unfinished(&*disk, &wal_dir),
            "remove unfinished checkpoints",
        );
        for dir in [&wal_dir, &wbl_dir] {
            start::or_without(damage::finish_setting_aside(&*disk, dir), "finish setting damage aside");
        }
        let segments = start::or_without(wal::segments(&*disk, &wal_dir), "list the log");
        let checkpoint = start::or_without(wal::checkpoint::last(&*disk, &wal_dir), "look for a checkpoint");
        let covered = checkpoint.as_ref().map(|(_, covered)| *covered);
        let refs = Refs::open(disk.clone(), dir, segments.last().copied().max(covered));
        let missing = start::missing(&wal_dir, &segments, covered, refs.earlier_held());
        if let (Some(wal::Error::Missing { first, last, .. }), Some(begin)) =
            (missing.first(), segments.first())
            && last < begin
        {
            // said once
            let filled = wal::fill(&*disk, &wal_dir, *first..*last + 1);
            start::or_without(filled, "put empty segments where some are missing");
        }
        let min_valid = refs.cut().map_or(min_valid, |cut| cut.max(min_valid));
        let counted = WalOptions { counters: metrics.wal.clone(), ..wal_options(&options) };
        let (wal, refused) = Wal::open_when_possible(disk.clone(), &wal_dir, counted);
        if let Some(error) = refused {
            metrics.wal_writes_failed.fetch_add(1, Relaxed);
            tracing::error!(%error, "the log cannot be written: no sample can be accepted until that works");
        }
        let wbl_segments = start::or_without(wal::segments(&*disk, &wbl_dir), "list the log of late samples");
        let mut log = Log { wal, wbl: None };
        if !wbl_segments.is_empty() {
            let opened = log.wbl(&disk, dir, &options, &metrics).map(drop);
            start::or_without(opened, "open the log of late samples for writing: that is tried again");
        }
        let unfinished = replay::files::clear_unfinished(&*disk, dir);
        let unfinished = start::or_without(unfinished, "look for head chunks of an interrupted start");
        let snapshot = memory::take(&*disk, dir, !unfinished, &refs);
        let snapshot = start::or_without(snapshot, "take a snapshot of the memory");
        let logs = replay::Logs { checkpoint, segments, wbl_segments, missing, snapshot };
        let replay = replay::Progress::new(logs, clock.now_ms());
        let out_of_order = ooo::OutOfOrder::new(options.out_of_order_window_ms, options.encodings);
        let exemplars = exemplars::Exemplars::new(options.exemplar_limit);
        let mut chunks = HeadChunks::open(disk.clone(), &dir.join(replay::files::NEXT_CHUNKS_DIR));
        start::or_without(chunks.for_each(|_| {}), "read the head chunks that could not be removed");
        let cut_rule = CutRule {
            samples: options.samples_per_chunk.max(2),
            range_ms: options.min_block_duration_ms,
            encodings: options.encodings,
        };
        Ok(Head {
            disk,
            dir: dir.to_owned(),
            options,
            clock,
            metrics,
            cut_rule,
            base: refs.base(),
            numbers: Numbers::new(refs.base()),
            next_id: AtomicU32::new(0),
            refs: Mutex::new(refs),
            index: RwLock::default(),
            pages: RwLock::default(),
            log: Mutex::new(log),
            chunks: Mutex::new(chunks),
            flushing: Mutex::default(),
            full: Mutex::default(),
            isolation: Isolation::default(),
            unneeded: Mutex::default(),
            batches: Mutex::default(),
            min_valid: AtomicI64::new(min_valid),
            held_from: AtomicI64::new(min_valid),
            min_time: AtomicI64::new(i64::MAX),
            max_time: AtomicI64::new(i64::MIN),
            ended_left: AtomicI64::new(i64::MIN),
            left: Mutex::default(),
            replay,
            group_sync: GroupSync::default(),
            deleted: delete::Deleted::default(),
            out_of_order,
            exemplars,
            described: RwLock::default(),
            old_refs: Mutex::default(),
        })
    }

    /// The handle by which appenders know a series in this run.
    #[inline]
    pub(crate) fn reference(&self, id: u32) -> u64 {
        self.base + u64::from(id)
    }

    /// The series of a handle.
    #[inline]
    pub(crate) fn id_of(&self, reference: u64) -> Option<u32> {
        reference.checked_sub(self.base).and_then(|id| u32::try_from(id).ok())
    }

    /// The number that the log has for the series of a handle.
    #[inline]
    fn number_of(&self, handle: u64) -> u64 {
        self.numbers.of((handle - self.base) as u32)
    }

    #[inline]
    pub(crate) fn page(&self, number: u32) -> Option<Arc<Page>> {
        self.pages.read().get(&number).cloned()
    }

    /// The series with these labels, made where it is missing.
    pub(crate) fn get_or_create(&self, labels: &Labels) -> Result<u32, AppendError> {
        if let Some(id) = self.index.read().find(labels) {
            return Ok(id);
        }
        check_labels(labels)?;
        let mut index = self.index.write();
        if let Some(id) = index.find(labels) {
            return Ok(id);
        }
        let id = self.next_id.load(Relaxed);
        if id == u32::MAX {
            return Err(AppendError::Storage(
                "4,294,967,295 series were created: restart to create more".to_owned(),
            ));
        }
        self.next_id.store(id + 1, SeqCst);
        let (number, slot) = (id / PAGE_SLOTS as u32, id as usize % PAGE_SLOTS);
        let page = self.page(number).unwrap_or_else(|| {
            let page = Page::new();
            self.pages.write().insert(number, page.clone());
            page
        });
        page.put(slot);
        index.insert(id, labels);
        self.metrics.series_created.fetch_add(1, Relaxed);
        Ok(id)
    }

    /// Makes sure that no later run takes the numbers of these series: to be called before a log names them.
    pub(crate) fn take_numbers(&self, ids: impl Iterator<Item = u32>) -> Result<(), disk::Error> {
        ids.max().map_or(Ok(()), |highest| self.refs.lock().take(highest))
    }

    /// All before it is in blocks that queriers see.
    pub(crate) fn held_from(&self) -> i64 {
        self.held_from.load(SeqCst)
    }

    /// Notes how far it has been cut; before the newest block goes, which says that otherwise.
    pub(crate) fn note_cut(&self) -> Result<(), Error> {
        Ok(self.refs.lock().note_cut(self.held_from())?)
    }

    /// Commits so far, and those that the oldest open querier sees.
    pub(crate) fn watermarks(&self) -> (u64, u64) {
        self.isolation.watermarks()
    }

    /// Samples before it are refused: they are in blocks, or a block of that time is being cut.
    pub(crate) fn min_valid(&self) -> i64 {
        self.min_valid.load(SeqCst)
    }

    /// Samples before this are refused: they could belong into a block that is cut already.
    pub(crate) fn appendable_from(&self) -> i64 {
        let newest = self.max_time.load(Relaxed);
        self.min_valid().max(newest.saturating_sub(self.options.min_block_duration_ms / 2))
    }

    /// Oldest and newest time of the samples held; none where there are none.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let (min, max) = (self.min_time.load(SeqCst), self.max_time.load(SeqCst));
        (min <= max).then_some((min, max))
    }

    pub(crate) fn note_times(&self, mint: i64, maxt: i64) {
        if mint < self.min_time.load(Relaxed) {
            self.min_time.fetch_min(mint, SeqCst);
        }
        if maxt > self.max_time.load(Relaxed) {
            self.max_time.fetch_max(maxt, SeqCst);
        }
    }

    pub(crate) fn queue_full(&self, series: Vec<u32>) {
        if !series.is_empty() {
            self.full.lock().extend(series);
        }
    }

    /// Moves full chunks from memory to head chunk files.
    ///
    /// # Errors
    /// Where a file could not be written: the chunks stay in memory, and the next call tries again.
    pub(crate) fn flush_full(&self) -> Result<(), Error> {
        let mut queue = std::mem::take(&mut *self.full.lock());
        let mut waiting = Vec::new();
        let mut flushed = Ok(());
        while let Some(id) = queue.pop() {
            match self.flush_series(id) {
                Ok(true) => {}
                Ok(false) => waiting.push(id),
                Err(error) => {
                    queue.push(id);
                    flushed = Err(error);
                    break;
                }
            }
        }
        // else the end of replay finds them again: they must not make each flush until then longer
        if self.numbers.is_joined() {
            queue.append(&mut waiting);
        }
        self.queue_full(queue);
        flushed
    }

    /// Moves the full chunks of a series; false where it has some that must wait for the end of replay, as those before them do not stand in
    /// the files yet, or replay may still find the number for them.
    fn flush_series(&self, id: u32) -> Result<bool, Error> {
        let _one_at_a_time = self.flushing.lock();
        let Some(number) = self.numbers.of_chunks(id) else { return Ok(false) };
        let is_joined = self.numbers.is_joined();
        self.flush_out_of_order(id, number)?;
        let Some(page) = self.page(id / PAGE_SLOTS as u32) else { return Ok(true) };
        let Some(series) = page.series(id as usize % PAGE_SLOTS) else { return Ok(true) };
        let mut all = true;
        let in_memory: Vec<_> = {
            let state = series.state.lock();
            all &= is_joined || state.chain.full.is_empty();
            let chains = state.replayed.as_deref().into_iter().chain(is_joined.then_some(&state.chain));
            let chunks = chains.flat_map(|c| &c.full);
            chunks
                .filter_map(|c| match &c.data {
                    FullData::Memory(encoding, data) => Some((c.mint, c.maxt, *encoding, data.clone())),
                    FullData::File(_) => None,
                })
                .collect()
        };
        for (mint, maxt, encoding, data) in in_memory {
            let written = self.chunks.lock().write(number, mint, maxt, encoding, &data)?;
            self.metrics.chunks_mapped.fetch_add(1, Relaxed);
            let mut state = series.state.lock();
            let chunk = state.chains_mut().flat_map(|c| &mut c.full).find(|c| match &c.data {
                FullData::Memory(_, held) => Arc::ptr_eq(held, &data),
                FullData::File(_) => false,
            });
            if let Some(chunk) = chunk {
                chunk.data = FullData::File(written);
            }
        }
        Ok(all)
    }

    /// [`Head::sync`], once for all who call it at the same time.
    pub(crate) fn sync_shared(&self) -> Result<(), Error> {
        self.group_sync.run(|| self.sync())
    }

    /// To be called before anything is logged: where syncing failed, the log may have lost the names of series too, and all are logged
    /// anew when they come again.
    pub(crate) fn prepare_log(&self, log: &mut Log) -> Result<(), wal::Error> {
        if log.wal.begin_anew_after_failed_sync()? {
            let ids: Vec<u32> = self.index.read().ids().to_vec();
            self.with_series(&ids, |_, page, slot| {
                if let Some(series) = page.series(slot) {
                    series.logged.store(false, Relaxed);
                }
            });
        }
        Ok(())
    }

    /// Makes all that was committed survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        // The syncer is taken under the lock, the wait is not: commits go on meanwhile.
        let (syncer, wbl, segment) = {
            let log = self.log.lock();
            let segment = log.wal.is_open().then(|| log.wal.last_segment());
            (log.wal.syncer(), log.wbl.as_ref().map(Wal::syncer), segment)
        };
        let note = |now, took| self.metrics.spreads.wal_fsync_seconds.observe(now, took);
        timed(&*self.clock, note, || syncer.sync())?;
        if let Some(wbl) = wbl {
            let note = |now, took| self.metrics.spreads.wbl_fsync_seconds.observe(now, took);
            timed(&*self.clock, note, || wbl.sync())?;
        }
        self.metrics.wal_fsyncs.fetch_add(1, Relaxed);
        if let Some(segment) = segment {
            self.refs.lock().note_segment(segment)?;
        }
        Ok(())
    }
}

/// Whether labels may name a series: some, without duplicates, not too many.
fn check_labels(labels: &Labels) -> Result<(), AppendError> {
    let invalid = |why: String| Err(AppendError::InvalidLabels(why));
    if labels.is_empty() {
        return invalid("empty labelset".to_owned());
    }
    let mut last = "";
    for (i, (name, _)) in labels.iter().enumerate() {
        if name.is_empty() {
            return invalid("empty label name".to_owned());
        }
        if i > 0 && name <= last {
            return invalid(format!("label name {name:?} is not unique"));
        }
        if i >= pairs::MAX_LABELS {
            return invalid(format!("more than {} labels", pairs::MAX_LABELS));
        }
        last = name;
    }
    Ok(())
}
