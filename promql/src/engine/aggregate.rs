//! Aggregations that add up: sum, avg, count, min, max, group, stddev, stdvar. Each series' column is added to its
//! group's accumulators and dropped, so that memory is groups × steps.

use super::column::{ABSENT, Column, OutSeries, Point, is_absent, is_float, is_histogram};
use super::context::{Ctx, Size, Steps};
use super::eval::{self, METADATA_LABELS, settle};
use super::kahan::{Kahan, Mean, Variance};
use super::keys::Keys;
use super::notes::for_metric;
use super::result::QueryError;
use super::select::{Around, Stream};
use super::topk;
use crate::ast::{AggregateOp, Expr, ExprKind, PosRange};
use crate::histogram::Sum;
use model::Labels;
use model::labels::METRIC_NAME;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// What an aggregation groups by.
#[derive(Clone, Copy)]
pub(crate) struct Grouping<'a> {
    pub(crate) labels: &'a [String],
    pub(crate) without: bool,
}

impl Grouping<'_> {
    /// Whether a label is part of the group's key. `bare`: labels that describe the metric are gone already.
    fn keeps(&self, name: &str, bare: bool) -> bool {
        let named = self.labels.iter().any(|l| l == name);
        let gone = if self.without { named || name == METRIC_NAME } else { !named };
        let metadata = bare && METADATA_LABELS.contains(&name);
        !gone && !metadata
    }

    pub(crate) fn key(&self, labels: &Labels) -> Labels {
        if !self.without && self.labels.is_empty() {
            return Labels::empty();
        }
        Labels::from_sorted(labels.iter().filter(|(n, _)| self.keeps(n, false)))
    }
}

/// Which series belongs to which group; groups in order of their first series.
pub(crate) struct Groups {
    pub(crate) keys: Vec<Labels>,
    pub(crate) drop_name: Vec<bool>,
    pub(crate) of: Vec<usize>,
}

impl Groups {
    /// Groups series, given with whether their names are to be dropped. `bare`: as if the labels that describe the metric
    /// were gone. A label set is built for each group, not for each series.
    pub(crate) fn new<'l>(
        by: Grouping<'_>,
        series: impl Iterator<Item = (&'l Labels, bool)>,
        bare: bool,
    ) -> Groups {
        let mut groups = Groups { keys: Vec::new(), drop_name: Vec::new(), of: Vec::new() };
        if !by.without && by.labels.is_empty() {
            for (_, drop_name) in series {
                if groups.keys.is_empty() {
                    groups.keys.push(Labels::empty());
                    groups.drop_name.push(drop_name);
                }
                groups.of.push(0);
            }
            return groups;
        }
        let mut numbers = Keys::default();
        for (labels, drop_name) in series {
            let group = numbers.number(labels, |name| by.keeps(name, bare));
            if group == groups.keys.len() {
                groups.keys.push(Labels::from_sorted(labels.iter().filter(|(n, _)| by.keeps(n, bare))));
                groups.drop_name.push(drop_name);
            }
            groups.of.push(group);
        }
        groups
    }
}

pub(crate) fn eval(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let ExprKind::Aggregate { op, expr: inner, param, grouping, without } = &expr.kind else {
        return Err(QueryError::BadData("expected an aggregation".to_owned()));
    };
    let by = Grouping { labels: grouping, without: *without };
    if let Some(param) = param {
        return topk::eval(ctx, (*op, inner, param), by, steps, expr.pos);
    }
    let around = Around { func: op.name(), grouping: grouping.clone(), by: !*without, counted: false };
    let source = match eval::stream(ctx, inner, steps, around)? {
        Some(stream) if one_name(&stream) || ctx.engine.delayed_name_removal => Source::Stream(stream),
        Some(stream) => Source::Series(settle(ctx, stream.collect(ctx)?)?),
        None => Source::Series(eval::vector(ctx, inner, steps)?),
    };
    let adder = Adder { ctx, op: *op, pos: inner.unwrapped().pos, steps: steps.n };
    match op {
        AggregateOp::Sum => adder.run::<SumAcc>(by, &source),
        AggregateOp::Avg => adder.run::<Each<MeanAcc>>(by, &source),
        AggregateOp::Count => adder.run::<Each<CountAcc>>(by, &source),
        AggregateOp::Min => adder.run::<Each<MinAcc>>(by, &source),
        AggregateOp::Max => adder.run::<Each<MaxAcc>>(by, &source),
        AggregateOp::Group => adder.run::<Each<GroupAcc>>(by, &source),
        AggregateOp::Stddev => adder.run::<Each<DevAcc>>(by, &source),
        _ => adder.run::<Each<VarAcc>>(by, &source),
    }
}

/// Whether dropping the names could not make two series the same.
pub(crate) fn one_name(stream: &Stream<'_>) -> bool {
    let mut names = stream.labels.iter().map(Labels::metric_name);
    let first = names.next();
    !stream.drop_name || names.all(|n| Some(n) == first)
}

enum Source<'a> {
    Stream(Stream<'a>),
    Series(Vec<OutSeries>),
}

impl Source<'_> {
    /// The name of the metric that a series still has.
    fn name(&self, i: usize, ctx: &Ctx<'_>) -> &str {
        match self {
            Source::Stream(stream) if stream.drop_name && !ctx.engine.delayed_name_removal => "",
            Source::Stream(stream) => stream.labels[i].metric_name(),
            Source::Series(series) => series[i].labels.metric_name(),
        }
    }
}

/// What gathers the numbers of groups at some steps.
trait Acc: Send {
    /// Bytes a place.
    const BYTES: usize;
    fn new(n: usize) -> Self;
    /// Adds values to the places from `from` on; marks of absence and of histograms are passed over.
    fn add(&mut self, from: usize, values: &[f64]);
    /// The result at a place, or the mark of absence.
    fn value(&self, at: usize) -> f64;
}

/// Sums, and what they lack, apart: the loop over them has no branch.
struct SumAcc {
    sums: Vec<f64>,
    lacks: Vec<f64>,
}

impl Acc for SumAcc {
    const BYTES: usize = 2 * size_of::<f64>();

    fn new(n: usize) -> Self {
        SumAcc { sums: vec![ABSENT; n], lacks: vec![0.0; n] }
    }

    fn add(&mut self, from: usize, values: &[f64]) {
        let places = from..from + values.len();
        let (sums, lacks) = (&mut self.sums[places.clone()], &mut self.lacks[places]);
        for ((sum, lack), v) in sums.iter_mut().zip(lacks).zip(values) {
            let mut next = Kahan { sum: *sum, c: *lack };
            next.add(*v);
            let next = if is_absent(*sum) { Kahan { sum: *v, c: 0.0 } } else { next };
            let there = is_float(*v);
            *sum = if there { next.sum } else { *sum };
            *lack = if there { next.c } else { *lack };
        }
    }

    fn value(&self, at: usize) -> f64 {
        let sum = Kahan { sum: self.sums[at], c: self.lacks[at] };
        if is_absent(sum.sum) { ABSENT } else { sum.value() }
    }
}

/// What gathers the numbers of one group at one step.
trait One: Clone + Send {
    const EMPTY: Self;
    fn add(&mut self, v: f64);
    /// The result, or the mark of absence.
    fn value(&self) -> f64;
}

struct Each<A>(Vec<A>);

impl<A: One> Acc for Each<A> {
    const BYTES: usize = size_of::<A>();

    fn new(n: usize) -> Self {
        Each(vec![A::EMPTY; n])
    }

    fn add(&mut self, from: usize, values: &[f64]) {
        for (acc, v) in self.0[from..from + values.len()].iter_mut().zip(values) {
            if is_float(*v) {
                acc.add(*v);
            }
        }
    }

    fn value(&self, at: usize) -> f64 {
        self.0[at].value()
    }
}

#[derive(Clone)]
struct MeanAcc(Option<Mean>);
impl One for MeanAcc {
    const EMPTY: Self = MeanAcc(None);
    #[inline]
    fn add(&mut self, v: f64) {
        self.0.get_or_insert_default().add(v);
    }
    fn value(&self) -> f64 {
        self.0.map_or(ABSENT, |m| m.value())
    }
}

#[derive(Clone)]
struct CountAcc(u64);
impl One for CountAcc {
    const EMPTY: Self = CountAcc(0);
    #[inline]
    fn add(&mut self, _: f64) {
        self.0 += 1;
    }
    fn value(&self) -> f64 {
        if self.0 == 0 { ABSENT } else { self.0 as f64 }
    }
}

#[derive(Clone)]
struct GroupAcc(bool);
impl One for GroupAcc {
    const EMPTY: Self = GroupAcc(false);
    #[inline]
    fn add(&mut self, _: f64) {
        self.0 = true;
    }
    fn value(&self) -> f64 {
        if self.0 { 1.0 } else { ABSENT }
    }
}

#[derive(Clone)]
struct MinAcc(f64);
impl One for MinAcc {
    const EMPTY: Self = MinAcc(ABSENT);
    #[inline]
    fn add(&mut self, v: f64) {
        // absence is a NaN too
        if v < self.0 || self.0.is_nan() {
            self.0 = v;
        }
    }
    fn value(&self) -> f64 {
        self.0
    }
}

#[derive(Clone)]
struct MaxAcc(f64);
impl One for MaxAcc {
    const EMPTY: Self = MaxAcc(ABSENT);
    #[inline]
    fn add(&mut self, v: f64) {
        if v > self.0 || self.0.is_nan() {
            self.0 = v;
        }
    }
    fn value(&self) -> f64 {
        self.0
    }
}

#[derive(Clone)]
struct VarAcc(Option<Variance>);
impl One for VarAcc {
    const EMPTY: Self = VarAcc(None);
    #[inline]
    fn add(&mut self, v: f64) {
        self.0.get_or_insert_default().add(v);
    }
    fn value(&self) -> f64 {
        self.0.as_ref().map_or(ABSENT, Variance::value)
    }
}

#[derive(Clone)]
struct DevAcc(VarAcc);
impl One for DevAcc {
    const EMPTY: Self = DevAcc(VarAcc::EMPTY);
    #[inline]
    fn add(&mut self, v: f64) {
        self.0.add(v);
    }
    fn value(&self) -> f64 {
        let v = self.0.value();
        if is_absent(v) { v } else { v.sqrt() }
    }
}

struct Adder<'c, 'a> {
    ctx: &'c Ctx<'a>,
    op: AggregateOp,
    pos: PosRange,
    steps: usize,
}

/// A run of steps with the accumulators of all groups, so that cores can add the same series at different steps.
struct Tile<A> {
    from: usize,
    len: usize,
    /// Those of the first group, then those of the second, …
    accs: A,
}

/// Fewer steps than this are not divided among cores.
const MIN_TILE: usize = 64;
/// Fewer additions than this are done sooner than other cores have woken up.
const WORTH_SHARING: usize = 50_000;

type Histograms = FxHashMap<(usize, usize), Sum>;

impl Adder<'_, '_> {
    fn run<A: Acc>(&self, by: Grouping<'_>, source: &Source<'_>) -> Result<Vec<OutSeries>, QueryError> {
        let groups = match source {
            Source::Stream(stream) => {
                let drop = stream.drop_name;
                let settled = drop && !self.ctx.engine.delayed_name_removal;
                // with names dropped already there is none to group by
                Groups::new(by, stream.labels.iter().map(|l| (l, drop && !settled)), settled)
            }
            Source::Series(series) => Groups::new(by, series.iter().map(|s| (&s.labels, s.drop_name)), false),
        };
        let n = groups.keys.len();
        let places = n.saturating_mul(self.steps);
        // what gathers them, and the columns that come of it
        let bytes = places.saturating_mul(A::BYTES + size_of::<f64>());
        self.ctx.would_hold(Size { samples: places, bytes }, "the groups of an aggregation")?;
        let tile_len = self.steps.div_ceil(rayon::current_num_threads()).max(MIN_TILE);
        let mut tiles: Vec<Tile<A>> = (0..self.steps)
            .step_by(tile_len)
            .map(|from| {
                let len = tile_len.min(self.steps - from);
                Tile { from, len, accs: A::new(len * n) }
            })
            .collect();
        let mut histograms = Histograms::default();
        let mut firsts = vec![usize::MAX; n];
        let mut add = |begin: usize, cols: &[&Column]| {
            let of = &groups.of[begin..begin + cols.len()];
            for (k, (col, group)) in cols.iter().zip(of).enumerate() {
                if firsts[*group] == usize::MAX && col.any_present() {
                    firsts[*group] = begin + k;
                }
            }
            if cols.len() * self.steps < WORTH_SHARING {
                tiles.iter_mut().for_each(|tile| add_to_tile(tile, cols, of));
            } else {
                tiles.par_iter_mut().for_each(|tile| add_to_tile(tile, cols, of));
            }
            for (k, (col, group)) in cols.iter().zip(of).enumerate() {
                if !col.hists.is_empty() {
                    self.add_histograms(col, *group, source.name(begin + k, self.ctx), &mut histograms);
                }
            }
        };
        match source {
            Source::Stream(stream) => stream.for_each_batch(self.ctx, |begin, cols| {
                let cols: Vec<&Column> = cols.iter().collect();
                add(begin, &cols);
            })?,
            Source::Series(series) => {
                let cols: Vec<&Column> = series.iter().map(|s| &s.col).collect();
                add(0, &cols);
            }
        }
        Ok(self.finish(groups, &firsts, &tiles, &histograms))
    }

    /// The groups that have a value. `firsts`: the first series of each that has one, whose order is that of the groups: where `topk` chooses
    /// among equal ones, the first counts.
    fn finish<A: Acc>(
        &self,
        groups: Groups,
        firsts: &[usize],
        tiles: &[Tile<A>],
        histograms: &Histograms,
    ) -> Vec<OutSeries> {
        let mut out: Vec<OutSeries> = groups
            .keys
            .into_iter()
            .zip(groups.drop_name)
            .enumerate()
            .map(|(g, (labels, drop_name))| {
                let mut col = Column::absent(self.steps);
                for tile in tiles {
                    let values = &mut col.values[tile.from..tile.from + tile.len];
                    for (i, v) in values.iter_mut().enumerate() {
                        *v = tile.accs.value(g * tile.len + i);
                    }
                }
                OutSeries { labels, drop_name, col }
            })
            .collect();
        for ((group, step), sum) in histograms {
            let col = &mut out[*group].col;
            let point = self.finish_histogram(col.is_present(*step), sum, col.values[*step]);
            col.set(*step, point);
        }
        if firsts.is_sorted() {
            out.retain(|s| s.col.any_present());
            return out;
        }
        let mut in_order: Vec<(usize, OutSeries)> = firsts.iter().copied().zip(out).collect();
        in_order.sort_by_key(|(first, _)| *first);
        in_order.into_iter().map(|(_, s)| s).filter(|s| s.col.any_present()).collect()
    }

    fn add_histograms(&self, col: &Column, group: usize, name: &str, sums: &mut Histograms) {
        for (i, h) in col.hists.iter().enumerate() {
            let Some(h) = h.as_ref().filter(|_| is_histogram(col.values[i])) else { continue };
            match self.op {
                AggregateOp::Min | AggregateOp::Max | AggregateOp::Stddev | AggregateOp::Stdvar => {
                    let text = format!("ignored histogram in {} aggregation", self.op.name());
                    self.ctx.notes.info(self.pos, text);
                }
                op => {
                    let sum = sums.entry((group, i)).or_default();
                    let additive = matches!(op, AggregateOp::Sum | AggregateOp::Avg);
                    if additive && sum.incompatible {
                        continue;
                    }
                    if op == AggregateOp::Avg {
                        sum.add_to_mean(h)
                    } else {
                        sum.add(h)
                    }
                    if additive && sum.incompatible {
                        let text =
                            "vector contains a mix of histograms with exponential and custom buckets schemas";
                        self.ctx.notes.warn(self.pos, for_metric(text, name));
                    }
                }
            }
        }
    }

    fn finish_histogram(&self, floats_too: bool, sum: &Sum, number: f64) -> Point {
        match self.op {
            AggregateOp::Count => Point::Float(sum.len() + if floats_too { number } else { 0.0 }),
            AggregateOp::Group => Point::Float(1.0),
            _ if floats_too => {
                self.ctx.notes.warn(self.pos, "encountered a mix of histograms and floats for aggregation");
                Point::Absent
            }
            op => {
                if sum.collision() {
                    let text = "conflicting counter resets during histogram aggregation";
                    self.ctx.notes.warn(self.pos, text);
                }
                if sum.reconciled {
                    let text = "mismatched custom buckets were reconciled during aggregation";
                    self.ctx.notes.info(self.pos, text);
                }
                if sum.incompatible {
                    return Point::Absent;
                }
                let h = if op == AggregateOp::Avg { sum.mean() } else { sum.value() };
                h.map_or(Point::Absent, Point::hist)
            }
        }
    }
}

fn add_to_tile<A: Acc>(tile: &mut Tile<A>, cols: &[&Column], of: &[usize]) {
    for (col, group) in cols.iter().zip(of) {
        tile.accs.add(group * tile.len, &col.values[tile.from..tile.from + tile.len]);
    }
}
