//! Reads a log's records back, and sets damaged parts aside.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Compression, Error, FRAGMENT_HEADER, PAGE_SIZE, WalOptions, part, segment_path};
use crate::disk::{self, Disk};
use crate::encoding::crc32c;

/// Bytes that are read at once: eight pages, so that reading costs few system calls.
const BLOCK: usize = 8 * PAGE_SIZE;
/// No record is larger than this when decompressed: a damaged length must not ask for more memory. (Prometheus' own records stay below a few
/// megabytes.)
const MAX_RECORD: usize = 512 << 20;

/// One record, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The segment in which it lies.
    pub segment: u32,
    /// Offset in bytes of its first fragment in its segment.
    pub offset: u64,
    /// The record, decompressed.
    pub record: &'a [u8],
}

/// Reads the records of several segments, in order, in memory bounded by the largest record.
pub struct SegmentsReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The segments that are still to be read, the next one last.
    waiting: Vec<u32>,
    pages: Option<Pages>,
    /// Fragments of a record in several parts.
    joined: Vec<u8>,
    decompressed: Vec<u8>,
    snappy: snap::raw::Decoder,
    torn: Option<(u32, u64)>,
    bytes_read: u64,
    bytes_total: u64,
}

impl std::fmt::Debug for SegmentsReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentsReader({}, {} segments to go)", self.dir.display(), self.waiting.len())
    }
}

/// Where a record's stored form lies.
enum Found {
    /// In the block, as a range.
    InBlock(std::ops::Range<usize>),
    /// In the joining buffer.
    Joined,
}

impl SegmentsReader {
    /// All segments of a log from number `first` on (0: all). A record torn at the very end of the last segment ends the log
    /// without an error (see [`SegmentsReader::torn_tail`]).
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, first: u32) -> Result<Self, Error> {
        SegmentsReader::range(disk, dir, first, u32::MAX)
    }

    /// Only the segments `first..=last`, as far as they exist.
    pub fn range(disk: Arc<dyn Disk>, dir: &Path, first: u32, last: u32) -> Result<Self, Error> {
        let mut segments = super::segments_with_len(&*disk, dir)?;
        segments.retain(|(segment, _)| (first..=last).contains(segment));
        super::check_sequential(dir, &segments)?;
        let bytes_total = segments.iter().map(|&(_, len)| len).sum();
        Ok(SegmentsReader {
            disk,
            dir: dir.to_owned(),
            waiting: segments.iter().rev().map(|&(segment, _)| segment).collect(),
            pages: None,
            joined: Vec::new(),
            decompressed: Vec::new(),
            snappy: snap::raw::Decoder::new(),
            torn: None,
            bytes_read: 0,
            bytes_total,
        })
    }

    /// The next record; none at the end. After an error the reader is at its end, unless [`SegmentsReader::skip_damage`] is called.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        match self.find() {
            Ok(None) => Ok(None),
            Ok(Some((segment, offset, flags, found))) => self.open_record(segment, offset, flags, found),
            Err(e) => {
                self.waiting.clear();
                Err(e)
            }
        }
    }

    /// After [`Error::Corrupt`]: goes on with the first record that begins in a page behind the damage, or in the next segment. Pages
    /// are independent of each other, so what was damaged is all that is lost.
    pub fn skip_damage(&mut self) -> Result<(), Error> {
        let Some(pages) = &mut self.pages else { return Ok(()) };
        self.waiting = super::segments(&*self.disk, &self.dir)?;
        self.waiting.retain(|&s| s > pages.segment);
        self.waiting.reverse();
        pages.skip_page();
        Ok(())
    }

    /// Where a record torn by a crash at the end of the last segment began: (segment, offset). Known once `next` gave none.
    pub fn torn_tail(&self) -> Option<(u32, u64)> {
        self.torn
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes read so far (progress).
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read + self.pages.as_ref().map_or(0, Pages::offset)
    }

    /// Bytes of all the segments at the time of opening.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// Finds the next record in its stored form: (segment, offset, flags, where).
    fn find(&mut self) -> Result<Option<(u32, u64, u8, Found)>, Error> {
        loop {
            let Some(pages) = &mut self.pages else {
                let Some(segment) = self.waiting.pop() else { return Ok(None) };
                self.pages = Some(Pages::open(&*self.disk, &self.dir, segment)?);
                continue;
            };
            let is_last = self.waiting.is_empty();
            let start = pages.offset();
            match next_in_segment(pages, &mut self.joined)? {
                Step::Record { offset, flags, found } => {
                    return Ok(Some((pages.segment, offset, flags, found)));
                }
                Step::End => {}
                Step::Torn(offset) if is_last => self.torn = Some((pages.segment, offset)),
                Step::Torn(offset) => {
                    return Err(pages.corrupt(offset, "the segment ends within a record"));
                }
            }
            debug_assert!(pages.offset() >= start);
            self.bytes_read += pages.offset();
            self.pages = None;
        }
    }

    fn open_record(
        &mut self,
        segment: u32,
        offset: u64,
        flags: u8,
        found: Found,
    ) -> Result<Option<Entry<'_>>, Error> {
        let stored: &[u8] = match (&found, &self.pages) {
            (Found::InBlock(range), Some(pages)) => &pages.block[range.clone()],
            _ => &self.joined,
        };
        let record = match flags & (part::SNAPPY | part::ZSTD) {
            0 => Ok(stored),
            part::SNAPPY => decompress_snappy(&mut self.snappy, stored, &mut self.decompressed),
            part::ZSTD => decompress_zstd(stored, &mut self.decompressed),
            _ => Err("a record cannot be compressed twice"),
        };
        match record {
            Ok(record) => Ok(Some(Entry { segment, offset, record })),
            Err(reason) => {
                self.waiting.clear();
                let path = segment_path(&self.dir, segment);
                Err(Error::Corrupt { path, segment, offset, reason })
            }
        }
    }
}

fn decompress_snappy<'a>(
    decoder: &mut snap::raw::Decoder,
    stored: &[u8],
    out: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    const BAD: &str = "the snappy data is damaged";
    let len = snap::raw::decompress_len(stored).map_err(|_| BAD)?;
    // Snappy's densest form is a copy of 64 bytes in two.
    if len > MAX_RECORD || len / 32 > stored.len() {
        return Err(BAD);
    }
    if out.len() < len {
        out.resize(len, 0);
    }
    let len = decoder.decompress(stored, &mut out[..len]).map_err(|_| BAD)?;
    Ok(&out[..len])
}

fn decompress_zstd<'a>(stored: &[u8], out: &'a mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    const BAD: &str = "the zstd data is damaged";
    out.clear();
    let decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(|_| BAD)?;
    // Streaming, as the frame's announced size may be missing or false.
    decoder.take(MAX_RECORD as u64 + 1).read_to_end(out).map_err(|_| BAD)?;
    if out.len() > MAX_RECORD { Err(BAD) } else { Ok(out) }
}

enum Step {
    Record { offset: u64, flags: u8, found: Found },
    End,
    Torn(u64),
}

/// The next record of a segment: the format's own loop.
fn next_in_segment(pages: &mut Pages, joined: &mut Vec<u8>) -> Result<Step, Error> {
    let mut begun: Option<u64> = None;
    loop {
        let offset = pages.offset();
        let fragment = match pages.fragment()? {
            Fragment::Data { kind, data } => (kind, data),
            Fragment::End => return Ok(begun.map_or(Step::End, Step::Torn)),
            Fragment::Torn => return Ok(Step::Torn(begun.unwrap_or(offset))),
        };
        let (kind, data) = fragment;
        match (kind & part::MASK, begun) {
            (part::FULL, None) => {
                return Ok(Step::Record { offset, flags: kind, found: Found::InBlock(data) });
            }
            (part::FIRST, None) => {
                joined.clear();
                joined.extend_from_slice(&pages.block[data]);
                begun = Some(offset);
            }
            (part::MIDDLE, Some(_)) => joined.extend_from_slice(&pages.block[data]),
            (part::LAST, Some(offset)) => {
                joined.extend_from_slice(&pages.block[data]);
                return Ok(Step::Record { offset, flags: kind, found: Found::Joined });
            }
            (_, None) if pages.resyncing => {}
            (part::FULL | part::FIRST, Some(begun)) => {
                return Err(pages.corrupt(begun, "a record begins within another"));
            }
            (part::MIDDLE | part::LAST, None) => {
                return Err(pages.corrupt(offset, "a record goes on that never began"));
            }
            _ => return Err(pages.corrupt(offset, "unknown kind of fragment")),
        }
        if joined.len() > MAX_RECORD {
            return Err(pages.corrupt(offset, "the record is too large"));
        }
    }
}

enum Fragment {
    Data { kind: u8, data: std::ops::Range<usize> },
    End,
    Torn,
}

/// The pages of one segment, a block of them at a time.
struct Pages {
    segment: u32,
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    block: Vec<u8>,
    /// Where the block begins in the segment.
    block_start: u64,
    /// Bytes of the block that are filled; less than its size only at the segment's end.
    filled: usize,
    at: usize,
    at_end: bool,
    /// Why nothing behind what is filled could be read.
    failed: Option<std::io::Error>,
    /// Behind damage: parts of records whose beginning is lost are passed over, until one begins.
    resyncing: bool,
}

impl Pages {
    fn open(disk: &dyn Disk, dir: &Path, segment: u32) -> Result<Self, Error> {
        let path = segment_path(dir, segment);
        let reader = disk.reader(&path)?;
        let block = vec![0; BLOCK];
        Ok(Pages {
            segment,
            path,
            reader,
            block,
            block_start: 0,
            filled: 0,
            at: 0,
            at_end: false,
            failed: None,
            resyncing: false,
        })
    }

    fn offset(&self) -> u64 {
        self.block_start + self.at as u64
    }

    #[cold]
    fn corrupt(&self, offset: u64, reason: &'static str) -> Error {
        Error::Corrupt { path: self.path.clone(), segment: self.segment, offset, reason }
    }

    fn refill(&mut self) -> Result<(), Error> {
        self.give_failure()?;
        self.block_start += self.filled as u64;
        (self.filled, self.at) = (0, 0);
        while self.filled < BLOCK && !self.at_end {
            match self.reader.read(&mut self.block[self.filled..]) {
                Ok(0) => self.at_end = true,
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // What was read before is of use.
                Err(e) if self.filled > 0 => {
                    self.failed = Some(e);
                    break;
                }
                Err(e) => return Err(disk::Error::new("read", &self.path, e).into()),
            }
        }
        Ok(())
    }

    fn give_failure(&mut self) -> Result<(), Error> {
        self.failed.take().map_or(Ok(()), |e| Err(disk::Error::new("read", &self.path, e).into()))
    }

    /// Behind damage: goes to the next page.
    fn skip_page(&mut self) {
        self.at = ((self.at / PAGE_SIZE + 1) * PAGE_SIZE).min(self.filled);
        self.resyncing = true;
    }

    /// The next fragment, its checksum verified. After an error it stands at the damaged fragment's header.
    fn fragment(&mut self) -> Result<Fragment, Error> {
        loop {
            if self.at == self.filled {
                if self.at_end {
                    return Ok(Fragment::End);
                }
                self.refill()?;
                if self.filled == 0 {
                    return Ok(Fragment::End);
                }
            }
            // A block is a whole number of pages, so a page ends with the block at the latest.
            let page_end = ((self.at / PAGE_SIZE + 1) * PAGE_SIZE).min(self.filled);
            let page = &self.block[self.at..page_end];
            let kind = page[0];
            if kind & part::MASK == part::PADDING {
                if page.iter().any(|&b| b != 0) {
                    return Err(self.corrupt(self.offset(), "padding that is not zero"));
                }
                self.at = page_end;
                continue;
            }
            let cut_by_file = !page_end.is_multiple_of(PAGE_SIZE);
            let Some(header) = page.first_chunk::<FRAGMENT_HEADER>() else {
                return self.cut(cut_by_file);
            };
            let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
            let sum = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
            let Some(data) = page.get(FRAGMENT_HEADER..FRAGMENT_HEADER + len) else {
                return self.cut(cut_by_file);
            };
            if crc32c(data) != sum {
                return Err(self.corrupt(self.offset(), "the checksum does not match"));
            }
            let begin = self.at + FRAGMENT_HEADER;
            self.at = begin + len;
            let first_or_full = matches!(kind & part::MASK, part::FULL | part::FIRST);
            self.resyncing &= !first_or_full;
            return Ok(Fragment::Data { kind, data: begin..begin + len });
        }
    }

    /// A fragment that its page cannot hold: torn where the file ends there, else damaged.
    fn cut(&mut self, cut_by_file: bool) -> Result<Fragment, Error> {
        self.give_failure()?;
        if cut_by_file {
            Ok(Fragment::Torn)
        } else {
            Err(self.corrupt(self.offset(), "a fragment reaches beyond its page"))
        }
    }
}

/// What [`repair`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The damaged segment, as it was.
    pub set_aside: PathBuf,
    /// Records of the segment that stay in the log.
    pub kept_records: u64,
    /// Bytes of the damaged segment.
    pub bytes_before: u64,
    /// Bytes of the one written in its place.
    pub bytes_after: u64,
}

/// Repairs a segment after [`Error::Corrupt`]: it is renamed to `<segment>.corrupt` (with a number behind it where that name is
/// taken), and all its records that can still be read, before and behind the damage, are written anew under the old name, durably. Later
/// segments stay. Nothing is deleted. Any other error is given back.
pub fn repair(disk: &Arc<dyn Disk>, dir: &Path, error: Error) -> Result<Repaired, Error> {
    let Error::Corrupt { segment, .. } = error else { return Err(error) };
    let path = segment_path(dir, segment);
    // In a directory of its own, so that a crash meanwhile leaves the log as it was.
    let work = dir.join(format!("repair.{segment:08}.tmp"));
    if disk.exists(&work) {
        disk.remove_dir_all(&work)?;
    }
    let options = WalOptions {
        segment_size: u64::MAX - PAGE_SIZE as u64,
        compression: Compression::None,
        ..WalOptions::default()
    };
    let mut reader = SegmentsReader::range(Arc::clone(disk), dir, segment, segment)?;
    let mut wal = super::Wal::open(Arc::clone(disk), &work, options)?;
    let mut kept_records = 0;
    loop {
        match reader.next() {
            Ok(Some(entry)) => {
                wal.log(&[entry.record])?;
                kept_records += 1;
            }
            Ok(None) => break,
            Err(Error::Corrupt { .. }) => {
                reader.skip_damage()?;
                reader.waiting.clear();
            }
            Err(e) => return Err(e),
        }
    }
    wal.sync()?;
    let (bytes_before, bytes_after) = (reader.bytes_total(), wal.size());
    let set_aside = disk::free_name(&**disk, &path, "corrupt");
    disk.rename(&path, &set_aside)?;
    disk.rename(&segment_path(&work, 0), &path)?;
    disk.sync_dir(dir)?;
    disk.remove_dir_all(&work)?;
    tracing::warn!(%error, copy = %set_aside.display(), kept_records, bytes_before, bytes_after, "repaired the log");
    Ok(Repaired { set_aside, kept_records, bytes_before, bytes_after })
}
