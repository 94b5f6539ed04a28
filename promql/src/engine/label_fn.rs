//! Functions on labels: `label_replace`, `label_join`, `sort_by_label`.

use super::column::OutSeries;
use super::context::{Ctx, Steps};
use super::eval::{merge_same, string, vector};
use super::result::QueryError;
use crate::ast::Expr;
use crate::parser::valid_label;
use model::labels::METRIC_NAME;
use model::regex::Regex;
use model::{Labels, LabelsBuilder};
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
    merge_same(out)
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
    merge_same(series)
}

fn with_label(labels: &Labels, name: &str, value: String) -> Labels {
    let mut b = LabelsBuilder::new(labels);
    b.set(name, value);
    b.finish()
}

/// Sorted by the labels in turn, then by the whole label set; digits within values compare as numbers.
pub(crate) fn sorted(mut series: Vec<OutSeries>, names: &[String], descending: bool) -> Vec<OutSeries> {
    series.sort_by(|a, b| {
        let by_names = names
            .iter()
            .map(|n| natural(a.labels.get(n), b.labels.get(n)))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or_else(|| a.labels.cmp(&b.labels));
        if descending { by_names.reverse() } else { by_names }
    });
    series
}

/// Natural order: runs of digits by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (da, db) = (digits(a), digits(b));
            let (na, nb) = (da.trim_start_matches('0'), db.trim_start_matches('0'));
            let order =
                na.len().cmp(&nb.len()).then_with(|| na.cmp(nb)).then_with(|| da.len().cmp(&db.len()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[da.len()..], &b[db.len()..]);
        } else if x == y {
            (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
}

fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}
