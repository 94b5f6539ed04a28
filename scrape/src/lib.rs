//! Stage 2: fetch, relabel, limit, append to a trait that it owns ([`append::Appendable`]).
//!
//! Invariant: knows no storage and no Kubernetes; target groups come from `discovery`.
//!
//! [`ScrapeManager`] holds a pool a job, a pool holds a loop a target, and a loop calls its [`scraper::Scraper`].

pub mod append;
mod cache;
mod fetch;
mod inflate;
mod ingest;
pub mod job;
mod labels;
pub mod manager;
mod metadata;
pub mod metrics;
mod pool;
mod protocol;
mod report;
pub mod scraper;
pub mod status;
pub mod target;
mod timing;

pub use job::Job;
pub use manager::ScrapeManager;
