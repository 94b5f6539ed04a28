//! The machine's own file system.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, Entry, Error, File, Lock, Mapped, Syncer};

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

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        at("create", path, fs::File::create(path))?;
        self.append(path)
    }

    fn append(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let file = at("open", path, fs::OpenOptions::new().read(true).write(true).open(path))?;
        let len = at("read the length of", path, file.metadata())?.len();
        Ok(Box::new(RealFile { file: Arc::new(Handle { file, path: path.to_owned() }), len }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        at("read", path, fs::read(path))
    }

    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, Error> {
        Ok(Box::new(at("open", path, fs::File::open(path))?))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let file = at("open", path, fs::File::open(path))?;
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
        let file = at("open", path, fs::File::open(path))?;
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
            let meta = match fs::metadata(entry.path()) {
                Ok(meta) => meta,
                // Removed since, or a dangling link: not there.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                // There, and nobody can say more of it: who opens it gets the reason.
                Err(_) => {
                    entries.push(Entry { name, is_dir: false, len: 0 });
                    continue;
                }
            };
            let is_dir = meta.is_dir();
            entries.push(Entry { name, is_dir, len: if is_dir { 0 } else { meta.len() } });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        at("sync", dir, fs::File::open(dir).and_then(|d| d.sync_all()))
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
        path.exists()
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = fs::File::options().create(true).truncate(false).write(true).open(path);
        let mut locks = Vec::new();
        let mut refused = None;
        // The file first: it is what other programs look at.
        for (path, opened) in [(path, file), (parent, fs::File::open(parent))] {
            let locked = opened.and_then(|file| {
                let result = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
                result.map_err(io::Error::from).map(|()| file)
            });
            match locked {
                Ok(file) => locks.push(file),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => refused = refused.or(Some(Error::new("lock", path, e))),
            }
        }
        match refused {
            // Nothing could be written here.
            Some(e) if e.source.kind() == io::ErrorKind::PermissionDenied => Err(e),
            Some(e) if locks.is_empty() => Err(e),
            _ => Ok(Some(Box::new(Locks { _files: locks }))),
        }
    }
}

/// The system releases them when the files are closed.
#[derive(Debug)]
struct Locks {
    _files: Vec<fs::File>,
}

impl Lock for Locks {}
