//! `promtool test rules`: evaluates rules over series that a file writes out, and compares.

mod compare;
mod file;
mod run;

use crate::{Failure, Outcome, text};
use clap::{Args, Subcommand};
use file::TestFile;
use promql::Features;
use runtime::clock::SharedClock;
use std::path::{Path, PathBuf};

#[derive(Subcommand, Debug)]
pub(crate) enum Subcommands {
    /// Unit tests of rules.
    Rules(Options),
}

/// What `test rules` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Run only tests whose names match this regular expression. Can be repeated.
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Say which tests run, and how long they take.
    #[arg(long)]
    debug: bool,
    /// Leave out fields that are not known instead of refusing them.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Files with tests.
    #[arg(value_name = "TEST RULE FILE", required = true)]
    files: Vec<PathBuf>,
}

/// How tests are run.
pub(crate) struct Setting<'a> {
    pub(crate) options: &'a Options,
    pub(crate) only: Vec<model::regex::Regex>,
    pub(crate) features: Features,
    pub(crate) delayed_name_removal: bool,
    pub(crate) clock: &'a SharedClock,
}

pub(crate) fn run(
    command: &Subcommands,
    features: Features,
    delayed_name_removal: bool,
    clock: &SharedClock,
) -> Outcome {
    let Subcommands::Rules(options) = command;
    crate::check::must_exist(&options.files)?;
    let only: Result<Vec<_>, _> =
        options.run.iter().map(|r| model::regex::Regex::new(&format!(".*(?:{r}).*"))).collect();
    let only = only.map_err(|e| Failure::new(format!("--run: {e}")))?;
    let setting = Setting { options, only, features, delayed_name_removal, clock };
    let mut failed = false;
    for file in &options.files {
        let errors = test_file(file, &setting);
        if errors.is_empty() {
            println!("  SUCCESS");
        } else {
            failed = true;
            eprintln!("  FAILED:");
            for error in errors {
                eprintln!("{error}");
                println!();
            }
        }
        println!();
    }
    if failed { Err(Failure::Said(1)) } else { Ok(()) }
}

/// What fails in a file.
fn test_file(path: &Path, setting: &Setting<'_>) -> Vec<String> {
    let name = path.display().to_string();
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| format!("open {}: {}", path.display(), text::reason(&e)))
    };
    let ignore_unknown = setting.options.ignore_unknown_fields;
    let file = match read(path).and_then(|t| TestFile::parse(&t, &name, ignore_unknown)) {
        Ok(file) => file,
        Err(error) => return vec![error],
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut groups = Vec::new();
    for pattern in &file.rule_files {
        let pattern = dir.join(pattern).display().to_string();
        let mut found = discovery::file::matching(&pattern);
        found.retain(|f| f.exists());
        if found.is_empty() {
            eprintln!("  WARNING: no file match pattern {pattern}");
        }
        found.sort();
        for rules in found {
            let name = rules.display().to_string();
            let parsed = read(&rules).and_then(|t| {
                config::rules::Parsed::parse(&t, &name, ignore_unknown).map_err(|e| e.to_string())
            });
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(error) => return vec![error],
            };
            let mistakes = rules_check(&parsed, &name, &setting.features);
            if !mistakes.is_empty() {
                return mistakes;
            }
            groups.extend(parsed.file.groups);
        }
    }
    file.in_order(&mut groups);
    let mut errors = Vec::new();
    for test in &file.tests {
        if !setting.only.is_empty() && !setting.only.iter().any(|r| r.is_match(&test.name)) {
            continue;
        }
        let began = setting.clock.monotonic();
        if setting.options.debug {
            println!("DEBUG: Starting test {}", test.name);
        }
        errors.extend(run::run(test, &file, &groups, setting));
        if setting.options.debug {
            let took = setting.clock.monotonic() - began;
            println!("DEBUG: Test {} finished, took {}", test.name, text::duration(took.as_nanos() as i128));
        }
    }
    errors
}

fn rules_check(parsed: &config::rules::Parsed, name: &str, features: &Features) -> Vec<String> {
    rules::check::check(parsed, features).into_iter().map(|mistake| format!("{name}: {mistake}")).collect()
}

#[cfg(test)]
mod tests;
