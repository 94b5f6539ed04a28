//! Windows: the samples of one series, and what a range function sees of them at each step.

use super::context::Reference;
use super::range_fn::rate::Stretch;
use super::tally::{Recorder, Touched, weight};
use crate::storage::{SampleBuffer, Series};
use model::{FloatHistogram, is_stale};
use std::sync::Arc;

/// Samples of one series without staleness marks, numbers and histograms apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub(crate) ft: Vec<i64>,
    pub(crate) fv: Vec<f64>,
    pub(crate) ht: Vec<i64>,
    pub(crate) hv: Vec<Arc<FloatHistogram>>,
    /// Start timestamps of the numbers and of the histograms (0: unknown); empty where none is known or none is asked for.
    pub(crate) fs: Vec<i64>,
    pub(crate) hs: Vec<i64>,
    raw: SampleBuffer,
}

impl Samples {
    /// How many samples, and bytes of the buffers that hold them.
    pub(crate) fn size(&self) -> (usize, usize) {
        let n = self.ft.len() + self.ht.len();
        let own =
            16 * (self.ft.capacity() + self.ht.capacity()) + 8 * (self.fs.capacity() + self.hs.capacity());
        let buckets: usize = self.hv.iter().map(|h| crate::storage::histogram_bytes(h)).sum();
        (n, own + buckets + self.raw.bytes())
    }

    /// Reads a series, reusing the buffers; with start timestamps where they are asked for.
    pub(crate) fn read(
        &mut self,
        series: &dyn Series,
        (mint, maxt): (i64, i64),
        starts: bool,
    ) -> Result<(), crate::storage::StorageError> {
        self.raw.clear();
        series.read(mint, maxt, &mut self.raw)?;
        self.ft.clear();
        self.fv.clear();
        self.ht.clear();
        self.hv.clear();
        self.fs.clear();
        self.hs.clear();
        let raw = &mut self.raw;
        if !starts {
            raw.starts.clear();
        }
        // all are looked at, without a branch each: few series have any
        let stale = raw.values.iter().fold(false, |any, v| any | is_stale(*v));
        if raw.histograms.is_empty() && !stale {
            // the usual case takes the columns as they are
            std::mem::swap(&mut raw.timestamps, &mut self.ft);
            std::mem::swap(&mut raw.values, &mut self.fv);
            std::mem::swap(&mut raw.starts, &mut self.fs);
            return Ok(());
        }
        let starts = raw.starts.as_slice();
        let mut histograms = raw.histograms.drain(..).peekable();
        for (i, (t, v)) in raw.timestamps.iter().zip(&raw.values).enumerate() {
            if let Some((_, h)) = histograms.next_if(|(at, _)| *at == i) {
                if !h.is_stale() {
                    self.ht.push(*t);
                    self.hv.push(h);
                    self.hs.extend(starts.get(i));
                }
            } else if !is_stale(*v) {
                self.ft.push(*t);
                self.fv.push(*v);
                self.fs.extend(starts.get(i));
            }
        }
        Ok(())
    }

    pub(crate) fn window(&self, f: (usize, usize), h: (usize, usize), start: i64, end: i64) -> Window<'_> {
        Window {
            fs: if self.fs.is_empty() { &[] } else { &self.fs[f.0..f.1] },
            hs: if self.hs.is_empty() { &[] } else { &self.hs[h.0..h.1] },
            ft: &self.ft[f.0..f.1],
            fv: &self.fv[f.0..f.1],
            ht: &self.ht[h.0..h.1],
            hv: &self.hv[h.0..h.1],
            start,
            end,
        }
    }
}

/// What a range function sees at one step: the samples with `start < t <= end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) ft: &'a [i64],
    pub(crate) fv: &'a [f64],
    pub(crate) ht: &'a [i64],
    pub(crate) hv: &'a [Arc<FloatHistogram>],
    /// Start timestamps, or nothing where none is known.
    pub(crate) fs: &'a [i64],
    pub(crate) hs: &'a [i64],
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Window<'_> {
    pub(crate) fn len(&self) -> usize {
        self.ft.len() + self.ht.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Slides a window of `range` over the samples and calls `see(step, window)` where it is not empty.
pub(crate) fn slide<'s>(
    samples: &'s Samples,
    reference: &Reference,
    range: i64,
    recorder: Option<&Recorder<'_>>,
    mut see: impl FnMut(usize, Window<'s>),
) -> Touched {
    let (mut f, mut h) = ((0, 0), (0, 0));
    let mut counter = Counter::new(samples, recorder);
    for i in 0..reference.steps.n {
        let end = reference.time(i);
        let start = end - range;
        advance(&samples.ft, &mut f, start, end);
        if !samples.ht.is_empty() {
            advance(&samples.ht, &mut h, start, end);
        }
        if f.0 < f.1 || h.0 < h.1 {
            let window = samples.window(f, h, start, end);
            counter.see(i, f, h);
            see(i, window);
        }
    }
    counter.touched
}

/// Counts the samples of windows that only move on.
pub(crate) struct Counter<'s, 'r> {
    /// Samples that the histograms before each index count for.
    weights: Vec<u64>,
    /// Where the windows so far have ended.
    ends: (usize, usize),
    recorder: Option<&'s Recorder<'r>>,
    pub(crate) touched: Touched,
}

impl<'s, 'r> Counter<'s, 'r> {
    pub(crate) fn new(samples: &Samples, recorder: Option<&'s Recorder<'r>>) -> Self {
        let mut weights = vec![0];
        if !samples.hv.is_empty() {
            weights.extend(samples.hv.iter().scan(0, |sum, h| {
                *sum += weight(h);
                Some(*sum)
            }));
        }
        Counter { weights, ends: (0, 0), recorder, touched: Touched::default() }
    }

    /// Counts the window at a step: numbers and histograms by their indexes.
    pub(crate) fn see(&mut self, i: usize, f: (usize, usize), h: (usize, usize)) {
        let histograms = |from: usize, to: usize| {
            if from < to { self.weights[to] - self.weights[from] } else { 0 }
        };
        let new = (f.0.max(self.ends.0), h.0.max(self.ends.1));
        let touched = Touched {
            loaded: (f.1 - f.0) as u64 + histograms(h.0, h.1),
            read: f.1.saturating_sub(new.0) as u64 + histograms(new.1, h.1),
        };
        self.ends = (self.ends.0.max(f.1), self.ends.1.max(h.1));
        self.touched += touched;
        if let Some(recorder) = self.recorder {
            recorder.at(i, touched);
        }
    }
}

/// Moves the bounds on to `start < t <= end`; times only grow.
#[inline]
fn advance(times: &[i64], bounds: &mut (usize, usize), start: i64, end: i64) {
    while bounds.1 < times.len() && times[bounds.1] <= end {
        bounds.1 += 1;
    }
    while bounds.0 < bounds.1 && times[bounds.0] <= start {
        bounds.0 += 1;
    }
}

/// Which samples a window holds: `from..to`; nothing where the two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    from: u32,
    to: u32,
}

impl Place {
    #[inline]
    pub(crate) fn from(self) -> usize {
        self.from as usize
    }

    #[inline]
    pub(crate) fn to(self) -> usize {
        self.to as usize
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.from == self.to
    }
}

/// Where the windows of all steps lie among some timestamps.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    times: Vec<i64>,
    /// One a step.
    pub(crate) places: Vec<Place>,
    /// How a rate extrapolates at each step; empty until a rate needs it.
    pub(crate) stretches: Vec<Stretch>,
    /// Samples in all windows together.
    pub(crate) touched: Touched,
}

impl Grid {
    fn fill(&mut self, times: &[i64], reference: &Reference, range: i64) {
        let n = reference.steps.n;
        self.times.clear();
        self.times.extend_from_slice(times);
        self.stretches.clear();
        self.places.clear();
        self.places.reserve(n);
        let mut bounds = (0, 0);
        // few steps over many samples: a search is cheaper than a walk
        let search = times.len() / 16 > n;
        self.touched = Touched::default();
        let mut before = 0;
        for i in 0..n {
            let end = reference.time(i);
            if search {
                bounds.1 += times[bounds.1..].partition_point(|t| *t <= end);
                bounds.0 += times[bounds.0..bounds.1].partition_point(|t| *t <= end - range);
            } else {
                advance(times, &mut bounds, end - range, end);
            }
            let read = bounds.1.saturating_sub(bounds.0.max(before)) as u64;
            before = before.max(bounds.1);
            self.touched += Touched { loaded: (bounds.1 - bounds.0) as u64, read };
            self.places.push(Place { from: bounds.0 as u32, to: bounds.1 as u32 });
        }
    }
}

/// The grids of the timestamps that were met last. Series of targets that are scraped together share their timestamps, so
/// that most series of a query need no search of their own.
#[derive(Debug, Default)]
pub(crate) struct Grids {
    of: Option<(Reference, i64)>,
    known: Vec<Grid>,
    /// Which one is replaced next.
    next: usize,
}

/// Places and timestamps that grids keep at most, but for one grid.
const KEPT: usize = 1 << 16;

impl Grids {
    /// The grid of these timestamps.
    pub(crate) fn at(&mut self, times: &[i64], reference: &Reference, range: i64) -> &mut Grid {
        if self.of != Some((*reference, range)) {
            self.of = Some((*reference, range));
            self.known.clear();
            self.next = 0;
        }
        let at = match self.known.iter().position(|g| g.times == times) {
            Some(at) => at,
            None => self.add(times, reference, range),
        };
        &mut self.known[at]
    }

    fn add(&mut self, times: &[i64], reference: &Reference, range: i64) -> usize {
        let most = (KEPT / (reference.steps.n + times.len()).max(1)).clamp(1, 16);
        let at = self.next % most;
        if at >= self.known.len() {
            self.known.push(Grid::default());
        }
        self.next = at + 1;
        self.known[at].fill(times, reference, range);
        at
    }
}
