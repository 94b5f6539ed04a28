//! The exposition formats: parse and encode.
//!
//! Invariant: bytes in, samples out (and back); no IO, no storage, no clock.

pub mod encode;
pub mod labels;
mod number;
pub mod openmetrics;
pub mod parse;

pub use encode::MetricType;
pub use labels::{decode_labels, decode_pairs};
pub use parse::{Cause, Entry, Error, Exemplar, Expected, Format, Parser, Series};
