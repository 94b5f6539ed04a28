//! The machine's own file system.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::{Disk, Entry, Error, File, Lock, Mapped, NoRegularFile, Syncer, is_loop, set_aside};

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: Arc<Handle>,
    len: u64,
}

#[derive(Debug)]
struct Handle {
    file: fs::File,
    path: PathBuf,
}

impl Syncer for Handle {
    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::new("sync", &self.path, e))
    }
}

impl File for RealFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let result = self.file.file.write_all_at(bytes, self.len);
        if let Err(e) = result {
            // A short write leaves a torn tail: cut it off, so that what follows is not appended to garbage.
            let _ = self.file.file.set_len(self.len);
            return Err(Error::new("write", &self.file.path, e));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        debug_assert!(offset + bytes.len() as u64 <= self.len, "write_at beyond the end");
        self.file.file.write_all_at(bytes, offset).map_err(|e| Error::new("write", &self.file.path, e))
    }

    fn truncate(&mut self, len: u64) -> Result<(), Error> {
        self.file.file.set_len(len).map_err(|e| Error::new("truncate", &self.file.path, e))?;
        self.len = len;
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }

    fn syncer(&self) -> Arc<dyn Syncer> {
        Arc::clone(&self.file) as Arc<dyn Syncer>
    }

    fn len(&self) -> u64 {
        self.len
    }
}

fn at<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|e| Error::new(action, path, e))
}

/// Opens a regular file, or a link to one. Nothing is waited for: a pipe would wait for its other end, some devices for a line.
fn open_regular(options: &fs::OpenOptions, path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = options.clone().custom_flags(flags.bits() as i32).open(path);
    // What could not be opened for what it is has an error that says less of it.
    let meta = opened.as_ref().map_or_else(|_| fs::metadata(path), fs::File::metadata);
    match meta.map(|meta| meta.file_type()) {
        Ok(kind) if !kind.is_file() => Err(no_regular_file(kind)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => Err(no_regular_file(meta.file_type())),
            _ => opened,
        },
        _ => opened,
    }
}

fn no_regular_file(kind: fs::FileType) -> io::Error {
    let (what, error) = match kind {
        _ if kind.is_symlink() => ("a link that leads nowhere", io::ErrorKind::InvalidInput),
        _ if kind.is_dir() => ("a directory", io::ErrorKind::IsADirectory),
        _ if kind.is_fifo() => ("a pipe", io::ErrorKind::InvalidInput),
        _ if kind.is_socket() => ("a socket", io::ErrorKind::InvalidInput),
        _ => ("a device", io::ErrorKind::InvalidInput),
    };
    io::Error::new(error, NoRegularFile(what))
}

/// Opens a file for reading.
fn open_to_read(action: &'static str, path: &Path) -> Result<fs::File, Error> {
    at(action, path, open_regular(fs::OpenOptions::new().read(true), path))
}

/// Opens a directory, and nothing else.
fn open_dir(dir: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NONBLOCK | OFlags::DIRECTORY;
    fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(dir)
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = at("create", path, open_regular(&options, path))?;
        // only now that it is known to be one of ours
        at("create", path, file.set_len(0))?;
        Ok(Box::new(RealFile { file: Arc::new(Handle { file, path: path.to_owned() }), len: 0 }))
    }

    fn append(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let file = at("open", path, open_regular(fs::OpenOptions::new().read(true).write(true), path))?;
        let len = at("read the length of", path, file.metadata())?.len();
        Ok(Box::new(RealFile { file: Arc::new(Handle { file, path: path.to_owned() }), len }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        at("read", path, open_to_read("read", path)?.read_to_end(&mut bytes))?;
        Ok(bytes)
    }

    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, Error> {
        Ok(Box::new(open_to_read("open", path)?))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let file = open_to_read("open", path)?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::new("read", path, e)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn map(&self, path: &Path) -> Result<Mapped, Error> {
        let file = open_to_read("open", path)?;
        Mapped::open(&file, path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        at("rename", from, fs::rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<(), Error> {
        at("remove", path, fs::remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), Error> {
        at("remove", path, fs::remove_dir_all(path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        at("create", path, fs::create_dir_all(path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for entry in at("list", dir, fs::read_dir(dir))? {
            let entry = at("list", dir, entry)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = entry.path();
            entries.push(match fs::metadata(&path) {
                Ok(meta) => {
                    let (is_dir, is_file) = (meta.is_dir(), meta.is_file());
                    Entry {
                        name,
                        is_dir,
                        is_other: !is_dir && !is_file,
                        len: if is_file { meta.len() } else { 0 },
                    }
                }
                // Removed since.
                Err(_) if !self.exists(&path) => continue,
                // There, and nobody can say more of it: who opens it gets the reason.
                Err(e) => {
                    let is_other = e.kind() == io::ErrorKind::NotFound || is_loop(&e);
                    Entry { name, is_dir: false, is_other, len: 0 }
                }
            });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        at("sync", dir, open_dir(dir).and_then(|d| d.sync_all()))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        at("link", from, fs::hard_link(from, to))
    }

    fn capacity(&self, dir: &Path) -> Result<Option<u64>, Error> {
        let stat =
            at("ask for the size of the file system of", dir, rustix::fs::statvfs(dir).map_err(Into::into))?;
        Ok(Some(stat.f_blocks.saturating_mul(stat.f_frsize)))
    }

    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = match take(open_dir(parent)) {
            Ok(None) => return Ok(None),
            dir => at("lock", parent, dir),
        };
        let was_left_behind = self.exists(path);
        // The file too: it is what other programs look at.
        let file = match take_lock_file(path, dir.is_ok()) {
            Ok(None) => return Ok(None),
            file => at("lock", path, file),
        };
        match (file, dir) {
            // Nothing could be written here.
            (Err(e), _) | (_, Err(e)) if e.source.kind() == io::ErrorKind::PermissionDenied => Err(e),
            (Err(e), Err(_)) => Err(e),
            (file, dir) => {
                if let Err(error) = &file {
                    tracing::error!(%error, "only the directory itself is locked: another Prometheus would not notice");
                }
                let (file, _dir) = (file.ok().flatten(), dir.ok().flatten());
                Ok(Some(Box::new(Locks { path: path.to_owned(), was_left_behind, file, _dir })))
            }
        }
    }
}

/// Locks a file or directory; none where another process has it.
fn take(opened: io::Result<fs::File>) -> io::Result<Option<fs::File>> {
    let file = opened?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Locks the lock's file; none where another process has it. One that its last owner removed meanwhile is nobody's lock.
fn take_lock_file(path: &Path, alone: bool) -> io::Result<Option<fs::File>> {
    loop {
        let Some(file) = take(open_lock_file(path, alone))? else { return Ok(None) };
        let (held, named) = (file.metadata()?, fs::metadata(path));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(file));
        }
    }
}

/// Opens the lock's file, made where it is missing. What is no file is set aside: that nobody can have locked. `alone`: no other start does
/// so at the same time.
fn open_lock_file(path: &Path, alone: bool) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let error = match open_regular(&options, path) {
        Ok(file) => return Ok(file),
        Err(e) => Error::new("lock", path, e),
    };
    if !alone || !error.is_wrong_kind() {
        return Err(error.source);
    }
    let aside = set_aside(&RealDisk, path, "corrupt").map_err(|e| e.source)?;
    tracing::error!(%error, aside = %aside.display(), "set something aside that stood in the place of the lock");
    open_regular(&options, path)
}

/// The system releases them when the files are closed.
#[derive(Debug)]
struct Locks {
    path: PathBuf,
    was_left_behind: bool,
    file: Option<fs::File>,
    _dir: Option<fs::File>,
}

impl Lock for Locks {
    fn was_left_behind(&self) -> bool {
        self.was_left_behind
    }

    fn remove_file(&self) -> Result<(), Error> {
        match &self.file {
            Some(_) => RealDisk.remove_file(&self.path),
            None => Ok(()), // it is not ours
        }
    }
}
