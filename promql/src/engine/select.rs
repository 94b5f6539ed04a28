//! Selectors, and range functions directly above them: streams of columns that are made on demand, one a series.

use super::column::{Column, HISTOGRAM, OutSeries, Point};
use super::context::{Ctx, Reference, Size, Steps, series_size};
use super::explain::Explain;
use super::range_fn::extended::interpolate;
use super::range_fn::{Call, Scratch, evaluate};
use super::result::QueryError;
use super::tally::{Recorder, Touched, weight};
use super::window::Samples;
use crate::ast::{Boundary, Expr, ExprKind, PosRange, Span, VectorSelector};
use crate::storage::{SampleBuffer, SelectHints, Selection, Series, StorageError};
use model::histogram::CounterReset;
use model::{FloatHistogram, Labels, is_stale};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// What hints say about the place of a selector in the query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    pub(crate) func: &'static str,
    pub(crate) grouping: Vec<String>,
    pub(crate) by: bool,
    /// What is read was counted before.
    pub(crate) counted: bool,
}

/// Series whose columns are made one at a time, by any thread.
pub(crate) struct Stream<'a> {
    pub(crate) labels: Vec<Labels>,
    /// The function drops the metric's name.
    pub(crate) drop_name: bool,
    pub(crate) steps: usize,
    kernel: Kernel<'a>,
    /// Nanoseconds that a column takes, roughly.
    cost: usize,
    buffers: Pool,
}

/// Buffers of threads that are not at work.
#[derive(Default)]
struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    fn take(&self) -> Buffers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put(&self, buffers: Buffers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }
}

/// Work below this many nanoseconds is done sooner than other cores have woken up.
const WORTH_SHARING: usize = 200_000;
/// Milliseconds between the samples of a series, where only a guess is needed.
const USUAL_INTERVAL: i64 = 30_000;

/// Nanoseconds to read a series between two times and to go through all steps, roughly. `latest`: of the last sample alone, which storage
/// mostly has at hand.
fn cost(mint: i64, maxt: i64, steps: usize, latest: bool) -> usize {
    if latest {
        return 100;
    }
    let samples = (maxt.saturating_sub(mint) / USUAL_INTERVAL).clamp(0, 1 << 20) as usize;
    500 + 6 * samples + 4 * steps
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
        let Stream { labels: own, drop_name: dropped, steps, kernel, cost, buffers } = self;
        let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
            kernel(i, buffers, col)?;
            map(&labels[i], col);
            Ok(())
        });
        Stream { labels: own, drop_name: dropped || drop_name, steps, kernel, cost, buffers }
    }

    /// The same, timed and counted as what a node of the query yields.
    pub(crate) fn watched(self, explain: &'a Explain<'a>, expr: &'a Expr, began: u64) -> Stream<'a> {
        let Stream { labels, drop_name, steps, kernel, cost, buffers } = self;
        explain.took(expr.pos, began);
        explain.selected(expr.pos, labels.len());
        // what a selector itself passes on is what it read, which is counted there
        let selector = matches!(expr.kind, ExprKind::Vector(_));
        let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
            let began = explain.now();
            kernel(i, buffers, col)?;
            explain.took(expr.pos, began);
            if !selector {
                let present = (0..col.values.len()).filter(|i| col.is_present(*i)).count();
                explain.passed(expr.pos, present, 8 * (col.values.len() + col.hists.len()));
            }
            Ok(())
        });
        Stream { labels, drop_name, steps, kernel, cost, buffers }
    }

    /// All columns; series without any value are left out.
    pub(crate) fn collect(&self, ctx: &Ctx<'_>) -> Result<Vec<OutSeries>, QueryError> {
        let mut out = Vec::with_capacity(self.labels.len());
        let mut columns: Vec<Column> = Vec::new();
        let mut held = Size::default();
        for begin in (0..self.labels.len()).step_by(BATCH) {
            columns.clear();
            columns.resize_with(BATCH.min(self.labels.len() - begin), Column::default);
            ctx.would_hold(held.plus(Size::columns(columns.len(), self.steps)), "a selector")?;
            self.fill(begin, &mut columns)?;
            let filled = self.labels[begin..].iter().zip(columns.drain(..));
            let present = filled.filter(|(_, col)| col.any_present());
            let before = out.len();
            out.extend(present.map(|(labels, col)| OutSeries {
                labels: labels.clone(),
                drop_name: self.drop_name,
                col,
            }));
            held = out[before..].iter().map(series_size).fold(held, Size::plus);
        }
        ctx.would_hold(held, "a selector")?;
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
        for begin in (0..self.labels.len()).step_by(batch) {
            ctx.would_hold(Size::columns(columns.len(), self.steps), "a batch of series")?;
            let n = batch.min(self.labels.len() - begin);
            self.fill(begin, &mut columns[..n])?;
            see(begin, &columns[..n]);
        }
        Ok(())
    }

    /// Makes the columns of the series from `begin` on, by several cores where there is enough to do.
    fn fill(&self, begin: usize, columns: &mut [Column]) -> Result<(), QueryError> {
        let run = |first: usize, columns: &mut [Column]| {
            let mut buffers = self.buffers.take();
            let made = columns
                .iter_mut()
                .enumerate()
                .try_for_each(|(k, col)| self.column(first + k, &mut buffers, col));
            self.buffers.put(buffers);
            made
        };
        let threads = rayon::current_num_threads();
        if threads < 2 || columns.len() * self.cost < WORTH_SHARING {
            return run(begin, columns);
        }
        // parts of unequal cost even out when there are more of them than threads
        let part = columns.len().div_ceil(4 * threads).max(WORTH_SHARING / 8 / self.cost.max(1)).max(1);
        columns.par_chunks_mut(part).enumerate().try_for_each(|(at, columns)| run(begin + at * part, columns))
    }
}

/// Selects series and notes what storage warns of.
pub(crate) fn select(
    ctx: &Ctx<'_>,
    selector: &VectorSelector,
    hints: &SelectHints,
) -> Result<Vec<Arc<dyn Series>>, QueryError> {
    ctx.options.cancel.check()?;
    let began = ctx.options.stopwatch.nanos();
    let series = ctx.reads.select(ctx, &selector.matchers, hints, |hints| {
        let Selection { series, warnings } = ctx.storage.select(&selector.matchers, hints)?;
        for warning in warnings {
            ctx.notes.plain(warning);
        }
        Ok(series)
    })?;
    let took = ctx.options.stopwatch.nanos().saturating_sub(began);
    ctx.select_nanos.fetch_add(took, std::sync::atomic::Ordering::Relaxed);
    ctx.selected(&series)?;
    Ok(series)
}

/// `metric` at each step: the last sample within the lookback.
pub(crate) fn instant<'a>(
    ctx: &'a Ctx<'a>,
    selector: &VectorSelector,
    pos: PosRange,
    steps: Steps,
    around: Around,
) -> Result<Stream<'a>, QueryError> {
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let smoothed = selector.boundary == Boundary::Smoothed;
    let stats = ctx.stats_only.contains(&pos.start);
    // of a sample that is asked for its time, what it is does not count
    let times_only = matches!(around.func, "timestamp" | "start_timestamp");
    let counted = around.counted;
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
        // whether a counter was reset is seen from the samples before
        latest: steps.n == 1 && !smoothed && !stats,
    };
    let latest = hints.latest;
    let series = select(ctx, selector, &hints)?;
    if let Some(explain) = &ctx.explain {
        explain.selected(pos, series.len());
    }
    let labels = series.iter().map(|s| s.labels().clone()).collect();
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        if smoothed {
            let ((metric, kind), boundary) = (described(ctx, series[i].labels()), Boundary::Smoothed);
            let call = Call { ctx, func: "", pos, metric, kind, boundary, params: &[], computed: false };
            let samples = &mut buffers.scratch.samples;
            samples.read(&*series[i], (mint, maxt), ctx.engine.use_start_timestamps)?;
            let (n, bytes) = samples.size();
            ctx.decoded(pos, n, bytes)?;
            // Prometheus counts none of these samples
            smoothed_column(&call, samples, &reference, col);
        } else {
            buffers.raw.clear();
            series[i].read(mint, maxt, &mut buffers.raw)?;
            ctx.decoded(pos, buffers.raw.len(), buffers.raw.bytes())?;
            if stats {
                find_resets(&mut buffers.raw);
            }
            let mut recorder = if counted { None } else { ctx.tally.recorder(&reference.steps) };
            if let Some(recorder) = &mut recorder {
                recorder.times_only = times_only;
            }
            let mut touched = last_samples(buffers, &reference, ctx.lookback, col, recorder.as_ref());
            if times_only && !col.hists.is_empty() {
                let present = (0..col.values.len()).filter(|i| col.is_present(*i)).count() as u64;
                touched = Touched { loaded: present, read: present };
            }
            if !counted {
                ctx.tally.add(&reference.steps, touched);
            }
        }
        Ok(())
    });
    let cost = cost(mint, maxt, steps.n, latest);
    Ok(Stream { labels, drop_name: false, steps: steps.n, kernel, cost, buffers: Pool::default() })
}

fn find_resets(raw: &mut SampleBuffer) {
    mark_resets(raw.histograms.iter_mut().map(|(_, h)| h));
    raw.histograms.iter_mut().for_each(|(_, h)| without_buckets(h));
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

/// What is left of a histogram of which only count and sum are asked for.
fn without_buckets(h: &mut Arc<FloatHistogram>) {
    if !h.is_stale() {
        let FloatHistogram { counter_reset, schema, count, sum, .. } = **h;
        *h = Arc::new(FloatHistogram { counter_reset, schema, count, sum, ..FloatHistogram::default() });
    }
}

fn last_samples(
    buffers: &mut Buffers,
    reference: &Reference,
    lookback: i64,
    col: &mut Column,
    recorder: Option<&Recorder<'_>>,
) -> Touched {
    let Buffers { raw, scratch } = buffers;
    let grid = scratch.grids.at(&raw.timestamps, reference, lookback);
    let mut all = 0;
    for (i, place) in grid.places.iter().enumerate().filter(|(_, place)| !place.is_empty()) {
        let last = place.to() - 1;
        let v = raw.values[last];
        let mut counts = 1;
        if !raw.histograms.is_empty()
            && let Ok(k) = raw.histograms.binary_search_by_key(&last, |(k, _)| *k)
        {
            if raw.histograms[k].1.is_stale() {
                continue;
            }
            counts = weight(&raw.histograms[k].1);
            col.set_hist(i, raw.histograms[k].1.clone());
        } else if is_stale(v) {
            continue;
        } else {
            col.values[i] = sane(v);
        }
        all += counts;
        if let Some(recorder) = recorder {
            recorder.at(i, Touched { loaded: counts, read: counts });
        }
    }
    Touched { loaded: all, read: all }
}

/// The mark of histograms never comes from storage.
#[inline]
fn sane(v: f64) -> f64 {
    if v.to_bits() == HISTOGRAM.to_bits() { model::sample::NORMAL_NAN } else { v }
}

/// `metric smoothed`: between the samples around each step.
fn smoothed_column(call: &Call<'_>, samples: &Samples, reference: &Reference, col: &mut Column) {
    let lookback = call.ctx.lookback;
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
}

/// A range selector under a function.
pub(crate) struct Range<'a> {
    pub(crate) selector: &'a VectorSelector,
    pub(crate) span: &'a Span,
    pub(crate) pos: PosRange,
    /// Where annotations say that it stands: the function's first argument.
    pub(crate) noted: PosRange,
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
    let Range { selector, span, pos, noted } = range;
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
        latest: false,
    };
    let series = select(ctx, selector, &hints)?;
    if let Some(explain) = &ctx.explain {
        explain.selected(pos, series.len());
    }
    let labels = series.iter().map(|s| s.labels().clone()).collect();
    let stats = ctx.stats_only.contains(&pos.start);
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        let scratch = &mut buffers.scratch;
        let began = ctx.explain.as_ref().map_or(0, Explain::now);
        scratch.samples.read(&*series[i], (mint, maxt), ctx.engine.use_start_timestamps)?;
        let (n, bytes) = scratch.samples.size();
        ctx.decoded(pos, n, bytes)?;
        if let Some(explain) = &ctx.explain {
            explain.took(pos, began);
        }
        if stats {
            mark_resets(scratch.samples.hv.iter_mut());
            scratch.samples.hv.iter_mut().for_each(without_buckets);
        }
        let (metric, kind) = described(ctx, series[i].labels());
        let call = Call { ctx, func, pos: noted, metric, kind, boundary, params: &params, computed: false };
        evaluate(&call, scratch, &reference, length, col);
        Ok(())
    });
    let (cost, drop_name) = (cost(mint, maxt, steps.n, false), !keeps_name(func));
    Ok(Stream { labels, drop_name, steps: steps.n, kernel, cost, buffers: Pool::default() })
}

/// A metric's name, and its type where labels are to say it.
pub(crate) fn described<'l>(ctx: &Ctx<'_>, labels: &'l Labels) -> (&'l str, Option<&'l str>) {
    (labels.metric_name(), ctx.engine.type_and_unit_labels.then(|| labels.get("__type__")))
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
pub(crate) fn over_computed(call: &Call<'_>, samples: Samples, reference: &Reference, range: i64) -> Column {
    let mut scratch = Scratch::default();
    scratch.samples = samples;
    let mut col = Column::absent(reference.steps.n);
    evaluate(call, &mut scratch, reference, range, &mut col);
    col
}

/// Samples of a series for `metric[5m]` as a query of its own.
pub(crate) fn raw_samples(series: &dyn Series, mint: i64, maxt: i64) -> Result<Samples, StorageError> {
    let mut samples = Samples::default();
    samples.read(series, (mint, maxt), false)?;
    Ok(samples)
}

/// `timestamp(metric)`: times of the samples themselves, in seconds. `counted`: the samples were counted before.
pub(crate) fn timestamps<'a>(
    ctx: &'a Ctx<'a>,
    selector: &VectorSelector,
    pos: PosRange,
    steps: Steps,
    counted: bool,
) -> Result<Stream<'a>, QueryError> {
    let around = Around { func: "timestamp", counted, ..Around::default() };
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let lookback = ctx.lookback;
    let stream = instant(ctx, selector, pos, steps, around)?;
    let Stream { labels, drop_name, steps, kernel, cost, buffers } = stream;
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        kernel(i, buffers, col)?;
        let times = buffers.raw.timestamps.as_slice();
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
    Ok(Stream { labels, drop_name, steps, kernel, cost, buffers })
}

/// `start_timestamp(metric)`: when the counters of the samples began, in seconds; 0 where that is not known.
pub(crate) fn start_timestamps<'a>(
    ctx: &'a Ctx<'a>,
    selector: &VectorSelector,
    pos: PosRange,
    steps: Steps,
) -> Result<Stream<'a>, QueryError> {
    let around = Around { func: "start_timestamp", ..Around::default() };
    let reference = ctx.reference(&selector.modifiers, steps)?;
    let stream = instant(ctx, selector, pos, steps, around)?;
    let Stream { labels, drop_name, steps, kernel, cost, buffers } = stream;
    let kernel: Kernel<'a> = Box::new(move |i, buffers, col| {
        kernel(i, buffers, col)?;
        let (times, starts) = (&buffers.raw.timestamps, &buffers.raw.starts);
        for step in 0..reference.steps.n {
            if col.is_present(step) {
                let last = times.partition_point(|t| *t <= reference.time(step));
                let start = starts.get(last.wrapping_sub(1)).copied().unwrap_or(0);
                col.values[step] = start as f64 / 1000.0;
            }
        }
        col.hists.clear();
        Ok(())
    });
    Ok(Stream { labels, drop_name, steps, kernel, cost, buffers })
}
