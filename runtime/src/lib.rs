//! The process shell: clock, supervisor, shutdown, logs, own metrics, HTTP serving, the HTTP client, room for bytes.
//!
//! Invariant: knows no stage; the only place that reads a clock or spawns a task.

pub mod clock;
pub mod file;
pub mod http;
pub mod http_client;
mod lenient;
pub mod logs;
pub mod metrics;
mod patience;
pub mod room;
pub mod supervisor;

pub use clock::{Clock, SystemClock};
pub use supervisor::{Stage, Supervisor};
pub use tokio_util::sync::CancellationToken;
