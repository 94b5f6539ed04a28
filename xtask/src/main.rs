//! Code generation and checks of the tree: `cargo xtask codegen [--check]`, `cargo xtask tidy`.

mod codegen;
mod tidy;

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

const USAGE: &str = "usage: cargo xtask codegen [--check] | tidy";

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = &root()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen::write(root),
        ["codegen", "--check"] => codegen::check(root),
        ["tidy"] => tidy::check(root),
        _ => bail!("{USAGE}"),
    }
}

/// The checkout that it is run in, from whatever folder of it: not the one that it was built from, as several may share a target directory.
fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory")?;
    let root = here.ancestors().find(|dir| dir.join("xtask/Cargo.toml").is_file());
    root.map(PathBuf::from).with_context(|| format!("{} is no checkout of the project", here.display()))
}
