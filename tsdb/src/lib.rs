//! Stage 3, store: head, write-ahead log, chunks, blocks, index and compaction, in Prometheus' own on-disk formats.
//!
//! The formats stand in `tsdb/docs/` with byte diagrams; each codec here begins with a link to its page.
//!
//! Invariant: never knows Kubernetes, HTTP or PromQL; files are touched through [`disk`] only.

pub mod block;
pub mod chunk;
pub mod compact;
pub mod disk;
pub mod encoding;
pub mod read_only;
pub mod wal;

mod blocks;
mod db;
mod delete;
mod error;
mod head;
mod metadata;
mod options;
mod query;
mod retention;
mod snapshot;
mod spreads;
mod stats;
mod sync;

pub use chunk::{FloatColumns, Samples};
pub use db::Db;
pub use error::{AppendError, Error};
pub use head::exemplars::Exemplar;
pub use head::replay::ReplayStatus;
pub use head::{Appender, HeadBytes};
pub use metadata::{Metadata, MetricKind};
pub use options::{DEFAULT_BLOCK_DURATION_MS, Options, Retention, WalSync};
pub use query::{Querier, SeriesEntry};
pub use spreads::Spreads;
pub use stats::{HeadStats, Histograms, Metrics, Sizes, Stat};
