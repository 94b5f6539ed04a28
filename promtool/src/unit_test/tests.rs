//! Tests of tests: what passes, and what the others say.

use super::*;
use expect_test::{Expect, expect};
use runtime::clock::ManualClock;

const RULES: &str = "groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    labels: {severity: page}\n    \
    annotations: {summary: 'Instance {{ $labels.instance }} down'}\n  - {record: 'job:up:sum', expr: sum by (job) (up)}\n";

#[track_caller]
fn check(tests: &str, expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let path = dir.path().join("test.yml");
    std::fs::write(&path, format!("rule_files: [rules.yml]\n{tests}")).unwrap();
    let clock: SharedClock = ManualClock::at(0);
    let options = Options {
        run: Vec::new(),
        debug: false,
        ignore_unknown_fields: tests.contains("team:"),
        files: Vec::new(),
    };
    let setting = Setting {
        options: &options,
        only: Vec::new(),
        features: Features::default(),
        delayed_name_removal: false,
        clock: &clock,
    };
    let errors = test_file(&path, &setting).join("\n");
    let errors = errors.replace(&format!("{}/", dir.path().display()), "");
    // a first line without indentation keeps that of the others
    expected.assert_eq(&if errors.is_empty() { errors } else { format!("said:\n{errors}") });
}

const SERIES: &str = "tests:\n- interval: 1m\n  name: t\n  team: x\n  input_series:\n  - series: 'up{job=\"j\",instance=\"i\"}'\n    values: '1 0x20'\n";

#[test]
fn what_holds_is_silent() {
    check(
        &format!(
            "{SERIES}  alert_rule_test:\n  - {{eval_time: 5m, alertname: Down}}\n  - eval_time: 6m\n    alertname: Down\n    exp_alerts:\n    \
             - exp_labels: {{severity: page, job: j, instance: i}}\n      exp_annotations: {{summary: Instance i down}}\n  \
             promql_expr_test:\n  - expr: job:up:sum\n    eval_time: 0\n    exp_samples: [{{labels: 'job:up:sum{{job=\"j\"}}', value: 1}}]\n  \
             - expr: count(ALERTS{{alertstate=\"pending\"}})\n    eval_time: 5m59s\n    exp_samples: [{{value: 1}}]\n"
        ),
        expect![""],
    );
}

#[test]
fn what_fails_is_shown() {
    check(
        &format!(
            "{SERIES}  alert_rule_test:\n  - {{eval_time: 7m, alertname: Down}}\n  - {{eval_time: 1m, alertname: Down, exp_alerts: [{{exp_labels: {{a: b}}}}]}}\n  \
             promql_expr_test:\n  - {{expr: up, eval_time: 1m, exp_samples: [{{labels: up, value: 1500}}]}}\n  - {{expr: up +, eval_time: 1m}}\n  - {{expr: none, eval_time: 1m, exp_samples: [{{value: 0}}]}}\n"
        ),
        expect![[r#"
            said:
                name: t,
                alertname: Down, time: 1m, 
                    exp:[
                        0:
                          Labels:{a="b", alertname="Down"}
                          Annotations:{}
                        ], 
                    got:[]
                name: t,
                alertname: Down, time: 7m, 
                    exp:[], 
                    got:[
                        0:
                          Labels:{alertname="Down", instance="i", job="j", severity="page"}
                          Annotations:{summary="Instance i down"}
                        ]
                expr: "up", time: 1m,
                    exp: {__name__="up"} 1.5E+03
                    got: {__name__="up", instance="i", job="j"} 0E+00
                expr: "up +", time: 1m, err: 1:5: parse error: unexpected end of input
                expr: "none", time: 1m,
                    exp: {} 0E+00
                    got: nil"#]],
    );
}

#[test]
fn mistakes_in_files() {
    check(
        "tests: [{foo: 1}]\n",
        expect![[r#"
            said:
            test.yml: line 2: tests[0].foo: unknown field"#]],
    );
}
