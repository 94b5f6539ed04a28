//! The words that every stage shares: labels, matchers, samples, native histograms, durations, relabelling.
//!
//! Invariant: no IO, no clock, no tokio; depends on no other crate of the workspace.

pub mod duration;
pub mod float;
pub mod histogram;
pub mod histogram_bounds;
mod histogram_text;
pub mod labels;
pub mod matcher;
pub mod regex;
pub mod relabel;
pub mod sample;

pub use histogram::{FloatHistogram, Histogram, NativeHistogram};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use sample::{STALE_NAN, Sample, Value, is_stale};
