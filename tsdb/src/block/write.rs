//! Writes a block: series in order of their labels, then the index, then the name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::labels::Labels;
use ulid::Ulid;

use super::chunks::{ChunkFilesWriter, MAX_SEGMENT};
use super::index::write::IndexWriter;
use super::tombstones::{self, Tombstones};
use super::{BlockMeta, BlockStats, ChunkData, ChunkMeta, Compaction, Error, meta};
use crate::chunk::DenseEncoder;
use crate::disk::Disk;

/// What a block's directory is called until it is complete: Prometheus and Pharos both remove such directories at the start.
pub(super) const CREATION_SUFFIX: &str = ".tmp-for-creation";

/// Writes a block: series in order of their labels, then [`BlockWriter::finish`].
#[derive(Debug)]
pub struct BlockWriter {
    disk: Arc<dyn Disk>,
    parent: PathBuf,
    work: PathBuf,
    ulid: Ulid,
    index: IndexWriter,
    chunks: ChunkFilesWriter,
    stats: BlockStats,
    last: Option<Labels>,
    metas: Vec<ChunkMeta>,
    encoder: DenseEncoder,
    encoded: Vec<u8>,
}

impl BlockWriter {
    /// Begins `<parent>/<ulid>.tmp-for-creation`.
    pub fn create(disk: Arc<dyn Disk>, parent: &Path, ulid: Ulid) -> Result<Self, Error> {
        BlockWriter::with_segment_size(disk, parent, ulid, MAX_SEGMENT)
    }

    /// The same, with chunk segments of at most `max_segment` bytes.
    pub fn with_segment_size(
        disk: Arc<dyn Disk>,
        parent: &Path,
        ulid: Ulid,
        max_segment: u64,
    ) -> Result<Self, Error> {
        let work = parent.join(format!("{ulid}{CREATION_SUFFIX}"));
        let chunk_dir = work.join("chunks");
        disk.create_dir_all(&chunk_dir)?;
        Ok(BlockWriter {
            index: IndexWriter::create(Arc::clone(&disk), &work)?,
            chunks: ChunkFilesWriter::new(Arc::clone(&disk), chunk_dir, max_segment.min(MAX_SEGMENT)),
            parent: parent.to_owned(),
            work,
            ulid,
            stats: BlockStats::default(),
            last: None,
            metas: Vec::new(),
            encoder: DenseEncoder::new(),
            encoded: Vec::new(),
            disk,
        })
    }

    fn unwritable(&self, reason: String) -> Error {
        Error::Unwritable { path: self.work.clone(), reason }
    }

    /// Adds a series. Labels must rise from call to call; chunks must be in order of time and not overlap. A series without chunks
    /// is left out.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[ChunkData<'_>]) -> Result<(), Error> {
        if chunks.is_empty() {
            return Ok(());
        }
        if let Some(last) = &self.last
            && last >= labels
        {
            return Err(self.unwritable(format!("series {labels} comes behind {last}")));
        }
        self.metas.clear();
        for (i, chunk) in chunks.iter().enumerate() {
            let follows = i == 0 || chunks[i - 1].maxt < chunk.mint;
            if chunk.maxt < chunk.mint || !follows {
                return Err(
                    self.unwritable(format!("chunks of series {labels} overlap at {} ms", chunk.mint))
                );
            }
        }
        for chunk in chunks {
            let ref_ = self.chunks.write(chunk.encoding, chunk.bytes)?;
            self.metas.push(ChunkMeta { mint: chunk.mint, maxt: chunk.maxt, ref_ });
            let samples = u64::from(chunk.encoding.num_samples(chunk.bytes));
            self.stats.num_samples += samples;
            if chunk.encoding.is_histogram() {
                self.stats.num_histogram_samples += samples;
            } else {
                self.stats.num_float_samples += samples;
            }
        }
        self.stats.num_chunks += chunks.len() as u64;
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        self.index.add(pairs.into_iter(), &self.metas)?;
        self.last = Some(labels.clone());
        Ok(())
    }

    /// Adds a series of floats from its samples, in order of time, encoded as densely as the format allows. Blocks written so are about a fifth
    /// smaller than with the chunks of the head.
    pub fn add_series_samples(&mut self, labels: &Labels, ts: &[i64], vs: &[f64]) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.encoded);
        bytes.clear();
        let mut ends = Vec::new();
        let Ok(()) = self.encoder.encode(ts, vs, |mint, maxt, encoding, data| {
            bytes.extend_from_slice(data);
            ends.push((mint, maxt, encoding, bytes.len()));
            Ok::<(), std::convert::Infallible>(())
        });
        let mut begin = 0;
        let mut chunks = Vec::with_capacity(ends.len());
        for &(mint, maxt, encoding, end) in &ends {
            chunks.push(ChunkData { mint, maxt, encoding, bytes: &bytes[begin..end] });
            begin = end;
        }
        let added = self.add_series(labels, &chunks);
        self.encoded = bytes;
        added
    }

    /// How many series were added.
    pub fn num_series(&self) -> u64 {
        self.index.num_series()
    }

    /// Writes index and meta.json, syncs all, and renames the directory to its name. `maxt` is exclusive. None where nothing was
    /// added: no directory is left then. A level-1 block without sources becomes its own source.
    pub fn finish(
        mut self,
        mint: i64,
        maxt: i64,
        mut compaction: Compaction,
    ) -> Result<Option<BlockMeta>, Error> {
        self.stats.num_series = self.index.num_series();
        if self.stats.num_series == 0 {
            self.abort()?;
            return Ok(None);
        }
        if compaction.sources.is_empty() {
            compaction.sources.push(self.ulid);
        }
        let BlockWriter { disk, parent, work, ulid, index, chunks, stats, .. } = self;
        chunks.finish()?;
        index.finish()?;
        let meta = BlockMeta {
            ulid,
            min_time: mint,
            max_time: maxt,
            stats,
            compaction,
            version: 1,
            other: Default::default(),
        };
        meta::write(&*disk, &work, &meta)?;
        tombstones::write(&*disk, &work, &Tombstones::new())?;
        disk.sync_dir(&work)?;
        disk.rename(&work, &parent.join(ulid.to_string()))?;
        disk.sync_dir(&parent)?;
        Ok(Some(meta))
    }

    /// Gives up: removes what was written.
    pub fn abort(self) -> Result<(), Error> {
        Ok(self.disk.remove_dir_all(&self.work)?)
    }
}

/// Writes a small file under another name, durably, and renames it to its own: there is the old content or the new, nothing between.
pub(super) fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let tmp = dir.join(format!("{name}.tmp"));
    let mut file = disk.create(&tmp)?;
    file.write(bytes)?;
    file.sync()?;
    disk.rename(&tmp, &dir.join(name))?;
    Ok(disk.sync_dir(dir)?)
}
