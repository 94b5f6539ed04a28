//! Series numbered by some of their labels: groups of an aggregation, signatures of a matching. A label set is built for none of them; what
//! is compared are the packed labels, a run of bytes.

use hashbrown::HashTable;
use model::Labels;
use rustc_hash::FxHasher;
use std::hash::Hasher as _;

/// Numbers, in order of their first series, of series with the same values of the labels that count.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    table: HashTable<(u64, u32)>,
    /// The packed labels of all, one after the other, and where those of each end.
    packed: String,
    ends: Vec<usize>,
    scratch: String,
}

impl Keys {
    fn find_packed(&self, hash: u64, packed: &str) -> Option<usize> {
        let begin = |at: usize| if at == 0 { 0 } else { self.ends[at - 1] };
        let same = |(of, at): &(u64, u32)| {
            let at = *at as usize;
            *of == hash && self.packed.as_bytes()[begin(at)..self.ends[at]] == *packed.as_bytes()
        };
        self.table.find(hash, same).map(|(_, at)| *at as usize)
    }

    /// The number of a series that may not have been met. `counts`: which labels count.
    pub(crate) fn find(&mut self, labels: &Labels, counts: impl FnMut(&str) -> bool) -> Option<usize> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let hash = pack(labels, counts, &mut scratch);
        let found = self.find_packed(hash, &scratch);
        self.scratch = scratch;
        found
    }

    /// The number of a series: that of an earlier one with the same labels, or the next.
    pub(crate) fn number(&mut self, labels: &Labels, counts: impl FnMut(&str) -> bool) -> usize {
        let mut scratch = std::mem::take(&mut self.scratch);
        let hash = pack(labels, counts, &mut scratch);
        let number = self.find_packed(hash, &scratch).unwrap_or_else(|| {
            let next = self.ends.len();
            self.packed.push_str(&scratch);
            self.ends.push(self.packed.len());
            self.table.insert_unique(hash, (hash, next as u32), |(hash, _)| *hash);
            next
        });
        self.scratch = scratch;
        number
    }
}

/// Packs the labels that count, one after the other, and hashes them.
fn pack(labels: &Labels, mut counts: impl FnMut(&str) -> bool, out: &mut String) -> u64 {
    out.clear();
    labels.for_each_packed(|name, packed| {
        if counts(name) {
            out.push_str(packed);
        }
    });
    let mut hasher = FxHasher::default();
    hasher.write(out.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_numbered_by_what_counts() {
        let labels = |a: &str, b: &str, c: &str| Labels::from_pairs([("a", a), ("b", b), ("c", c)]);
        let mut keys = Keys::default();
        let mut number = |of: &Labels| keys.number(of, |name| name != "b");
        assert_eq!(number(&labels("1", "x", "1")), 0);
        assert_eq!(number(&labels("1", "y", "1")), 0);
        assert_eq!(number(&labels("1", "", "2")), 1);
        assert_eq!(number(&labels("", "", "")), 2);
        assert_eq!(number(&labels("12", "", "")), 3);
        assert_eq!(number(&labels("1", "", "2")), 1);
        assert_eq!(keys.find(&labels("", "z", ""), |name| name != "b"), Some(2));
        assert_eq!(keys.find(&labels("", "z", "1"), |name| name != "b"), None);
        let long = |n: usize| Labels::from_pairs([("a".repeat(200), "v".repeat(n))]);
        let mut keys = Keys::default();
        assert_eq!([300, 301, 300].map(|n| keys.number(&long(n), |_| true)), [0, 1, 0]);
    }
}
