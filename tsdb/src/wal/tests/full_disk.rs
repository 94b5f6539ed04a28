//! A disk that runs full in the middle of a write, and is given room again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::disk::{self, Disk, Entry, File, Lock, Mapped, RealDisk, Syncer};

/// The real disk with room for so many bytes; what does not fit is written as far as it fits, and left there.
#[derive(Clone, Debug)]
struct SmallDisk {
    room: Arc<AtomicU64>,
}

#[derive(Debug)]
struct SmallFile {
    file: Box<dyn File>,
    room: Arc<AtomicU64>,
    /// Bytes of complete writes: what [`File::len`] promises.
    len: u64,
    path: std::path::PathBuf,
}

impl File for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), disk::Error> {
        let room = self.room.load(Ordering::Relaxed);
        let fits = bytes.len().min(room as usize);
        self.room.store(room - fits as u64, Ordering::Relaxed);
        self.file.write(&bytes[..fits])?;
        if fits < bytes.len() {
            return Err(disk::Error::new("write", &self.path, io::ErrorKind::StorageFull.into()));
        }
        self.len += fits as u64;
        Ok(())
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), disk::Error> {
        self.file.write_at(offset, bytes)
    }
    fn truncate(&mut self, len: u64) -> Result<(), disk::Error> {
        self.len = len;
        self.file.truncate(len)
    }
    fn sync(&self) -> Result<(), disk::Error> {
        self.file.sync()
    }
    fn syncer(&self) -> Arc<dyn Syncer> {
        self.file.syncer()
    }
    fn len(&self) -> u64 {
        self.len
    }
}

impl SmallDisk {
    fn wrap(&self, file: Box<dyn File>, path: &Path) -> Box<dyn File> {
        Box::new(SmallFile { len: file.len(), file, room: Arc::clone(&self.room), path: path.to_owned() })
    }
}

impl Disk for SmallDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, disk::Error> {
        Ok(self.wrap(RealDisk.create(path)?, path))
    }
    fn append(&self, path: &Path) -> Result<Box<dyn File>, disk::Error> {
        Ok(self.wrap(RealDisk.append(path)?, path))
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>, disk::Error> {
        RealDisk.read(path)
    }
    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, disk::Error> {
        RealDisk.reader(path)
    }
    fn map(&self, path: &Path) -> Result<Mapped, disk::Error> {
        RealDisk.map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), disk::Error> {
        RealDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<(), disk::Error> {
        RealDisk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> Result<(), disk::Error> {
        RealDisk.remove_dir_all(path)
    }
    fn create_dir_all(&self, path: &Path) -> Result<(), disk::Error> {
        RealDisk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, disk::Error> {
        RealDisk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> Result<(), disk::Error> {
        RealDisk.sync_dir(dir)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), disk::Error> {
        RealDisk.hard_link(from, to)
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, disk::Error> {
        RealDisk.lock(path)
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_written_and_the_log_goes_on() {
    for room in (0..3 * PAGE_SIZE as u64).step_by(1711) {
        let dir = tempfile::tempdir().unwrap();
        let small = SmallDisk { room: Arc::new(AtomicU64::new(room)) };
        let options = WalOptions {
            segment_size: 2 * PAGE_SIZE as u64,
            compression: Compression::None,
            ..WalOptions::default()
        };
        let mut wal = Wal::open(Arc::new(small.clone()), dir.path(), options).unwrap();
        let records: Vec<_> = (0..30).map(|i| noise(5_000, i)).collect();
        let mut written = Vec::new();
        let mut failures = 0;
        for record in &records {
            match wal.log(&[record]) {
                Ok(()) => written.push(record.clone()),
                Err(error) => {
                    failures += 1;
                    assert!(matches!(&error, Error::Disk(e) if e.is_full()), "{error}");
                    assert!(error.to_string().contains("what was written before is kept"), "{error}");
                    if failures == 3 {
                        small.room.store(u64::MAX, Ordering::Relaxed);
                    }
                }
            }
        }
        assert_eq!((failures, written.len()), (3, 27), "{room}");
        assert_eq!(read_all(dir.path()).unwrap(), written, "{room}");
    }
}
