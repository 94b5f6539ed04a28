//! One history: random work on a database, until its process dies, again and again.

mod check;

pub(crate) use check::Totals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, MatchOp, Matcher};
use testkit::{Loss, ManualClock, Random, SimDisk};
use tsdb::chunk::Encodings;
use tsdb::disk::Disk;
use tsdb::wal::Compression;
use tsdb::{AppendError, Db, Options, Retention, WalSync};

use super::model::{Batch, Given, Model};
use super::read;
use check::Held;

/// Short blocks, so that a history of minutes goes through many of them.
pub(crate) const RANGE: i64 = 20_000;
const START: i64 = 1_700_000_000_000;
/// Where the database is.
pub(crate) const DIR: &str = "/data";

pub(crate) struct Run {
    pub(crate) random: Random,
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: Options,
    pub(crate) db: Option<Arc<Db>>,
    pub(crate) model: Model,
    pub(crate) totals: Totals,
    /// Whether calls may fail now without a crash.
    pub(crate) faulty: bool,
    /// Whether calls may fail with EIO now.
    pub(crate) io_fails: bool,
    refs: BTreeMap<Labels, u64>,
    held: Vec<Held>,
    /// Samples without series that the last start met: what a power cut left in the log of out-of-order samples stays there for a while.
    unknown: u64,
    /// Whether a process committed something before it was killed while it started, after the last power cut.
    early_since_cut: bool,
    /// Whether the database has refused a batch because of its disk.
    has_refused: bool,
    /// Exemplars of the batch that is being filled.
    pub(crate) filled: Vec<Given>,
    /// A batch that came before the log was replayed, and whether it was acknowledged.
    early: Option<(Batch, (u32, u32), bool)>,
    /// Blocks that this run of the database has removed because of their size.
    removed_by_size: u64,
    pub(crate) now: i64,
    tell: bool,
    /// Many series with long labels: records that span pages.
    pub(crate) wide: bool,
}

impl Run {
    pub(crate) fn new(seed: u64, tell: bool) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(random.bits());
        let clock = ManualClock::at(START);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.set_short_writes(*random.pick(&[0, 0, 10]));
        if random.chance(10) {
            disk.set_slow(10, 40, clock.clone());
        }
        let options = options(&mut random);
        let wide = random.chance(10);
        let totals = Totals { histories: 1, ..Totals::default() };
        let run = Run {
            random,
            disk,
            clock,
            options,
            db: None,
            model: Model::new(),
            totals,
            faulty: false,
            io_fails: false,
            refs: BTreeMap::new(),
            held: Vec::new(),
            unknown: 0,
            early_since_cut: false,
            has_refused: false,
            filled: Vec::new(),
            early: None,
            removed_by_size: 0,
            now: START,
            tell,
            wide,
        };
        run.say(|run| format!("options {:?}", run.options));
        run
    }

    pub(crate) fn say(&self, what: impl FnOnce(&Self) -> String) {
        if self.tell {
            eprintln!("[{:>6}] {}", self.disk.changes(), what(self));
        }
    }

    pub(crate) fn db(&self) -> &Arc<Db> {
        self.db.as_ref().unwrap()
    }

    /// A whole history: several lives, each ended by a crash; perhaps damage at the end.
    pub(crate) fn live(&mut self) {
        self.try_open();
        self.started(Loss::Nothing);
        for _ in 0..2 + self.random.below(6) {
            if self.random.chance(85) {
                let within = *self.random.pick(&[10, 60, 60, 250, 1000]);
                self.disk.crash_at(Some(self.disk.changes() + 1 + self.random.below(within)));
            }
            let mut steps = 20 + self.random.below(120);
            while steps > 0 && !self.disk.has_crashed() {
                self.step();
                steps -= 1;
            }
            self.crash();
        }
        self.disk.crash_at(None);
        self.check_all("at the end");
        self.check_leftovers();
        if self.random.chance(30) {
            self.damage();
        }
        self.totals.changes += self.disk.changes();
        self.count_metrics();
    }

    /// A history that ends within the given change, then goes on a little. False where it ended before.
    pub(crate) fn live_until(&mut self, change: u64, steps: usize) -> bool {
        self.disk.crash_at(Some(self.disk.changes() + change));
        self.try_open();
        for _ in 0..steps {
            if self.disk.has_crashed() {
                break;
            }
            self.step();
        }
        let crashed = self.disk.has_crashed();
        self.crash();
        for _ in 0..3 {
            self.append();
        }
        self.sync();
        self.close();
        self.check_all("after the crash and a clean end");
        self.check_leftovers();
        self.totals.changes += self.disk.changes();
        self.count_metrics();
        crashed
    }

    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..52 => self.append(),
            52..56 => self.append_badly(),
            56..64 => self.sync(),
            64..78 => self.maintain(),
            78..80 => self.close_ended(),
            80..84 => self.check_some(),
            84..85 => self.check_all("in between"),
            85..86 => self.clean(),
            86..89 => self.hold(),
            89..92 => self.release(),
            92..94 => self.close(),
            94..95 => self.snapshot(),
            95..96 => self.close(),
            96..97 => self.io_errors(),
            97..98 => self.full_disk(),
            98..99 => self.delete(),
            _ => self.append_across_maintenance(),
        }
    }

    pub(crate) fn advance(&mut self) {
        self.now =
            self.now.max(runtime::clock::Clock::now_ms(&*self.clock)) + 600 + self.random.below(6000) as i64;
        self.clock.set(self.now);
    }

    /// Fills a batch; what it takes is acknowledged once it is committed.
    fn fill(&mut self, appender: &mut tsdb::Appender) -> Batch {
        let mut batch = Batch::new();
        let size = if self.wide && self.random.chance(20) { 400 } else { 25 };
        let mut last: BTreeMap<Labels, i64> = BTreeMap::new();
        for _ in 0..self.random.below(size) {
            let labels = self.labels();
            let is_past = self.options.out_of_order_window_ms > 0 && self.random.chance(25);
            // rising times per series within the batch; sometimes several
            let t = match last.get(&labels) {
                _ if is_past => match self.past_time(&labels) {
                    Some(t) => t,
                    None => continue,
                },
                Some(_) if self.random.chance(80) => continue,
                Some(t) => t + 1 + self.random.below(50) as i64,
                None => self.now + self.random.below(400) as i64,
            };
            let reference = self.refs.get(&labels).copied().unwrap_or(0);
            let name = labels.get("__name__");
            let start = read::start_of(t);
            let (result, bits) = if name.starts_with('h') {
                let h = self.histogram(name == "hf");
                (appender.append_histogram_since(reference, &labels, start, t, &h), read::fingerprint(&h))
            } else {
                let v = self.value();
                (appender.append_since(reference, &labels, start, t, v), v.to_bits())
            };
            let Some(reference) = self.outcome("append", result) else { continue };
            self.refs.insert(labels.clone(), reference);
            self.model.given.entry(labels.clone()).or_default().insert(t);
            if is_past {
                self.model.past.insert((labels.clone(), t));
            } else {
                last.insert(labels.clone(), t);
                self.give_exemplar(appender, reference, &labels, t);
            }
            batch.push((labels, t, bits));
        }
        batch
    }

    fn wal_segment(&self) -> u32 {
        self.db().sizes().wal_segment
    }

    fn commit(&mut self, appender: tsdb::Appender, batch: Batch) {
        let before = self.wal_segment();
        let result = appender.commit();
        self.say(|_| format!("commit of {} samples: {result:?}", batch.len()));
        self.note_exemplars(result.is_ok());
        let past = batch.iter().filter(|(labels, t, _)| self.model.past.contains(&(labels.clone(), *t)));
        self.totals.past += past.count() as u64;
        match self.outcome("commit", result) {
            Some(()) => {
                self.totals.samples += batch.len() as u64;
                // an empty one does nothing
                let is_synced = self.options.wal_sync == WalSync::Always && !batch.is_empty();
                self.model.commit(batch, (before, self.wal_segment()));
                if is_synced {
                    self.model.synced();
                }
            }
            None => {
                self.has_refused = true;
                self.model.refused.push(batch);
            }
        }
    }

    pub(crate) fn append(&mut self) {
        self.advance();
        let mut appender = self.db().appender();
        let batch = self.fill(&mut appender);
        if self.random.chance(5) {
            appender.rollback();
            self.filled.clear();
        } else {
            self.commit(appender, batch);
        }
    }

    /// A batch that is open while a block is cut: samples that the block would have had are refused one by one.
    fn append_across_maintenance(&mut self) {
        self.advance();
        let mut appender = self.db().appender();
        let batch = self.fill(&mut appender);
        self.maintain();
        self.commit(appender, batch);
    }

    /// Samples that must be refused, and repetitions that must not.
    fn append_badly(&mut self) {
        let Some(newest) = self.model.newest() else { return };
        let at = self.random.index(self.model.series.len());
        let labels = self.model.series.keys().nth(at).unwrap().clone();
        let (t, bits) = self.model.newest_of(&labels).unwrap();
        let mut appender = self.db().appender();
        let window = self.options.out_of_order_window_ms;
        // after a power cut a block of late samples may be newer than all that the head knows of
        let in_head = self.db().sizes().head_max_time.unwrap_or_else(|| self.cut_from());
        // and where nothing in order is known, nothing is too old
        if in_head > i64::MIN {
            let too_old = appender.append(0, &labels, newest.min(in_head) - window - RANGE, 1.0);
            let expected = if window > 0 { AppendError::TooOld } else { AppendError::OutOfBounds };
            assert_eq!(too_old, Err(expected));
        }
        if window == 0
            && t > newest - RANGE / 2
            && t >= self.cut_from()
            && labels.get("__name__").starts_with('m')
        {
            let mut refused = |t, v| {
                let result = appender.append(0, &labels, t, v);
                let refused = matches!(
                    result,
                    Err(AppendError::Duplicate | AppendError::OutOfOrder | AppendError::OutOfBounds)
                );
                assert!(refused, "{labels} at {t}: {result:?}");
            };
            refused(t, 12.25);
            refused(t - 1, 12.25);
            let again = appender.append(0, &labels, t, f64::from_bits(bits));
            // the head still knows of newer ones that were deleted
            let is_late = again == Err(AppendError::OutOfOrder) && self.model.was_deleted_after(&labels, t);
            assert!(is_late || matches!(again, Ok(_) | Err(AppendError::OutOfBounds)), "{again:?}");
        }
        let nameless = appender.append(0, &Labels::empty(), self.now + 1000, 1.0);
        assert!(matches!(nameless, Err(AppendError::InvalidLabels(_))), "{nameless:?}");
        self.commit(appender, Batch::new());
    }

    pub(crate) fn sync(&mut self) {
        let result = self.db().sync();
        self.say(|_| format!("sync: {result:?}"));
        let done = self.outcome("sync", result).is_some();
        if self.io_fails {
            self.model.sync_failed(); // this one or one before it: what came between the two is not promised
        } else if done {
            self.model.synced();
        }
    }

    pub(crate) fn maintain(&mut self) {
        let result = self.db().maintain();
        self.say(|run| format!("maintain: {result:?}, {} blocks", run.db().blocks().len()));
        let _ = self.outcome("maintain", result);
        self.model.truncated();
        self.raise_floor();
    }

    fn close_ended(&mut self) {
        self.db().close_ended();
    }

    fn matchers(&mut self) -> Vec<Matcher> {
        let matchers = [
            Matcher::equal("__name__", format!("m{}", self.random.below(4))),
            Matcher::new(MatchOp::Regex, "__name__", "h.*|m2").unwrap(),
            Matcher::new(MatchOp::Regex, "i", "1.*|2").unwrap(),
            Matcher::new(MatchOp::NotEqual, "i", "3").unwrap(),
            Matcher::equal("pod", ""),
            Matcher::new(MatchOp::NotRegex, "pod", "p.*").unwrap(),
        ];
        matchers.into_iter().filter(|_| self.random.chance(40)).collect()
    }

    /// Deletes some series in some range, durably.
    fn delete(&mut self) {
        self.held.clear(); // what was selected before may show them or not
        let mut chosen = self.matchers();
        chosen.push(Matcher::new(MatchOp::Regex, "i", "[0-5].*").unwrap());
        let mint = self.now - self.random.below(12 * RANGE as u64) as i64;
        let maxt = mint + self.random.below(2 * RANGE as u64) as i64;
        let result = self.db().delete(&chosen, mint, maxt);
        self.say(|_| format!("delete {mint} to {maxt} of {chosen:?}: {result:?}"));
        let done = self.outcome("delete", result).is_some();
        self.totals.deletions += u64::from(done);
        self.model.delete(|labels| chosen.iter().all(|m| m.matches(labels.get(&m.name))), mint, maxt, done);
    }

    /// Rewrites blocks without what is deleted.
    fn clean(&mut self) {
        let result = self.db().clean_tombstones();
        self.say(|_| format!("clean: {result:?}"));
        let _ = self.outcome("clean", result);
    }

    /// A clean end, and a new start.
    pub(crate) fn close(&mut self) {
        self.held.clear();
        let result = self.db().close();
        self.say(|_| format!("close: {result:?}"));
        if self.outcome("close", result).is_some() {
            self.model.synced();
        }
        self.end();
        if !self.disk.has_crashed() {
            self.disk_restart(Loss::Nothing);
            self.reopen(Loss::Nothing);
        } else {
            self.crash();
        }
    }

    /// The process is gone.
    pub(crate) fn end(&mut self) {
        self.count_metrics();
        self.held.clear();
        self.refs.clear();
        self.db = None;
        self.removed_by_size = 0;
        self.model.ended();
        if let Some((batch, segments, acknowledged)) = self.early.take() {
            self.early_since_cut = true;
            // it died before anybody could look
            if acknowledged {
                self.model.commit(batch, segments);
            } else {
                self.model.refused.push(batch);
            }
        }
    }

    fn disk_restart(&mut self, loss: Loss) {
        let planned = self.disk.crash_at_planned();
        self.disk.restart(loss);
        if loss == Loss::Nothing {
            self.disk.crash_at(planned);
        }
    }

    /// The process was killed, or the power failed; then the database starts again, perhaps to die while it does.
    pub(crate) fn crash(&mut self) {
        self.end();
        self.faulty = false;
        let mut worst = Loss::Nothing;
        loop {
            let loss = *self.random.pick(&[
                Loss::Nothing,
                Loss::Nothing,
                Loss::Nothing,
                Loss::Unsynced,
                Loss::Suffixes,
                Loss::Anything,
            ]);
            match loss {
                Loss::Nothing => self.totals.kills += 1,
                _ => {
                    self.totals.power_cuts += 1;
                    worst = loss;
                    self.early_since_cut = false;
                }
            }
            self.say(|_| format!("crash: {loss:?}"));
            self.disk.restart(loss);
            if self.random.chance(25) {
                self.disk.crash_at(Some(self.disk.changes() + 1 + self.random.below(60)));
            }
            self.try_open();
            if !self.disk.has_crashed() {
                break;
            }
            self.totals.crashes_in_start += 1;
            self.end();
        }
        self.disk.crash_at(None);
        self.started(worst);
    }

    /// Opens after a clean end or a fault; a crash that is still planned may come now.
    pub(crate) fn reopen(&mut self, loss: Loss) {
        self.try_open();
        if self.disk.has_crashed() {
            self.totals.crashes_in_start += 1;
            self.crash();
        } else {
            self.started(loss);
        }
    }

    /// Opens and replays; sometimes new samples come first.
    fn try_open(&mut self) {
        let dir = PathBuf::from(DIR);
        let db = Db::open_on(Arc::new(self.disk.clone()), &dir, self.options.clone(), self.clock.clone());
        self.db = self.outcome("open", db);
        if self.db.is_none() {
            return;
        }
        if self.random.chance(25) {
            self.advance();
            let mut appender = self.db().appender();
            let batch = self.fill(&mut appender);
            let before = self.wal_segment();
            let result = self.outcome("commit before replay", appender.commit());
            self.say(|_| format!("committed {} samples before replay: {result:?}", batch.len()));
            self.note_exemplars(false);
            self.early = Some((batch, (before, self.wal_segment()), result.is_some()));
        }
        self.db().replay();
    }
}

fn options(random: &mut Random) -> Options {
    let window = if random.chance(40) { RANGE * 3 } else { 0 };
    Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(RANGE * 9),
        retention: Retention {
            time_ms: random.chance(20).then_some(RANGE * 6),
            // which of the blocks of a time went is not told
            bytes: (random.chance(10) && window == 0).then_some(150_000),
            percentage: None,
        },
        wal_sync: if random.chance(20) { WalSync::Always } else { WalSync::EverySecond },
        wal_segment_size: 32 * 1024 * (1 + random.below(3)),
        wal_compression: *random.pick(&[Compression::None, Compression::Snappy, Compression::Zstd]),
        memory_snapshot: random.chance(50),
        samples_per_chunk: 3 + random.below(12) as u16,
        compaction: random.chance(85),
        background: false,
        out_of_order_window_ms: window,
        exemplar_limit: *random.pick(&[0, 5, 100]),
        encodings: Encodings { xor2: random.chance(30), histogram_starts: random.chance(30) },
        start_timestamps: random.chance(50),
        ..Options::default()
    }
}
