//! What metrics are: type, unit and help, as the log has them of each series. What many series share is kept once.

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The type of a metric, by the number that the log has for it. Higher ones may come from newer writers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MetricKind(pub u8);

impl MetricKind {
    /// Not known.
    pub const UNKNOWN: Self = MetricKind(0);
    /// Only rises.
    pub const COUNTER: Self = MetricKind(1);
    /// Goes up and down.
    pub const GAUGE: Self = MetricKind(2);
    /// Counts in buckets.
    pub const HISTOGRAM: Self = MetricKind(3);
    /// Counts in buckets that go up and down.
    pub const GAUGE_HISTOGRAM: Self = MetricKind(4);
    /// Quantiles.
    pub const SUMMARY: Self = MetricKind(5);
    /// Text that does not change.
    pub const INFO: Self = MetricKind(6);
    /// Which states are in force.
    pub const STATE_SET: Self = MetricKind(7);
}

/// What a metric is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// Its type.
    pub kind: MetricKind,
    /// Its unit, or "".
    pub unit: String,
    /// What it means.
    pub help: String,
}

/// Metadata by series, each different one kept once: a series takes eight bytes.
#[derive(Debug)]
pub(crate) struct MetadataMap<K> {
    /// Twice the place in `distinct`, and one more where the entry is marked.
    of: FxHashMap<K, u32>,
    distinct: Vec<Option<Shared>>,
    free: Vec<u32>,
    places: FxHashMap<Arc<Metadata>, u32>,
    /// Bytes of all different texts.
    text_bytes: usize,
}

#[derive(Debug)]
struct Shared {
    metadata: Arc<Metadata>,
    users: u32,
}

impl<K> Default for MetadataMap<K> {
    fn default() -> Self {
        MetadataMap {
            of: FxHashMap::default(),
            distinct: Vec::new(),
            free: Vec::new(),
            places: FxHashMap::default(),
            text_bytes: 0,
        }
    }
}

impl<K: Copy + Eq + Hash> MetadataMap<K> {
    /// A series' metadata, and whether it is marked.
    pub(crate) fn get(&self, key: K) -> Option<(&Arc<Metadata>, bool)> {
        let place = *self.of.get(&key)?;
        Some((&self.distinct[place as usize / 2].as_ref()?.metadata, place % 2 == 1))
    }

    /// The same metadata, where some series has it.
    pub(crate) fn shared(&self, metadata: &Metadata) -> Option<Arc<Metadata>> {
        self.places.get_key_value(metadata).map(|(shared, _)| shared.clone())
    }

    /// Puts a series' metadata, marked or not, in the place of what it had; true where it had some.
    pub(crate) fn insert(&mut self, key: K, metadata: Arc<Metadata>, marked: bool) -> bool {
        let place = match self.places.get(&metadata) {
            Some(&place) => place,
            None => self.add(metadata),
        };
        if let Some(shared) = &mut self.distinct[place as usize] {
            shared.users += 1;
        }
        let before = self.of.insert(key, place * 2 + u32::from(marked));
        before.inspect(|before| self.release(before / 2)).is_some()
    }

    /// [`MetadataMap::insert`] of what may be there already.
    pub(crate) fn put(&mut self, key: K, metadata: Metadata, marked: bool) -> bool {
        let shared = self.shared(&metadata).unwrap_or_else(|| Arc::new(metadata));
        self.insert(key, shared, marked)
    }

    fn add(&mut self, metadata: Arc<Metadata>) -> u32 {
        self.text_bytes += metadata.unit.len() + metadata.help.len();
        let shared = Some(Shared { metadata: metadata.clone(), users: 0 });
        let place = match self.free.pop() {
            Some(place) => {
                self.distinct[place as usize] = shared;
                place
            }
            None => {
                self.distinct.push(shared);
                self.distinct.len() as u32 - 1
            }
        };
        self.places.insert(metadata, place);
        place
    }

    fn release(&mut self, place: u32) {
        let Some(shared) = &mut self.distinct[place as usize] else { return };
        shared.users -= 1;
        if shared.users == 0 {
            self.text_bytes -= shared.metadata.unit.len() + shared.metadata.help.len();
            self.places.remove(&shared.metadata);
            self.distinct[place as usize] = None;
            self.free.push(place);
        }
    }

    /// Forgets series.
    pub(crate) fn remove(&mut self, keys: &[K]) {
        if self.of.is_empty() {
            return;
        }
        for key in keys {
            if let Some(place) = self.of.remove(key) {
                self.release(place / 2);
            }
        }
        self.of.shrink_to(self.of.len() * 2);
    }

    /// All series with their metadata, and whether it is marked; in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &Arc<Metadata>, bool)> {
        self.of.keys().filter_map(|&key| self.get(key).map(|(metadata, marked)| (key, metadata, marked)))
    }

    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> usize {
        let tables = self.of.capacity() * (size_of::<(K, u32)>() + 1)
            + self.places.capacity() * (size_of::<(Arc<Metadata>, u32)>() + 1);
        let each = size_of::<Option<Shared>>() + size_of::<Metadata>() + 2 * size_of::<usize>();
        tables + self.distinct.capacity() * each + self.text_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_kept_once_and_goes_with_its_last_series() {
        let text = |help: &str| Arc::new(Metadata { help: help.to_owned(), ..Metadata::default() });
        let mut map = MetadataMap::default();
        assert_eq!(map.bytes(), 0);
        for key in 0..100u32 {
            assert!(!map.insert(key, text("one"), key % 2 == 0));
        }
        assert_eq!((map.distinct.len(), map.text_bytes), (1, 3));
        assert_eq!(map.get(3), Some((&text("one"), false)));
        assert_eq!(map.get(4).map(|(_, marked)| marked), Some(true));
        assert!(map.insert(3, text("another"), true));
        assert!(map.shared(&text("another")).is_some());
        map.remove(&[3]);
        assert!(map.shared(&text("another")).is_none() && map.get(3).is_none());
        // its place is used again
        assert!(map.insert(5, text("third"), true));
        assert_eq!((map.distinct.len(), map.iter().count(), map.text_bytes), (2, 99, 8));
        map.remove(&(0..100).collect::<Vec<_>>());
        assert_eq!((map.text_bytes, map.places.len(), map.iter().count()), (0, 0, 0));
    }
}
