//! What matchers found before: a dashboard asks the same every half minute, of blocks that never change and of a head whose series mostly
//! stay the same.
//!
//! Labels are shared between places: the answer of a block takes the label sets of the answer of another one to the same matchers.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::{Labels, Matcher};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use ulid::Ulid;

use crate::block::ChunkMeta;

/// Where matchers were resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A block: what was found there holds for ever.
    Block(Ulid),
    /// The head: what was found holds while its [`Found::state`] does.
    Head,
}

/// What shows that the head's series that satisfy some matchers are the same as before: how often series were removed, and the length of a
/// list that all of them stand in.
pub(crate) type State = (u64, usize);

/// The series that satisfy matchers in one place.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Their numbers, rising.
    pub(crate) ids: Vec<u32>,
    /// Positions in `ids` in order of the labels; empty where the numbers are in that order.
    pub(crate) order: Vec<u32>,
    /// Their labels, in order.
    pub(crate) labels: Vec<Labels>,
    /// The chunks of all, in order of the labels: nothing in the head.
    pub(crate) chunks: Vec<ChunkMeta>,
    /// Where in `chunks` those of each series end.
    pub(crate) ends: Vec<u32>,
    /// Of the head alone.
    pub(crate) state: State,
}

impl Found {
    /// The chunks of the series at a place in the order of labels.
    pub(crate) fn chunks_of(&self, at: usize) -> &[ChunkMeta] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.chunks[begin..self.ends[at] as usize]
    }

    /// Bytes that it takes; those of labels that other answers have as well count for each.
    fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|l| l.packed_len() + 16 + size_of::<Labels>()).sum();
        let numbers = self.ids.capacity() + self.order.capacity() + self.ends.capacity();
        labels + 4 * numbers + size_of::<ChunkMeta>() * self.chunks.capacity() + size_of::<Self>()
    }

    /// Takes label sets that are the same from another answer.
    fn share_labels(&mut self, other: &Found) {
        let mut theirs = other.labels.iter().peekable();
        for own in &mut self.labels {
            while theirs.next_if(|their| *their < own).is_some() {}
            if let Some(their) = theirs.next_if(|their| *their == own) {
                *own = their.clone();
            }
        }
    }
}

#[derive(Debug)]
struct Entry {
    place: Place,
    matchers: Vec<Matcher>,
    found: Arc<Found>,
    bytes: usize,
    /// When it was asked for last: a count of questions.
    asked: u64,
}

#[derive(Debug, Default)]
struct Entries {
    by_hash: FxHashMap<u64, Entry>,
    /// For the matchers alone: the place that answered last.
    last: FxHashMap<u64, u64>,
    bytes: usize,
    questions: u64,
}

/// The answers that were asked for last, at most so many bytes of them.
#[derive(Debug)]
pub(crate) struct Selections {
    entries: Mutex<Entries>,
    budget: usize,
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Selections {
    /// None yet; at most `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        Selections { entries: Mutex::default(), budget }
    }

    /// What these matchers found in a place.
    pub(crate) fn get(&self, place: Place, matchers: &[Matcher]) -> Option<Arc<Found>> {
        let mut entries = self.entries.lock();
        entries.questions += 1;
        let now = entries.questions;
        let entry = entries.by_hash.get_mut(&hash((place, matchers)))?;
        if entry.place != place || entry.matchers != matchers {
            return None;
        }
        entry.asked = now;
        Some(entry.found.clone())
    }

    /// Keeps what matchers found, unless it is too much; in any case it is handed back.
    pub(crate) fn keep(&self, place: Place, matchers: &[Matcher], mut found: Found) -> Arc<Found> {
        let (key, of_matchers) = (hash((place, matchers)), hash(matchers));
        let like = {
            let entries = self.entries.lock();
            let last = entries.last.get(&of_matchers).and_then(|last| entries.by_hash.get(last));
            last.filter(|entry| entry.matchers == matchers).map(|entry| entry.found.clone())
        };
        if let Some(like) = like {
            found.share_labels(&like);
        }
        let bytes = found.bytes() + matchers.iter().map(|m| m.name.len() + m.value.len() + 64).sum::<usize>();
        let found = Arc::new(found);
        // one answer does not drive out most others
        if bytes > self.budget / 2 {
            return found;
        }
        let mut entries = self.entries.lock();
        let (asked, kept) = (entries.questions, found.clone());
        let entry = Entry { place, matchers: matchers.to_vec(), found: kept, bytes, asked };
        entries.bytes += bytes;
        if let Some(old) = entries.by_hash.insert(key, entry) {
            entries.bytes -= old.bytes;
        }
        entries.last.insert(of_matchers, key);
        while entries.bytes > self.budget {
            entries.remove_oldest();
        }
        found
    }

    /// Forgets what was found in blocks that are not there any more.
    pub(crate) fn keep_blocks(&self, is_there: impl Fn(&Ulid) -> bool) {
        let mut entries = self.entries.lock();
        entries.by_hash.retain(|_, entry| match &entry.place {
            Place::Block(block) => is_there(block),
            Place::Head => true,
        });
        entries.recount();
    }
}

impl Entries {
    fn remove_oldest(&mut self) {
        let oldest = self.by_hash.iter().min_by_key(|(_, entry)| entry.asked).map(|(key, _)| *key);
        match oldest.and_then(|key| self.by_hash.remove(&key)) {
            Some(entry) => self.bytes -= entry.bytes,
            None => self.bytes = 0,
        }
        if self.last.len() > 2 * self.by_hash.len() + 64 {
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.bytes = self.by_hash.values().map(|entry| entry.bytes).sum();
        let Entries { by_hash, last, .. } = self;
        last.retain(|_, key| by_hash.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Found {
        let labels = names.iter().map(|name| Labels::from_pairs([("a", *name)])).collect();
        Found { ids: (0..names.len() as u32).collect(), labels, ..Found::default() }
    }

    #[test]
    fn answers_are_kept_by_place_and_matchers_and_share_labels() {
        let selections = Selections::new(1 << 20);
        let (one, other) = ([Matcher::equal("a", "b")], [Matcher::equal("a", "c")]);
        let block = Place::Block(Ulid::from_parts(1, 1));
        assert!(selections.get(block, &one).is_none());
        let first = selections.keep(block, &one, found(&["1", "3", "4"]));
        assert!(selections.get(Place::Head, &one).is_none() && selections.get(block, &other).is_none());
        assert!(Arc::ptr_eq(&first, &selections.get(block, &one).unwrap()));
        let second = selections.keep(Place::Head, &one, found(&["0", "2", "3", "4", "5"]));
        let shared = |i: usize, k: usize| {
            std::ptr::eq(first.labels[i].iter().next().unwrap().1, second.labels[k].iter().next().unwrap().1)
        };
        assert!(shared(1, 2) && shared(2, 3));
        assert_eq!(second.labels, found(&["0", "2", "3", "4", "5"]).labels);
        selections.keep_blocks(|_| false);
        assert!(selections.get(block, &one).is_none() && selections.get(Place::Head, &one).is_some());
    }

    #[test]
    fn the_budget_is_kept_and_what_was_asked_for_last_stays() {
        let names: Vec<String> = (0..20).map(|i| format!("{i:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let size = found(&names).bytes();
        let selections = Selections::new(8 * size);
        let of = |i: usize| [Matcher::equal("a", i.to_string())];
        for i in 0..50 {
            selections.keep(Place::Head, &of(i), found(&names));
            selections.get(Place::Head, &of(0));
        }
        assert!(selections.get(Place::Head, &of(0)).is_some());
        assert!(
            selections.get(Place::Head, &of(49)).is_some() && selections.get(Place::Head, &of(30)).is_none()
        );
        let entries = selections.entries.lock();
        assert!(entries.bytes <= 8 * size && entries.by_hash.len() < 8, "{}", entries.by_hash.len());
        drop(entries);
        let many: Vec<&str> = names.iter().cycle().take(200).copied().collect();
        selections.keep(Place::Head, &of(60), found(&many));
        assert!(selections.get(Place::Head, &of(60)).is_none(), "too large to be kept");
    }
}
