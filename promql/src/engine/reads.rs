//! Selectors of one query that ask for the same series: those are looked up once, and each is decoded once, for the longest time that any
//! of the selectors looks at.

use super::context::{Ctx, Steps};
use super::result::QueryError;
use crate::ast::{Boundary, Expr, ExprKind, Modifiers, Span};
use crate::storage::{SampleBuffer, SelectHints, Series, StorageError};
use model::{Labels, Matcher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// First and last time, and whether only the last sample counts.
type Reach = (i64, i64, bool);

/// A selector that is no part of a subquery: what says which time it looks at.
#[derive(Debug)]
struct Site {
    span: Option<Span>,
    modifiers: Modifiers,
    boundary: Boundary,
}

impl Site {
    /// The time of all its windows, as it asks storage for it.
    fn reach(&self, ctx: &Ctx<'_>) -> Result<Reach, QueryError> {
        let n = if ctx.query_step > 0 { (ctx.query_end - ctx.query_start) / ctx.query_step + 1 } else { 1 };
        let steps = Steps::new(ctx.query_start, ctx.query_step.max(1), n as usize);
        let reference = ctx.reference(&self.modifiers, steps)?;
        let smoothed = self.boundary == Boundary::Smoothed;
        let before = match &self.span {
            None => ctx.lookback,
            Some(span) if self.boundary == Boundary::Inside => ctx.span(span, true)?,
            Some(span) => ctx.span(span, true)? + ctx.lookback,
        };
        let after = if smoothed { ctx.lookback } else { 0 };
        let latest = self.span.is_none() && !smoothed && (n == 1 || self.modifiers.at.is_some());
        Ok((reference.first() - before + 1, reference.last() + after, latest))
    }
}

/// Matchers that several selectors have.
#[derive(Debug, Default)]
struct Repeated {
    matchers: Vec<Matcher>,
    /// How many selectors have them.
    times: usize,
    /// Those that read series when the query is evaluated: not within a subquery, whose steps are others, and not in a part whose value is
    /// that of another one.
    sites: Vec<Site>,
}

impl Repeated {
    /// The time that one reading for all of the sites takes in, where it reads less than each on its own, and `own` is one of theirs.
    fn together(&self, ctx: &Ctx<'_>, own: Reach) -> Result<Option<Reach>, QueryError> {
        if self.sites.len() < 2 {
            return Ok(None);
        }
        let all = self.sites.iter().map(|site| site.reach(ctx)).collect::<Result<Vec<_>, _>>()?;
        if !all.contains(&own) {
            return Ok(None);
        }
        let long = |from: i64, to: i64| i128::from(to) - i128::from(from) + 1;
        let first = all.iter().fold(own.0, |first, reach| first.min(reach.0));
        let last = all.iter().fold(own.1, |last, reach| last.max(reach.1));
        let apart: i128 = all.iter().map(|reach| long(reach.0, reach.1)).sum();
        let latest = all.iter().all(|reach| *reach == own) && own.2;
        Ok((4 * long(first, last) <= 3 * apart).then_some((first, last, latest)))
    }
}

/// What a selector found that others may ask for again.
struct Selected {
    matchers: Vec<Matcher>,
    reach: Reach,
    series: Vec<Arc<dyn Series>>,
}

impl std::fmt::Debug for Selected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} series of {:?}", self.series.len(), self.matchers)
    }
}

/// The readings of one query.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    repeated: Vec<Repeated>,
    selected: Mutex<Vec<Selected>>,
    /// Bytes of decoded series that are kept.
    held: Arc<AtomicUsize>,
}

impl Reads {
    /// Finds matchers that several selectors have. `again`: parts of the query that are not evaluated, as another one is the same.
    pub(crate) fn find(expr: &Expr, mut again: impl FnMut(&Expr) -> bool) -> Reads {
        let mut all: Vec<Repeated> = Vec::new();
        let mut todo = vec![(expr, true)];
        while let Some((expr, reads)) = todo.pop() {
            let reads = reads && !again(expr);
            let (selector, span) = match &expr.kind {
                ExprKind::Vector(selector) => (selector, None),
                ExprKind::Matrix { selector, range, .. } => (selector, Some(range.clone())),
                kind => {
                    let inner = !matches!(kind, ExprKind::Subquery { .. });
                    // in order of the text, of which the first part is evaluated
                    todo.extend(expr.children().into_iter().rev().map(|child| (child, reads && inner)));
                    continue;
                }
            };
            let known = all.iter().position(|r| r.matchers == selector.matchers);
            let at = known.unwrap_or_else(|| {
                all.push(Repeated { matchers: selector.matchers.clone(), ..Repeated::default() });
                all.len() - 1
            });
            all[at].times += 1;
            if reads {
                let (modifiers, boundary) = (selector.modifiers.clone(), selector.boundary);
                all[at].sites.push(Site { span, modifiers, boundary });
            }
        }
        all.retain(|r| r.times > 1);
        Reads { repeated: all, ..Reads::default() }
    }

    /// Bytes of decoded series that are kept for another selector.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// The series of a selector: those of another one with the same matchers where that looks at the same time, else what `select` finds.
    pub(crate) fn select(
        &self,
        ctx: &Ctx<'_>,
        matchers: &[Matcher],
        hints: &SelectHints,
        select: impl FnOnce(&SelectHints) -> Result<Vec<Arc<dyn Series>>, QueryError>,
    ) -> Result<Vec<Arc<dyn Series>>, QueryError> {
        let Some(repeated) = self.repeated.iter().find(|r| r.matchers == matchers) else {
            return select(hints);
        };
        let own = (hints.start, hints.end, hints.latest);
        let together = repeated.together(ctx, own)?;
        let reach = together.unwrap_or(own);
        let same = |s: &&Selected| s.reach == reach && s.matchers == matchers;
        if let Some(found) = self.selected.lock().unwrap_or_else(PoisonError::into_inner).iter().find(same) {
            return Ok(found.series.clone());
        }
        let (start, end, latest) = reach;
        let mut series = select(&SelectHints { start, end, latest, ..hints.clone() })?;
        if together.is_some() && !latest {
            for s in &mut series {
                let kept = Mutex::new(Kept { samples: None, left: repeated.sites.len() });
                let (series, held) = (s.clone(), self.held.clone());
                *s = Arc::new(ReadOnce { series, reach: (start, end), held, kept });
            }
        }
        let selected = Selected { matchers: matchers.to_vec(), reach, series: series.clone() };
        self.selected.lock().unwrap_or_else(PoisonError::into_inner).push(selected);
        Ok(series)
    }
}

/// Most bytes of decoded series that a query keeps; beyond, they are decoded again.
const MOST: usize = 64 << 20;

/// A series that several selectors read.
struct ReadOnce {
    series: Arc<dyn Series>,
    reach: (i64, i64),
    held: Arc<AtomicUsize>,
    kept: Mutex<Kept>,
}

struct Kept {
    samples: Option<SampleBuffer>,
    /// How often it may still be read.
    left: usize,
}

impl Series for ReadOnce {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { samples, left } = &mut *kept;
        if mint < self.reach.0 || maxt > self.reach.1 {
            return self.series.read(mint, maxt, out);
        }
        *left = left.saturating_sub(1);
        if samples.is_none() {
            if *left == 0 || self.held.load(Relaxed) > MOST {
                return self.series.read(mint, maxt, out);
            }
            let mut all = SampleBuffer::default();
            self.series.read(self.reach.0, self.reach.1, &mut all)?;
            self.held.fetch_add(all.bytes(), Relaxed);
            *samples = Some(all);
        }
        if let Some(all) = samples {
            all.copy_to(mint, maxt, out);
        }
        if *left == 0
            && let Some(all) = samples.take()
        {
            self.held.fetch_sub(all.bytes(), Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, EngineOptions, QueryOptions};
    use crate::storage::{Queryable, Selection};
    use model::FloatHistogram;

    /// A storage that counts what is read of it.
    #[derive(Default)]
    struct Counted(Arc<Counts>);

    #[derive(Default)]
    struct Counts {
        selections: AtomicUsize,
        reads: AtomicUsize,
    }

    struct Line(Labels, Arc<Counts>);

    impl Queryable for Counted {
        fn select(&self, matchers: &[Matcher], _: &SelectHints) -> Result<Selection, StorageError> {
            self.0.selections.fetch_add(1, Relaxed);
            let name = matchers.iter().find(|m| m.name == "__name__").map_or("", |m| m.value.as_str());
            let labels = |i: u32| Labels::from_pairs([("__name__", name.to_owned()), ("i", i.to_string())]);
            let line = |i| Arc::new(Line(labels(i), self.0.clone())) as Arc<dyn Series>;
            Ok(Selection { series: (0..4).map(line).collect(), warnings: Vec::new() })
        }
    }

    impl Series for Line {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
            self.1.reads.fetch_add(1, Relaxed);
            let hist = |t: i64| Arc::new(FloatHistogram { count: t as f64, ..FloatHistogram::default() });
            for t in (0..10_000_000).step_by(15_000).filter(|t| (mint..=maxt).contains(t)) {
                if self.0.get("i") == "3" {
                    out.push_histogram(t, hist(t))
                } else {
                    out.push_float(t, t as f64)
                }
                out.set_start(if t > 5_000_000 { t - 20_000 } else { 0 });
            }
            Ok(())
        }
    }

    #[track_caller]
    fn check(query: &str, selections: usize, reads: usize) {
        let engine = Engine::new(EngineOptions::default());
        let run = |expr: &Expr, storage: &Counted| {
            let options = QueryOptions { memory_budget: 1 << 30, ..QueryOptions::default() };
            engine.range(storage, expr, 4_000_000, 6_000_000, 60_000, &options).unwrap().value
        };
        let storage = Counted::default();
        let expr = crate::parse(query).unwrap();
        let value = format!("{:?}", run(&expr, &storage));
        let counts = (storage.0.selections.load(Relaxed), storage.0.reads.load(Relaxed));
        assert_eq!(counts, (selections, 4 * reads), "{query}");
        // a matcher that all satisfy makes the selectors differ: each reads for itself
        let mut times = 0;
        let apart = query.split_inclusive("a{").map(|part| {
            times += 1;
            if part.ends_with("a{") { format!("{part}x!=\"{times}\"") } else { part.to_owned() }
        });
        let apart = crate::parse(&apart.collect::<String>()).unwrap();
        assert_eq!(format!("{:?}", run(&apart, &Counted::default())), value, "{query}");
    }

    #[test]
    fn windows_of_different_length_are_read_once() {
        check("rate(a{}[5m]) / rate(a{}[6m])", 1, 1);
        check("sum(rate(a{}[5m])) / sum(increase(a{}[5m])) + count(a{})", 1, 1);
        check("a{} + a{} offset 1m", 1, 1);
        check("count_over_time(a{}[5m] @ 4500) + count_over_time(a{}[4m] @ 4510)", 1, 1);
        // what lies between is longer than both
        check("count_over_time(a{}[5m] @ 4000) + count_over_time(a{}[4m] @ 5900)", 2, 2);
        // one part is evaluated once, and nothing is kept for the other
        check("count(a{}) / (count(a{}) + 1)", 1, 1);
        check("rate(a{}[5m]) + sum_over_time(rate(a{}[5m])[10m:1m])", 2, 2);
    }

    #[test]
    fn what_was_kept_is_let_go() {
        let (counts, held) = (Arc::new(Counts::default()), Arc::new(AtomicUsize::new(0)));
        let series = Arc::new(Line(Labels::from_pairs([("i", "3")]), counts.clone()));
        let kept = Mutex::new(Kept { samples: None, left: 3 });
        let once = ReadOnce { series, reach: (1_000_000, 6_000_000), held: held.clone(), kept };
        let read = |mint, maxt| {
            let mut out = SampleBuffer::default();
            out.push_float(0, 1.0);
            once.read(mint, maxt, &mut out).unwrap();
            out
        };
        let mut direct = SampleBuffer::default();
        direct.push_float(0, 1.0);
        once.series.read(4_900_000, 5_200_000, &mut direct).unwrap();
        for left in [true, true, false] {
            assert_eq!(format!("{:?}", read(4_900_000, 5_200_000)), format!("{direct:?}"));
            assert_eq!(held.load(Relaxed) > 0, left);
        }
        assert_eq!(counts.reads.load(Relaxed), 2);
        read(4_900_000, 5_200_000);
        read(0, 5_200_000);
        assert_eq!((counts.reads.load(Relaxed), held.load(Relaxed)), (4, 0));
    }
}
