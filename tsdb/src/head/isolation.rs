//! Readers see whole commits: those that were complete when their querier was made.
//!
//! Commits are applied one after another, each under the write side of a lock; a selection reads how far each series goes
//! under its read side. So one selection is consistent by itself. For the later selections of the same querier, commits
//! note which series they touched while some querier is open, and the selection leaves those samples out.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustc_hash::FxHashMap;

/// Samples noted at most (16 MiB of notes). A querier that stays open over more than that sees later commits from there on.
const NOTES_CAPACITY: usize = 4 << 20;

/// Orders commits and selections.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// The number of commits so far. Write side: a commit is being applied.
    commits: RwLock<u64>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Open queriers by the commits they see.
    open: BTreeMap<u64, usize>,
    /// Series touched by recent commits, an entry a sample.
    recent: VecDeque<(u64, Box<[u32]>)>,
    samples: usize,
}

/// A commit that is being applied; readers wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Applying<'a> {
    isolation: &'a Isolation,
    commits: RwLockWriteGuard<'a, u64>,
}

/// Held by a selection while it reads how far series go.
#[derive(Debug)]
pub(crate) struct Selecting<'a> {
    _commits: RwLockReadGuard<'a, u64>,
    /// Samples at the end of these series that the querier must not see.
    pub(crate) hidden: FxHashMap<u32, u32>,
}

impl Isolation {
    /// Waits for readers, then lets the caller apply a commit.
    pub(crate) fn apply(&self) -> Applying<'_> {
        Applying { isolation: self, commits: self.commits.write() }
    }

    /// Opens a querier; returns what it sees, for [`Isolation::select`] and [`Isolation::close`].
    pub(crate) fn open(&self) -> u64 {
        let commits = self.commits.read();
        *self.notes.lock().open.entry(*commits).or_default() += 1;
        *commits
    }

    /// Counts as a commit without samples: whoever opened a querier before it is told apart from whoever does after.
    pub(crate) fn mark(&self) -> u64 {
        let mut commits = self.commits.write();
        *commits += 1;
        *commits
    }

    /// Whether all open queriers were opened after a mark.
    pub(crate) fn is_past(&self, mark: u64) -> bool {
        self.notes.lock().open.keys().next().is_none_or(|&oldest| oldest >= mark)
    }

    /// Commits so far, and those that the oldest open querier sees.
    pub(crate) fn watermarks(&self) -> (u64, u64) {
        let commits = *self.commits.read();
        (commits, self.notes.lock().open.keys().next().copied().unwrap_or(commits))
    }

    /// Begins a selection of a querier.
    pub(crate) fn select(&self, sees: u64) -> Selecting<'_> {
        let commits = self.commits.read();
        let mut hidden: FxHashMap<u32, u32> = FxHashMap::default();
        if *commits > sees {
            let notes = self.notes.lock();
            for (_, series) in notes.recent.iter().filter(|(commit, _)| *commit > sees) {
                for &id in series {
                    *hidden.entry(id).or_default() += 1;
                }
            }
        }
        Selecting { _commits: commits, hidden }
    }

    /// Closes a querier.
    pub(crate) fn close(&self, sees: u64) {
        let mut notes = self.notes.lock();
        if let Some(count) = notes.open.get_mut(&sees) {
            *count -= 1;
            if *count == 0 {
                notes.open.remove(&sees);
            }
        }
        let oldest = notes.open.keys().next().copied().unwrap_or(u64::MAX);
        while notes.recent.front().is_some_and(|(commit, _)| *commit <= oldest) {
            notes.forget_oldest();
        }
        if notes.recent.is_empty() {
            notes.recent = VecDeque::new();
        }
    }
}

impl Notes {
    fn forget_oldest(&mut self) {
        if let Some((_, series)) = self.recent.pop_front() {
            self.samples -= series.len();
        }
    }
}

impl Applying<'_> {
    /// Ends the commit: `series` are those to which it appended, once a sample.
    pub(crate) fn finish(mut self, series: impl ExactSizeIterator<Item = u32>) {
        *self.commits += 1;
        let mut notes = self.isolation.notes.lock();
        if notes.open.is_empty() {
            return;
        }
        notes.samples += series.len();
        let commit = *self.commits;
        notes.recent.push_back((commit, series.collect()));
        while notes.samples > NOTES_CAPACITY {
            notes.forget_oldest();
        }
    }
}
