//! The command line: subcommands and flags with the original's names.

use crate::{Failure, Outcome, check, promql_text, push, query, tsdb, unit_test};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use runtime::{SystemClock, logs};
use std::ffi::OsString;

/// All of it.
#[derive(Parser, Debug)]
#[command(
    name = "promtool",
    about = "Tools around the monitoring server: checks, queries, tests, databases",
    version
)]
struct Cli {
    /// Enable experimental commands.
    #[arg(long, global = true)]
    experimental: bool,
    #[command(flatten)]
    features: Features,
    #[command(subcommand)]
    command: Group,
}

/// Parts of the query language that are off unless asked for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Features {
    /// Features to enable, separated by commas: promql-experimental-functions, promql-delayed-name-removal,
    /// promql-extended-range-selectors.
    #[arg(long = "enable-feature", global = true, value_delimiter = ',', value_name = "FEATURE")]
    enable_feature: Vec<String>,
}

impl Features {
    fn has(&self, name: &str) -> bool {
        self.enable_feature.iter().any(|f| f == name)
    }

    /// What the parser is told.
    fn parser(&self) -> promql::Features {
        promql::Features {
            experimental_functions: self.has("promql-experimental-functions"),
            extended_range_selectors: self.has("promql-extended-range-selectors"),
            binop_fill_modifiers: self.has("promql-binop-fill-modifiers"),
        }
    }

    /// Names of features that are none of this tool's.
    fn unknown(&self) -> impl Iterator<Item = &str> {
        self.enable_feature.iter().map(String::as_str).filter(|f| !f.is_empty() && !FEATURES.contains(f))
    }
}

/// The features that can be enabled; the last is on always.
const FEATURES: [&str; 5] = [
    "promql-experimental-functions",
    "promql-delayed-name-removal",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-at-modifier",
];

#[derive(Subcommand, Debug)]
enum Group {
    /// Check files, servers and metrics.
    #[command(subcommand)]
    Check(check::Subcommands),
    /// Ask a server.
    Query(query::Options),
    /// Push samples to a server.
    #[command(subcommand)]
    Push(push::Subcommands),
    /// Run unit tests.
    #[command(subcommand)]
    Test(unit_test::Subcommands),
    /// Print queries anew. Experimental: needs --experimental.
    #[command(subcommand)]
    Promql(promql_text::Subcommands),
    /// Look into databases, and make blocks.
    #[command(subcommand)]
    Tsdb(tsdb::Subcommands),
}

/// The command line, for those that list it among theirs.
pub fn command() -> Command {
    Cli::command()
}

/// The long names of all switches, here and below.
fn switches(command: &Command, found: &mut Vec<String>) {
    let here = command.get_arguments().filter(|a| matches!(a.get_action(), ArgAction::SetTrue));
    found.extend(here.filter_map(|a| a.get_long().map(str::to_owned)));
    command.get_subcommands().for_each(|c| switches(c, found));
}

/// Each switch has a `--no-` form that takes it back.
fn without_negated(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut known = Vec::new();
    switches(&command(), &mut known);
    let mut kept: Vec<OsString> = Vec::new();
    for arg in args {
        let negated = arg.to_str().and_then(|a| a.strip_prefix("--no-"));
        match negated.filter(|name| known.iter().any(|k| k == name)) {
            Some(name) => kept.retain(|earlier| *earlier != *format!("--{name}")),
            None => kept.push(arg),
        }
    }
    kept
}

/// Parses and runs.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Outcome {
    let program = std::iter::once(OsString::from("promtool"));
    let parsed = command()
        .try_get_matches_from(program.chain(without_negated(args)))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // what is damaged is logged where it is met; progress is not
    logs::init("warn", logs::Format::Logfmt).map_err(Failure::new)?;
    let clock = SystemClock::shared();
    for name in cli.features.unknown() {
        tracing::warn!(name, "unknown option for --enable-feature");
    }
    let features = cli.features.parser();
    match cli.command {
        Group::Check(command) => check::run(command, &features),
        Group::Query(options) => query::run(&options, &clock),
        Group::Push(command) => push::run(&command, &clock),
        Group::Test(command) => {
            unit_test::run(&command, features, cli.features.has("promql-delayed-name-removal"), &clock)
        }
        Group::Tsdb(command) => tsdb::run(command, &features, &clock),
        Group::Promql(_) if !cli.experimental => {
            Err(Failure::new("This command is experimental and requires the --experimental flag to be set."))
        }
        Group::Promql(command) => promql_text::run(&command, &features),
    }
}

/// Help goes to standard output; what is wrong with the command line is one line, as the original says it.
fn usage(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            Ok(())
        }
        // without any argument the original shows its help; below, it wants a subcommand
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Err(Failure::new(format!(
                "{}\npromtool: error: must select a subcommand, try --help",
                error.to_string().trim_end()
            )))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Err(Failure::new(format!("promtool: error: {first}, try --help")))
        }
    }
}

/// A flag's `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE got '{text}'"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A flag's duration in milliseconds.
pub(crate) fn duration(text: &str) -> Result<i64, model::duration::Error> {
    model::duration::parse_ms(text)
}

/// A flag's time in milliseconds since the epoch: seconds, or RFC 3339.
pub(crate) fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.abs() < 9e12
    {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|t| t.as_millisecond()).map_err(|_| format!("cannot parse {text:?} to a valid timestamp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
        let args =
            ["tsdb", "list", "--human-readable", "--no-human-readable", "--no-such"].map(OsString::from);
        assert_eq!(without_negated(args), ["tsdb", "list", "--no-such"]);
    }

    #[test]
    fn times() {
        assert_eq!(time_ms("1700000000.5"), Ok(1_700_000_000_500));
        assert_eq!(time_ms("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert_eq!(time_ms("x"), Err("cannot parse \"x\" to a valid timestamp".to_owned()));
    }
}
