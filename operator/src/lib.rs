//! Custom resources to configuration and workloads.
//!
//! Invariant: configuration is written only through the types of `config`, never as YAML by hand.

mod controller;
mod metrics;
mod options;
pub mod render;
pub mod workload;

pub use controller::{Error, start};
pub use options::Options;
