//! Counts of samples: how many the windows of a query held and how many were read for them, in all, and step by step where that is
//! asked for. What counts is what Prometheus counts (`stats` of its HTTP API).

use super::context::{Reference, Steps};
use model::FloatHistogram;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Samples that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Those in the windows of all steps together: one that stands in several windows counts in each.
    pub(crate) loaded: u64,
    /// The same without those that the window of the step before held already.
    pub(crate) read: u64,
}

impl std::ops::AddAssign for Touched {
    fn add_assign(&mut self, other: Touched) {
        self.loaded += other.loaded;
        self.read += other.read;
    }
}

/// Samples that a histogram counts for: its bytes as Prometheus holds it, in units of a number with its time.
pub(crate) fn weight(h: &FloatHistogram) -> u64 {
    const OWN: usize = 168;
    let lists = [h.positive_buckets.len(), h.negative_buckets.len(), h.custom_values.len()];
    let spans = h.positive_spans.len() + h.negative_spans.len();
    ((OWN + 8 * (lists.into_iter().sum::<usize>() + spans) + 8) / 16) as u64
}

/// The steps of the query itself; other frames are those of subqueries.
pub(crate) const OUTERMOST: u32 = 0;
/// The steps of a subquery that is the query: all of them count for its one step.
pub(crate) const WHOLE: u32 = u32::MAX;
/// An inner step that is in no window.
const NOWHERE: u32 = u32::MAX;

/// The counts of one query.
pub(crate) struct Tally {
    loaded: AtomicU64,
    read: AtomicU64,
    by_step: Option<ByStep>,
    frames: Mutex<Vec<Frame>>,
}

struct ByStep {
    loaded: Vec<AtomicU64>,
    read: Vec<AtomicU64>,
}

/// The steps of a subquery, and to which step of the query each belongs.
#[derive(PartialEq)]
struct Frame {
    start: i64,
    step: i64,
    outer: Arc<[u32]>,
}

/// Counts of a part of the query, to be added again where the part is recalled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    all: Touched,
    by_step: Vec<Touched>,
}

impl Tally {
    /// With `steps`: one place for each step of the query.
    pub(crate) fn new(steps: Option<usize>) -> Tally {
        let zeros = |n: usize| std::iter::repeat_with(AtomicU64::default).take(n).collect();
        let by_step = steps.map(|n| ByStep { loaded: zeros(n), read: zeros(n) });
        Tally { loaded: AtomicU64::new(0), read: AtomicU64::new(0), by_step, frames: Mutex::default() }
    }

    /// Adds what one series took at some steps.
    pub(crate) fn add(&self, steps: &Steps, touched: Touched) {
        // of a subquery's steps some may be in no window: what is read there is noted step by step
        if matches!(steps.frame, OUTERMOST | WHOLE) {
            self.loaded.fetch_add(touched.loaded * u64::from(steps.repeat), Relaxed);
            self.read.fetch_add(touched.read, Relaxed);
        }
    }

    /// Where to note what each step took; nothing where nobody asks.
    pub(crate) fn recorder(&self, steps: &Steps) -> Option<Recorder<'_>> {
        let place = match steps.frame {
            OUTERMOST | WHOLE if self.by_step.is_none() => return None,
            OUTERMOST => Place::Own,
            WHOLE => Place::Whole,
            frame => Place::Inner(self.outer(frame)?),
        };
        let read = Cell::new(0);
        Some(Recorder { tally: self, place, repeat: steps.repeat, computed: false, times_only: false, read })
    }

    fn outer(&self, frame: u32) -> Option<Arc<[u32]>> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.get(frame.checked_sub(1)? as usize).map(|f| f.outer.clone())
    }

    /// The frame of a subquery with these inner steps, whose windows end at `reference` in the steps around it. What is read at
    /// an inner step belongs to the first window that reaches it.
    pub(crate) fn frame(
        &self,
        reference: &Reference,
        range: i64,
        (start, step, n): (i64, i64, usize),
    ) -> u32 {
        let around = match reference.steps.frame {
            OUTERMOST => None,
            WHOLE => Some(std::iter::repeat_n(0, reference.steps.n).collect()),
            frame => self.outer(frame),
        };
        let mut at = 0;
        let outer = (0..n).map(|i| {
            let t = start + step * i as i64;
            while at + 1 < reference.steps.n && reference.time(at) < t {
                at += 1;
            }
            if t <= reference.time(at) - range {
                return NOWHERE;
            }
            around.as_ref().map_or(at as u32, |outer| outer[at])
        });
        let frame = Frame { start, step, outer: outer.collect() };
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let known = frames.iter().position(|f| *f == frame).unwrap_or_else(|| {
            frames.push(frame);
            frames.len() - 1
        });
        known as u32 + 1
    }

    /// The counts as they are now.
    pub(crate) fn counted(&self) -> Counted {
        let all = Touched { loaded: self.loaded.load(Relaxed), read: self.read.load(Relaxed) };
        Counted { all, by_step: self.steps().unwrap_or_default() }
    }

    /// What was counted since.
    pub(crate) fn since(&self, before: &Counted) -> Counted {
        let less = |a: Touched, b: Touched| Touched { loaded: a.loaded - b.loaded, read: a.read - b.read };
        let now = self.counted();
        let by_step = now.by_step.into_iter().zip(&before.by_step).map(|(a, b)| less(a, *b)).collect();
        Counted { all: less(now.all, before.all), by_step }
    }

    /// Adds what was counted elsewhere, as if it had been done again.
    pub(crate) fn again(&self, counted: &Counted) {
        self.loaded.fetch_add(counted.all.loaded, Relaxed);
        self.read.fetch_add(counted.all.read, Relaxed);
        if let Some(to) = &self.by_step {
            for (i, touched) in counted.by_step.iter().enumerate() {
                to.loaded[i].fetch_add(touched.loaded, Relaxed);
                to.read[i].fetch_add(touched.read, Relaxed);
            }
        }
    }

    /// All counts.
    pub(crate) fn all(&self) -> Touched {
        Touched { loaded: self.loaded.load(Relaxed), read: self.read.load(Relaxed) }
    }

    /// The counts of each step of the query, where they are kept.
    pub(crate) fn steps(&self) -> Option<Vec<Touched>> {
        let of = self.by_step.as_ref()?;
        let pairs = of.loaded.iter().zip(&of.read);
        Some(pairs.map(|(l, r)| Touched { loaded: l.load(Relaxed), read: r.load(Relaxed) }).collect())
    }
}

/// Where the steps of a frame count.
enum Place {
    /// Each for itself.
    Own,
    /// All for the query's only step.
    Whole,
    /// Each for the query's step whose window reaches it first.
    Inner(Arc<[u32]>),
}

/// Notes what the steps of a frame take.
pub(crate) struct Recorder<'a> {
    tally: &'a Tally,
    place: Place,
    /// A part that is the same at all steps is evaluated once, and counts at each.
    repeat: u32,
    /// What is noted was computed, not read.
    pub(crate) computed: bool,
    /// Each sample counts as one, whatever it is.
    pub(crate) times_only: bool,
    /// What was read at a subquery's steps so far.
    read: Cell<u64>,
}

impl Recorder<'_> {
    /// Notes what a step took.
    pub(crate) fn at(&self, i: usize, mut touched: Touched) {
        if self.times_only {
            touched = Touched { loaded: touched.loaded.min(1), read: touched.read.min(1) };
        }
        if self.computed {
            touched.read = 0;
        }
        let i = match &self.place {
            Place::Own => i,
            Place::Whole => 0,
            Place::Inner(outer) => {
                // what stands in a subquery's windows counts where the subquery is used
                let at = outer[i];
                if at != NOWHERE {
                    self.read.set(self.read.get() + touched.read);
                    if let Some(to) = &self.tally.by_step {
                        to.read[at as usize].fetch_add(touched.read, Relaxed);
                    }
                }
                return;
            }
        };
        let Some(to) = &self.tally.by_step else { return };
        to.read[i].fetch_add(touched.read, Relaxed);
        let loaded = touched.loaded;
        match (&self.place, self.repeat) {
            (Place::Own, 2..) => to.loaded.iter().for_each(|l| {
                l.fetch_add(loaded, Relaxed);
            }),
            (_, repeat) => {
                to.loaded[i].fetch_add(loaded * u64::from(repeat), Relaxed);
            }
        }
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        self.tally.read.fetch_add(self.read.get(), Relaxed);
    }
}
