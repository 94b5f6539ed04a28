//! Container metrics, beside what the kubelet itself says about the same containers.

use crate::wait::until;
use crate::{APPLICATION, MONITORING, Run};
use anyhow::{Context as _, Result, ensure};

/// A container of a pod, with the kubelet's figures.
#[derive(Debug)]
struct Container {
    namespace: String,
    pod: String,
    name: String,
    memory: f64,
    cpu: f64,
}

/// Working set within 10 % and 2 MiB of the kubelet's; CPU time within 2 s and 20 %: both sides look at moments of their own, up to
/// some seconds apart.
pub(crate) fn agree(run: &mut Run) -> Result<String> {
    until("container metrics that agree with the kubelet's", || {
        let containers = of_kubelet(run)?;
        let ours =
            |container: &Container| container.namespace == APPLICATION || container.namespace == MONITORING;
        let watched: Vec<_> = containers.iter().filter(|container| ours(container)).collect();
        ensure!(watched.len() >= 5, "the kubelet knows of {} containers only", watched.len());
        for container in &watched {
            let selector = format!(
                "{{namespace=\"{}\",pod=\"{}\",container=\"{}\"}}",
                container.namespace, container.pod, container.name
            );
            let memory = run.server.value(&format!("container_memory_working_set_bytes{selector}"))?;
            let cpu = run.server.value(&format!("sum(container_cpu_usage_seconds_total{selector})"))?;
            ensure!(
                near(memory, container.memory, 0.1, 2_097_152.0),
                "working set: {memory}, and the kubelet says {container:?}"
            );
            ensure!(near(cpu, container.cpu, 0.2, 2.0), "CPU: {cpu}, and the kubelet says {container:?}");
        }
        Ok(format!("memory and CPU of {} containers", watched.len()))
    })
}

fn near(ours: f64, theirs: f64, ratio: f64, absolute: f64) -> bool {
    (ours - theirs).abs() <= (theirs.abs() * ratio).max(absolute)
}

/// All running containers of all nodes, from the kubelets' own container metrics.
fn of_kubelet(run: &Run) -> Result<Vec<Container>> {
    let mut containers: Vec<Container> = Vec::new();
    for node in run.kube.list(&["nodes"])? {
        let node = node["metadata"]["name"].as_str().context("a node without a name")?;
        let text = run.kube.raw(&format!("/api/v1/nodes/{node}/proxy/metrics/cadvisor"))?;
        for line in text.lines().filter(|line| {
            line.starts_with("container_memory_working_set_bytes{")
                || line.starts_with("container_cpu_usage_seconds_total{")
        }) {
            let (namespace, pod, name) =
                (label(line, "namespace"), label(line, "pod"), label(line, "container"));
            if name.is_empty() {
                continue; // a pod, a sandbox, or a part of the machine
            }
            let value: f64 = line
                .rsplit_once("} ")
                .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
                .with_context(|| format!("no value in {line}"))?;
            let same = |known: &&mut Container| {
                known.namespace == namespace && known.pod == pod && known.name == name
            };
            let container = match containers.iter_mut().find(same) {
                Some(known) => known,
                None => {
                    containers.push(Container {
                        namespace: namespace.into(),
                        pod: pod.into(),
                        name: name.into(),
                        memory: 0.0,
                        cpu: 0.0,
                    });
                    containers.last_mut().context("just pushed")?
                }
            };
            if line.starts_with("container_memory") {
                container.memory = value
            } else {
                container.cpu = value
            }
        }
    }
    Ok(containers)
}

/// A label's value in a line of the text format; empty when it is not there.
fn label<'a>(line: &'a str, name: &str) -> &'a str {
    let marks = [format!("{{{name}=\""), format!(",{name}=\"")];
    let start = marks.iter().find_map(|mark| Some(line.find(mark)? + mark.len()));
    start.and_then(|start| line[start..].split('"').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_line() {
        let line = "container_x{container=\"app\",id=\"/a\",pod=\"p-1\"} 12 1795258794917";
        assert_eq!(
            (label(line, "container"), label(line, "pod"), label(line, "namespace")),
            ("app", "p-1", "")
        );
    }

    #[test]
    fn nearness() {
        assert!(near(105.0, 100.0, 0.1, 0.0) && near(3.0, 1.0, 0.1, 2.0));
        assert!(!near(120.0, 100.0, 0.1, 2.0));
    }
}
