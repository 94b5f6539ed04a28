//! Reading the small files of `/proc` and `/sys` again and again: kept open, into buffers that are reused.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A file that is read at every scrape.
#[derive(Debug)]
pub(crate) struct Reread {
    path: PathBuf,
    file: Option<File>,
    text: Vec<u8>,
}

impl Reread {
    /// Opens nothing yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Reread { path: path.into(), file: None, text: Vec::new() }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its content now, from the file that is open already where that still works. Bytes that are not UTF-8
    /// (device names may hold any) are replaced.
    ///
    /// # Errors
    /// Where it cannot be opened or read.
    pub(crate) fn read(&mut self) -> io::Result<&str> {
        if let Some(file) = &self.file
            && read_all(file, &mut self.text).is_ok()
        {
            return utf8(&mut self.text);
        }
        let file = runtime::file::open(&self.path)?;
        self.file = None;
        read_all(&file, &mut self.text)?;
        self.file = Some(file);
        utf8(&mut self.text)
    }
}

fn utf8(text: &mut Vec<u8>) -> io::Result<&str> {
    if std::str::from_utf8(text).is_err() {
        *text = String::from_utf8_lossy(text).into_owned().into_bytes();
    }
    std::str::from_utf8(text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Reads from the beginning to the end: the kernel makes the text anew when it is asked for the first byte.
fn read_all(file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = 0;
    if text.len() < 4096 {
        text.resize(4096, 0);
    } else {
        let room = text.capacity();
        text.resize(room, 0);
    }
    loop {
        if filled as u64 > runtime::file::MAX_BYTES {
            return Err(runtime::file::too_large());
        }
        if filled == text.len() {
            text.resize(text.len() * 2, 0);
        }
        match rustix::io::pread(file.as_fd(), &mut text[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    text.truncate(filled);
    Ok(())
}

/// A file that is read once or seldom, without the white space around its content; `None` where it cannot be read.
pub(crate) fn read_trimmed(path: &Path) -> Option<String> {
    let bytes = runtime::file::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The same for a whole number.
pub(crate) fn read_number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    read_trimmed(path)?.parse().ok()
}

/// Names in a directory, sorted; empty where there is none.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rereads_what_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = Reread::new(&path);
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.read().unwrap(), "one");
        let long = "x".repeat(10_000);
        std::fs::write(&path, &long).unwrap();
        assert_eq!(file.read().unwrap(), long);
        std::fs::write(&path, b"a\xff").unwrap();
        assert_eq!(file.read().unwrap(), "a\u{fffd}");
    }
}
