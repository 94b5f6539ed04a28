//! Writing the log: batches of records into pages, one write(2) a batch.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};

use parking_lot::Mutex;

use super::{
    Compression, Error, FRAGMENT_HEADER, PAGE_SIZE, WalCounters, WalOptions, checkpoint, part, segment_path,
    tail,
};
use crate::disk::{self, Disk, File, Syncer};
use crate::encoding::crc32c;

/// A batch buffer above this size is given back after the write: an idle log costs little memory.
const KEEP_BUFFER: usize = 1 << 20;
/// So many missing segments are replaced by empty ones; more than that no crash has lost.
const MAX_GAP: u32 = 1000;

/// A log that is being written.
pub struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_size: u64,
    compressor: Compressor,
    first: u32,
    segment: u32,
    /// None where the disk has refused it until now.
    file: Option<Box<dyn File>>,
    /// Bytes of the segments before the present one, to answer [`Wal::size`].
    closed_bytes: Vec<(u32, u64)>,
    /// Segments and directory entries that are not yet known to be durable, besides the present segment.
    unsynced: Arc<Mutex<Vec<Arc<dyn Syncer>>>>,
    /// Fragments of the batch that is being built.
    batch: Vec<u8>,
    /// A failed write may have left bytes behind the end: cut them before the next one.
    torn: bool,
    /// Syncing failed since [`Wal::begin_anew_after_failed_sync`] was called.
    sync_failed: Arc<AtomicBool>,
    counters: Arc<WalCounters>,
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wal({}, segment {})", self.dir.display(), self.segment)
    }
}

impl Wal {
    /// Opens a log's directory (made if it is missing) and begins a NEW segment behind the last one, so that a torn tail is never
    /// appended to. A record that a crash tore at the end of the last segment is cut off, after its bytes were copied to
    /// `<segment>.torn`: no program that reads the log later takes it for damage.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: WalOptions) -> Result<Self, Error> {
        let (wal, refused) = Wal::open_when_possible(disk, dir, options);
        refused.map_or(Ok(wal), Err)
    }

    /// [`Wal::open`]. Where the disk refuses (it is full), each call that wants to write tries it again: the second value says why.
    pub fn open_when_possible(disk: Arc<dyn Disk>, dir: &Path, options: WalOptions) -> (Self, Option<Error>) {
        let pages = options.segment_size.div_ceil(PAGE_SIZE as u64).max(1);
        let mut wal = Wal {
            first: 0,
            segment: 0,
            file: None,
            closed_bytes: Vec::new(),
            unsynced: Arc::default(),
            batch: Vec::new(),
            torn: false,
            sync_failed: Arc::default(),
            counters: options.counters,
            compressor: Compressor::new(options.compression),
            segment_size: pages * PAGE_SIZE as u64,
            dir: dir.to_owned(),
            disk,
        };
        let refused = match wal.begin() {
            Ok(file) => {
                wal.file = Some(file);
                None
            }
            Err(error) => Some(error),
        };
        (wal, refused)
    }

    /// Begins the first segment of this process.
    fn begin(&mut self) -> Result<Box<dyn File>, Error> {
        let (disk, dir) = (&self.disk, &self.dir);
        disk.create_dir_all(dir)?;
        // What a checkpoint covers is not read any more, whatever stands there.
        let covered = checkpoint::last(&**disk, dir)?.map_or(0, |(_, covered)| covered + 1);
        fill_gaps(&**disk, dir, covered)?;
        let mut closed = super::segments_with_len(&**disk, dir)?;
        let segment = match closed.last_mut() {
            Some((last, len)) => {
                match tail::cut_torn(&**disk, dir, *last, *len) {
                    Ok(kept) => *len = kept,
                    Err(Error::Disk(e)) if e.is_full() => return Err(e.into()),
                    // Who reads it reports what is wrong with it.
                    Err(error) => tracing::warn!(%error, segment = *last, "cannot look for a torn record"),
                }
                *last + 1
            }
            None => 0,
        };
        let segment = segment.max(covered);
        let file = disk.create(&segment_path(dir, segment))?;
        // The process before may have been killed before its last sync: what it left in the page cache is made durable with the rest.
        let mut unsynced = self.unsynced.lock();
        unsynced.extend(dir.parent().map(|parent| dir_syncer(disk, parent)));
        for &(segment, _) in &closed {
            let path = segment_path(dir, segment);
            unsynced.push(Arc::new(PathSyncer { disk: Arc::clone(disk), path }));
        }
        unsynced.push(dir_syncer(disk, dir));
        drop(unsynced);
        self.first = closed.first().map_or(segment, |&(first, _)| first);
        self.segment = segment;
        self.closed_bytes = closed;
        Ok(file)
    }

    /// Whether a segment could be begun.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Runs something with the present segment's file; begins one where there is none yet.
    fn with_file<T>(
        &mut self,
        run: impl FnOnce(&mut Self, &mut Box<dyn File>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = self.begin()?;
                tracing::info!(dir = %self.dir.display(), segment = self.segment, "the log can be written now");
                file
            }
        };
        let result = run(self, &mut file);
        self.file = Some(file);
        result
    }

    /// Writes a batch of records with one write(2), or one per segment where it crosses into the next. What it wrote survives
    /// kill -9 once it returned; a power cut only after [`Wal::sync`]. After an error nothing behind the last complete segment of the batch
    /// counts as written, and the log can be written on once the disk works again.
    pub fn log(&mut self, records: &[&[u8]]) -> Result<(), Error> {
        self.with_file(|wal, file| wal.log_to(file, records))
    }

    fn log_to(&mut self, file: &mut Box<dyn File>, records: &[&[u8]]) -> Result<(), Error> {
        self.batch.clear();
        let (mut parts, mut part_bytes, mut saved) = (0, 0, 0);
        for record in records {
            let whole = record.len();
            let (record, flag) = self.compressor.compress(record)?;
            saved += whole - record.len();
            let at = file.len() + self.batch.len() as u64;
            if at > 0 && framed_end(at, record.len()) > self.segment_size {
                write_batch(&mut **file, &mut self.batch, &mut self.torn, &self.counters)?;
                let Wal { disk, dir, segment, closed_bytes, unsynced, counters, .. } = self;
                roll(disk, dir, segment, file, closed_bytes, unsynced, counters)?;
            }
            let fragments = frame(&mut self.batch, file.len(), record, flag);
            parts += fragments as u64;
            part_bytes += (fragments * FRAGMENT_HEADER + record.len()) as u64;
        }
        write_batch(&mut **file, &mut self.batch, &mut self.torn, &self.counters)?;
        self.counters.parts.fetch_add(parts, Relaxed);
        self.counters.part_bytes.fetch_add(part_bytes, Relaxed);
        self.counters.saved_bytes.fetch_add(saved as u64, Relaxed);
        if self.batch.capacity() > KEEP_BUFFER {
            self.batch = Vec::new();
        }
        Ok(())
    }

    /// Where syncing failed since the last call: begins a new segment, and says that what was logged before may be lost, with whatever
    /// later records refer to. The kernel does not write again what it could not write then, and readers stop at such a hole.
    pub fn begin_anew_after_failed_sync(&mut self) -> Result<bool, Error> {
        if !self.sync_failed.load(SeqCst) {
            return Ok(false);
        }
        self.next_segment()?;
        self.sync_failed.store(false, SeqCst);
        Ok(true)
    }

    /// Makes all that was logged durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        Ok(self.syncer().sync()?)
    }

    /// Makes all that has been logged until now durable, without holding the log meanwhile: call its `sync` from another thread.
    pub fn syncer(&self) -> Arc<dyn Syncer> {
        Arc::new(LogSyncer {
            old: Arc::clone(&self.unsynced),
            present: self.file.as_ref().map(|file| file.syncer()),
            failed: Arc::clone(&self.sync_failed),
        })
    }

    /// Ends the present segment and begins the next; returns the new one's number. The old one is made durable by the next
    /// [`Wal::sync`].
    pub fn next_segment(&mut self) -> Result<u32, Error> {
        self.with_file(|wal, file| {
            write_batch(&mut **file, &mut Vec::new(), &mut wal.torn, &wal.counters)?;
            let Wal { disk, dir, segment, closed_bytes, unsynced, counters, .. } = wal;
            roll(disk, dir, segment, file, closed_bytes, unsynced, counters)?;
            Ok(wal.segment)
        })
    }

    /// Removes the segments below the given number; never the present one.
    pub fn truncate(&mut self, before: u32) -> Result<(), Error> {
        while let Some(&(segment, _)) = self.closed_bytes.first() {
            if segment >= before {
                break;
            }
            match self.disk.remove_file(&segment_path(&self.dir, segment)) {
                Err(e) if !e.is_not_found() => return Err(e.into()),
                _ => {}
            }
            self.closed_bytes.remove(0);
            self.first = segment + 1;
        }
        Ok(())
    }

    /// The oldest segment that is there.
    pub fn first_segment(&self) -> u32 {
        self.first
    }

    /// The segment that is being written.
    pub fn last_segment(&self) -> u32 {
        self.segment
    }

    /// Bytes of all segments (without checkpoints).
    pub fn size(&self) -> u64 {
        self.closed_bytes.iter().map(|&(_, len)| len).sum::<u64>() + self.file.as_ref().map_or(0, |f| f.len())
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Creates a segment's file and notes that the directory must be synced.
fn begin_segment(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    segment: u32,
    unsynced: &Mutex<Vec<Arc<dyn Syncer>>>,
) -> Result<Box<dyn File>, Error> {
    let file = disk.create(&segment_path(dir, segment))?;
    unsynced.lock().push(dir_syncer(disk, dir));
    Ok(file)
}

fn dir_syncer(disk: &Arc<dyn Disk>, dir: &Path) -> Arc<dyn Syncer> {
    Arc::new(DirSyncer { disk: Arc::clone(disk), dir: dir.to_owned() })
}

/// Puts empty segments where a power cut took the names of some: a log's numbers must follow each other, for Prometheus too. What is lost
/// is reported where it is replayed.
///
/// Where there are segments, the next one is `next` at the least: those before it are put there too.
fn fill_gaps(disk: &dyn Disk, dir: &Path, next: u32) -> Result<(), Error> {
    let mut segments = super::segments(disk, dir)?;
    if segments.last().is_some_and(|&last| last < next) {
        segments.push(next);
    }
    for pair in segments.windows(2) {
        fill(disk, dir, pair[0] + 1..pair[1])?;
    }
    Ok(())
}

/// Puts an empty segment where there is none; not where so many are missing that something else must be wrong.
pub(crate) fn fill(disk: &dyn Disk, dir: &Path, missing: std::ops::Range<u32>) -> Result<(), Error> {
    if missing.len() <= MAX_GAP as usize {
        for segment in missing {
            disk.create(&segment_path(dir, segment))?;
        }
    }
    Ok(())
}

/// Pads the present segment to a whole page and begins the next.
fn roll(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    segment: &mut u32,
    file: &mut Box<dyn File>,
    closed: &mut Vec<(u32, u64)>,
    unsynced: &Mutex<Vec<Arc<dyn Syncer>>>,
    counters: &WalCounters,
) -> Result<(), Error> {
    let begin = file.len();
    let padding = begin.next_multiple_of(PAGE_SIZE as u64) - begin;
    // Zeros that cannot be written are no loss: readers take the end of a segment for padding.
    if file.write(&[0; PAGE_SIZE][..padding as usize]).is_ok() {
        counters.wrote(begin, file.len());
    }
    let next = begin_segment(disk, dir, *segment + 1, unsynced)?;
    unsynced.lock().push(file.syncer());
    closed.push((*segment, file.len()));
    *file = next;
    *segment += 1;
    Ok(())
}

fn write_batch(
    file: &mut dyn File,
    batch: &mut Vec<u8>,
    torn: &mut bool,
    counters: &WalCounters,
) -> Result<(), Error> {
    if *torn {
        file.truncate(file.len())?;
        *torn = false;
    }
    if !batch.is_empty() {
        let begin = file.len();
        let written = file.write(batch);
        batch.clear();
        *torn = written.is_err();
        written?;
        counters.wrote(begin, file.len());
    }
    Ok(())
}

/// Where a record of `len` bytes ends if it begins at `at`: with padding and the headers of all its fragments.
fn framed_end(mut at: u64, mut len: usize) -> u64 {
    loop {
        let room = PAGE_SIZE - (at % PAGE_SIZE as u64) as usize;
        if room < FRAGMENT_HEADER {
            at += room as u64;
            continue;
        }
        let part = len.min(room - FRAGMENT_HEADER);
        at += (FRAGMENT_HEADER + part) as u64;
        len -= part;
        if len == 0 {
            return at;
        }
    }
}

/// Appends a record's fragments to the batch, which will be written at offset `start` of the segment; returns how many.
fn frame(batch: &mut Vec<u8>, start: u64, record: &[u8], flag: u8) -> usize {
    let mut fragments = 0;
    let mut rest = record;
    let mut is_first = true;
    loop {
        let at = start + batch.len() as u64;
        let room = PAGE_SIZE - (at % PAGE_SIZE as u64) as usize;
        if room < FRAGMENT_HEADER {
            batch.resize(batch.len() + room, 0);
            continue;
        }
        let (data, behind) = rest.split_at(rest.len().min(room - FRAGMENT_HEADER));
        rest = behind;
        let kind = match (is_first, rest.is_empty()) {
            (true, true) => part::FULL,
            (true, false) => part::FIRST,
            (false, true) => part::LAST,
            (false, false) => part::MIDDLE,
        };
        batch.push(kind | flag);
        batch.extend_from_slice(&(data.len() as u16).to_be_bytes());
        batch.extend_from_slice(&crc32c(data).to_be_bytes());
        batch.extend_from_slice(data);
        is_first = false;
        fragments += 1;
        if rest.is_empty() {
            return fragments;
        }
    }
}

/// Compresses records into its own buffer.
struct Compressor {
    compression: Compression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    out: Vec<u8>,
}

impl Compressor {
    fn new(compression: Compression) -> Self {
        Compressor { compression, snappy: snap::raw::Encoder::new(), zstd: None, out: Vec::new() }
    }

    /// The record as it should be written, and the flag that says so. What does not shrink stays as it is.
    fn compress<'a>(&'a mut self, record: &'a [u8]) -> Result<(&'a [u8], u8), Error> {
        let fail = |reason: String| Error::Compress { len: record.len(), reason };
        let (len, flag) = match self.compression {
            Compression::None => return Ok((record, 0)),
            _ if record.is_empty() => return Ok((record, 0)),
            Compression::Snappy => {
                let bound = snap::raw::max_compress_len(record.len());
                if self.out.len() < bound {
                    self.out.resize(bound, 0);
                }
                let len = self.snappy.compress(record, &mut self.out).map_err(|e| fail(e.to_string()))?;
                (len, part::SNAPPY)
            }
            Compression::Zstd => {
                let compressor = match &mut self.zstd {
                    Some(compressor) => compressor,
                    // Level 1: the fastest, as Prometheus uses.
                    none => none.insert(zstd::bulk::Compressor::new(1).map_err(|e| fail(e.to_string()))?),
                };
                let bound = zstd::zstd_safe::compress_bound(record.len());
                if self.out.len() < bound {
                    self.out.resize(bound, 0);
                }
                let len = compressor
                    .compress_to_buffer(record, &mut self.out[..])
                    .map_err(|e| fail(e.to_string()))?;
                (len, part::ZSTD)
            }
        };
        if len < record.len() { Ok((&self.out[..len], flag)) } else { Ok((record, 0)) }
    }
}

#[derive(Debug)]
struct DirSyncer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Syncer for DirSyncer {
    fn sync(&self) -> Result<(), disk::Error> {
        self.disk.sync_dir(&self.dir)
    }
}

/// Syncs a file that is not open; one that was removed needs it no more.
#[derive(Debug)]
struct PathSyncer {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Syncer for PathSyncer {
    fn sync(&self) -> Result<(), disk::Error> {
        match self.disk.append(&self.path) {
            Ok(file) => file.sync(),
            Err(e) if e.is_not_found() => Ok(()),
            // This process has not written it, and has reported that it cannot use it.
            Err(e) if e.is_wrong_kind() || e.source.kind() == ErrorKind::PermissionDenied => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Syncs what earlier segments left, then the present one.
#[derive(Debug)]
struct LogSyncer {
    old: Arc<Mutex<Vec<Arc<dyn Syncer>>>>,
    present: Option<Arc<dyn Syncer>>,
    failed: Arc<AtomicBool>,
}

impl Syncer for LogSyncer {
    fn sync(&self) -> Result<(), disk::Error> {
        self.sync_all().inspect_err(|_| self.failed.store(true, SeqCst))
    }
}

impl LogSyncer {
    fn sync_all(&self) -> Result<(), disk::Error> {
        let old = self.old.lock().clone();
        for syncer in &old {
            syncer.sync()?;
        }
        // Only what was synced leaves the list: others may have come meanwhile, and a failed one stays.
        self.old.lock().retain(|s| !old.iter().any(|done| Arc::ptr_eq(s, done)));
        self.present.as_ref().map_or(Ok(()), |present| present.sync())
    }
}
