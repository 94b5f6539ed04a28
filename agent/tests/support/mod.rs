//! What the conformance tests share: the data set, and expositions to compare.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test binary uses a part

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A path of the conformance data: in `$SHARED_DIR`, or beside the project. Says so where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let full = root.join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("skipped: {} is absent", full.display());
    None
}

/// A family of an exposition.
#[derive(Debug, Default, PartialEq)]
pub struct Family {
    pub help: String,
    pub kind: String,
    /// Series (labels sorted) and values.
    pub samples: BTreeMap<String, f64>,
}

/// Parses a text exposition into its families.
#[track_caller]
pub fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            assert!(!families.contains_key(name), "family {name} comes twice");
            current = name.to_owned();
            families.entry(current.clone()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') && !line.is_empty() {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let family = families.get_mut(&current).expect("a sample before its family");
            let twice = family.samples.insert(sort_labels(series), value.parse().expect(line));
            assert!(twice.is_none(), "series {series} comes twice");
        }
    }
    families
}

/// A series with its labels sorted by name.
fn sort_labels(series: &str) -> String {
    let Some((name, rest)) = series.split_once('{') else { return series.to_owned() };
    let mut labels = BTreeSet::new();
    let mut rest = rest;
    while let Some((label, tail)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = tail.find(|c| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        let end = end.expect(series);
        labels.insert(format!("{}=\"{}\"", label.trim_start_matches(','), &tail[..end]));
        rest = &tail[end + 1..];
    }
    format!("{name}{{{}}}", labels.into_iter().collect::<Vec<_>>().join(","))
}

/// Unpacks a ttar archive: header lines per path, then the content.
pub fn unpack_ttar(archive: &str, into: &std::path::Path) {
    let mut lines = archive.lines();
    let mut path = PathBuf::new();
    while let Some(line) = lines.next() {
        if let Some(dir) = line.strip_prefix("Directory: ") {
            std::fs::create_dir_all(into.join(dir)).unwrap();
        } else if let Some(file) = line.strip_prefix("Path: ") {
            path = into.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        } else if let Some(target) = line.strip_prefix("SymlinkTo: ") {
            std::os::unix::fs::symlink(target, &path).unwrap();
        } else if let Some(count) = line.strip_prefix("Lines: ") {
            let count: usize = count.parse().unwrap();
            let mut content = String::new();
            for _ in 0..count {
                content.push_str(lines.next().unwrap());
                content.push('\n');
            }
            // a last line without a line feed is marked
            let content = content.replace("NULLBYTE", "\0");
            let content = content.strip_suffix("EOF\n").map_or(content.clone(), str::to_owned);
            std::fs::write(&path, content).unwrap();
        }
    }
}
