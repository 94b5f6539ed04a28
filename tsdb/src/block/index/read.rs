//! Reads an index where it lies, in mapped memory. On the heap are only samples of the tables: every eighth symbol's and every sixteenth
//! postings entry's position.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::labels::Labels;

use super::postings::Postings;
use super::symbols::{SymbolCache, Symbols};
use super::{HEADER, MAGIC, SERIES_ALIGN, TOC, Toc};
use crate::block::{ChunkMeta, ChunkRef, Error, SeriesRef};
use crate::disk::{Disk, Mapped};
use crate::encoding::{self, Reader, crc32c};

/// Every so many values of a label the position of one is kept.
const SAMPLE: usize = 16;
/// The longest name or value that a label set holds.
const MAX_LABEL_LEN: usize = 1 << 28;

/// The values of one label name in the postings offset table.
#[derive(Debug)]
struct Values {
    /// Positions in the table of every sixteenth value (version 2, where values are neighbours and sorted) or of all, sorted by value (version 1).
    positions: Vec<u32>,
    count: u32,
}

/// An entry of the postings offset table.
struct TableEntry<'a> {
    name: &'a str,
    value: &'a str,
    offset: u64,
}

/// An open index.
#[derive(Debug)]
pub(in crate::block) struct Index {
    path: PathBuf,
    bytes: Mapped,
    version: u8,
    symbols: Symbols,
    /// Where the content of the postings offset table begins and ends.
    table: (usize, usize),
    names: BTreeMap<Box<str>, Values>,
}

impl Index {
    pub(in crate::block) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let bytes = disk.map(path)?;
        let len = bytes.len() as u64;
        // What is looked at here is read first: a page that the disk does not give must cost this block, and not the start.
        disk.probe(path, 0..len.min(HEADER as u64))?;
        disk.probe(path, len.saturating_sub(TOC as u64)..len)?;
        let mut r = Reader::new(&bytes);
        let (magic, version) = (|| Ok((r.be32("magic number")?, r.u8("version")?)))()
            .map_err(|e| Error::decoding(path, 0, e))?;
        if magic != MAGIC {
            return Err(Error::corrupt(path, 0, "not an index: wrong magic number"));
        }
        if !(1..=2).contains(&version) {
            return Err(Error::corrupt(path, 4, format!("unknown version {version}")));
        }
        let toc = read_toc(&bytes, path)?;
        disk.probe(path, toc.symbols.min(len)..toc.series.min(len))?;
        disk.probe(path, toc.postings_offset_table.min(len)..len)?;
        let (start, end) = section(&bytes, toc.symbols, "symbol table", path)?;
        let symbols =
            Symbols::open(&bytes, start, end, version).map_err(|e| Error::decoding(path, start as u64, e))?;
        let table = section(&bytes, toc.postings_offset_table, "table of postings", path)?;
        let mut index =
            Index { path: path.to_owned(), bytes, version, symbols, table, names: BTreeMap::new() };
        index.names = index.read_names()?;
        Ok(index)
    }

    /// Goes once through the postings offset table.
    fn read_names(&self) -> Result<BTreeMap<Box<str>, Values>, Error> {
        let table = &self.bytes[self.table.0..self.table.1];
        let bad = |e| self.decoding(self.table.0, e);
        let mut r = Reader::new(table);
        let count = r.be32("number of postings").map_err(bad)?;
        let mut names: BTreeMap<Box<str>, Values> = BTreeMap::new();
        let mut values = Values { positions: Vec::new(), count: 0 };
        let mut name = "";
        let step = if self.version == 1 { 1 } else { SAMPLE };
        for _ in 0..count {
            let position = r.position() as u32;
            let entry = table_entry(&mut r).map_err(bad)?;
            if entry.name != name {
                self.end_name(&mut names, name, &mut values)?;
                name = entry.name;
                if self.version == 1
                    && let Some(known) = names.remove(name)
                {
                    values = known;
                }
            }
            if (values.count as usize).is_multiple_of(step) {
                values.positions.push(position);
            }
            values.count += 1;
        }
        self.end_name(&mut names, name, &mut values)?;
        if self.version == 1 {
            for values in names.values_mut() {
                let value = |&p: &u32| self.entry_at(p as usize).map_or("", |e| e.value);
                values.positions.sort_by(|a, b| value(a).cmp(value(b)));
            }
        }
        Ok(names)
    }

    fn end_name(
        &self,
        names: &mut BTreeMap<Box<str>, Values>,
        name: &str,
        values: &mut Values,
    ) -> Result<(), Error> {
        let mut done = std::mem::replace(values, Values { positions: Vec::new(), count: 0 });
        if done.count > 0 {
            done.positions.shrink_to_fit();
            let at = self.table.0 + done.positions[0] as usize;
            if names.insert(name.into(), done).is_some() {
                return Err(Error::corrupt(&self.path, at as u64, "the table of postings is not sorted"));
            }
        }
        Ok(())
    }

    fn decoding(&self, base: usize, e: encoding::Error) -> Error {
        Error::decoding(&self.path, base as u64, e)
    }

    fn entry_at(&self, position: usize) -> Result<TableEntry<'_>, Error> {
        let table = &self.bytes[self.table.0..self.table.1];
        let mut r = Reader::new(table.get(position..).unwrap_or(&[]));
        table_entry(&mut r).map_err(|e| self.decoding(self.table.0 + position, e))
    }

    /// The names of labels, sorted.
    pub(in crate::block) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name).filter(|name| !name.is_empty())
    }

    pub(in crate::block) fn num_values(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |values| values.count as usize)
    }

    /// Calls `each(value, offset of its postings)` for the values of a label that are not below `from`, in order, until it returns false.
    pub(in crate::block) fn for_each_value<'a>(
        &'a self,
        name: &str,
        from: &str,
        mut each: impl FnMut(&'a str, u64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let Some(values) = self.names.get(name) else { return Ok(()) };
        let begin = self.search(values, from)?;
        if self.version == 1 {
            for &position in &values.positions[begin..] {
                let entry = self.entry_at(position as usize)?;
                if entry.value >= from && !each(entry.value, entry.offset)? {
                    break;
                }
            }
            return Ok(());
        }
        let start = self.table.0 + values.positions[begin] as usize;
        let mut r = Reader::new(&self.bytes[start..self.table.1]);
        for _ in begin * SAMPLE..values.count as usize {
            let entry = table_entry(&mut r).map_err(|e| self.decoding(start, e))?;
            if entry.value >= from && !each(entry.value, entry.offset)? {
                break;
            }
        }
        Ok(())
    }

    /// The last of the kept positions whose value is not above `value`, or the first.
    fn search(&self, values: &Values, value: &str) -> Result<usize, Error> {
        let (mut low, mut high) = (0, values.positions.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.entry_at(values.positions[middle] as usize)?.value <= value {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The series of a label pair; ("", "") is all series.
    pub(in crate::block) fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, Error> {
        let mut found = None;
        self.for_each_value(name, value, |at, offset| {
            if at == value {
                found = Some(offset);
            }
            Ok(false)
        })?;
        found.map_or(Ok(Postings::default()), |offset| self.list_at(offset))
    }

    /// The list at an offset of the file, its checksum verified.
    pub(in crate::block) fn list_at(&self, offset: u64) -> Result<Postings<'_>, Error> {
        let (start, end) = section(&self.bytes, offset, "list of series", &self.path)?;
        let mut r = Reader::new(&self.bytes[start..end]);
        let count = r.be32("number of series").map_err(|e| self.decoding(start, e))?;
        if count as usize * 4 != r.remaining() {
            return Err(Error::corrupt(
                &self.path,
                start as u64,
                "a list of series has another length than it says",
            ));
        }
        Ok(Postings::new(r.rest()))
    }

    /// The content of a series' entry, its checksum verified, and where it begins in the file.
    fn entry(&self, ref_: SeriesRef) -> Result<(Reader<'_>, usize), Error> {
        let scale = if self.version == 1 { 1 } else { SERIES_ALIGN };
        let offset = u64::from(ref_.0) * scale;
        let mut r = Reader::new(self.bytes.get(offset as usize..).unwrap_or(&[]));
        let (entry, sum) = (|| Ok((r.uvarint_bytes("series")?, r.be32("series checksum")?)))()
            .map_err(|e| Error::decoding(&self.path, offset, e))?;
        if crc32c(entry) != sum {
            return Err(Error::corrupt(&self.path, offset, "the series' checksum does not match"));
        }
        Ok((Reader::new(entry), offset as usize))
    }

    /// A series' labels and chunks.
    pub(in crate::block) fn series<'a>(
        &'a self,
        ref_: SeriesRef,
        chunks: &mut Vec<ChunkMeta>,
        symbols: Option<&mut SymbolCache<'a>>,
    ) -> Result<Labels, Error> {
        let (mut r, base) = self.entry(ref_)?;
        let result =
            self.read_labels(&mut r, symbols).and_then(|labels| read_chunks(&mut r, chunks).map(|()| labels));
        result.map_err(|e| self.decoding(base, e))
    }

    /// Only a series' chunks.
    pub(in crate::block) fn chunks(&self, ref_: SeriesRef, chunks: &mut Vec<ChunkMeta>) -> Result<(), Error> {
        let (mut r, base) = self.entry(ref_)?;
        (|| {
            for _ in 0..r.uvarint("number of labels")?.saturating_mul(2) {
                r.uvarint("symbol")?;
            }
            read_chunks(&mut r, chunks)
        })()
        .map_err(|e| self.decoding(base, e))
    }

    /// One label's value, "" where it is missing.
    pub(in crate::block) fn label_value(&self, ref_: SeriesRef, name: &str) -> Result<&str, Error> {
        let (mut r, base) = self.entry(ref_)?;
        (|| {
            for _ in 0..r.uvarint("number of labels")? {
                let (n, v) = (r.uvarint32("label name")?, r.uvarint32("label value")?);
                if self.symbols.get(&self.bytes, n)? == name {
                    return self.symbols.get(&self.bytes, v);
                }
            }
            Ok("")
        })()
        .map_err(|e| self.decoding(base, e))
    }

    fn read_labels<'a>(
        &'a self,
        r: &mut Reader<'_>,
        mut symbols: Option<&mut SymbolCache<'a>>,
    ) -> Result<Labels, encoding::Error> {
        let invalid = r.invalid("labels");
        let count = r.uvarint("number of labels")?;
        let mut left = r.check_count(count, 2, "number of labels")?;
        let (mut fault, mut before) = (None, "");
        let pairs = std::iter::from_fn(|| {
            while left > 0 {
                left -= 1;
                let pair = (|| {
                    let (name, value) = (r.uvarint32("label name")?, r.uvarint32("label value")?);
                    let name = self.symbols.get_cached(&self.bytes, name, symbols.as_deref_mut())?;
                    let value = self.symbols.get_cached(&self.bytes, value, symbols.as_deref_mut())?;
                    let fits = name.len().max(value.len()) < MAX_LABEL_LEN;
                    if name > before && fits { Ok((name, value)) } else { Err(invalid) }
                })();
                match pair {
                    // An empty value is a label that is not there.
                    Ok((_, "")) => {}
                    Ok((name, value)) => {
                        before = name;
                        return Some((name, value));
                    }
                    Err(e) => {
                        fault = Some(e);
                        return None;
                    }
                }
            }
            None
        });
        let labels = Labels::from_sorted(pairs);
        fault.map_or(Ok(labels), Err)
    }

    pub(in crate::block) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes on the heap that finding symbols takes.
    pub(in crate::block) fn symbol_table_size(&self) -> usize {
        self.symbols.heap_size()
    }

    /// Bytes on the heap.
    pub(in crate::block) fn heap_size(&self) -> usize {
        let names = self.names.iter().map(|(n, v)| n.len() + 64 + v.positions.capacity() * 4);
        self.symbols.heap_size() + names.sum::<usize>()
    }
}

fn table_entry<'a>(r: &mut Reader<'a>) -> Result<TableEntry<'a>, encoding::Error> {
    let bad = r.invalid("number of keys of a table entry");
    if r.uvarint("number of keys of a table entry")? != 2 {
        return Err(bad);
    }
    Ok(TableEntry {
        name: r.uvarint_str("label name")?,
        value: r.uvarint_str("label value")?,
        offset: r.uvarint("offset of postings")?,
    })
}

fn read_chunks(r: &mut Reader<'_>, chunks: &mut Vec<ChunkMeta>) -> Result<(), encoding::Error> {
    chunks.clear();
    let count = r.uvarint("number of chunks")?;
    // Three numbers of one byte at least.
    let count = r.check_count(count, 3, "number of chunks")?;
    chunks.reserve(count);
    let (mut last, mut ref_) = (0i64, 0u64);
    for i in 0..count {
        let mint = if i == 0 {
            r.varint("begin of a chunk")?
        } else {
            last.wrapping_add(r.uvarint("begin of a chunk")? as i64)
        };
        last = mint.wrapping_add(r.uvarint("end of a chunk")? as i64);
        ref_ = if i == 0 {
            r.uvarint("place of a chunk")?
        } else {
            ref_.wrapping_add(r.varint("place of a chunk")? as u64)
        };
        chunks.push(ChunkMeta { mint, maxt: last, ref_: ChunkRef(ref_) });
    }
    Ok(())
}

/// Where a section's content begins and ends: behind its length, its checksum verified.
fn section(bytes: &[u8], offset: u64, what: &'static str, path: &Path) -> Result<(usize, usize), Error> {
    let start = usize::try_from(offset).ok().filter(|&o| o >= HEADER && o < bytes.len());
    let Some(start) = start else {
        return Err(Error::corrupt(path, offset, format!("the {what} is said to be where it cannot be")));
    };
    let mut r = Reader::new(&bytes[start..]);
    let (content, sum) = (|| {
        let len = r.be32(what)? as usize;
        Ok((r.take(len, what)?, r.be32(what)?))
    })()
    .map_err(|e| Error::decoding(path, offset, e))?;
    if crc32c(content) != sum {
        return Err(Error::corrupt(path, offset, format!("the checksum of the {what} does not match")));
    }
    Ok((start + 4, start + 4 + content.len()))
}

fn read_toc(bytes: &[u8], path: &Path) -> Result<Toc, Error> {
    let Some(start) = bytes.len().checked_sub(TOC).filter(|&start| start >= HEADER) else {
        return Err(Error::corrupt(path, bytes.len() as u64, "too short for a table of contents"));
    };
    let content = &bytes[start..bytes.len() - 4];
    let mut r = Reader::new(&bytes[start..]);
    let toc = (|| {
        let toc = Toc {
            symbols: r.be64("")?,
            series: r.be64("")?,
            label_indices: r.be64("")?,
            label_offset_table: r.be64("")?,
            postings: r.be64("")?,
            postings_offset_table: r.be64("")?,
        };
        Ok((toc, r.be32("")?))
    })();
    let (toc, sum) = toc.map_err(|e| Error::decoding(path, start as u64, e))?;
    if crc32c(content) != sum {
        return Err(Error::corrupt(
            path,
            start as u64,
            "the checksum of the table of contents does not match",
        ));
    }
    Ok(toc)
}
