//! Stages 5 and 6, rule and alert: groups of rules, the state of alerts, templates.
//!
//! Invariant: no clock and no storage of its own: time is an argument, samples are read through `promql`'s trait, and what
//! rules make is handed to the caller.

pub mod check;
pub mod template;

mod group;

pub use group::{Alert, AlertState, Group, Made, Rule, RuleError, Setting};

/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";

/// Defines the variables that alerts' templates begin with.
pub(crate) const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
    {{$externalURL := .ExternalURL}}{{$value := .Value}}";
