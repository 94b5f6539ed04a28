//! A file that several collectors read: asked for once a scrape.

use super::Error;
use super::files::Reread;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// Clones share what was read. `/proc/stat` is dear on machines with many interrupts, and two collectors need it.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<Mutex<Inner>>);

struct Inner {
    file: Reread,
    text: String,
    scrape: u64,
}

impl SharedFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        SharedFile(Arc::new(Mutex::new(Inner { file: Reread::new(path), text: String::new(), scrape: 0 })))
    }

    /// Shows the text that belongs to a scrape (they count from 1).
    pub(crate) fn read<T>(&self, scrape: u64, look: impl FnOnce(&str) -> T) -> Result<T, Error> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        if inner.scrape != scrape {
            let read = inner.file.read().map(|text| {
                inner.text.clear();
                inner.text.push_str(text);
            });
            read.map_err(|e| Error::read(inner.file.path(), e))?;
            inner.scrape = scrape;
        }
        Ok(look(&inner.text))
    }
}
