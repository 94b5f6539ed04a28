//! Makes a failing query smaller while it keeps failing.

use crate::query::{Query, When};
use promql::ast::{Expr, PosRange};
use promql::{Features, parse_with};

/// Most attempts; a query has some tens of nodes.
const ATTEMPTS: usize = 400;

/// The smallest query found that still `fails`.
pub(crate) fn shrink(query: &Query, mut fails: impl FnMut(&Query) -> bool) -> Query {
    let mut best = query.clone();
    let mut left = ATTEMPTS;
    'again: loop {
        for candidate in candidates(&best) {
            if left == 0 {
                return best;
            }
            left -= 1;
            if fails(&candidate) {
                best = candidate;
                continue 'again;
            }
        }
        return best;
    }
}

/// Smaller queries, the smallest first.
fn candidates(query: &Query) -> Vec<Query> {
    let mut texts: Vec<String> = match parse_with(&query.text, &Features::all()) {
        Ok(expr) => smaller_trees(&query.text, &expr),
        Err(_) => fewer_words(&query.text),
    };
    texts.retain(|t| t.len() < query.text.len() && !t.trim().is_empty());
    texts.sort_by_key(String::len);
    texts.dedup();
    let mut out: Vec<Query> = texts.into_iter().map(|text| Query { text, ..query.clone() }).collect();
    if query.lookback.is_some() {
        out.push(Query { lookback: None, ..query.clone() });
    }
    if let When::Range { start, end, step } = query.when
        && end - start >= step
    {
        let half = start + (end - start) / step / 2 * step;
        let halves = [(start, half), (half, end), (start + step, end), (start, end - step)];
        let halves = halves.into_iter().filter(|(s, e)| e - s < end - start && s <= e);
        out.extend(
            halves.map(|(start, end)| Query { when: When::Range { start, end, step }, ..query.clone() }),
        );
    }
    out
}

/// Each node alone, and each node replaced by one below it.
fn smaller_trees(text: &str, expr: &Expr) -> Vec<String> {
    let mut out = Vec::new();
    let mut todo = vec![expr];
    while let Some(node) = todo.pop() {
        out.push(text[node.pos.start..node.pos.end].to_owned());
        for child in node.children() {
            out.push(replaced(text, node.pos, child.pos));
            for grandchild in child.children() {
                out.push(replaced(text, node.pos, grandchild.pos));
            }
        }
        todo.extend(node.children());
    }
    out.extend(fewer_words(text));
    out
}

fn replaced(text: &str, whole: PosRange, part: PosRange) -> String {
    format!("{}{}{}", &text[..whole.start], &text[part.start..part.end], &text[whole.end..])
}

/// Each word, and each run of a few words, left out.
fn fewer_words(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive([' ', ',', '(', ')', '{', '}', '[', ']']).collect();
    let mut out = Vec::new();
    for len in [8, 4, 2, 1] {
        for at in 0..words.len().saturating_sub(len - 1) {
            out.push([&words[..at], &words[at + len..]].concat().concat());
        }
    }
    out
}
