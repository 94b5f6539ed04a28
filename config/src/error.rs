//! What can be wrong with a configuration, and where.

/// A refused configuration: file, line and field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {}{message}", .line.map(|l| format!(":{l}")).unwrap_or_default(), prefix(.field))]
pub struct Error {
    /// The name that the caller gave the text.
    pub file: String,
    /// Line of the field, from 1; none where the file could not be read at all.
    pub line: Option<usize>,
    /// Path of the field, e.g. `scrape_configs[1].scrape_interval`; empty for the whole file.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}
