//! The only door to the file system: a trait, so that a faulty disk can stand in for the real one.

pub mod mmap;
mod real;

pub use mmap::Mapped;
pub use real::RealDisk;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failed disk operation: what was attempted, on which path, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {source}{}", .path.display(), if self.is_full() { " (what was written before is kept)" } else { "" })]
pub struct Error {
    /// What was attempted: a verb, as in "write".
    pub action: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl Error {
    /// An error of an action on a path.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Error { action, path: path.to_owned(), source }
    }

    /// Whether the device or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the path does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether something of another kind stands there: a pipe, a device or a directory for a file, a file for a directory, links that
    /// lead in a circle. Trying again does not help.
    pub fn is_wrong_kind(&self) -> bool {
        let is_no_file = self.source.get_ref().is_some_and(|e| e.is::<NoRegularFile>());
        let kinds = [io::ErrorKind::IsADirectory, io::ErrorKind::NotADirectory];
        is_no_file || kinds.contains(&self.source.kind()) || is_loop(&self.source)
    }
}

/// Whether links lead in a circle.
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// What stands where a regular file belongs. To read a pipe waits for its writer, to read `/dev/zero` never ends.
#[derive(Debug, thiserror::Error)]
#[error("it is {0}, and no regular file")]
struct NoRegularFile(&'static str);

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name in its directory. Names that are not UTF-8 are none of ours and are not listed.
    pub name: String,
    /// Whether it is a directory, or a link to one.
    pub is_dir: bool,
    /// Whether it is neither a directory nor a regular file, nor a link to one: a pipe, a device, a link that leads nowhere or in a circle.
    pub is_other: bool,
    /// Length in bytes (0 where it is no regular file).
    pub len: u64,
}

/// Creates, reads, names and removes files. What is opened as a file must be a regular one, or a link to one: all else is an error that
/// says what it is, and is never waited for.
pub trait Disk: Send + Sync + fmt::Debug {
    /// A new empty file, opened for appending; one that stands there is truncated.
    fn create(&self, path: &Path) -> Result<Box<dyn File>, Error>;
    /// An existing file, opened for appending at its end.
    fn append(&self, path: &Path) -> Result<Box<dyn File>, Error>;
    /// The whole content.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Error>;
    /// The content as a stream.
    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, Error>;
    /// Some of the content: `len` bytes at `offset`, fewer where the file ends.
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let failed = |e| Error::new("read", path, e);
        let mut reader = self.reader(path)?;
        io::copy(&mut Read::take(&mut reader, offset), &mut io::sink()).map_err(failed)?;
        let mut bytes = Vec::new();
        Read::take(reader, len as u64).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
    /// Reads some of the content for nothing but the error: what a mapping cannot read ends the process.
    fn probe(&self, path: &Path, range: Range<u64>) -> Result<(), Error> {
        const STEP: u64 = 1 << 20;
        let mut at = range.start;
        while at < range.end {
            let len = STEP.min(range.end - at);
            self.read_at(path, at, len as usize)?;
            at += len;
        }
        Ok(())
    }
    /// The content, mapped for reading.
    fn map(&self, path: &Path) -> Result<Mapped, Error>;
    /// Gives a file or directory another name in the same file system; a file there is replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<(), Error>;
    /// Removes a directory with all in it.
    fn remove_dir_all(&self, path: &Path) -> Result<(), Error>;
    /// Creates a directory and those above it.
    fn create_dir_all(&self, path: &Path) -> Result<(), Error>;
    /// The entries, sorted by name.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error>;
    /// Makes creations, renames and removals in the directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<(), Error>;
    /// A second name for a file, without copying (snapshots).
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), Error>;
    /// Bytes of the file system that a directory is in; none where that is not known.
    fn capacity(&self, _dir: &Path) -> Result<Option<u64>, Error> {
        Ok(None)
    }
    /// Whether something stands at the path, be it a link that leads nowhere.
    fn exists(&self, path: &Path) -> bool;
    /// Takes a file (made where it is missing) and its directory for this process, until the lock is dropped or the process ends,
    /// however it ends. None where another holds it. The directory is enough where the file cannot be made: the disk may be full. What is no
    /// regular file is set aside.
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, Error>;
    /// A random number, for names that nobody else takes: the standard library seeds its hashers from the system.
    fn random(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// A name beside `path` that is still free: `<path>.<suffix>`, then with a number behind it.
pub(crate) fn free_name(disk: &dyn Disk, path: &Path, suffix: &str) -> PathBuf {
    let name = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        if n > 0 {
            name.push(format!(".{n}"));
        }
        PathBuf::from(name)
    };
    let mut n = 0;
    while disk.exists(&name(n)) {
        n += 1;
    }
    name(n)
}

/// Gives what stands in the way another name, durably: `<path>.<suffix>`, with a number behind it where that is taken. Returns it.
pub(crate) fn set_aside(disk: &dyn Disk, path: &Path, suffix: &str) -> Result<PathBuf, Error> {
    let aside = free_name(disk, path, suffix);
    disk.rename(path, &aside)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))?;
    Ok(aside)
}

/// A lock that is held; dropping it releases it.
pub trait Lock: Send + Sync + fmt::Debug {
    /// Whether its file stood there already: whoever had made it did not come to its end.
    fn was_left_behind(&self) -> bool;
    /// Removes its file, at a clean end. The directory stays locked.
    fn remove_file(&self) -> Result<(), Error>;
}

/// A file that is being written.
pub trait File: Send + Sync + fmt::Debug {
    /// Appends all the bytes with as few system calls as the system allows: one, on a healthy disk.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Overwrites bytes that were written before (a header that is known at the end).
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error>;
    /// Cuts the file, and sets the end where the next write goes.
    fn truncate(&mut self, len: u64) -> Result<(), Error>;
    /// Makes the content durable.
    fn sync(&self) -> Result<(), Error>;
    /// Makes the content durable without holding the writer: what was written before the call is safe after it.
    fn syncer(&self) -> Arc<dyn Syncer>;
    /// Length in bytes, as far as it has been written.
    fn len(&self) -> u64;
    /// Whether nothing has been written.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes a file's content durable, from any thread.
pub trait Syncer: Send + Sync + fmt::Debug {
    /// Returns when all that was written before the call is on stable storage.
    fn sync(&self) -> Result<(), Error>;
}
