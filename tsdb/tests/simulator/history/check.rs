//! What is checked in a history, and what is counted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use testkit::Loss;
use tsdb::disk::Disk;
use tsdb::{Db, Querier, Retention, SeriesEntry};

use super::super::model::{self, Shown};
use super::super::read;
use super::{DIR, RANGE, Run};

/// What happened in one or more histories.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) histories: u64,
    pub(crate) kills: u64,
    pub(crate) power_cuts: u64,
    pub(crate) crashes_in_start: u64,
    pub(crate) samples: u64,
    pub(crate) past: u64,
    pub(crate) exemplars: u64,
    pub(crate) changes: u64,
    pub(crate) io_errors: u64,
    pub(crate) full_disks: u64,
    pub(crate) damaged_files: u64,
    pub(crate) blocks: u64,
    pub(crate) compactions: u64,
    pub(crate) checkpoints: u64,
    pub(crate) snapshots: u64,
    pub(crate) memory_snapshots: u64,
    pub(crate) deletions: u64,
    pub(crate) checks: u64,
}

impl Totals {
    pub(crate) fn crashes(&self) -> u64 {
        self.kills + self.power_cuts
    }

    pub(crate) fn add(&mut self, other: &Totals) {
        self.histories += other.histories;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.crashes_in_start += other.crashes_in_start;
        self.samples += other.samples;
        self.changes += other.changes;
        self.io_errors += other.io_errors;
        self.full_disks += other.full_disks;
        self.damaged_files += other.damaged_files;
        self.past += other.past;
        self.exemplars += other.exemplars;
        self.blocks += other.blocks;
        self.compactions += other.compactions;
        self.checkpoints += other.checkpoints;
        self.snapshots += other.snapshots;
        self.memory_snapshots += other.memory_snapshots;
        self.deletions += other.deletions;
        self.checks += other.checks;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crashes in {} histories: {} kills, {} power cuts, {} of them while starting\n\
             {} samples, {} of them late, {} exemplars, {} changes on disk, {} blocks cut, {} compactions, {} checkpoints, {} snapshots, {} of the memory, {} deletions, {} checks\n\
             {} calls failed with EIO, {} times the disk was full, {} files were damaged",
            self.crashes(),
            self.histories,
            self.kills,
            self.power_cuts,
            self.crashes_in_start,
            self.samples,
            self.past,
            self.exemplars,
            self.changes,
            self.blocks,
            self.compactions,
            self.checkpoints,
            self.snapshots,
            self.memory_snapshots,
            self.deletions,
            self.checks,
            self.io_errors,
            self.full_disks,
            self.damaged_files
        )
    }
}

/// A selection that is read later.
pub(super) struct Held {
    querier: Querier,
    entries: Vec<SeriesEntry>,
    expected: Shown,
    /// The newest sample that there could be when it was made.
    newest: Option<i64>,
}

impl Run {
    /// What became of a call: an error is in order only where the disk failed.
    pub(crate) fn outcome<T, E: fmt::Display>(&self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.say(|_| format!("{what}: {error}"));
                assert!(self.faulty || self.disk.has_crashed(), "{what}: {error}");
                None
            }
        }
    }

    /// What a started database shows is what the end before left.
    pub(super) fn started(&mut self, loss: Loss) {
        let metrics = self.db().metrics();
        let damage = metrics.blocks_damaged.load(SeqCst);
        assert_eq!(damage, 0, "blocks damaged by {loss:?}");
        if loss == Loss::Nothing {
            assert_eq!(metrics.wal_corruptions.load(SeqCst), 0, "the log was damaged by a kill");
            let unknown = metrics.wal_unknown_samples.load(SeqCst);
            // A refused batch may be in the log in part, and its series have left; or the blocks have left that tell what is too old.
            let is_explained =
                unknown <= self.unknown || self.has_refused || self.options.retention != Retention::default();
            assert!(is_explained, "{unknown} samples without series after a kill");
        }
        self.unknown = metrics.wal_unknown_samples.load(SeqCst);
        let cut_from = self.cut_from();
        self.raise_floor_after_restart();
        let early = self.early.take();
        if let Some((batch, ..)) = &early {
            self.model.refused.push(batch.clone());
        }
        if let Some(shown) = self.outcome("read after a start", read::all(self.db())) {
            self.say(|_| format!("started after {loss:?}: {} samples", model::samples(&shown).count()));
            self.model.restarted(&shown, loss, cut_from, (self.unknown == 0, !self.early_since_cut));
            if self.db().metrics().snapshots_used.load(SeqCst) == 0 {
                self.model.read_the_log();
            }
        }
        self.model.compare_exemplars(&read::exemplars(self.db()), self.options.exemplar_limit);
        self.totals.checks += 1;
        if let Some((batch, segments, true)) = early {
            self.model.commit(batch, segments);
            self.check_all("after a commit before replay");
        }
    }

    /// Everything, as it must be.
    pub(crate) fn check_all(&mut self, when: &str) {
        self.totals.checks += 1;
        if let Some(shown) = self.outcome(when, read::all(self.db())) {
            self.model.compare(&shown, &self.model.expected(i64::MIN, i64::MAX));
        }
        self.model.compare_exemplars(&read::exemplars(self.db()), self.options.exemplar_limit);
    }

    /// Some matchers, some range.
    pub(super) fn check_some(&mut self) {
        self.totals.checks += 1;
        let chosen = self.matchers();
        let mint = self.now - self.random.below(20 * RANGE as u64) as i64;
        let maxt = mint + self.random.below(3 * RANGE as u64) as i64;
        let Some(shown) = self.outcome("select", read::select(&self.db().querier(), &chosen, mint, maxt))
        else {
            return;
        };
        let mut expected = self.model.expected(mint, maxt);
        expected.retain(|labels, _| chosen.iter().all(|m| m.matches(labels.get(&m.name))));
        self.model.compare(&shown, &expected);
        let values = self.db().querier().label_values("i", &chosen, mint, maxt, 0);
        let Some(values) = self.outcome("label values", values) else { return };
        for labels in expected.keys() {
            assert!(values.iter().any(|v| v == labels.get("i")), "{labels} is not among {values:?}");
        }
    }

    /// Selects now, to be read later: what it shows stays the same, whatever happens to files meanwhile.
    pub(super) fn hold(&mut self) {
        if self.held.len() >= 3 {
            return;
        }
        let querier = self.db().querier();
        let entries = querier.select(&read::everything(), i64::MIN + 1, i64::MAX - 1);
        let Some(entries) = self.outcome("select", entries) else { return };
        let expected = self.model.expected(i64::MIN, i64::MAX);
        self.held.push(Held { querier, entries, expected, newest: self.model.newest() });
    }

    pub(super) fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.remove(self.random.index(self.held.len()));
        let mut shown = Shown::new();
        for entry in &held.entries {
            let samples = read::samples(entry, i64::MIN + 1, i64::MAX - 1);
            let Some(samples) = self.outcome("read of a held series", samples) else { return };
            shown.insert(entry.labels().clone(), samples);
        }
        let newest = shown.values().filter_map(|s| s.keys().next_back()).max().copied();
        self.model.compare(&shown, &held.expected);
        assert!(newest <= held.newest, "a querier shows what came after it: {newest:?}, {:?}", held.newest);
        drop(held.querier);
    }

    /// A snapshot holds what the database held.
    pub(super) fn snapshot(&mut self) {
        let made = self.db().snapshot(true);
        let Some(name) = self.outcome("snapshot", made) else { return };
        let dir = Path::new(DIR).join("snapshots").join(name);
        let copy = Db::open_on(Arc::new(self.disk.clone()), &dir, self.options.clone(), self.clock.clone());
        if let Some(copy) = self.outcome("open of a snapshot", copy) {
            copy.replay();
            if let Some(shown) = self.outcome("read of a snapshot", read::all(&copy)) {
                self.model.compare(&shown, &self.model.expected(i64::MIN, i64::MAX));
                self.totals.snapshots += 1;
            }
        }
        let _ = self.disk.remove_dir_all(&dir);
    }

    /// Nothing is left behind of what was interrupted.
    pub(super) fn check_leftovers(&mut self) {
        self.maintain();
        for (path, _) in self.disk.files(Path::new(DIR)) {
            let name = path.to_string_lossy().into_owned();
            // A copy that was being looked at when the process died is a database of its own.
            let own = name
                .split_once("/snapshots/")
                .map_or(name.as_str(), |(_, rest)| rest.split('/').next().unwrap());
            let left =
                [".tmp", "replaying", ".next", "repair", ".taken"].iter().any(|part| own.contains(part));
            assert!(!left, "{name} was left behind");
        }
    }

    /// Retention removes what is older than the newest block by its time, and any block that is too much.
    pub(super) fn raise_floor(&mut self) {
        let blocks = self.db().blocks();
        let newest = blocks.iter().map(|b| b.max_time).max();
        if let (Some(retention), Some(newest)) = (self.options.retention.time_ms, newest) {
            self.model.floor = self.model.floor.max(newest - retention);
        }
        let removed = self.db().metrics().retention_size_deletions.load(SeqCst);
        if std::mem::replace(&mut self.removed_by_size, removed) != removed {
            // Which ones went, perhaps just after they were cut, is not told: what is newer than the oldest that is left stays.
            let oldest = blocks.iter().map(|b| b.min_time).min().or(self.db().sizes().head_min_time);
            self.model.floor = self.model.floor.max(oldest.unwrap_or(self.now));
        }
    }

    pub(super) fn raise_floor_after_restart(&mut self) {
        self.raise_floor();
        if self.options.retention.bytes.is_some() {
            // Which blocks went in the end is not known: what is newer than the oldest that is left must be there.
            let oldest = self.db().blocks().iter().map(|b| b.min_time).min();
            let young = self.model.newest().unwrap_or(i64::MIN + RANGE) - RANGE / 2;
            self.model.floor = self.model.floor.max(oldest.unwrap_or(young));
        }
    }

    /// All before it is in blocks, or was until retention removed them, but for what came out of order.
    pub(crate) fn cut_from(&self) -> i64 {
        self.db().cut()
    }

    pub(super) fn count_metrics(&mut self) {
        if let Some(db) = &self.db {
            self.totals.blocks += db.metrics().head_compactions.load(SeqCst);
            self.totals.compactions += db.metrics().compactions.load(SeqCst);
            self.totals.checkpoints += db.metrics().checkpoints.load(SeqCst);
            self.totals.memory_snapshots += db.metrics().snapshots_used.load(SeqCst);
        }
    }
}
