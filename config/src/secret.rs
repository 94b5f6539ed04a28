//! Texts that are shown as `<secret>` and written in clear only where asked for.

use std::cell::Cell;
use std::fmt;

thread_local! {
    /// Whether secrets are written in clear on this thread: only within [`reveal`].
    static REVEALED: Cell<bool> = const { Cell::new(false) };
}

/// What stands in place of a secret.
pub(crate) const MASK: &str = "<secret>";

/// A password, token or key. Debug and serialisation mask it, except within `to_yaml()`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// The text in clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if revealed() { &self.0 } else { MASK })
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}

/// Whether secrets are being written in clear.
pub(crate) fn revealed() -> bool {
    REVEALED.get()
}

/// Runs `write` with secrets in clear.
pub(crate) fn reveal<T>(write: impl FnOnce() -> T) -> T {
    /// Masks again when dropped, on a panic too.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            REVEALED.set(self.0);
        }
    }
    let _restore = Restore(REVEALED.replace(true));
    write()
}
