//! Checkpoints: what is still needed of segments that are dropped, rewritten as a small log of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::SegmentsReader;
use super::records::{self, Record, RecordType};
use super::{Compression, Error, Wal, WalOptions};
use crate::disk::Disk;
use crate::encoding;
use crate::metadata::{Metadata, MetadataMap, MetricKind};

/// Records are written in batches of this many bytes: few system calls, little memory.
const BATCH: usize = 1 << 20;

/// What a checkpoint kept and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series kept, dropped.
    pub series: (u64, u64),
    /// Float samples kept, dropped.
    pub samples: (u64, u64),
    /// Tombstones kept, dropped.
    pub tombstones: (u64, u64),
    /// Exemplars kept, dropped.
    pub exemplars: (u64, u64),
    /// Metadata kept, dropped.
    pub metadata: (u64, u64),
    /// Native histograms kept, dropped.
    pub histograms: (u64, u64),
    /// Records of unknown types, which are kept as they are.
    pub whole_records: u64,
}

/// The last checkpoint: its directory and the last segment it covers. What was left half-written does not count.
pub fn last(disk: &dyn Disk, wal_dir: &Path) -> Result<Option<(PathBuf, u32)>, Error> {
    Ok(all(disk, wal_dir)?.pop())
}

fn all(disk: &dyn Disk, wal_dir: &Path) -> Result<Vec<(PathBuf, u32)>, Error> {
    let entries = match disk.list(wal_dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let number = |name: &str| name.strip_prefix("checkpoint.")?.parse::<u32>().ok();
    let dirs = entries.iter().filter(|e| e.is_dir);
    let mut found: Vec<_> = dirs.filter_map(|e| Some((wal_dir.join(&e.name), number(&e.name)?))).collect();
    found.sort_by_key(|&(_, segment)| segment);
    Ok(found)
}

/// Writes `checkpoint.<last>` from the previous checkpoint and the segments `first..=last`: series for which `keep` says so;
/// samples, exemplars and tombstones of any series that reach `mint` (milliseconds); the last metadata of each kept series. Durable when it returns;
/// the caller then truncates the log.
pub fn write(
    disk: &Arc<dyn Disk>,
    wal_dir: &Path,
    first: u32,
    last_segment: u32,
    keep: impl FnMut(u64) -> bool,
    mint: i64,
    compression: Compression,
) -> Result<CheckpointStats, Error> {
    let target = wal_dir.join(format!("checkpoint.{last_segment:08}"));
    let work = wal_dir.join(format!("checkpoint.{last_segment:08}.tmp"));
    if disk.exists(&work) {
        disk.remove_dir_all(&work)?;
    }
    let previous = last(&**disk, wal_dir)?;
    let first = previous.as_ref().map_or(first, |&(_, covered)| first.max(covered + 1));
    let out = Wal::open(Arc::clone(disk), &work, WalOptions { compression, ..WalOptions::default() })?;
    let mut filter = Filter {
        keep,
        mint,
        stats: CheckpointStats::default(),
        metadata: MetadataMap::default(),
        out,
        batch: Vec::new(),
        ends: Vec::new(),
    };
    if let Some((dir, _)) = &previous {
        filter.read(SegmentsReader::open(Arc::clone(disk), dir, 0)?)?;
    }
    filter.read(SegmentsReader::range(Arc::clone(disk), wal_dir, first, last_segment)?)?;
    let stats = filter.finish()?;
    if disk.exists(&target) {
        // A checkpoint of the same segments, made before a crash that came before the truncation.
        disk.remove_dir_all(&target)?;
    }
    disk.rename(&work, &target)?;
    disk.sync_dir(wal_dir)?;
    Ok(stats)
}

/// Removes the checkpoints below a segment, and what was left half-written.
pub fn remove_before(disk: &dyn Disk, wal_dir: &Path, segment: u32) -> Result<(), Error> {
    for (dir, number) in all(disk, wal_dir)? {
        if number < segment {
            disk.remove_dir_all(&dir)?;
        }
    }
    remove_unfinished(disk, wal_dir)
}

/// Removes checkpoints that were left half-written.
pub fn remove_unfinished(disk: &dyn Disk, wal_dir: &Path) -> Result<(), Error> {
    let entries = match disk.list(wal_dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for entry in entries {
        if entry.is_dir && entry.name.starts_with("checkpoint.") && entry.name.ends_with(".tmp") {
            disk.remove_dir_all(&wal_dir.join(entry.name))?;
        }
    }
    Ok(())
}

struct Filter<K> {
    keep: K,
    mint: i64,
    stats: CheckpointStats,
    /// The last metadata of each series.
    metadata: MetadataMap<u64>,
    out: Wal,
    batch: Vec<u8>,
    ends: Vec<usize>,
}

impl<K: FnMut(u64) -> bool> Filter<K> {
    fn read(&mut self, mut reader: SegmentsReader) -> Result<(), Error> {
        while let Some(entry) = reader.next()? {
            let (segment, offset) = (entry.segment, entry.offset);
            if self.record(entry.record).is_err() {
                let path = super::segment_path(reader.dir(), segment);
                return Err(Error::Corrupt { path, segment, offset, reason: "the record cannot be decoded" });
            }
            if self.batch.len() >= BATCH {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Appends what is kept of one record to the batch.
    fn record(&mut self, record: &[u8]) -> Result<(), encoding::Error> {
        match RecordType::of(record) {
            Some(RecordType::Series | RecordType::Samples) | None => {}
            _ => return self.rare_record(record),
        }
        let begin = self.batch.len();
        match record.first() {
            Some(1) => {
                let (keep, stats) = (&mut self.keep, &mut self.stats.series);
                let mut kept = Vec::new();
                records::decode_series(record, |ref_, labels| {
                    if count(stats, keep(ref_)) {
                        kept.push((ref_, labels));
                    }
                })?;
                if !kept.is_empty() {
                    records::encode_series_from(kept.iter().map(|(r, l)| (*r, l)), &mut self.batch);
                }
            }
            Some(2) => {
                let (mint, stats) = (self.mint, &mut self.stats.samples);
                let mut kept = Vec::new();
                records::decode_samples(record, |ref_, t, _, v| {
                    if count(stats, t >= mint) {
                        kept.push(records::SampleRecord { ref_, t, v });
                    }
                })?;
                if !kept.is_empty() {
                    records::encode_samples(kept, &mut self.batch);
                }
            }
            _ => {
                self.stats.whole_records += 1;
                self.batch.extend_from_slice(record);
            }
        }
        self.end_record(begin);
        Ok(())
    }

    fn rare_record(&mut self, record: &[u8]) -> Result<(), encoding::Error> {
        let begin = self.batch.len();
        let (mint, stats) = (self.mint, &mut self.stats);
        match records::decode(record)? {
            Record::Tombstones(mut all) => {
                all.retain(|t| count(&mut stats.tombstones, t.maxt >= mint));
                if !all.is_empty() {
                    records::encode_tombstones(&all, &mut self.batch);
                }
            }
            Record::Exemplars(mut all) => {
                all.retain(|e| count(&mut stats.exemplars, e.t >= mint));
                if !all.is_empty() {
                    records::encode_exemplars(&all, &mut self.batch);
                }
            }
            Record::Metadata(all) => {
                for m in all {
                    let metadata = Metadata { kind: MetricKind(m.type_), unit: m.unit, help: m.help };
                    let is_new = (self.keep)(m.ref_) && !self.metadata.put(m.ref_, metadata, false);
                    if !is_new {
                        stats.metadata.1 += 1;
                    }
                }
            }
            // Those with start timestamps.
            Record::Samples(_) => {
                let mut kept = Vec::new();
                records::decode_samples(record, |ref_, t, start, v| {
                    if count(&mut stats.samples, t >= mint) {
                        kept.push((ref_, t, start, v));
                    }
                })?;
                if !kept.is_empty() {
                    records::encode_samples_v2(kept, &mut self.batch);
                }
            }
            Record::Histograms(_)
                if matches!(
                    RecordType::of(record),
                    Some(RecordType::HistogramSamplesV2 | RecordType::FloatHistogramSamplesV2)
                ) =>
            {
                let mut kept = Vec::new();
                records::decode_histograms(record, |ref_, t, start, h| {
                    if count(&mut stats.histograms, t >= mint) {
                        kept.push((ref_, t, start, h));
                    }
                })?;
                if !kept.is_empty() {
                    let floats = RecordType::of(record) == Some(RecordType::FloatHistogramSamplesV2);
                    let kept = kept.iter().map(|(ref_, t, start, h)| (*ref_, *t, *start, h));
                    records::encode_histograms_v2(floats, kept, &mut self.batch);
                }
            }
            Record::Histograms(mut all) => {
                all.retain(|h| count(&mut stats.histograms, h.t >= mint));
                // one type a record
                for kind in
                    all.chunk_by(|a, b| RecordType::of_histogram(&a.h) == RecordType::of_histogram(&b.h))
                {
                    let begin = self.batch.len();
                    let all = kind.iter().map(|h| (h.ref_, h.t, &h.h));
                    records::encode_histograms(RecordType::of_histogram(&kind[0].h), all, &mut self.batch);
                    self.end_record(begin);
                }
                return Ok(());
            }
            // Markers belong to the log of out-of-order samples, which has no checkpoints; the rest is kept whole.
            _ => {
                stats.whole_records += 1;
                self.batch.extend_from_slice(record);
            }
        }
        self.end_record(begin);
        Ok(())
    }

    fn end_record(&mut self, begin: usize) {
        if self.batch.len() > begin {
            self.ends.push(self.batch.len());
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut begin = 0;
        let mut all = Vec::with_capacity(self.ends.len());
        for &end in &self.ends {
            all.push(&self.batch[begin..end]);
            begin = end;
        }
        self.out.log(&all)?;
        self.batch.clear();
        self.ends.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<CheckpointStats, Error> {
        let map = std::mem::take(&mut self.metadata);
        let mut metadata: Vec<_> = map.iter().map(|(ref_, metadata, _)| (ref_, &**metadata)).collect();
        metadata.sort_unstable_by_key(|(ref_, _)| *ref_);
        self.stats.metadata.0 = metadata.len() as u64;
        for some in metadata.chunks(1000) {
            let begin = self.batch.len();
            records::encode_metadata_from(some.iter().copied(), &mut self.batch);
            self.end_record(begin);
        }
        self.flush()?;
        self.out.sync()?;
        Ok(self.stats)
    }
}

fn count(stats: &mut (u64, u64), kept: bool) -> bool {
    if kept {
        stats.0 += 1;
    } else {
        stats.1 += 1;
    }
    kept
}
