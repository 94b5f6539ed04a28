//! Regular expressions as Prometheus means them: RE2's syntax, anchored at both ends, dot matches newline.

use regex_syntax::hir::{Hir, HirKind};

/// A text that is no regular expression, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp {pattern:?}: {reason}")]
pub struct Error {
    /// The text.
    pub pattern: String,
    /// The cause, on one line.
    pub reason: String,
}

/// An anchored regular expression; knows the literals that decide it, so that storage can look values up instead of
/// trying them all.
#[derive(Clone, Debug)]
pub struct Regex {
    pattern: String,
    compiled: regex::Regex,
    literals: Option<Vec<String>>,
    prefix: String,
}

/// More alternatives than this are matched by the automaton, not looked up.
const MAX_LITERALS: usize = 1000;

impl Regex {
    /// Compiles `^(?s:pattern)$`.
    ///
    /// # Errors
    /// Where the pattern is not valid or its automaton would be larger than 10 MiB.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let given = pattern;
        let error = |reason: String| Error {
            pattern: pattern.to_owned(),
            reason: reason.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("").trim().to_owned(),
        };
        let translated = repetitions(pattern).map_err(error)?;
        let pattern = translated.as_str();
        // parsed alone first: `a)(b` must not become valid by the group around it
        let mut parser = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build();
        let hir = parser.parse(pattern).map_err(|e| error(e.to_string()))?;
        let compiled = regex::Regex::new(&format!("^(?s:{pattern})$")).map_err(|e| error(e.to_string()))?;
        let literals = alternatives(&hir, MAX_LITERALS);
        let prefix = if literals.is_some() { String::new() } else { leading_literal(&hir) };
        Ok(Regex { pattern: given.to_owned(), compiled, literals, prefix })
    }

    /// The text as given.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole text matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.literals {
            Some(literals) if literals.len() <= 16 => literals.iter().any(|l| l == text),
            _ => text.starts_with(&self.prefix) && self.compiled.is_match(text),
        }
    }

    /// Where the expression matches only these texts: all of them, without duplicates.
    pub fn literals(&self) -> Option<&[String]> {
        self.literals.as_deref()
    }

    /// What every matching text begins with, maybe nothing.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The compiled form, for captures and expansion. Anchored.
    pub fn compiled(&self) -> &regex::Regex {
        &self.compiled
    }
}

/// All texts that the expression matches, where they are few and fixed.
/// Length of a repetition operator at the begin of a text: `*`, `+`, `?`, `{2}`, `{2,}`, `{2,5}`.
fn repetition(text: &str) -> Option<usize> {
    if text.starts_with(['*', '+', '?']) {
        return Some(1);
    }
    let (bounds, _) = text.strip_prefix('{')?.split_once('}')?;
    let (least, most) = bounds.split_once(',').unwrap_or((bounds, bounds));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(bounds.len() + 2)
}

/// Brings repetitions to what RE2 takes them for: one after another is an error, and a brace that begins none is a character.
fn repetitions(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let (mut rest, mut in_class) = (pattern, false);
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            // \x{…}, \p{…}, \Q…\E keep their braces
            let len = match rest.as_bytes().get(1) {
                Some(b'x' | b'p' | b'P') if rest[2..].starts_with('{') => {
                    rest.find('}').map_or(rest.len(), |i| i + 1)
                }
                Some(b'Q') => rest.find("\\E").map_or(rest.len(), |i| i + 2),
                _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            };
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        }
        if in_class || c == '[' {
            let was_in_class = in_class;
            in_class = c != ']' || !in_class;
            let mut len = c.len_utf8();
            // a bracket that comes first in a class belongs to it
            if c == '[' && !was_in_class && !rest[1..].starts_with("[:") {
                len += usize::from(rest[1..].starts_with('^'));
                len += usize::from(rest[len..].starts_with(']'));
            }
            // within a class a bracket is a character like others, and there are no classes within classes
            let set = in_class && (rest.starts_with("&&") || rest.starts_with("~~"));
            let nested = was_in_class && c == '[';
            if nested && let Some(end) = rest.strip_prefix("[:").and_then(|r| r.find(":]")) {
                len = end + 4;
            } else if nested || set {
                out.push('\\');
            }
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        }
        let Some(len) = repetition(rest).filter(|_| !out.is_empty() && !out.ends_with(['(', '|'])) else {
            if c == '{' {
                out.push('\\');
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let lazy = usize::from(rest[len..].starts_with('?'));
        if let Some(next) = repetition(&rest[len + lazy..]) {
            let both = &rest[..len + lazy + next];
            return Err(format!("error parsing regexp: invalid nested repetition operator: `{both}`"));
        }
        out.push_str(&rest[..len + lazy]);
        rest = &rest[len + lazy..];
    }
    Ok(out)
}

fn alternatives(hir: &Hir, limit: usize) -> Option<Vec<String>> {
    let mut found = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).ok()?],
        HirKind::Capture(capture) => alternatives(&capture.sub, limit)?,
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            let mut chars = Vec::new();
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    chars.push(c.to_string());
                    if chars.len() > limit {
                        return None;
                    }
                }
            }
            chars
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(alternatives(branch, limit)?);
                if all.len() > limit {
                    return None;
                }
            }
            all
        }
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for part in parts {
                let ends = alternatives(part, limit)?;
                if all.len() * ends.len() > limit {
                    return None;
                }
                all = all.iter().flat_map(|a| ends.iter().map(move |e| a.clone() + e)).collect();
            }
            all
        }
        HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
            let mut once = alternatives(&r.sub, limit)?;
            once.push(String::new());
            once
        }
        _ => return None,
    };
    found.sort();
    found.dedup();
    Some(found)
}

/// The literal that every match begins with.
fn leading_literal(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).unwrap_or_default(),
        HirKind::Capture(capture) => leading_literal(&capture.sub),
        HirKind::Concat(parts) => {
            let mut prefix = String::new();
            for part in parts {
                match part.kind() {
                    HirKind::Literal(_) => prefix += &leading_literal(part),
                    _ => return prefix + &leading_literal(part),
                }
            }
            prefix
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_as_in_re2() {
        for bad in ["a**", "a*+", "a+?*", "(ab){2}{3}", "x{1,2}*"] {
            assert!(Regex::new(bad).is_err(), "{bad}");
        }
        for (pattern, text) in [
            ("a{", "a{"),
            (".{*_b", "x{{_b"),
            ("a{,2}", "a{,2}"),
            ("a{2}?", "aa"),
            ("[{*+]+", "*{"),
            ("[]{]{2}", "]{"),
            (r"\x{61}+", "aa"),
            ("{a}", "{a}"),
            (r"\p{Lu}b", "Xb"),
        ] {
            assert!(
                Regex::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(text),
                "{pattern}"
            );
        }
    }

    #[test]
    fn anchored_and_multiline() {
        let r = Regex::new("a.b|c").unwrap();
        assert!(r.is_match("a\nb") && r.is_match("c"));
        assert!(!r.is_match("xa.b") && !r.is_match("cc"));
        assert!(Regex::new("a)(b").is_err());
    }

    #[test]
    fn literals_and_prefixes() {
        for (pattern, literals, prefix) in [
            ("a|b|c", Some(vec!["a", "b", "c"]), ""),
            ("5[0-2]", Some(vec!["50", "51", "52"]), ""),
            ("foo(bar|baz)?", Some(vec!["foo", "foobar", "foobaz"]), ""),
            ("payments-.+", None, "payments-"),
            (".*x", None, ""),
            ("(?i)ab", Some(vec!["AB", "Ab", "aB", "ab"]), ""),
        ] {
            let r = Regex::new(pattern).unwrap();
            let found: Option<Vec<&str>> = r.literals().map(|l| l.iter().map(String::as_str).collect());
            assert_eq!((found, r.prefix()), (literals, prefix), "{pattern}");
        }
    }
}
