//! Aggregations that add up: sum, avg, count, min, max, group, stddev, stdvar. Each series' column is added to its
//! group's accumulators and dropped, so that memory is groups × steps.

use super::column::{ABSENT, Column, OutSeries, Point, is_absent, is_histogram};
use super::context::{Ctx, Steps};
use super::eval::{self, METADATA_LABELS, settle};
use super::kahan::{Kahan, Mean, Variance};
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
    pub(crate) fn key(&self, labels: &Labels) -> Labels {
        if self.without {
            let gone = |n: &str| n == METRIC_NAME || self.labels.iter().any(|l| l == n);
            Labels::from_sorted(labels.iter().filter(|(n, _)| !gone(n)))
        } else if self.labels.is_empty() {
            Labels::empty()
        } else {
            labels.keep(self.labels)
        }
    }
}

/// Which series belongs to which group; groups in order of their first series.
pub(crate) struct Groups {
    pub(crate) keys: Vec<Labels>,
    pub(crate) drop_name: Vec<bool>,
    pub(crate) of: Vec<usize>,
}

impl Groups {
    pub(crate) fn new<'l>(
        grouping: Grouping<'_>,
        series: impl Iterator<Item = (&'l Labels, bool)>,
    ) -> Groups {
        let mut at: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut groups = Groups { keys: Vec::new(), drop_name: Vec::new(), of: Vec::new() };
        for (labels, drop_name) in series {
            let key = grouping.key(labels);
            let next = groups.keys.len();
            let group = *at.entry(key).or_insert_with_key(|key| {
                groups.keys.push(key.clone());
                groups.drop_name.push(drop_name);
                next
            });
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
    let around = Around { func: op.name(), grouping: grouping.clone(), by: !*without };
    let source = match eval::stream(ctx, inner, steps, around)? {
        Some(stream) if one_name(&stream) || ctx.engine.delayed_name_removal => Source::Stream(stream),
        Some(stream) => Source::Series(settle(ctx, stream.collect(ctx)?)?),
        None => Source::Series(eval::vector(ctx, inner, steps)?),
    };
    let adder = Adder { ctx, op: *op, pos: inner.unwrapped().pos, steps: steps.n };
    match op {
        AggregateOp::Sum => adder.run::<SumAcc>(by, &source),
        AggregateOp::Avg => adder.run::<MeanAcc>(by, &source),
        AggregateOp::Count => adder.run::<CountAcc>(by, &source),
        AggregateOp::Min => adder.run::<MinAcc>(by, &source),
        AggregateOp::Max => adder.run::<MaxAcc>(by, &source),
        AggregateOp::Group => adder.run::<GroupAcc>(by, &source),
        AggregateOp::Stddev => adder.run::<DevAcc>(by, &source),
        _ => adder.run::<VarAcc>(by, &source),
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

/// What gathers the numbers of one group at one step.
trait Acc: Clone + Send + Sync {
    const EMPTY: Self;
    fn add(&mut self, v: f64);
    /// The result, or the mark of absence.
    fn value(&self) -> f64;
}

#[derive(Clone)]
struct SumAcc(Kahan);
impl Acc for SumAcc {
    const EMPTY: Self = SumAcc(Kahan { sum: ABSENT, c: 0.0 });
    #[inline]
    fn add(&mut self, v: f64) {
        if is_absent(self.0.sum) {
            self.0.sum = v;
        } else {
            self.0.add(v);
        }
    }
    fn value(&self) -> f64 {
        if is_absent(self.0.sum) { ABSENT } else { self.0.value() }
    }
}

#[derive(Clone)]
struct MeanAcc(Option<Mean>);
impl Acc for MeanAcc {
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
impl Acc for CountAcc {
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
impl Acc for GroupAcc {
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
impl Acc for MinAcc {
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
impl Acc for MaxAcc {
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
impl Acc for VarAcc {
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
impl Acc for DevAcc {
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
    accs: Vec<A>,
}

type Histograms = FxHashMap<(usize, usize), Sum>;

impl Adder<'_, '_> {
    fn run<A: Acc>(&self, by: Grouping<'_>, source: &Source<'_>) -> Result<Vec<OutSeries>, QueryError> {
        let groups = match source {
            Source::Stream(stream) => {
                let drop = stream.drop_name;
                let settled = drop && !self.ctx.engine.delayed_name_removal;
                // with names dropped already there is none to group by
                if settled && (by.without || by.labels.iter().any(|l| METADATA_LABELS.contains(&l.as_str())))
                {
                    let bare: Vec<Labels> =
                        stream.labels.iter().map(|l| l.without(&METADATA_LABELS)).collect();
                    Groups::new(by, bare.iter().map(|l| (l, false)))
                } else {
                    Groups::new(by, stream.labels.iter().map(|l| (l, drop && !settled)))
                }
            }
            Source::Series(series) => Groups::new(by, series.iter().map(|s| (&s.labels, s.drop_name))),
        };
        let n = groups.keys.len();
        self.ctx.would_hold(n.saturating_mul(self.steps), "the groups of an aggregation")?;
        let tile_len = self.steps.div_ceil(rayon::current_num_threads()).max(64);
        let mut tiles: Vec<Tile<A>> = (0..self.steps)
            .step_by(tile_len)
            .map(|from| {
                let len = tile_len.min(self.steps - from);
                Tile { from, len, accs: vec![A::EMPTY; len * n] }
            })
            .collect();
        let mut histograms = Histograms::default();
        let mut add = |begin: usize, cols: &[&Column]| {
            let of = &groups.of[begin..begin + cols.len()];
            if tiles.len() == 1 {
                add_to_tile(&mut tiles[0], cols, of);
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
        Ok(self.finish(groups, &tiles, &histograms))
    }

    fn finish<A: Acc>(&self, groups: Groups, tiles: &[Tile<A>], histograms: &Histograms) -> Vec<OutSeries> {
        let mut out: Vec<OutSeries> = groups
            .keys
            .into_iter()
            .zip(groups.drop_name)
            .enumerate()
            .map(|(g, (labels, drop_name))| {
                let mut col = Column::absent(self.steps);
                for tile in tiles {
                    let accs = &tile.accs[g * tile.len..(g + 1) * tile.len];
                    for (v, acc) in col.values[tile.from..tile.from + tile.len].iter_mut().zip(accs) {
                        *v = acc.value();
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
        out.retain(|s| s.col.any_present());
        out
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
        let accs = &mut tile.accs[group * tile.len..(group + 1) * tile.len];
        let values = &col.values[tile.from..tile.from + tile.len];
        for (acc, v) in accs.iter_mut().zip(values) {
            if !is_absent(*v) && !is_histogram(*v) {
                acc.add(*v);
            }
        }
    }
}
