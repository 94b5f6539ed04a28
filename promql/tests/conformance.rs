//! Runs the query test scripts of a directory: `PROMQLTEST_DIR`, or the conformance data beside the project.

use promql::testing::{run, script_engine};
use std::path::PathBuf;

/// Scripts in which every case must pass.
const GREEN: &[&str] = &[
    "aggregators.test",
    "at_modifier.test",
    "duration_expression.test",
    "extended_vectors.test",
    "fill-modifier.test",
    "functions.test",
    "histograms.test",
    "info.test",
    "limit.test",
    "literals.test",
    "native_histograms.test",
    "operators.test",
];

#[test]
fn scripts() {
    let named = std::env::var_os("PROMQLTEST_DIR").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/promqltest");
    let dir = named.unwrap_or(beside);
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("skipped: no scripts at {}", dir.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "test"));
    paths.sort();
    let (mut passed, mut failed, mut broken) = (0, 0, Vec::new());
    for path in &paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(path).unwrap();
        match run(&text, &script_engine()) {
            Ok(outcome) => {
                for f in &outcome.failures {
                    println!("{name}:{}: {}\n    {}", f.line, f.query, f.message);
                }
                println!("{name}: {} passed, {} failed", outcome.passed, outcome.failures.len());
                passed += outcome.passed;
                failed += outcome.failures.len();
                if !outcome.failures.is_empty() {
                    broken.push(name);
                }
            }
            Err((line, cause)) => {
                println!("{name}:{line}: no script: {cause}");
                failed += 1;
                broken.push(name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    let regressed: Vec<&String> = broken.iter().filter(|n| GREEN.contains(&n.as_str())).collect();
    assert!(regressed.is_empty(), "scripts that must pass: {regressed:?}");
}
