//! Whether series that the head does not know may come in: as long as it stays within its share of the memory.
//!
//! The last tenth is for small targets: one with very many series does not keep all others out.
//!
//! Known series are never refused. The head is not asked with every new series but after so many as surely fit, and where it is full
//! once a second: so new ones come in again by themselves when others have left.

use parking_lot::Mutex;
use runtime::clock::SharedClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// What a new series takes at most, as far as the way to the next measure goes, bytes.
const LARGE_SERIES: usize = 4096;
/// New series from one measure to the next.
const MOST_AT_ONCE: usize = 4096;
/// A target with more series is a large one.
const LARGE_TARGET: usize = 10_000;
/// Of the budget, large targets may not take this part.
const FOR_SMALL: usize = 10;
/// Time between two measures of a full head.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// Time between two lines in the log.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Time that a head spans before a block is cut from it, in units of the block's.
const HEAD_SPAN: f64 = 1.5;
/// What a full chunk leaves behind in memory, with the room that its list has to grow, bytes.
const FULL_CHUNK: f64 = 60.0;
/// The chunk that grows, on average, bytes.
const OPEN_CHUNK: f64 = 150.0;

/// Where the sizes come from.
pub(crate) trait Sizes: Send + Sync {
    /// What the head takes.
    fn head(&self) -> tsdb::HeadBytes;
    /// Bytes that are remembered of series elsewhere.
    fn beside(&self) -> usize;
}

/// The gate for new series.
pub(crate) struct Gate {
    /// Bytes; 0: no bound.
    budget: usize,
    sizes: Box<dyn Sizes>,
    clock: SharedClock,
    /// What a series will have on the heap once the head spans its time, bytes.
    grown: AtomicUsize,
    /// Series that come in before the next measure.
    admitted: AtomicI64,
    /// The same of large targets.
    admitted_large: AtomicI64,
    refused: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Full since the measure at this time.
    full: Option<Duration>,
    full_for_large: Option<Duration>,
    /// What was measured last: what there is, and what the head's series will still grow by.
    bytes: usize,
    growth: usize,
    series: usize,
    logged: Option<(Duration, u64)>,
}

/// What the gate says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Bytes; 0: no bound.
    pub(crate) budget: usize,
    /// Bytes of the head and beside it.
    pub(crate) bytes: usize,
    /// Bytes that the head's series will still grow by until it is cut: new ones are refused where both together are over the budget.
    pub(crate) growth: usize,
    /// Times a new series was refused.
    pub(crate) refused: u64,
    /// Whether new ones are refused now.
    pub(crate) full: bool,
}

impl Gate {
    pub(crate) fn new(budget: usize, sizes: Box<dyn Sizes>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Gate {
            budget,
            sizes,
            clock,
            grown: AtomicUsize::new(0),
            admitted: AtomicI64::new(0),
            admitted_large: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            inner: Mutex::default(),
        })
    }

    /// How often most series get a sample: a head that is young now will have so many chunks of each.
    pub(crate) fn expect(&self, interval_ms: i64, block_ms: i64, samples_per_chunk: u16) {
        let chunks = block_ms as f64 * HEAD_SPAN
            / (interval_ms.max(1000) as f64 * f64::from(samples_per_chunk.max(1)));
        self.grown.store((OPEN_CHUNK + chunks * FULL_CHUNK) as usize, Relaxed);
    }

    /// Whether a new series may come in, of a target that has so many.
    pub(crate) fn admits(&self, series: usize) -> bool {
        let admitted = if series > LARGE_TARGET { &self.admitted_large } else { &self.admitted };
        self.budget == 0 || admitted.fetch_sub(1, Relaxed) > 0 || self.measure(admitted)
    }

    /// Whether new series are refused now.
    pub(crate) fn is_closed(&self) -> bool {
        self.budget > 0 && self.admitted.load(Relaxed).min(self.admitted_large.load(Relaxed)) <= 0
    }

    #[cold]
    fn measure(&self, admitted: &AtomicI64) -> bool {
        let mut inner = self.inner.lock();
        // another thread was here meanwhile
        if admitted.load(Relaxed) > 0 && admitted.fetch_sub(1, Relaxed) > 0 {
            return true;
        }
        let now = self.clock.monotonic();
        let rests = |at: Option<Duration>| at.is_some_and(|at| now.saturating_sub(at) < FULL_PAUSE);
        if rests(inner.full)
            || (std::ptr::eq(admitted, &raw const self.admitted_large) && rests(inner.full_for_large))
        {
            return false;
        }
        let head = self.sizes.head();
        inner.bytes = head.total() + self.sizes.beside();
        inner.growth = self.growth(&head);
        inner.series = head.num_series;
        let expected = inner.bytes + inner.growth;
        let each = LARGE_SERIES + self.grown.load(Relaxed);
        let left = |budget: usize| budget.saturating_sub(expected).div_ceil(each).min(MOST_AT_ONCE);
        let (all, large) = (left(self.budget), left(self.budget - self.budget / FOR_SMALL));
        inner.full = (all == 0).then_some(now);
        inner.full_for_large = (large == 0).then_some(now);
        self.admitted.store(all as i64, Relaxed);
        self.admitted_large.store(large as i64, Relaxed);
        // one of them is let in now
        admitted.fetch_sub(1, Relaxed) > 0
    }

    /// What the head's series will still grow by.
    fn growth(&self, head: &tsdb::HeadBytes) -> usize {
        (head.num_series * self.grown.load(Relaxed)).saturating_sub(head.chunks)
    }

    /// Counts a refusal, and says in the log once a minute how many there were.
    pub(crate) fn refuse(&self) -> String {
        let refused = self.refused.fetch_add(1, Relaxed) + 1;
        let mut inner = self.inner.lock();
        let now = self.clock.monotonic();
        if inner.logged.is_none_or(|(at, _)| now.saturating_sub(at) >= LOG_PAUSE) {
            let before = inner.logged.map_or(0, |(_, refused)| refused);
            inner.logged = Some((now, refused));
            tracing::warn!(
                refused = refused - before,
                series = inner.series,
                bytes = inner.bytes,
                expected_growth = inner.growth,
                budget = self.budget,
                "the head is over its memory budget: new series are refused, known ones go on (--storage.tsdb.memory-budget)"
            );
        }
        let Inner { bytes, growth, .. } = *inner;
        format!(
            "the head has {bytes} bytes of memory and will grow by {growth} as its series go on, of a budget of {} (see --storage.tsdb.memory-budget)",
            self.budget
        )
    }

    pub(crate) fn standing(&self) -> Standing {
        let full = self.inner.lock().full_for_large.is_some();
        let head = self.sizes.head();
        let (bytes, growth) = (head.total() + self.sizes.beside(), self.growth(&head));
        Standing { budget: self.budget, bytes, growth, refused: self.refused.load(Relaxed), full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::clock::ManualClock;

    /// A head of so many series, each of a thousand bytes.
    struct Head(Arc<AtomicUsize>);

    impl Sizes for Head {
        fn head(&self) -> tsdb::HeadBytes {
            let num_series = self.0.load(Relaxed);
            tsdb::HeadBytes { series: num_series * 900, chunks: num_series * 100, other: 0, num_series }
        }
        fn beside(&self) -> usize {
            0
        }
    }

    struct World {
        gate: Arc<Gate>,
        series: Arc<AtomicUsize>,
        clock: Arc<ManualClock>,
    }

    impl World {
        fn new(budget: usize) -> Self {
            let (series, clock) = (Arc::<AtomicUsize>::default(), ManualClock::at(0));
            let gate = Gate::new(budget, Box::new(Head(series.clone())), clock.clone());
            World { gate, series, clock }
        }

        /// So many series come; how many may stay.
        fn come(&self, number: usize, of: usize) -> usize {
            (0..number)
                .filter(|_| {
                    let admitted = self.gate.admits(of);
                    self.series.fetch_add(usize::from(admitted), Relaxed);
                    admitted
                })
                .count()
        }
    }

    #[test]
    fn a_full_head_takes_new_series_again_when_others_have_left() {
        let w = World::new(10_000_000);
        assert_eq!(w.come(5000, 1), 5000);
        assert!(!w.gate.is_closed());
        assert_eq!(w.come(50_000, 1), 5000);
        assert!(w.gate.is_closed() && w.gate.standing().full);
        w.series.fetch_sub(300, Relaxed);
        assert_eq!(w.come(1000, 1), 0, "it is asked once a second");
        w.clock.advance(1000);
        assert_eq!(w.come(1000, 1), 300);
        let said = w.gate.refuse();
        assert!(said.contains("has 10000000 bytes") && said.contains("grow by 0 "), "{said}");
        assert_eq!(w.gate.standing().refused, 1);
        assert_eq!(w.gate.standing().bytes, 10_000_000);
    }

    #[test]
    fn what_series_will_grow_by_counts() {
        let w = World::new(10_000_000);
        // a sample a second, two hours a block: 90 chunks of each
        w.gate.expect(1000, 2 * 60 * 60 * 1000, 120);
        let series = 10_000_000_usize.div_ceil(900 + 150 + 90 * 60);
        assert_eq!(w.come(50_000, 1), series);
        let standing = w.gate.standing();
        assert_eq!((standing.bytes, standing.growth), (series * 1000, series * (150 + 90 * 60 - 100)));
        assert!(standing.bytes < standing.budget && standing.bytes + standing.growth >= standing.budget);
        let said = w.gate.refuse();
        assert!(
            said.contains(&format!("has {} bytes", standing.bytes))
                && said.contains(&format!("grow by {} ", standing.growth)),
            "{said}"
        );
    }

    #[test]
    fn large_targets_leave_room_for_small_ones() {
        let w = World::new(10_000_000);
        assert_eq!(w.come(50_000, LARGE_TARGET + 1), 9000);
        assert!(w.gate.is_closed() && w.gate.standing().full);
        assert_eq!(w.come(50_000, LARGE_TARGET), 1000);
        assert_eq!(w.come(50_000, LARGE_TARGET + 1), 0);
    }

    #[test]
    fn without_a_budget_all_come_in() {
        let w = World::new(0);
        assert_eq!(w.come(100_000, 1), 100_000);
        assert!(!w.gate.is_closed());
    }
}
