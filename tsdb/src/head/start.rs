//! The head's first look at a directory: what is of the wrong kind or cannot be read is set aside, what is missing is noticed. None of it
//! stops the start.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{CHUNKS_DIR, WAL_DIR, WBL_DIR};
use crate::disk::{self, Disk, Entry};
use crate::stats::Metrics;
use crate::wal;

/// What a file or directory is called that is not what its name says.
const WRONG_KIND: &str = "corrupt";
/// What one is called that cannot be read.
pub(super) const UNREADABLE: &str = "unreadable";

/// What a step of the start gave, or what stands for nothing where it failed: the start goes on.
pub(crate) fn or_without<T: Default, E: std::fmt::Display>(result: Result<T, E>, step: &str) -> T {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "the start goes on, though it could not {step}");
        T::default()
    })
}

/// How names of snapshots of the memory begin.
const SNAPSHOT_PREFIX: &str = "chunk_snapshot.";
/// The file of series numbers while it is written: what stands in its place would keep all new series out.
const REFS_IN_WRITING: &str = "head_refs.json.tmp";

/// Sets aside what would stand in the way of the head: a file where a directory belongs, or the reverse, what is neither, and directories
/// that cannot be listed.
pub(super) fn clear_the_way(disk: &dyn Disk, dir: &Path, metrics: &Metrics) {
    let entries = or_without(disk.list(dir), "look for what is in the way");
    let counters = [
        (WAL_DIR, &metrics.wal_corruptions),
        (WBL_DIR, &metrics.wal_corruptions),
        (CHUNKS_DIR, &metrics.head_chunk_corruptions),
    ];
    for (name, counter) in counters {
        let Some(entry) = entries.iter().find(|e| e.name == name) else { continue };
        let path = dir.join(name);
        if !entry.is_dir {
            away(disk, &path, WRONG_KIND, &"it is no directory", counter);
            continue;
        }
        match disk.list(&path) {
            Ok(inside) => inside.iter().filter(|e| is_wrong(name, e)).for_each(|e| {
                away(
                    disk,
                    &path.join(&e.name),
                    WRONG_KIND,
                    &"it is not of the kind that its name says",
                    counter,
                );
            }),
            Err(error) if error.is_not_found() => {}
            Err(error) => away(disk, &path, UNREADABLE, &error, counter),
        }
    }
    for entry in entries.iter().filter(|e| !e.is_dir && is_snapshot(&e.name)) {
        away(disk, &dir.join(&entry.name), WRONG_KIND, &"it is no directory", &metrics.snapshots_failed);
    }
    for entry in entries.iter().filter(|e| e.name == REFS_IN_WRITING && (e.is_dir || e.is_other)) {
        away(disk, &dir.join(&entry.name), WRONG_KIND, &"it is no file", &metrics.wal_corruptions);
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// Segments are files, checkpoints are directories.
fn is_wrong(dir: &str, entry: &Entry) -> bool {
    let is_checkpoint = || entry.name.strip_prefix("checkpoint.").is_some_and(is_number);
    match entry.is_dir {
        true => dir != CHUNKS_DIR && is_number(&entry.name),
        false => is_checkpoint() || entry.is_other && is_number(&entry.name),
    }
}

/// Whether a snapshot of the memory belongs there: a whole one, one in writing, or one that an earlier start took.
fn is_snapshot(name: &str) -> bool {
    let parts = |rest: &str| rest.split('.').all(|part| is_number(part) || matches!(part, "tmp" | "taken"));
    name.strip_prefix(SNAPSHOT_PREFIX).is_some_and(parts)
}

fn away(disk: &dyn Disk, path: &Path, suffix: &str, reason: &dyn std::fmt::Display, counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
    match disk::set_aside(disk, path, suffix) {
        Ok(aside) => {
            tracing::error!(path = %path.display(), %reason, aside = %aside.display(), "set something aside that cannot be used: starting without it");
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %reason, %error, "something cannot be used, nor set aside: starting without it");
        }
    }
}

/// Segments that must have been there and are not: `segments` are there, those up to `covered` are in a checkpoint, and `held` was
/// made durable by an earlier run.
pub(super) fn missing(
    dir: &Path,
    segments: &[u32],
    covered: Option<u32>,
    held: Option<u32>,
) -> Vec<wal::Error> {
    let begin = covered.map_or(0, |covered| covered.saturating_add(1));
    let range = |first, last| wal::Error::Missing { dir: dir.to_owned(), first, last };
    let mut behind = segments.iter().copied().filter(|s| *s >= begin);
    let Some(first) = behind.next() else {
        // A checkpoint is written only when the segment behind what it covers has been begun.
        let known = held.filter(|held| *held >= begin).or(covered.map(|_| begin));
        return known.map(|last| range(begin, last)).into_iter().collect();
    };
    let last = behind.next_back().unwrap_or(first);
    let before = (first > begin).then(|| range(begin, first - 1));
    let after = held.filter(|held| *held > last).map(|held| range(last + 1, held));
    before.into_iter().chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let check = |segments: &[u32], covered, held, expected: &[(u32, u32)]| {
            let missing = missing(Path::new("wal"), segments, covered, held);
            let ranges = missing.iter().map(|error| match error {
                wal::Error::Missing { first, last, .. } => (*first, *last),
                other => panic!("{other}"),
            });
            assert_eq!(ranges.collect::<Vec<_>>(), expected, "{segments:?} {covered:?} {held:?}");
        };
        check(&[], None, None, &[]);
        check(&[0, 1], None, None, &[]);
        check(&[0, 1], None, Some(1), &[]);
        check(&[3, 4, 5], Some(4), Some(5), &[]);
        check(&[5, 6], Some(4), Some(5), &[]);
        check(&[6, 7], Some(4), None, &[(5, 5)]);
        check(&[2, 3], None, Some(3), &[(0, 1)]);
        check(&[0, 1], None, Some(4), &[(2, 4)]);
        check(&[6], Some(4), Some(8), &[(5, 5), (7, 8)]);
        check(&[], None, Some(0), &[(0, 0)]);
        check(&[], Some(4), None, &[(5, 5)]);
        check(&[3, 4], Some(4), Some(7), &[(5, 7)]);
        check(&[], Some(4), Some(3), &[(5, 5)]);
    }
}
