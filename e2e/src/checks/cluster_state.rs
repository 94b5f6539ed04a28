//! The state of the cluster's objects, beside what the API server says about them.

use crate::Run;
use crate::server::Sample;
use crate::wait::until;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> f64 {
    object.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
}

/// Phase, node and restarts of every pod.
pub(crate) fn pods(run: &mut Run) -> Result<String> {
    until("kube_pod_* to agree with the API server", || {
        let pods = run.kube.list(&["pods", "--all-namespaces"])?;
        let phases = run.server.query("kube_pod_status_phase == 1")?;
        let infos = run.server.query("kube_pod_info")?;
        let restarts = run.server.query("kube_pod_container_status_restarts_total")?;
        ensure!(
            phases.len() == pods.len() && infos.len() == pods.len(),
            "{} phases and {} infos of {} pods",
            phases.len(),
            infos.len(),
            pods.len()
        );
        for pod in &pods {
            let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
            let of_pod =
                |sample: &&Sample| sample.label("namespace") == namespace && sample.label("pod") == name;
            let phase = phases.iter().find(of_pod).with_context(|| format!("no phase of {name}"))?;
            ensure!(
                phase.label("phase") == text(pod, "/status/phase"),
                "{name}: {phase:?}, not {}",
                pod["status"]["phase"]
            );
            let info = infos.iter().find(of_pod).with_context(|| format!("no info of {name}"))?;
            for (label, pointer) in [
                ("node", "/spec/nodeName"),
                ("pod_ip", "/status/podIP"),
                ("host_ip", "/status/hostIP"),
                ("uid", "/metadata/uid"),
            ] {
                ensure!(
                    info.label(label) == text(pod, pointer),
                    "{name}: {label} in {info:?}, not {}",
                    text(pod, pointer)
                );
            }
            for status in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
                let container = text(status, "/name");
                let count =
                    restarts.iter().filter(of_pod).find(|sample| sample.label("container") == container);
                let count = count.with_context(|| format!("no restarts of {name}/{container}"))?;
                ensure!(
                    count.value == number(status, "/restartCount"),
                    "{name}/{container}: {count:?}, not {}",
                    status["restartCount"]
                );
            }
        }
        Ok(format!("phase, node, addresses and restarts of {} pods", pods.len()))
    })
}

/// Replicas of every deployment.
pub(crate) fn deployments(run: &mut Run) -> Result<String> {
    const METRICS: [(&str, &str); 3] = [
        ("kube_deployment_spec_replicas", "/spec/replicas"),
        ("kube_deployment_status_replicas", "/status/replicas"),
        ("kube_deployment_status_replicas_available", "/status/availableReplicas"),
    ];
    until("kube_deployment_* to agree with the API server", || {
        let deployments = run.kube.list(&["deployments", "--all-namespaces"])?;
        for (metric, pointer) in METRICS {
            let samples = run.server.query(metric)?;
            ensure!(
                samples.len() == deployments.len(),
                "{} series of {metric} for {} deployments",
                samples.len(),
                deployments.len()
            );
            for deployment in &deployments {
                let (namespace, name) =
                    (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/name"));
                let sample = samples.iter().find(|sample| {
                    sample.label("namespace") == namespace && sample.label("deployment") == name
                });
                let sample = sample.with_context(|| format!("no {metric} of {name}"))?;
                ensure!(
                    sample.value == number(deployment, pointer),
                    "{metric} of {name} is {}, not {}",
                    sample.value,
                    number(deployment, pointer)
                );
            }
        }
        Ok(format!("replicas of {} deployments", deployments.len()))
    })
}

/// Versions and conditions of every node.
pub(crate) fn nodes(run: &mut Run) -> Result<String> {
    until("kube_node_* to agree with the API server", || {
        let nodes = run.kube.list(&["nodes"])?;
        let infos = run.server.query("kube_node_info")?;
        let conditions = run.server.query("kube_node_status_condition == 1")?;
        ensure!(infos.len() == nodes.len(), "{} infos of {} nodes", infos.len(), nodes.len());
        for node in &nodes {
            let name = text(node, "/metadata/name");
            let info = infos
                .iter()
                .find(|sample| sample.label("node") == name)
                .with_context(|| format!("no info of {name}"))?;
            for (label, pointer) in [
                ("kubelet_version", "/status/nodeInfo/kubeletVersion"),
                ("kernel_version", "/status/nodeInfo/kernelVersion"),
                ("container_runtime_version", "/status/nodeInfo/containerRuntimeVersion"),
            ] {
                ensure!(info.label(label) == text(node, pointer), "{name}: {label} in {info:?}");
            }
            for condition in node["status"]["conditions"].as_array().into_iter().flatten() {
                let (kind, status) = (text(condition, "/type"), text(condition, "/status").to_lowercase());
                let holds = |sample: &&Sample| {
                    sample.label("node") == name
                        && sample.label("condition") == kind
                        && sample.label("status") == status
                };
                ensure!(
                    conditions.iter().any(|sample| holds(&sample)),
                    "{name}: no {kind}={status} in {conditions:?}"
                );
            }
        }
        Ok(format!("versions and conditions of {} nodes", nodes.len()))
    })
}
