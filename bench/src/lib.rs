//! What the benchmarks share: series in memory as the engine reads them, a database as the engine reads it, and a
//! history to put into one. All is a function of its arguments, so that two runs measure the same work.

pub mod database;
pub mod memory;
