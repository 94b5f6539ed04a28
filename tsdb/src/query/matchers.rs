//! From matchers to series numbers: look-ups first, then what must try values.

use std::borrow::Cow;

use model::{MatchOp, Matcher};

use super::postings::{intersect, subtract, union};
use crate::error::Error;

/// An index that matchers are resolved in: the head's, or a block's.
pub(crate) trait PostingsSource {
    /// The series with this label and value, sorted.
    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Error>;
    /// All series, sorted.
    fn all(&self) -> Result<Cow<'_, [u32]>, Error>;
    /// Adds the lists of those values of a label that begin with `prefix` and for which `keep` says so.
    fn values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<Vec<u32>>,
    ) -> Result<(), Error>;
    /// Keeps in `series` those whose value of the label ("" where it is missing) satisfies `keep`.
    fn retain_by_value(
        &self,
        series: &mut Vec<u32>,
        name: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), Error>;
}

/// So few candidates are rather asked one by one than found through all values of a label.
const FEW: usize = 2000;

/// The series that satisfy all matchers, sorted.
pub(crate) fn resolve(source: &dyn PostingsSource, matchers: &[Matcher]) -> Result<Vec<u32>, Error> {
    let mut wanted: Vec<Vec<u32>> = Vec::new();
    let mut unwanted: Vec<Vec<u32>> = Vec::new();
    let mut others: Vec<&Matcher> = Vec::new();
    for matcher in matchers {
        match lookup_values(matcher) {
            Lookup::All => {}
            Lookup::None => return Ok(Vec::new()),
            Lookup::In(values) => {
                let list = lookup(source, &matcher.name, &values)?;
                if list.is_empty() {
                    return Ok(list);
                }
                wanted.push(list);
            }
            Lookup::NotIn(values) => unwanted.push(lookup(source, &matcher.name, &values)?),
            Lookup::Scan => others.push(matcher),
        }
    }
    wanted.sort_by_key(Vec::len);
    let mut lists = wanted.into_iter();
    let mut found = lists.next();
    if let Some(found) = &mut found {
        for list in lists {
            intersect(found, &list);
        }
    }
    // Without a look-up, begin with a matcher that demands its label, rather than with everything.
    others.sort_by_key(|m| m.matches_empty());
    for matcher in others {
        apply(source, matcher, &mut found)?;
    }
    let mut found = match found {
        Some(found) => found,
        None => source.all()?.into_owned(),
    };
    for list in &unwanted {
        subtract(&mut found, list);
    }
    Ok(found)
}

/// How a matcher can be resolved without trying values.
enum Lookup<'a> {
    All,
    None,
    In(Vec<&'a str>),
    NotIn(Vec<&'a str>),
    Scan,
}

fn lookup_values(matcher: &Matcher) -> Lookup<'_> {
    let value = matcher.value.as_str();
    match matcher.op {
        MatchOp::Equal if value.is_empty() => Lookup::Scan,
        MatchOp::Equal => Lookup::In(vec![value]),
        MatchOp::NotEqual if value.is_empty() => Lookup::Scan,
        MatchOp::NotEqual => Lookup::NotIn(vec![value]),
        MatchOp::Regex if value == ".*" => Lookup::All,
        MatchOp::NotRegex if value == ".*" => Lookup::None,
        MatchOp::Regex | MatchOp::NotRegex => {
            let literals = matcher.regex().and_then(model::regex::Regex::literals);
            match literals {
                // "" among them means "or missing", which no list holds
                Some(literals) if literals.iter().all(|l| !l.is_empty()) => {
                    let values = literals.iter().map(String::as_str).collect();
                    if matcher.op == MatchOp::Regex { Lookup::In(values) } else { Lookup::NotIn(values) }
                }
                _ => Lookup::Scan,
            }
        }
    }
}

fn lookup(source: &dyn PostingsSource, name: &str, values: &[&str]) -> Result<Vec<u32>, Error> {
    let mut lists = Vec::with_capacity(values.len());
    for value in values {
        let list = source.postings(name, value)?;
        if !list.is_empty() {
            lists.push(list.into_owned());
        }
    }
    Ok(union(lists))
}

/// Narrows `found` (none: everything) by a matcher that must try values.
fn apply(source: &dyn PostingsSource, matcher: &Matcher, found: &mut Option<Vec<u32>>) -> Result<(), Error> {
    if let Some(found) = found
        && found.len() <= FEW
    {
        return source.retain_by_value(found, &matcher.name, &mut |v| matcher.matches(v));
    }
    let mut lists = Vec::new();
    if matcher.matches_empty() {
        // Series without the label are in no list: take away those with a value that does not match.
        source.values_where(&matcher.name, "", &mut |v| !matcher.matches(v), &mut lists)?;
        let mut kept = match found.take() {
            Some(kept) => kept,
            None => source.all()?.into_owned(),
        };
        subtract(&mut kept, &union(lists));
        *found = Some(kept);
    } else {
        let prefix = match matcher.op {
            MatchOp::Regex => matcher.regex().map_or("", |r| r.prefix()),
            _ => "",
        };
        source.values_where(&matcher.name, prefix, &mut |v| matcher.matches(v), &mut lists)?;
        let list = union(lists);
        match found {
            Some(found) => intersect(found, &list),
            None => *found = Some(list),
        }
    }
    Ok(())
}
