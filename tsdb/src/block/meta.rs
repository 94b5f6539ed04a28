//! meta.json: what a block is, when, and from what it was made.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::disk::Disk;

/// The content of meta.json.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's name.
    pub ulid: ulid::Ulid,
    /// Its first millisecond.
    pub min_time: i64,
    /// The millisecond behind its last.
    pub max_time: i64,
    /// Counts.
    #[serde(default)]
    pub stats: BlockStats,
    /// From what it was made.
    #[serde(default)]
    pub compaction: Compaction,
    /// The format: 1.
    pub version: u32,
    /// What other programs added (Thanos).
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Counts of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// All samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histogram samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// From what a block was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1: from the head; each compaction adds one.
    pub level: u32,
    /// The level-1 blocks in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ulid::Ulid>,
    /// Whether compacting left nothing: it may be removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// Whether compacting it failed: it is left out of further compactions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// The blocks it was made of directly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Notes, as `from-out-of-order`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block that another one was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its name.
    pub ulid: ulid::Ulid,
    /// Its first millisecond.
    pub min_time: i64,
    /// The millisecond behind its last.
    pub max_time: i64,
}

/// Reads a block's meta.json.
pub fn read(disk: &dyn Disk, dir: &Path) -> Result<BlockMeta, Error> {
    let path = dir.join("meta.json");
    let bytes = disk.read(&path)?;
    let meta: BlockMeta = serde_json::from_slice(&bytes).map_err(|e| {
        let lines = bytes.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1));
        let offset = lines.map(<[u8]>::len).sum::<usize>() + e.column();
        Error::corrupt(&path, offset as u64, e.to_string())
    })?;
    if meta.version != 1 {
        return Err(Error::corrupt(&path, 0, format!("unknown version {}", meta.version)));
    }
    Ok(meta)
}

/// Replaces a block's meta.json, durably, in Prometheus' own layout.
pub fn write(disk: &dyn Disk, dir: &Path, meta: &BlockMeta) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let layout = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let written = meta.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, layout));
    written.map_err(|e| Error::Unwritable { path: dir.join("meta.json"), reason: e.to_string() })?;
    super::write::replace(disk, dir, "meta.json", &bytes)
}
