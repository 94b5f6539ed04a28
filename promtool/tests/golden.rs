//! Beside the original: where the environment's PROMTOOL names it, both get the same files, and must say the same.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OURS: &str = env!("CARGO_BIN_EXE_promtool");

/// What a program said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(program: &Path, dir: &Path, args: &[&str], input: &str) -> Said {
    use std::io::Write as _;
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // one that needs no input may have ended
    if let Err(error) = child.stdin.take().unwrap().write_all(input.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The original, if it is there.
fn original() -> Option<PathBuf> {
    let original = std::env::var_os("PROMTOOL").map(PathBuf::from);
    if original.is_none() {
        println!("skipped: PROMTOOL does not name the original");
    }
    original
}

/// Blocks have names of their own in each directory.
fn without_names(text: &str) -> String {
    let is_name =
        |word: &str| word.len() == 26 && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let words = text.split_inclusive([' ', '\n']);
    words
        .map(
            |word| {
                if is_name(word.trim_end()) { word.replace(word.trim_end(), "NAME") } else { word.to_owned() }
            },
        )
        .collect()
}

/// Equal entries of a list have no order in the original.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = without_names(text).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Samples over several blocks: few enough a series that both encode them alike.
fn exposition() -> String {
    let mut text = String::new();
    for series in 0..7 {
        for sample in 0..50 * (series + 1) / 8 {
            let t = 1_700_000_000 + sample * 300;
            text += &format!(
                "m{}{{i=\"{series}\",q=\"a\\\"\\n\"}} {} {t}\n",
                series % 3,
                f64::from(series) * 1.5e6 + f64::from(sample)
            );
        }
    }
    text + "gone NaN 1700000000.5\n# EOF\n"
}

#[test]
fn databases() {
    let Some(original) = original() else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in.om"), exposition()).unwrap();
    let create = |program: &Path, to: &str| {
        let args = ["tsdb", "create-blocks-from", "openmetrics", "--label=l=v", "in.om", to];
        let said = run(program, dir.path(), &args, "");
        assert_eq!(said.code, Some(0), "{}", said.err);
        std::fs::create_dir(dir.path().join(to).join("wal")).unwrap(); // the original wants one
        without_names(&said.out)
    };
    let (theirs, ours) = (create(&original, "theirs"), create(Path::new(OURS), "ours"));
    assert_eq!(columns(&ours), columns(&theirs));
    for db in ["theirs", "ours"] {
        for args in [
            vec!["tsdb", "list", db],
            vec!["tsdb", "list", "-r", db],
            vec!["tsdb", "dump", db],
            vec!["tsdb", "dump", "--min-time=1700003000000", "--max-time=1700009000000", db],
            vec!["tsdb", "dump", "--match=gone", "--match={i=~\"[12]\"}", db],
            vec!["tsdb", "dump", "--format=seriesjson", db],
            vec!["tsdb", "dump-openmetrics", db],
            vec!["tsdb", "analyze", "--limit=1000", db],
            vec!["tsdb", "analyze", "--limit=1000", "--extended", "--match={i=\"3\"}", db],
            vec!["tsdb", "analyze", db, "nope"],
            vec!["tsdb", "dump", "--match=up{", db],
        ] {
            let theirs = run(&original, dir.path(), &args, "");
            let ours = run(Path::new(OURS), dir.path(), &args, "");
            assert_eq!(ours.code, theirs.code, "{args:?}: {}", ours.err);
            if args[1] == "analyze" {
                assert_eq!(sorted(&ours.out), sorted(&theirs.out), "{args:?}");
            } else {
                assert_eq!(ours.out, theirs.out, "{args:?}");
            }
        }
    }
}

/// The lines of a list of blocks without the last column: sizes differ, as we encode more densely.
fn columns(list: &str) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect();
    let mut lines: Vec<Vec<String>> = list.lines().map(cells).collect();
    lines.iter_mut().for_each(|line| _ = line.pop());
    lines
}

#[test]
fn a_log_is_dumped_in_the_order_in_which_series_came() {
    let Some(original) = original() else { return };
    let dir = tempfile::tempdir().unwrap();
    let series = "{\"__name__\":\"m\",\"a\":\"2\"}\n{\"__name__\":\"m\",\"a\":\"1\"}\n{\"__name__\":\"b\"}\n{\"__name__\":\"c\"}\n";
    std::fs::write(dir.path().join("series.json"), series).unwrap();
    for (writer, out) in [(original.as_path(), "theirs"), (Path::new(OURS), "ours")] {
        let out_flag = format!("--out={out}");
        let args = ["tsdb", "bench", "write", "--metrics=3", "--scrapes=10", &out_flag, "series.json"];
        let said = run(writer, dir.path(), &args, "");
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains(" > total samples: 300\n"), "{}", said.out);
        let db = format!("{out}/storage");
        for args in [["tsdb", "dump", &db], ["tsdb", "dump-openmetrics", &db], ["tsdb", "list", &db]] {
            let theirs = run(&original, dir.path(), &args, "");
            let ours = run(Path::new(OURS), dir.path(), &args, "");
            assert_eq!(ours.out, theirs.out, "{args:?}: {}", theirs.err);
        }
    }
}

/// A file for `check rules`, `check config`, `test rules`.
const FILES: [(&str, &str); 8] = [
    (
        "rules.yml",
        "groups:\n- name: a\n  rules:\n  - {record: 'a:b', expr: sum(up)}\n  - {alert: C, expr: up == 0, for: 1m, labels: {s: '{{ $value }}'}}\n",
    ),
    (
        "double.yml",
        "groups:\n- name: a\n  labels: {g: x}\n  rules:\n  - &r {record: 'a:b', expr: sum(up), labels: {l: m}}\n  - *r\n",
    ),
    (
        "wrong.yml",
        "groups:\n- name: a\n  rules:\n  - {alert: C, expr: up, annotations: {s: '{{ $label.x }}'}}\n  - record: d\n    expr: up +\n",
    ),
    (
        "good.config",
        "rule_files: [rules.yml]\nscrape_configs:\n- job_name: a\n  static_configs: [{targets: ['h:1']}]\n  file_sd_configs: [{files: [none.json]}]\n",
    ),
    ("slow.config", "scrape_configs: [{job_name: a, scrape_interval: 10m}]\n"),
    ("bad.config", "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://h']}]}]\n"),
    (
        "pass.test",
        "rule_files: [rules.yml]\ntests:\n- input_series: [{series: up, values: '0 0 0'}]\n  promql_expr_test: [{expr: 'a:b', eval_time: 1m, exp_samples: [{labels: 'a:b', value: 0}]}]\n",
    ),
    (
        "fail.test",
        "rule_files: [rules.yml]\ntests:\n- name: n\n  input_series: [{series: 'up{x=\"y\"}', values: '0 0 0'}]\n  alert_rule_test: [{eval_time: 2m, alertname: C}]\n  promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1e6}]}]\n",
    ),
];

#[test]
fn files_are_checked_alike() {
    let Some(original) = original() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let metrics = "# TYPE a_total gauge\na_total 1\nfooBar{le=\"1\"} 2\n# HELP c_ms x\n# TYPE c_ms counter\nc_ms 1\nc_ms{a=\"b\"} 1\n";
    for args in [
        vec!["check", "rules", "rules.yml"],
        vec!["check", "rules", "double.yml", "rules.yml"],
        vec!["check", "rules", "--lint-fatal", "double.yml"],
        vec!["check", "rules", "--lint=none", "--lint-fatal", "double.yml"],
        vec!["check", "rules", "wrong.yml"],
        vec!["check", "rules", "nope.yml"],
        vec!["check", "config", "good.config", "slow.config"],
        vec!["check", "config", "--lint=all", "--lint-fatal", "slow.config"],
        vec!["check", "config", "bad.config"],
        vec!["check", "config", "--agent", "good.config"],
        vec!["check", "metrics"],
        vec!["check", "metrics", "--lint=none"],
        vec!["test", "rules", "pass.test"],
        vec!["test", "rules", "fail.test", "pass.test"],
        vec![
            "--experimental",
            "promql",
            "format",
            "sum by(a)(rate(b{c=\"d\"}[5m] offset 1h)) / on(e) group_left(f) max(g) > 1000000",
        ],
        vec![
            "--experimental",
            "promql",
            "label-matchers",
            "set",
            "-t",
            "=~",
            "a + sum(b{c=\"d\"})",
            "c",
            "x.*",
        ],
        vec!["--experimental", "promql", "label-matchers", "delete", "a + sum(b{c=\"d\"})", "c"],
        vec!["promql", "format", "a"],
        vec!["tsdb"],
        vec!["check", "rules", "--nope"],
    ] {
        let theirs = run(&original, dir.path(), &args, metrics);
        let ours = run(Path::new(OURS), dir.path(), &args, metrics);
        assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{args:?}: {}", ours.err);
        // the command line's own errors have the words of another library; ours name line and field of a mistake
        if !theirs.err.contains("try --help") && !args.iter().any(|a| ["wrong.yml", "bad.config"].contains(a))
        {
            assert_eq!(ours.err, theirs.err, "{args:?}");
        }
        let errors = |said: &Said| said.err.lines().count();
        assert_eq!(errors(&ours) > 0, errors(&theirs) > 0, "{args:?}: {}", ours.err);
    }
}

/// Configuration files that the original accepts or refuses: `pharos promtool check config` does the same.
#[test]
fn conformance_of_rule_files_and_tests() {
    let named = std::env::var_os("PROMTOOL_DIR").map(PathBuf::from);
    let dir = named
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/promtool"));
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("skipped: no folder {}", dir.display());
        return;
    };
    let Some(original) = original() else { return };
    let (mut passed, mut failed) = (0, Vec::new());
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|n| n.ends_with(".yml"));
    names.sort();
    for name in &names {
        for command in [["check", "rules"], ["check", "config"], ["test", "rules"]] {
            let args = [command[0], command[1], name];
            let theirs = run(&original, &dir, &args, "");
            let ours = run(Path::new(OURS), &dir, &args, "");
            if (ours.code, &ours.out) == (theirs.code, &theirs.out) {
                passed += 1;
            } else {
                failed.push(format!(
                    "{args:?}: {:?} {:?}, not {:?} {:?}",
                    ours.code, ours.err, theirs.code, theirs.err
                ));
            }
        }
    }
    failed.iter().for_each(|f| println!("{f}"));
    println!("{passed} passed, {} failed", failed.len());
    assert!(failed.is_empty());
}
