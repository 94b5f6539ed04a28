//! An open file: the same steps as the real one takes, each a system call that can fail.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb::disk::{Error, File, Syncer};

use super::faults::{dead, full, io_error};
use super::nodes::Inode;
use super::{SimDisk, State};

#[derive(Debug)]
pub(super) struct SimFile {
    handle: Arc<Handle>,
    len: u64,
}

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    inode: Inode,
    path: PathBuf,
    life: u64,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: Inode, path: &Path, len: u64, life: u64) -> Self {
        SimFile { handle: Arc::new(Handle { disk, inode, path: path.to_owned(), life }), len }
    }
}

impl Handle {
    fn call<T>(
        &self,
        action: &'static str,
        call: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, Error> {
        let mut state = self.disk.state.lock();
        let done = if state.life == self.life { call(&mut state) } else { Err(dead()) };
        done.map_err(|e| Error::new(action, &self.path, e))
    }

    /// pwrite(2), as often as it takes.
    fn write_all(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = self.call("write", |state| write_some(state, self.inode, offset, bytes))?;
            offset += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<(), Error> {
        self.call("truncate", |state| {
            state.enter_change("truncate")?;
            if let Some(file) = state.nodes.file(self.inode) {
                file.truncate(len);
            }
            Ok(())
        })
    }
}

/// One pwrite(2): returns how much it wrote.
fn write_some(state: &mut State, inode: Inode, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    state.enter("write")?;
    let room = state.room();
    let State { nodes, random, faults, .. } = state;
    let Some(file) = nodes.file(inode) else { return Err(dead()) };
    let grows = (offset + bytes.len() as u64).saturating_sub(file.len() as u64);
    let mut len = bytes.len();
    if grows > room {
        len = len.saturating_sub((grows - room) as usize);
        if len == 0 {
            return Err(full());
        }
    } else if random.chance(faults.short_writes) {
        len = 1 + random.index(len);
    }
    if state.ends_here() {
        len = state.random.index(len + 1);
    }
    if let Some(file) = state.nodes.file(inode) {
        file.write(offset, &bytes[..len]);
    }
    if state.faults.crashed { Err(dead()) } else { Ok(len) }
}

impl Syncer for Handle {
    fn sync(&self) -> Result<(), Error> {
        self.call("sync", |state| {
            let entered = state.enter_change("sync");
            let State { nodes, random, faults, .. } = state;
            let Some(file) = nodes.file(self.inode) else { return entered };
            match entered {
                Ok(()) if !random.chance(faults.lost_syncs) => file.sync(),
                Err(_) if !faults.crashed => file.fail_sync(random),
                _ => {}
            }
            entered
        })
    }
}

impl File for SimFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.handle.write_all(self.len, bytes) {
            let _ = self.handle.truncate(self.len); // as the real disk does; where it fails too, the tail stays torn
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.handle.write_all(offset, bytes)
    }

    fn truncate(&mut self, len: u64) -> Result<(), Error> {
        self.handle.truncate(len)?;
        self.len = len;
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.handle.sync()
    }

    fn syncer(&self) -> Arc<dyn Syncer> {
        Arc::clone(&self.handle) as Arc<dyn Syncer>
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// Reads the content as it was when the file was opened.
pub(super) struct SimReader {
    disk: SimDisk,
    content: Arc<Vec<u8>>,
    at: usize,
    /// Where reading fails.
    end: Option<usize>,
}

impl SimReader {
    pub(super) fn new(disk: SimDisk, content: Arc<Vec<u8>>, end: Option<usize>) -> Self {
        SimReader { disk, content, at: 0, end }
    }
}

impl Read for SimReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.state.lock().enter("read")?;
        let end = self.end.map_or(self.content.len(), |end| end.min(self.content.len()));
        let rest = &self.content[self.at..end];
        if rest.is_empty() && self.end.is_some() {
            return Err(io_error());
        }
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}
