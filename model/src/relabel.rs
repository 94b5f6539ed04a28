//! Relabelling: rules that keep, drop and rewrite label sets, as Prometheus 3 defines them.

use crate::labels::{LabelsBuilder, is_legacy_label_name};
use crate::regex::Regex;
use md5::{Digest, Md5};
use std::fmt;

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Writes the replacement to the target label where the regex matches.
    #[default]
    Replace,
    /// Drops label sets that the regex does not match.
    Keep,
    /// Drops label sets that the regex matches.
    Drop,
    /// Drops label sets whose sources differ from the target label.
    KeepEqual,
    /// Drops label sets whose sources equal the target label.
    DropEqual,
    /// Writes the hash of the sources modulo `modulus` to the target label.
    HashMod,
    /// Copies labels whose names the regex matches to the name that the replacement gives.
    LabelMap,
    /// Removes labels whose names the regex matches.
    LabelDrop,
    /// Removes labels whose names the regex does not match.
    LabelKeep,
    /// Writes the sources in lower case to the target label.
    Lowercase,
    /// Writes the sources in upper case to the target label.
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl Action {
    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }

    fn writes_target(self) -> bool {
        use Action::{DropEqual, HashMod, KeepEqual, Lowercase, Replace, Uppercase};
        matches!(self, Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Action {
    type Err = String;
    /// Case does not matter.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = ACTIONS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        found.map(|(_, action)| *action).ok_or_else(|| format!("unknown relabel action {text:?}"))
    }
}

impl serde::Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A rule that cannot be: which field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Error {
    /// The field as it is called in a configuration.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// A rule as written; [`Config::new`] checks and compiles it. The default has the defaults of all fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What joins them.
    pub separator: String,
    /// What the joined text (or the label name) must match, anchored.
    pub regex: String,
    /// Divisor of `hashmod`.
    pub modulus: u64,
    /// Label that is written; `$1` expands.
    pub target_label: String,
    /// What is written; `$1` expands.
    pub replacement: String,
    /// What is done.
    pub action: Action,
    /// Whether label names are restricted to ASCII letters, digits and underscores.
    pub legacy_names: bool,
}

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";

impl Default for Rule {
    fn default() -> Self {
        Rule {
            source_labels: Vec::new(),
            separator: SEPARATOR.to_owned(),
            regex: REGEX.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: REPLACEMENT.to_owned(),
            action: Action::Replace,
            legacy_names: false,
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), Error> {
        let action = self.action;
        let fail = |field, message: String| Err(Error { field, message });
        if action == Action::HashMod && self.modulus == 0 {
            return fail("modulus", "hashmod requires a modulus above zero".to_owned());
        }
        if action.writes_target() && self.target_label.is_empty() {
            return fail("target_label", format!("{action} action requires a target_label"));
        }
        if action.writes_target() && !self.is_valid_target() {
            return fail("target_label", format!("{:?} is not a valid label name", self.target_label));
        }
        if matches!(action, Action::Lowercase | Action::Uppercase) && self.replacement != REPLACEMENT {
            return fail("replacement", format!("cannot be set for {action} action"));
        }
        if action == Action::LabelMap && !self.is_valid_template(&self.replacement) {
            return fail("replacement", format!("{:?} gives no valid label name", self.replacement));
        }
        match (action, self.superfluous()) {
            (Action::DropEqual | Action::KeepEqual, Some(field)) => {
                fail(field, format!("{action} action takes only source_labels and target_label"))
            }
            (Action::LabelDrop | Action::LabelKeep, Some(field)) => {
                fail(field, format!("{action} action takes only regex"))
            }
            _ => Ok(()),
        }
    }

    /// The first field that is set though the action leaves no room for it.
    fn superfluous(&self) -> Option<&'static str> {
        let by_name = matches!(self.action, Action::LabelDrop | Action::LabelKeep);
        let set = [
            ("source_labels", by_name && !self.source_labels.is_empty()),
            ("target_label", by_name && !self.target_label.is_empty()),
            ("regex", !by_name && self.regex != REGEX),
            ("modulus", self.modulus != 0),
            ("separator", self.separator != SEPARATOR),
            ("replacement", self.replacement != REPLACEMENT),
        ];
        set.into_iter().find(|(_, set)| *set).map(|(field, _)| field)
    }

    fn is_valid_target(&self) -> bool {
        if self.action == Action::Replace && self.target_label.contains('$') {
            self.is_valid_template(&self.target_label)
        } else {
            !self.legacy_names || is_legacy_label_name(&self.target_label)
        }
    }

    /// Whether a template can give a label name: for legacy names, letters, digits and references that do not begin with a digit.
    fn is_valid_template(&self, template: &str) -> bool {
        if !self.legacy_names {
            return !template.is_empty();
        }
        let mut rest = template;
        let mut first = true;
        while let Some(c) = rest.chars().next() {
            if c == '$' {
                let Some((_, after)) = reference(rest) else { return false };
                rest = after;
            } else if c.is_ascii_alphabetic() || c == '_' || (!first && c.is_ascii_digit()) {
                rest = &rest[c.len_utf8()..];
            } else {
                return false;
            }
            first = false;
        }
        !first
    }
}

/// A compiled rule.
#[derive(Clone, Debug)]
pub struct Config {
    rule: Rule,
    regex: Regex,
    target: Template,
    replacement: Template,
    /// Whether the regex matches everything and the replacement is the whole of it: no automaton needed.
    copies: bool,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl Config {
    /// Checks and compiles a rule.
    ///
    /// # Errors
    /// Where the regex is none, or fields do not go together.
    pub fn new(rule: Rule) -> Result<Self, Error> {
        rule.check()?;
        let regex = Regex::new(&rule.regex).map_err(|e| Error { field: "regex", message: e.to_string() })?;
        let target = Template::new(&rule.target_label, regex.compiled());
        let replacement = Template::new(&rule.replacement, regex.compiled());
        let copies =
            rule.regex == REGEX && replacement.parts == [Part::Group(1)] && target.literal().is_some();
        Ok(Config { rule, regex, target, replacement, copies })
    }

    /// The rule as written.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Applies the rule; false where the label set is dropped.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match self.rule.action {
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop => _ = labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => _ = labels.retain(|name, _| self.regex.is_match(name)),
            action => {
                let value = self.source(labels);
                let target = &self.rule.target_label;
                match action {
                    Action::Keep => return self.regex.is_match(&value),
                    Action::Drop => return !self.regex.is_match(&value),
                    Action::KeepEqual => return labels.get(target) == value,
                    Action::DropEqual => return labels.get(target) != value,
                    Action::HashMod => _ = labels.set(target, self.hash(&value).to_string()),
                    Action::Lowercase => _ = labels.set(target, lower(&value)),
                    Action::Uppercase => _ = labels.set(target, upper(&value)),
                    _ => self.replace(value, labels),
                }
            }
        }
        true
    }

    fn source(&self, labels: &LabelsBuilder) -> String {
        let mut value = String::new();
        for (i, name) in self.rule.source_labels.iter().enumerate() {
            if i > 0 {
                value.push_str(&self.rule.separator);
            }
            value.push_str(labels.get(name));
        }
        value
    }

    fn replace(&self, value: String, labels: &mut LabelsBuilder) {
        if self.copies {
            labels.set(&self.rule.target_label, value);
            return;
        }
        // most rules of an operator have a fixed target and text: whether it matches is all that counts
        if let (Some(target), Some(replacement)) = (self.target.literal(), self.replacement.literal()) {
            if self.regex.is_match(&value) {
                labels.set(target, replacement);
            }
            return;
        }
        let Some(captures) = self.regex.compiled().captures(&value) else { return };
        let target = self.target.expand(&captures);
        let valid = if self.rule.legacy_names { is_legacy_label_name(&target) } else { !target.is_empty() };
        if valid {
            labels.set(target, self.replacement.expand(&captures));
        }
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let mut mapped = Vec::new();
        for (name, value) in labels.iter() {
            if let Some(captures) = self.regex.compiled().captures(name) {
                let name = self.replacement.expand(&captures);
                // no label set may have an empty name
                if !name.is_empty() {
                    mapped.push((name, value.to_owned()));
                }
            }
        }
        for (name, value) in mapped {
            labels.set(name, value);
        }
    }

    /// The last eight bytes of the MD5 sum, big-endian, modulo the modulus.
    fn hash(&self, value: &str) -> u64 {
        let sum: [u8; 16] = Md5::digest(value.as_bytes()).into();
        (u128::from_be_bytes(sum) as u64) % self.rule.modulus
    }
}

/// Applies the rules in turn; false where one drops the label set, and none after it is applied.
pub fn process(configs: &[Config], labels: &mut LabelsBuilder) -> bool {
    configs.iter().all(|config| config.apply(labels))
}

/// Lower case, rune by rune as Go does: a letter stays one letter.
fn lower(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_lowercase())).collect()
}

fn upper(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_uppercase())).collect()
}

fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A text with references to groups, by the syntax of Go's `regexp.Expand`.
#[derive(Clone, Debug)]
struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    fn new(text: &str, regex: &regex::Regex) -> Self {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                // a reference to no group stands for nothing
                parts.extend(group(name, regex).map(Part::Group));
                rest = after;
            } else {
                literal.push('$');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Template { parts }
    }

    /// The text, where it refers to no group.
    fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn expand(&self, captures: &regex::Captures<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(index) => out.push_str(captures.get(*index).map_or("", |m| m.as_str())),
            }
        }
        out
    }
}

/// The name of the reference that a text beginning with `$` begins with, and what follows: `$name` or `${name}`.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (body, braced) = match text.strip_prefix("${") {
        Some(body) => (body, true),
        None => (text.strip_prefix('$')?, false),
    };
    let end = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    if name.is_empty() { None } else { Some((name, rest)) }
}

/// Index of a group by number (without leading zeros) or name.
fn group(name: &str, regex: &regex::Regex) -> Option<usize> {
    let numeric = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if numeric {
        return name.parse().ok().filter(|index| *index < regex.captures_len());
    }
    regex.capture_names().position(|n| n == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    const START: [(&str, &str); 4] = [("a", "foo"), ("b", "bar"), ("c", "baz"), ("__meta_x_y", "Zü")];

    fn rule(action: Action, change: impl FnOnce(&mut Rule)) -> Rule {
        let mut rule = Rule { action, ..Rule::default() };
        change(&mut rule);
        rule
    }

    /// Applies a rule to [`START`]; `None` is a dropped set, else the labels that differ from it.
    #[track_caller]
    fn check(rule: Rule, expected: Option<&[(&str, &str)]>) {
        let config = Config::new(rule).unwrap();
        let mut labels = LabelsBuilder::new(&Labels::from_pairs(START));
        let kept = process(&[config], &mut labels);
        let expected = expected.map(|changes| Labels::from_pairs(START.iter().chain(changes).copied()));
        assert_eq!(kept.then(|| labels.finish()), expected);
    }

    fn sources(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn replaces() {
        let replace = |src: &[&str], regex: &str, target: &str, replacement: &str| {
            rule(Action::Replace, |r| {
                r.source_labels = sources(src);
                r.regex = regex.to_owned();
                r.target_label = target.to_owned();
                r.replacement = replacement.to_owned();
            })
        };
        check(replace(&["a"], "(.*)", "d", "$1"), Some(&[("d", "foo")]));
        check(replace(&["a", "b"], "f(.*);(.*)r", "d", "ch${1}-ch${2}"), Some(&[("d", "choo-chba")]));
        check(replace(&["a"], "x.*", "d", "$1"), Some(&[]));
        check(replace(&["a"], "f", "d", "no: it is anchored"), Some(&[]));
        check(replace(&[], "(.*)", "d", "static"), Some(&[("d", "static")]));
        check(replace(&["nope"], "(.*)", "a", "$1"), Some(&[("a", "")]));
        check(
            replace(&["a"], "(?P<first>f)(.*)", "d", "$first|${2}|$2x|$$|$3|$|${|${1"),
            Some(&[("d", "f|oo||$||$|${|${1")]),
        );
        check(replace(&["a"], "(f)oo", "${1}_$1", "v"), Some(&[("f_f", "v")]));
        check(replace(&["a"], "(x)?foo", "${1}", "no name, no label"), Some(&[]));
        check(replace(&["b"], "bar", "a", ""), Some(&[("a", "")]));
        check(replace(&["a"], "foo", "n ü", "utf8"), Some(&[("n ü", "utf8")]));
        check(replace(&["a"], "(.*)", "d", "$0$0"), Some(&[("d", "foofoo")]));
        check(replace(&["a"], "(.*)", "d", "$01"), Some(&[]));
    }

    #[test]
    fn keeps_and_drops() {
        let with = |action, target: &str| {
            rule(action, |r| {
                r.source_labels = sources(&["a"]);
                if target.is_empty() {
                    r.regex = "fo+".to_owned();
                } else {
                    r.target_label = target.to_owned();
                }
            })
        };
        check(with(Action::Keep, ""), Some(&[]));
        check(with(Action::Drop, ""), None);
        check(with(Action::KeepEqual, "a"), Some(&[]));
        check(with(Action::KeepEqual, "b"), None);
        check(with(Action::DropEqual, "a"), None);
        check(with(Action::DropEqual, "b"), Some(&[]));
    }

    #[test]
    fn rewrites() {
        let to_d = |action, src: &[&str], modulus| {
            rule(action, |r| {
                r.source_labels = sources(src);
                r.target_label = "d".to_owned();
                r.modulus = modulus;
            })
        };
        check(to_d(Action::Lowercase, &["__meta_x_y"], 0), Some(&[("d", "zü")]));
        check(to_d(Action::Uppercase, &["__meta_x_y", "a"], 0), Some(&[("d", "ZÜ;FOO")]));
        // md5("bar") = 37b51d194a7513e4 5b56f6524f2d51f2, md5("") = … e9800998ecf8427e
        check(to_d(Action::HashMod, &["b"], u64::MAX), Some(&[("d", "6581718738824679922")]));
        check(to_d(Action::HashMod, &["nope"], 1000), Some(&[("d", "958")]));
    }

    #[test]
    fn works_on_names() {
        let names = |action, regex: &str, replacement: &str| {
            rule(action, |r| {
                r.regex = regex.to_owned();
                r.replacement = replacement.to_owned();
            })
        };
        check(names(Action::LabelMap, "__meta_(x)_(.*)", "${2}_$1"), Some(&[("y_x", "Zü")]));
        check(names(Action::LabelMap, "a|b", "$1"), Some(&[]));
        check(names(Action::LabelDrop, "__meta.*", "$1"), Some(&[("__meta_x_y", "")]));
        check(names(Action::LabelKeep, "a|b|__.*", "$1"), Some(&[("c", "")]));
    }

    #[test]
    fn refuses() {
        let check = |field: &str, action, change: fn(&mut Rule)| {
            let error = Config::new(rule(action, change)).unwrap_err();
            assert_eq!(error.field, field, "{error}");
        };
        check("target_label", Action::Replace, |_| {});
        check("modulus", Action::HashMod, |r| r.target_label = "d".into());
        check("target_label", Action::HashMod, |r| r.modulus = 8);
        check("regex", Action::Keep, |r| r.regex = "(".into());
        check("replacement", Action::Lowercase, |r| {
            r.target_label = "d".into();
            r.replacement = "x".into();
        });
        check("regex", Action::KeepEqual, |r| {
            r.target_label = "d".into();
            r.regex = "x".into();
        });
        check("source_labels", Action::LabelDrop, |r| r.source_labels = vec!["a".into()]);
        check("replacement", Action::LabelMap, |r| r.replacement = String::new());
        check("target_label", Action::Replace, |r| {
            r.legacy_names = true;
            r.target_label = "a-b".into();
        });
        check("target_label", Action::Replace, |r| {
            r.legacy_names = true;
            r.target_label = "${1}-b".into();
        });
    }

    #[test]
    fn stops_at_the_first_drop() {
        let drop = Config::new(rule(Action::Drop, |_| {})).unwrap();
        let write = Config::new(rule(Action::Replace, |r| r.target_label = "d".into())).unwrap();
        let mut labels = LabelsBuilder::new(&Labels::from_pairs(START));
        assert!(!process(&[drop, write], &mut labels));
        assert_eq!(labels.get("d"), "");
        assert_eq!("LabelMap".parse(), Ok(Action::LabelMap));
    }
}
