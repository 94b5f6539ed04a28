//! What is known of the series of one target: from the bytes of a line's name and labels to the storage's reference.
//!
//! Lines come in the same order in each scrape, so the cache keeps the order of the last one and says which series to
//! expect next; only a line that differs from it costs a look-up by hash.

use crate::append::SeriesRef;
use hashbrown::{DefaultHashBuilder, HashTable};
use model::Labels;
use std::hash::BuildHasher as _;

/// A series whose place in the order is not known yet.
const NO_POSITION: u32 = u32::MAX;

/// Index of a series in the cache.
pub(crate) type Id = u32;

/// One series.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The storage's reference; 0 until it gave one.
    pub(crate) series: SeriesRef,
    /// The final labels; none where relabelling dropped the series.
    pub(crate) labels: Option<Labels>,
    /// Whether it must be marked stale when it is gone.
    pub(crate) live: bool,
    raw_at: u32,
    raw_len: u32,
    seen: u32,
    position: u32,
}

/// The series of a target.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    slots: Vec<Slot>,
    free: Vec<Id>,
    index: HashTable<Id>,
    hasher: DefaultHashBuilder,
    /// The raw bytes of all series, one after another.
    arena: Vec<u8>,
    /// Bytes in the arena that belong to no series any more.
    garbage: usize,
    order: Vec<Id>,
    next_order: Vec<Id>,
    cursor: usize,
    iteration: u32,
    /// Series seen in this iteration, each counted once.
    seen: usize,
    /// Series made in this iteration.
    fresh: Vec<Id>,
}

impl Slot {
    fn raw<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.raw_at as usize..][..self.raw_len as usize]
    }
}

impl Cache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.iteration = self.iteration.wrapping_add(1);
        self.cursor = 0;
        self.seen = 0;
        self.next_order.clear();
        self.fresh.clear();
    }

    /// The bytes of the series that probably comes next.
    #[inline]
    pub(crate) fn expected(&self) -> &[u8] {
        self.order.get(self.cursor).map_or(&[], |id| self.slots[*id as usize].raw(&self.arena))
    }

    /// The expected series came.
    #[inline]
    pub(crate) fn hit(&mut self) -> Id {
        let id = self.order[self.cursor];
        self.cursor += 1;
        self.see(id);
        id
    }

    /// A series that was not expected; the one after it is expected next.
    pub(crate) fn find(&mut self, raw: &[u8]) -> Option<Id> {
        let hash = self.hasher.hash_one(raw);
        let id = *self.index.find(hash, |id| self.slots[*id as usize].raw(&self.arena) == raw)?;
        // places of this very scrape are in the next order, not in the one that is followed
        let slot = &self.slots[id as usize];
        if slot.seen != self.iteration && slot.position != NO_POSITION {
            self.cursor = slot.position as usize + 1;
        }
        self.see(id);
        Some(id)
    }

    /// A series that is new.
    pub(crate) fn insert(&mut self, raw: &[u8], labels: Option<Labels>) -> Id {
        let slot = Slot {
            series: SeriesRef::default(),
            labels,
            live: false,
            raw_at: self.arena.len() as u32,
            raw_len: raw.len() as u32,
            seen: self.iteration.wrapping_sub(1),
            position: NO_POSITION,
        };
        self.arena.extend_from_slice(raw);
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as Id
            }
        };
        let Cache { index, hasher, slots, arena, .. } = self;
        index.insert_unique(hasher.hash_one(raw), id, |id| hasher.hash_one(slots[*id as usize].raw(arena)));
        self.fresh.push(id);
        self.see(id);
        id
    }

    #[inline]
    fn see(&mut self, id: Id) {
        let slot = &mut self.slots[id as usize];
        if slot.seen != self.iteration {
            slot.seen = self.iteration;
            self.seen += 1;
        }
        slot.position = self.next_order.len() as u32;
        self.next_order.push(id);
    }

    /// The series with this index.
    #[inline]
    pub(crate) fn slot(&mut self, id: Id) -> &mut Slot {
        &mut self.slots[id as usize]
    }

    /// How many series are known, dropped ones included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The live series that this scrape did not have.
    pub(crate) fn gone(&self) -> impl Iterator<Item = (SeriesRef, &Labels)> {
        let all_seen = self.seen == self.len();
        let slots = if all_seen { &[][..] } else { &self.slots[..] };
        slots.iter().filter(|s| s.live && s.seen != self.iteration).filter_map(reference)
    }

    /// All live series.
    pub(crate) fn live(&self) -> impl Iterator<Item = (SeriesRef, &Labels)> {
        self.slots.iter().filter(|s| s.live).filter_map(reference)
    }

    /// The scrape was stored: forgets the series that it did not have.
    pub(crate) fn commit(&mut self) {
        if self.seen < self.len() {
            for id in 0..self.slots.len() {
                let slot = &self.slots[id];
                if slot.seen != self.iteration && slot.raw_len != 0 {
                    self.remove(id as Id);
                }
            }
            self.compact();
        } else if self.fresh.is_empty() && self.arena.capacity() > self.arena.len() / 4 * 5 {
            // steady again after growth: give back what doubling took
            self.arena.shrink_to_fit();
            self.slots.shrink_to_fit();
            self.next_order.shrink_to_fit();
            self.order = Vec::new();
        }
        std::mem::swap(&mut self.order, &mut self.next_order);
    }

    /// The scrape will not be stored: forgets the series that it brought.
    pub(crate) fn abandon(&mut self) {
        for id in std::mem::take(&mut self.fresh) {
            self.remove(id);
        }
        for slot in &mut self.slots {
            slot.position = NO_POSITION;
        }
        for (position, id) in self.order.iter().enumerate() {
            self.slots[*id as usize].position = position as u32;
        }
        self.compact();
    }

    /// All series have been marked stale: none is live.
    pub(crate) fn rest(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.live = false);
    }

    /// The labels of the series of this scrape.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Labels> {
        self.slots.iter().filter(|s| s.seen == self.iteration).filter_map(|s| s.labels.as_ref())
    }

    fn remove(&mut self, id: Id) {
        let slot = &self.slots[id as usize];
        let hash = self.hasher.hash_one(slot.raw(&self.arena));
        if let Ok(found) = self.index.find_entry(hash, |other| *other == id) {
            found.remove();
        }
        let slot = &mut self.slots[id as usize];
        self.garbage += slot.raw_len as usize;
        (slot.raw_len, slot.labels, slot.live) = (0, None, false);
        self.free.push(id);
    }

    /// Closes the gaps in the arena once they are half of it.
    fn compact(&mut self) {
        if self.garbage * 2 < self.arena.len() {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena.len() - self.garbage);
        for slot in &mut self.slots {
            let raw = slot.raw(&self.arena);
            let at = arena.len() as u32;
            arena.extend_from_slice(raw);
            slot.raw_at = at;
        }
        (self.arena, self.garbage) = (arena, 0);
    }
}

fn reference(slot: &Slot) -> Option<(SeriesRef, &Labels)> {
    slot.labels.as_ref().map(|labels| (slot.series, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn see(cache: &mut Cache, name: &str) -> Id {
        let raw = name.as_bytes();
        let id = if !raw.is_empty() && cache.expected() == raw {
            cache.hit()
        } else {
            cache
                .find(raw)
                .unwrap_or_else(|| cache.insert(raw, Some(Labels::from_pairs([("__name__", name)]))))
        };
        cache.slot(id).live = true;
        id
    }

    fn scrape(cache: &mut Cache, names: &[String]) -> BTreeSet<String> {
        cache.begin();
        for name in names {
            see(cache, name);
        }
        let gone = cache.gone().map(|(_, l)| l.metric_name().to_owned()).collect();
        cache.commit();
        gone
    }

    #[test]
    fn follows_the_order_of_the_last_scrape() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).into();
        let mut cache = Cache::default();
        scrape(&mut cache, &names);
        cache.begin();
        assert_eq!(cache.expected(), b"a");
        see(&mut cache, "a");
        see(&mut cache, "new");
        assert_eq!(cache.expected(), b"b");
        see(&mut cache, "c");
        assert_eq!(cache.expected(), b"d");
    }

    #[test]
    fn a_rolled_back_scrape_leaves_what_was_known() {
        let mut cache = Cache::default();
        scrape(&mut cache, &["a".to_owned(), "b".to_owned()]);
        cache.begin();
        see(&mut cache, "new");
        see(&mut cache, "b");
        assert_eq!(cache.live().count(), 3);
        cache.abandon();
        assert_eq!((cache.len(), cache.live().count()), (2, 2));
        cache.rest();
        assert_eq!((cache.len(), cache.live().count()), (2, 0));
        cache.begin();
        assert_eq!(cache.expected(), b"a");
        assert!(cache.find(b"new").is_none());
        assert!(cache.find(b"b").is_some());
        cache.begin();
        assert_eq!(cache.expected(), b"a");
    }

    proptest! {
        #[test]
        fn knows_what_the_last_scrape_had(scrapes in prop::collection::vec((prop::collection::vec("[a-e]{1,3}", 0..40), any::<bool>()), 1..12)) {
            let (mut cache, mut before) = (Cache::default(), BTreeSet::new());
            for (names, stored) in scrapes {
                let now: BTreeSet<String> = names.iter().cloned().collect();
                if stored {
                    let gone = scrape(&mut cache, &names);
                    prop_assert!(gone.iter().all(|g| before.contains(g) && !now.contains(g)));
                    before = now;
                    let live: BTreeSet<String> = cache.live().map(|(_, l)| l.metric_name().to_owned()).collect();
                    prop_assert_eq!(&live, &before);
                } else {
                    cache.begin();
                    for name in &names { see(&mut cache, name); }
                    cache.abandon();
                }
                prop_assert_eq!(cache.len(), before.len());
                for name in &before {
                    prop_assert!(cache.index.find(cache.hasher.hash_one(name.as_bytes()), |id| cache.slots[*id as usize].raw(&cache.arena) == name.as_bytes()).is_some());
                }
            }
        }
    }
}
