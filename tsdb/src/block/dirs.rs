//! The blocks of a data directory: finding, removing, setting aside.

use std::path::{Path, PathBuf};

use ulid::Ulid;

use super::Error;
use super::write::CREATION_SUFFIX;
use crate::disk::{self, Disk, Entry};

/// What a block's directory is called while it is removed: a crash meanwhile leaves no half block.
const DELETION_SUFFIX: &str = ".tmp-for-deletion";

/// The blocks' directories: those whose names are ULIDs, oldest name first. A missing directory has none.
pub fn list(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<(Ulid, PathBuf)>, Error> {
    named(disk, data_dir, |entry| entry.is_dir)
}

/// What has a block's name and is no directory: plain files, links that lead nowhere or in a circle.
pub fn list_impostors(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<(Ulid, PathBuf)>, Error> {
    named(disk, data_dir, |entry| !entry.is_dir)
}

fn named(
    disk: &dyn Disk,
    data_dir: &Path,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Vec<(Ulid, PathBuf)>, Error> {
    let entries = match disk.list(data_dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let ulid = |name: &str| Ulid::from_string(name).ok().filter(|u| u.to_string() == name);
    let found = entries.iter().filter(|e| wanted(e));
    Ok(found.filter_map(|e| Some((ulid(&e.name)?, data_dir.join(&e.name)))).collect())
}

/// Removes a block: renamed first, durably, so that it is gone at one stroke and no power cut brings half of it back. One that is
/// open can be read on.
pub fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let mut doomed = dir.as_os_str().to_owned();
    doomed.push(DELETION_SUFFIX);
    let doomed = PathBuf::from(doomed);
    disk.rename(dir, &doomed)?;
    if let Some(parent) = dir.parent() {
        disk.sync_dir(parent)?;
    }
    Ok(disk.remove_dir_all(&doomed)?)
}

/// Removes what an interrupted writing, removing or repairing left behind. Called once at the start. Returns how many directories.
pub fn remove_leftovers(disk: &dyn Disk, data_dir: &Path) -> Result<usize, Error> {
    let mut removed = 0;
    for entry in disk.list(data_dir)? {
        let block = entry.name.split_once('.').filter(|(name, _)| Ulid::from_string(name).is_ok());
        let is_leftover = block.is_some_and(|(_, suffix)| {
            // ".tmp" is what old versions of Prometheus used.
            ["tmp", &CREATION_SUFFIX[1..], &DELETION_SUFFIX[1..]].contains(&suffix)
        });
        if entry.is_dir && is_leftover {
            disk.remove_dir_all(&data_dir.join(&entry.name))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Sets a damaged block aside as `<ulid>.corrupt`: it does not stop the start, and nothing of it is deleted. Returns the new
/// name.
pub fn set_aside(disk: &dyn Disk, dir: &Path) -> Result<PathBuf, Error> {
    Ok(disk::set_aside(disk, dir, "corrupt")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn only_blocks_count_and_only_leftovers_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (a, b) = ("01EM6Q6A1YPX4G9TEB20J22B2R", "01EM6Q6A1YPX4G9TEB20J22B2S");
        for name in [a, b, "wal", "snapshots", "01EM6Q6A1YPX4G9TEB20J22B2T.tmp-for-creation", "x.tmp"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("01EM6Q6A1YPX4G9TEB20J22B2V"), b"a file").unwrap();
        assert_eq!(remove_leftovers(&RealDisk, dir.path()).unwrap(), 1);
        let names: Vec<_> = list(&RealDisk, dir.path()).unwrap().iter().map(|(u, _)| u.to_string()).collect();
        assert_eq!(names, [a, b]);
        remove(&RealDisk, &at(a)).unwrap();
        let aside = set_aside(&RealDisk, &at(b)).unwrap();
        std::fs::create_dir(at(b)).unwrap();
        assert_ne!(set_aside(&RealDisk, &at(b)).unwrap(), aside);
        assert!(list(&RealDisk, dir.path()).unwrap().is_empty());
        assert!(at("x.tmp").exists());
        assert!(list(&RealDisk, &at("nothing")).unwrap().is_empty());
    }
}
