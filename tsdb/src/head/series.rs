//! The series of the head: pages of neighbours, each series with the chunk that grows and those that are full.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use model::NativeHistogram;

use crate::chunk::head_file::HeadChunkRef;
use crate::chunk::{Encoding, Encodings, HistogramChunk, Xor2Chunk, XorChunk};

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
    open: Open,
    /// First time of the open chunk.
    open_min: i64,
    /// The open chunk ends before `open_min + open_span`.
    open_span: u32,
    /// Time and value of the newest sample; for a histogram the value is the staleness mark, or 0.
    last: Option<(i64, f64)>,
}

/// The chunk that grows. Most series are floats, so histograms must not make them larger.
#[derive(Debug)]
enum Open {
    Float(XorChunk),
    Float2(Box<Xor2Chunk>),
    Histogram(Box<OpenHistogram>),
}

impl Open {
    fn floats(encodings: Encodings) -> Self {
        if encodings.xor2 { Open::Float2(Box::default()) } else { Open::default() }
    }

    fn histograms(encodings: Encodings) -> Self {
        let chunk = HistogramChunk::new(encodings.histogram_starts);
        Open::Histogram(Box::new(OpenHistogram { chunk, end_is_set: false }))
    }

    fn is_of_floats(&self) -> bool {
        !matches!(self, Open::Histogram(_))
    }
}

impl Default for Open {
    fn default() -> Self {
        Open::Float(XorChunk::new())
    }
}

const _: () = assert!(size_of::<Open>() == size_of::<XorChunk>());

#[derive(Debug, Default)]
struct OpenHistogram {
    chunk: HistogramChunk,
    /// Whether the chunk's end was set from the size of its first histograms.
    end_is_set: bool,
}

/// A chunk of histograms should have so many bytes, as in Prometheus.
const HISTOGRAM_CHUNK_BYTES: usize = 1024;
/// Fewer histograms than this make no chunk of their own, however large they are.
const MIN_HISTOGRAMS: u16 = 10;

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
    Memory(Encoding, Arc<Vec<u8>>),
    /// In a head chunk file.
    File(HeadChunkRef),
}

/// When chunks are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutRule {
    pub(crate) samples: u16,
    /// No chunk crosses a multiple of this, in milliseconds.
    pub(crate) range_ms: i64,
    /// Which encodings chunks get.
    pub(crate) encodings: Encodings,
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

    /// The newest sample, where it is a float that is still here.
    pub(crate) fn newest_float(&self) -> Option<(i64, f64)> {
        match &self.open {
            Open::Float(chunk) if !chunk.is_empty() => self.last,
            Open::Float2(chunk) if !chunk.is_empty() => self.last,
            _ => None,
        }
    }

    /// The newest sample's histogram; none where it is a float.
    pub(crate) fn last_histogram(&self) -> Option<&NativeHistogram> {
        match &self.open {
            Open::Float(_) | Open::Float2(_) => None,
            Open::Histogram(open) => open.chunk.last(),
        }
    }

    /// What would become of a sample.
    #[inline]
    pub(crate) fn check(&self, t: i64, v: f64) -> Outcome {
        match self.last {
            Some((last, _)) if t < last => Outcome::OutOfOrder,
            Some((last, value)) if t == last => {
                if value.to_bits() == v.to_bits() && self.open.is_of_floats() {
                    Outcome::Repeated
                } else {
                    Outcome::Duplicate
                }
            }
            _ => Outcome::Appended,
        }
    }

    /// What would become of a histogram.
    pub(crate) fn check_histogram(&self, t: i64, h: &NativeHistogram) -> Outcome {
        match self.last {
            Some((last, _)) if t < last => Outcome::OutOfOrder,
            Some((last, _)) if t == last => {
                if self.last_histogram().is_some_and(|known| known.same(h)) {
                    Outcome::Repeated
                } else {
                    Outcome::Duplicate
                }
            }
            _ => Outcome::Appended,
        }
    }

    /// Appends a sample where it is newer than all others. Its start (0: unknown) is left out where the chunk has no room for starts.
    #[inline]
    pub(crate) fn append(&mut self, t: i64, start: i64, v: f64, rule: CutRule) -> Outcome {
        let mut outcome = self.check(t, v);
        if outcome != Outcome::Appended {
            return outcome;
        }
        let samples = match &self.open {
            Open::Float(chunk) => chunk.num_samples(),
            Open::Float2(chunk) if chunk.takes(start) => chunk.num_samples(),
            Open::Float2(_) | Open::Histogram(_) => u16::MAX, // ends, whatever it has
        };
        if samples > 0
            && (samples >= rule.samples || t.wrapping_sub(self.open_min) >= i64::from(self.open_span))
            && self.cut()
        {
            outcome = Outcome::AppendedAndCut;
        }
        if matches!(self.open, Open::Histogram(_))
            || (rule.encodings.xor2 && matches!(self.open, Open::Float(_)))
        {
            self.open = Open::floats(rule.encodings);
        }
        let begins = match &mut self.open {
            Open::Float(chunk) => {
                chunk.append(t, v);
                chunk.num_samples() == 1
            }
            Open::Float2(chunk) => {
                chunk.append(t, start, v);
                chunk.num_samples() == 1
            }
            Open::Histogram(_) => return outcome,
        };
        if begins {
            self.open_min = t;
            self.open_span = rule.span(t);
        }
        self.last = Some((t, v));
        outcome
    }

    /// Appends a histogram where it is newer than all other samples.
    pub(crate) fn append_histogram(
        &mut self,
        t: i64,
        start: i64,
        h: &NativeHistogram,
        rule: CutRule,
    ) -> Outcome {
        let mut outcome = self.check_histogram(t, h);
        if outcome != Outcome::Appended {
            return outcome;
        }
        if self.ends_before_histogram(t, rule) && self.cut() {
            outcome = Outcome::AppendedAndCut;
        }
        if self.open.is_of_floats() {
            self.open = Open::histograms(rule.encodings);
        }
        let Open::Histogram(open) = &mut self.open else { return outcome };
        let begins = open.chunk.is_empty();
        let ended = open.chunk.append(t, start, h);
        if begins || ended.is_some() {
            open.end_is_set = false;
            if let (Some((encoding, data)), Some((maxt, _))) = (ended, self.last) {
                let data = FullData::Memory(encoding, Arc::new(data));
                self.full.push(FullChunk { mint: self.open_min, maxt, data });
                outcome = Outcome::AppendedAndCut;
            }
            self.open_min = t;
            self.open_span = rule.span(t);
        }
        self.last = Some((t, if h.is_stale() { model::STALE_NAN } else { 0.0 }));
        outcome
    }

    /// Whether the open chunk is long enough. One of histograms is measured in bytes: once it has a quarter of what it should, its end
    /// is set so that the chunks of the range become about equal.
    fn ends_before_histogram(&mut self, t: i64, rule: CutRule) -> bool {
        let Open::Histogram(open) = &mut self.open else { return true };
        let (samples, bytes) = (open.chunk.num_samples(), open.chunk.bytes().len());
        if samples == 0 {
            return false;
        }
        let range = rule.span(self.open_min);
        if !open.end_is_set && bytes >= HISTOGRAM_CHUNK_BYTES / 4 {
            open.end_is_set = true;
            let so_far = self.last.map_or(0, |(last, _)| last - self.open_min) + 1;
            let chunks = f64::from(range) * bytes as f64 / (so_far as f64 * HISTOGRAM_CHUNK_BYTES as f64);
            if chunks > 1.0 {
                self.open_span = (f64::from(range) / chunks.floor()) as u32;
            }
        }
        let elapsed = t.wrapping_sub(self.open_min);
        let is_long = elapsed >= i64::from(self.open_span) || bytes >= HISTOGRAM_CHUNK_BYTES * 2;
        is_long && (samples >= MIN_HISTOGRAMS || elapsed >= i64::from(range))
    }

    /// Ends the open chunk; true where there was one.
    pub(crate) fn cut(&mut self) -> bool {
        let (Some((maxt, _)), Some(_)) = (self.last, self.open_min()) else { return false };
        let (encoding, data) = match &mut self.open {
            Open::Float(chunk) => (Encoding::Xor, chunk.take()),
            Open::Float2(chunk) => (Encoding::Xor2, chunk.take()),
            Open::Histogram(open) => (open.chunk.encoding(), open.chunk.take()),
        };
        let data = FullData::Memory(encoding, Arc::new(data));
        self.full.push(FullChunk { mint: self.open_min, maxt, data });
        true
    }

    /// Gives spare room back: the series ended.
    pub(crate) fn shrink(&mut self) {
        self.full.shrink_to_fit();
    }

    /// The open chunk's encoding and data; empty where it holds nothing.
    pub(crate) fn open_chunk(&self) -> (Encoding, &[u8]) {
        match &self.open {
            Open::Float(chunk) => (Encoding::Xor, chunk.bytes()),
            Open::Float2(chunk) => (Encoding::Xor2, chunk.bytes()),
            Open::Histogram(open) => (open.chunk.encoding(), open.chunk.bytes()),
        }
    }

    /// First time of the open chunk.
    pub(crate) fn open_min(&self) -> Option<i64> {
        (!self.open_chunk().1.is_empty()).then_some(self.open_min)
    }

    /// First time of all.
    pub(crate) fn min_time(&self) -> Option<i64> {
        self.full.iter().map(|c| c.mint).min().or(self.open_min())
    }

    /// Whether no sample is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open_min().is_none()
    }

    /// How many chunks.
    pub(crate) fn num_chunks(&self) -> usize {
        self.full.len() + usize::from(self.open_min().is_some())
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let in_memory = |c: &FullChunk| match &c.data {
            FullData::Memory(_, data) => data.capacity() + size_of::<Vec<u8>>() + 16,
            FullData::File(_) => 0,
        };
        let own = match &self.open {
            Open::Float(_) => 0,
            Open::Float2(_) => size_of::<Xor2Chunk>(),
            // with the newest histogram, whose buckets are about what they take in the chunk at most
            Open::Histogram(open) => size_of::<OpenHistogram>() + open.chunk.bytes().len(),
        };
        let full = self.full.capacity() * size_of::<FullChunk>();
        full + self.full.iter().map(in_memory).sum::<usize>() + own + self.open_chunk().1.len()
    }

    /// Drops the chunks that end before `mint`; the newest sample is remembered.
    pub(crate) fn truncate(&mut self, mint: i64) {
        self.full.retain(|c| c.maxt >= mint);
        self.full.shrink_to_fit();
        if self.last.is_some_and(|(t, _)| t < mint) {
            match &mut self.open {
                Open::Float(chunk) => drop(chunk.take()),
                Open::Float2(chunk) => drop(chunk.take()),
                Open::Histogram(open) => drop(open.chunk.take()),
            }
        }
    }

    /// Puts the chunks of an older run before this one's. They may overlap; readers merge then.
    pub(crate) fn prepend(&mut self, mut older: Chain) {
        older.cut();
        if self.last.is_none() {
            *self = older;
            return;
        }
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
    /// How many chunks.
    pub(crate) fn num_chunks(&self) -> u64 {
        self.chains().map(|chain| chain.num_chunks() as u64).sum()
    }

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
