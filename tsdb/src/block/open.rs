//! An open block: everything is read where it lies, in mapped memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use model::labels::Labels;
use parking_lot::RwLock;

use super::chunks::ChunkFiles;
use super::index::read::Index;
use super::index::symbols::SymbolCache;
use super::tombstones::{self, Tombstones};
use super::{BlockMeta, ChunkMeta, ChunkRef, Error, Interval, Postings, SeriesRef, meta};
use crate::chunk::Encoding;
use crate::disk::Disk;

/// An open block. Share it in an `Arc`; its directory may be removed while it is open.
#[derive(Debug)]
pub struct Block {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    chunk_dir: PathBuf,
    meta: BlockMeta,
    index: Index,
    chunks: ChunkFiles,
    tombstones: RwLock<Tombstones>,
    failed: AtomicBool,
    other_bytes: u64,
}

impl Block {
    /// Opens a block's directory: checks headers, table of contents and the tables' checksums. Series, lists and chunks are checked when they
    /// are read.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let meta = meta::read(&*disk, dir)?;
        let index = Index::open(&*disk, &dir.join("index"))?;
        let chunk_dir = dir.join("chunks");
        let chunks = ChunkFiles::open(&*disk, &chunk_dir)?;
        let tombstones = tombstones::read(&*disk, &dir.join("tombstones"))?;
        let known = |name: &str| name == "index";
        let other_bytes = disk.list(dir)?.iter().filter(|e| !known(&e.name)).map(|e| e.len).sum();
        let failed = AtomicBool::new(meta.compaction.failed);
        Ok(Block {
            failed,
            dir: dir.to_owned(),
            chunk_dir,
            meta,
            index,
            chunks,
            tombstones: RwLock::new(tombstones),
            other_bytes,
            disk,
        })
    }

    /// What meta.json said when the block was opened: [`Block::meta_now`] has what can change.
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// What meta.json says now: deletions and failed compactions change it.
    pub fn meta_now(&self) -> BlockMeta {
        let mut meta = self.meta.clone();
        meta.stats.num_tombstones = self.num_tombstones();
        meta.compaction.failed = self.failed.load(Relaxed);
        meta
    }

    /// Notes, durably, that the block cannot be compacted: no program tries it again.
    pub fn set_failed(&self) -> Result<(), Error> {
        self.failed.store(true, Relaxed);
        meta::write(&*self.disk, &self.dir, &self.meta_now())
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes on disk of all its files.
    pub fn size(&self) -> u64 {
        self.index.bytes() + self.chunks.bytes() + self.other_bytes
    }

    /// Bytes on the heap that finding symbols takes.
    pub fn symbol_table_size(&self) -> usize {
        self.index.symbol_table_size()
    }

    /// Bytes on the heap; the rest is mapped.
    pub fn heap_size(&self) -> usize {
        self.index.heap_size()
    }

    /// The series that have this label with this value, rising; empty where there are none.
    pub fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, Error> {
        if name.is_empty() { Ok(Postings::default()) } else { self.index.postings(name, value) }
    }

    /// All series, rising: in order of their labels.
    pub fn all_postings(&self) -> Result<Postings<'_>, Error> {
        self.index.postings("", "")
    }

    /// Names of labels, sorted.
    pub fn label_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.index.label_names().map(str::to_owned).collect())
    }

    /// Values of a label, sorted.
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut values = Vec::with_capacity(self.index.num_values(name));
        self.visit_values(name, "", |value| {
            values.push(value.to_owned());
            true
        })?;
        Ok(values)
    }

    /// How many values a label has.
    pub fn num_label_values(&self, name: &str) -> usize {
        self.index.num_values(name)
    }

    /// Calls `each(value)` for the values of a label that are not below `from`, in order, until it returns false. No postings are read.
    pub fn visit_values<'a>(
        &'a self,
        name: &str,
        from: &str,
        mut each: impl FnMut(&'a str) -> bool,
    ) -> Result<(), Error> {
        if name.is_empty() {
            return Ok(());
        }
        self.index.for_each_value(name, from, |value, _| Ok(each(value)))
    }

    /// Calls `each(value, postings)` for the values of a label in order, until it returns false.
    pub fn for_each_value<'a>(
        &'a self,
        name: &str,
        mut each: impl FnMut(&'a str, Postings<'a>) -> bool,
    ) -> Result<(), Error> {
        if name.is_empty() {
            return Ok(());
        }
        self.index.for_each_value(name, "", |value, offset| Ok(each(value, self.index.list_at(offset)?)))
    }

    /// Appends the postings of all values that begin with `prefix` and for which `matches` says so: one list each. Only values with that prefix
    /// are looked at.
    pub fn postings_matching<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        mut matches: impl FnMut(&str) -> bool,
        out: &mut Vec<Postings<'a>>,
    ) -> Result<(), Error> {
        if name.is_empty() {
            return Ok(());
        }
        self.index.for_each_value(name, prefix, |value, offset| {
            if !value.starts_with(prefix) {
                return Ok(false);
            }
            if matches(value) {
                out.push(self.index.list_at(offset)?);
            }
            Ok(true)
        })
    }

    /// A series' labels; its chunks replace what `chunks` holds, in order of time.
    pub fn series(&self, ref_: SeriesRef, chunks: &mut Vec<ChunkMeta>) -> Result<Labels, Error> {
        self.index.series(ref_, chunks, None)
    }

    /// The same for many series one after the other, most of whose symbols are the same.
    pub(crate) fn series_with<'a>(
        &'a self,
        ref_: SeriesRef,
        chunks: &mut Vec<ChunkMeta>,
        symbols: &mut SymbolCache<'a>,
    ) -> Result<Labels, Error> {
        self.index.series(ref_, chunks, Some(symbols))
    }

    /// Only a series' chunks.
    pub fn series_chunks(&self, ref_: SeriesRef, chunks: &mut Vec<ChunkMeta>) -> Result<(), Error> {
        self.index.chunks(ref_, chunks)
    }

    /// One label's value of a series, "" where it is missing (label values of a selection, without building the set).
    pub fn series_label_value(&self, ref_: SeriesRef, name: &str) -> Result<&str, Error> {
        self.index.label_value(ref_, name)
    }

    /// The error for a chunk whose data cannot be decoded, though its checksum is right: it names file and offset.
    pub fn damaged_chunk(&self, ref_: ChunkRef, reason: impl Into<String>) -> Error {
        Error::corrupt(&super::chunks::segment_path(&self.chunk_dir, ref_), ref_.0 & 0xffff_ffff, reason)
    }

    /// A chunk's data, from the mapped file, its checksum verified.
    pub fn chunk(&self, ref_: ChunkRef) -> Result<(Encoding, &[u8]), Error> {
        self.chunks.chunk(ref_, &self.chunk_dir)
    }

    /// The deleted intervals of a series, sorted, apart from each other.
    pub fn tombstones(&self, ref_: SeriesRef) -> Vec<Interval> {
        self.tombstones.read().get(&ref_).cloned().unwrap_or_default()
    }

    /// Whether anything is deleted.
    pub fn has_tombstones(&self) -> bool {
        !self.tombstones.read().is_empty()
    }

    /// How many intervals are deleted.
    pub fn num_tombstones(&self) -> u64 {
        self.tombstones.read().values().map(|intervals| intervals.len() as u64).sum()
    }

    /// Adds deleted intervals, durably: the file is replaced as a whole, then meta.json with the new count.
    pub fn add_tombstones(&self, deleted: &[(SeriesRef, Interval)]) -> Result<(), Error> {
        let mut present = self.tombstones.write();
        let mut all = present.clone();
        for &(ref_, interval) in deleted {
            tombstones::add(all.entry(ref_).or_default(), interval);
        }
        tombstones::write(&*self.disk, &self.dir, &all)?;
        *present = all;
        drop(present);
        meta::write(&*self.disk, &self.dir, &self.meta_now())
    }
}
