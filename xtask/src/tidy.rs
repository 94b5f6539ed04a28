//! Rules of the tree that a machine can hold: which crate may use which, and what no file may contain.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Which of our crates each crate may depend on: the table of ARCHITECTURE.md.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("exposition", &["model"]),
    ("config", &["model"]),
    ("runtime", &["model"]),
    ("discovery", &["config", "runtime", "model"]),
    ("scrape", &["discovery", "exposition", "config", "runtime", "model"]),
    ("tsdb", &["model", "runtime", "testkit"]), // testkit in its tests alone
    ("testkit", &["tsdb", "runtime"]),
    ("promql", &["model"]),
    ("server", &["model", "exposition", "config", "runtime", "discovery", "scrape", "tsdb", "promql", "ui"]),
    ("agent", &["exposition", "runtime", "model"]),
    ("crds", &[]),
    ("operator", &["crds", "config", "promql", "runtime", "model"]),
    ("ui", &[]),
];

/// Crates that may use all others.
const FREE: &[&str] = &["pharos", "xtask", "e2e", "bench", "fuzz"];

/// Longest source file, in lines.
const MAX_LINES: usize = 800;

/// Something to put right, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Checks every tracked file below `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let listed = listed.context("cannot run git")?;
    if !listed.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let mut findings = Vec::new();
    for path in String::from_utf8(listed.stdout)?.split('\0').filter(|path| !path.is_empty()) {
        // what is no text, or was deleted and not yet committed, has no lines to look at
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        findings.extend(file(path, &text));
    }
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { bail!("{} to put right", findings.len()) }
}

/// What is wrong with one file.
fn file(path: &str, text: &str) -> Vec<Finding> {
    let mut found: Vec<(usize, String)> = Vec::new();
    if let Some(member) = path.strip_suffix("/Cargo.toml") {
        found.extend(edges(member, text));
    }
    if path.ends_with(".rs") {
        found.extend(source(path, text));
    }
    for (i, line) in text.lines().enumerate() {
        for (word, why) in forbidden() {
            if line.contains(word.as_str()) {
                found.push((i + 1, format!("{word:?}: {why}")));
            }
        }
        if foreign_registry(path, line) {
            found.push((i + 1, "a registry of one machine: use the public one".to_owned()));
        }
    }
    found.into_iter().map(|(line, reason)| Finding { file: path.to_owned(), line, reason }).collect()
}

/// Words that no file may contain. They are put together here so that this file does not contain them either.
fn forbidden() -> [(String, &'static str); 4] {
    [
        (["", "work", "shared"].join("/"), "a path of one machine"),
        (["", "work", "wt"].join("/"), "a path of one machine"),
        (["", "work", "tmp"].join("/"), "a path of one machine"),
        (["", "root", ".cargo"].join("/"), "a path of one machine"),
    ]
}

/// Whether a lock file names another registry than the public one.
fn foreign_registry(path: &str, line: &str) -> bool {
    let line = line.trim();
    if path.ends_with("package-lock.json") {
        let url = line.strip_prefix("\"resolved\": \"");
        return url.is_some_and(|url| !url.starts_with("https://registry.npmjs.org/"));
    }
    let index = line.strip_prefix("source = \"registry+");
    path.ends_with("Cargo.lock")
        && index.is_some_and(|url| !url.starts_with("https://github.com/rust-lang/crates.io-index"))
}

/// Dependencies on our own crates that the table does not allow.
fn edges(member: &str, manifest: &str) -> Vec<(usize, String)> {
    if FREE.contains(&member) || member.contains('/') {
        return Vec::new();
    }
    let table: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let Some(allowed) = table.get(member) else {
        return vec![(1, format!("crate {member} is not in the table of xtask/src/tidy.rs"))];
    };
    let mut section = "";
    let mut found = Vec::new();
    for (i, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            continue;
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        let known = table.contains_key(name) || FREE.contains(&name);
        if section.ends_with("dependencies") && known && !allowed.contains(&name) {
            found.push((i + 1, format!("{member} may not depend on {name}")));
        }
    }
    found
}

/// Rules of Rust files.
fn source(path: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push((1, "the first line must say what the file is for: //! …".to_owned()));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push((MAX_LINES + 1, format!("{lines} lines: split the file by noun, at most {MAX_LINES}")));
    }
    let mut in_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    // with a paused clock, a sleep lets the other tasks run and takes no time
    let paused = text.contains("start_paused = true") || text.contains("time::pause()");
    let mut marked = false;
    for (i, line) in text.lines().enumerate() {
        // a module in a file of its own leaves the rest of this one as it is
        in_tests |= marked && !line.trim().ends_with(';');
        marked = line.trim() == "#[cfg(test)]";
        let code = line.split("//").next().unwrap_or_default();
        for name in ["dbg", "todo", "unimplemented"] {
            if calls(code, &format!("{name}!")) {
                found.push((i + 1, format!("{name}! is for unfinished work")));
            }
        }
        for name in ["thread::sleep", "time::sleep"] {
            if in_tests && calls(code, name) && !(paused && name == "time::sleep") {
                found.push((
                    i + 1,
                    format!("a test that waits: {name}; pause the clock or wait for the event"),
                ));
            }
        }
    }
    found
}

/// Whether the code calls this name, rather than having it as a part of another or within quotes.
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let quoted = code[..at].matches('"').count() % 2 == 1;
        let called = code[at + name.len()..].starts_with(['(', '[', '{']);
        called && !quoted && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[(usize, &str)]) {
        let found = file(path, text);
        let found: Vec<(usize, &str)> = found.iter().map(|f| (f.line, f.reason.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn edges_follow_the_table() {
        let manifest = "[package]\nname = \"tsdb\"\n[dependencies]\nmodel.workspace = true\npromql.workspace = true\n\
            [dev-dependencies]\nscrape = { path = \"../scrape\" }\ntempfile.workspace = true\n";
        check(
            "tsdb/Cargo.toml",
            manifest,
            &[(5, "tsdb may not depend on promql"), (7, "tsdb may not depend on scrape")],
        );
        check("pharos/Cargo.toml", manifest, &[]);
        check("nobody/Cargo.toml", "", &[(1, "crate nobody is not in the table of xtask/src/tidy.rs")]);
    }

    #[test]
    fn sources() {
        check("a/src/x.rs", "//! X.\nfn f() {}\n", &[]);
        check("a/src/x.rs", "fn f() {}\n", &[(1, "the first line must say what the file is for: //! …")]);
        check("a/src/x.rs", "//! X.\nfn f() { todo!() }\n", &[(2, "todo! is for unfinished work")]);
        check("a/src/x.rs", "//! X.\n// todo!() is not allowed\nconst A: &str = \"dbg!(x)\";\n", &[]);
        let long = "//! X.\n".repeat(MAX_LINES + 1);
        check("a/src/x.rs", &long, &[(801, "801 lines: split the file by noun, at most 800")]);
    }

    #[test]
    fn tests_do_not_wait() {
        let waits = "a test that waits: thread::sleep; pause the clock or wait for the event";
        check("a/src/x.rs", "//! X.\nfn f() { std::thread::sleep(d) }\n", &[]);
        check("a/src/x.rs", "//! X.\n#[cfg(test)]\nfn f() { std::thread::sleep(d) }\n", &[(3, waits)]);
        check("a/tests/x.rs", "//! X.\nfn f() { std::thread::sleep(d) }\n", &[(2, waits)]);
        check("a/src/x.rs", "//! X.\n#[cfg(test)]\nmod tests;\nfn f() { std::thread::sleep(d) }\n", &[]);
        check(
            "a/tests/x.rs",
            "//! X.\n#[tokio::test(start_paused = true)]\nfn f() { time::sleep(d) }\n",
            &[],
        );
    }

    #[test]
    fn lock_files_name_public_registries() {
        let reason = "a registry of one machine: use the public one";
        check("ui/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/a\",\n", &[]);
        check("ui/package-lock.json", "  \"resolved\": \"http://10.0.0.1/a\",\n", &[(1, reason)]);
        check("Cargo.lock", "source = \"registry+https://mirror/index\"\n", &[(1, reason)]);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let word = ["", "work", "wt"].join("/");
        let reason = format!("{word:?}: a path of one machine");
        check("README.md", &format!("see\n{word}/x\n"), &[(2, &reason)]);
    }
}
