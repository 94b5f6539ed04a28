//! Where two answers differ.

use crate::answer::{Answer, Data, Histogram, Item, Stats};
use model::Labels;

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One fails, the other does not, or as another kind of error.
    Failure,
    /// Values, labels, times or order.
    Value,
    /// Warnings and infos.
    Annotations,
    /// Samples that were looked at, in all or at a step.
    Stats,
    /// Both fail with different texts.
    ErrorText,
    /// The text of `format_query`.
    Format,
    /// The tree of `parse_query`.
    Tree,
}

impl Kind {
    /// Whether a run with such a difference has failed.
    pub(crate) fn is_fatal(self) -> bool {
        matches!(self, Kind::Failure | Kind::Value)
    }
}

/// A difference: its kind and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What the language says of the order of an instant vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    Any,
    /// The values have an order; series of the same value have none.
    Values,
    /// All of it.
    Labels,
}

/// Relative difference that rounding may make.
const TOLERANCE: f64 = 1e-12;

/// The gravest difference, if there is one. `order`: what of the order of an instant vector counts.
pub(crate) fn compare(expected: &Answer, found: &Answer, order: Order) -> Option<Difference> {
    let difference = |kind, text| Some(Difference { kind, text });
    match (expected, found) {
        (Answer::Failed { kind: a, text: x }, Answer::Failed { kind: b, text: y }) => {
            if a != b {
                return difference(Kind::Failure, format!("expected {a}: {x}\n      found {b}: {y}"));
            }
            (about(x) != about(y)).then(|| Difference {
                kind: Kind::ErrorText,
                text: format!("expected: {x}\n      found: {y}"),
            })
        }
        (Answer::Failed { text, .. }, Answer::Value { .. }) => {
            difference(Kind::Failure, format!("expected to fail: {text}"))
        }
        (Answer::Value { .. }, Answer::Failed { text, .. }) => {
            difference(Kind::Failure, format!("failed: {text}"))
        }
        (
            Answer::Value { data: a, warnings: aw, infos: ai, stats: at },
            Answer::Value { data: b, warnings: bw, infos: bi, stats: bt },
        ) => {
            if let Err(text) = data(a, b, order) {
                return difference(Kind::Value, text);
            }
            annotations("warnings", aw, bw).or_else(|| annotations("infos", ai, bi)).or_else(|| stats(at, bt))
        }
    }
}

fn stats(expected: &Stats, found: &Stats) -> Option<Difference> {
    (expected != found).then(|| Difference {
        kind: Kind::Stats,
        text: format!("expected {expected:?}\n      found {found:?}"),
    })
}

/// An error without the two series that it shows of many: which they are follows from the order of storage.
fn about(text: &str) -> &str {
    text.split_once(" hand-side of the operation: [").map_or(text, |(before, _)| before)
}

/// Most annotations of a level that the HTTP API shows.
const SHOWN: usize = 10;

/// An annotation without the number of samples: Prometheus counts them anew each time that it brings two lists together.
/// Of NaN among observations it says so at another argument than the tests of its own repository ask for: without the place.
fn uncounted(text: &str) -> String {
    if text.contains(" NaN observations") {
        return text.rsplit_once(" (").map_or(text, |(before, _)| before).to_owned();
    }
    match (text.find(", over "), text.find(" samples from ")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to..]),
        _ => text.to_owned(),
    }
}

fn annotations(what: &str, expected: &[String], found: &[String]) -> Option<Difference> {
    if expected.len() > SHOWN || found.len() > SHOWN {
        // which ten of them are shown is left to chance
        return ((expected.len() > SHOWN) != (found.len() > SHOWN)).then(|| Difference {
            kind: Kind::Annotations,
            text: format!("{what}: expected {}, found {}", expected.len(), found.len()),
        });
    }
    let expected: Vec<String> = expected.iter().map(|a| uncounted(a)).collect();
    let found: Vec<String> = found.iter().map(|a| uncounted(a)).collect();
    let missing: Vec<&String> = expected.iter().filter(|a| !found.contains(a)).collect();
    let extra: Vec<&String> = found.iter().filter(|a| !expected.contains(a)).collect();
    (!missing.is_empty() || !extra.is_empty()).then(|| Difference {
        kind: Kind::Annotations,
        text: format!("{what}: missing {missing:?}, extra {extra:?}"),
    })
}

fn data(expected: &Data, found: &Data, order: Order) -> Result<(), String> {
    match (expected, found) {
        (Data::Scalar(t, a), Data::Scalar(u, b)) if t == u && float(*a, *b) => Ok(()),
        (Data::String(t, a), Data::String(u, b)) if t == u && a == b => Ok(()),
        (Data::Vector(a), Data::Vector(b)) => {
            let (mut a, mut b) = (a.clone(), b.clone());
            if order == Order::Values
                && let Some((x, y)) =
                    a.iter().zip(&b).find(|(x, y)| !item(&x.2, &y.2) && !both_zero(&x.2, &y.2))
            {
                return Err(format!("order: expected {x:?}\n      found {y:?}"));
            }
            if order != Order::Labels {
                a.sort_by(|x, y| x.0.cmp(&y.0));
                b.sort_by(|x, y| x.0.cmp(&y.0));
            }
            same_series(a.iter().map(|(l, ..)| l), b.iter().map(|(l, ..)| l))?;
            for ((labels, t, x), (_, u, y)) in a.iter().zip(&b) {
                if t != u || !item(x, y) {
                    return Err(format!("{labels}: expected {x:?} at {t}\n      found {y:?} at {u}"));
                }
            }
            Ok(())
        }
        (Data::Matrix(a), Data::Matrix(b)) => {
            same_series(a.iter().map(|(l, _)| l), b.iter().map(|(l, _)| l))?;
            for ((labels, x), (_, y)) in a.iter().zip(b) {
                points(x, y).map_err(|e| format!("{labels}: {e}"))?;
            }
            Ok(())
        }
        (a, b) => Err(format!("expected {a:?}\n      found {b:?}")),
    }
}

fn same_series<'a>(
    expected: impl Iterator<Item = &'a Labels>,
    found: impl Iterator<Item = &'a Labels>,
) -> Result<(), String> {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.collect(), found.collect());
    if expected.len() == found.len() && expected.iter().zip(&found).all(|(a, b)| same_labels(a, b)) {
        return Ok(());
    }
    let list = |of: &[&Labels]| of.iter().map(|l| l.to_string()).collect::<Vec<_>>().join(" ");
    let missing: Vec<&Labels> = expected.iter().filter(|l| !found.contains(l)).copied().collect();
    let extra: Vec<&Labels> = found.iter().filter(|l| !expected.contains(l)).copied().collect();
    if missing.is_empty() && extra.is_empty() {
        return Err(format!("order: expected {}\n      found {}", list(&expected), list(&found)));
    }
    Err(format!("missing series: {}\n      extra series: {}", list(&missing), list(&extra)))
}

/// The same names and values; a value that is a number, as `count_values` makes it, is the same up to rounding.
fn same_labels(a: &Labels, b: &Labels) -> bool {
    let same = |x: &str, y: &str| x == y || matches!((x.parse(), y.parse()), (Ok(x), Ok(y)) if float(x, y));
    a == b || (a.len() == b.len() && a.iter().zip(b.iter()).all(|((n, x), (m, y))| n == m && same(x, y)))
}

fn points(expected: &[(i64, Item)], found: &[(i64, Item)]) -> Result<(), String> {
    let times = |of: &[(i64, Item)]| of.iter().map(|(t, _)| *t).collect::<Vec<_>>();
    if times(expected) != times(found) {
        let (a, b) = (times(expected), times(found));
        let missing: Vec<&i64> = a.iter().filter(|t| !b.contains(t)).collect();
        let extra: Vec<&i64> = b.iter().filter(|t| !a.contains(t)).collect();
        return Err(format!("missing times {missing:?}, extra times {extra:?}"));
    }
    for ((t, x), (_, y)) in expected.iter().zip(found) {
        if !item(x, y) {
            return Err(format!("at {t}: expected {x:?}\n      found {y:?}"));
        }
    }
    Ok(())
}

fn item(expected: &Item, found: &Item) -> bool {
    match (expected, found) {
        (Item::Float(a), Item::Float(b)) => float(*a, *b),
        (Item::Histogram(a), Item::Histogram(b)) => histogram(a, b),
        _ => false,
    }
}

/// Zeros have no order, whatever their sign.
fn both_zero(a: &Item, b: &Item) -> bool {
    matches!((a, b), (Item::Float(a), Item::Float(b)) if *a == 0.0 && *b == 0.0)
}

fn histogram(a: &Histogram, b: &Histogram) -> bool {
    let bucket = |x: &(u8, f64, f64, f64), y: &(u8, f64, f64, f64)| {
        x.0 == y.0 && float(x.1, y.1) && float(x.2, y.2) && float(x.3, y.3)
    };
    float(a.count, b.count)
        && float(a.sum, b.sum)
        && a.buckets.len() == b.buckets.len()
        && a.buckets.iter().zip(&b.buckets).all(|(x, y)| bucket(x, y))
}

/// The same up to rounding; the sign of zero counts.
fn float(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return a.is_sign_negative() == b.is_sign_negative();
    }
    if a.is_infinite() || b.is_infinite() {
        return false;
    }
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert!(float(1.0, 1.0 + 1e-13) && float(f64::NAN, f64::NAN) && float(0.0, 0.0));
        assert!(!float(0.0, -0.0) && !float(1.0, 1.0 + 1e-11) && !float(f64::INFINITY, f64::NEG_INFINITY));
        assert!(!float(f64::NAN, 1.0) && !float(0.0, 1e-300));
    }

    #[test]
    fn a_difference_is_found() {
        let value = |v: f64| Answer::Value {
            data: Data::Vector(vec![(Labels::from_pairs([("a", "1")]), 0, Item::Float(v))]),
            warnings: Vec::new(),
            infos: Vec::new(),
            stats: Stats::default(),
        };
        assert_eq!(compare(&value(1.0), &value(1.0), Order::Labels), None);
        assert_eq!(compare(&value(1.0), &value(2.0), Order::Labels).map(|d| d.kind), Some(Kind::Value));
        let failed = Answer::Failed { kind: "execution".to_owned(), text: String::new() };
        assert_eq!(compare(&failed, &value(1.0), Order::Labels).map(|d| d.kind), Some(Kind::Failure));
        assert_eq!(compare(&failed, &failed, Order::Labels).map(|d| d.kind), None);
    }
}
