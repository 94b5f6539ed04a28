//! One series of an answer: its labels, and where its samples are.

use std::sync::Arc;

use model::Labels;

use crate::block::tombstones::drop_deleted;
use crate::block::{Block, ChunkMeta, Interval};
use crate::chunk::{Encoding, decode_xor};
use crate::error::Error;
use crate::head::read::{HeadPart, View};

/// One series; read when needed, from any thread, as often as needed.
#[derive(Debug)]
pub struct SeriesEntry {
    labels: Labels,
    parts: Vec<Part>,
}

/// Samples of the series in one place.
#[derive(Debug)]
pub(crate) enum Part {
    Head(HeadPart, Arc<View>),
    Block { block: Arc<Block>, chunks: Vec<ChunkMeta>, deleted: Vec<Interval> },
}

impl Part {
    fn starts(&self) -> i64 {
        match self {
            Part::Head(part, _) => part.chunks.first().map_or(i64::MAX, |c| c.mint),
            Part::Block { chunks, .. } => chunks.first().map_or(i64::MAX, |c| c.mint),
        }
    }
}

impl SeriesEntry {
    pub(crate) fn new(labels: Labels, mut parts: Vec<Part>) -> Self {
        parts.sort_by_key(Part::starts);
        SeriesEntry { labels, parts }
    }

    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Appends the samples with `mint <= t <= maxt` (milliseconds), rising, each time once.
    ///
    /// # Errors
    /// Where a chunk is damaged, cannot be read, or holds native histograms. The vectors then hold a part of the samples.
    pub fn read(&self, mint: i64, maxt: i64, ts: &mut Vec<i64>, vs: &mut Vec<f64>) -> Result<(), Error> {
        let start = ts.len();
        let mut rising = true;
        for part in &self.parts {
            match part {
                Part::Head(part, view) => {
                    let range = (mint, maxt.min(part.visible_to));
                    for chunk in part.chunks.iter().filter(|c| c.mint <= range.1 && c.maxt >= mint) {
                        let at = ts.len();
                        chunk.read(&view.reader, range, (ts, vs), &self.labels)?;
                        drop_deleted(&part.deleted, at, ts, vs);
                        rising &= continues(ts, start, at);
                    }
                }
                Part::Block { block, chunks, deleted } => {
                    for chunk in chunks.iter().filter(|c| c.mint <= maxt && c.maxt >= mint) {
                        let at = ts.len();
                        self.read_chunk(block, chunk, (mint, maxt), (ts, vs))?;
                        drop_deleted(deleted, at, ts, vs);
                        rising &= continues(ts, start, at);
                    }
                }
            }
        }
        if !rising {
            let (mut tail_ts, mut tail_vs) = (ts.split_off(start), vs.split_off(start));
            in_order(&mut tail_ts, &mut tail_vs);
            ts.append(&mut tail_ts);
            vs.append(&mut tail_vs);
        }
        Ok(())
    }

    fn read_chunk(
        &self,
        block: &Block,
        chunk: &ChunkMeta,
        (mint, maxt): (i64, i64),
        (ts, vs): (&mut Vec<i64>, &mut Vec<f64>),
    ) -> Result<(), Error> {
        let (encoding, data) = block.chunk(chunk.ref_)?;
        if encoding != Encoding::Xor {
            return Err(Error::Histogram { series: self.labels.to_string() });
        }
        decode_xor(data, mint, maxt, ts, vs)
            .map_err(|e| block.damaged_chunk(chunk.ref_, format!("series {}: {e}", self.labels)).into())
    }
}

/// Whether what was appended at `at` is newer than what was read before (from `start` on).
fn continues(ts: &[i64], start: usize, at: usize) -> bool {
    at == start || at == ts.len() || ts[at - 1] < ts[at]
}

/// Sorts samples by time; of equal times the first stays.
pub(crate) fn in_order(ts: &mut Vec<i64>, vs: &mut Vec<f64>) {
    if ts.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    let mut samples: Vec<(i64, f64)> = ts.iter().copied().zip(vs.iter().copied()).collect();
    samples.sort_by_key(|&(t, _)| t);
    samples.dedup_by_key(|&mut (t, _)| t);
    ts.clear();
    vs.clear();
    for (t, v) in samples {
        ts.push(t);
        vs.push(v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let (mut ts, mut vs) = (vec![3, 4, 1, 3], vec![30.0, 40.0, 10.0, 31.0]);
        in_order(&mut ts, &mut vs);
        assert_eq!((ts.as_slice(), vs.as_slice()), ([1, 3, 4].as_slice(), [10.0, 30.0, 40.0].as_slice()));
    }
}
