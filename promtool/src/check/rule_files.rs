//! `check rules`.

use super::{Lints, Verdict, must_exist, read};
use crate::Outcome;
use clap::Args;
use config::rules::Parsed;
use config::yaml::Node;
use promql::Features;
use std::io::Read as _;
use std::path::PathBuf;

/// What `check rules` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Lints to apply: all, duplicate-rules, none.
    #[arg(long, default_value = "duplicate-rules")]
    lint: String,
    /// Exit with code 3 where a lint finds something.
    #[arg(long)]
    lint_fatal: bool,
    /// Leave out fields that are not known instead of refusing them.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Rule files; standard input if none is given.
    #[arg(value_name = "RULE FILES")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(options: &Options, features: &Features) -> Outcome {
    must_exist(&options.files)?;
    let lints = Lints::parse(&options.lint, false);
    if options.files.is_empty() {
        println!("Checking standard input");
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let verdict = check_text(&text, "standard input", lints, options.ignore_unknown_fields, features);
        return verdict.outcome(options.lint_fatal);
    }
    check_files(&options.files, lints, options.ignore_unknown_fields, features).outcome(options.lint_fatal)
}

/// Checks files one after the other.
pub(super) fn check_files(
    files: &[PathBuf],
    lints: Lints,
    ignore_unknown: bool,
    features: &Features,
) -> Verdict {
    let mut all = Verdict::default();
    for file in files {
        println!("Checking {}", file.display());
        let verdict = match read(file) {
            Ok(text) => check_text(&text, &file.display().to_string(), lints, ignore_unknown, features),
            Err(error) => failed([format!("{}: {error}", file.display())]),
        };
        all.failed |= verdict.failed;
        all.error |= verdict.error;
    }
    all
}

fn failed(errors: impl IntoIterator<Item = String>) -> Verdict {
    eprintln!("  FAILED:");
    for error in errors {
        eprintln!("{error}");
    }
    Verdict { failed: true, error: true }
}

fn check_text(text: &str, name: &str, lints: Lints, ignore_unknown: bool, features: &Features) -> Verdict {
    let parsed = match Parsed::parse(text, name, ignore_unknown) {
        Ok(parsed) => parsed,
        Err(error) => return failed([error.to_string()]),
    };
    if Node::has_more_documents(text) {
        tracing::warn!(file = name, "a rule file has several documents: only the first one counts");
    }
    let mistakes = rules::check::check(&parsed, features);
    if !mistakes.is_empty() {
        return failed(mistakes.iter().map(|mistake| format!("{name}: {mistake}")));
    }
    let mut verdict = Verdict::default();
    let duplicates =
        if lints.duplicate_rules { rules::check::duplicates(&parsed.file.groups) } else { Vec::new() };
    if duplicates.is_empty() {
        let count: usize = parsed.file.groups.iter().map(|g| g.rules.len()).sum();
        println!("  SUCCESS: {count} rules found");
    } else {
        verdict.failed = true;
        eprintln!("  FAILED:\nlint error {} duplicate rule(s) found.", duplicates.len());
        for duplicate in &duplicates {
            eprintln!("Metric: {}\nLabel(s):", duplicate.name);
            for (name, value) in &duplicate.labels {
                eprintln!("\t{name}: {value}");
            }
        }
        eprintln!("Might cause inconsistency while recording expressions");
    }
    println!();
    verdict
}
