//! Under which numbers the log knows the series.
//!
//! A run appends before it has read the log, so a series that comes then gets a number of this run. Once all is replayed, each series that
//! the log knew before keeps the number that stands first for it there: Prometheus goes on with that one, and finds head chunks under no
//! other. It is named once more under that number: so damage of what earlier runs logged does not cost what comes, and where the log had
//! another number last, Prometheus comes back to this one. Behind such a name Prometheus takes what the head chunk files have in the place
//! of what it has replayed; so they have all of it by then, and under the number of this run too, where there is one: it then takes no sample
//! from the log that the files have, and does not write it to them once more.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use parking_lot::RwLock;

use super::Head;
use super::series::{FullData, PAGE_SLOTS};
use crate::error::Error;

/// Series that are settled while the log is locked.
const AT_ONCE: usize = 4096;

/// The numbers of all series.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// The number that series 0 would get in this run.
    base: u64,
    /// The first number of each series that replay has found (0: none), by series; empty once they are settled.
    found: RwLock<Vec<u64>>,
    /// Whether replayed samples have been put before those of this run.
    joined: AtomicBool,
    kept: OnceLock<Kept>,
    /// Series below it have the numbers that they keep.
    settled: AtomicU32,
}

/// Numbers of earlier runs that series keep.
#[derive(Debug)]
struct Kept {
    /// By series; 0: none.
    of: Box<[u64]>,
    /// The series that have one, in order of it.
    by_number: Box<[u32]>,
}

impl Numbers {
    pub(crate) fn new(base: u64) -> Self {
        Numbers {
            base,
            found: RwLock::default(),
            joined: AtomicBool::new(false),
            kept: OnceLock::new(),
            settled: AtomicU32::new(0),
        }
    }

    /// The number under which this run logs a series.
    #[inline]
    pub(crate) fn of(&self, id: u32) -> u64 {
        if id < self.settled.load(Acquire)
            && let Some(kept) = self.kept.get()
            && let Some(&number) = kept.of.get(id as usize)
            && number != 0
        {
            return number;
        }
        self.base + u64::from(id)
    }

    /// Rises whenever numbers change, which is while the log is locked.
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.settled.load(Acquire)
    }

    /// The series that has a number, in this run or as one of an earlier run that it keeps.
    pub(crate) fn series(&self, number: u64) -> Option<u32> {
        let kept = self.kept.get().and_then(|kept| {
            let at = kept.by_number.binary_search_by_key(&number, |&id| kept.of[id as usize]).ok()?;
            Some(kept.by_number[at])
        });
        kept.or_else(|| number.checked_sub(self.base).and_then(|id| u32::try_from(id).ok()))
    }

    /// The number for head chunks of a series; none while replay may still find another one.
    pub(super) fn of_chunks(&self, id: u32) -> Option<u64> {
        match self.found.read().get(id as usize) {
            Some(&number) if number != 0 => Some(number),
            _ => self.joined.load(Acquire).then(|| self.of(id)),
        }
    }

    /// Whether replayed samples have been put before those of this run.
    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Acquire)
    }

    /// Notes that they have been.
    pub(super) fn note_joined(&self) {
        self.joined.store(true, Release);
    }

    /// Notes a number that the log has for a series: the first one counts.
    pub(super) fn note(&self, id: u32, number: u64) {
        let mut found = self.found.write();
        if found.len() <= id as usize {
            found.resize(id as usize + 1, 0);
        }
        if found[id as usize] == 0 {
            found[id as usize] = number;
        }
    }

    /// Forgets what was found so far.
    pub(super) fn forget(&self) {
        *self.found.write() = Vec::new();
    }

    /// Series that the log knew before.
    fn found(&self) -> Vec<u32> {
        let found = self.found.read();
        (0..found.len() as u32).filter(|&id| found[id as usize] != 0).collect()
    }

    /// Makes room for the numbers that series keep.
    fn prepare(&self) {
        self.kept.get_or_init(|| {
            let found = self.found.read();
            let of: Box<[u64]> = found.iter().copied().collect();
            let mut by_number: Box<[u32]> = (0..of.len() as u32).filter(|&id| of[id as usize] != 0).collect();
            by_number.sort_unstable_by_key(|&id| of[id as usize]);
            Kept { of, by_number }
        });
    }

    /// From now on the series up to this one have the numbers that the log gave them first. The log must be locked.
    fn keep_to(&self, last: u32) {
        self.settled.store(last + 1, Release);
    }

    /// Bytes on the heap, once all are settled.
    pub(super) fn heap_bytes(&self) -> usize {
        let bytes = |kept: &Kept| size_of_val(&*kept.of) + size_of_val(&*kept.by_number);
        self.kept.get().map_or(0, bytes)
    }
}

impl Head {
    /// Gives the series the numbers that the log gave them first, some at a time: commits go on meanwhile. All that was replayed must be in
    /// head chunk files.
    ///
    /// # Errors
    /// Where something cannot be written: the series that are left keep the numbers of this run.
    pub(super) fn settle_numbers(&self) -> Result<(), Error> {
        self.numbers.prepare();
        let found = self.numbers.found();
        for some in found.chunks(AT_ONCE) {
            self.settle_some(some)?;
        }
        self.numbers.forget();
        Ok(())
    }

    fn settle_some(&self, ids: &[u32]) -> Result<(), Error> {
        let Some(&last) = ids.last() else { return Ok(()) };
        let mut log = self.log.lock();
        self.prepare_log(&mut log)?;
        // what this run has logged of them, under other numbers
        let mut of_this_run = Vec::new();
        self.with_series(ids, |id, page, slot| {
            if let Some(series) = page.series(slot) {
                series.state.lock().chain.cut();
                of_this_run.extend(series.logged.load(Relaxed).then_some(id));
            }
        });
        for &id in ids {
            self.flush_series(id)?;
        }
        for id in of_this_run {
            self.copy_chunks(id)?;
        }
        self.chunks.lock().flush()?;
        self.numbers.keep_to(last);
        self.with_series(ids, |_, page, slot| {
            if let Some(series) = page.series(slot) {
                series.logged.store(false, Relaxed);
            }
        });
        self.log_series(&mut log, ids)
    }

    /// Writes the chunks of a series to head chunk files once more, under the number that this run has named it by.
    fn copy_chunks(&self, id: u32) -> Result<(), Error> {
        let Some(page) = self.page(id / PAGE_SLOTS as u32) else { return Ok(()) };
        let Some(series) = page.series(id as usize % PAGE_SLOTS) else { return Ok(()) };
        let chunks = series.state.lock().chain.full.clone();
        let mut data = Vec::new();
        for chunk in chunks {
            let FullData::File(place) = chunk.data else { continue };
            data.clear();
            let mut files = self.chunks.lock();
            let encoding = files.read(place, &mut data)?;
            files.write(self.reference(id), chunk.mint, chunk.maxt, encoding, &data)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_stays() {
        let numbers = Numbers::new(1000);
        assert_eq!((numbers.of(2), numbers.of_chunks(2), numbers.series(1002)), (1002, None, Some(2)));
        numbers.note(2, 7);
        numbers.note(0, 9);
        numbers.note(2, 8);
        assert_eq!((numbers.of(2), numbers.of_chunks(2), numbers.of_chunks(1)), (1002, Some(7), None));
        numbers.note_joined();
        assert_eq!(numbers.of_chunks(1), Some(1001));
        numbers.prepare();
        assert_eq!(numbers.found(), [0, 2]);
        numbers.keep_to(0);
        assert_eq!((numbers.of(0), numbers.of(2)), (9, 1002));
        numbers.keep_to(2);
        numbers.forget();
        assert_eq!([0, 1, 2, 3].map(|id| numbers.of(id)), [9, 1001, 7, 1003]);
        assert_eq!([7, 8, 9, 1002, 999].map(|n| numbers.series(n)), [Some(2), None, Some(0), Some(2), None]);
        assert_eq!((numbers.of_chunks(2), numbers.version()), (Some(7), 3));
    }
}
