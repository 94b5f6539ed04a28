//! Targets from files: followed by inotify, and read again at intervals for file systems that give no notice.

use crate::manager::Output;
use crate::{ADDRESS, TargetGroup};
use config::prometheus::{DEFAULT_FILE_REFRESH, FileSdConfig, StaticConfig};
use notify::Watcher as _;
use runtime::{CancellationToken, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A file is often written in steps: reading waits this long for the last of them.
const SETTLE: Duration = Duration::from_millis(20);

/// Why a file gives no targets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its content is no list of target groups.
    #[error("`{path}`: {source}")]
    Content {
        /// The file.
        path: String,
        /// What and where.
        source: config::yaml::Error,
    },
}

/// Follows the files until the token is cancelled.
pub(crate) async fn run(config: FileSdConfig, output: Arc<Output>, token: CancellationToken, stage: Stage) {
    let changed = Arc::new(Notify::new());
    let _watcher = watch(&config, changed.clone());
    let refresh =
        config.refresh_interval.unwrap_or(DEFAULT_FILE_REFRESH).as_std().max(Duration::from_millis(100));
    let mut files = Files::default();
    loop {
        let patterns = config.files.clone();
        let read = stage.blocking(move || {
            files.read(&patterns);
            files
        });
        let Ok(back) = read.await else { return };
        files = back;
        files.report(&output);
        output.set(files.groups());
        let woken = async {
            tokio::select! {
                () = changed.notified() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(refresh) => {}
            }
        };
        if token.run_until_cancelled(woken).await.is_none() {
            return;
        }
    }
}

/// Watches the folders of the patterns; without inotify, the refresh interval remains.
fn watch(config: &FileSdConfig, changed: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let notice = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|e| !matches!(e.kind, notify::EventKind::Access(_))) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(notice)
        .inspect_err(|error| tracing::warn!(%error, "no notice of changed files, reading them at intervals"))
        .ok()?;
    let folders: BTreeSet<PathBuf> = config.files.iter().map(|pattern| split(pattern).0).collect();
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, notify::RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %folder.display(), %error, "no notice of changes, reading at intervals");
        }
    }
    Some(watcher)
}

/// What the files gave when they last could be read.
#[derive(Default)]
struct Files {
    known: BTreeMap<PathBuf, Vec<Arc<TargetGroup>>>,
    errors: BTreeMap<PathBuf, String>,
    /// Of the reading before.
    old_errors: BTreeMap<PathBuf, String>,
}

impl Files {
    fn read(&mut self, patterns: &[String]) {
        let paths: BTreeSet<PathBuf> = patterns.iter().flat_map(|p| matching(p)).collect();
        // a file that is gone takes its targets with it; a broken one does not
        self.known.retain(|path, _| paths.contains(path));
        self.old_errors = std::mem::take(&mut self.errors);
        for path in paths {
            match read_groups(&path) {
                Ok(groups) => {
                    let old = self.known.entry(path).or_default();
                    if !(old.len() == groups.len() && old.iter().zip(&groups).all(|(a, b)| **a == *b)) {
                        *old = groups.into_iter().map(Arc::new).collect();
                    }
                }
                Err(error) => _ = self.errors.insert(path, error.to_string()),
            }
        }
    }

    fn groups(&self) -> Vec<Arc<TargetGroup>> {
        self.known.values().flatten().cloned().collect()
    }

    /// Errors that the reading before did not meet. Each is said once: a log in the same folder would be taken for a change of the files, and
    /// the next reading would log again.
    fn news(&self) -> impl Iterator<Item = &str> {
        let is_new = |entry: &(&PathBuf, &String)| self.old_errors.get(entry.0) != Some(entry.1);
        self.errors.iter().filter(is_new).map(|(_, error)| error.as_str())
    }

    fn report(&self, output: &Output) {
        for path in self.old_errors.keys() {
            output.set_error(&path.display().to_string(), None);
        }
        for error in self.news() {
            tracing::warn!(error, "file discovery keeps the file's last good targets");
        }
        for (path, error) in &self.errors {
            output.set_error(&path.display().to_string(), Some(error.clone()));
        }
    }
}

/// Folder and last element of a pattern.
fn split(pattern: &str) -> (PathBuf, &str) {
    match pattern.rsplit_once('/') {
        Some(("", last)) => (PathBuf::from("/"), last),
        Some((folder, last)) => (PathBuf::from(folder), last),
        None => (PathBuf::from("."), pattern),
    }
}

/// Files that a path or pattern names.
/// The files that a pattern names; wildcards stand in its last element only. A pattern without any names itself.
pub fn matching(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let (folder, last) = split(pattern);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found = names.filter(|name| glob(last.as_bytes(), name.as_bytes()));
    found.map(|name| if pattern.contains('/') { folder.join(name) } else { PathBuf::from(name) }).collect()
}

/// Whether a name matches a pattern of `*`, `?` and `[a-z]`.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, name) || name.split_first().is_some_and(|(_, shorter)| glob(pattern, shorter))
        }
        (Some((b'?', rest)), Some((_, name))) => glob(rest, name),
        (Some((b'[', rest)), Some((c, name))) => {
            let Some(end) = rest.iter().position(|b| *b == b']') else { return false };
            let (class, rest) = (&rest[..end], &rest[end + 1..]);
            let (negated, class) = class.strip_prefix(b"^").map_or((false, class), |class| (true, class));
            in_class(class, *c) != negated && glob(rest, name)
        }
        (Some((b'\\', [escaped, rest @ ..])), Some((c, name))) => escaped == c && glob(rest, name),
        (Some((p, rest)), Some((c, name))) => p == c && glob(rest, name),
        _ => false,
    }
}

fn in_class(class: &[u8], c: u8) -> bool {
    match class {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
        [] => false,
    }
}

fn read_groups(path: &Path) -> Result<Vec<TargetGroup>, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: name.clone(), source })?;
    parse(&text, &name)
}

/// Reads a file's content: a list of `targets` with `labels`, JSON or YAML (JSON is YAML).
///
/// # Errors
/// Where it is none: with line and field.
pub fn parse(text: &str, path: &str) -> Result<Vec<TargetGroup>, Error> {
    let groups: Vec<StaticConfig> =
        config::yaml::from_str(text).map_err(|source| Error::Content { path: path.to_owned(), source })?;
    let groups = groups.into_iter().enumerate().map(|(i, group)| {
        let mut labels: BTreeMap<String, String> = group.labels.into_iter().collect();
        labels.insert("__meta_filepath".to_owned(), path.to_owned());
        TargetGroup {
            source: format!("{path}:{i}"),
            labels,
            targets: group.targets.into_iter().map(|t| [(ADDRESS.to_owned(), t)].into()).collect(),
        }
    });
    Ok(groups.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json_and_yaml() {
        let json = "[{\"targets\": [\"h:1\"], \"labels\": {\"a\": \"1\"}}, {\"targets\": []}]";
        let yaml = "- targets:\n  - h:1\n  labels:\n    a: 1\n- targets: []\n";
        let groups = parse(json, "f").unwrap();
        assert_eq!(groups, parse(yaml, "f").unwrap());
        assert_eq!((groups[0].source.as_str(), groups[0].targets[0][ADDRESS].as_str()), ("f:0", "h:1"));
        assert_eq!(
            groups[0].labels,
            [("__meta_filepath".into(), "f".into()), ("a".into(), "1".into())].into()
        );
        let error = parse("- target: [a]\n", "f").unwrap_err().to_string();
        assert_eq!(error, "`f`: line 1: [0].target: unknown field");
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.json", "a.json", true),
            ("*.json", "a.yml", false),
            ("a*b*.yml", "a-b-b.yml", true),
            ("?[a-c].yml", "xb.yml", true),
            ("[^a].yml", "a.yml", false),
            ("\\*.yml", "*.yml", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_broken_file_keeps_its_targets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let patterns = [folder.path().join("*.json").display().to_string()];
        let mut files = Files::default();
        std::fs::write(&path, r#"[{"targets": ["h:1"]}]"#).unwrap();
        files.read(&patterns);
        let good = files.groups();
        assert_eq!((good.len(), files.errors.len()), (1, 0));
        std::fs::write(&path, r#"[{"targets": ["h:1""#).unwrap();
        files.read(&patterns);
        assert_eq!((files.groups(), files.errors.len(), files.news().count()), (good.clone(), 1, 1));
        files.read(&patterns);
        assert_eq!((files.groups(), files.errors.len(), files.news().count()), (good, 1, 0), "said once");
        std::fs::write(&path, "{").unwrap();
        files.read(&patterns);
        assert_eq!(files.news().count(), 1, "another error is news");
        std::fs::remove_file(&path).unwrap();
        files.read(&patterns);
        assert_eq!((files.groups().len(), files.errors.len()), (0, 0));
    }
}
