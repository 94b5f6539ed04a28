//! The label pairs of each series, packed by pages of neighbours: no allocation and no pointer per series.

use rustc_hash::FxHashMap;

use super::series::PAGE_SLOTS;

/// Series number to pair numbers.
#[derive(Debug, Default)]
pub(crate) struct PairLists {
    pages: FxHashMap<u32, Page>,
}

#[derive(Debug, Default)]
struct Page {
    pairs: Vec<u32>,
    /// Where each series' pairs end in `pairs`.
    ends: [u16; PAGE_SLOTS],
    /// The slot that comes next.
    filled: u8,
    /// How many are not removed yet.
    live: u8,
    /// A bit for each slot whose series was removed: its pairs may name others by now.
    removed: u32,
}

const _: () = assert!(PAGE_SLOTS <= u32::BITS as usize);

/// A set with more labels than this could overflow the ends of its page.
pub(crate) const MAX_LABELS: usize = u16::MAX as usize / PAGE_SLOTS;

fn split(id: u32) -> (u32, usize) {
    (id / PAGE_SLOTS as u32, id as usize % PAGE_SLOTS)
}

impl PairLists {
    /// Bytes of memory that a page takes beside the pairs themselves.
    pub(super) const PAGE_BYTES: usize = (size_of::<(u32, Page)>() + 1) * 4 / 3 + 16;

    /// The pairs of a series; empty where it is not there.
    pub(crate) fn get(&self, id: u32) -> &[u32] {
        let (page, slot) = split(id);
        let Some(page) = self.pages.get(&page) else { return &[] };
        if slot >= page.filled as usize || page.removed >> slot & 1 == 1 {
            return &[];
        }
        let from = if slot == 0 { 0 } else { page.ends[slot - 1] };
        &page.pairs[from as usize..page.ends[slot] as usize]
    }

    /// Adds a series with a number above all others.
    pub(crate) fn push(&mut self, id: u32, pairs: impl IntoIterator<Item = u32>) {
        let (page, slot) = split(id);
        let page = self.pages.entry(page).or_default();
        let end = page.pairs.len() as u16;
        while (page.filled as usize) < slot {
            page.ends[page.filled as usize] = end; // numbers that were left out
            page.filled += 1;
        }
        page.pairs.extend(pairs);
        page.ends[slot] = page.pairs.len() as u16;
        page.filled = slot as u8 + 1;
        page.live += 1;
        if slot + 1 == PAGE_SLOTS {
            page.pairs.shrink_to_fit();
        }
    }

    /// Removes a series; its room is free once its neighbours are gone too.
    pub(crate) fn remove(&mut self, id: u32) {
        let (number, slot) = split(id);
        if let Some(page) = self.pages.get_mut(&number) {
            page.live -= 1;
            page.removed |= 1 << slot;
            if page.live == 0 && page.filled as usize == PAGE_SLOTS {
                self.pages.remove(&number);
            }
        }
    }

    /// Gives spare room back.
    pub(crate) fn shrink(&mut self) {
        self.pages.shrink_to(self.pages.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_series_has_no_pairs_while_its_neighbours_are_there() {
        let mut lists = PairLists::default();
        for id in 0..3 {
            lists.push(id, [id, id + 10]);
        }
        lists.remove(1);
        assert_eq!([lists.get(0), lists.get(1), lists.get(2)], [&[0, 10][..], &[], &[2, 12]]);
    }
}
