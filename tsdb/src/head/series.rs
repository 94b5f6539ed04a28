//! The series of the head: pages of neighbours, each series with the chunk that grows and those that are full.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::chunk::XorChunk;
use crate::chunk::head_file::HeadChunkRef;

/// Series on a page: enough to spread the page's cost, few enough that the series of one pod, which are created and end
/// together, free whole pages.
pub(crate) const PAGE_SLOTS: usize = 32;

/// Neighbouring series in one allocation.
#[derive(Debug)]
pub(crate) struct Page {
    slots: [OnceLock<Series>; PAGE_SLOTS],
    /// Slots whose series is gone.
    dead: AtomicU32,
}

impl Page {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Page { slots: [const { OnceLock::new() }; PAGE_SLOTS], dead: AtomicU32::new(0) })
    }

    pub(crate) fn series(&self, slot: usize) -> Option<&Series> {
        self.slots[slot].get()
    }

    /// Puts a series into its slot, which must be free.
    pub(crate) fn put(&self, slot: usize) {
        let was_free = self.slots[slot].set(Series::default()).is_ok();
        assert!(was_free, "slot {slot} of a page is used twice");
    }

    /// Counts a slot whose series is gone; true where it was the last.
    pub(crate) fn retire(&self) -> bool {
        self.dead.fetch_add(1, Ordering::Relaxed) + 1 == PAGE_SLOTS as u32
    }
}

/// One series: its samples that are not in a block yet. Its labels are in the index.
#[derive(Debug, Default)]
pub(crate) struct Series {
    /// Whether the log of this run knows the series; written under the log's lock.
    pub(crate) logged: AtomicBool,
    pub(crate) state: Mutex<State>,
}

/// What changes with each sample.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Samples appended in this run.
    pub(crate) chain: Chain,
    /// Samples of the run before, while the log is being replayed.
    pub(crate) replayed: Option<Box<Chain>>,
    /// Samples in open batches: the series must stay.
    pub(crate) pending: u32,
    /// Removed: whoever still finds it here must look it up by its labels.
    pub(crate) dead: bool,
}

/// A run of samples in order of time: full chunks, then the one that grows.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) full: Vec<FullChunk>,
    pub(crate) open: XorChunk,
    /// First time of the open chunk.
    open_min: i64,
    /// The open chunk ends before `open_min + open_span`.
    open_span: u32,
    last: Option<(i64, f64)>,
}

/// A chunk that does not grow any more.
#[derive(Clone, Debug)]
pub(crate) struct FullChunk {
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
    pub(crate) data: FullData,
}

/// Where a full chunk's data is.
#[derive(Clone, Debug)]
pub(crate) enum FullData {
    /// On its way to a head chunk file.
    Memory(Arc<Vec<u8>>),
    /// In a head chunk file.
    File(HeadChunkRef),
}

/// When chunks are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutRule {
    pub(crate) samples: u16,
    /// No chunk crosses a multiple of this, in milliseconds.
    pub(crate) range_ms: i64,
}

impl CutRule {
    fn span(self, t: i64) -> u32 {
        (self.range_ms - t.rem_euclid(self.range_ms)).min(i64::from(u32::MAX)) as u32
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Appended,
    /// Appended, and the chunk before it is full now.
    AppendedAndCut,
    /// The same sample is there already.
    Repeated,
    /// Another value is there at the same time.
    Duplicate,
    /// Newer samples are there.
    OutOfOrder,
}

impl Chain {
    /// The newest sample.
    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        self.last
    }

    /// What would become of a sample.
    #[inline]
    pub(crate) fn check(&self, t: i64, v: f64) -> Outcome {
        match self.last {
            Some((last, _)) if t < last => Outcome::OutOfOrder,
            Some((last, value)) if t == last => {
                if value.to_bits() == v.to_bits() {
                    Outcome::Repeated
                } else {
                    Outcome::Duplicate
                }
            }
            _ => Outcome::Appended,
        }
    }

    /// Appends a sample where it is newer than all others.
    #[inline]
    pub(crate) fn append(&mut self, t: i64, v: f64, rule: CutRule) -> Outcome {
        let mut outcome = self.check(t, v);
        if outcome != Outcome::Appended {
            return outcome;
        }
        let samples = self.open.num_samples();
        if samples > 0
            && (samples >= rule.samples || t.wrapping_sub(self.open_min) >= i64::from(self.open_span))
        {
            self.cut();
            outcome = Outcome::AppendedAndCut;
        }
        if self.open.is_empty() {
            self.open_min = t;
            self.open_span = rule.span(t);
        }
        self.open.append(t, v);
        self.last = Some((t, v));
        outcome
    }

    /// Ends the open chunk; true where there was one.
    pub(crate) fn cut(&mut self) -> bool {
        let (Some((maxt, _)), false) = (self.last, self.open.is_empty()) else { return false };
        let data = FullData::Memory(Arc::new(self.open.take()));
        self.full.push(FullChunk { mint: self.open_min, maxt, data });
        true
    }

    /// First time of the open chunk.
    pub(crate) fn open_min(&self) -> Option<i64> {
        (!self.open.is_empty()).then_some(self.open_min)
    }

    /// First time of all.
    pub(crate) fn min_time(&self) -> Option<i64> {
        self.full.iter().map(|c| c.mint).min().or(self.open_min())
    }

    /// Whether no sample is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    /// How many chunks.
    pub(crate) fn num_chunks(&self) -> usize {
        self.full.len() + usize::from(!self.open.is_empty())
    }

    /// Drops the chunks that end before `mint`; the newest sample is remembered.
    pub(crate) fn truncate(&mut self, mint: i64) {
        self.full.retain(|c| c.maxt >= mint);
        self.full.shrink_to_fit();
        if self.last.is_some_and(|(t, _)| t < mint) {
            self.open.take();
        }
    }

    /// Puts the chunks of an older run before this one's. They may overlap; readers merge then.
    pub(crate) fn prepend(&mut self, mut older: Chain) {
        if self.last.is_none() {
            *self = older;
            return;
        }
        older.cut();
        older.full.append(&mut self.full);
        older.full.sort_by_key(|c| c.mint);
        self.full = older.full;
        if let (Some((old, _)), Some((new, _))) = (older.last, self.last)
            && old > new
        {
            // The run before had newer samples: the open chunk is older than they are.
            self.cut();
            self.full.sort_by_key(|c| c.mint);
            self.last = older.last;
        }
    }
}

impl State {
    /// All chains, the older first.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.replayed.as_deref().into_iter().chain(std::iter::once(&self.chain))
    }

    /// All chains, the older first.
    pub(crate) fn chains_mut(&mut self) -> impl Iterator<Item = &mut Chain> {
        self.replayed.as_deref_mut().into_iter().chain(std::iter::once(&mut self.chain))
    }

    /// Whether no sample is left, and none is to come.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending == 0 && self.chains().all(Chain::is_empty)
    }
}
