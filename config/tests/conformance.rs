//! Configuration files that Prometheus accepts or refuses: we do the same. `PROMETHEUS_CONFIG_DIR` names another folder of them.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use config::prometheus::Config;
use std::path::{Path, PathBuf};

/// Refused by Prometheus too, though their names do not say so.
const REFUSED: [&str; 1] = ["config_with_deprecated_am_api_config.yml"];

#[test]
fn files() {
    let folder = std::env::var_os("PROMETHEUS_CONFIG_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/prometheus-config"),
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no folder {}", folder.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "yml"));
    paths.sort();
    let (mut passed, mut failed) = (0, Vec::new());
    for path in &paths {
        match check(path) {
            Ok(()) => passed += 1,
            Err(why) => failed.push(format!("{}: {why}", path.display())),
        }
    }
    for line in &failed {
        println!("{line}");
    }
    println!("{passed} passed, {} failed", failed.len());
    assert!(failed.is_empty());
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let refused = [".bad.", ".incompatible.", "-no-", "-both-", "invalid", "nil-"];
    let is_bad = refused.iter().any(|w| name.contains(w)) || REFUSED.contains(&name.as_str());
    match (load(path), is_bad) {
        (Err(e), true) if e.field.is_empty() && !e.message.contains("!!binary") => {
            Err(format!("refused without the field: {e}"))
        }
        (Err(_), true) => Ok(()),
        (Ok(config), false) => check_round_trip(&config),
        (Ok(_), true) => Err("accepted, but must be refused".to_owned()),
        (Err(e), false) => Err(format!("refused: {e}")),
    }
}

fn check_round_trip(config: &Config) -> Result<(), String> {
    let written = config.to_yaml();
    let again =
        Config::parse(&written, "written").map_err(|e| format!("written form refused: {e}\n{written}"))?;
    if again.to_yaml() == written { Ok(()) } else { Err("written twice, it differs".to_owned()) }
}

/// Reads a file and those that its `scrape_config_files` name, as a server does.
fn load(path: &Path) -> Result<Config, config::Error> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let mut config = Config::parse(&read(path), &path.display().to_string())?;
    for pattern in config.scrape_config_files.clone() {
        let pattern = path.parent().unwrap().join(pattern);
        let (folder, last) = (pattern.parent().unwrap(), pattern.file_name().unwrap().to_string_lossy());
        let (start, end) = last.split_once('*').unwrap_or((&last, ""));
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().filter_map(|e| Some(e.ok()?.path())).collect();
        found.retain(|p| {
            let name = p.file_name().unwrap().to_string_lossy();
            if last.contains('*') {
                name.starts_with(start) && name.ends_with(end) && p.is_file()
            } else {
                name == last
            }
        });
        found.sort();
        for file in found {
            config.add_scrape_config_file(&read(&file), &file.display().to_string())?;
        }
    }
    Ok(config)
}
