//! Snapshots: a second directory with the blocks of now, without copying what is in blocks already.

use std::path::Path;

use crate::db::{Db, Inner};
use crate::disk::{self, Disk};
use crate::error::Error;

/// The directory of snapshots in the database's.
const SNAPSHOTS_DIR: &str = "snapshots";
/// What a snapshot is called until it is complete.
const CREATION_SUFFIX: &str = ".tmp-for-creation";

impl Db {
    /// Makes `snapshots/<name>`: hard links to the blocks and, `with_head`, blocks of what is in the head, in order and out of order. Returns the
    /// name: time and a random number, as `20060102T150405Z-<16 hex digits>`.
    ///
    /// # Errors
    /// Where replay still goes on and the head is wanted, or something could not be written: nothing is left then.
    pub fn snapshot(&self, with_head: bool) -> Result<String, Error> {
        let inner = self.inner();
        if with_head && !inner.head.replay.is_done() {
            return Err(Error::Replaying);
        }
        let name = format!("{}-{:016x}", compact_utc(inner.clock.now_ms()), inner.disk.random());
        let parent = inner.dir.join(SNAPSHOTS_DIR);
        let work = parent.join(format!("{name}{CREATION_SUFFIX}"));
        let made = inner.make_snapshot(&work, with_head).and_then(|()| {
            inner.disk.rename(&work, &parent.join(&name))?;
            inner.disk.sync_dir(&parent)?;
            Ok(inner.disk.sync_dir(&inner.dir)?)
        });
        if let Err(error) = made {
            let _ = inner.disk.remove_dir_all(&work); // may not even have been made
            return Err(error);
        }
        Ok(name)
    }
}

impl Inner {
    fn make_snapshot(&self, dir: &Path, with_head: bool) -> Result<(), Error> {
        let _blocks_stay = self.maintenance.lock();
        self.disk.create_dir_all(dir)?;
        for block in self.blocks.load().iter() {
            link_dir(&*self.disk, block.dir(), &dir.join(block.meta().ulid.to_string()))?;
        }
        if with_head && let Some((mint, maxt)) = self.head.times() {
            // from where the blocks end, so that nothing is in both
            let mint = mint.max(self.head.held_from());
            let range = (mint, maxt.saturating_add(1));
            self.write_block(|ulid| self.head.write_block(dir, ulid, range))?;
        }
        if with_head && let Some(taken) = self.head.take_out_of_order()? {
            for &mint in &taken.blocks {
                let range = (mint, mint.saturating_add(self.options.min_block_duration_ms));
                self.write_block(|ulid| self.head.write_out_of_order_block(dir, ulid, range, &taken))?;
            }
        }
        self.disk.sync_dir(dir)?;
        Ok(())
    }
}

/// Removes snapshots that were not made to their end. Called once at the start.
pub(crate) fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), disk::Error> {
    let parent = dir.join(SNAPSHOTS_DIR);
    if !disk.exists(&parent) {
        return Ok(());
    }
    for entry in disk.list(&parent)?.iter().filter(|e| e.is_dir && e.name.ends_with(CREATION_SUFFIX)) {
        disk.remove_dir_all(&parent.join(&entry.name))?;
    }
    Ok(())
}

/// Links all files of a directory and of those in it.
fn link_dir(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), disk::Error> {
    disk.create_dir_all(to)?;
    for entry in disk.list(from)? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir { link_dir(disk, &from, &to)? } else { disk.hard_link(&from, &to)? }
    }
    disk.sync_dir(to)
}

/// A time as `20060102T150405Z`.
fn compact_utc(ms: i64) -> String {
    let (days, seconds) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1000);
    // The civil date of a day number, counting years from March so that the leap day comes last.
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_names() {
        for (ms, text) in [
            (0, "19700101T000000Z"),
            (951_782_400_000, "20000229T000000Z"),
            (1_136_214_245_999, "20060102T150405Z"),
            (1_767_225_599_000, "20251231T235959Z"),
        ] {
            assert_eq!(compact_utc(ms), text);
        }
    }
}
