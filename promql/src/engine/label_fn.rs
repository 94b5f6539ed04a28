//! Functions on labels: `label_replace`, `label_join`, `sort_by_label`.

use super::column::{OutSeries, Point};
use super::context::{Ctx, Steps};
use super::eval::{merge_same, same_labelset, string, vector};
use super::result::QueryError;
use crate::ast::Expr;
use crate::parser::valid_label;
use model::labels::METRIC_NAME;
use model::regex::Regex;
use model::{Labels, LabelsBuilder};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

fn fail<T>(text: String) -> Result<T, QueryError> {
    Err(QueryError::Execution(text))
}

fn check_name(name: &str, func: &str, what: &str) -> Result<(), QueryError> {
    if !valid_label(name) {
        return fail(format!("invalid {what}label name in {func}(): {name}"));
    }
    Ok(())
}

pub(crate) fn replace(ctx: &Ctx<'_>, args: &[Expr], steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let mut texts = args[1..].iter().map(|a| string(ctx, a, steps));
    let mut next = || texts.next().unwrap_or(Ok(String::new()));
    let (dst, replacement, src, pattern) = (next()?, next()?, next()?, next()?);
    let regex = match Regex::new(&pattern) {
        Ok(regex) => regex,
        Err(_) => return fail(format!("invalid regular expression in label_replace(): {pattern}")),
    };
    check_name(&dst, "label_replace", "destination ")?;
    let series = vector(ctx, &args[0], steps)?;
    let mut out = Vec::with_capacity(series.len());
    for mut s in series {
        if let Some(found) = regex.compiled().captures(s.labels.get(&src)) {
            let mut value = String::new();
            found.expand(&replacement, &mut value);
            s.drop_name &= dst != METRIC_NAME;
            s.labels = with_label(&s.labels, &dst, value);
        }
        out.push(s);
    }
    merge_relabelled(out)
}

/// One series per label set. A number and a histogram at the same step do not meet in Prometheus, which keeps the two apart: there
/// the histogram is shown.
fn merge_relabelled(series: Vec<OutSeries>) -> Result<Vec<OutSeries>, QueryError> {
    if series.iter().all(|s| s.col.hists.is_empty()) {
        return merge_same(series);
    }
    let mut at: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut out: Vec<OutSeries> = Vec::with_capacity(series.len());
    for s in series {
        let Some(&known) = at.get(&s.labels) else {
            at.insert(s.labels.clone(), out.len());
            out.push(s);
            continue;
        };
        for i in 0..s.col.values.len() {
            match (out[known].col.point(i), s.col.point(i)) {
                (_, Point::Absent) | (Point::Hist(_), Point::Float(_)) => {}
                (Point::Absent, point) | (Point::Float(_), point @ Point::Hist(_)) => {
                    out[known].col.set(i, point)
                }
                (Point::Float(_), Point::Float(_)) | (Point::Hist(_), Point::Hist(_)) => {
                    return Err(same_labelset());
                }
            }
        }
    }
    Ok(out)
}

pub(crate) fn join(ctx: &Ctx<'_>, args: &[Expr], steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let texts = args[1..].iter().map(|a| string(ctx, a, steps)).collect::<Result<Vec<_>, _>>()?;
    let (dst, separator, sources) = (&texts[0], &texts[1], &texts[2..]);
    for source in sources {
        check_name(source, "label_join", "source ")?;
    }
    check_name(dst, "label_join", "destination ")?;
    let mut series = vector(ctx, &args[0], steps)?;
    for s in &mut series {
        let values: Vec<&str> = sources.iter().map(|n| s.labels.get(n)).collect();
        let value = values.join(separator);
        s.drop_name &= dst != METRIC_NAME;
        s.labels = with_label(&s.labels, dst, value);
    }
    merge_relabelled(series)
}

fn with_label(labels: &Labels, name: &str, value: String) -> Labels {
    let mut b = LabelsBuilder::new(labels);
    b.set(name, value);
    b.finish()
}

/// Up to so many series are sorted by insertion, as Prometheus does it: a label that some of them lack has no order there, and
/// which series then come first depends on the way of sorting.
const FEW: usize = 12;

/// Sorted by the labels in turn, then by the whole label set; digits within values compare as numbers.
pub(crate) fn sorted(mut series: Vec<OutSeries>, names: &[String], descending: bool) -> Vec<OutSeries> {
    let compare =
        |a: &Labels, b: &Labels| match names.iter().map(|n| (a.get(n), b.get(n))).find(|(x, y)| x != y) {
            Some((x, y)) if naturally_before(x, y) => Ordering::Less,
            Some(_) => Ordering::Greater,
            None => a.cmp(b),
        };
    // the answer is turned around, not the operands
    let compare = |a: &Labels, b: &Labels| if descending { compare(a, b).reverse() } else { compare(a, b) };
    if series.len() <= FEW {
        for i in 1..series.len() {
            let mut at = i;
            while at > 0 && compare(&series[at].labels, &series[at - 1].labels) == Ordering::Less {
                series.swap(at, at - 1);
                at -= 1;
            }
        }
        return series;
    }
    // missing labels last: an order that holds together
    let missing = |s: &OutSeries| names.iter().map(|n| s.labels.get(n).is_empty()).collect::<Vec<bool>>();
    let (mut whole, mut lacking): (Vec<OutSeries>, Vec<OutSeries>) =
        series.into_iter().partition(|s| !missing(s).contains(&true));
    whole.sort_by(|a, b| compare(&a.labels, &b.labels));
    lacking.sort_by(|a, b| missing(a).cmp(&missing(b)).then_with(|| a.labels.cmp(&b.labels)));
    whole.append(&mut lacking);
    whole
}

/// Whether a text comes before another one, runs of digits compared by their value; a text that begins the other comes first.
/// Nothing comes before or after an empty text.
fn naturally_before(a: &str, b: &str) -> bool {
    let (a, b) = (chunks(a), chunks(b));
    for (i, x) in a.iter().enumerate() {
        let Some(y) = b.get(i) else { return false };
        let equal = match (x.parse::<i64>(), y.parse::<i64>()) {
            (Ok(x), Ok(y)) if x != y => return x < y,
            (Ok(_), Ok(_)) => true,
            _ if x != y => return x < y,
            _ => true,
        };
        if equal && i + 1 == a.len() {
            return true;
        }
        if equal && i + 1 == b.len() {
            return false;
        }
    }
    false
}

/// Runs of digits, and what stands between them.
fn chunks(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        out.push(&rest[..end]);
        rest = &rest[end..];
    }
    out
}
