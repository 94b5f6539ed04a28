//! Postings: a rising list of series, read from the mapped index as it goes.

use crate::block::SeriesRef;

/// A rising list of series, as it lies in the index: four bytes each, big-endian.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postings<'a> {
    bytes: &'a [u8],
}

impl<'a> Postings<'a> {
    /// A list from its bytes; a part of an entry at the end does not count.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Postings { bytes: &bytes[..bytes.len() / 4 * 4] }
    }

    /// How many series are left.
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first, without taking it.
    #[inline]
    pub fn peek(&self) -> Option<SeriesRef> {
        self.get(0)
    }

    #[inline]
    fn get(&self, i: usize) -> Option<SeriesRef> {
        let entry = self.bytes.get(i * 4..)?.first_chunk()?;
        Some(SeriesRef(u32::from_be_bytes(*entry)))
    }

    /// Drops what is below `ref_`: steps that double, then a binary search, so that a short list is intersected with a long one in few
    /// reads.
    pub fn seek(&mut self, ref_: SeriesRef) {
        if self.peek().is_none_or(|first| first >= ref_) {
            return;
        }
        // The entry at `low` is below, the one at `high` is not, or is behind the end.
        let (mut low, mut high) = (0, 1);
        while self.get(high).is_some_and(|at| at < ref_) {
            low = high;
            high *= 2;
        }
        high = high.min(self.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|at| at < ref_) {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.bytes = &self.bytes[high * 4..];
    }
}

impl Iterator for Postings<'_> {
    type Item = SeriesRef;

    #[inline]
    fn next(&mut self) -> Option<SeriesRef> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(SeriesRef(u32::from_be_bytes(*first)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for Postings<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn seeking_drops_exactly_what_is_below(mut refs in proptest::collection::vec(0u32..500, 0..100), to in 0u32..510) {
            refs.sort_unstable();
            refs.dedup();
            let bytes: Vec<u8> = refs.iter().flat_map(|r| r.to_be_bytes()).collect();
            let mut postings = Postings::new(&bytes);
            postings.seek(SeriesRef(to));
            let expected: Vec<_> = refs.into_iter().filter(|&r| r >= to).map(SeriesRef).collect();
            prop_assert_eq!(postings.collect::<Vec<_>>(), expected);
        }
    }
}
