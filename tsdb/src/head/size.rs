//! How much memory the head takes: counted where that is cheap, else estimated from some of the series.

use super::Head;
use super::series::{Chain, PAGE_SLOTS, Page};
use crate::db::Db;

/// Pages that are looked at: some two thousand series, in well below a millisecond.
const SAMPLED_PAGES: usize = 64;
/// An exemplar with its labels, about.
const EXEMPLAR_BYTES: usize = 160;

/// Bytes of memory that the head takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadBytes {
    /// Of each series what it has from its first sample on: itself, its labels, its places in the index.
    pub series: usize,
    /// Of each series what grows with its samples: the open chunk, and what tells where the full ones are.
    pub chunks: usize,
    /// Samples that came out of order, exemplars, and metadata.
    pub other: usize,
    /// How many series these are.
    pub num_series: usize,
}

impl HeadBytes {
    /// All of it.
    pub fn total(&self) -> usize {
        self.series + self.chunks + self.other
    }
}

impl Head {
    /// What is in memory; what is in files does not count.
    pub(crate) fn bytes(&self) -> HeadBytes {
        let (pages, sampled) = {
            let pages = self.pages.read();
            // the table's order has nothing to do with the series'
            let every = pages.len().div_ceil(SAMPLED_PAGES).max(1);
            let sampled: Vec<_> = pages.values().step_by(every).cloned().collect();
            (pages.len(), sampled)
        };
        let heap: usize = sampled.iter().map(|page| heap_bytes(page)).sum();
        let chunks = (heap * pages).checked_div(sampled.len()).unwrap_or(0);
        let (index, num_series) = {
            let index = self.index.read();
            (index.bytes(), index.len())
        };
        let exemplars = self.exemplars.sizes().exemplars as usize * EXEMPLAR_BYTES;
        let other = self.out_of_order.bytes() + exemplars + self.described.read().bytes();
        let series = pages * (size_of::<Page>() + 32) + index + self.numbers.heap_bytes();
        HeadBytes { series, chunks, other, num_series }
    }
}

fn heap_bytes(page: &Page) -> usize {
    let series = (0..PAGE_SLOTS).filter_map(|slot| page.series(slot));
    series
        .map(|series| {
            let state = series.state.lock();
            let replayed = state.replayed.as_deref().map_or(0, |c| size_of::<Chain>() + c.heap_bytes());
            replayed + state.chain.heap_bytes()
        })
        .sum()
}

impl Db {
    /// Bytes of memory that the head takes, within some percent. Cheap enough to be asked some hundred times a second.
    pub fn head_bytes(&self) -> HeadBytes {
        self.head().bytes()
    }
}
