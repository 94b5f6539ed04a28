//! Compaction: several blocks become one, level by level.

mod merge;
mod plan;

pub use merge::{compact, rewrite};
pub use plan::{plan, ranges};

/// Blocks of out-of-order samples carry this hint; so does what is made of such blocks alone.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// A block of series that ended, cut from the head before its time.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// A block of chosen series, cut from the head before its time.
pub const HINT_SELECTED_SERIES: &str = "from-selected-series";
