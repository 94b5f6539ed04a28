//! Selectors, and range functions directly above them: streams of columns that are made on demand, one a series.

use super::column::{Column, HISTOGRAM, OutSeries, Point};
use super::context::{Ctx, Reference, Steps};
use super::range_fn::extended::interpolate;
use super::range_fn::{Call, Scratch, evaluate};
use super::result::QueryError;
use super::window::Samples;
use crate::ast::{Boundary, PosRange, Span, VectorSelector};
use crate::storage::{SampleBuffer, SelectHints, Selection, Series, StorageError};
use model::histogram::CounterReset;
use model::{FloatHistogram, Labels, is_stale};
use rayon::prelude::*;
use std::sync::Arc;

/// What hints say about the place of a selector in the query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    pub(crate) func: &'static str,
    pub(crate) grouping: Vec<String>,
    pub(crate) by: bool,
}

/// Series whose columns are made one at a time, by any thread.
pub(crate) struct Stream<'a> {
    pub(crate) labels: Vec<Labels>,
    /// The function drops the metric's name.
    pub(crate) drop_name: bool,
    pub(crate) steps: usize,
    kernel: Kernel<'a>,
}

type Kernel<'a> = Box<dyn Fn(usize, &mut Buffers, &mut Column) -> Result<(), QueryError> + Sync + Send + 'a>;

/// Buffers of a thread.
#[derive(Default)]
pub(crate) struct Buffers {
    raw: SampleBuffer,
    scratch: Scratch,
}

/// Series handled between two looks at the budget and the cancel flag.
const BATCH: usize = 256;

impl<'a> Stream<'a> {
    pub(crate) fn column(&self, i: usize, buffers: &mut Buffers, col: &mut Column) -> Result<(), QueryError> {
        col.reset(self.steps);
        (self.kernel)(i, buffers, col)
    }

    /// The same series with each column changed by `map`.
    pub(crate) fn map(
        self,
        drop_name: bool,
        map: impl Fn(&Labels, &mut Column) + Sync + Send + 'a,
    ) -> Stream<'a> {
        let labels = self.labels.clone();
        let Stream { labels: own, drop_name: dropped, steps, kernel } = self;
        let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
            kernel(i, buffers, col)?;
            map(&labels[i], col);
            Ok(())
        });
        Stream { labels: own, drop_name: dropped || drop_name, steps, kernel }
    }

    /// All columns; series without any value are left out.
    pub(crate) fn collect(&self, ctx: &Ctx<'_>) -> Result<Vec<OutSeries>, QueryError> {
        let mut out = Vec::new();
        let mut held = 0;
        for begin in (0..self.labels.len()).step_by(BATCH) {
            let end = (begin + BATCH).min(self.labels.len());
            let one = |buffers: &mut Buffers, i: usize| -> Result<Option<OutSeries>, QueryError> {
                let mut col = Column::default();
                self.column(i, buffers, &mut col)?;
                let labels = self.labels[i].clone();
                Ok(col.any_present().then_some(OutSeries { labels, drop_name: self.drop_name, col }))
            };
            let batch: Vec<Option<OutSeries>> = if end - begin < 4 {
                let mut buffers = Buffers::default();
                (begin..end).map(|i| one(&mut buffers, i)).collect::<Result<_, _>>()?
            } else {
                (begin..end).into_par_iter().map_init(Buffers::default, one).collect::<Result<_, _>>()?
            };
            held += batch.iter().flatten().count() * self.steps;
            out.extend(batch.into_iter().flatten());
            ctx.would_hold(held, "a selector")?;
        }
        Ok(out)
    }

    /// Columns in order of the series, made by all cores, a batch at a time.
    pub(crate) fn for_each_batch(
        &self,
        ctx: &Ctx<'_>,
        mut see: impl FnMut(usize, &[Column]),
    ) -> Result<(), QueryError> {
        // small enough for the caches, large enough for all cores
        let batch = (65_536 / self.steps.max(1)).clamp(8, 1024);
        let mut columns: Vec<Column> = Vec::new();
        columns.resize_with(batch.min(self.labels.len()), Column::default);
        ctx.would_hold(columns.len() * self.steps, "a batch of series")?;
        for begin in (0..self.labels.len()).step_by(batch) {
            ctx.would_hold(columns.len() * self.steps, "a batch of series")?;
            let n = batch.min(self.labels.len() - begin);
            if n < 4 {
                let mut buffers = Buffers::default();
                for (k, col) in columns[..n].iter_mut().enumerate() {
                    self.column(begin + k, &mut buffers, col)?;
                }
            } else {
                columns[..n]
                    .par_iter_mut()
                    .enumerate()
                    .try_for_each_init(Buffers::default, |buffers, (k, col)| {
                        self.column(begin + k, buffers, col)
                    })?;
            }
            see(begin, &columns[..n]);
        }
        Ok(())
    }
}

/// Selects series and notes what storage warns of.
pub(crate) fn select(
    ctx: &Ctx<'_>,
    selector: &VectorSelector,
    hints: &SelectHints,
) -> Result<Vec<Arc<dyn Series>>, QueryError> {
    ctx.options.cancel.check()?;
    let Selection { series, warnings } = ctx.storage.select(&selector.matchers, hints)?;
    for warning in warnings {
        ctx.notes.plain(warning);
    }
    ctx.series.fetch_add(series.len() as u64, std::sync::atomic::Ordering::Relaxed);
    Ok(series)
}

/// `metric` at each step: the last sample within the lookback.
pub(crate) fn instant<'a>(
    ctx: &'a Ctx<'a>,
    selector: &'a VectorSelector,
    pos: PosRange,
    steps: Steps,
    around: Around,
) -> Result<Stream<'a>, QueryError> {
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let smoothed = selector.boundary == Boundary::Smoothed;
    let mint = reference.first() - ctx.lookback + 1;
    let maxt = reference.last() + if smoothed { ctx.lookback } else { 0 };
    let hints = SelectHints {
        start: mint,
        end: maxt,
        step: if steps.n > 1 { steps.step } else { 0 },
        range: 0,
        func: around.func,
        grouping: around.grouping,
        by: around.by,
        limit: 0,
    };
    let series = select(ctx, selector, &hints)?;
    let labels = series.iter().map(|s| s.labels().clone()).collect();
    let stats = ctx.stats_only.contains(&pos.start);
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        let touched = if smoothed {
            let call = Call {
                ctx,
                func: "",
                pos,
                metric: series[i].labels().metric_name(),
                boundary: Boundary::Smoothed,
                params: &[],
            };
            buffers.scratch.samples.read(&*series[i], mint, maxt)?;
            smoothed_column(&call, &buffers.scratch.samples, &reference, col)
        } else {
            buffers.raw.clear();
            series[i].read(mint, maxt, &mut buffers.raw)?;
            if stats {
                find_resets(&mut buffers.raw);
            }
            last_samples(&buffers.raw, &reference, ctx.lookback, col)
        };
        ctx.touch(touched);
        Ok(())
    });
    Ok(Stream { labels, drop_name: false, steps: steps.n, kernel })
}

fn find_resets(raw: &mut SampleBuffer) {
    mark_resets(raw.histograms.iter_mut().map(|(_, h)| h));
}

/// Says of each histogram of which storage says nothing whether its counter began anew.
fn mark_resets<'h>(histograms: impl Iterator<Item = &'h mut Arc<FloatHistogram>>) {
    let mut before: Option<Arc<FloatHistogram>> = None;
    for h in histograms {
        if let Some(before) = before.filter(|_| h.counter_reset == CounterReset::Unknown) {
            let reset = crate::histogram::detect_reset(h, &before);
            Arc::make_mut(h).counter_reset = if reset { CounterReset::Reset } else { CounterReset::NotReset };
        }
        before = Some(h.clone());
    }
}

fn last_samples(raw: &SampleBuffer, reference: &Reference, lookback: i64, col: &mut Column) -> u64 {
    let (mut next, mut touched) = (0, 0);
    let times = &raw.timestamps;
    for i in 0..reference.steps.n {
        let t = reference.time(i);
        while next < times.len() && times[next] <= t {
            next += 1;
        }
        if next == 0 || times[next - 1] <= t - lookback {
            continue;
        }
        let v = raw.values[next - 1];
        let at = raw.histograms.binary_search_by_key(&(next - 1), |(k, _)| *k);
        match at {
            Ok(k) if !raw.histograms[k].1.is_stale() => col.set_hist(i, raw.histograms[k].1.clone()),
            Ok(_) => continue,
            Err(_) if is_stale(v) => continue,
            Err(_) => col.values[i] = sane(v),
        }
        touched += 1;
    }
    touched
}

/// The mark of histograms never comes from storage.
#[inline]
fn sane(v: f64) -> f64 {
    if v.to_bits() == HISTOGRAM.to_bits() { model::sample::NORMAL_NAN } else { v }
}

/// `metric smoothed`: between the samples around each step.
fn smoothed_column(call: &Call<'_>, samples: &Samples, reference: &Reference, col: &mut Column) -> u64 {
    let lookback = call.ctx.lookback;
    let mut touched = 0;
    for i in 0..reference.steps.n {
        let t = reference.time(i);
        let within = |times: &[i64]| {
            (times.partition_point(|x| *x <= t - lookback), times.partition_point(|x| *x <= t + lookback))
        };
        let (f, h) = (within(&samples.ft), within(&samples.ht));
        if f.0 < f.1 && h.0 < h.1 {
            call.warn_mixed();
            continue;
        }
        let times = if f.0 < f.1 { &samples.ft } else { &samples.ht };
        let (from, to) = if f.0 < f.1 { f } else { h };
        let after = from + times[from..to].partition_point(|x| *x <= t);
        if after == from {
            continue;
        }
        touched += 1;
        let before = after - 1;
        let exact = after == to || times[before] == t;
        let share =
            if exact { 0.0 } else { (t - times[before]) as f64 / (times[after] - times[before]) as f64 };
        let point = if f.0 < f.1 {
            let v = samples.fv[before];
            Point::Float(if exact { v } else { v + (samples.fv[after] - v) * share })
        } else if exact {
            Point::Hist(samples.hv[before].clone())
        } else {
            let (a, b) = (&samples.hv[before], &samples.hv[after]);
            let counter = a.counter_reset != model::histogram::CounterReset::Gauge;
            match interpolate(a, b, share, counter) {
                Some(h) => Point::hist(h),
                None => {
                    call.warn_mixed_schemas();
                    Point::Absent
                }
            }
        };
        col.set(i, point);
    }
    touched
}

/// A range selector under a function.
pub(crate) struct Range<'a> {
    pub(crate) selector: &'a VectorSelector,
    pub(crate) span: &'a Span,
    pub(crate) pos: PosRange,
}

/// A range function over a range selector.
pub(crate) fn ranged<'a>(
    ctx: &'a Ctx<'a>,
    range: Range<'a>,
    func: &'static str,
    params: Vec<Vec<f64>>,
    steps: Steps,
    around: Around,
) -> Result<Stream<'a>, QueryError> {
    let Range { selector, span, pos } = range;
    let length = ctx.span(span, true)?;
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let boundary = selector.boundary;
    check_boundary(boundary, func)?;
    let before = if boundary == Boundary::Inside { 0 } else { ctx.lookback };
    let after = if boundary == Boundary::Smoothed { ctx.lookback } else { 0 };
    let mint = reference.first() - length - before + 1;
    let maxt = reference.last() + after;
    let hints = SelectHints {
        start: mint,
        end: maxt,
        step: if steps.n > 1 { steps.step } else { 0 },
        range: length,
        func,
        grouping: around.grouping,
        by: around.by,
        limit: 0,
    };
    let series = select(ctx, selector, &hints)?;
    let labels = series.iter().map(|s| s.labels().clone()).collect();
    let stats = ctx.stats_only.contains(&pos.start);
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        let scratch = &mut buffers.scratch;
        scratch.samples.read(&*series[i], mint, maxt)?;
        if stats {
            mark_resets(scratch.samples.hv.iter_mut());
        }
        let metric = series[i].labels().metric_name();
        let call = Call { ctx, func, pos, metric, boundary, params: &params };
        let touched = evaluate(&call, scratch, &reference, length, col);
        ctx.touch(touched);
        Ok(())
    });
    Ok(Stream { labels, drop_name: !keeps_name(func), steps: steps.n, kernel })
}

/// Functions whose result is a sample of the series itself.
pub(crate) fn keeps_name(func: &str) -> bool {
    matches!(func, "last_over_time" | "first_over_time")
}

fn check_boundary(boundary: Boundary, func: &str) -> Result<(), QueryError> {
    let (word, allowed): (&str, &[&str]) = match boundary {
        Boundary::Inside => return Ok(()),
        Boundary::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
        Boundary::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
    };
    if allowed.contains(&func) {
        return Ok(());
    }
    let text = format!("{word} modifier can only be used with: {} - not with {func}", allowed.join(", "));
    Err(QueryError::Execution(text))
}

/// A range function over samples that were computed: a subquery's.
pub(crate) fn over_computed(
    call: &Call<'_>,
    samples: Samples,
    reference: &Reference,
    range: i64,
) -> (Column, u64) {
    let mut scratch = Scratch { samples, ..Scratch::default() };
    let mut col = Column::absent(reference.steps.n);
    let touched = evaluate(call, &mut scratch, reference, range, &mut col);
    (col, touched)
}

/// Samples of a series for `metric[5m]` as a query of its own.
pub(crate) fn raw_samples(series: &dyn Series, mint: i64, maxt: i64) -> Result<Samples, StorageError> {
    let mut samples = Samples::default();
    samples.read(series, mint, maxt)?;
    Ok(samples)
}

/// `timestamp(metric)`: times of the samples themselves, in seconds.
pub(crate) fn timestamps<'a>(
    ctx: &'a Ctx<'a>,
    selector: &'a VectorSelector,
    pos: PosRange,
    steps: Steps,
) -> Result<Stream<'a>, QueryError> {
    let around = Around { func: "timestamp", ..Around::default() };
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let lookback = ctx.lookback;
    let smoothed = selector.boundary == Boundary::Smoothed;
    let stream = instant(ctx, selector, pos, steps, around)?;
    let Stream { labels, drop_name, steps, kernel } = stream;
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        kernel(i, buffers, col)?;
        let times: &[i64] = if smoothed { &buffers.scratch.samples.ft } else { &buffers.raw.timestamps };
        let mut next = 0;
        for step in 0..reference.steps.n {
            let t = reference.time(step);
            while next < times.len() && times[next] <= t {
                next += 1;
            }
            if col.is_present(step) {
                let own = if next > 0 && times[next - 1] > t - lookback { times[next - 1] } else { t };
                col.values[step] = own as f64 / 1000.0;
            }
        }
        col.hists.clear();
        Ok(())
    });
    Ok(Stream { labels, drop_name, steps, kernel })
}

/// `start_timestamp(metric)`: when the counters of the samples began, in seconds, where that is known.
pub(crate) fn start_timestamps<'a>(
    ctx: &'a Ctx<'a>,
    selector: &'a VectorSelector,
    pos: PosRange,
    steps: Steps,
) -> Result<Stream<'a>, QueryError> {
    let around = Around { func: "start_timestamp", ..Around::default() };
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let stream = instant(ctx, selector, pos, steps, around)?;
    let Stream { labels, drop_name, steps, kernel } = stream;
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        kernel(i, buffers, col)?;
        let SampleBuffer { timestamps, starts, .. } = &buffers.raw;
        for step in (0..reference.steps.n).filter(|_| !starts.is_empty()) {
            let last = timestamps.partition_point(|t| *t <= reference.time(step));
            match starts.get(last.wrapping_sub(1)) {
                Some(start) if *start != 0 && col.is_present(step) => {
                    col.values[step] = *start as f64 / 1000.0
                }
                _ => col.clear_at(step),
            }
        }
        if starts.is_empty() {
            col.reset(reference.steps.n);
        }
        col.hists.clear();
        Ok(())
    });
    Ok(Stream { labels, drop_name, steps, kernel })
}
