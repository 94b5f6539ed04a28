//! Blocks from the head: its samples of a range of time, written in order of the labels.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use model::Labels;

use super::Head;
use super::read::{HeadPart, HeldData};
use crate::block::{BlockMeta, BlockWriter, ChunkData, Compaction};
use crate::chunk::head_file::HeadChunkReader;
use crate::chunk::pack::Packer;
use crate::chunk::{self, Samples};
use crate::error::Error;

impl Head {
    /// The range of the block that should be cut now, end exclusive; none where the head is not long enough.
    pub(crate) fn due_block(&self) -> Option<(i64, i64)> {
        let (mint, maxt) = self.times()?;
        let range = self.options.min_block_duration_ms;
        if maxt.saturating_sub(mint) <= range + range / 2 {
            return None;
        }
        Some((mint, (mint.div_euclid(range) + 1).saturating_mul(range)))
    }

    /// Writes the samples with `mint <= t < maxt` as a block under `parent`; none where there are none. Nothing leaves the head.
    pub(crate) fn write_block(
        &self,
        parent: &Path,
        ulid: ulid::Ulid,
        range: (i64, i64),
    ) -> Result<Option<BlockMeta>, Error> {
        self.flush_full()?; // what is in files need not be copied
        let ids = self.index.read().ids().to_vec();
        self.write_block_of(parent, ulid, &ids, range, Vec::new())
    }

    /// The same of some series only (in any order); `hints` stand in meta.json.
    pub(super) fn write_block_of(
        &self,
        parent: &Path,
        ulid: ulid::Ulid,
        ids: &[u32],
        (mint, maxt): (i64, i64),
        hints: Vec<String>,
    ) -> Result<Option<BlockMeta>, Error> {
        let order = self.index.read().order_by_labels(ids);
        let ids: Vec<u32> = order.into_iter().map(|at| ids[at as usize]).collect();
        let reader = self.chunks.lock().reader();
        let mut writer = BlockWriter::create(self.disk.clone(), parent, ulid)?;
        let mut packer = self.packer();
        let mut written = Ok(());
        self.with_series(&ids, |id, page, slot| {
            let (Ok(()), Some(series)) = (&written, page.series(slot)) else { return };
            let part = self.hold_series(&series.state.lock(), (mint, maxt - 1), 0, false);
            written = part.and_then(|part| match part.and_then(|part| self.deleted.mark(id, part)) {
                Some(part) => {
                    self.write_series(&mut writer, &mut packer, id, &part, &reader, (mint, maxt - 1))
                }
                None => Ok(()),
            });
        });
        if let Err(error) = written {
            if let Err(error) = writer.abort() {
                tracing::warn!(%error, "cannot remove an unfinished block");
            }
            return Err(error);
        }
        let compaction = Compaction { level: 1, sources: vec![ulid], hints, ..Compaction::default() };
        Ok(writer.finish(mint, maxt, compaction)?)
    }

    /// What packs chunks for blocks.
    pub(super) fn packer(&self) -> Packer {
        Packer::new(self.cut_rule.encodings, self.cut_rule.samples)
    }

    pub(super) fn write_series(
        &self,
        writer: &mut BlockWriter,
        packer: &mut Packer,
        id: u32,
        part: &HeadPart,
        reader: &HeadChunkReader,
        range: (i64, i64),
    ) -> Result<(), Error> {
        let labels = self.index.read().labels(id);
        if labels.is_empty() {
            return Ok(()); // removed meanwhile: it had nothing
        }
        let whole = self.without_damage(part, reader, &labels)?;
        pack(packer, &whole, reader, range, &labels)?;
        let chunks: Vec<ChunkData<'_>> = packer
            .finish()
            .map(|(mint, maxt, encoding, bytes)| ChunkData { mint, maxt, encoding, bytes })
            .collect();
        if chunks.is_empty() {
            return Ok(());
        }
        writer.add_series(&labels, &chunks)?;
        self.metrics.spreads.note_chunks(&chunks);
        Ok(())
    }
}

impl Head {
    /// Reads the chunks that lie in files. One that is damaged there is left out, logged and counted: it must not keep the
    /// rest from its block, nor the head from shrinking.
    fn without_damage(
        &self,
        part: &HeadPart,
        reader: &HeadChunkReader,
        labels: &Labels,
    ) -> Result<HeadPart, Error> {
        let mut chunks = Vec::with_capacity(part.chunks.len());
        for chunk in &part.chunks {
            let mut chunk = chunk.clone();
            if let HeldData::File(place) = chunk.data {
                let mut data = Vec::new();
                match reader.read(place, &mut data) {
                    Ok(encoding) => chunk.data = HeldData::Full(encoding, data.into()),
                    Err(error @ chunk::head_file::Error::Corrupt { .. }) => {
                        self.metrics.head_chunk_corruptions.fetch_add(1, Relaxed);
                        tracing::error!(%error, series = %labels, mint = chunk.mint, maxt = chunk.maxt, "lost a chunk");
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            chunks.push(chunk);
        }
        Ok(HeadPart { chunks, deleted: part.deleted.clone(), ..HeadPart::empty() })
    }
}

/// Packs the chunks of a series as a block wants them: within the range, in order, apart from each other.
fn pack(
    packer: &mut Packer,
    part: &HeadPart,
    reader: &HeadChunkReader,
    (mint, maxt): (i64, i64),
    labels: &Labels,
) -> Result<(), Error> {
    packer.begin();
    let within = part.chunks.iter().all(|c| c.mint >= mint && c.maxt <= maxt);
    let apart = part.chunks.windows(2).all(|pair| pair[0].maxt < pair[1].mint);
    let whole = !part.chunks.iter().any(|c| part.deleted.iter().any(|d| d.overlaps(c.mint, c.maxt)));
    if within && apart && whole {
        let mut read = Vec::new();
        for chunk in &part.chunks {
            let (encoding, bytes) = match &chunk.data {
                HeldData::Full(encoding, data) => (*encoding, &data[..]),
                HeldData::Open(encoding, data) => (*encoding, &data[..]),
                HeldData::File(place) => {
                    read.clear();
                    (reader.read(*place, &mut read)?, &read[..])
                }
            };
            let (mint, maxt) = (chunk.mint, chunk.maxt);
            packer.chunk((mint, maxt), encoding, bytes).map_err(|source| Error::Chunk {
                series: labels.to_string(),
                mint,
                maxt,
                source,
            })?;
        }
        return Ok(());
    }
    let mut samples = Samples::default();
    for chunk in &part.chunks {
        chunk.read(reader, (mint, maxt), &mut samples, labels)?;
    }
    samples.retain_from(0, |t| !part.deleted.iter().any(|d| d.contains(t)));
    samples.sort_from(0);
    packer.samples(&mut samples);
    Ok(())
}
