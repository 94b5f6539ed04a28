//! YAML as Go's library reads it into typed fields, with line and path in every error; and its deterministic writing.
//!
//! A document becomes a tree of [`Node`]s that know their lines; `de` reads typed values from it, `ser` writes them.

mod de;
mod node;
mod raw;
mod ser;
#[cfg(test)]
mod tests;

pub use de::{Error, from_node};
pub use node::{Kind, Node};
pub use raw::Raw;
pub use ser::to_string;

/// Reads a typed value from a text.
///
/// # Errors
/// Where the text is no YAML or does not fit the type: with line and path.
pub fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_node(&Node::parse(text)?)
}

/// Prefix of the names of fields whose fields stand beside the others in the file.
pub(crate) const INLINE: &str = "<inline>";
/// Name under which [`Raw`] asks for a value untyped and writes plain scalars.
pub(crate) const PLAIN: &str = "<plain>";
