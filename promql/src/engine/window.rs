//! Windows: the samples of one series, and what a range function sees of them at each step.

use super::context::Reference;
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
    raw: SampleBuffer,
}

impl Samples {
    /// Reads a series, reusing the buffers.
    pub(crate) fn read(
        &mut self,
        series: &dyn Series,
        mint: i64,
        maxt: i64,
    ) -> Result<(), crate::storage::StorageError> {
        self.raw.clear();
        series.read(mint, maxt, &mut self.raw)?;
        self.ft.clear();
        self.fv.clear();
        self.ht.clear();
        self.hv.clear();
        let raw = &mut self.raw;
        if raw.histograms.is_empty() && !raw.values.iter().any(|v| is_stale(*v)) {
            // the usual case takes the columns as they are
            std::mem::swap(&mut raw.timestamps, &mut self.ft);
            std::mem::swap(&mut raw.values, &mut self.fv);
            return Ok(());
        }
        let mut histograms = raw.histograms.drain(..).peekable();
        for (i, (t, v)) in raw.timestamps.iter().zip(&raw.values).enumerate() {
            if let Some((_, h)) = histograms.next_if(|(at, _)| *at == i) {
                if !h.is_stale() {
                    self.ht.push(*t);
                    self.hv.push(h);
                }
            } else if !is_stale(*v) {
                self.ft.push(*t);
                self.fv.push(*v);
            }
        }
        Ok(())
    }

    pub(crate) fn window(&self, f: (usize, usize), h: (usize, usize), start: i64, end: i64) -> Window<'_> {
        Window {
            ft: &self.ft[f.0..f.1],
            fv: &self.fv[f.0..f.1],
            ht: &self.ht[h.0..h.1],
            hv: &self.hv[h.0..h.1],
            f_from: f.0,
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
    /// Index of the first number in the series' samples.
    pub(crate) f_from: usize,
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
    mut see: impl FnMut(usize, Window<'s>),
) -> u64 {
    let (mut f, mut h) = ((0, 0), (0, 0));
    let mut touched = 0;
    for i in 0..reference.steps.n {
        let end = reference.time(i);
        let start = end - range;
        advance(&samples.ft, &mut f, start, end);
        if !samples.ht.is_empty() {
            advance(&samples.ht, &mut h, start, end);
        }
        if f.0 < f.1 || h.0 < h.1 {
            let window = samples.window(f, h, start, end);
            touched += window.len() as u64;
            see(i, window);
        }
    }
    touched
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
