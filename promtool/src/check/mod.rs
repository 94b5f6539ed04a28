//! `promtool check`: whether files and servers are in order.

mod config_file;
mod metrics;
mod rule_files;
mod server;
mod web_config;

use crate::{Failure, Outcome};
use clap::Subcommand;
use promql::Features;
use std::path::{Path, PathBuf};

/// Exit code where only a lint found something.
const LINT_ERROR: u8 = 3;

#[derive(Subcommand, Debug)]
pub(crate) enum Subcommands {
    /// Check configuration files.
    Config(config_file::Options),
    /// Check web configuration files.
    WebConfig(web_config::Options),
    /// Check whether the server is healthy.
    Healthy(server::Options),
    /// Check whether the server is ready.
    Ready(server::Options),
    /// Check rule files.
    Rules(rule_files::Options),
    /// Check metrics on standard input for consistency; count their series.
    Metrics(metrics::Options),
}

pub(crate) fn run(command: Subcommands, features: &Features) -> Outcome {
    match command {
        Subcommands::Config(options) => config_file::run(&options, features),
        Subcommands::WebConfig(options) => web_config::run(&options),
        Subcommands::Healthy(options) => server::run(&options, "healthy"),
        Subcommands::Ready(options) => server::run(&options, "ready"),
        Subcommands::Rules(options) => rule_files::run(&options, features),
        Subcommands::Metrics(options) => metrics::run(&options),
    }
}

/// Refuses files that are not there, as the original's command line does.
pub(crate) fn must_exist(files: &[PathBuf]) -> Outcome {
    match files.iter().find(|f| !f.exists()) {
        None => Ok(()),
        Some(file) => Err(Failure::new(format!(
            "promtool: error: path '{}' does not exist, try --help",
            file.display()
        ))),
    }
}

/// Which lints are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lints {
    pub(crate) duplicate_rules: bool,
    pub(crate) too_long_scrape_interval: bool,
}

impl Lints {
    /// From a flag's list; an unknown name is warned of.
    pub(crate) fn parse(list: &str, with_scrape: bool) -> Self {
        let mut lints = Lints::default();
        for name in list.split(',') {
            match name {
                "all" => {
                    lints.duplicate_rules = true;
                    lints.too_long_scrape_interval = with_scrape;
                }
                "duplicate-rules" => lints.duplicate_rules = true,
                "too-long-scrape-interval" if with_scrape => lints.too_long_scrape_interval = true,
                "none" | "" => {}
                other => eprintln!("WARNING: unknown lint option: {other:?}"),
            }
        }
        lints
    }
}

/// What checks came to, over several files.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    failed: bool,
    /// More than a lint.
    error: bool,
}

impl Verdict {
    fn outcome(self, lint_fatal: bool) -> Outcome {
        match self {
            Verdict { failed: true, error: true } => Err(Failure::Said(1)),
            Verdict { failed: true, error: false } if lint_fatal => Err(Failure::Said(LINT_ERROR)),
            _ => Ok(()),
        }
    }
}

/// Reads a file; the error names it.
fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("open {}: {}", path.display(), crate::text::reason(&e)))
}
