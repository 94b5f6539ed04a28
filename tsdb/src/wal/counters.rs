//! What a log has written.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::PAGE_SIZE;

/// What a log has written since the start; all only grow.
#[derive(Debug, Default)]
pub struct WalCounters {
    /// Pages written to: one that takes several writes to fill counts with each.
    pub page_flushes: AtomicU64,
    /// Pages that are full.
    pub completed_pages: AtomicU64,
    /// Pieces of records.
    pub parts: AtomicU64,
    /// Their bytes, with headers.
    pub part_bytes: AtomicU64,
    /// Bytes that compressing records has spared.
    pub saved_bytes: AtomicU64,
}

impl WalCounters {
    /// Counts the pages of a write that went from one offset of a segment to another.
    pub(super) fn wrote(&self, begin: u64, end: u64) {
        const PAGE: u64 = PAGE_SIZE as u64;
        if begin < end {
            self.page_flushes.fetch_add((end - 1) / PAGE - begin / PAGE + 1, Relaxed);
            self.completed_pages.fetch_add(end / PAGE - begin / PAGE, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_count_with_each_write_and_once_when_full() {
        let counters = WalCounters::default();
        let page = PAGE_SIZE as u64;
        for (begin, end, flushes, completed) in [
            (0, 0, 0, 0),
            (0, 10, 1, 0),
            (10, page, 2, 1),
            (page, page + 1, 3, 1),
            (page + 1, 3 * page + 5, 6, 3),
        ] {
            counters.wrote(begin, end);
            let found = (counters.page_flushes.load(Relaxed), counters.completed_pages.load(Relaxed));
            assert_eq!(found, (flushes, completed), "{begin} to {end}");
        }
    }
}
