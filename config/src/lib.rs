//! Typed configuration: what the operator writes, the servers read, in one set of structs.
//!
//! Invariant: reads no file that it was not given; fills in no value that the original does not.

mod error;
#[macro_use]
mod section;
pub mod prometheus;
pub mod rules;
mod secret;
mod units;
pub mod yaml;

pub use error::Error;
pub use secret::Secret;
pub use units::{Duration, Size};
