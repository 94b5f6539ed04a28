//! A disk in memory that knows what is durable, counts its calls, and fails as it is told.
//!
//! ```
//! use std::path::Path;
//! use testkit::{Loss, SimDisk};
//! use tsdb::disk::Disk;
//!
//! let disk = SimDisk::new(1);
//! disk.create(Path::new("/a")).unwrap().write(b"never synced").unwrap();
//! disk.restart(Loss::Unsynced);
//! assert!(!disk.exists(Path::new("/a")));
//! ```

mod faults;
mod file;
mod nodes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tsdb::disk::{Disk, Entry, Error, File, Lock, Mapped};

use crate::{ManualClock, Random};
use faults::{Faults, dead, full, io_error};
use file::{SimFile, SimReader};
pub use nodes::Loss;
use nodes::{DirNode, FileNode, Inode, Node, Nodes, ROOT};

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    nodes: Nodes,
    faults: Faults,
    random: Random,
    clock: Option<Arc<ManualClock>>,
    locks: BTreeSet<PathBuf>,
    /// Counts restarts: what an earlier process opened is closed.
    life: u64,
}

impl SimDisk {
    /// An empty disk; all its choices follow from the seed.
    pub fn new(seed: u64) -> Self {
        let state = State {
            nodes: Nodes::new(),
            faults: Faults::default(),
            random: Random::new(seed),
            clock: None,
            locks: BTreeSet::new(),
            life: 0,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// System calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().faults.calls
    }

    /// System calls so far that change something or make it durable: what [`SimDisk::crash_at`] counts.
    pub fn changes(&self) -> u64 {
        self.state.lock().faults.changes
    }

    /// Ends the process within this change: it may have happened in part, and no later call does anything.
    pub fn crash_at(&self, change: Option<u64>) {
        self.state.lock().faults.crash_at = change;
    }

    /// The change within which the process will end.
    pub fn crash_at_planned(&self) -> Option<u64> {
        self.state.lock().faults.crash_at
    }

    /// Whether the process has ended.
    pub fn has_crashed(&self) -> bool {
        self.state.lock().faults.crashed
    }

    /// From this call on, so many calls fail with EIO.
    pub fn fail_at(&self, call: u64, times: u64) {
        self.state.lock().faults.fail = Some((call, times));
    }

    /// No call fails from now on. Returns how many did.
    pub fn stop_failing(&self) -> u64 {
        let mut state = self.state.lock();
        state.faults.fail = None;
        std::mem::take(&mut state.faults.failed)
    }

    /// What stands at this path cannot be read or listed from now on: EIO. It can be renamed, and is readable then.
    pub fn set_unreadable(&self, path: &Path) {
        self.state.lock().faults.unreadable.insert(path.to_owned());
    }

    /// What is read of the file at this path ends with EIO behind so many bytes; it cannot be mapped. As long as it has this name.
    pub fn set_unreadable_from(&self, path: &Path, offset: usize) {
        self.state.lock().faults.unreadable_from.insert(path.to_owned(), offset);
    }

    /// How many bytes all files may have together; none: any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().faults.capacity = bytes;
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.state.lock().nodes.used()
    }

    /// Of a hundred writes, so many take more than one system call.
    pub fn set_short_writes(&self, percent: u64) {
        self.state.lock().faults.short_writes = percent;
    }

    /// Of a hundred syncs, so many do nothing and say that they did.
    pub fn set_lost_syncs(&self, percent: u64) {
        self.state.lock().faults.lost_syncs = percent;
    }

    /// Of a hundred files that are read, so many have a flipped bit in what is read. Returns how many had until now.
    pub fn set_flips(&self, percent: u64) -> u64 {
        let mut state = self.state.lock();
        state.faults.flips = percent;
        std::mem::take(&mut state.faults.flipped)
    }

    /// Of a hundred calls, so many take so many milliseconds: the clock is moved on, nobody waits.
    pub fn set_slow(&self, percent: u64, ms: i64, clock: Arc<ManualClock>) {
        let mut state = self.state.lock();
        state.faults.slow = (percent, ms);
        state.clock = Some(clock);
    }

    /// How many calls of each kind were slow.
    pub fn slow_calls(&self) -> Vec<(&'static str, u64)> {
        self.state.lock().faults.slow_calls.iter().map(|(kind, n)| (*kind, *n)).collect()
    }

    /// The next process: what `loss` says is lost, all locks are free, what was opened before is closed, no crash is planned.
    pub fn restart(&self, loss: Loss) {
        let mut state = self.state.lock();
        let State { nodes, random, faults, locks, life, .. } = &mut *state;
        nodes.restart(loss, random);
        locks.clear();
        *life += 1;
        faults.crashed = false;
        faults.crash_at = None;
    }

    /// All files below a directory, sorted, with their lengths.
    pub fn files(&self, below: &Path) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        let mut found = Vec::new();
        let mut waiting: Vec<(PathBuf, Inode)> =
            state.find(below).map(|inode| (below.to_owned(), inode)).into_iter().collect();
        while let Some((path, inode)) = waiting.pop() {
            match state.nodes.get(inode) {
                Some(Node::File(file)) => found.push((path, file.len() as u64)),
                Some(Node::Dir(dir)) => {
                    waiting.extend(dir.present.iter().map(|(name, inode)| (path.join(name), *inode)));
                }
                None => {}
            }
        }
        found.sort();
        found
    }

    /// Changes a file's content behind everybody's back, durably: a medium that decays. False where there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state.lock();
        let inode = state.find(path);
        let file = inode.and_then(|inode| state.nodes.file(inode));
        file.map(|file| file.decay(change)).is_some()
    }

    /// Runs a call that changes nothing.
    fn look<T>(
        &self,
        action: &'static str,
        path: &Path,
        call: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, Error> {
        let mut state = self.state.lock();
        let readable =
            |state: &State| if state.faults.unreadable.contains(path) { Err(io_error()) } else { Ok(()) };
        let entered = state.enter(action).and_then(|()| readable(&state));
        entered.and_then(|()| call(&mut state)).map_err(|e| Error::new(action, path, e))
    }

    /// Runs a call that changes something at one stroke.
    fn change<T>(
        &self,
        action: &'static str,
        path: &Path,
        call: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, Error> {
        let mut state = self.state.lock();
        state.enter_change(action).and_then(|()| call(&mut state)).map_err(|e| Error::new(action, path, e))
    }

    fn open(&self, path: &Path, inode: Inode, len: u64) -> Box<dyn File> {
        Box::new(SimFile::new(self.clone(), inode, path, len, self.state.lock().life))
    }
}

impl State {
    /// Counts a call; an error where it fails.
    fn enter(&mut self, action: &'static str) -> io::Result<()> {
        let faults = &mut self.faults;
        if faults.crashed {
            return Err(dead());
        }
        faults.calls += 1;
        let (percent, ms) = faults.slow;
        if percent > 0
            && self.random.chance(percent)
            && let Some(clock) = &self.clock
        {
            clock.advance(ms);
            *faults.slow_calls.entry(action).or_default() += 1;
        }
        if let Some((from, times)) = faults.fail
            && (from..from.saturating_add(times)).contains(&faults.calls)
        {
            faults.failed += 1;
            return Err(io_error());
        }
        Ok(())
    }

    /// Counts a call that changes something; an error where it fails, or the process ends before it.
    fn enter_change(&mut self, action: &'static str) -> io::Result<()> {
        self.enter(action)?;
        if self.ends_here() { Err(dead()) } else { Ok(()) }
    }

    /// Counts a change; whether the process ends within it.
    fn ends_here(&mut self) -> bool {
        self.faults.changes += 1;
        self.faults.crashed = self.faults.crash_at.is_some_and(|at| self.faults.changes >= at);
        self.faults.crashed
    }

    /// Bytes that can still be written.
    fn room(&self) -> u64 {
        self.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.nodes.used()))
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        let mut inode = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    inode = *self.nodes.dir(inode)?.present.get(name.to_str()?)?;
                }
                _ => return None,
            }
        }
        Some(inode)
    }

    fn inode(&self, path: &Path) -> io::Result<Inode> {
        self.find(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, path: &Path) -> io::Result<(Inode, &mut FileNode)> {
        let inode = self.inode(path)?;
        match self.nodes.file(inode) {
            Some(file) => Ok((inode, file)),
            None => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// A path's directory, which must be there, and its name in it.
    fn place(&self, path: &Path) -> io::Result<(Inode, String)> {
        let parent = self.inode(path.parent().unwrap_or(Path::new("/")))?;
        if self.nodes.dir(parent).is_none() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let name = path.file_name().and_then(|n| n.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((parent, name.to_owned()))
    }

    /// The content as a reader gets it.
    fn content(&mut self, path: &Path) -> io::Result<Arc<Vec<u8>>> {
        let mut content = self.file(path)?.1.content();
        if self.faults.flips > 0 && !content.is_empty() && self.random.chance(self.faults.flips) {
            let bit = self.random.index(content.len() * 8);
            Arc::make_mut(&mut content)[bit / 8] ^= 1 << (bit % 8);
            self.faults.flipped += 1;
        }
        Ok(content)
    }

    /// The content, where all of it can be read.
    fn whole_content(&mut self, path: &Path) -> io::Result<Arc<Vec<u8>>> {
        if self.faults.unreadable_from.contains_key(path) { Err(io_error()) } else { self.content(path) }
    }

    /// Removes one name; a directory must be empty.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.inode(path)?;
        let place = self.place(path)?;
        if self.nodes.dir(inode).is_some_and(|dir| !dir.present.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.nodes.rename(vec![(place.0, place.1, None)]);
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let inode = self.change("create", path, |state| {
            let place = state.place(path)?;
            if let Ok((inode, file)) = state.file(path) {
                file.truncate(0);
                return Ok(inode);
            }
            if state.find(path).is_some() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if state.room() == 0 {
                return Err(full());
            }
            let inode = state.nodes.add(Node::File(FileNode::default()));
            state.nodes.rename(vec![(place.0, place.1, Some(inode))]);
            Ok(inode)
        })?;
        Ok(self.open(path, inode, 0))
    }

    fn append(&self, path: &Path) -> Result<Box<dyn File>, Error> {
        let (inode, len) = self.look("open", path, |state| {
            let (inode, file) = state.file(path)?;
            Ok((inode, file.len() as u64))
        })?;
        Ok(self.open(path, inode, len))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        self.look("read", path, |state| Ok(state.whole_content(path)?.as_ref().clone()))
    }

    fn reader(&self, path: &Path) -> Result<Box<dyn io::Read + Send>, Error> {
        let content = self.look("open", path, |state| state.content(path))?;
        let end = self.state.lock().faults.unreadable_from.get(path).copied();
        Ok(Box::new(SimReader::new(self.clone(), content, end)))
    }

    fn map(&self, path: &Path) -> Result<Mapped, Error> {
        self.look("map", path, |state| Ok(Mapped::from_bytes(state.whole_content(path)?.as_slice())))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.change("rename", from, |state| {
            let (inode, old, new) = (state.inode(from)?, state.place(from)?, state.place(to)?);
            if let Some(there) = state.find(to) {
                let is_dir = |inode| state.nodes.dir(inode);
                match (is_dir(inode), is_dir(there)) {
                    (None, None) => {}
                    (Some(_), Some(there)) if there.present.is_empty() => {}
                    (Some(_), Some(_)) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
                    (None, Some(_)) => return Err(io::ErrorKind::IsADirectory.into()),
                    (Some(_), None) => return Err(io::ErrorKind::NotADirectory.into()),
                }
            }
            state.nodes.rename(vec![(old.0, old.1, None), (new.0, new.1, Some(inode))]);
            state.faults.unreadable.remove(from);
            state.faults.unreadable_from.remove(from);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> Result<(), Error> {
        self.change("remove", path, |state| {
            state.file(path)?;
            state.remove(path)
        })
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), Error> {
        // One system call an entry, as it is: a crash leaves a part.
        for entry in self.list(path)? {
            let child = path.join(&entry.name);
            if entry.is_dir { self.remove_dir_all(&child)? } else { self.remove_file(&child)? }
        }
        self.change("remove", path, |state| state.remove(path))
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for dir in above {
            let known = self.look("look at", dir, |state| Ok(state.find(dir)))?;
            match known {
                Some(inode) if self.state.lock().nodes.dir(inode).is_some() => {}
                Some(_) => return Err(Error::new("create", dir, io::ErrorKind::AlreadyExists.into())),
                None => self.change("create", dir, |state| {
                    let place = state.place(dir)?;
                    if state.room() == 0 {
                        return Err(full());
                    }
                    let inode = state.nodes.add(Node::Dir(DirNode::default()));
                    state.nodes.rename(vec![(place.0, place.1, Some(inode))]);
                    Ok(())
                })?,
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        self.look("list", dir, |state| {
            let inode = state.inode(dir)?;
            let Some(node) = state.nodes.dir(inode) else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            let entry = |(name, inode): (&String, &Inode)| match state.nodes.get(*inode) {
                Some(Node::File(file)) => {
                    Some(Entry { name: name.clone(), is_dir: false, is_other: false, len: file.len() as u64 })
                }
                Some(Node::Dir(_)) => {
                    Some(Entry { name: name.clone(), is_dir: true, is_other: false, len: 0 })
                }
                None => None,
            };
            Ok(node.present.iter().filter_map(entry).collect())
        })
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        self.change("sync", dir, |state| {
            let inode = state.inode(dir)?;
            if !state.random.chance(state.faults.lost_syncs) {
                state.nodes.sync_dir(inode);
            }
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.change("link", from, |state| {
            let (inode, _) = state.file(from)?;
            if state.find(to).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let (dir, name) = state.place(to)?;
            state.nodes.rename(vec![(dir, name, Some(inode))]);
            Ok(())
        })
    }

    fn capacity(&self, _dir: &Path) -> Result<Option<u64>, Error> {
        Ok(self.state.lock().faults.capacity)
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state.lock();
        !state.faults.crashed && state.find(path).is_some()
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
        let was_left_behind = self.exists(path);
        if !was_left_behind {
            match self.create(path) {
                Err(e) if !e.is_full() => return Err(e),
                _ => {} // the directory is enough
            }
        }
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
            life: state.life,
            was_left_behind,
        })))
    }

    fn random(&self) -> u64 {
        self.state.lock().random.bits()
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
    was_left_behind: bool,
}

impl Lock for SimLock {
    fn was_left_behind(&self) -> bool {
        self.was_left_behind
    }

    fn remove_file(&self) -> Result<(), Error> {
        if self.disk.exists(&self.path) { self.disk.remove_file(&self.path) } else { Ok(()) }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}
