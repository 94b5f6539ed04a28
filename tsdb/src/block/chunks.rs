//! Chunk segments of a block.
//!
//! ```text
//! ┌───────────────────┬─────────────┬─────────────┐ ┌───────────────┬──────────────┬──────┬────────────┐
//! │ 0x85bd40dd <4>    │ version <1> │ padding <3> │ │ len <uvarint> │ encoding <1> │ data │ crc32c <4> │ …
//! └───────────────────┴─────────────┴─────────────┘ └───────────────┴──────────────┴──────┴────────────┘
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ChunkRef, Error};
use crate::chunk::Encoding;
use crate::disk::{Disk, File, Mapped};
use crate::encoding::{Reader, crc32c, put_uvarint};

const MAGIC: u32 = 0x85bd_40dd;
const VERSION: u8 = 1;
const HEADER: usize = 8;
/// A segment is ended before it grows beyond this many bytes.
pub(super) const MAX_SEGMENT: u64 = 512 << 20;
/// Bytes gather up to this size before they are written.
const BUFFER: usize = 1 << 20;

/// The file that a chunk lies in.
pub(super) fn segment_path(dir: &Path, ref_: ChunkRef) -> PathBuf {
    dir.join(format!("{:06}", (ref_.0 >> 32) + 1))
}

/// The segment files of an open block.
#[derive(Debug)]
pub(super) struct ChunkFiles {
    files: Vec<(PathBuf, Mapped)>,
}

impl ChunkFiles {
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        for entry in disk.list(dir)? {
            if entry.is_dir || !entry.name.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let path = dir.join(&entry.name);
            disk.probe(&path, 0..HEADER as u64)?;
            let mapped = disk.map(&path)?;
            let mut r = Reader::new(&mapped);
            let fields = (|| Ok((r.be32("magic number")?, r.u8("version")?, r.take(3, "padding")?)))();
            match fields.map_err(|e| Error::decoding(&path, 0, e))? {
                (MAGIC, VERSION, _) => {}
                (MAGIC, version, _) => {
                    return Err(Error::corrupt(&path, 4, format!("unknown version {version}")));
                }
                _ => return Err(Error::corrupt(&path, 0, "not a chunk segment: wrong magic number")),
            }
            files.push((path, mapped));
        }
        Ok(ChunkFiles { files })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, mapped)| mapped.len() as u64).sum()
    }

    /// A chunk's data, its checksum verified.
    pub(super) fn chunk(&self, ref_: ChunkRef, dir: &Path) -> Result<(Encoding, &[u8]), Error> {
        let (segment, offset) = ((ref_.0 >> 32) as usize, ref_.0 & 0xffff_ffff);
        let Some((path, bytes)) = self.files.get(segment) else {
            let path = segment_path(dir, ref_);
            return Err(Error::corrupt(&path, offset, "a chunk refers to a segment that is not there"));
        };
        let Some(rest) = bytes.get(offset as usize..) else {
            return Err(Error::corrupt(path, offset, "a chunk refers beyond the end"));
        };
        let mut r = Reader::new(rest);
        let (encoded, sum) = (|| {
            let at = r.position();
            let len = r.uvarint32("chunk length")? as usize;
            let short = crate::encoding::Error::Short { what: "chunk", offset: at };
            let encoded = r.take(len.checked_add(1).ok_or(short)?, "chunk")?;
            Ok((encoded, r.be32("chunk checksum")?))
        })()
        .map_err(|e| Error::decoding(path, offset, e))?;
        if crc32c(encoded) != sum {
            return Err(Error::corrupt(path, offset, "the chunk's checksum does not match"));
        }
        let (&byte, data) = encoded.split_first().unwrap_or((&0, &[]));
        match Encoding::from_u8(byte) {
            Some(encoding) => Ok((encoding, data)),
            None => Err(Error::corrupt(path, offset, format!("unknown chunk encoding {byte}"))),
        }
    }
}

/// Writes chunk segments.
#[derive(Debug)]
pub(super) struct ChunkFilesWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    max_segment: u64,
    /// How many segments were begun.
    segments: u32,
    file: Option<Box<dyn File>>,
    buffer: Vec<u8>,
}

impl ChunkFilesWriter {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, max_segment: u64) -> Self {
        ChunkFilesWriter { disk, dir, max_segment, segments: 0, file: None, buffer: Vec::new() }
    }

    /// Writes one chunk.
    pub(super) fn write(&mut self, encoding: Encoding, data: &[u8]) -> Result<ChunkRef, Error> {
        let size = (5 + 1 + data.len() + 4) as u64;
        if self.file.is_none() || self.offset() + size > self.max_segment {
            self.end_segment()?;
            let path = self.dir.join(format!("{:06}", self.segments + 1));
            self.file = Some(self.disk.create(&path)?);
            self.segments += 1;
            self.buffer.extend_from_slice(&MAGIC.to_be_bytes());
            self.buffer.extend_from_slice(&[VERSION, 0, 0, 0]);
            debug_assert_eq!(self.buffer.len(), HEADER);
        }
        let ref_ = ChunkRef(u64::from(self.segments - 1) << 32 | self.offset());
        put_uvarint(&mut self.buffer, data.len() as u64);
        let begin = self.buffer.len();
        self.buffer.push(encoding as u8);
        self.buffer.extend_from_slice(data);
        let sum = crc32c(&self.buffer[begin..]);
        self.buffer.extend_from_slice(&sum.to_be_bytes());
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(ref_)
    }

    fn offset(&self) -> u64 {
        self.file.as_ref().map_or(0, |f| f.len()) + self.buffer.len() as u64
    }

    fn flush(&mut self) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn end_segment(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let Some(file) = self.file.take() {
            file.sync()?;
        }
        Ok(())
    }

    /// Writes what is left and makes all durable.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.end_segment()?;
        Ok(self.disk.sync_dir(&self.dir)?)
    }
}
