//! Runs the query test scripts of a directory: `PROMQLTEST_DIR`, or the conformance data beside the project.

use promql::testing::{run, script_engine};
use std::path::PathBuf;

#[test]
fn scripts() {
    // cargo runs tests in the crate's folder; a relative path may also mean the workspace's
    let crate_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("PROMQLTEST_DIR").map(PathBuf::from);
    let dir = match &named {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => crate_dir.join("..").join(path),
        None => crate_dir.join("../../shared/conformance/promqltest"),
    };
    let Ok(entries) = std::fs::read_dir(&dir) else {
        assert!(named.is_none(), "PROMQLTEST_DIR names no folder: {}", dir.display());
        println!("skipped: no scripts at {}", dir.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "test"));
    paths.sort();
    let (mut passed, mut failed) = (0, 0);
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
            }
            Err((line, cause)) => {
                println!("{name}:{line}: no script: {cause}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    assert_eq!(failed, 0, "cases that fail; see above");
}
