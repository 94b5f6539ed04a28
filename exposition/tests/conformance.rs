//! Runs the OpenMetrics parser cases: `OPENMETRICS_DIR=DIR cargo test -p exposition --test conformance`.
//!
//! A case is a folder with `metrics` and `test.json`, which says whether the text must be accepted. The last line of the
//! output reads `N passed, N failed`. Without the data nothing is run, and a line says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let dir = std::env::var_os("OPENMETRICS_DIR").map(PathBuf::from).unwrap_or_else(|| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/openmetrics")
    });
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("skipped: no OpenMetrics cases in {}", dir.display());
        return ExitCode::SUCCESS;
    };
    let mut cases: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    let (mut passed, mut failed) = (0, 0);
    for case in cases {
        match run(&case) {
            Ok(()) => passed += 1,
            Err(why) => {
                failed += 1;
                println!("FAILED {}: {why}", case.display());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &Path) -> Result<(), String> {
    let read = |name: &str| std::fs::read(case.join(name)).map_err(|e| format!("{name}: {e}"));
    let json = String::from_utf8(read("test.json")?).map_err(|e| e.to_string())?;
    let json: String = json.split_whitespace().collect();
    let good = match (json.contains("\"shouldParse\":true"), json.contains("\"shouldParse\":false")) {
        (true, false) => true,
        (false, true) => false,
        _ => return Err("test.json does not say shouldParse".to_owned()),
    };
    match (exposition::openmetrics::validate(&read("metrics")?), good) {
        (Ok(()), false) => Err("accepted, but is bad".to_owned()),
        (Err(why), true) => Err(format!("refused, but is good: {why}")),
        _ => Ok(()),
    }
}
