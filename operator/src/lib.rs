//! Custom resources to configuration and workloads.
//!
//! Invariant: configuration is written only through the types of `config`, never as YAML by hand.

pub mod render;
