//! What a rule file must fulfil beyond the types of its fields.

use crate::VARIABLES;
use crate::template::Template;
use config::rules::{Parsed, Rule, RuleGroup};
use model::labels::METRIC_NAME;
use promql::Features;
use std::collections::HashSet;

/// All mistakes of a file, in its order; empty where it can be used.
pub fn check(parsed: &Parsed, features: &Features) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    for (i, group) in parsed.file.groups.iter().enumerate() {
        let (line, column) = parsed.group_position(i);
        if group.name.is_empty() {
            found.push(format!("{line}:{column}: Groupname must not be empty"));
        }
        if !names.insert(group.name.as_str()) {
            found.push(format!("{line}:{column}: groupname: {:?} is repeated in the same file", group.name));
        }
        found.extend(
            group.labels.keys().filter(|n| !valid_label(n)).map(|n| format!("invalid label name: {n}")),
        );
        for (j, rule) in group.rules.iter().enumerate() {
            found.extend(check_rule(parsed, (i, j), group, rule, features));
        }
    }
    found
}

fn valid_label(name: &str) -> bool {
    !name.is_empty() && name != METRIC_NAME
}

fn check_rule(
    parsed: &Parsed,
    (group_at, rule_at): (usize, usize),
    group: &RuleGroup,
    rule: &Rule,
    features: &Features,
) -> Vec<String> {
    let name = if rule.alert.is_empty() { &rule.record } else { &rule.alert };
    let subject = format!("group {:?}, rule {}, {:?}: ", group.name, rule_at + 1, name);
    let place = |field: &str| {
        let (line, column) = parsed.position(group_at, rule_at, field);
        format!("{line}:{column}: ")
    };
    let mut found = Vec::new();
    match (rule.record.is_empty(), rule.alert.is_empty()) {
        (false, false) => found.push(format!(
            "{}{}{subject}only one of 'record' and 'alert' must be set",
            place("record"),
            place("alert")
        )),
        (true, true) => {
            found.push(format!(
                "{}{}{subject}one of 'record' or 'alert' must be set",
                place("record"),
                place("alert")
            ));
        }
        _ => {}
    }
    if rule.expr.is_empty() {
        found.push(format!("{}{subject}field 'expr' must be set in rule", place("expr")));
    } else if let Err(error) = promql::parse_with(&rule.expr, features) {
        found.push(format!("{}{subject}could not parse expression: {error}", place("expr")));
    }
    if !rule.record.is_empty() {
        for (set, field) in [
            (!rule.annotations.is_empty(), "annotations"),
            (rule.for_.is_some_and(|d| d.as_ms() != 0), "for"),
            (rule.keep_firing_for.is_some_and(|d| d.as_ms() != 0), "keep_firing_for"),
        ] {
            if set {
                found.push(format!("{}{subject}invalid field '{field}' in recording rule", place("record")));
            }
        }
        if rule.record.contains(['{', '}']) {
            found.push(format!(
                "{}{subject}braces present in the recording rule name; should it be in expr?: {}",
                place("record"),
                rule.record
            ));
        }
    }
    found.extend(
        rule.labels.keys().filter(|n| !valid_label(n)).map(|n| format!("{subject}invalid label name: {n}")),
    );
    found.extend(
        rule.annotations
            .keys()
            .filter(|n| n.is_empty())
            .map(|n| format!("{subject}invalid annotation name: {n}")),
    );
    if !rule.alert.is_empty() {
        let labels = rule.labels.iter().map(|pair| ("label", pair));
        let annotations = rule.annotations.iter().map(|pair| ("annotation", pair));
        for (kind, (key, text)) in labels.chain(annotations) {
            let name = format!("__alert_{}", rule.alert);
            if let Err(error) = Template::parse(&name, &format!("{VARIABLES}{text}")) {
                found.push(format!("{subject}{kind} {key:?}: {error}"));
            }
        }
    }
    found
}

/// A rule that stands more than once: its name and its labels, the group's included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// Name of the series or the alert.
    pub name: String,
    /// Labels by name.
    pub labels: Vec<(String, String)>,
}

/// Rules that stand more than once, each named once, sorted.
pub fn duplicates(groups: &[RuleGroup]) -> Vec<Duplicate> {
    let mut all: Vec<Duplicate> = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let name = if rule.alert.is_empty() { &rule.record } else { &rule.alert };
            let mut labels = group.labels.clone();
            labels.extend(rule.labels.clone());
            let mut labels: Vec<_> = labels.into_iter().collect();
            labels.sort();
            all.push(Duplicate { name: name.clone(), labels });
        }
    }
    all.sort();
    let mut found: Vec<Duplicate> = all.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0].clone()).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        check(&Parsed::parse(text, "r.yml", false).unwrap(), &Features::default())
    }

    #[test]
    fn each_mistake_names_its_rule() {
        let rules = |rules: &str| format!("groups:\n- name: a\n  rules:\n{rules}");
        for (text, expected) in [
            (
                "  - {record: x, alert: y, expr: up}\n",
                r#"4:14: 4:24: group "a", rule 1, "y": only one of 'record' and 'alert' must be set"#,
            ),
            (
                "  - {expr: up}\n",
                r#"0:0: 0:0: group "a", rule 1, "": one of 'record' or 'alert' must be set"#,
            ),
            ("  - {record: x}\n", r#"0:0: group "a", rule 1, "x": field 'expr' must be set in rule"#),
            (
                "  - {record: x, expr: up, for: 1m}\n",
                r#"4:14: group "a", rule 1, "x": invalid field 'for' in recording rule"#,
            ),
            (
                "  - {record: x, expr: up, annotations: {a: b}}\n",
                r#"4:14: group "a", rule 1, "x": invalid field 'annotations' in recording rule"#,
            ),
            (
                "  - record: x}\n    expr: up\n",
                r#"4:13: group "a", rule 1, "x}": braces present in the recording rule name; should it be in expr?: x}"#,
            ),
            (
                "  - {record: x, expr: up, labels: {__name__: b}}\n",
                r#"group "a", rule 1, "x": invalid label name: __name__"#,
            ),
            (
                "  - alert: b\n    expr: up +\n",
                r#"5:11: group "a", rule 1, "b": could not parse expression: 1:5: parse error: unexpected end of input"#,
            ),
            (
                "  - alert: b\n    expr: up\n    annotations: {s: '{{ $label.x }}'}\n",
                r#"group "a", rule 1, "b": annotation "s": template: __alert_b:1: undefined variable "$label""#,
            ),
        ] {
            assert_eq!(mistakes(&rules(text)), [expected], "{text}");
        }
        assert_eq!(
            mistakes("groups:\n- name: a\n- name: a\n- rules: []\n"),
            ["3:9: groupname: \"a\" is repeated in the same file", "0:0: Groupname must not be empty"]
        );
        assert!(
            mistakes(&rules("  - {alert: b, expr: up, labels: {'1a': '{{ $value }}'}, for: 1m}\n"))
                .is_empty()
        );
    }

    #[test]
    fn duplicates_have_the_labels_of_the_group() {
        let text = "groups:\n- name: a\n  labels: {g: '1'}\n  rules:\n  - &r {record: x, expr: up, labels: {a: b}}\n  - *r\n  \
                    - *r\n- name: b\n  rules:\n  - {record: x, expr: up, labels: {g: '1', a: b}}\n  - {record: y, expr: up}\n";
        let parsed = Parsed::parse(text, "r.yml", false).unwrap();
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            duplicates(&parsed.file.groups),
            [Duplicate { name: "x".to_owned(), labels: vec![pair("a", "b"), pair("g", "1")] }]
        );
    }
}
