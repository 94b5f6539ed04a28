//! `info`: labels of info metrics joined to series by `instance` and `job`.

use super::column::{Column, OutSeries, is_histogram};
use super::context::{Ctx, Steps};
use super::eval::{merge_same, vector};
use super::result::QueryError;
use super::select::{self, Around};
use crate::ast::{At, Boundary, Expr, ExprKind, Modifiers, PosRange, Span, VectorSelector};
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Labels by which an info metric belongs to a series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

pub(crate) fn eval(ctx: &Ctx<'_>, args: &[Expr], steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let base = vector(ctx, &args[0], steps)?;
    let wanted = Wanted::new(args.get(1));
    let (plain, enrich): (Vec<OutSeries>, Vec<OutSeries>) =
        base.into_iter().partition(|s| wanted.is_info(s.labels.metric_name()));
    let infos = read_infos(ctx, &wanted, &args[0], &enrich, steps)?;
    let mut out = plain;
    for s in enrich {
        let of_series = infos.get(&identity(&s.labels)).map_or(&[][..], Vec::as_slice);
        wanted.enrich(&s, of_series, steps, &mut out)?;
    }
    merge_same(out)
}

fn identity(labels: &Labels) -> Labels {
    labels.keep(&IDENTIFYING)
}

/// An info series: which labels it has, and from when its sample is at each step.
struct Info {
    labels: Labels,
    times: Column,
}

/// What the second argument asks for.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Wanted {
    fn new(arg: Option<&Expr>) -> Wanted {
        let mut wanted = Wanted { names: Vec::new(), data: Vec::new() };
        if let Some(ExprKind::Vector(selector)) = arg.map(|a| &a.unwrapped().kind) {
            for m in &selector.matchers {
                let list = if m.name == METRIC_NAME { &mut wanted.names } else { &mut wanted.data };
                list.push(m.clone());
            }
        }
        if wanted.names.is_empty() {
            wanted.names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if wanted.names.iter().all(|m| matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex)) {
            // all that only excludes is taken from the info metrics
            wanted.names.extend(Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info"));
        }
        wanted
    }

    fn is_info(&self, name: &str) -> bool {
        self.names.iter().all(|m| m.matches(name))
    }

    /// Splits a series by the labels that it gets from step to step.
    fn enrich(
        &self,
        s: &OutSeries,
        infos: &[Info],
        steps: Steps,
        out: &mut Vec<OutSeries>,
    ) -> Result<(), QueryError> {
        let needs_match = self.data.iter().any(|m| !m.matches_empty());
        let mut made: Vec<(Labels, Column)> = Vec::new();
        for i in (0..steps.n).filter(|i| s.col.is_present(*i)) {
            let latest = latest_by_name(infos, i);
            if latest.is_empty() && needs_match {
                continue;
            }
            let labels = self.labels(&s.labels, &latest)?;
            let at = made.iter().position(|(l, _)| *l == labels).unwrap_or_else(|| {
                made.push((labels, Column::absent(steps.n)));
                made.len() - 1
            });
            made[at].1.set(i, s.col.point(i));
        }
        out.extend(made.into_iter().map(|(labels, col)| OutSeries { labels, drop_name: s.drop_name, col }));
        Ok(())
    }

    fn labels(&self, base: &Labels, infos: &[&Info]) -> Result<Labels, QueryError> {
        let mut added: FxHashMap<&str, &str> = FxHashMap::default();
        for (name, value) in infos.iter().flat_map(|info| info.labels.iter()) {
            let own = name == METRIC_NAME || IDENTIFYING.contains(&name) || base.has(name);
            let asked = self.data.is_empty() || self.data.iter().any(|m| m.name == name);
            if own || !asked {
                continue;
            }
            if added.insert(name, value).is_some_and(|before| before != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
        }
        let mut b = LabelsBuilder::new(base);
        for (name, value) in added {
            b.set(name, value);
        }
        Ok(b.finish())
    }
}

/// Of each info metric the series with the latest sample at a step.
fn latest_by_name(infos: &[Info], i: usize) -> Vec<&Info> {
    let mut latest: Vec<&Info> = Vec::new();
    for info in infos.iter().filter(|info| info.times.is_present(i)) {
        match latest.iter_mut().find(|l| l.labels.metric_name() == info.labels.metric_name()) {
            Some(l) if l.times.values[i] < info.times.values[i] => *l = info,
            Some(_) => {}
            None => latest.push(info),
        }
    }
    latest
}

fn read_infos(
    ctx: &Ctx<'_>,
    wanted: &Wanted,
    base_expr: &Expr,
    base: &[OutSeries],
    steps: Steps,
) -> Result<FxHashMap<Labels, Vec<Info>>, QueryError> {
    let mut found: FxHashMap<Labels, Vec<Info>> = FxHashMap::default();
    if base.is_empty() {
        return Ok(found);
    }
    if !base.iter().any(|s| IDENTIFYING.iter().any(|label| s.labels.has(label))) {
        return Ok(found);
    }
    let mut matchers = [wanted.names.clone(), wanted.data.clone()].concat();
    for label in IDENTIFYING {
        let values: BTreeSet<&str> =
            base.iter().map(|s| s.labels.get(label)).filter(|v| !v.is_empty()).collect();
        if values.is_empty() {
            continue;
        }
        let pattern = values.into_iter().map(regex::escape).collect::<Vec<_>>().join("|");
        let matcher = Matcher::new(MatchOp::Regex, label, pattern);
        matchers.push(matcher.map_err(|e| QueryError::Execution(e.to_string()))?);
    }
    let selector = VectorSelector {
        name: None,
        matchers,
        modifiers: base_time(ctx, base_expr)?,
        boundary: Boundary::Inside,
    };
    // they stand nowhere in the query
    let pos = PosRange { start: usize::MAX, end: usize::MAX };
    let values = select::instant(ctx, &selector, pos, steps, Around::default())?.collect(ctx)?;
    if let Some(s) = values.iter().find(|s| s.col.values.iter().any(|v| is_histogram(*v))) {
        let text = format!("this should be an info metric, with float samples: {}", s.labels);
        return Err(QueryError::Execution(text));
    }
    for s in select::timestamps(ctx, &selector, pos, steps, true)?.collect(ctx)? {
        found.entry(identity(&s.labels)).or_default().push(Info { labels: s.labels, times: s.col });
    }
    Ok(found)
}

/// The time that the base series are looked at: that of the first selector in the expression.
fn base_time(ctx: &Ctx<'_>, expr: &Expr) -> Result<Modifiers, QueryError> {
    let (mut fixed, mut offset) = (None, 0);
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        if let ExprKind::Vector(VectorSelector { modifiers, .. })
        | ExprKind::Matrix { selector: VectorSelector { modifiers, .. }, .. }
        | ExprKind::Subquery { modifiers, .. } = &expr.kind
        {
            if let Some(at) = modifiers.at {
                fixed = Some(match at {
                    At::Timestamp(t) => t,
                    At::Start => ctx.query_start,
                    At::End => ctx.query_end,
                });
                offset = 0;
            }
            if let Some(span) = &modifiers.offset {
                offset += ctx.span(span, false)?;
            }
            if !matches!(expr.kind, ExprKind::Subquery { .. }) {
                break;
            }
        }
        todo.extend(expr.children().into_iter().rev());
    }
    Ok(Modifiers { offset: Some(Span::Millis(offset)), at: fixed.map(At::Timestamp) })
}
