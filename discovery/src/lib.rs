//! Stage 1: who should be scraped.
//!
//! Invariant: never fetches a metric; yields [`TargetGroup`]s and nothing else.

use std::collections::BTreeMap;

pub mod file;
pub mod kubernetes;
mod manager;

pub use manager::{DiscoveryManager, Groups, Status};

/// Targets that one source gives together: replaced as a whole when the source changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// What gave it, unique within a discovery, e.g. a file's name and index or `endpointslice/ns/name`.
    pub source: String,
    /// Labels that all targets share, `__meta_…` included.
    pub labels: BTreeMap<String, String>,
    /// Labels of each target, `__address__` included.
    pub targets: Vec<BTreeMap<String, String>>,
}

/// Name of the label that holds a target's address.
pub const ADDRESS: &str = "__address__";
