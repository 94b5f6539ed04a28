//! Functions over range vectors: for each series a window slides over its samples.

pub(crate) mod extended;
pub(crate) mod over_time;
pub(crate) mod rate;
mod sliding;

use super::column::{Column, Point};
use super::context::{Ctx, Reference};
use super::notes::for_metric;
use super::tally::{Recorder, Touched};
use super::window::{Counter, Grids, Samples, Window, slide};
use crate::ast::{Boundary, PosRange};
use rate::Kind;

/// A range function in a query, as it is applied to one series.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) ctx: &'a Ctx<'a>,
    pub(crate) func: &'static str,
    /// Where the range vector stands.
    pub(crate) pos: PosRange,
    /// Name of the series' metric.
    pub(crate) metric: &'a str,
    /// The metric's type, where labels are to say it.
    pub(crate) kind: Option<&'a str>,
    pub(crate) boundary: Boundary,
    /// Scalar arguments, a value per step each.
    pub(crate) params: &'a [Vec<f64>],
    /// The samples are a subquery's: they were computed, not read.
    pub(crate) computed: bool,
}

impl Call<'_> {
    pub(crate) fn warn(&self, text: &str) {
        self.ctx.notes.warn(self.pos, text);
    }

    pub(crate) fn info(&self, text: &str) {
        self.ctx.notes.info(self.pos, text);
    }

    pub(crate) fn warn_metric(&self, text: &str) {
        self.ctx.notes.warn(self.pos, format!("{text} {}", model::float::quote(self.metric)));
    }

    pub(crate) fn warn_mixed(&self) {
        self.warn(&for_metric("encountered a mix of histograms and floats", self.metric));
    }

    pub(crate) fn warn_mixed_schemas(&self) {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas";
        self.warn(&for_metric(text, self.metric));
    }

    pub(crate) fn info_ignored_histograms(&self) {
        let text = "ignored histograms in a range containing both floats and histograms";
        self.info(&for_metric(text, self.metric));
    }
}

/// Buffers of a thread.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) samples: Samples,
    pub(crate) grids: Grids,
    resets: Vec<usize>,
    kept: sliding::Kept,
}

/// Evaluates the function at all steps of one series whose samples are in `scratch`, and counts them.
pub(crate) fn evaluate(
    call: &Call<'_>,
    scratch: &mut Scratch,
    reference: &Reference,
    range: i64,
    col: &mut Column,
) {
    let tally = &call.ctx.tally;
    let mut recorder = tally.recorder(&reference.steps);
    if let Some(recorder) = &mut recorder {
        recorder.computed = call.computed;
    }
    let mut touched = at_all_steps(call, scratch, reference, range, col, recorder.as_ref());
    if call.computed {
        touched.read = 0;
    }
    tally.add(&reference.steps, touched);
}

fn at_all_steps(
    call: &Call<'_>,
    scratch: &mut Scratch,
    reference: &Reference,
    range: i64,
    col: &mut Column,
    recorder: Option<&Recorder<'_>>,
) -> Touched {
    let Scratch { samples, grids, resets, kept } = scratch;
    let kind = match call.func {
        "rate" => Some(Kind { counter: true, per_second: true }),
        "increase" => Some(Kind { counter: true, per_second: false }),
        "delta" => Some(Kind { counter: false, per_second: false }),
        _ => None,
    };
    if call.boundary != Boundary::Inside {
        return extended(call, samples, (reference, range), col, kind, recorder);
    }
    let mixed = !samples.ht.is_empty();
    if mixed && kind.is_none() {
        return slide(samples, reference, range, recorder, |i, w| {
            col.set(i, at_step(call, reference, i, &w))
        });
    }
    let grid = grids.at(&samples.ft, reference, range);
    let mut touched = grid.touched;
    if let Some(recorder) = recorder.filter(|_| !mixed) {
        let mut counter = Counter::new(samples, Some(recorder));
        for (i, place) in grid.places.iter().enumerate() {
            counter.see(i, (place.from(), place.to()), (0, 0));
        }
    }
    if let Some(kind) = kind {
        rate::resets(kind, samples, resets);
        rate::of_floats(kind, samples, resets, grid, (reference, range), col);
        if mixed {
            // windows with a histogram have no rate of their numbers
            touched = slide(samples, reference, range, recorder, |i, w| {
                if !w.ht.is_empty() {
                    col.set(i, rate::of_histograms(kind, &w, call));
                }
            });
        }
        note_non_counter(call, col);
    } else if !sliding::evaluate(call, samples, grid, kept, col) {
        for (i, place) in grid.places.iter().enumerate().filter(|(_, place)| !place.is_empty()) {
            let end = reference.time(i);
            let window = samples.window((place.from(), place.to()), (0, 0), end - range, end);
            col.set(i, at_step(call, reference, i, &window));
        }
    }
    touched
}

/// Names of counters end so; else a rate is probably a mistake.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

fn note_non_counter(call: &Call<'_>, col: &Column) {
    if !matches!(call.func, "rate" | "increase") || call.metric.is_empty() || !col.any_float() {
        return;
    }
    let name = model::float::quote(call.metric);
    match call.kind {
        Some("counter" | "histogram") => {}
        Some(kind) => {
            let wanted =
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
            call.info(&format!("{wanted}, got {}: {name}", model::float::quote(kind)));
        }
        None if COUNTER_SUFFIXES.iter().any(|s| call.metric.ends_with(s)) => {}
        None => {
            let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
            call.info(&format!("{text} {name}"));
        }
    }
}

fn extended(
    call: &Call<'_>,
    samples: &Samples,
    (reference, range): (&Reference, i64),
    col: &mut Column,
    kind: Option<Kind>,
    recorder: Option<&Recorder<'_>>,
) -> Touched {
    let lookback = call.ctx.lookback;
    let after = if call.boundary == Boundary::Smoothed { lookback } else { 0 };
    let mut counter = Counter::new(samples, recorder);
    for i in 0..reference.steps.n {
        let (end, start) = (reference.time(i), reference.time(i) - range);
        let cut = |times: &[i64]| {
            (times.partition_point(|t| *t <= start - lookback), times.partition_point(|t| *t <= end + after))
        };
        let (f, h) = (cut(&samples.ft), cut(&samples.ht));
        let w = samples.window(f, h, start, end);
        if w.is_empty() {
            continue;
        }
        counter.see(i, f, h);
        col.set(
            i,
            match kind {
                Some(kind) => extended::rate(kind, &w, call.boundary, call),
                None => extended_count(call, &w),
            },
        );
    }
    if kind.is_some() {
        note_non_counter(call, col);
    }
    counter.touched
}

/// `changes` and `resets` from the last sample before the window on.
fn extended_count(call: &Call<'_>, w: &Window<'_>) -> Point {
    let inside = |times: &[i64]| times.last().is_some_and(|t| *t > w.start);
    if !inside(w.ft) && !inside(w.ht) {
        return Point::Absent;
    }
    let before = |times: &[i64]| times.iter().rev().find(|t| **t <= w.start).copied();
    let from = before(w.ft).max(before(w.ht)).unwrap_or(i64::MIN + 1);
    if call.func == "changes" { over_time::changes(w, from) } else { over_time::resets(w, from) }
}

fn at_step(call: &Call<'_>, reference: &Reference, i: usize, w: &Window<'_>) -> Point {
    let param = |k: usize| call.params[k][i];
    match call.func {
        "avg_over_time" => over_time::avg(w, call),
        "sum_over_time" => over_time::sum(w, call),
        "count_over_time" => Point::Float(w.len() as f64),
        "present_over_time" => Point::Float(1.0),
        "max_over_time" => over_time::max(w, call),
        "min_over_time" => over_time::min(w, call),
        "stddev_over_time" => over_time::stdvar(w, call, true),
        "stdvar_over_time" => over_time::stdvar(w, call, false),
        "mad_over_time" => over_time::mad(w, call),
        "quantile_over_time" => over_time::quantile_of(w, call, param(0)),
        "last_over_time" => over_time::outer(w, true),
        "first_over_time" => over_time::outer(w, false),
        "ts_of_last_over_time" => over_time::time_of_outer(w, true),
        "ts_of_first_over_time" => over_time::time_of_outer(w, false),
        "ts_of_max_over_time" => over_time::time_of_max(w, call),
        "ts_of_min_over_time" => over_time::time_of_min(w, call),
        "changes" => over_time::changes(w, i64::MIN),
        "resets" => over_time::resets(w, i64::MIN),
        "irate" => rate::instant(true, w, call),
        "idelta" => rate::instant(false, w, call),
        "deriv" => over_time::deriv(w, call),
        "predict_linear" => over_time::predict(w, call, reference.steps.time(i), param(0)),
        "double_exponential_smoothing" => over_time::smooth(w, call, param(0), param(1)),
        _ => Point::Absent,
    }
}
