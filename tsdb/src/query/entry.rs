//! One series of an answer: its labels, and where its samples are.

use std::sync::Arc;

use model::Labels;

use super::selections::Found;
use crate::block::{Block, Interval};
use crate::chunk::{Columns, FloatColumns, HistogramForm};
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
    /// The head's newest sample alone, where only that is asked for.
    Newest(i64, f64),
    Head(Box<HeadPart>, Arc<View>),
    Block(Arc<InBlock>, u32, Vec<Interval>),
}

/// What a selection found in a block; a part has the place of its series among them, and what is deleted of it.
#[derive(Debug)]
pub(crate) struct InBlock {
    pub(crate) block: Arc<Block>,
    pub(crate) found: Arc<Found>,
}

impl Part {
    fn starts(&self) -> i64 {
        match self {
            Part::Newest(t, _) => *t,
            Part::Head(part, _) => {
                let late = part.out_of_order.iter().map(|c| c.mint);
                let newest = part.newest.map(|(t, _)| t);
                let first = part.chunks.first().map(|c| c.mint);
                first.into_iter().chain(newest).chain(late).min().unwrap_or(i64::MAX)
            }
            Part::Block(within, at, _) => {
                within.found.chunks_of(*at as usize).first().map_or(i64::MAX, |c| c.mint)
            }
        }
    }
}

impl SeriesEntry {
    pub(crate) fn new(labels: Labels, mut parts: Vec<Part>) -> Self {
        if parts.len() > 1 {
            parts.sort_by_key(Part::starts);
        }
        SeriesEntry { labels, parts }
    }

    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Appends the samples with `mint <= t <= maxt` (milliseconds), rising, each time once, of a series of floats.
    ///
    /// # Errors
    /// As [`SeriesEntry::read_columns`], and where a sample is a native histogram. The vectors then hold a part of the samples.
    pub fn read(&self, mint: i64, maxt: i64, ts: &mut Vec<i64>, vs: &mut Vec<f64>) -> Result<(), Error> {
        let mut out =
            FloatColumns { ts: std::mem::take(ts), vs: std::mem::take(vs), ..FloatColumns::default() };
        let read = self.read_columns(mint, maxt, &mut out);
        let has_histograms = !out.histograms.is_empty();
        (*ts, *vs) = (out.ts, out.vs);
        read?;
        if has_histograms { Err(Error::Histogram { series: self.labels.to_string() }) } else { Ok(()) }
    }

    /// Appends the samples with `mint <= t <= maxt` (milliseconds), floats and histograms, rising, each time once.
    ///
    /// # Errors
    /// Where a chunk is damaged or cannot be read. The columns then hold a part of the samples.
    pub fn read_columns<H: HistogramForm>(
        &self,
        mint: i64,
        maxt: i64,
        out: &mut Columns<H>,
    ) -> Result<(), Error> {
        let start = out.len();
        let mut rising = true;
        for part in &self.parts {
            match part {
                Part::Newest(t, v) => {
                    if (mint..=maxt).contains(t) {
                        let at = out.len();
                        out.push_float(*t, *v);
                        rising &= continues(&out.ts, start, at);
                    }
                }
                Part::Head(part, view) => {
                    if let Some((t, v)) = part.newest.filter(|(t, _)| mint <= *t && *t <= maxt) {
                        let at = out.len();
                        out.push_float(t, v);
                        rising &= continues(&out.ts, start, at);
                    }
                    let in_order = part.chunks.iter().map(|c| (c, maxt.min(part.visible_to)));
                    let all = in_order.chain(part.out_of_order.iter().map(|c| (c, maxt)));
                    for (chunk, maxt) in all.filter(|(c, to)| c.mint <= *to && c.maxt >= mint) {
                        let range = (mint, maxt);
                        let at = out.len();
                        chunk.read(&view.reader, range, out, &self.labels)?;
                        if !part.deleted.is_empty() {
                            out.retain_from(at, |t| !part.deleted.iter().any(|d| d.contains(t)));
                        }
                        rising &= continues(&out.ts, start, at);
                    }
                }
                Part::Block(within, place, deleted) => {
                    let block = &within.block;
                    let chunks = within.found.chunks_of(*place as usize);
                    for chunk in chunks.iter().filter(|c| c.mint <= maxt && c.maxt >= mint) {
                        let at = out.len();
                        let (encoding, data) = block.chunk(chunk.ref_)?;
                        out.read_chunk(encoding, data, mint, maxt).map_err(|e| {
                            block.damaged_chunk(chunk.ref_, format!("series {}: {e}", self.labels))
                        })?;
                        if !deleted.is_empty() {
                            out.retain_from(at, |t| !deleted.iter().any(|d| d.contains(t)));
                        }
                        rising &= continues(&out.ts, start, at);
                    }
                }
            }
        }
        if !rising {
            out.sort_from(start);
        }
        Ok(())
    }
}

/// Whether what was appended at `at` is newer than what was read before (from `start` on).
fn continues(ts: &[i64], start: usize, at: usize) -> bool {
    at == start || at == ts.len() || ts[at - 1] < ts[at]
}
