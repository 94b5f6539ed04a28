//! The exposition formats: parse and encode.
//!
//! Invariant: bytes in, samples out (and back); no IO, no storage, no clock.

pub mod encode;
