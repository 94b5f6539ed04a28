//! Stage 3, store: head, write-ahead log, chunks, blocks, index and compaction, in Prometheus' own on-disk formats.
//!
//! The formats stand in `tsdb/docs/` with byte diagrams; each codec here begins with a link to its page.

pub mod block;
pub mod chunk;
pub mod compact;
pub mod disk;
pub mod encoding;
pub mod wal;
