//! Aggregations with a parameter: topk, bottomk, quantile, count_values, limitk, limit_ratio. They look at all series of
//! a group at once.

use super::aggregate::{Grouping, Groups};
use super::column::{Column, OutSeries, is_absent, is_float, is_histogram};
use super::context::{Ctx, Size, Steps};
use super::eval;
use super::kahan::quantile;
use super::result::QueryError;
use super::{call, sampling};
use crate::ast::{AggregateOp, Expr, PosRange};
use crate::parser::{quote, valid_label};
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

pub(crate) fn eval(
    ctx: &Ctx<'_>,
    (op, inner, param): (AggregateOp, &Expr, &Expr),
    by: Grouping<'_>,
    steps: Steps,
    whole: PosRange,
) -> Result<Vec<OutSeries>, QueryError> {
    if op == AggregateOp::CountValues {
        let label = eval::string(ctx, param, steps)?;
        let series = eval::vector(ctx, inner, steps)?;
        return count_values(ctx, &label, series, by, steps);
    }
    let params = eval::scalar(ctx, param, steps)?;
    let series = eval::vector(ctx, inner, steps)?;
    let groups = Groups::new(by, series.iter().map(|s| (&s.labels, s.drop_name)), false);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.keys.len()];
    groups.of.iter().enumerate().for_each(|(i, g)| members[*g].push(i));
    if !matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio)
        && series.iter().any(|s| s.col.values.iter().any(|v| is_histogram(*v)))
    {
        let pos = if op == AggregateOp::Quantile { inner.unwrapped().pos } else { whole };
        if op == AggregateOp::Quantile || params.iter().any(|k| *k >= 1.0) {
            ctx.notes.info(pos, format!("ignored histogram in {} aggregation", op.name()));
        }
    }
    if op == AggregateOp::Quantile {
        call::warn_quantiles(ctx, param, &params);
        return Ok(quantiles(&series, groups, &members, &params));
    }
    if op == AggregateOp::LimitRatio {
        return limit_ratio(ctx, param, &params, series);
    }
    check_k(&params)?;
    ctx.would_hold(Size::columns(series.len(), steps.n), "the series that a choice keeps")?;
    Ok(select_k(op, series, &members, &params))
}

/// Refuses what is no count. Where none of them reaches 1 nothing is chosen, and the others do not matter.
fn check_k(params: &[f64]) -> Result<(), QueryError> {
    if params.iter().any(|k| k.is_nan()) {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    let most = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = params.iter().copied().fold(f64::INFINITY, f64::min);
    let overflow = |k: f64| {
        let text = format!("Scalar value {} overflows int64", model::float::format_general(k));
        Err(QueryError::Execution(text))
    };
    match () {
        () if most >= i64::MAX as f64 => overflow(most),
        () if most >= 1.0 && least <= i64::MIN as f64 => overflow(least),
        () => Ok(()),
    }
}

fn quantiles(series: &[OutSeries], groups: Groups, members: &[Vec<usize>], q: &[f64]) -> Vec<OutSeries> {
    let mut out = Vec::new();
    let mut values = Vec::new();
    for ((labels, drop_name), members) in groups.keys.into_iter().zip(groups.drop_name).zip(members) {
        let mut col = Column::absent(q.len());
        for (i, q) in q.iter().enumerate() {
            values.clear();
            values.extend(members.iter().map(|m| series[*m].col.values[i]).filter(|v| is_float(*v)));
            if !values.is_empty() {
                col.values[i] = quantile(*q, &mut values);
            }
        }
        if col.any_present() {
            out.push(OutSeries { labels, drop_name, col });
        }
    }
    out
}

/// A heap with the weakest candidate on top, whose moves decide which of equal ones stay: those of Go's container/heap.
struct Heap {
    items: Vec<(f64, usize)>,
    top: bool,
}

impl Heap {
    fn less(&self, i: usize, j: usize) -> bool {
        let (a, b) = (self.items[i].0, self.items[j].0);
        a.is_nan() || if self.top { a < b } else { a > b }
    }

    fn push(&mut self, item: (f64, usize)) {
        self.items.push(item);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.less(at, parent) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    fn replace_first(&mut self, item: (f64, usize)) {
        self.items[0] = item;
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= self.items.len() {
                return;
            }
            if child + 1 < self.items.len() && self.less(child + 1, child) {
                child += 1;
            }
            if !self.less(child, at) {
                return;
            }
            self.items.swap(child, at);
            at = child;
        }
    }

    fn offer(&mut self, k: usize, item: (f64, usize)) {
        if self.items.len() < k {
            return self.push(item);
        }
        let first = self.items[0].0;
        let better = if self.top { first < item.0 } else { first > item.0 };
        if better || (first.is_nan() && !item.0.is_nan()) {
            self.replace_first(item);
        }
    }
}

/// Keeps of each group at each step the `k` largest, smallest or first values.
fn select_k(op: AggregateOp, series: Vec<OutSeries>, members: &[Vec<usize>], k: &[f64]) -> Vec<OutSeries> {
    let steps = k.len();
    let mut kept: Vec<Column> = series.iter().map(|_| Column::absent(steps)).collect();
    let mut order: Vec<usize> = Vec::new();
    for members in members {
        for (i, k) in k.iter().enumerate() {
            let k = if *k < 1.0 { 0 } else { (*k as usize).min(members.len()) };
            let chosen = if k == 0 { Vec::new() } else { choose(op, &series, members, i, k) };
            for m in &chosen {
                kept[*m].set(i, series[*m].col.point(i));
            }
            if steps == 1 {
                order.extend(chosen);
            }
        }
    }
    if steps > 1 {
        order = (0..series.len()).collect();
    }
    let mut slots: Vec<Option<(OutSeries, Column)>> = series.into_iter().zip(kept).map(Some).collect();
    let chosen = order.into_iter().filter_map(|m| slots[m].take());
    chosen.map(|(s, col)| OutSeries { col, ..s }).filter(|s| s.col.any_present()).collect()
}

fn choose(op: AggregateOp, series: &[OutSeries], members: &[usize], i: usize, k: usize) -> Vec<usize> {
    if op == AggregateOp::Limitk {
        // the first ones, in the order in which a heap holds them
        let mut heap = Heap { items: Vec::with_capacity(k), top: true };
        for m in members.iter().filter(|m| series[**m].col.is_present(i)).take(k) {
            let v = series[*m].col.values[i];
            heap.push((if is_histogram(v) { 0.0 } else { v }, *m));
        }
        return heap.items.into_iter().map(|(_, m)| m).collect();
    }
    let top = op == AggregateOp::Topk;
    let mut heap = Heap { items: Vec::with_capacity(k), top };
    for m in members {
        let v = series[*m].col.values[i];
        if is_float(v) {
            heap.offer(k, (v, *m));
        }
    }
    // best first, NaN last
    heap.items.sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = b.partial_cmp(a).unwrap_or(Ordering::Equal);
            if top { order } else { order.reverse() }
        }
    });
    heap.items.into_iter().map(|(_, m)| m).collect()
}

fn limit_ratio(
    ctx: &Ctx<'_>,
    param: &Expr,
    ratios: &[f64],
    mut series: Vec<OutSeries>,
) -> Result<Vec<OutSeries>, QueryError> {
    if ratios.iter().any(|r| r.is_nan()) {
        return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
    }
    for r in ratios.iter().filter(|r| r.abs() > 1.0) {
        let shown = model::float::format_short(*r);
        let capped = if *r > 0.0 { 1 } else { -1 };
        let text = format!("ratio value should be between -1 and 1, got {shown}, capping to {capped}");
        ctx.notes.warn(param.pos, text);
    }
    for s in &mut series {
        let offset = sampling::offset(&s.labels);
        for (i, r) in ratios.iter().enumerate() {
            let r = r.clamp(-1.0, 1.0);
            let keep = if r >= 0.0 { offset < r } else { offset >= 1.0 + r };
            if !keep || r == 0.0 {
                s.col.clear_at(i);
            }
        }
    }
    series.retain(|s| s.col.any_present());
    Ok(series)
}

fn count_values(
    ctx: &Ctx<'_>,
    label: &str,
    series: Vec<OutSeries>,
    by: Grouping<'_>,
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    if !valid_label(label) {
        let text = format!("invalid label name {}", quote(label));
        return Err(QueryError::Execution(text));
    }
    let mut at: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut out: Vec<OutSeries> = Vec::new();
    let mut bytes = 0;
    for s in &series {
        let key = by.key(&s.labels);
        for i in 0..steps.n {
            let v = s.col.values[i];
            if is_absent(v) {
                continue;
            }
            let shown = match s.col.hist(i) {
                Some(h) => crate::histogram::to_text(h),
                None => model::float::format_plain(v),
            };
            let next = out.len();
            let mut b = LabelsBuilder::new(&key);
            // a label that is grouped away tells nothing apart
            if !(by.without && (label == METRIC_NAME || by.labels.iter().any(|l| l == label))) {
                b.set(label, shown);
            }
            let slot = *at.entry(b.finish()).or_insert_with_key(|labels| {
                let labels = labels.clone();
                bytes += size_of::<OutSeries>() + 2 * labels.packed_len() + 8 * steps.n;
                out.push(OutSeries { labels, drop_name: false, col: Column::absent(steps.n) });
                next
            });
            if slot == next {
                // each value may be a column of its own
                let held = Size { bytes, ..Size::columns(out.len(), steps.n) };
                ctx.would_hold(held, "the values that count_values counts")?;
            }
            let count = &mut out[slot].col.values[i];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(out)
}
