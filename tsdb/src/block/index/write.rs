//! Writes an index in bounded memory: the symbols, and what one pass over the label pairs needs, whatever the number of series.
//!
//! The symbol table comes first in the file but is known last. So series are gathered in a file of their own, `series.tmp`, with symbols numbered as
//! they appear; [`IndexWriter::finish`] sorts the symbols, copies the series with their final numbers, and then goes over `series.tmp` once for
//! each group of label names to write their postings.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::symbols::SymbolSet;
use super::{HEADER, MAGIC, SERIES_ALIGN, Toc};
use crate::block::{ChunkMeta, Error};
use crate::disk::{self, Disk, File};
use crate::encoding::{Reader, crc32c, crc32c_append, put_uvarint, put_uvarint_str, put_varint, uvarint_len};

/// Bytes that gather before they are written.
const BUFFER: usize = 1 << 20;
/// Label pairs whose postings are sorted in memory at once: 8 bytes each, so 32 MiB.
const PAIRS_AT_ONCE: u64 = 4 << 20;
const VERSION: u8 = 2;

/// Writes to a file by large pieces, with a running checksum.
#[derive(Debug)]
struct Out {
    file: Box<dyn File>,
    buffer: Vec<u8>,
    /// Checksum of what was put since [`Out::begin_sum`]: all but what the buffer holds from `summed` on.
    sum: u32,
    summed: usize,
}

impl Out {
    fn create(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        Ok(Out { file: disk.create(path)?, buffer: Vec::new(), sum: 0, summed: 0 })
    }

    fn position(&self) -> u64 {
        self.file.len() + self.buffer.len() as u64
    }

    fn flush_if_full(&mut self) -> Result<(), Error> {
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.take_sum();
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        self.summed = 0;
        Ok(())
    }

    fn begin_sum(&mut self) {
        self.sum = 0;
        self.summed = self.buffer.len();
    }

    fn take_sum(&mut self) -> u32 {
        self.sum = crc32c_append(self.sum, &self.buffer[self.summed..]);
        self.summed = self.buffer.len();
        self.sum
    }

    fn put32(&mut self, value: u32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    fn put_sum(&mut self) {
        let sum = self.take_sum();
        self.put32(sum);
    }

    fn pad(&mut self, align: u64) {
        let padding = self.position().next_multiple_of(align) - self.position();
        self.buffer.resize(self.buffer.len() + padding as usize, 0);
    }
}

/// Writes the index of a block.
#[derive(Debug)]
pub(in crate::block) struct IndexWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    symbols: SymbolSet,
    /// In how many series a label name occurs, by the name's symbol number.
    names: std::collections::BTreeMap<u32, u64>,
    gathered: Out,
    series: u64,
    entry: Vec<u8>,
}

impl IndexWriter {
    pub(in crate::block) fn create(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let gathered = Out::create(&*disk, &dir.join("series.tmp"))?;
        Ok(IndexWriter {
            disk,
            dir: dir.to_owned(),
            symbols: SymbolSet::default(),
            names: Default::default(),
            gathered,
            series: 0,
            entry: Vec::new(),
        })
    }

    /// Adds a series; the caller sees to the order.
    pub(in crate::block) fn add<'a>(
        &mut self,
        labels: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
        chunks: &[ChunkMeta],
    ) -> Result<(), Error> {
        let entry = &mut self.entry;
        entry.clear();
        put_uvarint(entry, labels.len() as u64);
        for (name, value) in labels {
            let (name, value) = (self.symbols.add(name), self.symbols.add(value));
            *self.names.entry(name).or_default() += 1;
            put_uvarint(entry, u64::from(name));
            put_uvarint(entry, u64::from(value));
        }
        put_chunks(entry, chunks);
        put_uvarint(&mut self.gathered.buffer, entry.len() as u64);
        self.gathered.buffer.extend_from_slice(entry);
        self.series += 1;
        self.gathered.flush_if_full()
    }

    pub(in crate::block) fn num_series(&self) -> u64 {
        self.series
    }

    /// Writes the index file, durably, and removes what was gathered.
    pub(in crate::block) fn finish(mut self) -> Result<(), Error> {
        self.gathered.flush()?;
        let path = self.dir.join("index");
        let mut out = Out::create(&*self.disk, &path)?;
        out.put32(MAGIC);
        out.buffer.push(VERSION);
        debug_assert_eq!(out.buffer.len(), HEADER);
        let mut toc = Toc { symbols: out.position(), ..Toc::default() };
        let sorted = self.symbols.sorted();
        self.write_symbols(&mut out, &sorted)?;
        let mut places = vec![0u32; sorted.len()];
        for (place, &number) in sorted.iter().enumerate() {
            places[number as usize] = place as u32;
        }
        out.pad(SERIES_ALIGN);
        toc.series = out.position();
        let refs = self.write_series(&mut out, &places)?;
        toc.label_indices = out.position();
        let mut offsets = Out::create(&*self.disk, &self.dir.join("offsets.tmp"))?;
        offsets.begin_sum();
        out.pad(4);
        toc.postings = out.position();
        let entries = self.write_postings(&mut out, &mut offsets, &places, &sorted, &refs)?;
        out.pad(4);
        toc.label_offset_table = out.position();
        toc.postings_offset_table = out.position();
        self.write_offset_table(&mut out, offsets, entries)?;
        out.begin_sum();
        for offset in toc.fields() {
            out.buffer.extend_from_slice(&offset.to_be_bytes());
        }
        out.put_sum();
        out.flush()?;
        out.file.sync()?;
        for name in ["series.tmp", "offsets.tmp"] {
            self.disk.remove_file(&self.dir.join(name))?;
        }
        Ok(())
    }

    fn too_large(&self, what: &str) -> Error {
        Error::Unwritable {
            path: self.dir.clone(),
            reason: format!("{what} would be larger than the format allows"),
        }
    }

    fn write_symbols(&self, out: &mut Out, sorted: &[u32]) -> Result<(), Error> {
        let text = sorted.iter().map(|&n| self.symbols.get(n).len());
        let len = 4 + text.map(|len| (uvarint_len(len as u64) + len) as u64).sum::<u64>();
        out.put32(u32::try_from(len).map_err(|_| self.too_large("the symbol table"))?);
        out.begin_sum();
        out.put32(self.symbols.len() as u32);
        for &number in sorted {
            put_uvarint_str(&mut out.buffer, self.symbols.get(number));
            out.flush_if_full()?;
        }
        out.put_sum();
        Ok(())
    }

    /// Calls `each` with every gathered series, in order.
    fn for_each_gathered(
        &self,
        mut each: impl FnMut(&mut Reader<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.dir.join("series.tmp");
        let mut reader = self.disk.reader(&path)?;
        let mut buffer = Vec::new();
        let (mut at, mut at_end) = (0, false);
        let bad = |e| Error::decoding(&path, 0, e);
        loop {
            let mut r = Reader::new(&buffer[at..]);
            match r.uvarint_bytes("series") {
                Ok(entry) => {
                    at += r.position();
                    each(&mut Reader::new(entry))?;
                }
                Err(_) if at == buffer.len() && at_end => return Ok(()),
                Err(e) if at_end => return Err(bad(e)),
                Err(_) => {
                    buffer.drain(..at);
                    at = 0;
                    let before = buffer.len();
                    let mut more = Read::take(&mut reader, BUFFER as u64);
                    more.read_to_end(&mut buffer).map_err(|e| disk::Error::new("read", &path, e))?;
                    at_end = buffer.len() == before;
                }
            }
        }
    }

    fn write_series(&self, out: &mut Out, places: &[u32]) -> Result<Vec<u32>, Error> {
        let path = self.dir.join("series.tmp");
        let mut refs = Vec::with_capacity(self.series as usize);
        let mut entry = Vec::new();
        self.for_each_gathered(|r| {
            entry.clear();
            let bad = |e| Error::decoding(&path, 0, e);
            let labels = r.uvarint("number of labels").map_err(bad)?;
            put_uvarint(&mut entry, labels);
            for _ in 0..labels * 2 {
                let number = r.uvarint("symbol").map_err(bad)? as usize;
                put_uvarint(&mut entry, places.get(number).copied().unwrap_or(u32::MAX).into());
            }
            entry.extend_from_slice(r.rest());
            out.pad(SERIES_ALIGN);
            let ref_ =
                u32::try_from(out.position() / SERIES_ALIGN).map_err(|_| self.too_large("the index"))?;
            refs.push(ref_);
            put_uvarint(&mut out.buffer, entry.len() as u64);
            out.buffer.extend_from_slice(&entry);
            out.put32(crc32c(&entry));
            out.flush_if_full()
        })?;
        Ok(refs)
    }

    /// Writes all postings lists, and their entries of the offset table; returns how many.
    fn write_postings(
        &self,
        out: &mut Out,
        offsets: &mut Out,
        places: &[u32],
        sorted: &[u32],
        refs: &[u32],
    ) -> Result<u64, Error> {
        self.write_list(out, offsets, "", "", refs.iter().copied())?;
        let mut entries = 1;
        let mut names: Vec<(u32, u64)> = self.names.iter().map(|(&name, &count)| (name, count)).collect();
        names.sort_unstable_by_key(|&(name, _)| places[name as usize]);
        let mut rest = &names[..];
        while !rest.is_empty() {
            let mut pairs = 0;
            let fits = rest.iter().take_while(|(_, count)| {
                pairs += count;
                pairs <= PAIRS_AT_ONCE
            });
            let (group, behind) = rest.split_at(fits.count().max(1));
            rest = behind;
            let lists = self.pairs_of(group, places, refs)?;
            for (&(name, _), mut list) in group.iter().zip(lists) {
                list.sort_unstable();
                for same in list.chunk_by(|a, b| a >> 32 == b >> 32) {
                    let value = sorted[(same[0] >> 32) as usize];
                    let (name, value) = (self.symbols.get(name), self.symbols.get(value));
                    self.write_list(out, offsets, name, value, same.iter().map(|&pair| pair as u32))?;
                    entries += 1;
                }
            }
        }
        Ok(entries)
    }

    /// For each name of the group, its pairs of value (upper half) and series.
    fn pairs_of(&self, group: &[(u32, u64)], places: &[u32], refs: &[u32]) -> Result<Vec<Vec<u64>>, Error> {
        let path = self.dir.join("series.tmp");
        let mut lists: Vec<Vec<u64>> = group.iter().map(|g| Vec::with_capacity(g.1 as usize)).collect();
        // The place of each name's list, by symbol number.
        let slots: rustc_hash::FxHashMap<u64, usize> =
            group.iter().enumerate().map(|(slot, &(name, _))| (u64::from(name), slot)).collect();
        let mut series = refs.iter();
        self.for_each_gathered(|r| {
            let bad = |e| Error::decoding(&path, 0, e);
            let ref_ = series.next().copied().unwrap_or(u32::MAX);
            for _ in 0..r.uvarint("number of labels").map_err(bad)? {
                let name = r.uvarint("label name").map_err(bad)?;
                let value = r.uvarint("label value").map_err(bad)? as usize;
                if let Some(&slot) = slots.get(&name) {
                    lists[slot].push(u64::from(places[value]) << 32 | u64::from(ref_));
                }
            }
            Ok(())
        })?;
        Ok(lists)
    }

    fn write_list(
        &self,
        out: &mut Out,
        offsets: &mut Out,
        name: &str,
        value: &str,
        refs: impl ExactSizeIterator<Item = u32>,
    ) -> Result<(), Error> {
        out.pad(4);
        offsets.buffer.push(2);
        put_uvarint_str(&mut offsets.buffer, name);
        put_uvarint_str(&mut offsets.buffer, value);
        put_uvarint(&mut offsets.buffer, out.position());
        offsets.flush_if_full()?;
        let len = 4 + refs.len() as u64 * 4;
        out.put32(u32::try_from(len).map_err(|_| self.too_large("a list of series"))?);
        out.begin_sum();
        out.put32(refs.len() as u32);
        for ref_ in refs {
            out.put32(ref_);
            out.flush_if_full()?;
        }
        out.put_sum();
        out.flush_if_full()
    }

    /// Copies the gathered offset table behind its length and count.
    fn write_offset_table(&self, out: &mut Out, mut offsets: Out, entries: u64) -> Result<(), Error> {
        offsets.flush()?;
        let len = offsets.file.len();
        let too_large = |_| self.too_large("the table of postings");
        out.put32(u32::try_from(len + 4).map_err(too_large)?);
        out.begin_sum();
        out.put32(u32::try_from(entries).map_err(too_large)?);
        let path = self.dir.join("offsets.tmp");
        let mut reader = self.disk.reader(&path)?;
        loop {
            let mut piece = Read::take(&mut reader, BUFFER as u64);
            if piece.read_to_end(&mut out.buffer).map_err(|e| disk::Error::new("read", &path, e))? == 0 {
                break;
            }
            out.flush_if_full()?;
        }
        out.put_sum();
        Ok(())
    }
}

/// Appends the number of chunks and what the index tells of each.
fn put_chunks(entry: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(entry, chunks.len() as u64);
    let mut before: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match before {
            None => {
                put_varint(entry, chunk.mint);
                put_uvarint(entry, chunk.maxt.wrapping_sub(chunk.mint) as u64);
                put_uvarint(entry, chunk.ref_.0);
            }
            Some(before) => {
                put_uvarint(entry, chunk.mint.wrapping_sub(before.maxt) as u64);
                put_uvarint(entry, chunk.maxt.wrapping_sub(chunk.mint) as u64);
                put_varint(entry, chunk.ref_.0.wrapping_sub(before.ref_.0) as i64);
            }
        }
        before = Some(chunk);
    }
}
