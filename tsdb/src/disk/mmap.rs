//! Files mapped into memory: the one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use super::Error;

/// A file's bytes, read through the page cache; cheap to clone.
#[derive(Clone)]
pub struct Mapped(Inner);

#[derive(Clone)]
enum Inner {
    Map(Arc<memmap2::Mmap>),
    Heap(Arc<[u8]>),
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}

impl Mapped {
    /// Maps a file for reading. An empty file gives an empty slice.
    ///
    /// # Soundness
    ///
    /// A mapping is undefined behaviour only if the bytes change or vanish beneath it. The files mapped here are
    /// written once, by this process alone (the storage directory is locked), and are never cut or overwritten while
    /// mapped: blocks and head chunk files are only ever appended to or removed as a whole, and a removed file's pages
    /// live as long as its mapping. Writes behind the mapped length are not visible in it.
    pub(super) fn open(file: &File, path: &Path) -> Result<Self, Error> {
        let len = file.metadata().map_err(|e| Error::new("read the length of", path, e))?.len();
        if len == 0 {
            return Ok(Mapped(Inner::Heap(Arc::from([]))));
        }
        // SAFETY: see above; the file is not modified within the mapped length while the map lives.
        let map = unsafe { memmap2::Mmap::map(file) }.map_err(|e| Error::new("map", path, e))?;
        Ok(Mapped(Inner::Map(Arc::new(map))))
    }

    /// Bytes that live in memory (tests, and disks that are simulated).
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Mapped(Inner::Heap(bytes.into()))
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Map(map) => map,
            Inner::Heap(bytes) => bytes,
        }
    }
}
