//! The symbol table: all label names and values of a block, sorted, each once.
//!
//! ```text
//! ┌─────────┬────────────┬─────────────────────┬───────────┐
//! │ len <4> │ count <4>  │ len <uvarint>, text │ crc32c <4>│
//! └─────────┴────────────┴─────────────────────┴───────────┘
//! ```

use hashbrown::HashTable;
use std::hash::{Hash, Hasher};

use crate::encoding::{self, Reader};

/// Every so many symbols the position of one is kept in memory: half a byte a symbol, and at most seven to step over.
const SAMPLE: usize = 8;

/// How a number in the series section names a symbol.
#[derive(Debug)]
enum Numbers {
    /// Version 2: its place in the table; positions of every eighth, from the table's count on.
    Places { sampled: Vec<u32>, count: u32 },
    /// Version 1: its offset in the index file.
    Offsets,
}

/// Finds symbols in a mapped index.
#[derive(Debug)]
pub(in crate::block) struct Symbols {
    /// Where the table's content (its count) begins in the file, and where it ends.
    start: usize,
    end: usize,
    numbers: Numbers,
}

impl Symbols {
    /// Reads through the table at `start..end` of the index (from the count to the checksum, exclusive).
    pub(super) fn open(index: &[u8], start: usize, end: usize, version: u8) -> Result<Self, encoding::Error> {
        let mut r = Reader::new(index.get(start..end).unwrap_or(&[]));
        let count = r.be32("number of symbols")?;
        r.check_count(u64::from(count), 1, "number of symbols")?;
        let numbers = if version == 1 {
            Numbers::Offsets
        } else {
            let mut sampled = Vec::with_capacity(count as usize / SAMPLE + 1);
            for i in 0..count as usize {
                if i % SAMPLE == 0 {
                    sampled.push(r.position() as u32);
                }
                r.uvarint_bytes("symbol")?;
            }
            Numbers::Places { sampled, count }
        };
        Ok(Symbols { start, end, numbers })
    }

    /// The symbol of a number.
    #[inline]
    pub(super) fn get<'a>(&self, index: &'a [u8], number: u32) -> Result<&'a str, encoding::Error> {
        const WHAT: &str = "symbol";
        let invalid = encoding::Error::Invalid { what: WHAT, offset: 0 };
        let table = index.get(self.start..self.end).ok_or(invalid)?;
        let mut r = match &self.numbers {
            Numbers::Places { sampled, count } => {
                if number >= *count {
                    return Err(invalid);
                }
                let begin = *sampled.get(number as usize / SAMPLE).ok_or(invalid)? as usize;
                let mut r = Reader::new(table.get(begin..).ok_or(invalid)?);
                for _ in 0..number as usize % SAMPLE {
                    r.uvarint_bytes(WHAT)?;
                }
                r
            }
            Numbers::Offsets => {
                let at = (number as usize).checked_sub(self.start).ok_or(invalid)?;
                Reader::new(table.get(at..).ok_or(invalid)?)
            }
        };
        r.uvarint_str(WHAT)
    }

    /// Bytes on the heap.
    pub(super) fn heap_size(&self) -> usize {
        match &self.numbers {
            Numbers::Places { sampled, .. } => sampled.capacity() * 4,
            Numbers::Offsets => 0,
        }
    }
}

/// Symbols that were looked up last: neighbouring series have most of theirs in common.
#[derive(Debug)]
pub(crate) struct SymbolCache<'a>(Vec<(u32, &'a str)>);

/// Symbols that a cache holds; a power of two.
const CACHED: usize = 1024;

impl Default for SymbolCache<'_> {
    fn default() -> Self {
        // a place is never asked for the number that marks it as empty: see `get_cached`
        SymbolCache(vec![(u32::MAX, ""); CACHED])
    }
}

impl Symbols {
    /// The symbol of a number, from a cache where it is there.
    #[inline]
    pub(super) fn get_cached<'a>(
        &self,
        index: &'a [u8],
        number: u32,
        cache: Option<&mut SymbolCache<'a>>,
    ) -> Result<&'a str, encoding::Error> {
        let Some(cache) = cache else { return self.get(index, number) };
        let place = &mut cache.0[number as usize % CACHED];
        if place.0 == number && number != u32::MAX {
            return Ok(place.1);
        }
        let symbol = self.get(index, number)?;
        *place = (number, symbol);
        Ok(symbol)
    }
}

/// Collects symbols while series come in: each gets a number in order of appearance, and its place once all are sorted.
#[derive(Debug, Default)]
pub(super) struct SymbolSet {
    text: String,
    /// Where each symbol ends in the text.
    ends: Vec<u64>,
    table: HashTable<u32>,
}

impl SymbolSet {
    /// The number of a symbol, new or known.
    pub(super) fn add(&mut self, symbol: &str) -> u32 {
        let hash = hash_of(symbol);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(&number) = self.table.find(hash, |&n| get(text, ends, n) == symbol) {
            return number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(symbol);
        self.ends.push(self.text.len() as u64);
        let (text, ends) = (&self.text, &self.ends);
        self.table.insert_unique(hash, number, |&n| hash_of(get(text, ends, n)));
        number
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, number: u32) -> &str {
        get(&self.text, &self.ends, number)
    }

    /// All numbers, in order of the symbols' bytes.
    pub(super) fn sorted(&mut self) -> Vec<u32> {
        // No symbol comes any more.
        self.table = HashTable::new();
        let mut numbers: Vec<u32> = (0..self.ends.len() as u32).collect();
        numbers.sort_unstable_by(|&a, &b| self.get(a).cmp(self.get(b)));
        numbers
    }
}

fn get<'a>(text: &'a str, ends: &[u64], number: u32) -> &'a str {
    let number = number as usize;
    let begin = if number == 0 { 0 } else { ends[number - 1] as usize };
    &text[begin..ends[number] as usize]
}

fn hash_of(symbol: &str) -> u64 {
    let mut state = rustc_hash::FxHasher::default();
    symbol.hash(&mut state);
    state.finish()
}
