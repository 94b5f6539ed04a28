//! The database: opens a directory, keeps it in order in the background, closes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use runtime::clock::SharedClock;

use crate::block::{self, Block, BlockMeta};
use crate::disk::{self, Disk, RealDisk};
use crate::error::Error;
use crate::head::exemplars::Exemplar;
use crate::head::replay::{self, ReplayStatus};
use crate::head::{Appender, Head, start};
use crate::options::{Options, Retention};
use crate::query::Querier;
use crate::query::selections::Selections;
use crate::spreads::timed;
use crate::stats::Metrics;

/// A power cut loses at most a second: this, and the time for the sync that runs and the one that follows.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// How often the background thread looks whether something is due; cheap where nothing is.
const MAINTAIN_INTERVAL: Duration = Duration::from_secs(1);
/// After a failure, so many rounds pass before all is tried again: a compaction that fails late costs much.
const RETRY_ROUNDS: u32 = 15;
/// Every so many rounds, ended series are looked for.
const CLOSE_ENDED_ROUNDS: u32 = 30;

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) clock: SharedClock,
    pub(crate) head: Arc<Head>,
    /// The open blocks, by their first time.
    pub(crate) blocks: ArcSwap<Vec<Arc<Block>>>,
    /// Held while blocks are made, removed or linked.
    pub(crate) maintenance: Mutex<()>,
    /// What queries found.
    pub(crate) selections: Selections,
    pub(crate) retention: Mutex<Retention>,
    /// What the log still holds before this time is not needed.
    log_due: Mutex<Option<i64>>,
    /// Whether the list of uploaded blocks could not be read the last time.
    uploads_unknown: AtomicBool,
    stopping: Mutex<bool>,
    wake: Condvar,
}

/// An open database. Dropped without [`Db::close`], it leaves the directory as a killed process would.
#[derive(Debug)]
pub struct Db {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Box<dyn disk::Lock>,
}

impl Db {
    /// Opens a directory, made where it is missing. Returns at once: samples are taken while the log of the run before is
    /// replayed beside.
    ///
    /// # Errors
    /// Where another process has the directory, or it cannot be used at all: it is no directory, or access to it is denied. Nothing else
    /// stops it: what is damaged, missing or cannot be read is logged, counted and set aside; on a full disk samples are refused until there is room.
    pub fn open(dir: &Path, options: Options, clock: SharedClock) -> Result<Arc<Self>, Error> {
        Db::open_on(Arc::new(RealDisk), dir, options, clock)
    }

    /// [`Db::open`], on a disk of the caller's choice.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        clock: SharedClock,
    ) -> Result<Arc<Self>, Error> {
        if options.out_of_order_window_ms < 0 {
            return Err(Error::Option("the out-of-order window must not be negative".to_owned()));
        }
        if options.min_block_duration_ms <= 0 {
            return Err(Error::Option("the block duration must be positive".to_owned()));
        }
        let is_new = !disk.exists(dir);
        disk.create_dir_all(dir)?;
        let path = dir.join("lock");
        let lock = disk.lock(&path)?.ok_or(Error::Locked { path })?;
        let metrics = Arc::new(Metrics::default());
        metrics.clean_start.store(!lock.was_left_behind(), Relaxed);
        metrics.reloads.fetch_add(1, Relaxed); // of the blocks, just below
        start::or_without(crate::snapshot::remove_leftovers(&*disk, dir), "remove unfinished snapshots");
        let blocks = crate::blocks::open_all(&disk, dir, &metrics)?;
        // Other blocks may reach into the time of the head, and say nothing of how far it has been cut.
        let whole = blocks.iter().filter(|b| !crate::compact::is_early(b.meta()));
        let min_valid = whole.map(|b| b.meta().max_time).max().unwrap_or(i64::MIN);
        let head = Head::open(disk.clone(), dir, options.clone(), metrics, min_valid, clock.clone())?;
        // A log that survives a power cut is of no use in a directory that does not.
        let parent = dir.parent().filter(|p| is_new && !p.as_os_str().is_empty());
        for dir in std::iter::once(dir).chain(parent) {
            start::or_without(disk.sync_dir(dir), "make the directory durable");
        }
        let inner = Arc::new(Inner {
            disk,
            dir: dir.to_owned(),
            clock,
            head: Arc::new(head),
            blocks: ArcSwap::from_pointee(blocks),
            maintenance: Mutex::default(),
            selections: Selections::new(options.selection_cache_bytes),
            log_due: Mutex::default(),
            retention: Mutex::new(options.retention),
            uploads_unknown: AtomicBool::new(false),
            options,
            stopping: Mutex::new(false),
            wake: Condvar::new(),
        });
        let db = Db { inner, threads: Mutex::default(), lock };
        if db.inner.options.background {
            db.start_thread("tsdb-replay", Inner::replay)?;
            db.start_thread("tsdb-sync", Inner::sync_loop)?;
            db.start_thread("tsdb-maintain", Inner::maintain_loop)?;
        }
        Ok(Arc::new(db))
    }

    fn start_thread(&self, name: &str, work: impl FnOnce(&Inner) + Send + 'static) -> Result<(), Error> {
        let inner = self.inner.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&inner))
            .map_err(|source| Error::System { action: "start a thread", source })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Begins a batch of samples.
    pub fn appender(&self) -> Appender {
        Appender::new(self.inner.head.clone())
    }

    /// Reads what is there now.
    pub fn querier(&self) -> Querier {
        Querier::new(self.inner.clone())
    }

    /// Changes how much older than the newest sample of all a sample may be that comes out of order, in milliseconds; 0: none is taken.
    pub fn set_out_of_order_window(&self, window_ms: i64) {
        self.inner.head.out_of_order.set_window(window_ms.max(0));
    }

    /// Changes how many exemplars are kept; 0: none.
    pub fn set_exemplar_limit(&self, limit: usize) {
        self.inner.head.exemplars.set_limit(limit);
    }

    /// The exemplars with `mint <= t <= maxt` (milliseconds) of the series that satisfy all matchers of some set: in order of the
    /// labels, then of time.
    pub fn exemplars(
        &self,
        matcher_sets: &[Vec<model::Matcher>],
        mint: i64,
        maxt: i64,
    ) -> Vec<(model::Labels, Vec<Exemplar>)> {
        self.inner.head.exemplars.select(matcher_sets, mint, maxt)
    }

    /// How far the replay of the log is.
    pub fn replay_status(&self) -> ReplayStatus {
        self.inner.head.replay.status()
    }

    /// Waits until the log is replayed, at most so long; says whether it is.
    pub fn wait_for_replay(&self, patience: std::time::Duration) -> bool {
        self.inner.head.replay.wait(patience)
    }

    /// The open blocks, by their first time.
    pub fn blocks(&self) -> Vec<BlockMeta> {
        self.inner.blocks.load().iter().map(|b| b.meta_now()).collect()
    }

    /// Makes all that was committed before the call survive a power cut. The database does this itself in the
    /// background, once a second. Callers at the same time share one sync.
    ///
    /// # Errors
    /// Where the log could not be synced: what was committed may be lost by a power cut.
    pub fn sync(&self) -> Result<(), Error> {
        self.inner.head.sync_shared()
    }

    /// How the log is compressed.
    pub fn wal_compression(&self) -> crate::wal::Compression {
        self.inner.options.wal_compression
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Does what is due now: cuts blocks from the head, compacts blocks, removes old ones. The database does this itself
    /// in the background too.
    ///
    /// # Errors
    /// Where something could not be written: nothing is lost, and the next call tries again.
    pub fn maintain(&self) -> Result<(), Error> {
        self.inner.maintain()
    }

    /// Replays the log on this thread, for a database without threads of its own ([`Options::background`]).
    pub fn replay(&self) {
        if !self.inner.options.background && !self.inner.head.replay.is_done() {
            replay::run(&self.inner.head);
        }
    }

    /// Ends the open chunks of series that ended with a staleness mark. The database does this itself in the background too.
    pub fn close_ended(&self) {
        self.inner.head.close_ended();
    }

    /// Ends the background work, then makes all durable, and takes the lock's file away. With [`Options::memory_snapshot`] it leaves a snapshot of the memory; where that
    /// cannot be written, that is logged, and the next start replays the log.
    ///
    /// # Errors
    /// Where the log could not be synced.
    pub fn close(&self) -> Result<(), Error> {
        self.stop();
        self.inner.head.sync()?;
        if self.inner.options.memory_snapshot
            && let Err(error) = self.inner.head.write_memory_snapshot()
        {
            tracing::warn!(%error, "cannot write a snapshot of the memory: the next start replays the log");
        }
        match self.lock.remove_file() {
            Err(error) if !error.is_not_found() => {
                tracing::warn!(%error, "cannot take the lock's file away: the next start takes this for a crash");
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&self) {
        self.inner.head.replay.stop();
        *self.inner.stopping.lock() = true;
        self.inner.wake.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the database panicked");
            }
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn head(&self) -> &Head {
        &self.inner.head
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    /// Waits; true where the database is being closed.
    fn wait(&self, time: Duration) -> bool {
        let mut stopping = self.stopping.lock();
        if !*stopping {
            self.wake.wait_for(&mut stopping, time);
        }
        *stopping
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.lock()
    }

    fn replay(&self) {
        replay::run(&self.head);
        if self.head.replay.is_done() {
            let (metrics, series) = (&self.head.metrics, self.head.index.read().ids().len());
            let (samples, seconds) = (metrics.samples_replayed.load(Relaxed), metrics.replay_seconds.get());
            let snapshot = metrics.snapshots_used.load(Relaxed) > 0;
            tracing::info!(seconds, series, samples, snapshot, "replayed the log of the runs before");
        }
    }

    fn sync_loop(&self) {
        let mut failing = false;
        while !self.wait(SYNC_INTERVAL) {
            let result = self.head.sync();
            if let Err(error) = &result {
                self.head.metrics.wal_fsync_failures.fetch_add(1, Relaxed);
                if !failing {
                    tracing::error!(%error, "cannot sync the write-ahead log: a power cut would lose what came since");
                }
            }
            failing = result.is_err();
        }
    }

    fn maintain_loop(&self) {
        let mut failing = false;
        let mut round = 0u32;
        while !self.wait(MAINTAIN_INTERVAL) {
            round = round.wrapping_add(1);
            if round.is_multiple_of(CLOSE_ENDED_ROUNDS) && self.head.replay.is_done() {
                self.head.close_ended();
            }
            if failing && !round.is_multiple_of(RETRY_ROUNDS) {
                let _ = self.head.flush_full(); // memory first; its error comes with the next full round
                continue;
            }
            let result = self.maintain();
            if let Err(error) = &result
                && !failing
            {
                tracing::error!(%error, "cannot maintain the storage: trying again, nothing is lost");
            }
            failing = result.is_err();
        }
    }

    fn maintain(&self) -> Result<(), Error> {
        let _one_at_a_time = self.maintenance.lock();
        let flushed = self.head.flush_full();
        if !self.head.replay.is_done() {
            return flushed;
        }
        let result = flushed
            .and_then(|()| self.head.remove_unneeded_files())
            .and_then(|()| self.cut_due_blocks())
            .and_then(|()| self.cut_ended())
            .and_then(|()| self.compact_blocks());
        if result.is_err() {
            self.head.metrics.compactions_failed.fetch_add(1, Relaxed);
        }
        // Also where there was no room for all that: this makes room.
        self.apply_retention()?;
        result
    }

    /// Writes a block under a new name; that is timed.
    pub(crate) fn write_block<T>(&self, write: impl FnOnce(ulid::Ulid) -> T) -> T {
        let metrics = &self.head.metrics;
        let ulid = crate::blocks::new_ulid(&*self.disk, self.clock.now_ms());
        metrics.blocks_in_writing.fetch_add(1, Relaxed);
        let note = |_, took| metrics.spreads.compaction_seconds.observe(took);
        let written = timed(&*self.clock, note, || write(ulid));
        metrics.blocks_in_writing.fetch_sub(1, Relaxed);
        written
    }

    /// Cuts blocks from the head while it is long enough.
    fn cut_due_blocks(&self) -> Result<(), Error> {
        if self.head.due_block().is_some() || self.log_due.lock().is_some() {
            // First. The log says what of these samples is deleted; and some of them it may have among those in order, where a
            // start takes all for ones in blocks that are older than the end of the head's last block.
            self.cut_out_of_order()?;
        }
        while let Some((mint, maxt)) = self.head.due_block() {
            if self.is_stopping() {
                break;
            }
            // Stragglers could still come into the range; from here on they cannot.
            self.head.refuse_before(maxt);
            let written = self.write_block(|ulid| self.head.write_block(&self.dir, ulid, (mint, maxt)))?;
            if let Some(meta) = &written {
                self.add_block(meta)?;
                tracing::info!(block = %meta.ulid, mint, maxt, samples = meta.stats.num_samples, "cut a block from the head");
            }
            self.head.truncate(maxt).inspect_err(|_| {
                self.head.metrics.head_truncations_failed.fetch_add(1, Relaxed);
            })?;
            self.head.metrics.head_compactions.fetch_add(1, Relaxed);
            *self.log_due.lock() = Some(maxt);
        }
        // Once for all of them: a crash in between only has more to replay. Where it fails, the next round tries again.
        let mut due = self.log_due.lock();
        if let Some(maxt) = *due {
            self.head.truncate_log(maxt)?;
            *due = None;
        }
        Ok(())
    }

    /// Cuts blocks of the samples that came out of order; they may overlap others.
    fn cut_out_of_order(&self) -> Result<(), Error> {
        let Some(taken) = self.head.take_out_of_order()? else { return Ok(()) };
        for &mint in &taken.blocks {
            let maxt = mint.saturating_add(self.options.min_block_duration_ms);
            let write = |ulid| self.head.write_out_of_order_block(&self.dir, ulid, (mint, maxt), &taken);
            if let Some(meta) = self.write_block(write)? {
                self.add_block(&meta)?;
                tracing::info!(block = %meta.ulid, mint, maxt, samples = meta.stats.num_samples, "cut a block of out-of-order samples");
            }
        }
        self.head.forget_out_of_order(&taken)
    }

    /// Moves series that ended from the head to a block of their own. Not where another program compacts: it would have to merge
    /// blocks that overlap.
    fn cut_ended(&self) -> Result<(), Error> {
        let options = &self.options;
        let levels = options.max_block_duration() > options.min_block_duration_ms;
        if !(options.compaction && options.overlapping_compaction && levels)
            || options.delay_compact_file.is_some()
        {
            return Ok(());
        }
        let ended = self.head.ended_due();
        if ended.is_empty() {
            return Ok(());
        }
        if let Some(meta) = self.write_block(|ulid| self.head.write_ended(&self.dir, ulid, &ended))? {
            self.add_block(&meta)?;
            tracing::info!(block = %meta.ulid, series = meta.stats.num_series, samples = meta.stats.num_samples, "cut a block of series that ended");
        }
        self.head.forget_ended(&ended)
    }

    fn add_block(&self, meta: &BlockMeta) -> Result<(), Error> {
        self.put_in_place_of(&[], Some(meta))
    }

    /// Opens a new block (none where nothing was left) and removes those it was made of. The new one is durable by now.
    pub(crate) fn put_in_place_of(
        &self,
        parents: &[Arc<Block>],
        made: Option<&BlockMeta>,
    ) -> Result<(), Error> {
        let open = |meta: &BlockMeta| Block::open(self.disk.clone(), &self.dir.join(meta.ulid.to_string()));
        let block = made.map(open).transpose().inspect_err(|_| {
            self.head.metrics.reloads_failed.fetch_add(1, Relaxed);
        })?;
        let block = block.map(Arc::new);
        let out: Vec<ulid::Ulid> = parents.iter().map(|b| b.meta().ulid).collect();
        self.replace_blocks(&out, block);
        for parent in parents {
            block::remove(&*self.disk, parent.dir())?;
        }
        Ok(())
    }

    /// Takes blocks out of the list, and puts one in.
    pub(crate) fn replace_blocks(&self, out: &[ulid::Ulid], new: Option<Arc<Block>>) {
        let mut blocks: Vec<Arc<Block>> =
            self.blocks.load().iter().filter(|b| !out.contains(&b.meta().ulid)).cloned().collect();
        blocks.extend(new);
        blocks.sort_by_key(|b| (b.meta().min_time, b.meta().ulid));
        self.selections.keep_blocks(|ulid| blocks.iter().any(|b| b.meta().ulid == *ulid));
        self.blocks.store(Arc::new(blocks));
        self.head.metrics.reloads.fetch_add(1, Relaxed);
    }

    /// Compacts blocks, level by level, until nothing is due.
    fn compact_blocks(&self) -> Result<(), Error> {
        let metrics = &self.head.metrics;
        metrics.compactions_triggered.fetch_add(1, Relaxed);
        if !self.options.compaction {
            metrics.compactions_skipped.fetch_add(1, Relaxed);
            return Ok(());
        }
        let ranges =
            crate::compact::ranges(self.options.min_block_duration_ms, self.options.max_block_duration());
        while !self.is_stopping() {
            let blocks = self.blocks.load_full();
            let plan = self.plan(&blocks, &ranges);
            if plan.is_empty() {
                break;
            }
            let parents: Vec<Arc<Block>> =
                blocks.iter().filter(|b| plan.contains(&b.meta().ulid)).cloned().collect();
            let encodings = self.options.encodings;
            let write = |ulid| crate::compact::compact(&self.disk, &self.dir, ulid, &parents, encodings);
            let made = self.write_block(write).inspect_err(|error| note_failure(&parents, error))?;
            self.put_in_place_of(&parents, made.as_ref())?;
            metrics.compactions.fetch_add(1, Relaxed);
            let overlap = |pair: &[Arc<Block>]| pair[0].meta().max_time > pair[1].meta().min_time;
            if parents.windows(2).any(overlap) {
                metrics.vertical_compactions.fetch_add(1, Relaxed);
            }
            tracing::info!(parents = plan.len(), block = ?made.map(|m| m.ulid.to_string()), "compacted blocks");
        }
        Ok(())
    }

    /// Which blocks are compacted next.
    fn plan(&self, blocks: &[Arc<Block>], ranges: &[i64]) -> Vec<ulid::Ulid> {
        let mut metas: Vec<BlockMeta> = blocks.iter().map(|b| b.meta_now()).collect();
        // Further ones of the same time are to come: they are merged once. And what is merged with others does not say any more that
        // the head may still have samples of its time: a start would take them for samples that are in blocks.
        let cut_to = self.head.min_valid();
        metas.retain(|m| !crate::compact::is_early(m) || m.max_time <= cut_to);
        let choose = |metas: &[BlockMeta]| {
            crate::compact::plan(
                &metas.iter().collect::<Vec<_>>(),
                ranges,
                self.options.overlapping_compaction,
            )
        };
        let plan = choose(&metas);
        let Some(path) = self.options.delay_compact_file.as_ref().filter(|_| !plan.is_empty()) else {
            return plan;
        };
        let uploaded = self.uploaded(path);
        // As Prometheus does: what was made after the first block that must wait, waits too.
        metas.sort_by_key(|m| m.ulid);
        let waits = |m: &BlockMeta| m.compaction.level <= 1 && !uploaded.contains(&m.ulid.to_string());
        let ready = metas.iter().position(waits).unwrap_or(metas.len());
        choose(&metas[..ready])
    }

    /// The blocks that Thanos says it has uploaded; none where its file cannot be read.
    fn uploaded(&self, path: &Path) -> Vec<String> {
        #[derive(serde::Deserialize)]
        struct Shipper {
            #[serde(default)]
            uploaded: Vec<String>,
        }
        let read = self.disk.read(path).map_err(|e| e.to_string());
        let shipper = read.and_then(|b| serde_json::from_slice::<Shipper>(&b).map_err(|e| e.to_string()));
        let failed_before = self.uploads_unknown.swap(shipper.is_err(), Relaxed);
        match shipper {
            Ok(shipper) => shipper.uploaded,
            Err(error) => {
                if !failed_before {
                    tracing::warn!(path = %path.display(), error, "cannot read which blocks were uploaded: new blocks wait for compaction");
                }
                Vec::new()
            }
        }
    }
}

/// A compaction that met damage would fail again: the damaged block is left out of further ones. Its samples stay readable,
/// but for what is damaged.
fn note_failure(parents: &[Arc<Block>], error: &block::Error) {
    let block::Error::Corrupt { path, .. } = error else { return };
    for parent in parents.iter().filter(|b| path.starts_with(b.dir())) {
        tracing::error!(%error, block = %parent.meta().ulid, "a damaged block cannot be compacted: it is left out from now on");
        if let Err(error) = parent.set_failed() {
            tracing::warn!(%error, "cannot write that into its meta.json");
        }
    }
}
