//! Runs one test: loads its series step by step, evaluates the rules, compares.

use super::Setting;
use super::compare::{ShownAlert, equal, show_alerts, show_samples};
use super::file::{AlertTest, ExprTest, Test, TestFile};
use crate::cli;
use config::Duration;
use config::rules::RuleGroup;
use model::Labels;
use promql::engine::{Sample, Value};
use promql::testing::{Item, MemoryStorage, parse_series, parse_values};
use promql::{Engine, EngineOptions, QueryOptions};
use rules::{ALERT_NAME, AlertState, Group};

/// Intervals that are not given: a minute.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// A series, with its values still to come.
struct Input {
    labels: Labels,
    values: Vec<Option<Item>>,
    /// How many have been loaded.
    loaded: usize,
}

/// A test under way.
struct Running<'a> {
    test: &'a Test,
    start: i64,
    interval: i64,
    inputs: Vec<Input>,
    storage: MemoryStorage,
    groups: Vec<Group>,
    engine: Engine,
    setting: &'a Setting<'a>,
}

/// What fails in a test.
pub(super) fn run(test: &Test, file: &TestFile, groups: &[RuleGroup], setting: &Setting<'_>) -> Vec<String> {
    let mut running = match Running::new(test, file, groups, setting) {
        Ok(running) => running,
        Err(error) => return vec![error],
    };
    let step = positive(file.evaluation_interval);
    let alert_times = test.alert_rule_test.iter().map(|t| t.eval_time.as_ms());
    let last =
        alert_times.chain(test.promql_expr_test.iter().map(|t| t.eval_time.as_ms())).max().unwrap_or(0);
    let mut errors = Vec::new();
    let mut at = 0;
    while at <= last {
        running.load(at);
        let failed = running.evaluate(at);
        if !failed.is_empty() {
            errors.extend(failed);
            return errors;
        }
        for alerts in &test.alert_rule_test {
            // what holds at its time is what was evaluated last
            if (at..at + step).contains(&alerts.eval_time.as_ms()) {
                errors.extend(running.check_alerts(alerts));
            }
        }
        at += step;
    }
    running.load(last);
    errors.extend(test.promql_expr_test.iter().filter_map(|t| running.check_expr(t, file.fuzzy_compare)));
    errors
}

/// A time as it stands in messages.
fn shown(time: Duration) -> String {
    model::duration::format_ms(time.as_ms())
}

fn positive(interval: Option<Duration>) -> i64 {
    interval.filter(|i| i.as_ms() > 0).unwrap_or(DEFAULT_INTERVAL).as_ms()
}

impl<'a> Running<'a> {
    fn new(
        test: &'a Test,
        file: &TestFile,
        groups: &[RuleGroup],
        setting: &'a Setting<'a>,
    ) -> Result<Self, String> {
        let start = match test.start_timestamp.as_str() {
            "" => 0,
            text => cli::time_ms(text).map_err(|e| format!("start_timestamp: {e}"))?,
        };
        let mut inputs = Vec::new();
        for input in &test.input_series {
            let line = format!("{} {}", input.series, input.values);
            let (labels, values) = parse_series(&line).map_err(|e| e.to_string())?;
            inputs.push(Input { labels, values, loaded: 0 });
        }
        let groups: Result<Vec<Group>, _> = groups.iter().map(|g| Group::new(g, &setting.features)).collect();
        let engine = Engine::new(EngineOptions {
            subquery_step_ms: positive(file.evaluation_interval),
            delayed_name_removal: setting.delayed_name_removal,
            ..EngineOptions::default()
        });
        Ok(Running {
            test,
            start,
            interval: positive(test.interval),
            inputs,
            storage: MemoryStorage::default(),
            groups: groups.map_err(|e| e.to_string())?,
            engine,
            setting,
        })
    }

    /// Appends the samples up to a time.
    fn load(&mut self, at: i64) {
        for input in &mut self.inputs {
            while let Some(value) = input.values.get(input.loaded)
                && input.loaded as i64 * self.interval <= at
            {
                let t = self.start + input.loaded as i64 * self.interval;
                if let Some(item) = value {
                    self.storage.append(&input.labels, t, item.clone());
                }
                input.loaded += 1;
            }
        }
    }

    /// Evaluates all groups; what failed.
    fn evaluate(&mut self, at: i64) -> Vec<String> {
        let setting = rules::Setting {
            engine: &self.engine,
            features: self.setting.features,
            external_labels: &self.test.external_labels,
            external_url: &self.test.external_url,
        };
        let mut errors = Vec::new();
        for group in &mut self.groups {
            let failed = group.evaluate(
                self.start + at,
                &setting,
                &mut self.storage,
                |s| s,
                |storage, made| {
                    for made in made {
                        let item = match made.sample {
                            Sample::Float(v) => Item::Float(v),
                            Sample::Histogram(h) => Item::Histogram(h),
                        };
                        storage.append(&made.labels, made.t, item);
                    }
                },
            );
            let time = shown(Duration::from_ms(at));
            errors.extend(failed.into_iter().map(|(i, error)| {
                format!("    rule: {}, time: {time}, err: {error}", group.rules[i].name())
            }));
        }
        errors
    }

    fn check_alerts(&self, test: &AlertTest) -> Option<String> {
        let rules = self.groups.iter().flat_map(|g| &g.rules).filter(|r| r.name() == test.alertname);
        let firing = rules.filter_map(|r| r.alerts()).flatten().filter(|a| a.state == AlertState::Firing);
        let mut found: Vec<ShownAlert> = firing
            .map(|a| ShownAlert { labels: a.labels.clone(), annotations: a.annotations.clone() })
            .collect();
        let mut expected: Vec<ShownAlert> = test
            .exp_alerts
            .iter()
            .map(|alert| {
                let mut labels = alert.exp_labels.clone();
                labels.insert(ALERT_NAME.to_owned(), test.alertname.clone());
                ShownAlert { labels: Labels::from_pairs(labels), annotations: alert.exp_annotations.clone() }
            })
            .collect();
        found.sort();
        expected.sort();
        (found != expected).then(|| {
            format!(
                "{}    alertname: {}, time: {}, \n        exp:{}, \n        got:{}",
                self.title(),
                test.alertname,
                shown(test.eval_time),
                show_alerts(&expected),
                show_alerts(&found)
            )
        })
    }

    /// The line that names the test.
    fn title(&self) -> String {
        if self.test.name.is_empty() { String::new() } else { format!("    name: {},\n", self.test.name) }
    }

    fn check_expr(&self, test: &ExprTest, fuzzy: bool) -> Option<String> {
        let head = format!("    expr: {:?}, time: {},", test.expr, shown(test.eval_time));
        let outcome = self.query(test).and_then(|found| Ok((found, expected_samples(test)?)));
        let (mut found, mut expected) = match outcome {
            Ok(both) => both,
            Err(error) => return Some(format!("{head} err: {error}")),
        };
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(f, e)| f.0 == e.0 && equal(&e.1, &f.1, fuzzy));
        (!same).then(|| {
            format!("{head}\n        exp: {}\n        got: {}", show_samples(&expected), show_samples(&found))
        })
    }

    fn query(&self, test: &ExprTest) -> Result<Vec<(Labels, Sample)>, String> {
        let expr = promql::parse_with(&test.expr, &self.setting.features).map_err(|e| e.to_string())?;
        let at = self.start + test.eval_time.as_ms();
        let answer = self.engine.instant(&self.storage, &expr, at, &QueryOptions::default());
        match answer.map_err(|e| e.to_string())?.value {
            Value::Vector(vector) => {
                Ok(vector.into_iter().map(|(labels, _, sample)| (labels, sample)).collect())
            }
            Value::Scalar { v, .. } => Ok(vec![(Labels::empty(), Sample::Float(v))]),
            Value::String { .. } | Value::Matrix(_) => {
                Err("rule result is not a vector or scalar".to_owned())
            }
        }
    }
}

fn expected_samples(test: &ExprTest) -> Result<Vec<(Labels, Sample)>, String> {
    let mut samples = Vec::new();
    for sample in &test.exp_samples {
        let labels = match sample.labels.trim() {
            "" => Labels::empty(),
            text => parse_series(text).map_err(|e| format!("labels {text:?}: {e}"))?.0,
        };
        let value = match sample.histogram.as_str() {
            "" => Sample::Float(sample.value),
            text => match parse_values(text).map_err(|e| format!("histogram {text:?}: {e}"))?.as_slice() {
                [Some(Item::Histogram(h))] => Sample::Histogram(h.clone()),
                _ => return Err(format!("histogram {text:?}: not one histogram")),
            },
        };
        samples.push((labels, value));
    }
    Ok(samples)
}
