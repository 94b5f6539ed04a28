//! What shall go wrong, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// The system's numbers for the errors that a disk gives (the same on all Linux machines).
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// An input/output error.
pub(super) fn io_error() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

/// No room is left.
pub(super) fn full() -> io::Error {
    io::Error::from_raw_os_error(ENOSPC)
}

/// What a process sees that is dead already: nothing of it reaches the disk.
pub(super) fn dead() -> io::Error {
    io::Error::other("the process has ended")
}

/// The plan of faults. Calls are counted from 1, since the disk was made.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// System calls so far.
    pub(super) calls: u64,
    /// Those of them that change something, or make it durable.
    pub(super) changes: u64,
    /// The process ends within this change.
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    /// From this call on, so many calls fail with EIO.
    pub(super) fail: Option<(u64, u64)>,
    /// How many calls failed so.
    pub(super) failed: u64,
    /// What cannot be read.
    pub(super) unreadable: BTreeSet<PathBuf>,
    /// What can be read up to so many bytes.
    pub(super) unreadable_from: BTreeMap<PathBuf, usize>,
    /// Bytes that all files may have together.
    pub(super) capacity: Option<u64>,
    /// Of a hundred writes, so many take more than one system call.
    pub(super) short_writes: u64,
    /// Of a hundred syncs, so many do nothing and say that they did.
    pub(super) lost_syncs: u64,
    /// Of a hundred files that are read, so many have a flipped bit in what is read.
    pub(super) flips: u64,
    pub(super) flipped: u64,
    /// Of a hundred calls, so many take so many milliseconds.
    pub(super) slow: (u64, i64),
    /// How many calls of each kind were slow.
    pub(super) slow_calls: BTreeMap<&'static str, u64>,
}
