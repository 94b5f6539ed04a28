//! The states that rules go through.

use super::*;
use config::rules::Parsed;
use promql::EngineOptions;
use promql::testing::{Item, MemoryStorage};

struct Run {
    storage: MemoryStorage,
    groups: Vec<Group>,
}

impl Run {
    fn new(rules: &str) -> Self {
        let parsed = Parsed::parse(rules, "r.yml", false).unwrap();
        let features = Features::default();
        let groups = parsed.file.groups.iter().map(|g| Group::new(g, &features).unwrap()).collect();
        Run { storage: MemoryStorage::default(), groups }
    }

    /// Evaluates at a minute with `up` of that value; what was made, and what failed.
    fn at(&mut self, minute: i64, up: Option<f64>) -> (Vec<String>, Vec<String>) {
        let t = minute * 60_000;
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        self.storage.append(&labels, t, Item::Float(up.unwrap_or(STALE_NAN)));
        let external_labels = [("region".to_owned(), "r1".to_owned())].into();
        let engine = Engine::new(EngineOptions::default());
        let setting = Setting {
            engine: &engine,
            features: Features::default(),
            external_labels: &external_labels,
            external_url: "http://h",
        };
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for group in &mut self.groups {
            let failed = group.evaluate(
                t,
                &setting,
                &mut self.storage,
                |s| s,
                |storage, made| {
                    for m in made {
                        let Sample::Float(v) = m.sample else { panic!("no histogram here") };
                        let shown = if model::is_stale(v) { "stale".to_owned() } else { v.to_string() };
                        all.push(format!("{} {shown}", m.labels));
                        storage.append(&m.labels, m.t, Item::Float(v));
                    }
                },
            );
            errors.extend(failed.into_iter().map(|(i, e)| format!("{i}: {e}")));
        }
        (all, errors)
    }

    fn states(&self) -> Vec<(AlertState, String)> {
        let rules = self.groups.iter().flat_map(|g| &g.rules);
        let alerts = rules.filter_map(Rule::alerts).flatten();
        alerts.map(|a| (a.state, a.annotations.values().cloned().collect())).collect()
    }
}

#[test]
fn a_rule_sees_what_the_one_before_has_made_and_ends_its_series() {
    let mut run = Run::new(
        "groups:\n- name: a\n  labels: {g: x, job: b}\n  rules:\n  - {record: 'a:up', expr: up * 2, labels: {job: c}}\n  \
         - {record: 'b:up', expr: 'a:up + 1'}\n",
    );
    let (made, failed) = run.at(1, Some(3.0));
    assert!(failed.is_empty());
    assert_eq!(made, [r#"{__name__="a:up", g="x", job="c"} 6"#, r#"{__name__="b:up", g="x", job="b"} 7"#]);
    let (made, _) = run.at(2, None);
    assert_eq!(
        made,
        [r#"{__name__="a:up", g="x", job="c"} stale"#, r#"{__name__="b:up", g="x", job="b"} stale"#]
    );
    assert!(run.at(3, None).0.is_empty());
}

#[test]
fn an_alert_waits_fires_stays_and_ends() {
    let mut run = Run::new(
        "groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    keep_firing_for: 2m\n    \
         labels: {s: 'v{{ $value }}'}\n    annotations: {a: '{{ $labels.job }} {{ $externalLabels.region }} {{ query \"up\" | first | value }}'}\n",
    );
    let (made, _) = run.at(1, Some(0.0));
    assert_eq!(
        made,
        [
            r#"{__name__="ALERTS", alertname="Down", alertstate="pending", job="a", s="v0"} 1"#,
            r#"{__name__="ALERTS_FOR_STATE", alertname="Down", job="a", s="v0"} 60"#,
        ]
    );
    assert_eq!(run.states(), [(AlertState::Pending, "a r1 0".to_owned())]);
    run.at(2, Some(0.0));
    let (made, _) = run.at(3, Some(0.0));
    assert_eq!(made.len(), 3, "the series of the state before ends: {made:?}");
    assert_eq!(run.states()[0].0, AlertState::Firing);
    for (minute, state) in [(4, AlertState::Firing), (5, AlertState::Firing), (6, AlertState::Inactive)] {
        run.at(minute, Some(1.0));
        assert_eq!(run.states()[0].0, state, "minute {minute}");
    }
    run.at(22, Some(1.0));
    assert!(run.states().is_empty(), "forgotten after a quarter of an hour");
    run.at(23, Some(0.0));
    run.at(24, Some(1.0));
    assert!(run.states().is_empty(), "one that never fired is forgotten at once");
}

#[test]
fn what_goes_wrong_is_said() {
    let mut run = Run::new(
        "groups:\n- name: a\n  limit: 1\n  rules:\n  - {record: a, expr: 'up or vector(1)'}\n  \
         - {record: b, expr: 'label_replace(up, \"x\", \"y\", \"\", \"\") or up', labels: {x: z}}\n  - {alert: c, expr: 'up', annotations: {a: '{{ .No }}'}}\n",
    );
    let (_, failed) = run.at(1, Some(0.0));
    assert_eq!(
        failed,
        [
            "0: exceeded limit of 1 with 2 series",
            "1: vector contains metrics with the same labelset after applying rule labels",
        ]
    );
    assert_eq!(
        run.states()[0].1,
        "<error expanding template: error executing template __alert_c: template: __alert_c:1: can't evaluate field No in type struct>"
    );
}
