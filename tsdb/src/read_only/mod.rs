//! A database that is only looked at: another process may have the directory open, nothing of it changes.
//!
//! Replay writes (full chunks go to files, a torn end of the log is cut), so it works in a sandbox: a directory of links
//! to the database's files, in which a file is copied before it is written.

mod sandbox;

use std::path::Path;
use std::sync::Arc;

use runtime::clock::SharedClock;

use crate::block::{self, Block, SeriesRef};
use crate::db::Db;
use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::options::{Options, Retention};
use crate::query::block_source::BlockSource;
use crate::query::{Querier, SeriesEntry, matchers};
use model::Matcher;
use sandbox::{Sandbox, SandboxDisk};

/// A database opened for reading. The sandbox is removed when it is dropped.
#[derive(Debug)]
pub struct ReadOnlyDb {
    db: Arc<Db>,
    _sandbox: Sandbox, // goes after the database
}

impl ReadOnlyDb {
    /// Opens a directory and replays its log. The sandbox is made below `sandbox_root`. Damage costs what is damaged, and
    /// is logged.
    ///
    /// # Errors
    /// Where the directory cannot be read, or the sandbox not be made.
    pub fn open(dir: &Path, sandbox_root: &Path, clock: SharedClock) -> Result<Self, Error> {
        let sandbox = Sandbox::link(dir, sandbox_root)?;
        let options = Options {
            compaction: false,
            retention: Retention { time_ms: None, ..Retention::default() },
            background: false,
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(SandboxDisk), sandbox.dir(), options, clock)?;
        db.replay();
        Ok(ReadOnlyDb { db, _sandbox: sandbox })
    }

    /// Reads what was there when it was opened.
    pub fn querier(&self) -> Querier {
        self.db.querier()
    }

    /// What satisfies all matchers in `mint..=maxt` (milliseconds): in order of the labels, but where only the head reaches
    /// into that time, in the order in which the series came.
    ///
    /// # Errors
    /// Where a block is damaged or cannot be read.
    pub fn select(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<Vec<SeriesEntry>, Error> {
        let mut found = self.querier().select(matchers, mint, maxt)?;
        let blocks = self.db.inner().blocks.load();
        if !blocks.iter().any(|b| b.meta().min_time <= maxt && b.meta().max_time > mint) {
            let index = self.db.head().index.read();
            found.sort_by_cached_key(|entry| index.find(entry.labels()));
        }
        Ok(found)
    }
}

/// The blocks of a directory by their first time, and what could not be opened. Nothing is locked or changed.
///
/// # Errors
/// Where the directory cannot be read.
pub fn blocks(dir: &Path) -> Result<(Vec<Block>, Vec<block::Error>), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut blocks, mut damaged) = (Vec::new(), Vec::new());
    for (_, dir) in block::list(&*disk, dir)? {
        match Block::open(disk.clone(), &dir) {
            Ok(block) => blocks.push(block),
            Err(error) => damaged.push(error),
        }
    }
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().ulid));
    Ok((blocks, damaged))
}

/// The series of a block that satisfy all matchers, rising: in order of their labels.
///
/// # Errors
/// Where the block's index is damaged.
pub fn matching(block: &Block, wanted: &[Matcher]) -> Result<Vec<SeriesRef>, Error> {
    Ok(matchers::resolve(&BlockSource(block), wanted)?.into_iter().map(SeriesRef).collect())
}

#[cfg(test)]
mod tests;
