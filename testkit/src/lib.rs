//! What tests stand on in place of the machine: a disk that breaks on purpose, a clock that its slow calls move, and
//! randomness from a seed. Everything is deterministic: the same seed, the same run.
//!
//! Invariant: knows the traits `tsdb::disk::Disk` and `runtime::clock::Clock`, and nothing that stands behind them.

pub mod disk;
mod random;

pub use disk::{Loss, SimDisk};
pub use random::Random;
pub use runtime::clock::ManualClock;
