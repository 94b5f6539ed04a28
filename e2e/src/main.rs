//! Goes the whole way on a real cluster, as a user would: install, watch an application, change things, break things, look.
//!
//! Run it by `make e2e`, or by hand against any cluster: `e2e/cluster exec target/debug/e2e [CHECK…]`. With names of checks, only
//! those run, after the ones that install. It needs kubectl and helm on the path, and leaves the cluster as it found it.

mod checks;
mod forward;
mod http;
mod kube;
mod server;
mod snapshot;
mod wait;

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Where Pharos is installed.
const MONITORING: &str = "monitoring";
/// Where the application under watch runs.
const APPLICATION: &str = "pharos-e2e";

/// What the checks share.
struct Run {
    /// The repository: crds/, charts/, manifests/ and e2e/ lie here.
    root: PathBuf,
    kube: kube::Kube,
    server: server::Server,
    /// What the cluster held before; set by the first check, compared by the last.
    before: Option<snapshot::Snapshot>,
}

/// Something that a user does, and what must come of it.
struct Check {
    name: &'static str,
    /// How long it may take in all. Each wait inside names what it waits for.
    deadline: Duration,
    /// Whether the checks after it make no sense without it.
    needed: bool,
    /// Returns what was seen, in a few words.
    run: fn(&mut Run) -> Result<String>,
}

const fn check(name: &'static str, seconds: u64, run: fn(&mut Run) -> Result<String>) -> Check {
    Check { name, deadline: Duration::from_secs(seconds), needed: false, run }
}

const fn needed(name: &'static str, seconds: u64, run: fn(&mut Run) -> Result<String>) -> Check {
    Check { name, deadline: Duration::from_secs(seconds), needed: true, run }
}

/// All checks, in the order in which they run.
const CHECKS: &[Check] = &[
    needed("crds_apply", 30, checks::install::crds),
    needed("chart_installs", 120, checks::install::chart),
    needed("application_starts", 60, checks::install::application),
    needed("targets_are_up", 60, checks::targets::up),
    check("target_labels", 30, checks::targets::labels),
    check("resource_status", 30, checks::targets::status),
    check("web_app_by_port_forward", 30, checks::web_app::answers),
    check("container_metrics_agree_with_kubelet", 60, checks::containers::agree),
    check("pods_agree_with_api", 60, checks::cluster_state::pods),
    check("deployments_agree_with_api", 60, checks::cluster_state::deployments),
    check("nodes_agree_with_api", 60, checks::cluster_state::nodes),
    check("changed_service_monitor_is_followed", 90, checks::service_monitor::change),
    check("new_and_deleted_service_monitors_are_followed", 60, checks::service_monitor::come_and_go),
    check("unusable_service_monitor_is_reported", 60, checks::service_monitor::unusable),
    check("deleted_pod_goes_stale", 60, checks::staleness::deleted_pod),
    check("killed_server_keeps_data", 60, checks::restart::killed_process),
    check("deleted_server_pod_keeps_data", 90, checks::restart::deleted_pod),
    check("unsupported_values_are_reported", 30, checks::install::unsupported_values),
    check("chart_uninstalls", 90, checks::install::uninstall),
    check("manifests_apply", 120, checks::install::manifests),
    check("cluster_is_as_it_was", 90, checks::install::nothing_left),
];

/// These run whatever was asked for: they bring the cluster back.
const ALWAYS: [&str; 2] = ["chart_uninstalls", "cluster_is_as_it_was"];

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// Runs the checks and returns how many failed.
fn run(only: &[String]) -> Result<usize> {
    if let Some(unknown) = only.iter().find(|name| !CHECKS.iter().any(|check| check.name == **name)) {
        let names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        bail!("no check is called `{unknown}`; there are: {}", names.join(", "));
    }
    // the checkout that it is run in: it may have been built from another one with the same target directory
    let here = std::env::current_dir().context("the working directory")?;
    let root = here.ancestors().find(|dir| dir.join("e2e/Cargo.toml").is_file()).map(PathBuf::from);
    let root = root.with_context(|| format!("{} is no checkout of the project", here.display()))?;
    let kube = kube::Kube::connect().context("no cluster: run me by `make e2e`, or by `e2e/cluster exec`")?;
    let mut run = Run { root, server: server::Server::default(), kube, before: None };
    let wanted = |check: &Check| {
        only.is_empty()
            || check.needed
            || ALWAYS.contains(&check.name)
            || only.iter().any(|name| name == check.name)
    };

    let (mut passed, mut failed, mut missing) = (0, 0, None);
    for check in CHECKS.iter().filter(|check| wanted(check)) {
        if let (Some(needed), false) = (missing, ALWAYS.contains(&check.name)) {
            println!("FAILED {}: not tried, as {needed} failed", check.name);
            failed += 1;
            continue;
        }
        let timer = wait::Timer::start(check.deadline);
        let result = wait::with_deadline(&timer, || (check.run)(&mut run));
        match result {
            Ok(seen) => {
                passed += 1;
                println!("ok     {} ({:.1} s): {seen}", check.name, timer.elapsed().as_secs_f64());
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {} ({:.1} s): {error:#}", check.name, timer.elapsed().as_secs_f64());
                run.kube.print_state(&[MONITORING, APPLICATION]);
                if check.needed {
                    missing = Some(check.name);
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}
