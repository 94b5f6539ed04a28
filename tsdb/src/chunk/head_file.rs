//! Head chunk files (`chunks_head/`): full chunks of the head, off the heap. See `docs/chunk.md`.
//!
//! ```text
//! ┌────────────┬───────────┬───────────┬───────────────┬───────────────┬──────┬────────────┐
//! │ series <8> │ mint <8>  │ maxt <8>  │ encoding <1>  │ len <uvarint> │ data │ crc32c <4> │
//! └────────────┴───────────┴───────────┴───────────────┴───────────────┴──────┴────────────┘
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::Encoding;
use crate::disk::{self, Disk, File, Mapped};
use crate::encoding::{Reader, crc32c, put_uvarint};

/// The first four bytes of a file.
const MAGIC: u32 = 0x0130_bc91;
const VERSION: u8 = 1;
/// Bytes before the first chunk: magic, version, three of padding.
const HEADER: usize = 8;
/// A file is ended before it grows beyond this many bytes.
const MAX_FILE: u64 = 128 << 20;
/// Chunks gather in memory up to this many bytes before they are written: few system calls when many series fill up at once. They are in the
/// log until then.
const BUFFER: usize = 256 << 10;
/// The bit of the encoding byte that marks samples that came out of order.
const OUT_OF_ORDER: u8 = 0x80;
/// Series, mint, maxt, encoding.
const FIXED: usize = 25;

/// Where a chunk lies: file number in the upper four bytes, offset in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(pub u64);

impl HeadChunkRef {
    fn new(file: u32, offset: u64) -> Self {
        HeadChunkRef(u64::from(file) << 32 | offset & 0xffff_ffff)
    }

    /// The file's number.
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset in bytes.
    pub fn offset(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

/// What can go wrong with head chunk files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Bytes that no writer wrote.
    #[error("damaged head chunk file `{}`, offset {offset}: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the chunk begins.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

/// One chunk, as found in a file.
#[derive(Clone, Copy, Debug)]
pub struct HeadChunk<'a> {
    /// Where it lies.
    pub ref_: HeadChunkRef,
    /// The series' number.
    pub series: u64,
    /// Its first sample, milliseconds.
    pub mint: i64,
    /// Its last sample, milliseconds.
    pub maxt: i64,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Whether it came out of order.
    pub out_of_order: bool,
    /// The data.
    pub data: &'a [u8],
}

/// One file, as readers see it.
#[derive(Debug)]
struct Readable {
    mapped: Mapped,
    /// The last sample in it, for [`HeadChunks::truncate`].
    maxt: i64,
    len: u64,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    /// Where the files are; changes under the lock of `state`.
    dir: RwLock<PathBuf>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u32, Readable>,
    /// Chunks that are not written yet: file, offset of the first byte, bytes.
    pending: (u32, u64, Vec<u8>),
}

/// Writes and reads head chunk files. Writing takes `&mut self`; other threads read through [`HeadChunks::reader`].
#[derive(Debug)]
pub struct HeadChunks {
    shared: Arc<Shared>,
    file: Option<(u32, Box<dyn File>)>,
    unsynced: Vec<Arc<dyn disk::Syncer>>,
}

/// Reads chunks from any thread; a cheap clone, that sees a chunk as soon as it is written.
#[derive(Clone, Debug)]
pub struct HeadChunkReader {
    shared: Arc<Shared>,
}

impl HeadChunks {
    /// Opens a directory; it is made when the first file is. Damage is an error from [`HeadChunks::for_each`], not here; a file that cannot be
    /// read is logged and left alone. New chunks go to a new file.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let entries = disk.list(dir).unwrap_or_else(|error| {
            if !error.is_not_found() {
                tracing::error!(%error, "cannot look for head chunk files");
            }
            Vec::new()
        });
        let mut files = BTreeMap::new();
        for entry in entries {
            if entry.is_dir || !entry.name.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            if let Ok(number) = entry.name.parse::<u32>() {
                let mapped = disk.map(&dir.join(&entry.name)).unwrap_or_else(|error| {
                    tracing::error!(%error, "cannot read a head chunk file");
                    Mapped::from_bytes([])
                });
                files.insert(number, Readable { len: mapped.len() as u64, mapped, maxt: i64::MAX });
            }
        }
        let state = RwLock::new(State { files, pending: Default::default() });
        let shared = Arc::new(Shared { disk, dir: RwLock::new(dir.to_owned()), state });
        HeadChunks { shared, file: None, unsynced: Vec::new() }
    }

    /// Goes through all chunks in order of their references, with checked sums; stops at the first damage with an error. Call it
    /// once before the first write. A chunk torn at the very end of the last file, and the zeros that a writer had reserved, end it without
    /// an error.
    pub fn for_each(&mut self, mut each: impl FnMut(HeadChunk<'_>)) -> Result<(), Error> {
        let mut state = self.shared.state.write();
        let last = state.files.keys().next_back().copied();
        let mut torn = None;
        for (&number, file) in &mut state.files {
            let corrupt = |offset: usize, reason| {
                let path = self.shared.path(number);
                Err(Error::Corrupt { path, offset: offset as u64, reason })
            };
            let is_last = Some(number) == last;
            let bytes = &file.mapped;
            if !has_header(bytes) {
                if is_last && (bytes.len() < HEADER || bytes.iter().all(|&b| b == 0)) {
                    file.maxt = i64::MIN;
                    continue;
                }
                return corrupt(0, "not a head chunk file");
            }
            let mut maxt = i64::MIN;
            let mut at = HEADER;
            while at < bytes.len() {
                let rest = &bytes[at..];
                match parse(rest) {
                    Ok((chunk, len)) => {
                        maxt = maxt.max(chunk.maxt);
                        each(HeadChunk { ref_: HeadChunkRef::new(number, at as u64), ..chunk });
                        at += len;
                    }
                    Err(_) if rest.iter().all(|&b| b == 0) => break,
                    Err(Bad::Short) if is_last => {
                        torn = Some((number, at));
                        break;
                    }
                    Err(Bad::Short) => return corrupt(at, "the file ends within a chunk"),
                    Err(Bad::Damaged(reason)) => return corrupt(at, reason),
                }
            }
            file.maxt = maxt;
        }
        match torn {
            Some((number, at)) => cut_torn(&self.shared, &mut state, number, at),
            None => Ok(()),
        }
    }

    /// After [`Error::Corrupt`]: renames the damaged file to `<file>.corrupt` and writes its good part, the chunks before the damage, under the old name.
    /// Later files stay. Nothing is deleted. Returns the new name of the damaged file. Other errors are given back.
    pub fn repair(&mut self, error: Error) -> Result<PathBuf, Error> {
        let Error::Corrupt { path, offset, .. } = &error else { return Err(error) };
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
        let mut state = self.shared.state.write();
        let Some(file) = number.and_then(|n| state.files.get_mut(&n)) else { return Err(error) };
        let disk = &self.shared.disk;
        let mut aside = path.with_extension("corrupt");
        let mut n = 1;
        while disk.exists(&aside) {
            aside = path.with_extension(format!("corrupt.{n}"));
            n += 1;
        }
        disk.rename(path, &aside)?;
        let mut good = disk.create(path)?;
        if *offset >= HEADER as u64 {
            good.write(&file.mapped[..(*offset as usize).min(file.mapped.len())])?;
        } else {
            good.write(&header())?;
        }
        good.sync()?;
        disk.sync_dir(&self.shared.dir.read())?;
        file.mapped = disk.map(path)?;
        file.len = file.mapped.len() as u64;
        tracing::warn!(%error, copy = %aside.display(), kept_bytes = file.len, "repaired a head chunk file");
        Ok(aside)
    }

    /// Writes one chunk. It can be read at once; it is in the file after [`HeadChunks::flush`] at the latest, and durable after
    /// [`HeadChunks::sync`].
    pub fn write(
        &mut self,
        series: u64,
        mint: i64,
        maxt: i64,
        encoding: Encoding,
        data: &[u8],
    ) -> Result<HeadChunkRef, Error> {
        self.write_with(series, (mint, maxt), encoding as u8, data)
    }

    /// [`HeadChunks::write`], of samples that came out of order.
    pub fn write_out_of_order(
        &mut self,
        series: u64,
        mint: i64,
        maxt: i64,
        encoding: Encoding,
        data: &[u8],
    ) -> Result<HeadChunkRef, Error> {
        self.write_with(series, (mint, maxt), encoding as u8 | OUT_OF_ORDER, data)
    }

    fn write_with(
        &mut self,
        series: u64,
        (mint, maxt): (i64, i64),
        encoding: u8,
        data: &[u8],
    ) -> Result<HeadChunkRef, Error> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.write();
        let size = (FIXED + 10 + data.len() + 4) as u64;
        let end = state.pending.1 + state.pending.2.len() as u64;
        if self.file.is_none() || end + size > MAX_FILE {
            self.flush_into(&mut state)?;
            self.begin_file(&mut state)?;
        }
        let (number, start, pending) = &mut state.pending;
        let ref_ = HeadChunkRef::new(*number, *start + pending.len() as u64);
        let begin = pending.len();
        pending.extend_from_slice(&series.to_be_bytes());
        pending.extend_from_slice(&mint.to_be_bytes());
        pending.extend_from_slice(&maxt.to_be_bytes());
        pending.push(encoding);
        put_uvarint(pending, data.len() as u64);
        pending.extend_from_slice(data);
        let sum = crc32c(&pending[begin..]);
        pending.extend_from_slice(&sum.to_be_bytes());
        let is_full = pending.len() >= BUFFER;
        let number = *number;
        if let Some(file) = state.files.get_mut(&number) {
            file.maxt = file.maxt.max(maxt);
        }
        if is_full && let Err(e) = self.flush_into(&mut state) {
            // The caller keeps the chunk; what waits does not grow while the disk is full.
            state.pending.2.truncate(begin);
            return Err(e);
        }
        Ok(ref_)
    }

    fn begin_file(&mut self, state: &mut State) -> Result<(), Error> {
        let number = state.files.keys().next_back().map_or(1, |&n| n + 1);
        let path = self.shared.path(number);
        if state.files.is_empty() {
            self.shared.disk.create_dir_all(&self.shared.dir.read())?;
        }
        let mut file = self.shared.disk.create(&path)?;
        file.write(&header())?;
        if let Some((_, old)) = self.file.take() {
            self.unsynced.push(old.syncer());
        }
        let mapped = Mapped::from_bytes([]);
        state.files.insert(number, Readable { mapped, maxt: i64::MIN, len: HEADER as u64 });
        state.pending = (number, HEADER as u64, std::mem::take(&mut state.pending.2));
        self.file = Some((number, file));
        Ok(())
    }

    fn flush_into(&mut self, state: &mut State) -> Result<(), Error> {
        let Some((number, file)) = &mut self.file else { return Ok(()) };
        let (_, start, pending) = &mut state.pending;
        if pending.is_empty() {
            return Ok(());
        }
        // A failed write before this one may have left bytes behind the end.
        debug_assert_eq!(file.len(), *start);
        file.write(pending)?;
        *start += pending.len() as u64;
        pending.clear();
        if let Some(readable) = state.files.get_mut(number) {
            readable.len = file.len();
        }
        Ok(())
    }

    /// Hands what was written to the system: it survives the end of the process.
    pub fn flush(&mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.flush_into(&mut shared.state.write())
    }

    /// Makes what was written durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let Some((_, file)) = &self.file {
            file.sync()?;
        }
        while let Some(syncer) = self.unsynced.last() {
            syncer.sync()?;
            self.unsynced.pop();
        }
        // the directory is made with the first file
        let dir = self.shared.dir.read();
        if self.shared.disk.exists(&dir) {
            self.shared.disk.sync_dir(&dir)?;
        }
        Ok(())
    }

    /// What makes the files that are ended durable, for a caller who does not want to keep others from writing meanwhile.
    pub fn syncers(&self) -> Vec<Arc<dyn disk::Syncer>> {
        self.unsynced.clone()
    }

    /// Makes what was written durable, and renames the directory, which must not exist under that name. References stay.
    pub fn move_to(&mut self, dir: &Path) -> Result<(), Error> {
        self.cut_file()?;
        self.sync()?;
        let _nobody_reads = self.shared.state.write();
        let mut present = self.shared.dir.write();
        if self.shared.disk.exists(&present) {
            self.shared.disk.rename(&present, dir)?;
        }
        *present = dir.to_owned();
        Ok(())
    }

    /// Reads a chunk's data, checked against its sum; appends it to `out`.
    pub fn read(&self, ref_: HeadChunkRef, out: &mut Vec<u8>) -> Result<Encoding, Error> {
        self.shared.read(ref_, out)
    }

    /// A reader for other threads.
    pub fn reader(&self) -> HeadChunkReader {
        HeadChunkReader { shared: Arc::clone(&self.shared) }
    }

    /// Removes whole files from the oldest on, as long as all their chunks end before `mint` (milliseconds). What could not be gone through is kept.
    pub fn truncate(&mut self, mint: i64) -> Result<(), Error> {
        self.truncate_before(mint, u32::MAX)
    }

    /// The same, of the files below number `needed`.
    pub fn truncate_before(&mut self, mint: i64, needed: u32) -> Result<(), Error> {
        let mut state = self.shared.state.write();
        let present = self.file.as_ref().map(|(number, _)| *number);
        while let Some((&number, file)) = state.files.first_key_value() {
            if file.maxt >= mint || Some(number) == present || number >= needed {
                break;
            }
            self.shared.disk.remove_file(&self.shared.path(number))?;
            state.files.remove(&number);
        }
        Ok(())
    }

    /// Ends the present file: the next chunk begins a new one. Called at each compaction of the head, so that [`HeadChunks::truncate`] finds whole
    /// files to remove.
    pub fn cut_file(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let Some((_, old)) = self.file.take() {
            self.unsynced.push(old.syncer());
        }
        Ok(())
    }

    /// Bytes of all files, with what is not flushed yet.
    pub fn size(&self) -> u64 {
        let state = self.shared.state.read();
        state.files.values().map(|f| f.len).sum::<u64>() + state.pending.2.len() as u64
    }
}

/// Cuts a chunk that a crash tore off the end of the last file, after copying it to `<file>.torn`: once there are later files, it
/// would be taken for damage. The log still holds its samples.
fn cut_torn(shared: &Shared, state: &mut State, number: u32, at: usize) -> Result<(), Error> {
    let Some(readable) = state.files.get_mut(&number) else { return Ok(()) };
    let (disk, path) = (&shared.disk, shared.path(number));
    let mut copy = disk.create(&path.with_extension("torn"))?;
    copy.write(&readable.mapped[at..])?;
    copy.sync()?;
    let bytes = copy.len();
    // No mapping may reach beyond the end of its file.
    readable.mapped = Mapped::from_bytes([]);
    disk.append(&path)?.truncate(at as u64)?;
    readable.mapped = disk.map(&path)?;
    readable.len = at as u64;
    tracing::warn!(file = %path.display(), offset = at, bytes, "cut a chunk off a head chunk file that a crash had torn");
    Ok(())
}

impl HeadChunkReader {
    /// Reads a chunk's data, checked against its sum; appends it to `out`.
    pub fn read(&self, ref_: HeadChunkRef, out: &mut Vec<u8>) -> Result<Encoding, Error> {
        self.shared.read(ref_, out)
    }
}

impl Shared {
    fn path(&self, number: u32) -> PathBuf {
        file_path(&self.dir.read(), number)
    }

    fn read(&self, ref_: HeadChunkRef, out: &mut Vec<u8>) -> Result<Encoding, Error> {
        let path = || self.path(ref_.file());
        {
            let state = self.state.read();
            let (number, start, pending) = &state.pending;
            if *number == ref_.file() && ref_.offset() >= *start && *number != 0 {
                let rest = pending.get((ref_.offset() - start) as usize..).unwrap_or(&[]);
                return copy_chunk(rest, ref_, path, out);
            }
            match state.files.get(&ref_.file()) {
                None => {
                    return Err(Error::Corrupt {
                        path: path(),
                        offset: ref_.offset(),
                        reason: "no such file",
                    });
                }
                Some(file) => {
                    // The mapping may end within or before the chunk while the file has grown: then map it anew.
                    let rest = file.mapped.get(ref_.offset() as usize..).unwrap_or(&[]);
                    if file.mapped.len() as u64 == file.len || parse(rest).is_ok() {
                        return copy_chunk(rest, ref_, path, out);
                    }
                }
            }
        }
        let mut state = self.state.write();
        let Some(file) = state.files.get_mut(&ref_.file()) else {
            return Err(Error::Corrupt { path: path(), offset: ref_.offset(), reason: "no such file" });
        };
        file.mapped = self.disk.map(&path())?;
        copy_chunk(file.mapped.get(ref_.offset() as usize..).unwrap_or(&[]), ref_, path, out)
    }
}

fn copy_chunk(
    bytes: &[u8],
    ref_: HeadChunkRef,
    path: impl Fn() -> PathBuf,
    out: &mut Vec<u8>,
) -> Result<Encoding, Error> {
    match parse(bytes) {
        Ok((chunk, _)) => {
            out.extend_from_slice(chunk.data);
            Ok(chunk.encoding)
        }
        Err(bad) => {
            let reason = match bad {
                Bad::Short => "the file ends within the chunk",
                Bad::Damaged(reason) => reason,
            };
            Err(Error::Corrupt { path: path(), offset: ref_.offset(), reason })
        }
    }
}

enum Bad {
    Short,
    Damaged(&'static str),
}

/// The chunk at the start of the bytes, and how many it takes.
fn parse(bytes: &[u8]) -> Result<(HeadChunk<'_>, usize), Bad> {
    let mut r = Reader::new(bytes);
    let fields = (|| {
        let (series, mint, maxt) = (r.be64("")?, r.be64i("")?, r.be64i("")?);
        let encoding = r.u8("")?;
        let data = r.uvarint_bytes("")?;
        let end = r.position();
        Ok::<_, crate::encoding::Error>((series, mint, maxt, encoding, data, end, r.be32("")?))
    })();
    let (series, mint, maxt, encoding, data, end, sum) = match fields {
        Ok(fields) => fields,
        Err(crate::encoding::Error::Short { .. }) => return Err(Bad::Short),
        Err(_) => return Err(Bad::Damaged("the length is not a number")),
    };
    if crc32c(&bytes[..end]) != sum {
        return Err(Bad::Damaged("the checksum does not match"));
    }
    let known = Encoding::from_u8(encoding & !OUT_OF_ORDER).ok_or(Bad::Damaged("unknown encoding"))?;
    let chunk = HeadChunk {
        ref_: HeadChunkRef(0),
        series,
        mint,
        maxt,
        encoding: known,
        out_of_order: encoding & OUT_OF_ORDER != 0,
        data,
    };
    Ok((chunk, end + 4))
}

fn header() -> [u8; HEADER] {
    let [a, b, c, d] = MAGIC.to_be_bytes();
    [a, b, c, d, VERSION, 0, 0, 0]
}

fn has_header(bytes: &[u8]) -> bool {
    bytes.get(..5) == Some(&header()[..5]) && bytes.len() >= HEADER
}

fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

#[cfg(test)]
mod tests;
