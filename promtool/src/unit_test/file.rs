//! Files with unit tests of rules.

use config::Duration;
use config::rules::RuleGroup;
use config::yaml::{Kind, Node};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: Option<Duration>,
    pub(super) group_eval_order: Vec<String>,
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<Test>,
}

/// Series, and what must come of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Test {
    pub(super) interval: Option<Duration>,
    pub(super) name: String,
    pub(super) input_series: Vec<InputSeries>,
    pub(super) alert_rule_test: Vec<AlertTest>,
    pub(super) promql_expr_test: Vec<ExprTest>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) external_url: String,
    /// When time begins: RFC 3339 or seconds since the epoch.
    pub(super) start_timestamp: String,
}

/// A series in the notation of tests.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

/// Which alerts must fire.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: Duration,
    pub(super) alertname: String,
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

/// An alert that must fire.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    pub(super) exp_labels: BTreeMap<String, String>,
    pub(super) exp_annotations: BTreeMap<String, String>,
}

/// What an expression must come to.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time: Duration,
    pub(super) exp_samples: Vec<ExpectedSample>,
}

/// A sample that must come out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    pub(super) value: f64,
    /// A native histogram in the notation of tests, instead of a value.
    pub(super) histogram: String,
}

/// Fields of each section, by the path of its lists.
const SECTIONS: [(&str, &[&str]); 7] = [
    ("", &["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"]),
    (
        "tests",
        &[
            "interval",
            "name",
            "input_series",
            "alert_rule_test",
            "promql_expr_test",
            "external_labels",
            "external_url",
            "start_timestamp",
        ],
    ),
    ("input_series", &["series", "values"]),
    ("alert_rule_test", &["eval_time", "alertname", "exp_alerts"]),
    ("exp_alerts", &["exp_labels", "exp_annotations"]),
    ("promql_expr_test", &["expr", "eval_time", "exp_samples"]),
    ("exp_samples", &["labels", "value", "histogram"]),
];

/// Removes fields that are not known, here and in the lists below.
fn keep_known(node: &mut Node, section: &str) {
    let known = SECTIONS.iter().find(|(name, _)| *name == section).map(|(_, fields)| *fields);
    let (Some(known), Kind::Map(entries)) = (known, &mut node.kind) else { return };
    entries.retain(|(key, ..)| known.contains(&key.as_str()));
    for (key, _, value) in entries {
        if let Kind::List(items) = &mut value.kind {
            items.iter_mut().for_each(|item| keep_known(item, key));
        }
    }
}

impl TestFile {
    /// Reads a file's text.
    pub(super) fn parse(text: &str, name: &str, ignore_unknown: bool) -> Result<Self, String> {
        let parse = || {
            let mut node = Node::parse(text)?;
            if ignore_unknown {
                keep_known(&mut node, "");
            }
            config::yaml::from_node(&node)
        };
        parse().map_err(|e: config::yaml::Error| format!("{name}: {e}"))
    }

    /// Puts the groups that `group_eval_order` names into its order, before the others.
    pub(super) fn in_order(&self, groups: &mut [RuleGroup]) {
        let order = &self.group_eval_order;
        groups.sort_by_key(|g| order.iter().position(|name| *name == g.name).unwrap_or(order.len()));
    }
}
