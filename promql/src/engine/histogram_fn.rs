//! Functions on histograms: `histogram_quantile` and kin, over native histograms and over classic buckets.

use super::call::warn_quantiles;
use super::classic::{self, Bucket};
use super::column::{ABSENT, Column, OutSeries, is_float, is_histogram};
use super::context::{Ctx, Size, Steps};
use super::eval::{merge_same, scalar, settle, string, vector};
use super::notes::for_metric;
use super::result::QueryError;
use crate::ast::{Expr, PosRange};
use crate::histogram;
use crate::histogram::NanEffect;
use crate::parser::{quote, valid_label};
use model::labels::{BUCKET_LE, METRIC_NAME};
use model::{FloatHistogram, Labels, LabelsBuilder};
use rustc_hash::FxHashMap;
use std::sync::Arc;

pub(crate) fn eval(
    ctx: &Ctx<'_>,
    _expr: &Expr,
    name: &str,
    args: &[Expr],
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    match name {
        "histogram_count" => of_native(ctx, &args[0], steps, |h| h.count),
        "histogram_sum" => of_native(ctx, &args[0], steps, |h| h.sum),
        "histogram_avg" => of_native(ctx, &args[0], steps, |h| h.sum / h.count),
        "histogram_stdvar" => of_native(ctx, &args[0], steps, histogram::variance),
        "histogram_stddev" => of_native(ctx, &args[0], steps, |h| histogram::variance(h).sqrt()),
        "histogram_quantile" => {
            let q = scalar(ctx, &args[0], steps)?;
            let series = vector(ctx, &args[1], steps)?;
            warn_quantiles(ctx, &args[0], &q);
            let func = Func::Quantile { q: &q, earlier: &[] };
            let apply = Apply { ctx, pos: args[1].unwrapped().pos, func, steps };
            settle(ctx, apply.all(&series)?)
        }
        "histogram_fraction" => {
            let (low, high) = (scalar(ctx, &args[0], steps)?, scalar(ctx, &args[1], steps)?);
            let series = vector(ctx, &args[2], steps)?;
            let func = Func::Fraction(&low, &high);
            let apply = Apply { ctx, pos: args[2].unwrapped().pos, func, steps };
            settle(ctx, apply.all(&series)?)
        }
        _ => quantiles(ctx, args, steps),
    }
}

/// `histogram_quantiles(v, "label", q, …)`: one series a quantile, named by the label.
fn quantiles(ctx: &Ctx<'_>, args: &[Expr], steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let label = string(ctx, &args[1], steps)?;
    let series = vector(ctx, &args[0], steps)?;
    let mut out: Vec<OutSeries> = Vec::new();
    let mut earlier: Vec<Vec<f64>> = Vec::new();
    for arg in &args[2..] {
        let q = scalar(ctx, arg, steps)?;
        warn_quantiles(ctx, arg, &q);
        let func = Func::Quantile { q: &q, earlier: &earlier };
        let apply = Apply { ctx, pos: args[0].unwrapped().pos, func, steps };
        for s in apply.all(&series)? {
            if !valid_label(&label) {
                let text = format!("invalid label name {}", quote(&label));
                return Err(QueryError::Execution(text));
            }
            // the label tells quantiles apart, which may change from step to step
            let mut by_value: Vec<(u64, Column)> = Vec::new();
            for i in (0..steps.n).filter(|i| s.col.is_present(*i)) {
                let bits = q[i].to_bits();
                let known = by_value.iter().position(|(b, _)| *b == bits);
                if known.is_none() {
                    let columns = Size::columns(out.len() + by_value.len() + 1, steps.n);
                    ctx.would_hold(columns, "the quantiles of histogram_quantiles")?;
                    by_value.push((bits, Column::absent(steps.n)));
                }
                let at = known.unwrap_or(by_value.len() - 1);
                by_value[at].1.values[i] = s.col.values[i];
            }
            for (bits, col) in by_value {
                let mut b = LabelsBuilder::new(&s.labels);
                b.set(label.as_str(), with_point(f64::from_bits(bits)));
                // a name that the label has become is not the metric's, which has gone before
                let drop_name = s.drop_name && (label != METRIC_NAME || ctx.engine.delayed_name_removal);
                out.push(OutSeries { labels: b.finish(), drop_name, col });
            }
        }
        earlier.push(q);
    }
    let out = settle(ctx, out)?;
    // with names dropped at the end, series are also told apart only then
    if ctx.engine.delayed_name_removal && steps.n == 1 { Ok(out) } else { merge_same(out) }
}

/// The quantile as labels write it: with a point, as OpenMetrics does.
fn with_point(v: f64) -> String {
    if v == 0.0 {
        return "0.0".to_owned();
    }
    let text = model::float::format_short(v);
    if text.contains(|c: char| !c.is_ascii_digit() && c != '-') { text } else { text + ".0" }
}

/// A number from each native histogram; numbers are left out.
fn of_native(
    ctx: &Ctx<'_>,
    arg: &Expr,
    steps: Steps,
    f: impl Fn(&FloatHistogram) -> f64,
) -> Result<Vec<OutSeries>, QueryError> {
    let mut series = vector(ctx, arg, steps)?;
    for s in &mut series {
        s.drop_name = true;
        let mut out = Column::absent(steps.n);
        for i in 0..steps.n {
            if let Some(h) = s.col.hist(i) {
                out.values[i] = f(h);
            }
        }
        s.col = out;
    }
    series.retain(|s| s.col.any_present());
    settle(ctx, series)
}

enum Func<'a> {
    /// A quantile at each step, and those that were taken of the same buckets before.
    Quantile {
        q: &'a [f64],
        earlier: &'a [Vec<f64>],
    },
    Fraction(&'a [f64], &'a [f64]),
}

impl Func<'_> {
    fn name(&self) -> &'static str {
        match self {
            Func::Quantile { .. } => "histogram_quantile",
            Func::Fraction(..) => "histogram_fraction",
        }
    }
}

struct Apply<'c, 'a> {
    ctx: &'c Ctx<'a>,
    pos: PosRange,
    func: Func<'c>,
    steps: Steps,
}

/// What belongs to one result: the native histograms and the buckets with the same labels.
#[derive(Default)]
struct Member {
    native: Option<usize>,
    buckets: Vec<(f64, usize)>,
    metric: String,
}

impl Apply<'_, '_> {
    fn all(&self, series: &[OutSeries]) -> Result<Vec<OutSeries>, QueryError> {
        let mut order: Vec<Labels> = Vec::new();
        let mut members: FxHashMap<Labels, Member> = FxHashMap::default();
        let mut enter = |labels: Labels, s: &OutSeries, fill: &mut dyn FnMut(&mut Member)| {
            let m = members.entry(labels).or_insert_with_key(|labels| {
                order.push(labels.clone());
                Member { metric: self.name_of(s).to_owned(), ..Member::default() }
            });
            fill(m);
        };
        for (i, s) in series.iter().enumerate() {
            if s.col.values.iter().any(|v| is_histogram(*v)) {
                enter(s.labels.clone(), s, &mut |m| m.native = Some(i));
            }
            if s.col.values.iter().any(|v| is_float(*v)) {
                let le = s.labels.get(BUCKET_LE);
                match classic::parse_bound(le) {
                    Some(bound) => {
                        let labels = s.labels.without(&[BUCKET_LE]);
                        enter(labels, s, &mut |m| m.buckets.push((bound, i)));
                    }
                    None => {
                        let text = format!(
                            "bucket label \"le\" is missing or has a malformed value of {}",
                            model::float::quote(le)
                        );
                        self.ctx.notes.warn(self.pos, for_metric(&text, self.name_of(s)));
                    }
                }
            }
        }
        let mut out = Vec::new();
        for labels in order {
            let member = &members[&labels];
            let col = self.member(series, member);
            if col.any_present() {
                out.push(OutSeries { labels, drop_name: true, col });
            }
        }
        Ok(out)
    }

    /// The name that annotations show: there is none where the function has dropped it already.
    fn name_of<'s>(&self, s: &'s OutSeries) -> &'s str {
        if self.ctx.engine.delayed_name_removal { s.labels.metric_name() } else { "" }
    }

    fn member(&self, series: &[OutSeries], member: &Member) -> Column {
        let mut col = Column::absent(self.steps.n);
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut sorted = member.buckets.clone();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        for i in 0..self.steps.n {
            let native = member.native.and_then(|n| series[n].col.hist(i));
            buckets.clear();
            for (bound, s) in &sorted {
                let v = series[*s].col.values[i];
                if is_float(v) {
                    buckets.push(Bucket { upper: *bound, count: v });
                }
            }
            col.values[i] = match (native, buckets.is_empty()) {
                (None, true) => ABSENT,
                (Some(_), false) => {
                    let text = "vector contains a mix of classic and native histograms";
                    self.ctx.notes.warn(self.pos, for_metric(text, &member.metric));
                    ABSENT
                }
                (Some(h), true) => self.native(i, h, &member.metric),
                (None, false) => self.classic(i, &mut buckets, &member.metric),
            };
        }
        col
    }

    fn native(&self, i: usize, h: &Arc<FloatHistogram>, metric: &str) -> f64 {
        let note = |text: &str| {
            let text = format!("input to {} has NaN observations, {text}", self.func.name());
            self.ctx.notes.info(self.pos, for_metric(&text, metric));
        };
        match self.func {
            Func::Quantile { q, .. } => {
                let (v, effect) = histogram::quantile(q[i], h);
                match effect {
                    NanEffect::None => {}
                    NanEffect::Skewed => note("result is skewed higher"),
                    NanEffect::IsNan => note("result is NaN"),
                }
                v
            }
            Func::Fraction(low, high) => {
                let (v, nan_seen) = histogram::fraction(low[i], high[i], h);
                if nan_seen {
                    note("which are excluded from all fractions");
                }
                v
            }
        }
    }

    fn classic(&self, i: usize, buckets: &mut [Bucket], metric: &str) -> f64 {
        match self.func {
            Func::Quantile { q, earlier } => {
                for before in earlier {
                    classic::quantile(before[i], buckets);
                }
                let (v, repair) = classic::quantile(q[i], buckets);
                if let Some(repair) = repair {
                    self.ctx.notes.repaired(self.pos, metric, self.steps.time(i), repair);
                }
                v
            }
            Func::Fraction(low, high) => classic::fraction(low[i], high[i], buckets),
        }
    }
}
