//! Head chunk files at a start: those that replay writes, and those of the run before.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use crate::disk::{self, Disk};
use crate::error::Error;
use crate::head::{CHUNKS_DIR, Head, memory};

/// Where replay writes head chunk files, until they have all that those of the run before have.
pub(crate) const NEXT_CHUNKS_DIR: &str = "chunks_head.next";

/// Names of directories with head chunks of earlier runs: their samples are in the log.
fn aside_name(number: u32) -> String {
    format!("{CHUNKS_DIR}.replaying.{number}")
}

/// Removes the head chunk files of a start that did not come to its end; says whether there were any.
pub(crate) fn clear_unfinished(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
    let name = aside_name(0);
    let prefix = name.trim_end_matches('0');
    let is_left = |e: &disk::Entry| e.name == NEXT_CHUNKS_DIR || e.name.starts_with(prefix);
    let is_left = disk.list(dir)?.iter().any(is_left);
    let next = dir.join(NEXT_CHUNKS_DIR);
    if disk.exists(&next)
        && let Err(error) = disk.remove_dir_all(&next)
    {
        tracing::error!(%error, "cannot remove head chunks of a start that was interrupted");
    }
    Ok(is_left)
}

/// Puts the head chunk files that replay has written in the place of those of the run before. Until then Prometheus finds those that belong
/// to what the log says.
pub(super) fn swap(head: &Head) -> Result<(), Error> {
    let syncers = {
        let mut chunks = head.chunks.lock();
        chunks.cut_file()?;
        chunks.syncers()
    };
    // queries go on meanwhile
    syncers.iter().try_for_each(|syncer| syncer.sync())?;
    let chunks = head.dir.join(CHUNKS_DIR);
    if head.disk.exists(&chunks) {
        let free = (0..u32::MAX).map(|n| head.dir.join(aside_name(n))).find(|p| !head.disk.exists(p));
        free.map_or(Ok(()), |aside| head.disk.rename(&chunks, &aside))?;
    }
    Ok(head.chunks.lock().move_to(&chunks)?)
}

/// Takes the head chunk files of earlier runs away: their samples have been read from the log. Where the log is damaged they are only renamed, as
/// they may have more.
pub(super) fn put_aside_away(head: &Head) -> Result<(), disk::Error> {
    let is_whole = head.metrics.wal_corruptions.load(Relaxed) == 0;
    let prefix = aside_name(0);
    let prefix = prefix.trim_end_matches('0');
    for entry in head.disk.list(&head.dir)? {
        if !entry.is_dir || !entry.name.starts_with(prefix) {
            continue;
        }
        let path = head.dir.join(&entry.name);
        if is_whole {
            head.disk.remove_dir_all(&path)?;
        } else {
            let aside = disk::free_name(&*head.disk, &head.dir.join(CHUNKS_DIR), memory::UNREAD);
            head.disk.rename(&path, &aside)?;
            tracing::warn!(files = %aside.display(), "kept the head chunk files of the run before: the log is damaged");
        }
    }
    Ok(())
}
