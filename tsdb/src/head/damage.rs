//! Damaged and unreadable segments of the logs: their good part stays in the log, all of them is kept beside it.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::start::UNREADABLE;
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::wal;
use crate::wal::read::SegmentsReader;

/// Cuts a record that was not written to its end, so that the next segment follows a whole record.
fn cut_torn_tail(disk: &dyn Disk, dir: &Path, segment: u32, offset: u64) -> Result<(), disk::Error> {
    let mut file = disk.append(&wal::segment_path(dir, segment))?;
    file.truncate(offset)?;
    file.sync()
}

/// Ends what a crash has interrupted in [`set_aside`]: where the damaged segment has its new name already, the good part gets
/// the old one; else the damage will be found again.
pub(crate) fn finish_setting_aside(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for entry in entries.iter().filter(|e| !e.is_dir) {
        let Some(name) = entry.name.strip_suffix(".tmp") else { continue };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let (temporary, segment) = (dir.join(&entry.name), dir.join(name));
        if disk.exists(&segment) {
            disk.remove_file(&temporary)?;
        } else {
            disk.rename(&temporary, &segment)?;
        }
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// Renames a damaged segment to `<segment>.corrupt` and writes its good part, before `offset`, anew under its name. One that the disk does not
/// give (no offset) becomes `<segment>.unreadable`, and its good part is what can be read. Nothing is deleted.
pub(super) fn set_aside(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    segment: u32,
    offset: Option<u64>,
) -> Result<(), Error> {
    let path = &wal::segment_path(dir, segment);
    let (bytes, suffix) = match offset {
        Some(_) => (disk.read(path)?, "corrupt"),
        None => (read_as_far_as_possible(&**disk, path), UNREADABLE),
    };
    let offset = offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(bytes.len());
    let good = bytes.get(..offset).unwrap_or(&bytes);
    let temporary = path.with_extension("tmp");
    let mut file = disk.create(&temporary)?;
    file.write(good)?;
    file.sync()?;
    drop(file);
    disk.sync_dir(dir)?;
    let aside = disk::set_aside(&**disk, path, suffix)?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(dir)?;
    tracing::error!(damaged = %aside.display(), offset, lost = bytes.len() - good.len(), "set a damaged segment aside");
    // The damage may lie within a record whose first parts are whole: that record goes too.
    let mut reader = SegmentsReader::range(disk.clone(), dir, segment, segment)?;
    while reader.next()?.is_some() {}
    if let Some((_, offset)) = reader.torn_tail() {
        cut_torn_tail(&**disk, dir, segment, offset)?;
    }
    Ok(())
}

/// The bytes of a file before the first page that the disk does not give.
fn read_as_far_as_possible(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(mut reader) = disk.reader(path) else { return bytes };
    let mut page = vec![0; wal::PAGE_SIZE];
    while let Ok(n @ 1..) = reader.read(&mut page) {
        bytes.extend_from_slice(&page[..n]);
    }
    bytes
}
