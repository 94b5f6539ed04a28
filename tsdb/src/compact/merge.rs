//! Merges blocks in one pass, in order of the series: memory is bounded by the largest series.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::labels::Labels;
use ulid::Ulid;

use super::{HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES};
use crate::block::{
    Block, BlockDesc, BlockMeta, BlockWriter, ChunkData, ChunkMeta, ChunkRef, Compaction, Error, Interval,
    Postings, SeriesRef,
};
use crate::chunk::pack::Packer;
use crate::chunk::{Encoding, Encodings, SAMPLES_PER_CHUNK, Samples};
use crate::disk::Disk;

/// Merges blocks into a new one in `parent`: samples with equal timestamps are taken once (from the first block that has them), deleted ones are left out,
/// float chunks are encoded anew, denser and longer, as `encodings` says where no start is known. The parents stay: the caller removes them when this has returned, and then the new block is durable.
/// None where no sample is left.
pub fn compact(
    disk: &Arc<dyn Disk>,
    parent: &Path,
    ulid: Ulid,
    blocks: &[Arc<Block>],
    encodings: Encodings,
) -> Result<Option<BlockMeta>, Error> {
    let metas: Vec<&BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
    write(disk, parent, ulid, blocks, encodings, origin(&metas))
}

/// Writes a block anew without what is deleted of it. As with Prometheus, the new one begins at level 1 again, its own
/// source, with the old one as its parent. None where no sample is left.
pub fn rewrite(
    disk: &Arc<dyn Disk>,
    parent: &Path,
    ulid: Ulid,
    block: &Arc<Block>,
    encodings: Encodings,
) -> Result<Option<BlockMeta>, Error> {
    let origin = Compaction {
        level: 1,
        sources: vec![ulid],
        parents: vec![describe(block.meta())],
        hints: block.meta().compaction.hints.clone(),
        ..Compaction::default()
    };
    write(disk, parent, ulid, std::slice::from_ref(block), encodings, origin)
}

fn write(
    disk: &Arc<dyn Disk>,
    parent: &Path,
    ulid: Ulid,
    blocks: &[Arc<Block>],
    encodings: Encodings,
    origin: Compaction,
) -> Result<Option<BlockMeta>, Error> {
    let mut writer = BlockWriter::create(Arc::clone(disk), parent, ulid)?;
    match merge_all(&mut writer, blocks, encodings) {
        Ok(()) => {
            let mint = blocks.iter().map(|b| b.meta().min_time).min().unwrap_or(0);
            let maxt = blocks.iter().map(|b| b.meta().max_time).max().unwrap_or(0);
            writer.finish(mint, maxt, origin)
        }
        Err(error) => {
            // What was begun is of no use; that it cannot be removed is less important than why.
            let _ = writer.abort();
            Err(error)
        }
    }
}

fn describe(meta: &BlockMeta) -> BlockDesc {
    BlockDesc { ulid: meta.ulid, min_time: meta.min_time, max_time: meta.max_time }
}

/// From what a merged block was made.
fn origin(metas: &[&BlockMeta]) -> Compaction {
    let has = |m: &&&BlockMeta, hint: &str| m.compaction.hints.iter().any(|h| h == hint);
    let mut hints = Vec::new();
    if metas.iter().all(|m| has(&m, HINT_OUT_OF_ORDER)) {
        hints.push(HINT_OUT_OF_ORDER.to_owned());
    }
    for hint in [HINT_STALE_SERIES, HINT_SELECTED_SERIES] {
        if metas.iter().any(|m| has(&m, hint)) {
            hints.push(hint.to_owned());
        }
    }
    let sources: BTreeSet<Ulid> = metas.iter().flat_map(|m| &m.compaction.sources).copied().collect();
    let parents = metas.iter().map(|m| describe(m)).collect();
    Compaction {
        level: metas.iter().map(|m| m.compaction.level).max().unwrap_or(0) + 1,
        sources: sources.into_iter().collect(),
        deletable: false,
        failed: false,
        parents,
        hints,
    }
}

/// One block's series, in order.
struct Cursor<'a> {
    block: &'a Block,
    postings: Postings<'a>,
    /// The present series; none at the end.
    present: Option<(Labels, SeriesRef)>,
    chunks: Vec<ChunkMeta>,
}

impl<'a> Cursor<'a> {
    fn open(block: &'a Block) -> Result<Self, Error> {
        let postings = block.all_postings()?;
        let mut cursor = Cursor { block, postings, present: None, chunks: Vec::new() };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.present = match self.postings.next() {
            Some(ref_) => Some((self.block.series(ref_, &mut self.chunks)?, ref_)),
            None => None,
        };
        Ok(())
    }
}

/// A chunk of the series that is being merged.
#[derive(Clone, Copy)]
struct Input<'a> {
    mint: i64,
    maxt: i64,
    encoding: Encoding,
    bytes: &'a [u8],
    /// Where it comes from.
    block: &'a Block,
    ref_: ChunkRef,
    /// Index of the deleted intervals in the list of them, which is in order of the blocks.
    deleted: usize,
}

fn merge_all(writer: &mut BlockWriter, blocks: &[Arc<Block>], encodings: Encodings) -> Result<(), Error> {
    let mut cursors = blocks.iter().map(|b| Cursor::open(b)).collect::<Result<Vec<_>, _>>()?;
    let (mut inputs, mut deleted) = (Vec::new(), Vec::new());
    let mut series =
        SeriesMerger { packer: Packer::new(encodings, SAMPLES_PER_CHUNK), unsorted: Samples::default() };
    loop {
        let least = cursors.iter().filter_map(|c| c.present.as_ref()).map(|(labels, _)| labels).min();
        let Some(labels) = least.cloned() else { return Ok(()) };
        inputs.clear();
        deleted.clear();
        for cursor in &mut cursors {
            let Some((_, ref_)) = cursor.present.as_ref().filter(|(present, _)| *present == labels) else {
                continue;
            };
            deleted.push(cursor.block.tombstones(*ref_));
            for chunk in &cursor.chunks {
                let (encoding, bytes) = cursor.block.chunk(chunk.ref_)?;
                let deleted = deleted.len() - 1;
                let (block, ref_) = (cursor.block, chunk.ref_);
                inputs.push(Input {
                    mint: chunk.mint,
                    maxt: chunk.maxt,
                    encoding,
                    bytes,
                    block,
                    ref_,
                    deleted,
                });
            }
            cursor.advance()?;
        }
        inputs.sort_by_key(|input| (input.mint, input.maxt));
        series.merge(&labels, &inputs, &deleted)?;
        series.write(&labels, writer)?;
    }
}

/// Merges the chunks of one series; keeps its buffers from series to series.
struct SeriesMerger {
    packer: Packer,
    /// One cluster's samples before they are put in order.
    unsorted: Samples,
}

impl SeriesMerger {
    fn merge(
        &mut self,
        labels: &Labels,
        inputs: &[Input<'_>],
        deleted: &[Vec<Interval>],
    ) -> Result<(), Error> {
        self.packer.begin();
        let mut rest = inputs;
        while let Some(first) = rest.first() {
            // A cluster: chunks that overlap, one after another. Mostly it is a single one.
            let mut maxt = first.maxt;
            let size = 1 + rest[1..]
                .iter()
                .take_while(|next| {
                    let joins = next.mint <= maxt;
                    maxt = maxt.max(next.maxt);
                    joins
                })
                .count();
            let (cluster, behind) = rest.split_at(size);
            rest = behind;
            self.merge_cluster(labels, cluster, deleted)?;
        }
        Ok(())
    }

    fn merge_cluster(
        &mut self,
        labels: &Labels,
        cluster: &[Input<'_>],
        deleted: &[Vec<Interval>],
    ) -> Result<(), Error> {
        let intervals = |input: &Input<'_>| &deleted[input.deleted];
        let is_touched = |i: &Input<'_>| intervals(i).iter().any(|d| d.overlaps(i.mint, i.maxt));
        let is_gone = |i: &Input<'_>| intervals(i).iter().any(|d| d.covers(i.mint, i.maxt));
        if let [only] = cluster
            && !is_touched(only)
        {
            let packed = self.packer.chunk((only.mint, only.maxt), only.encoding, only.bytes);
            return packed.map_err(|e| unreadable(labels, only, &e));
        }
        self.unsorted.clear();
        let mut kept: Vec<_> = cluster.iter().filter(|i| !is_gone(i)).collect();
        // In order of the blocks, so that of equal times the first block's sample comes first, and stays.
        kept.sort_by_key(|input| input.deleted);
        for input in kept {
            let from = self.unsorted.len();
            self.unsorted
                .read_chunk(input.encoding, input.bytes, i64::MIN, i64::MAX)
                .map_err(|e| unreadable(labels, input, &e))?;
            self.unsorted.retain_from(from, |t| !intervals(input).iter().any(|d| d.contains(t)));
        }
        self.unsorted.sort_from(0);
        self.packer.samples(&mut self.unsorted);
        Ok(())
    }

    fn write(&mut self, labels: &Labels, writer: &mut BlockWriter) -> Result<(), Error> {
        let chunks = self.packer.finish();
        let chunks: Vec<ChunkData<'_>> =
            chunks.map(|(mint, maxt, encoding, bytes)| ChunkData { mint, maxt, encoding, bytes }).collect();
        writer.add_series(labels, &chunks)
    }
}

fn unreadable(labels: &Labels, input: &Input<'_>, error: &crate::chunk::Error) -> Error {
    input.block.damaged_chunk(input.ref_, format!("series {labels}: {error}"))
}

#[cfg(test)]
mod tests;
