//! Stage 2: fetch, relabel, limit, append to a trait that it owns ([`append::Appendable`]).
//!
//! Invariant: knows no storage and no Kubernetes; target groups come from `discovery`.

pub mod append;
