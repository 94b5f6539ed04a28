//! The query language: parser, printer, engine, functions, and the test language that proves them.
//!
//! Invariant: pure. Evaluation time is an argument, storage is a trait ([`storage::Queryable`]); no clock, no tokio, no IO.

pub mod ast;
pub mod functions;
pub mod storage;
