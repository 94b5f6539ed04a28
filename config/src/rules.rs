//! Rule files: groups of recording and alerting rules.

use crate::yaml::{Kind, Node};
use crate::{Duration, Error};
use indexmap::IndexMap;

section! {
    /// A whole rule file.
    pub struct RuleFile {
        /// The groups.
        groups: Vec<RuleGroup>,
    }
}

section! {
    /// Rules that are evaluated one after the other.
    pub struct RuleGroup {
        /// Its name, unique in the file.
        name: String,
        /// Time between evaluations; the global one where unset.
        interval: Option<Duration>,
        /// How far before now the rules are evaluated; the global one where unset.
        query_offset: Option<Duration>,
        /// Most alerts or series that one rule may make; any where unset.
        limit: Option<i64>,
        /// The rules.
        rules: Vec<Rule>,
        /// Labels of all its series and alerts; those of a rule win.
        labels: IndexMap<String, String>,
    }
}

section! {
    /// A recording rule or an alerting rule.
    pub struct Rule {
        /// Name of the series that is recorded.
        record: String,
        /// Name of the alert.
        alert: String,
        /// The expression.
        expr: String,
        /// How long an alert must be active before it fires.
        #[serde(rename = "for")]
        for_: Option<Duration>,
        /// How long an alert goes on firing when it is no longer active.
        keep_firing_for: Option<Duration>,
        /// Labels of the series or the alerts.
        labels: IndexMap<String, String>,
        /// What an alert says beside its labels.
        annotations: IndexMap<String, String>,
    }
}

/// Fields of a file, of a group and of a rule.
const FIELDS: [&[&str]; 3] = [
    &["groups"],
    &["name", "interval", "query_offset", "limit", "rules", "labels"],
    &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"],
];

/// A rule file, and where what stands in it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What stands in the file.
    pub file: RuleFile,
    node: Node,
}

impl Parsed {
    /// Reads a file's text, its first document; `file_name` names it in errors. `ignore_unknown`: unknown fields are left
    /// out rather than refused.
    ///
    /// # Errors
    /// Where the text is no YAML, or a field is unknown or of the wrong type.
    pub fn parse(text: &str, file_name: &str, ignore_unknown: bool) -> Result<Self, Error> {
        let located = |e: crate::yaml::Error| Error {
            file: file_name.to_owned(),
            line: Some(e.line),
            field: e.path,
            message: e.message,
        };
        let mut node = Node::parse(text).map_err(located)?;
        if ignore_unknown {
            keep_known(&mut node, &FIELDS);
        }
        let file = crate::yaml::from_node(&node).map_err(located)?;
        Ok(Parsed { file, node })
    }

    /// Line and column of a field of a rule, from 1; zeros where it is not there.
    pub fn position(&self, group: usize, rule: usize, field: &str) -> (usize, usize) {
        let groups = self.node.get("groups").map_or(&[][..], Node::items);
        let rules = groups.get(group).and_then(|g| g.get("rules")).map_or(&[][..], Node::items);
        rules.get(rule).and_then(|r| r.get(field)).map_or((0, 0), |value| (value.line, value.column))
    }

    /// Line and column of a group's name, from 1; zeros where it is not there.
    pub fn group_position(&self, group: usize) -> (usize, usize) {
        let groups = self.node.get("groups").map_or(&[][..], Node::items);
        groups.get(group).and_then(|g| g.get("name")).map_or((0, 0), |value| (value.line, value.column))
    }
}

/// Removes fields that are not among `levels[0]`, and so on below `groups` and `rules`.
fn keep_known(node: &mut Node, levels: &[&[&str]]) {
    let Some((known, below)) = levels.split_first() else { return };
    let Kind::Map(entries) = &mut node.kind else { return };
    entries.retain(|(key, ..)| known.contains(&key.as_str()));
    for (key, _, value) in entries {
        if matches!(key.as_str(), "groups" | "rules")
            && let Kind::List(items) = &mut value.kind
        {
            items.iter_mut().for_each(|item| keep_known(item, below));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "groups:\n- name: a\n  interval: 1m\n  team: x\n  rules:\n  - record: b\n    expr: 1\n    \
                        labels: {c: 2}\n  - alert: d\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1h\n";

    #[test]
    fn fields_and_places() {
        let error = Parsed::parse(TEXT, "r.yml", false).unwrap_err();
        assert_eq!(error.to_string(), "r.yml:4: groups[0].team: unknown field");
        let parsed = Parsed::parse(TEXT, "r.yml", true).unwrap();
        let group = &parsed.file.groups[0];
        assert_eq!((group.name.as_str(), group.interval), ("a", Some(Duration::from_secs(60))));
        assert_eq!((group.rules[0].expr.as_str(), group.rules[0].labels["c"].as_str()), ("1", "2"));
        assert_eq!(group.rules[1].for_, Some(Duration::from_secs(300)));
        assert_eq!(parsed.position(0, 1, "expr"), (10, 11));
        assert_eq!((parsed.position(0, 1, "record"), parsed.group_position(0)), ((0, 0), (2, 9)));
        assert!(Parsed::parse("", "r.yml", false).unwrap().file.groups.is_empty());
        assert!(Node::has_more_documents("a: 1\n---\nb: 2\n") && !Node::has_more_documents("---\na: 1\n"));
    }
}
