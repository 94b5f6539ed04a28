//! Snapshots of the memory: at a clean end, what would otherwise have to be read from the log is written beside it. See `docs/wal.md`.
//!
//! A snapshot never holds anything that the log does not. It is used once: a start takes it by its new name before it changes anything
//! else, so that none is ever read beside head chunk files that are not its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::{Labels, Value};

use super::refs::Refs;
use super::series::{Chain, FullData};
use super::{Head, Log, wal_options};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::wal::records::{
    ExemplarRecord, SnapshotChunk, TombstoneRecord, encode_snapshot_exemplars, encode_snapshot_series,
    encode_snapshot_tombstones,
};
use crate::wal::{self, Wal};

/// How names of snapshots begin.
const PREFIX: &str = "chunk_snapshot.";
/// One that is being written.
const UNFINISHED: &str = ".tmp";
/// One that a start has taken.
const TAKEN: &str = ".taken";
/// One that may have more than a damaged log has, or is damaged itself.
pub(super) const UNREAD: &str = "unread";
/// Records are written in batches of this many bytes.
const BATCH: usize = 1 << 20;
/// Series, deletions or exemplars in one record of many.
const AT_ONCE: usize = 4096;

/// A snapshot that a start has taken.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) dir: PathBuf,
    /// It stands for the log up to this offset of this segment.
    pub(super) segment: u32,
    pub(super) offset: u64,
    /// Whether this program wrote it.
    pub(super) is_ours: bool,
    /// Why it must not be used; known before it is read.
    pub(super) refused: Option<&'static str>,
}

/// Segment and offset of a name.
fn parse(name: &str) -> Option<(u32, u64)> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (digits(segment) && digits(offset)).then(|| Some((segment.parse().ok()?, offset.parse().ok()?)))?
}

/// Takes the newest snapshot, before anything that it belongs to is changed. `is_settled`: no start was interrupted, which left
/// head chunk files.
pub(super) fn take(
    disk: &dyn Disk,
    dir: &Path,
    is_settled: bool,
    refs: &Refs,
) -> Result<Option<Snapshot>, Error> {
    let entries = disk.list(dir)?;
    let names = || entries.iter().filter(|e| e.is_dir).map(|e| e.name.as_str());
    let newest = names().filter_map(|name| Some((parse(name)?, name))).max();
    let Some(((segment, offset), name)) = newest else { return Ok(None) };
    let was_taken = names().any(|n| n.starts_with(PREFIX) && n.ends_with(TAKEN));
    let refused = (was_taken || !is_settled).then_some("an earlier start did not come to its end");
    let taken = disk::free_name(disk, &dir.join(name), &TAKEN[1..]);
    disk.rename(&dir.join(name), &taken)?;
    disk.sync_dir(dir)?;
    Ok(Some(Snapshot { dir: taken, segment, offset, is_ours: refs.is_ours(segment), refused }))
}

/// Takes the snapshots away, once the log is replayed: the log has all of them, and Prometheus would take them for the truth again,
/// deleted samples and all, if it came here. With `keep` they are only renamed.
pub(super) fn put_away(head: &Head, keep: bool) -> Result<(), disk::Error> {
    for entry in head.disk.list(&head.dir)? {
        if !entry.is_dir || !entry.name.starts_with(PREFIX) || entry.name.contains(UNREAD) {
            continue;
        }
        let path = head.dir.join(&entry.name);
        if keep && !entry.name.ends_with(UNFINISHED) {
            let name = entry.name.split(TAKEN).next().unwrap_or_default();
            let aside = disk::free_name(&*head.disk, &head.dir.join(name), UNREAD);
            head.disk.rename(&path, &aside)?;
            tracing::warn!(snapshot = %aside.display(), "kept a snapshot of the memory: it, or the log, is damaged");
        } else {
            head.disk.remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Records on their way to a snapshot.
struct Writer {
    out: Wal,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Writer {
    fn add(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), wal::Error> {
        encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
        if self.bytes.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), wal::Error> {
        let mut begin = 0;
        let records: Vec<&[u8]> =
            self.ends.iter().map(|&end| &self.bytes[std::mem::replace(&mut begin, end)..end]).collect();
        self.out.log(&records)?;
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }
}

/// What keeps a snapshot from being written.
enum Obstacle {
    Error(Error),
    /// Chunks of a series overlap, as those of a run that took samples before it had replayed newer ones: Prometheus would leave out some.
    Overlap,
}

impl<E: Into<Error>> From<E> for Obstacle {
    fn from(error: E) -> Self {
        Obstacle::Error(error.into())
    }
}

impl Head {
    /// Writes a snapshot of the memory, at a clean end. None is written where there would be no gain, and a start replays the log then.
    ///
    /// # Errors
    /// Where something could not be written: no snapshot is there then.
    pub(crate) fn write_memory_snapshot(&self) -> Result<(), Error> {
        if !self.replay.is_done() {
            tracing::info!("no snapshot of the memory: the log is not replayed yet");
            return Ok(());
        }
        if self.out_of_order.any() && self.replay.late_in_log.load(Relaxed) {
            // a snapshot does not have late samples, and their own log does not have these
            tracing::info!("no snapshot of the memory: late samples stand in the log");
            return Ok(());
        }
        // Prometheus does not find those under numbers of earlier runs beside a snapshot
        self.cut_out_of_order_chunks();
        self.flush_full()?;
        // nothing is committed meanwhile
        let mut log = self.log.lock();
        self.log_all_series(&mut log)?;
        let segment = log.wal.next_segment()?;
        log.wal.sync()?;
        self.refs.lock().note_segment(segment)?;
        self.flush_full()?;
        self.chunks.lock().sync()?;
        let name = format!("{PREFIX}{segment:06}.{:010}", 0);
        let work = self.dir.join(format!("{name}{UNFINISHED}"));
        match self.fill_memory_snapshot(&work, log.wbl.is_some()) {
            Ok(series) => {
                self.disk.rename(&work, &self.dir.join(&name))?;
                self.disk.sync_dir(&self.dir)?;
                tracing::info!(name, series, "wrote a snapshot of the memory");
                Ok(())
            }
            Err(obstacle) => {
                let _ = self.disk.remove_dir_all(&work); // the next start does it else
                match obstacle {
                    Obstacle::Error(error) => Err(error),
                    Obstacle::Overlap => {
                        tracing::info!("no snapshot of the memory: some chunks in it overlap");
                        Ok(())
                    }
                }
            }
        }
    }

    /// Names all series in the log under the numbers that the snapshot gives them: whoever goes on with the numbers must find them
    /// there when the snapshot has gone.
    fn log_all_series(&self, log: &mut Log) -> Result<(), Error> {
        self.prepare_log(log)?;
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        ids.chunks(AT_ONCE).try_for_each(|ids| self.log_series(log, ids))
    }

    /// Names those of these series that the log does not know under their numbers.
    pub(super) fn log_series(&self, log: &mut Log, ids: &[u32]) -> Result<(), Error> {
        let mut unknown = Vec::new();
        self.with_series(ids, |id, page, slot| {
            if page.series(slot).is_some_and(|s| !s.logged.load(Relaxed)) {
                unknown.push(id);
            }
        });
        if unknown.is_empty() {
            return Ok(());
        }
        let introductions = self.introductions(unknown, &[]);
        self.take_numbers(introductions.series.iter().copied())?;
        let records = self.encode_introductions(&introductions);
        log.wal.log(&records.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        self.introduced(&introductions);
        Ok(())
    }

    fn fill_memory_snapshot(&self, dir: &Path, has_late: bool) -> Result<usize, Obstacle> {
        if self.disk.exists(dir) {
            self.disk.remove_dir_all(dir)?;
        }
        let out = Wal::open(Arc::clone(&self.disk), dir, wal_options(&self.options))?;
        let mut writer = Writer { out, bytes: Vec::new(), ends: Vec::new() };
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        for ids in ids.chunks(AT_ONCE) {
            self.write_series_of(ids, &mut writer)?;
        }
        if has_late {
            self.write_old_numbers(&mut writer)?;
        }
        let stones: Vec<TombstoneRecord> = self
            .deleted
            .all()
            .into_iter()
            .map(|(id, d)| TombstoneRecord { ref_: self.numbers.of(id), mint: d.mint, maxt: d.maxt })
            .collect();
        // also where there are none: it tells where the series end
        writer.add(|out| encode_snapshot_tombstones(&stones, out))?;
        let exemplars: Vec<ExemplarRecord> = {
            let index = self.index.read();
            let find = |labels: &Labels| index.find(labels).map(|id| self.numbers.of(id));
            let all = self.exemplars.all().into_iter();
            all.filter_map(|(series, e)| {
                Some(ExemplarRecord { ref_: find(&series)?, t: e.t, v: e.v, labels: e.labels })
            })
            .collect()
        };
        for some in exemplars.chunks(AT_ONCE) {
            writer.add(|out| encode_snapshot_exemplars(some, out))?;
        }
        writer.flush()?;
        writer.out.sync()?;
        Ok(ids.len())
    }

    fn write_series_of(&self, ids: &[u32], writer: &mut Writer) -> Result<(), Obstacle> {
        let labels: Vec<Labels> = {
            let index = self.index.read();
            ids.iter().map(|&id| index.labels(id)).collect()
        };
        let mut labels = labels.iter();
        let mut result = Ok(());
        let mut of_id = ids.iter();
        self.with_series(ids, |id, page, slot| {
            // in step with the ids, of which pages may be missing
            while of_id.next().is_some_and(|&other| other != id) {
                labels.next();
            }
            let (Some(labels), Some(series)) = (labels.next(), page.series(slot)) else { return };
            let state = series.state.lock();
            if state.dead || result.is_err() {
                return;
            }
            result = write_one(self.numbers.of(id), labels, &state.chain, writer);
        });
        result
    }

    /// Names the series under their other numbers of earlier runs too: the log of out-of-order samples has them.
    fn write_old_numbers(&self, writer: &mut Writer) -> Result<(), wal::Error> {
        let old = self.old_refs.lock();
        let others = old.ids.iter().filter(|&(&number, &id)| number != self.numbers.of(id));
        let mut numbers: Vec<(u64, u32)> = others.map(|(&number, &id)| (number, id)).collect();
        numbers.sort_unstable();
        for some in numbers.chunks(AT_ONCE) {
            let named: Vec<(u64, Labels)> = {
                let index = self.index.read();
                let live = some.iter().filter(|(_, id)| index.has(*id));
                live.map(|&(number, id)| (number, index.labels(id))).collect()
            };
            for (number, labels) in &named {
                writer.add(|out| encode_snapshot_series(*number, labels, None, out))?;
            }
        }
        Ok(())
    }
}

fn write_one(reference: u64, labels: &Labels, chain: &Chain, writer: &mut Writer) -> Result<(), Obstacle> {
    let in_order = chain.full.windows(2).all(|pair| pair[0].maxt < pair[1].mint);
    let ends_before = |mint: i64| chain.full.last().is_none_or(|c| c.maxt < mint);
    let in_files = chain.full.iter().all(|c| matches!(c.data, FullData::File(_)));
    let Some((mint, (maxt, v))) = chain.open_min().zip(chain.last()) else {
        if !in_order || !in_files {
            return Err(Obstacle::Overlap);
        }
        return Ok(writer.add(|out| encode_snapshot_series(reference, labels, None, out))?);
    };
    if !in_order || !in_files || !ends_before(mint) {
        return Err(Obstacle::Overlap);
    }
    let (encoding, data) = chain.open_chunk();
    let last = chain.last_histogram().map_or(Value::Float(v), |h| Value::Histogram(h.clone()));
    let open = SnapshotChunk { mint, maxt, encoding, data };
    Ok(writer.add(|out| encode_snapshot_series(reference, labels, Some((open, &last)), out))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_far() {
        assert_eq!(parse("chunk_snapshot.000012.0000065536"), Some((12, 65536)));
        for other in
            ["chunk_snapshot.1.2.tmp", "chunk_snapshot.1.2.taken", "chunk_snapshot.1.", "chunk_snapshot.+1.2"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
