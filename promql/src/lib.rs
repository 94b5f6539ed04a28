//! The query language: parser, printer, engine, functions, and the test language that proves them.
//!
//! Invariant: pure. Evaluation time is an argument, storage is a trait ([`storage::Queryable`]); no clock, no tokio, no IO.

pub mod ast;
pub mod engine;
pub mod functions;
mod histogram;
mod json;
mod lexer;
pub mod parser;
mod pretty;
mod printer;
pub mod storage;
pub mod testing;

pub use engine::{Cancel, Engine, EngineOptions, QueryError, QueryOptions, QueryResult, Stopwatch, Value};
pub use json::to_json;
pub use parser::{Features, ParseError, parse, parse_matchers, parse_selector, parse_with};
pub use pretty::pretty;
