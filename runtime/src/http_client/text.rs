//! Texts of options: inline, or in a file that is read again when it changes.

use super::Error;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text, perhaps secret: Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// The text itself.
    Inline(String),
    /// A file with it; white space around it does not count.
    File(PathBuf),
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::Inline(text.to_owned())
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Text::Inline(_) => f.write_str("<inline>"),
            Text::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Tells one state of a file from another: inode, length, seconds and nanoseconds of the last change. None: no file.
pub(super) type Stamp = Option<(u64, u64, i64, i64)>;

/// The state of a file now.
pub(super) fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Contents of files, read once per change. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache(Arc<Mutex<Contents>>);

type Contents = HashMap<PathBuf, (Stamp, Arc<str>)>;

impl Cache {
    /// The text; `what` names the option in errors.
    pub(super) fn get(&self, what: &'static str, text: &Text) -> Result<Arc<str>, Error> {
        let path = match text {
            Text::Inline(text) => return Ok(text.as_str().into()),
            Text::File(path) => path,
        };
        let now = stamp(path);
        if let Some((of, content)) = self.0.lock().get(path)
            && *of == now
            && now.is_some()
        {
            return Ok(content.clone());
        }
        let content = crate::file::read_to_string(path).map_err(|source| Error::File {
            what,
            path: path.display().to_string(),
            source,
        })?;
        let content: Arc<str> = content.trim().into();
        self.0.lock().insert(path.clone(), (now, content.clone()));
        Ok(content)
    }
}
