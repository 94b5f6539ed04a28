//! Code generation and checks of the tree: `cargo xtask codegen [--check]`, `cargo xtask tidy`.

mod codegen;
mod tidy;

use anyhow::{Result, bail};
use std::path::Path;

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen::write(root),
        ["codegen", "--check"] => codegen::check(root),
        ["tidy"] => tidy::check(root),
        _ => bail!("{USAGE}"),
    }
}
