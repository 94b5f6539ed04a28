//! The end of the last segment after a crash: finds a record that was not written to its end, and cuts it off.

use std::path::Path;

use super::{Error, FRAGMENT_HEADER, PAGE_SIZE, part, segment_path};
use crate::disk::{self, Disk};

/// Cuts a torn record off the end of a segment of `len` bytes; returns the length that stays. Reads the last page only, or as
/// many as the torn record has.
pub(super) fn cut_torn(disk: &dyn Disk, dir: &Path, segment: u32, len: u64) -> Result<u64, Error> {
    let path = segment_path(dir, segment);
    let Some(keep) = find_torn(disk, &path, len)? else { return Ok(len) };
    // Copy first, cut then: at no moment are the bytes nowhere.
    let torn = disk.read_at(&path, keep, len.saturating_sub(keep) as usize)?;
    let aside = disk::free_name(disk, &path, "torn");
    let mut copy = disk.create(&aside)?;
    copy.write(&torn)?;
    copy.sync()?;
    let mut file = disk.append(&path)?;
    file.truncate(keep)?;
    file.sync()?;
    disk.sync_dir(dir)?;
    tracing::warn!(
        segment, offset = keep, bytes = torn.len(), copy = %aside.display(),
        "cut a record off the log that a crash had torn"
    );
    Ok(keep)
}

/// Where a torn record at the end of the segment begins; none where the segment ends well (or in a way that reading will report as damage).
fn find_torn(disk: &dyn Disk, path: &Path, len: u64) -> Result<Option<u64>, Error> {
    let mut end_is_torn = false;
    let mut page = len.saturating_sub(1) / PAGE_SIZE as u64;
    loop {
        let start = page * PAGE_SIZE as u64;
        // not mapped: a page that the disk does not give must not end the process
        let bytes = disk.read_at(path, start, PAGE_SIZE)?;
        let end = start + bytes.len() as u64;
        let scan = scan_page(&bytes, page == 0);
        let is_last_page = !end_is_torn;
        match scan {
            // The page ends well, so nothing before it matters.
            Scan::Complete if is_last_page => return Ok(None),
            // The record that goes on in the next page cannot begin behind a whole one: damage, for the reader to report.
            Scan::Complete => return Ok(Some(end)),
            Scan::Torn(offset) => return Ok(Some(start + offset as u64)),
            Scan::OpenFromBefore if page == 0 => return Ok(Some(0)),
            Scan::OpenFromBefore => {
                end_is_torn = true;
                page -= 1;
            }
        }
    }
}

enum Scan {
    /// The last fragment ends its record, or all is padding.
    Complete,
    /// A record begins at the offset and does not end in this page.
    Torn(usize),
    /// No record begins or ends here: it began in a page before.
    OpenFromBefore,
}

/// Looks through a page, the segment's first or a later one.
fn scan_page(page: &[u8], is_first: bool) -> Scan {
    let mut at = 0;
    // Begin of the record that is open; none while it began in an earlier page.
    let mut open = None;
    let mut is_open = false;
    while at < page.len() {
        let kind = page[at] & part::MASK;
        if kind == part::PADDING {
            break;
        }
        if kind == part::FULL || kind == part::FIRST {
            open = Some(at);
        } else if !is_open && (at > 0 || is_first) {
            // Nothing is open that this could go on with: no tear, but what a power cut put there. What stands before it is whole, and
            // the reader reports the rest as damage.
            return Scan::Complete;
        }
        is_open = true;
        let Some(header) = page.get(at..at + FRAGMENT_HEADER) else { break };
        let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let next = at + FRAGMENT_HEADER + len;
        if next > page.len() {
            break;
        }
        if kind == part::FULL || kind == part::LAST {
            is_open = false;
            open = None;
        }
        at = next;
    }
    match (is_open, open) {
        (false, _) => Scan::Complete,
        (true, Some(offset)) => Scan::Torn(offset),
        (true, None) => Scan::OpenFromBefore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::wal::{Compression, Wal, WalOptions};
    use std::sync::Arc;

    /// A segment of two small records, then these bytes.
    fn cut(behind: &[u8]) -> (u64, u64) {
        let dir = tempfile::tempdir().expect("a directory");
        let options = WalOptions { compression: Compression::None, ..WalOptions::default() };
        let mut wal = Wal::open(Arc::new(RealDisk), dir.path(), options).expect("a log");
        wal.log(&[b"one", b"two"]).expect("room");
        drop(wal);
        let path = segment_path(dir.path(), 0);
        let mut bytes = std::fs::read(&path).expect("a segment");
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(behind);
        std::fs::write(&path, &bytes).expect("room");
        (whole, cut_torn(&RealDisk, dir.path(), 0, bytes.len() as u64).expect("a segment"))
    }

    #[test]
    fn a_torn_record_goes() {
        for behind in [&[1][..], &[1, 0, 9, 1, 2, 3, 4, 5], &[2, 0, 1, 1, 2, 3, 4, 5]] {
            let (whole, kept) = cut(behind);
            assert_eq!(kept, whole, "{behind:?}");
        }
    }

    #[test]
    fn what_no_writer_writes_is_left_for_the_reader_to_report() {
        for kind in [3, 4, 5, 7] {
            let behind = [kind, 0, 200, 9, 9, 9, 9, 9];
            let (whole, kept) = cut(&behind);
            assert_eq!(kept, whole + behind.len() as u64, "kind {kind}: nothing whole may go with it");
        }
    }
}
