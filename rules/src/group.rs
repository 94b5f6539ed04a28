//! Groups: rules that are evaluated one after the other, and the state of alerts between evaluations.

use crate::template::{self, Template, Value};
use crate::{ALERT_NAME, VARIABLES};
use config::rules::{Rule as RuleConfig, RuleGroup};
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, STALE_NAN};
use promql::ast::Expr;
use promql::engine::{Sample, Value as QueryValue};
use promql::storage::Queryable;
use promql::{Engine, Features, ParseError, QueryError, QueryOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Series that tell of alerts: one while it is active, and since when it is.
const ALERTS: &str = "ALERTS";
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label of `ALERTS` with its state.
const ALERT_STATE: &str = "alertstate";
/// An alert that has ended is remembered so long, in milliseconds, so that its end is told of.
const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;

/// Why a rule made nothing.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Its expression could not be evaluated.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It has no vector for a value.
    #[error("rule result is not a vector or scalar")]
    NoVector,
    /// Two series would have the same labels.
    #[error("vector contains metrics with the same labelset after applying {0} labels")]
    SameLabels(&'static str),
    /// More than the group allows.
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// How many there are.
        found: usize,
        /// Of what.
        what: &'static str,
    },
}

/// How far an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// It has ended.
    Inactive,
    /// It is active, but not long enough yet.
    Pending,
    /// It is told of.
    Firing,
}

impl AlertState {
    fn as_str(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
        }
    }
}

/// An alert of a rule. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// How far it is.
    pub state: AlertState,
    /// Its labels, its name among them.
    pub labels: Labels,
    /// What else it says.
    pub annotations: BTreeMap<String, String>,
    /// The expression's last value.
    pub value: Sample,
    /// Since when it is active.
    pub active_at: i64,
    /// Since when it fires.
    pub fired_at: Option<i64>,
    /// When it ended.
    pub resolved_at: Option<i64>,
    /// Since when it fires only because the rule says so.
    pub keep_firing_since: Option<i64>,
}

/// A sample that a rule has made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its series.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Its value; the staleness mark where the series has ended.
    pub sample: Sample,
}

/// What all rules are evaluated with.
pub struct Setting<'a> {
    /// Evaluates.
    pub engine: &'a Engine,
    /// Optional parts of the language, for queries in templates.
    pub features: Features,
    /// Labels of all alerts that leave this server, for templates.
    pub external_labels: &'a BTreeMap<String, String>,
    /// Where the server is reached from outside, for templates.
    pub external_url: &'a str,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    expr: Expr,
    labels: Vec<(String, String)>,
    kind: Kind,
    /// The series of the last evaluation.
    previous: BTreeSet<Labels>,
}

#[derive(Clone, Debug)]
enum Kind {
    Record,
    Alert(Alerting),
}

#[derive(Clone, Debug)]
struct Alerting {
    hold_ms: i64,
    keep_firing_ms: i64,
    annotations: Vec<(String, String)>,
    /// Alerts by their labels.
    active: BTreeMap<Labels, Alert>,
}

/// Rules that are evaluated one after the other, so that each sees what those before it have made.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Most series or alerts that one rule may make; 0 for any.
    pub limit: usize,
    /// Its rules.
    pub rules: Vec<Rule>,
}

impl Group {
    /// A group from its configuration.
    ///
    /// # Errors
    /// Where an expression is none.
    pub fn new(config: &RuleGroup, features: &Features) -> Result<Self, ParseError> {
        let rules: Result<Vec<Rule>, ParseError> =
            config.rules.iter().map(|rule| Rule::new(rule, config, features)).collect();
        let limit = config.limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(0);
        Ok(Group { name: config.name.clone(), limit, rules: rules? })
    }

    /// Evaluates all rules at a time. `append` takes what each has made, before the next is evaluated against
    /// `storage(…)`. Returns the rules that failed, by their index.
    pub fn evaluate<S>(
        &mut self,
        t: i64,
        setting: &Setting<'_>,
        storage: &mut S,
        queryable: impl Fn(&S) -> &dyn Queryable,
        mut append: impl FnMut(&mut S, Vec<Made>),
    ) -> Vec<(usize, RuleError)> {
        let mut failed = Vec::new();
        for (i, rule) in self.rules.iter_mut().enumerate() {
            match rule.evaluate(t, setting, queryable(storage), self.limit) {
                Ok(made) => append(storage, made),
                Err(error) => failed.push((i, error)),
            }
        }
        failed
    }
}

impl Rule {
    fn new(config: &RuleConfig, group: &RuleGroup, features: &Features) -> Result<Self, ParseError> {
        let mut labels = group.labels.clone();
        labels.extend(config.labels.clone());
        let ms = |d: Option<config::Duration>| d.map_or(0, config::Duration::as_ms);
        let kind = if config.alert.is_empty() {
            Kind::Record
        } else {
            Kind::Alert(Alerting {
                hold_ms: ms(config.for_),
                keep_firing_ms: ms(config.keep_firing_for),
                annotations: config.annotations.clone().into_iter().collect(),
                active: BTreeMap::new(),
            })
        };
        Ok(Rule {
            name: if config.alert.is_empty() { config.record.clone() } else { config.alert.clone() },
            expr: promql::parse_with(&config.expr, features)?,
            labels: labels.into_iter().collect(),
            kind,
            previous: BTreeSet::new(),
        })
    }

    /// Name of the series or the alert.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The alerts that are known, for an alerting rule.
    pub fn alerts(&self) -> Option<impl Iterator<Item = &Alert>> {
        match &self.kind {
            Kind::Record => None,
            Kind::Alert(alerting) => Some(alerting.active.values()),
        }
    }

    fn evaluate(
        &mut self,
        t: i64,
        setting: &Setting<'_>,
        storage: &dyn Queryable,
        limit: usize,
    ) -> Result<Vec<Made>, RuleError> {
        let vector = query(&self.expr, t, setting, storage)?;
        let mut made = match &mut self.kind {
            Kind::Record => record(&self.name, &self.labels, vector, t)?,
            Kind::Alert(alerting) => {
                alerting.evaluate(&self.name, &self.labels, vector, t, setting, storage)?
            }
        };
        let (found, what) = match &self.kind {
            Kind::Record => (made.len(), "series"),
            Kind::Alert(a) => {
                (a.active.values().filter(|a| a.state != AlertState::Inactive).count(), "alerts")
            }
        };
        if limit > 0 && found > limit {
            if let Kind::Alert(alerting) = &mut self.kind {
                alerting.active.clear();
            }
            return Err(RuleError::Limit { limit, found, what });
        }
        let now: BTreeSet<Labels> = made.iter().map(|m| m.labels.clone()).collect();
        let ended = self.previous.difference(&now);
        made.extend(ended.map(|labels| Made { labels: labels.clone(), t, sample: Sample::Float(STALE_NAN) }));
        self.previous = now;
        Ok(made)
    }
}

/// The vector that an expression comes to.
fn query(
    expr: &Expr,
    t: i64,
    setting: &Setting<'_>,
    storage: &dyn Queryable,
) -> Result<Vec<(Labels, Sample)>, RuleError> {
    match setting.engine.instant(storage, expr, t, &QueryOptions::default())?.value {
        QueryValue::Vector(vector) => {
            Ok(vector.into_iter().map(|(labels, _, sample)| (labels, sample)).collect())
        }
        QueryValue::Scalar { v, .. } => Ok(vec![(Labels::empty(), Sample::Float(v))]),
        QueryValue::String { .. } | QueryValue::Matrix(_) => Err(RuleError::NoVector),
    }
}

fn record(
    name: &str,
    labels: &[(String, String)],
    vector: Vec<(Labels, Sample)>,
    t: i64,
) -> Result<Vec<Made>, RuleError> {
    let mut seen = BTreeSet::new();
    let mut made = Vec::with_capacity(vector.len());
    for (own, sample) in vector {
        let mut builder = LabelsBuilder::new(&own);
        builder.set(METRIC_NAME, name);
        for (name, value) in labels {
            builder.set(name, value);
        }
        let labels = builder.finish();
        if !seen.insert(labels.clone()) {
            return Err(RuleError::SameLabels("rule"));
        }
        made.push(Made { labels, t, sample });
    }
    Ok(made)
}

impl Alerting {
    fn evaluate(
        &mut self,
        name: &str,
        labels: &[(String, String)],
        vector: Vec<(Labels, Sample)>,
        t: i64,
        setting: &Setting<'_>,
        storage: &dyn Queryable,
    ) -> Result<Vec<Made>, RuleError> {
        let mut found = BTreeSet::new();
        for (own, sample) in vector {
            let expand = Expansion::new(name, &own, &sample, t, setting, storage);
            let mut builder = LabelsBuilder::new(&own);
            builder.del(METRIC_NAME);
            for (name, text) in labels {
                builder.set(name, expand.text(text));
            }
            builder.set(ALERT_NAME, name);
            let annotations = self.annotations.iter().map(|(n, text)| (n.clone(), expand.text(text)));
            let annotations = annotations.collect();
            let labels = builder.finish();
            if !found.insert(labels.clone()) {
                return Err(RuleError::SameLabels("alert"));
            }
            match self.active.get_mut(&labels).filter(|a| a.state != AlertState::Inactive) {
                Some(alert) => (alert.value, alert.annotations) = (sample, annotations),
                None => {
                    let alert = Alert {
                        state: AlertState::Pending,
                        labels: labels.clone(),
                        annotations,
                        value: sample,
                        active_at: t,
                        fired_at: None,
                        resolved_at: None,
                        keep_firing_since: None,
                    };
                    self.active.insert(labels, alert);
                }
            }
        }
        let (hold, keep) = (self.hold_ms, self.keep_firing_ms);
        self.active.retain(|labels, alert| alert.step(found.contains(labels), t, hold, keep));
        Ok(self
            .active
            .values()
            .filter(|a| a.state != AlertState::Inactive)
            .flat_map(|a| a.samples(t))
            .collect())
    }
}

impl Alert {
    /// Moves the state on; false where the alert can be forgotten.
    fn step(&mut self, found: bool, t: i64, hold_ms: i64, keep_ms: i64) -> bool {
        if found {
            self.keep_firing_since = None;
        } else {
            if self.state == AlertState::Firing
                && keep_ms > 0
                && t - *self.keep_firing_since.get_or_insert(t) < keep_ms
            {
                return true;
            }
            if self.state == AlertState::Pending
                || self.resolved_at.is_some_and(|ended| t - ended > RESOLVED_RETENTION_MS)
            {
                return false;
            }
            if self.state != AlertState::Inactive {
                self.state = AlertState::Inactive;
                self.resolved_at = Some(t);
            }
            return true;
        }
        if self.state == AlertState::Pending && t - self.active_at >= hold_ms {
            self.state = AlertState::Firing;
            self.fired_at = Some(t);
        }
        true
    }

    /// The samples that tell of it.
    fn samples(&self, t: i64) -> [Made; 2] {
        let series = |name: &str, state: &str| {
            let mut builder = LabelsBuilder::new(&self.labels);
            builder.set(METRIC_NAME, name).set(ALERT_STATE, state);
            builder.finish()
        };
        let since = (self.active_at as f64 / 1000.0).floor();
        [
            Made { labels: series(ALERTS, self.state.as_str()), t, sample: Sample::Float(1.0) },
            Made { labels: series(ALERTS_FOR_STATE, ""), t, sample: Sample::Float(since) },
        ]
    }
}

/// Expands the texts of one alert.
struct Expansion<'a> {
    name: String,
    data: Value,
    t: i64,
    setting: &'a Setting<'a>,
    storage: &'a dyn Queryable,
}

fn map_of(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn value_of(sample: &Sample) -> Value {
    match sample {
        Sample::Float(v) => Value::Float(*v),
        Sample::Histogram(h) => Value::text(h.to_string()),
    }
}

impl<'a> Expansion<'a> {
    fn new(
        alert: &str,
        labels: &Labels,
        sample: &Sample,
        t: i64,
        setting: &'a Setting<'a>,
        storage: &'a dyn Queryable,
    ) -> Self {
        let fields = vec![
            ("Labels", Value::Labels(map_of(labels))),
            ("ExternalLabels", Value::Labels(setting.external_labels.clone())),
            ("ExternalURL", Value::text(setting.external_url)),
            ("Value", value_of(sample)),
        ];
        Expansion {
            name: format!("__alert_{alert}"),
            data: Value::Struct("struct", fields),
            t,
            setting,
            storage,
        }
    }

    /// The text with its actions replaced; what goes wrong stands in it.
    fn text(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let query = |text: &str| self.query(text);
        let context =
            template::Context { now_ms: self.t, external_url: self.setting.external_url, query: &query };
        Template::parse(&self.name, &format!("{VARIABLES}{text}"))
            .and_then(|template| template.execute(&self.data, &context))
            .unwrap_or_else(|error| {
                format!("<error expanding template: error executing template {}: {error}>", self.name)
            })
    }

    fn query(&self, text: &str) -> Result<Vec<Value>, String> {
        let expr = promql::parse_with(text, &self.setting.features).map_err(|e| e.to_string())?;
        let vector = query(&expr, self.t, self.setting, self.storage).map_err(|e| e.to_string())?;
        Ok(vector.iter().map(|(labels, sample)| template::sample(map_of(labels), value_of(sample))).collect())
    }
}

#[cfg(test)]
mod tests;
