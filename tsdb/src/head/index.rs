//! The head's inverted index: label pairs under numbers, each with the sorted list of its series.
//!
//! A series' labels are kept as the numbers of its pairs, so that a value is stored once however many series have it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};
use rustc_hash::{FxHashMap, FxHashSet};

use super::pairs::PairLists;
use crate::error::Error;
use crate::query::matchers::PostingsSource;

/// A name and a value, and who has them.
#[derive(Debug)]
struct Pair {
    name: u32,
    value: Arc<str>,
    /// Series, rising: a new series has the highest number and goes to the end.
    series: Vec<u32>,
}

/// A label's name and its values in order, each with the number of its pair.
#[derive(Debug)]
struct Name {
    name: Arc<str>,
    values: BTreeMap<Arc<str>, u32>,
}

/// An entry of the table from label sets to series: part of the hash, and the series.
#[derive(Clone, Copy, Debug)]
struct Hashed {
    hash: u32,
    id: u32,
}

/// The index of the series in the head.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: Vec<Name>,
    by_name: FxHashMap<Arc<str>, u32>,
    pairs: Vec<Pair>,
    free_pairs: Vec<u32>,
    by_labels: HashTable<Hashed>,
    /// All series, rising.
    all: Vec<u32>,
    /// Their pairs, in order of the names.
    lists: PairLists,
    scratch: Vec<u32>,
    /// How often series were removed.
    removals: u64,
}

/// Spreads the stored part of a hash over the bits that the table uses.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn short_hash(labels: &Labels) -> u32 {
    let hash = labels.hash64();
    (hash ^ (hash >> 32)) as u32
}

impl Index {
    /// The series with exactly these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        let hash = short_hash(labels);
        self.by_labels
            .find(spread(hash), |entry| entry.hash == hash && self.has_labels(entry.id, labels))
            .map(|entry| entry.id)
    }

    fn has_labels(&self, id: u32, labels: &Labels) -> bool {
        let pairs = self.pairs_of(id);
        let mut wanted = labels.iter();
        for &pair in pairs {
            let Some((name, value)) = wanted.next() else { return false };
            let pair = &self.pairs[pair as usize];
            if *pair.value != *value || *self.names[pair.name as usize].name != *name {
                return false;
            }
        }
        wanted.next().is_none()
    }

    /// Whether the series is there.
    pub(crate) fn has(&self, id: u32) -> bool {
        !self.pairs_of(id).is_empty()
    }

    fn pairs_of(&self, id: u32) -> &[u32] {
        self.lists.get(id)
    }

    /// Adds a series; its number must be above all others', its labels must be new.
    pub(crate) fn insert(&mut self, id: u32, labels: &Labels) {
        debug_assert!(self.all.last().is_none_or(|&last| last < id), "series numbers rise");
        let mut pairs = std::mem::take(&mut self.scratch);
        pairs.clear();
        for (name, value) in labels {
            pairs.push(self.pair(name, value));
        }
        for &pair in &pairs {
            self.pairs[pair as usize].series.push(id);
        }
        let hash = short_hash(labels);
        self.by_labels.insert_unique(spread(hash), Hashed { hash, id }, |entry| spread(entry.hash));
        self.all.push(id);
        self.lists.push(id, pairs.iter().copied());
        self.scratch = pairs;
    }

    fn pair(&mut self, name: &str, value: &str) -> u32 {
        let name_id = match self.by_name.get(name) {
            Some(&id) => id,
            None => {
                let id = self.names.len() as u32;
                let name: Arc<str> = name.into();
                self.names.push(Name { name: name.clone(), values: BTreeMap::new() });
                self.by_name.insert(name, id);
                id
            }
        };
        let values = &mut self.names[name_id as usize].values;
        if let Some(&pair) = values.get(value) {
            return pair;
        }
        let value: Arc<str> = value.into();
        let new = Pair { name: name_id, value: value.clone(), series: Vec::new() };
        let id = match self.free_pairs.pop() {
            Some(id) => {
                self.pairs[id as usize] = new;
                id
            }
            None => {
                self.pairs.push(new);
                self.pairs.len() as u32 - 1
            }
        };
        values.insert(value, id);
        id
    }

    /// Removes series (sorted), and the pairs that none has any more.
    pub(crate) fn remove(&mut self, dead: &[u32]) {
        self.removals += 1;
        let gone: FxHashSet<u32> = dead.iter().copied().collect();
        let mut touched: FxHashSet<u32> = FxHashSet::default();
        for id in dead {
            touched.extend(self.lists.get(*id));
        }
        for id in dead {
            self.lists.remove(*id);
        }
        for pair_id in touched {
            let pair = &mut self.pairs[pair_id as usize];
            pair.series.retain(|id| !gone.contains(id));
            pair.series.shrink_to(pair.series.len() + pair.series.len() / 4);
            if pair.series.is_empty() {
                let value = std::mem::replace(&mut pair.value, Arc::from(""));
                self.names[pair.name as usize].values.remove(&value);
                self.free_pairs.push(pair_id);
            }
        }
        self.all.retain(|id| !gone.contains(id));
        self.all.shrink_to(self.all.len() + self.all.len() / 4);
        self.by_labels.retain(|entry| !gone.contains(&entry.id));
        self.by_labels.shrink_to(self.by_labels.len() * 2, |entry| spread(entry.hash));
        self.lists.shrink();
    }

    /// While this is the same, so are the series that satisfy the matchers: all of them stand in the list of a pair that a matcher demands,
    /// or at least in that of all series; lists only grow, but for removals.
    pub(crate) fn state(&self, matchers: &[Matcher]) -> (u64, usize) {
        let demands = |m: &&Matcher| m.op == MatchOp::Equal && !m.value.is_empty();
        let named = matchers.iter().filter(demands).find(|m| m.name == METRIC_NAME);
        let len = match named.or_else(|| matchers.iter().find(demands)) {
            Some(m) => self.series_of(&m.name, &m.value).len(),
            None => self.all.len(),
        };
        (self.removals, len)
    }

    fn series_of(&self, name: &str, value: &str) -> &[u32] {
        let pair = self.by_name.get(name).and_then(|&n| self.names[n as usize].values.get(value));
        pair.map_or(&[], |&pair| &self.pairs[pair as usize].series)
    }

    /// A series' labels; empty where it is not there.
    pub(crate) fn labels(&self, id: u32) -> Labels {
        Labels::from_sorted(self.pairs_of(id).iter().map(|&pair| {
            let pair = &self.pairs[pair as usize];
            (&*self.names[pair.name as usize].name, &*pair.value)
        }))
    }

    /// One label's value of a series, "" where it is missing.
    pub(crate) fn value_of(&self, id: u32, name: &str) -> &str {
        let Some(&name) = self.by_name.get(name) else { return "" };
        self.pair_with(id, name).map_or("", |pair| &self.pairs[pair as usize].value)
    }

    fn pair_with(&self, id: u32, name: u32) -> Option<u32> {
        self.pairs_of(id).iter().copied().find(|&pair| self.pairs[pair as usize].name == name)
    }

    /// Where these series stand in the order of their labels: positions in `ids`, the least labels' first.
    ///
    /// The pairs that occur are ranked once, with string comparisons; the series are then compared by ranks alone.
    pub(crate) fn order_by_labels(&self, ids: &[u32]) -> Vec<u32> {
        let mut occurring: Vec<u32> = Vec::new();
        let mut ranks: Vec<u32> = vec![u32::MAX; self.pairs.len()];
        let mut total = 0;
        for &id in ids {
            for &pair in self.lists.get(id) {
                total += 1;
                if std::mem::replace(&mut ranks[pair as usize], 0) == u32::MAX {
                    occurring.push(pair);
                }
            }
        }
        occurring.sort_unstable_by(|&a, &b| {
            let (a, b) = (&self.pairs[a as usize], &self.pairs[b as usize]);
            let by_name = || self.names[a.name as usize].name.cmp(&self.names[b.name as usize].name);
            if a.name == b.name { a.value.cmp(&b.value) } else { by_name() }
        });
        for (rank, &pair) in occurring.iter().enumerate() {
            ranks[pair as usize] = rank as u32;
        }
        let mut keys: Vec<u32> = Vec::with_capacity(total);
        let mut series: Vec<(u32, usize, usize)> = Vec::with_capacity(ids.len());
        for (position, &id) in ids.iter().enumerate() {
            let from = keys.len();
            keys.extend(self.lists.get(id).iter().map(|&pair| ranks[pair as usize]));
            series.push((position as u32, from, keys.len()));
        }
        series.sort_unstable_by(|a, b| keys[a.1..a.2].cmp(&keys[b.1..b.2]));
        series.iter().map(|s| s.0).collect()
    }

    /// How many series.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// All series, rising.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.all
    }

    /// How many pairs of name and value.
    pub(crate) fn num_pairs(&self) -> usize {
        self.pairs.len() - self.free_pairs.len()
    }

    /// Calls `each(name, value, series)` for all pairs.
    pub(crate) fn for_each_pair(&self, mut each: impl FnMut(&str, &str, &[u32])) {
        for name in &self.names {
            for (value, &pair) in &name.values {
                each(&name.name, value, &self.pairs[pair as usize].series);
            }
        }
    }

    /// Names of labels that some series has, in any order.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|n| !n.values.is_empty()).map(|n| &*n.name)
    }

    /// Names of a series' labels, in order.
    pub(crate) fn label_names_of(&self, id: u32) -> impl Iterator<Item = &str> {
        self.pairs_of(id).iter().map(|&pair| &*self.names[self.pairs[pair as usize].name as usize].name)
    }

    /// Values of a label, sorted.
    pub(crate) fn label_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = self.by_name.get(name).map(|&id| &self.names[id as usize]);
        name.into_iter().flat_map(|n| n.values.keys().map(|v| &**v))
    }
}

impl PostingsSource for Index {
    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Error> {
        Ok(Cow::Borrowed(self.series_of(name, value)))
    }

    fn all(&self) -> Result<Cow<'_, [u32]>, Error> {
        Ok(Cow::Borrowed(&self.all))
    }

    fn values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<Vec<u32>>,
    ) -> Result<(), Error> {
        let Some(&name) = self.by_name.get(name) else { return Ok(()) };
        let values = &self.names[name as usize].values;
        for (value, &pair) in values.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)) {
            if !value.starts_with(prefix) {
                break;
            }
            if keep(value) {
                lists.push(self.pairs[pair as usize].series.clone());
            }
        }
        Ok(())
    }

    fn retain_by_value(
        &self,
        series: &mut Vec<u32>,
        name: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        let Some(&name) = self.by_name.get(name) else {
            if !keep("") {
                series.clear();
            }
            return Ok(());
        };
        // Few values, many series: each value is asked once.
        let mut answers: FxHashMap<Option<u32>, bool> = FxHashMap::default();
        series.retain(|&id| {
            let pair = self.pair_with(id, name);
            *answers
                .entry(pair)
                .or_insert_with(|| keep(pair.map_or("", |pair| &self.pairs[pair as usize].value)))
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::matchers::resolve;

    fn index(series: &[&[(&str, &str)]]) -> Index {
        let mut index = Index::default();
        for (id, labels) in series.iter().enumerate() {
            index.insert(id as u32, &Labels::from_pairs(labels.iter().copied()));
        }
        index
    }

    #[test]
    fn finds_by_labels_and_forgets_what_is_removed() {
        let mut index = index(&[&[("a", "1"), ("b", "x")], &[("a", "2")], &[("a", "1")]]);
        let labels = Labels::from_pairs([("a", "1")]);
        assert_eq!(index.find(&labels), Some(2));
        assert_eq!(index.find(&Labels::from_pairs([("b", "x")])), None);
        index.remove(&[0]);
        assert_eq!(index.find(&Labels::from_pairs([("a", "1"), ("b", "x")])), None);
        assert_eq!((index.find(&labels), index.num_pairs(), index.len()), (Some(2), 2, 2));
        assert_eq!(index.label_names().collect::<Vec<_>>(), ["a"]);
        index.insert(3, &Labels::from_pairs([("c", "z")]));
        assert_eq!(index.labels(3).to_string(), r#"{c="z"}"#);
        assert_eq!(index.labels(1).to_string(), r#"{a="2"}"#);
    }

    #[test]
    fn the_state_changes_with_the_series_that_matchers_find() {
        let mut index = index(&[&[("a", "1"), ("__name__", "x")], &[("a", "2"), ("__name__", "y")]]);
        let of = |index: &Index, matchers: &[Matcher]| index.state(matchers);
        let (x, both) =
            ([Matcher::equal("__name__", "x")], [Matcher::new(MatchOp::Regex, "a", ".").unwrap()]);
        let named = [both[0].clone(), Matcher::equal("a", "1"), x[0].clone()];
        let before = [of(&index, &x), of(&index, &both), of(&index, &named)];
        index.insert(2, &Labels::from_pairs([("a", "3"), ("__name__", "y")]));
        let after = [of(&index, &x), of(&index, &both), of(&index, &named)];
        assert!(before[0] == after[0] && before[1] != after[1] && before[2] == after[2]);
        index.insert(3, &Labels::from_pairs([("a", "3"), ("__name__", "x")]));
        assert!(of(&index, &x) != after[0] && of(&index, &named) != after[2]);
        // as many as before, and others
        let full = of(&index, &x);
        index.remove(&[0]);
        index.insert(4, &Labels::from_pairs([("a", "4"), ("__name__", "x")]));
        assert!(of(&index, &x) != full);
    }

    #[test]
    fn matchers_agree_with_asking_each_series() {
        let values = ["", "a", "ab", "b", "c"];
        let mut sets = Vec::new();
        for x in values {
            for y in values {
                sets.push(Labels::from_pairs([("n", "m"), ("x", x), ("y", y)]));
            }
        }
        let mut index = Index::default();
        for (id, labels) in sets.iter().enumerate() {
            index.insert(id as u32, labels);
        }
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let mut matchers = Vec::new();
        for name in ["x", "y", "n", "missing"] {
            for op in [Equal, NotEqual] {
                matchers.extend(["", "a", "m", "zz"].map(|v| Matcher::new(op, name, v).unwrap()));
            }
            for op in [Regex, NotRegex] {
                let patterns = ["", ".*", ".+", "a|b", "a|", "a.*", "(a|c)?", "m", "z+"];
                matchers.extend(patterns.map(|v| Matcher::new(op, name, v).unwrap()));
            }
        }
        for a in &matchers {
            for b in &matchers {
                let expected: Vec<u32> = (0..sets.len() as u32)
                    .filter(|&i| [a, b].iter().all(|m| m.matches(sets[i as usize].get(&m.name))))
                    .collect();
                assert_eq!(resolve(&index, &[a.clone(), b.clone()]).unwrap(), expected, "{a},{b}");
            }
        }
    }

    #[test]
    fn order_is_that_of_labels() {
        let index = index(&[&[("b", "1")], &[("a", "2"), ("b", "0")], &[("a", "10")], &[("a", "2")]]);
        let order = index.order_by_labels(&[3, 2, 1, 0]);
        let sorted: Vec<Labels> = order.iter().map(|&at| index.labels(3 - at)).collect();
        assert!(sorted.windows(2).all(|w| w[0] < w[1]), "{sorted:?}");
    }
}
