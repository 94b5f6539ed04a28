//! Where a machine's cgroups are, and which there are: version 1 with a tree per controller, version 2 with one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The trees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hierarchy {
    /// Version 1: the mount of each controller, as far as there is one.
    V1(V1),
    /// Version 2: the one tree.
    V2(PathBuf),
}

/// The controllers of version 1 that are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct V1 {
    pub(crate) cpu: PathBuf,
    pub(crate) cpuacct: PathBuf,
    pub(crate) memory: PathBuf,
    pub(crate) blkio: PathBuf,
    pub(crate) pids: PathBuf,
}

impl Hierarchy {
    /// Looks at what is mounted below `root`.
    ///
    /// # Errors
    /// Where there is neither.
    pub(crate) fn find(root: &Path) -> std::io::Result<Self> {
        if root.join("cgroup.controllers").exists() {
            return Ok(Hierarchy::V2(root.to_owned()));
        }
        let mut v1 = V1::default();
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            let name = entry.file_name();
            // controllers mounted together give their directory a list for a name: cpu,cpuacct
            for controller in name.to_string_lossy().split(',') {
                match controller {
                    "cpu" => v1.cpu = entry.path(),
                    "cpuacct" => v1.cpuacct = entry.path(),
                    "memory" => v1.memory = entry.path(),
                    "blkio" => v1.blkio = entry.path(),
                    "pids" => v1.pids = entry.path(),
                    _ => {}
                }
            }
        }
        if v1.memory.as_os_str().is_empty() {
            let why = format!("no cgroups are mounted at {}", root.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, why));
        }
        Ok(Hierarchy::V1(v1))
    }

    /// The tree that is walked to find cgroups.
    fn main(&self) -> &Path {
        match self {
            Hierarchy::V1(v1) => &v1.memory,
            Hierarchy::V2(root) => root,
        }
    }

    /// Paths of all cgroups that `enter` accepts (with their ancestors), parents first; names that are not UTF-8 are
    /// left out.
    pub(crate) fn walk(&self, enter: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found = vec!["/".to_owned()];
        let mut next = 0;
        while next < found.len() {
            let parent = found[next].clone();
            next += 1;
            for name in subdirectories(&join(self.main(), &parent)) {
                let path = format!("{}/{name}", parent.trim_end_matches('/'));
                if enter(&path) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// When a cgroup was made, in Unix seconds, as far as the file system knows.
    pub(crate) fn made(&self, path: &str) -> Option<i64> {
        let meta = std::fs::metadata(join(self.main(), path)).ok()?;
        Some(meta.mtime())
    }

    /// The processes in a cgroup itself (not in its children).
    pub(crate) fn processes(&self, path: &str) -> Vec<u32> {
        let text =
            runtime::file::read_to_string(join(self.main(), path).join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|l| l.trim().parse().ok()).collect()
    }
}

/// A cgroup's directory in a tree.
pub(crate) fn join(tree: &Path, path: &str) -> PathBuf {
    tree.join(path.trim_start_matches('/'))
}

fn subdirectories(dir: &Path) -> Vec<String> {
    // a directory has a link from itself, one from its parent, and one from each child: most cgroups are leaves, and
    // reading a directory of fifty files to learn that is what would cost most here
    if std::fs::metadata(dir).is_ok_and(|m| m.nlink() == 2) {
        return Vec::new();
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let directory = |e: std::io::Result<std::fs::DirEntry>| {
        let e = e.ok()?;
        e.file_type().ok()?.is_dir().then(|| e.file_name().into_string().ok())?
    };
    let mut names: Vec<String> = entries.filter_map(directory).collect();
    names.sort_unstable();
    names
}
