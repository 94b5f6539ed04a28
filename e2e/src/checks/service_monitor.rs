//! ServiceMonitors that change, come, go, and cannot be used.

use crate::wait::{Timer, holds, until};
use crate::{APPLICATION, MONITORING, Run};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

const MONITOR: &str = "servicemonitor/app";
/// From the API server having the change until a scrape with it has ended.
const BAR: Duration = Duration::from_secs(2);

fn endpoints(endpoint: Value) -> Value {
    json!({"spec": {"endpoints": [endpoint]}})
}

/// Changes the application's ServiceMonitor and measures how long it takes until `scraped` finds a scrape with the change.
fn measure(
    run: &mut Run,
    what: &str,
    patch: &Value,
    mut scraped: impl FnMut(&mut Run) -> Result<()>,
) -> Result<Duration> {
    run.kube.patch(APPLICATION, MONITOR, patch)?;
    let timer = Timer::measure();
    until(what, || scraped(run))?;
    Ok(timer.elapsed())
}

/// The newest sample of an expression is there, and there are two of them.
fn two_series(run: &mut Run, expression: &str) -> Result<()> {
    let samples = run.server.query(expression)?;
    ensure!(samples.len() == 2, "{} series of {expression}", samples.len());
    Ok(())
}

/// A new path, new relabelling and a new interval are followed, each within two seconds.
pub(crate) fn change(run: &mut Run) -> Result<String> {
    let mut times = Vec::new();
    let plain = json!({"port": "http", "interval": "1s"});
    for round in 1..=3 {
        let path = json!({"port": "http", "interval": "1s", "path": "/more-metrics"});
        times.push(measure(run, "samples of the new path", &endpoints(path), |run| {
            // Series of an earlier round are stale by now: what is found is new.
            two_series(run, "app_more")
        })?);
        let label = format!("round-{round}");
        let relabelled = json!({"port": "http", "interval": "1s", "relabelings": [{"targetLabel": "round", "replacement": label}]});
        times.push(measure(run, "samples with the new label", &endpoints(relabelled), |run| {
            two_series(run, &format!("app_build_info{{round=\"{label}\"}}"))
        })?);
        until("the series of the other path to be stale", || {
            let left = run.server.query("app_more")?;
            ensure!(left.is_empty(), "{} series", left.len());
            Ok(())
        })?;
    }
    run.kube.patch(APPLICATION, MONITOR, &endpoints(plain))?;
    until("the application's plain series", || two_series(run, "app_build_info{round=\"\"}"))?;
    report(&times)
}

fn report(times: &[Duration]) -> Result<String> {
    let shown: Vec<_> = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
    let slowest = times.iter().max().context("nothing was measured")?;
    ensure!(
        *slowest <= BAR,
        "seconds until scraped with the change: {}; at most {} are allowed",
        shown.join(", "),
        BAR.as_secs()
    );
    Ok(format!("scraped with the change after {} s", shown.join(", ")))
}

/// A new ServiceMonitor's targets are scraped, and a deleted one's are gone, within two seconds.
pub(crate) fn come_and_go(run: &mut Run) -> Result<String> {
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": {"name": "second", "namespace": APPLICATION},
        "spec": {"selector": {"matchLabels": {"app": "app"}}, "endpoints": [{"port": "http", "interval": "1s", "path": "/more-metrics"}]},
    });
    run.kube.apply_text(&monitor.to_string())?;
    let timer = Timer::measure();
    until("samples of the new ServiceMonitor", || two_series(run, "app_more"))?;
    let came = timer.elapsed();
    run.kube.kubectl(&["--namespace", APPLICATION, "delete", "servicemonitor/second"])?;
    let timer = Timer::measure();
    until("the deleted ServiceMonitor's targets to go", || {
        let targets = run.server.targets_of(&format!("{APPLICATION}/second"))?;
        ensure!(targets.is_empty(), "{} targets", targets.len());
        Ok(())
    })?;
    let times = [came, timer.elapsed()];
    until("the deleted ServiceMonitor's series to be stale", || {
        let left = run.server.query("app_more")?;
        ensure!(left.is_empty(), "{} series", left.len());
        Ok(())
    })?;
    report(&times).map(|seen| format!("new, deleted: {seen}"))
}

/// A ServiceMonitor with a bad regular expression: an event and a status say why, and all others go on.
pub(crate) fn unusable(run: &mut Run) -> Result<String> {
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": {"name": "unusable", "namespace": APPLICATION},
        "spec": {
            "selector": {"matchLabels": {"app": "app"}},
            "endpoints": [{"port": "http", "relabelings": [{"sourceLabels": ["pod"], "regex": "(", "targetLabel": "x"}]}],
        },
    });
    run.kube.apply_text(&monitor.to_string())?;
    let event = until("an event that names the bad expression", || {
        let events = run.kube.list(&[
            "--namespace",
            APPLICATION,
            "events",
            "--field-selector=involvedObject.name=unusable,type=Warning",
        ])?;
        let messages: Vec<_> = events.iter().filter_map(|event| event["message"].as_str()).collect();
        let message = messages
            .iter()
            .find(|message| message.contains("regex"))
            .with_context(|| format!("events: {messages:?}"))?;
        Ok((*message).to_owned())
    })?;
    until("a status that says the same", || {
        let object = run.kube.get(&["--namespace", APPLICATION, "servicemonitor/unusable"])?;
        let refused = object["status"]["bindings"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|binding| binding["conditions"].as_array().into_iter().flatten());
        let refused: Vec<_> = refused
            .filter(|condition| condition["type"] == "Accepted" && condition["status"] == "False")
            .collect();
        ensure!(
            refused.iter().any(|condition| condition["message"]
                .as_str()
                .is_some_and(|message| message.contains("regex"))),
            "status: {}",
            object["status"]
        );
        Ok(())
    })?;

    // The good rest is applied: a change beside the bad one is followed, and nothing else goes down.
    let changed = json!({"port": "http", "interval": "1s", "relabelings": [{"targetLabel": "beside", "replacement": "bad"}]});
    let time = measure(run, "samples of the ServiceMonitor beside it", &endpoints(changed), |run| {
        two_series(run, "app_build_info{beside=\"bad\"}")
    })?;
    holds("every other target being up", Duration::from_secs(3), || {
        let down = run.server.query(&format!("up{{namespace=~\"{MONITORING}|{APPLICATION}\"}} == 0"))?;
        ensure!(down.is_empty(), "down: {down:?}");
        Ok(())
    })?;
    run.kube.kubectl(&["--namespace", APPLICATION, "delete", "servicemonitor/unusable"])?;
    run.kube.patch(APPLICATION, MONITOR, &endpoints(json!({"port": "http", "interval": "1s"})))?;
    until("the application's plain series", || two_series(run, "app_build_info{beside=\"\"}"))?;
    Ok(format!("{:.2} s for a change beside it; event: {event}", time.as_secs_f64()))
}
