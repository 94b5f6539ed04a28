//! What is known of the series of one target: from the bytes of a line's name and labels to the storage's reference.
//!
//! Lines come in the same order in each scrape, so the cache keeps the order of the last one and says which series to
//! expect next; only a line that differs from it costs a look-up by hash. As long as a scrape follows the order, nothing is
//! written here at all.
//!
//! A line is kept as three parts (see [`split`]), and each distinct part once: lines of a target differ in their metric or in
//! their last label and have most of their text in common.

use crate::append::SeriesRef;
use exposition::Expected;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// A series whose place in the order is not known yet.
const NO_POSITION: u32 = u32::MAX;

/// Index of a series in the cache.
pub(crate) type Id = u32;

/// A line's name and labels: places in [`Texts`].
type Parts = [u32; 3];

/// One series.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The storage's reference; 0 until it gave one.
    pub(crate) series: SeriesRef,
    parts: Parts,
    seen: u32,
    position: u32,
    /// Relabelling dropped it: it is not stored.
    pub(crate) dropped: bool,
    /// Whether it must be marked stale when it is gone.
    pub(crate) live: bool,
    vacant: bool,
}

/// The series of a target.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    slots: Vec<Slot>,
    free: Vec<Id>,
    index: HashTable<Id>,
    texts: Texts,
    /// Series removed since the texts were made anew.
    garbage: usize,
    order: Vec<Id>,
    /// The order of this scrape, once it differs from the last one's.
    next_order: Vec<Id>,
    /// Whether this scrape has differed from the order.
    diverged: bool,
    /// Whether room that growth took has been given back.
    settled: bool,
    cursor: usize,
    iteration: u32,
    /// Series seen in this iteration, each counted once, since it diverged.
    seen: usize,
    /// Series made in this iteration.
    fresh: Vec<Id>,
}

/// Distinct texts one after another, each behind its length in four bytes, the least first. A text is known by its place.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// The name up to the brace, the labels but the last, the rest. Any cut would do: only bytes are compared, and a brace or a
/// comma within quotes does no harm.
fn split(raw: &[u8]) -> [&[u8]; 3] {
    let brace = memchr::memchr(b'{', raw).map_or(raw.len(), |at| at + 1);
    let (name, labels) = raw.split_at(brace);
    // the comma behind a closing quote; the last label's own text rarely has one
    let comma = memchr::memrchr_iter(b',', labels).find(|&at| at > 0 && labels[at - 1] == b'"');
    let (most, last) = labels.split_at(comma.map_or(0, |at| at + 1));
    [name, most, last]
}

impl Texts {
    #[inline]
    fn get(bytes: &[u8], place: u32) -> &[u8] {
        match bytes.get(place as usize..).and_then(|rest| rest.split_first_chunk::<4>()) {
            Some((len, rest)) => rest.get(..u32::from_le_bytes(*len) as usize).unwrap_or_default(),
            None => &[],
        }
    }

    fn find(&self, text: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.index.find(hash, |place| Texts::get(&self.bytes, *place) == text).copied()
    }

    /// None where all texts together would be longer than 4 GiB.
    fn intern(&mut self, text: &[u8]) -> Option<u32> {
        if let Some(place) = self.find(text) {
            return Some(place);
        }
        let place = u32::try_from(self.bytes.len()).ok()?;
        self.bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
        self.bytes.extend_from_slice(text);
        let Texts { bytes, index, hasher } = self;
        let hash = hasher.hash_one(text);
        index.insert_unique(hash, place, |place| hasher.hash_one(Texts::get(bytes, *place)));
        Some(place)
    }
}

/// How much of the input is the series that probably comes next.
impl Expected for Cache {
    #[inline]
    fn len_in(&self, input: &[u8]) -> usize {
        let Some(id) = self.order.get(self.cursor) else { return 0 };
        let mut rest = input;
        for place in self.slots[*id as usize].parts {
            match rest.strip_prefix(Texts::get(&self.texts.bytes, place)) {
                Some(behind) => rest = behind,
                None => return 0,
            }
        }
        input.len() - rest.len()
    }
}

impl Cache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.iteration = self.iteration.wrapping_add(1);
        self.cursor = 0;
        self.seen = 0;
        self.diverged = false;
        self.next_order.clear();
        self.fresh.clear();
    }

    /// The expected series came.
    #[inline]
    pub(crate) fn hit(&mut self) -> Id {
        let id = self.order[self.cursor];
        self.cursor += 1;
        if self.diverged {
            self.see(id);
        }
        id
    }

    /// A series that was not expected; the one after it is expected next.
    pub(crate) fn find(&mut self, raw: &[u8]) -> Option<Id> {
        let [a, b, c] = split(raw);
        let parts = [self.texts.find(a)?, self.texts.find(b)?, self.texts.find(c)?];
        let hash = self.texts.hasher.hash_one(parts);
        let id = *self.index.find(hash, |id| self.slots[*id as usize].parts == parts)?;
        self.diverge();
        // places of this very scrape are in the next order, not in the one that is followed
        let slot = &self.slots[id as usize];
        if slot.seen != self.iteration && slot.position != NO_POSITION {
            self.cursor = slot.position as usize + 1;
        }
        self.see(id);
        Some(id)
    }

    /// A series that is new; none where there is too much text.
    pub(crate) fn insert(&mut self, raw: &[u8], dropped: bool) -> Option<Id> {
        self.diverge();
        let [a, b, c] = split(raw);
        let parts = [self.texts.intern(a)?, self.texts.intern(b)?, self.texts.intern(c)?];
        let slot = Slot {
            series: SeriesRef::default(),
            parts,
            seen: self.iteration.wrapping_sub(1),
            position: NO_POSITION,
            dropped,
            live: false,
            vacant: false,
        };
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
        let Cache { index, texts, slots, .. } = self;
        let hash = |parts: &Parts| texts.hasher.hash_one(parts);
        index.insert_unique(hash(&parts), id, |id| hash(&slots[*id as usize].parts));
        self.fresh.push(id);
        self.see(id);
        Some(id)
    }

    /// Until here the scrape was as the last one; now it is not.
    #[cold]
    fn diverge(&mut self) {
        if self.diverged {
            return;
        }
        self.diverged = true;
        for at in 0..self.cursor {
            self.see(self.order[at]);
        }
    }

    fn see(&mut self, id: Id) {
        let slot = &mut self.slots[id as usize];
        if slot.seen != self.iteration {
            slot.seen = self.iteration;
            self.seen += 1;
        }
        slot.position = self.next_order.len() as u32;
        self.next_order.push(id);
    }

    /// All lines have been read.
    pub(crate) fn end(&mut self) {
        if self.cursor < self.order.len() {
            self.diverge();
        }
    }

    /// The series with this index.
    #[inline]
    pub(crate) fn slot(&mut self, id: Id) -> &mut Slot {
        &mut self.slots[id as usize]
    }

    /// The storage's reference, and the text of name and labels.
    pub(crate) fn series(&self, id: Id) -> (SeriesRef, Raw<'_>) {
        let slot = &self.slots[id as usize];
        (slot.series, Raw { parts: slot.parts, bytes: &self.texts.bytes })
    }

    /// How many series are known, dropped ones included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let lists =
            self.order.capacity() + self.next_order.capacity() + self.fresh.capacity() + self.free.capacity();
        // a table's entries have a byte beside them, and an eighth stays free
        let tables = (self.index.capacity() + self.texts.index.capacity()) * (size_of::<u32>() + 1) * 8 / 7;
        self.slots.capacity() * size_of::<Slot>()
            + lists * size_of::<Id>()
            + tables
            + self.texts.bytes.capacity()
    }

    fn all_seen(&self) -> bool {
        !self.diverged || self.seen == self.len()
    }

    /// The live series that this scrape, read to its end, did not have.
    pub(crate) fn gone(&self) -> impl Iterator<Item = Id> {
        let slots = if self.all_seen() { &[][..] } else { &self.slots[..] };
        ids(slots, |s| s.live && s.seen != self.iteration)
    }

    /// All live series.
    pub(crate) fn live(&self) -> impl Iterator<Item = Id> {
        ids(&self.slots, |s| s.live)
    }

    /// The series of this scrape that are stored.
    pub(crate) fn stored(&self) -> impl Iterator<Item = Id> {
        let all = self.all_seen();
        ids(&self.slots, move |s| (all || s.seen == self.iteration) && !s.dropped)
    }

    /// The scrape was stored: forgets the series that it did not have.
    pub(crate) fn commit(&mut self) {
        if !self.diverged {
            if !self.settled {
                // steady again after growth: give back what it took
                self.settled = true;
                self.next_order = Vec::new();
                self.fresh = Vec::new();
                self.slots.shrink_to_fit();
                self.order.shrink_to_fit();
                self.texts.bytes.shrink_to_fit();
            }
            return;
        }
        (self.diverged, self.settled) = (false, false);
        self.fresh.clear();
        if self.seen < self.len() {
            for id in 0..self.slots.len() {
                let slot = &self.slots[id];
                if slot.seen != self.iteration && !slot.vacant {
                    self.remove(id as Id);
                }
            }
        }
        std::mem::swap(&mut self.order, &mut self.next_order);
        self.compact();
    }

    /// The scrape will not be stored: forgets the series that it brought.
    pub(crate) fn abandon(&mut self) {
        if !std::mem::take(&mut self.diverged) {
            return;
        }
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

    fn remove(&mut self, id: Id) {
        let slot = &mut self.slots[id as usize];
        (slot.vacant, slot.live, slot.dropped) = (true, false, true);
        let hash = self.texts.hasher.hash_one(slot.parts);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == id) {
            found.remove();
        }
        self.garbage += 1;
        self.free.push(id);
    }

    /// Makes all anew once more series have gone than there are; only `order` names series then.
    fn compact(&mut self) {
        if self.garbage <= self.len() {
            return;
        }
        self.garbage = 0;
        self.next_order.clear();
        let old = std::mem::take(&mut self.texts);
        let mut texts = Texts { hasher: old.hasher, ..Texts::default() };
        let mut slots = Vec::with_capacity(self.len());
        let mut index = HashTable::with_capacity(self.len());
        let mut moved = vec![0; self.slots.len()];
        for (id, mut slot) in
            std::mem::take(&mut self.slots).into_iter().enumerate().filter(|(_, s)| !s.vacant)
        {
            for place in &mut slot.parts {
                // never none: there is less text than before
                *place = texts.intern(Texts::get(&old.bytes, *place)).unwrap_or(u32::MAX);
            }
            moved[id] = slots.len() as Id;
            let hash = texts.hasher.hash_one(slot.parts);
            index.insert_unique(hash, slots.len() as Id, |_| hash); // room for all: nothing is hashed again
            slots.push(slot);
        }
        self.order.iter_mut().for_each(|id| *id = moved[*id as usize]);
        self.free = Vec::new();
        (self.slots, self.index, self.texts) = (slots, index, texts);
    }
}

fn ids(slots: &[Slot], keep: impl Fn(&Slot) -> bool) -> impl Iterator<Item = Id> {
    slots.iter().enumerate().filter(move |(_, slot)| keep(slot)).map(|(id, _)| id as Id)
}

/// The text of a series' name and labels, in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    parts: Parts,
    bytes: &'a [u8],
}

impl Raw<'_> {
    /// The whole text.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.parts.map(|place| Texts::get(self.bytes, place)).concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn see(cache: &mut Cache, name: &str) -> Id {
        let raw = name.as_bytes();
        let id = if !raw.is_empty() && cache.len_in(raw) == raw.len() {
            cache.hit()
        } else {
            cache.find(raw).unwrap_or_else(|| cache.insert(raw, false).unwrap())
        };
        cache.slot(id).live = true;
        id
    }

    fn name(cache: &Cache, id: Id) -> String {
        String::from_utf8(cache.series(id).1.to_vec()).unwrap()
    }

    fn scrape(cache: &mut Cache, names: &[String]) -> BTreeSet<String> {
        cache.begin();
        for name in names {
            see(cache, name);
        }
        cache.end();
        let gone = cache.gone().map(|id| name(cache, id)).collect();
        cache.commit();
        gone
    }

    fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
        names.map(String::from).into()
    }

    #[test]
    fn follows_the_order_of_the_last_scrape() {
        let mut cache = Cache::default();
        scrape(&mut cache, &names(["a", "b{x=\"1\"}", "c", "d"]));
        cache.begin();
        assert_eq!(cache.len_in(b"a 1"), 1);
        see(&mut cache, "a");
        see(&mut cache, "new");
        assert_eq!(cache.len_in(b"b{x=\"1\"} 2"), 8);
        assert_eq!(cache.len_in(b"b{x=\"2\"} 2"), 0);
        see(&mut cache, "c");
        assert_eq!(cache.len_in(b"d"), 1);
    }

    #[test]
    fn a_steady_scrape_changes_nothing() {
        let lines = names(["a", "b", "a", "c{d=\"1\",e=\"2\"}"]);
        let mut cache = Cache::default();
        scrape(&mut cache, &lines);
        let order = cache.order.clone();
        assert!(scrape(&mut cache, &lines).is_empty());
        assert!(cache.settled && cache.next_order.capacity() == 0);
        assert_eq!((cache.order.clone(), cache.len(), cache.stored().count()), (order, 3, 3));
        // ends early, without any line that was not expected
        assert_eq!(scrape(&mut cache, &lines[..2]), BTreeSet::from([lines[3].clone()]));
        assert_eq!((cache.len(), cache.order.len()), (2, 2));
    }

    #[test]
    fn a_rolled_back_scrape_leaves_what_was_known() {
        let mut cache = Cache::default();
        scrape(&mut cache, &names(["a", "b"]));
        cache.begin();
        see(&mut cache, "new");
        see(&mut cache, "b");
        assert_eq!(cache.live().count(), 3);
        cache.abandon();
        assert_eq!((cache.len(), cache.live().count()), (2, 2));
        cache.rest();
        assert_eq!((cache.len(), cache.live().count()), (2, 0));
        cache.begin();
        assert_eq!(cache.len_in(b"a"), 1);
        assert!(cache.find(b"new").is_none());
        assert!(cache.find(b"b").is_some());
        cache.begin();
        assert_eq!(cache.len_in(b"a"), 1);
    }

    #[test]
    fn a_failure_after_new_series_forgets_none() {
        let mut cache = Cache::default();
        scrape(&mut cache, &names(["a"]));
        scrape(&mut cache, &names(["a", "new"]));
        cache.abandon(); // nothing came: the scrape never began
        assert_eq!((cache.len(), cache.live().count()), (2, 2));
    }

    #[test]
    fn cuts_lines_where_they_differ() {
        let parts = |raw: &'static str| split(raw.as_bytes()).map(|p| std::str::from_utf8(p).unwrap());
        assert_eq!(parts("up"), ["up", "", ""]);
        assert_eq!(parts("a{}"), ["a{", "", "}"]);
        assert_eq!(parts("a{b=\"1\"}"), ["a{", "", "b=\"1\"}"]);
        assert_eq!(parts("a{b=\"1\",c=\"2,3\"}"), ["a{", "b=\"1\",", "c=\"2,3\"}"]);
        assert_eq!(parts("a{b=\"1\",}"), ["a{", "b=\"1\",", "}"]);
    }

    #[test]
    fn text_of_removed_series_goes() {
        let mut cache = Cache::default();
        let stay = names(["stay{a=\"1\",b=\"2\"}"]);
        scrape(&mut cache, &stay);
        let small = cache.texts.bytes.len();
        for round in 0..10 {
            let mut lines = stay.clone();
            lines.extend((0..10).map(|i| format!("go{{round=\"{round}\",i=\"{i}\"}}")));
            scrape(&mut cache, &lines);
            assert_eq!(cache.len(), 11);
        }
        scrape(&mut cache, &stay);
        scrape(&mut cache, &stay);
        assert_eq!((cache.texts.bytes.len(), cache.slots.len(), cache.len()), (small, 1, 1));
        cache.begin();
        assert!(cache.find(stay[0].as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn knows_what_the_last_scrape_had(scrapes in prop::collection::vec((prop::collection::vec("[a-c]{1,2}([{]([a-b]=\"1\",?){0,2})?", 0..40), any::<bool>()), 1..12)) {
            let (mut cache, mut before) = (Cache::default(), BTreeSet::new());
            for (names, stored) in scrapes {
                let now: BTreeSet<String> = names.iter().cloned().collect();
                if stored {
                    let gone = scrape(&mut cache, &names);
                    prop_assert_eq!(&gone, &before.difference(&now).cloned().collect());
                    before = now;
                    let live: BTreeSet<String> = cache.live().map(|id| name(&cache, id)).collect();
                    prop_assert_eq!(&live, &before);
                } else {
                    cache.begin();
                    for name in &names { see(&mut cache, name); }
                    cache.abandon();
                    cache.slots.iter_mut().filter(|s| !s.vacant).for_each(|s| s.live = true);
                }
                prop_assert_eq!(cache.len(), before.len());
                for text in &before {
                    let parts = split(text.as_bytes()).map(|p| cache.texts.find(p).unwrap());
                    prop_assert!(cache.index.find(cache.texts.hasher.hash_one(parts), |id| cache.slots[*id as usize].parts == parts).is_some());
                }
            }
        }
    }
}
