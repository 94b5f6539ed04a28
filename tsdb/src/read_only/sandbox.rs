//! A directory of links to a database's files. What is written there is never written through a link.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ulid::Ulid;

use crate::disk::{Disk, Entry, Error, File, Lock, Mapped, RealDisk, Syncer};
use crate::head::{CHUNKS_DIR, WAL_DIR};

/// How the directory's name begins: as that of Prometheus' own.
const PREFIX: &str = "tmp_dbro_sandbox";
/// Directories that replay writes into: made anew, with links to the files in them. Blocks are linked as a whole.
const WRITTEN: [&str; 3] = [WAL_DIR, CHUNKS_DIR, "wbl"];
/// How the names of in-memory snapshots begin.
const SNAPSHOT: &str = "chunk_snapshot.";

/// The directory; removed when dropped.
#[derive(Debug)]
pub(super) struct Sandbox(PathBuf);

impl Sandbox {
    /// Links all files of the database at `dir` below a new directory in `root`.
    pub(super) fn link(dir: &Path, root: &Path) -> Result<Self, Error> {
        let dir = fs::canonicalize(dir).map_err(|e| Error::new("open", dir, e))?;
        let sandbox = Sandbox(root.join(format!("{PREFIX}{:016x}", RealDisk.random())));
        let made = fs::DirBuilder::new().mode(0o700).create(sandbox.dir());
        made.map_err(|e| Error::new("create", sandbox.dir(), e))?;
        for entry in RealDisk.list(&dir)? {
            let (from, to) = (dir.join(&entry.name), sandbox.dir().join(&entry.name));
            if entry.is_dir && (WRITTEN.contains(&entry.name.as_str()) || entry.name.starts_with(SNAPSHOT)) {
                link_files(&from, &to)?;
            } else if entry.is_dir && Ulid::from_string(&entry.name).is_ok() {
                symlink(&from, &to)?;
            }
        }
        Ok(sandbox)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, dir = %self.0.display(), "cannot remove the sandbox");
        }
    }
}

fn symlink(from: &Path, to: &Path) -> Result<(), Error> {
    std::os::unix::fs::symlink(from, to).map_err(|e| Error::new("link", to, e))
}

fn link_files(from: &Path, to: &Path) -> Result<(), Error> {
    RealDisk.create_dir_all(to)?;
    for entry in RealDisk.list(from)? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir { link_files(&from, &to)? } else { symlink(&from, &to)? }
    }
    Ok(())
}

/// The real disk, but that a link is replaced by a copy before it is written, and that nothing needs to be durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct SandboxDisk;

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

#[derive(Debug)]
struct NoSync;

impl Syncer for NoSync {
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Debug)]
struct SandboxFile(Box<dyn File>);

impl File for SandboxFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(bytes)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_at(offset, bytes)
    }
    fn truncate(&mut self, len: u64) -> Result<(), Error> {
        self.0.truncate(len)
    }
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
    fn syncer(&self) -> Arc<dyn Syncer> {
        Arc::new(NoSync)
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl Disk for SandboxDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        if is_link(path) {
            RealDisk.remove_file(path)?;
        }
        Ok(Box::new(SandboxFile(RealDisk.create(path)?)))
    }

    fn append(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        if is_link(path) {
            let mut copy = path.as_os_str().to_owned();
            copy.push(".copy");
            let copy = PathBuf::from(copy);
            let failed = |e| Error::new("copy", path, e);
            let mut from = RealDisk.reader(path)?;
            let mut to = fs::File::create(&copy).map_err(failed)?;
            io::copy(&mut from, &mut to).map_err(failed)?;
            RealDisk.rename(&copy, path)?;
        }
        Ok(Box::new(SandboxFile(RealDisk.append(path)?)))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        RealDisk.read(path)
    }
    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, Error> {
        RealDisk.reader(path)
    }
    fn map(&self, path: &Path) -> Result<Mapped, Error> {
        RealDisk.map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        RealDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<(), Error> {
        RealDisk.remove_file(path)
    }

    /// A link to a directory goes without what it names: so does the standard library's function with links inside.
    fn remove_dir_all(&self, path: &Path) -> Result<(), Error> {
        if is_link(path) { RealDisk.remove_file(path) } else { RealDisk.remove_dir_all(path) }
    }
    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        RealDisk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        RealDisk.list(dir)
    }
    fn sync_dir(&self, _: &Path) -> Result<(), Error> {
        Ok(())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        RealDisk.hard_link(from, to)
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
        RealDisk.lock(path)
    }
}
