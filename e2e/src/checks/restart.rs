//! The server ends without warning; what a query had shown is still there.

use crate::wait::{Timer, until};
use crate::{MONITORING, Run};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const POD: &str = "pod/prometheus-pharos-0";
const SELECTORS: [&str; 3] = ["app_scrapes_total[1m]", "up[1m]", "node_memory_MemAvailable_bytes[1m]"];

/// What queries show about the last minute, and when that was.
struct Shown {
    time: f64,
    series: Vec<Value>,
}

fn look(run: &mut Run) -> Result<Shown> {
    let time = run.server.time()?;
    let series =
        SELECTORS.iter().map(|selector| run.server.stored(selector, time)).collect::<Result<Vec<_>>>()?;
    ensure!(
        series.iter().all(|result| result.as_array().is_some_and(|series| !series.is_empty())),
        "nothing to lose: {series:?}"
    );
    Ok(Shown { time, series })
}

/// The same queries show the same samples, to the bit, and new ones arrive.
fn compare(run: &mut Run, shown: &Shown) -> Result<usize> {
    let mut samples = 0;
    for (selector, before) in SELECTORS.iter().zip(&shown.series) {
        let now = run.server.stored(selector, shown.time)?;
        let (before, after) = (by_labels(before), by_labels(&now));
        for (labels, values) in &before {
            let kept = after.iter().find(|(other, _)| other == labels);
            let (_, kept) = kept.with_context(|| format!("{selector}: the series {labels} is lost"))?;
            let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
            let missing: Vec<_> = values
                .iter()
                .filter(|value| !kept.as_array().is_some_and(|kept| kept.contains(value)))
                .collect();
            ensure!(
                missing.is_empty(),
                "{selector}: {} of {} samples of {labels} are lost: {missing:?}",
                missing.len(),
                values.len()
            );
            samples += values.len();
        }
    }
    until("new samples", || {
        let newest = run.server.value("max(timestamp(app_scrapes_total))")?;
        ensure!(
            newest > shown.time + 1.0,
            "the newest is {:.1} s younger than what was seen before",
            newest - shown.time
        );
        Ok(())
    })?;
    Ok(samples)
}

fn by_labels(result: &Value) -> Vec<(&Value, &Value)> {
    result.as_array().into_iter().flatten().map(|series| (&series["metric"], &series["values"])).collect()
}

/// kill -9 of the server's process: its container starts again in the same pod.
pub(crate) fn killed_process(run: &mut Run) -> Result<String> {
    let pod = run.kube.get(&["--namespace", MONITORING, POD])?;
    let status = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|status| status["name"] == "prometheus");
    let status = status.with_context(|| format!("no container `prometheus` in {}", pod["status"]))?;
    let restarts = status["restartCount"].as_u64().context("restartCount")?;
    let container =
        status["containerID"].as_str().and_then(|id| id.rsplit('/').next()).context("containerID")?;
    let pid = process_of(container)?;
    let shown = look(run)?;
    let killed = Command::new("kill").args(["-KILL", &pid]).status().context("kill")?;
    ensure!(killed.success(), "kill -KILL {pid}: {killed}");
    let timer = Timer::measure();
    until("the container to have been restarted", || {
        let pod = run.kube.get(&["--namespace", MONITORING, POD])?;
        let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let restarted = statuses
            .filter(|status| {
                status["name"] == "prometheus" && status["restartCount"].as_u64() > Some(restarts)
            })
            .count();
        ensure!(restarted == 1, "{}", pod["status"]["containerStatuses"]);
        Ok(())
    })?;
    back(run)?;
    let away = timer.elapsed();
    let samples = compare(run, &shown)?;
    Ok(format!("back {:.1} s after kill -9, all {samples} samples kept", away.as_secs_f64()))
}

/// The pod is deleted by force: another one takes over its volume.
pub(crate) fn deleted_pod(run: &mut Run) -> Result<String> {
    let uid = |run: &Run| -> Result<String> {
        let pod = run.kube.get(&["--namespace", MONITORING, POD])?;
        Ok(pod["metadata"]["uid"].as_str().context("a pod without uid")?.to_owned())
    };
    let old = uid(run)?;
    let shown = look(run)?;
    run.kube.kubectl(&["--namespace", MONITORING, "delete", POD, "--grace-period=0", "--force"])?;
    let timer = Timer::measure();
    until("another pod in its place", || {
        ensure!(uid(run)? != old, "it is still the old one");
        Ok(())
    })?;
    back(run)?;
    let away = timer.elapsed();
    let samples = compare(run, &shown)?;
    Ok(format!("back {:.1} s after the deletion, all {samples} samples kept", away.as_secs_f64()))
}

/// Waits until the pod is ready and the server answers.
fn back(run: &mut Run) -> Result<()> {
    until("the server's pod to be ready", || {
        run.kube.kubectl(&["--namespace", MONITORING, "wait", "--for=condition=Ready", "--timeout=1s", POD])
    })?;
    run.server.reconnect();
    until("the server to answer", || {
        let answer = run.server.get("/-/ready")?;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(())
    })
}

/// The process of a container, found by the container's id in its cgroups. Needs root on the machine that the node runs on.
fn process_of(container: &str) -> Result<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let path = entry?.path();
        let Some(pid) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        // A process may end while it is looked at.
        if std::fs::read_to_string(Path::new(&path).join("cgroup")).is_ok_and(|text| text.contains(container))
        {
            found.push(pid.to_owned());
        }
    }
    // One container, one process: Pharos starts none.
    match found.as_slice() {
        [pid] => Ok(pid.clone()),
        _ => bail!(
            "the processes of container {container} are {found:?}: the node's processes must be visible here, to kill one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn series_by_labels() {
        let result = json!([{"metric": {"a": "b"}, "values": [[1, "2"]]}]);
        assert_eq!(super::by_labels(&result), [(&json!({"a": "b"}), &json!([[1, "2"]]))]);
        assert!(super::by_labels(&json!(null)).is_empty());
    }
}
