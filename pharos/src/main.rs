//! The binary: subcommands, the names it may be called by, the allocator.

mod up;

use anyhow::{Context as _, bail};
use clap::{Command, FromArgMatches as _};
use runtime::{Supervisor, SystemClock, logs};
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Links to the binary under these names act as the programs that it stands in for.
const NAMES: [(&str, &str); 3] =
    [("prometheus", "server"), ("node_exporter", "agent"), ("promtool", "promtool")];

fn command() -> Command {
    Command::new("pharos")
        .about("Kubernetes monitoring in one binary")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(subcommand::<up::Options>(
            "up",
            "Watch this machine: agent, server and web app in one process, without configuration",
        ))
        .subcommand(server::CommandLine::complete(subcommand::<server::Options>(
            "server",
            "The monitoring server: scrapes, stores, answers; takes Prometheus' flags",
        )))
        .subcommand(subcommand::<agent::Options>(
            "agent",
            "The metrics of a node, its containers and its share of the cluster's state",
        ))
        .subcommand(promtool::command())
        .subcommand(subcommand::<operator::Options>(
            "operator",
            "Turns ServiceMonitors and Prometheus resources into running servers",
        ))
}

/// A subcommand with its flags; the purpose is said last, since the flags' type would say what it is in the program.
fn subcommand<O: clap::Args>(name: &'static str, purpose: &'static str) -> Command {
    O::augment_args(Command::new(name)).about(purpose).long_about(None).version(env!("CARGO_PKG_VERSION"))
}

/// The arguments, with the subcommand that the program's own name stands for.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut args: Vec<_> = std::env::args_os().collect();
    let called = args.first().map(std::path::Path::new).and_then(|p| p.file_name()).and_then(|n| n.to_str());
    let meant = called.and_then(|called| NAMES.iter().find(|(name, _)| *name == called));
    if let Some((_, subcommand)) = meant {
        args.insert(1, (*subcommand).into());
    }
    args
}

fn main() -> ExitCode {
    // the only failure is that somebody installed one before: then that one serves
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = arguments();
    if arguments.get(1).is_some_and(|name| name == "promtool") {
        // a tool, not a server: its own exit codes and errors
        return promtool::main(arguments.into_iter().skip(2));
    }
    let command = command();
    let matches = command.clone().get_matches_from(arguments);
    let Some((name, matches)) = matches.subcommand() else { return ExitCode::FAILURE };
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")
        .and_then(|runtime| {
            let result = runtime.block_on(run(name, &command, matches));
            // a thread that waits for a dead mount does not keep the process alive: all stages have stopped, or had their time
            runtime.shutdown_background();
            result
        });
    logs::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pharos {name}: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each once: many an error names its cause in its own text.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        let cause = cause.trim_end();
        if text.contains(cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause);
    }
    text
}

async fn run(name: &str, command: &Command, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    let mut supervisor = Supervisor::new();
    match name {
        "up" => up::start(up::Options::from_arg_matches(matches)?, &mut supervisor).await?,
        "server" => {
            let Some(command) = command.find_subcommand(name) else { bail!("no such subcommand") };
            if let Some(page) = server::CommandLine::manual(command, matches) {
                print!("{page}");
                return Ok(());
            }
            let line = server::CommandLine::from_matches(command, matches)?;
            log(&line.options.log_level, &line.options.log_format)?;
            let source = server::ConfigSource::File(line.options.config_file.clone());
            let addresses = server::start(line, source, SystemClock::shared(), &mut supervisor).await?;
            tracing::info!(?addresses, "server is ready to receive web requests");
        }
        "agent" => {
            let options = agent::Options::from_arg_matches(matches)?;
            log(&options.log_level, &options.log_format)?;
            let stage = supervisor.stage("agent", Duration::from_secs(5));
            let listeners = options.listen_address.clone();
            let agent = agent::Agent::new(options, SystemClock::shared(), stage.clone())?;
            for address in listeners {
                let listener = runtime::http::bind(&address).await?;
                tracing::info!(address, "agent listens");
                serve(&stage, listener, agent.router());
            }
        }
        "operator" => {
            let options = operator::Options::from_arg_matches(matches)?;
            operator::start(options, SystemClock::shared(), &mut supervisor).await?;
        }
        other => bail!("no such subcommand: {other}"),
    }
    supervisor.run().await.map_err(anyhow::Error::msg)
}

/// Turns logging on, as the flags of all subcommands say it.
fn log(level: &str, format: &str) -> anyhow::Result<()> {
    let format = if format == "json" { logs::Format::Json } else { logs::Format::Logfmt };
    logs::init(level, format).map_err(anyhow::Error::msg)
}

/// Serves HTTP as a part of a stage that must not end.
fn serve(stage: &runtime::Stage, listener: tokio::net::TcpListener, router: axum::Router) {
    let stop = stage.token();
    stage.essential("http", async move {
        if let Err(error) = runtime::http::serve(listener, router, stop).await {
            tracing::error!(%error, "HTTP server ended");
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn causes_are_told_once() {
        let taken = std::io::Error::other("address in use");
        let error =
            anyhow::Error::new(taken).context("cannot listen on x: address in use").context("starting");
        assert_eq!(super::told(&error), "starting: cannot listen on x: address in use");
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
