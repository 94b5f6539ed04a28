//! Annotations: warnings and infos that a query gathers, each once, with the place in the query.

use super::classic::Repair;
use crate::ast::PosRange;
use crate::parser::line_column;
use parking::Guarded;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Warning,
    Info,
}

/// The annotations of one query; shared by all threads that evaluate it.
#[derive(Debug, Default)]
pub(crate) struct Notes(Guarded<BTreeMap<(Level, String), usize>>, Guarded<Repairs>, AtomicUsize);

/// Repairs of classic buckets by place and metric: one annotation says what they were over all steps and series.
type Repairs = BTreeMap<(usize, String), Repaired>;

#[derive(Debug)]
struct Repaired {
    all: Repair,
    samples: u64,
    first: i64,
    last: i64,
}

impl Notes {
    pub(crate) fn add(&self, level: Level, pos: PosRange, text: String) {
        self.2.fetch_add(1, Ordering::Relaxed);
        self.0.with(|set| {
            // bounded: a name per series could flood the answer
            if set.len() < MAX_NOTES {
                // of the same text at several places the last one met counts
                set.insert((level, text), pos.start);
            }
        });
    }

    pub(crate) fn warn(&self, pos: PosRange, text: impl Into<String>) {
        self.add(Level::Warning, pos, text.into());
    }

    pub(crate) fn info(&self, pos: PosRange, text: impl Into<String>) {
        self.add(Level::Info, pos, text.into());
    }

    /// Notes a repair of the buckets of a metric at a time.
    pub(crate) fn repaired(&self, pos: PosRange, metric: &str, t: i64, repair: Repair) {
        self.2.fetch_add(1, Ordering::Relaxed);
        self.1.with(|all| {
            if all.len() >= MAX_NOTES {
                return;
            }
            let new = || Repaired { all: repair, samples: 0, first: t, last: t };
            let known = all.entry((pos.start, metric.to_owned())).or_insert_with(new);
            known.all.lowest = known.all.lowest.min(repair.lowest);
            known.all.highest = known.all.highest.max(repair.highest);
            known.all.most = known.all.most.max(repair.most);
            known.samples += 1;
            known.first = known.first.min(t);
            known.last = known.last.max(t);
        });
    }

    fn repair_texts(&self) -> Vec<(usize, String)> {
        let time = |ms: i64| {
            let at = jiff::Timestamp::from_second(ms.div_euclid(1000));
            at.map_or_else(|_| format!("{ms} ms"), |t| t.to_string())
        };
        let text = |((start, metric), r): (&(usize, String), &Repaired)| {
            let what = "input to histogram_quantile needed to be fixed for monotonicity \
                        (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
            let (low, high, most) = (
                model::float::format_short(r.all.lowest),
                model::float::format_short(r.all.highest),
                two_digits(r.all.most),
            );
            let text = format!(
                "{}, from buckets {low} to {high}, with a max diff of {most}, over {} samples from {} to {}",
                for_metric(what, metric),
                r.samples,
                time(r.first),
                time(r.last)
            );
            (*start, text)
        };
        self.1.with(|all| all.iter().map(text).collect())
    }

    /// How often something was noted, also what was known already.
    pub(crate) fn noted(&self) -> usize {
        self.2.load(Ordering::Relaxed)
    }

    /// A warning from storage, without a place.
    pub(crate) fn plain(&self, text: String) {
        self.0.with(|set| set.insert((Level::Warning, text), usize::MAX));
    }

    /// The texts of one level, in the form that the HTTP API shows.
    pub(crate) fn texts(&self, level: Level, query: &str) -> Vec<String> {
        let prefix = if level == Level::Warning { "PromQL warning" } else { "PromQL info" };
        if level == Level::Info {
            for (start, text) in self.repair_texts() {
                self.0.with(|set| set.insert((Level::Info, text), start));
            }
        }
        self.0.with(|set| {
            let chosen = set.iter().filter(|((l, _), _)| *l == level);
            chosen
                .map(|((_, text), start)| {
                    if *start == usize::MAX {
                        return text.clone();
                    }
                    let (line, column) =
                        if query.is_empty() { (1, start + 1) } else { line_column(query, *start) };
                    format!("{prefix}: {text} ({line}:{column})")
                })
                .collect()
        })
    }
}

/// A number with two significant digits (Go's `%.2g`).
fn two_digits(v: f64) -> String {
    let text = format!("{v:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !v.is_finite() || (-4..2).contains(&exponent) {
        let rounded: f64 = text.parse().unwrap_or(v);
        return model::float::format_general(rounded);
    }
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Most annotations a query keeps; the HTTP API shows ten of each level.
const MAX_NOTES: usize = 1000;

mod parking {
    //! A mutex that survives a panic of another thread: annotations are only added to.
    use std::sync::{Mutex, PoisonError};

    #[derive(Debug, Default)]
    pub(super) struct Guarded<T>(Mutex<T>);

    impl<T> Guarded<T> {
        pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

/// Says that a metric's name follows in the text.
pub(crate) fn for_metric(text: &str, name: &str) -> String {
    if name.is_empty() {
        return text.to_owned();
    }
    format!("{text} for metric name {}", model::float::quote(name))
}
