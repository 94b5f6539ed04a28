//! The tool beside the server: checks files, asks servers, reads and writes databases, as `promtool` does.
//!
//! Subcommands, flags, forms of output and exit codes are the original's. What was made is printed to standard output, what
//! went wrong to standard error.
//!
//! Invariant: changes no database but the one it is told to write.

mod check;
mod cli;
mod http;
mod progress;
mod promql_text;
mod push;
mod query;
mod text;
mod tsdb;
mod unit_test;

use std::ffi::OsString;
use std::process::ExitCode;

pub use cli::command;

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// With a message for standard error.
    #[error("{0}")]
    Message(String),
    /// All is said; only the exit code is left.
    #[error("exit code {0}")]
    Said(u8),
}

impl Failure {
    fn new(message: impl std::fmt::Display) -> Self {
        Failure::Message(message.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // whoever reads our output has seen enough, as `head` does: nothing is wrong
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::Said(0)
        } else {
            Failure::Message(text::reason(&error))
        }
    }
}

impl From<::tsdb::Error> for Failure {
    fn from(error: ::tsdb::Error) -> Self {
        Failure::new(error)
    }
}

impl From<::tsdb::block::Error> for Failure {
    fn from(error: ::tsdb::block::Error) -> Self {
        Failure::new(error)
    }
}

/// What a subcommand comes to.
type Outcome = Result<(), Failure>;

/// Runs a command line, without the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(code)) => ExitCode::from(code),
        Err(Failure::Message(message)) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
