//! Who is scraped, under which labels, and what the resources say about it.

use crate::wait::until;
use crate::{APPLICATION, MONITORING, Run};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Every ServiceMonitor of the chart and of the application, with the number of its targets on a cluster of `nodes` nodes.
fn expected(nodes: usize) -> Vec<(String, usize)> {
    let chart = |name: &str, targets| (format!("{MONITORING}/pharos-{name}"), targets);
    vec![
        chart("agent", 3 * nodes),
        chart("apiserver", 1),
        chart("operator", 1),
        chart("server", 1),
        (format!("{APPLICATION}/app"), 2),
    ]
}

/// All targets are found, and all are up.
pub(crate) fn up(run: &mut Run) -> Result<String> {
    let nodes = run.kube.list(&["nodes"])?.len();
    let mut all = 0;
    for (monitor, wanted) in expected(nodes) {
        all += wanted;
        until(&format!("the {wanted} targets of {monitor} to be up"), || {
            let targets = run.server.targets_of(&monitor)?;
            let state = |target: &Value| {
                format!("{} {} {}", target["scrapeUrl"], target["health"], target["lastError"])
            };
            let states: Vec<_> = targets.iter().map(state).collect();
            let up = targets.iter().filter(|target| target["health"] == "up").count();
            ensure!(
                up == wanted && targets.len() == wanted,
                "{up} of {} up: {}",
                targets.len(),
                states.join("; ")
            );
            Ok(())
        })?;
    }
    Ok(format!("{all} targets of {} ServiceMonitors", expected(nodes).len()))
}

/// The application's series carry the labels that prometheus-operator gives them.
pub(crate) fn labels(run: &mut Run) -> Result<String> {
    let pods = run.kube.list(&["--namespace", APPLICATION, "pods", "--selector=app=app"])?;
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
        let address = pod["status"]["podIP"].as_str().context("a pod without an address")?;
        let samples = until(&format!("a sample of {name}"), || {
            let samples = run.server.query(&format!("app_build_info{{pod=\"{name}\"}}"))?;
            ensure!(samples.len() == 1, "{} series", samples.len());
            Ok(samples)
        })?;
        for (label, wanted) in [
            ("job", "app"),
            ("namespace", APPLICATION),
            ("service", "app"),
            ("endpoint", "http"),
            ("container", "app"),
            ("instance", &format!("{address}:8080")),
            ("version", "1"),
        ] {
            let found = samples[0].label(label);
            ensure!(found == wanted, "{name}: {label} is {found:?}, not {wanted:?}");
        }
    }
    Ok(format!("job, namespace, service, endpoint, container and instance of {} pods", pods.len()))
}

/// The Prometheus resource says that it is available and reconciled.
pub(crate) fn status(run: &mut Run) -> Result<String> {
    until("the conditions Available and Reconciled of the Prometheus", || {
        let object = run.kube.get(&["--namespace", MONITORING, "prometheus/pharos"])?;
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for wanted in ["Available", "Reconciled"] {
            let condition = conditions.iter().find(|condition| condition["type"] == wanted);
            let condition =
                condition.with_context(|| format!("no condition {wanted} in {}", object["status"]))?;
            ensure!(condition["status"] == "True", "{condition}");
        }
        ensure!(object["status"]["availableReplicas"] == 1, "availableReplicas in {}", object["status"]);
        Ok(())
    })?;
    Ok("Available and Reconciled are True".into())
}
