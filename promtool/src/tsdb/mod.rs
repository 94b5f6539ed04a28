//! `promtool tsdb`: looks into databases, and makes blocks.

mod analyze;
mod bench;
mod buckets;
mod dump;
mod import;
mod import_rules;
mod list;
mod spill;
mod writer;

use crate::{Failure, Outcome, text};
use clap::{Args, Subcommand};
use promql::Features;
use runtime::clock::SharedClock;
use std::path::{Path, PathBuf};

/// Where a database lies if nothing else is said.
const DEFAULT_DIR: &str = "data/";

#[derive(Subcommand, Debug)]
pub(crate) enum Subcommands {
    /// Run benchmarks.
    #[command(subcommand)]
    Bench(Benches),
    /// Analyze churn, label pairs and how full the chunks of a block are.
    Analyze(analyze::Options),
    /// List the blocks of a database.
    List(list::Options),
    /// Print the series and samples of a database.
    Dump(dump::Options),
    /// Print the samples of a database in the OpenMetrics format, without native histograms.
    DumpOpenmetrics(dump::Selected),
    /// Make blocks of samples that come from elsewhere.
    CreateBlocksFrom(CreateBlocks),
}

#[derive(Subcommand, Debug)]
pub(crate) enum Benches {
    /// Measure how fast samples are written.
    Write(bench::Options),
}

#[derive(Args, Debug)]
pub(crate) struct CreateBlocks {
    #[command(flatten)]
    printing: Printing,
    #[command(subcommand)]
    from: From,
}

/// How made blocks are told of.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Printing {
    /// Print sizes and times for people.
    #[arg(short = 'r', long, global = true)]
    human_readable: bool,
    /// Do not print the blocks that were made.
    #[arg(short = 'q', long, global = true)]
    quiet: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum From {
    /// Of a file in the OpenMetrics format.
    Openmetrics(import::Options),
    /// Of recording rules, evaluated by a server over its history.
    Rules(import_rules::Options),
}

pub(crate) fn run(command: Subcommands, features: &Features, clock: &SharedClock) -> Outcome {
    match command {
        Subcommands::Bench(Benches::Write(options)) => bench::write(&options, clock),
        Subcommands::Analyze(options) => analyze::run(&options, clock),
        Subcommands::List(options) => list::run(&options),
        Subcommands::Dump(options) => dump::run(&options, clock),
        Subcommands::DumpOpenmetrics(options) => dump::openmetrics(&options, clock),
        Subcommands::CreateBlocksFrom(CreateBlocks { printing, from }) => match from {
            From::Openmetrics(options) => import::run(&options, printing, clock),
            From::Rules(options) => import_rules::run(&options, printing, features, clock),
        },
    }
}

/// Refuses a directory that is not there.
fn check_dir(dir: &Path) -> Outcome {
    let failed = |why: String| Failure::new(format!("opening the db dir: stat {}: {why}", dir.display()));
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(failed("not a directory".to_owned())),
        Err(error) => Err(failed(text::reason(&error))),
    }
}

/// The blocks of a directory; those that cannot be opened are named.
fn open_blocks(dir: &Path) -> Result<Vec<tsdb::block::Block>, Failure> {
    check_dir(dir)?;
    let (blocks, damaged) = tsdb::read_only::blocks(dir)?;
    for error in damaged {
        tracing::error!(%error, "cannot open a block");
    }
    Ok(blocks)
}

/// The database's directory.
#[derive(Args, Clone, Debug)]
pub(crate) struct Database {
    /// Directory of the database.
    #[arg(value_name = "DB PATH", default_value = DEFAULT_DIR)]
    path: PathBuf,
}
