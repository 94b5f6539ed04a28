//! Installing and removing: CRDs, chart, manifests, and the application that is watched.

use crate::snapshot::Snapshot;
use crate::wait::until;
use crate::{APPLICATION, MONITORING, Run};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

const RELEASE: &str = "pharos";

/// `kubectl apply -f crds/`, as typed.
pub(crate) fn crds(run: &mut Run) -> Result<String> {
    let before = Snapshot::take(&run.kube)?;
    for namespace in [MONITORING, APPLICATION] {
        ensure!(
            !before.has(&format!("namespace/{namespace}")),
            "the namespace {namespace} is there already: this test needs it for itself"
        );
    }
    run.before = Some(before);
    let applied = run.kube.apply(&run.root.join("crds"))?.lines().count();
    ensure!(applied >= 2, "{applied} CRDs in crds/");
    until("the CRDs to be established", || {
        run.kube.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=1s",
            "crd/servicemonitors.monitoring.coreos.com",
            "crd/prometheuses.monitoring.coreos.com",
        ])
    })?;
    Ok(format!("{applied} CRDs"))
}

/// `helm install`; all parts become ready.
pub(crate) fn chart(run: &mut Run) -> Result<String> {
    let (chart, values) = (run.root.join("charts/pharos"), run.root.join("e2e/values.yaml"));
    run.kube.helm(&[
        "install",
        RELEASE,
        &chart.to_string_lossy(),
        "--namespace",
        MONITORING,
        "--create-namespace",
        "--skip-crds",
        "--values",
        &values.to_string_lossy(),
    ])?;
    parts_ready(run)?;
    Ok("operator, agent and server are ready".into())
}

/// Waits for the operator, the agents and the server that the operator makes.
fn parts_ready(run: &mut Run) -> Result<()> {
    for (part, ready, wanted) in [
        ("deployment/pharos-operator", "/status/availableReplicas", "/spec/replicas"),
        ("daemonset/pharos-agent", "/status/numberReady", "/status/desiredNumberScheduled"),
        ("statefulset/prometheus-pharos", "/status/readyReplicas", "/spec/replicas"),
    ] {
        until(&format!("{part} to be ready"), || {
            let object = run.kube.get(&["--namespace", MONITORING, part])?;
            let number = |pointer| object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
            ensure!(
                number(ready) >= 1 && number(ready) == number(wanted),
                "{} of {} ready",
                number(ready),
                number(wanted)
            );
            Ok(())
        })?;
    }
    run.server.reconnect();
    until("the server to say that it is ready", || {
        let answer = run.server.get("/-/ready")?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        Ok(())
    })
}

/// The application under watch, with its ServiceMonitor.
pub(crate) fn application(run: &mut Run) -> Result<String> {
    run.kube.kubectl(&["create", "namespace", APPLICATION])?;
    run.kube.apply(&run.root.join("e2e/app.yaml"))?;
    until("the application's two pods", || {
        run.kube.kubectl(&[
            "--namespace",
            APPLICATION,
            "wait",
            "--for=condition=Available",
            "--timeout=1s",
            "deployment/app",
        ])
    })?;
    Ok("two pods are ready".into())
}

/// A value that asks for something that has no effect is named, and the install stops.
pub(crate) fn unsupported_values(run: &mut Run) -> Result<String> {
    let chart = run.root.join("charts/pharos").to_string_lossy().into_owned();
    let template = |more: &[&str]| {
        let mut args = vec!["template", RELEASE, chart.as_str()];
        args.extend(more);
        run.kube.helm(&args)
    };
    let asks = ["--set", "grafana.adminPassword=secret", "--set", "alertmanager.enabled=false"];
    let Err(error) = template(&asks) else { bail!("the chart accepts grafana.adminPassword") };
    let said = format!("{error:#}");
    // Before it stands the command line, which names both.
    let (_, said) =
        said.split_once("no effect").with_context(|| format!("not the chart's own error: {said}"))?;
    ensure!(said.contains("grafana.adminPassword"), "the key is not named: {said}");
    ensure!(!said.contains("alertmanager"), "a part that is off is named: {said}");
    let mut report = asks.to_vec();
    report.extend(["--set", "unsupportedValues=report"]);
    template(&report).context("with unsupportedValues=report")?;
    Ok("named, and the install stops unless told to report".into())
}

/// `helm uninstall` and deletion of the namespaces take everything but the CRDs away.
pub(crate) fn uninstall(run: &mut Run) -> Result<String> {
    run.server.reconnect();
    // What was never made need not be removed: after a failed install these find nothing.
    if run
        .kube
        .helm(&["list", "--namespace", MONITORING, "--all", "--short"])?
        .lines()
        .any(|name| name == RELEASE)
    {
        run.kube.helm(&["uninstall", RELEASE, "--namespace", MONITORING])?;
        until("the operator's StatefulSet to go with its Prometheus", || {
            let left = run.kube.list(&["--namespace", MONITORING, "statefulsets"])?;
            ensure!(left.is_empty(), "{} left", left.len());
            Ok(())
        })?;
    }
    run.kube.delete(&["namespace", APPLICATION, MONITORING], &[APPLICATION, MONITORING])?;
    Ok("the release and both namespaces are gone".into())
}

/// The same by `kubectl apply -f manifests/`: a server that scrapes.
pub(crate) fn manifests(run: &mut Run) -> Result<String> {
    let manifests = run.root.join("manifests");
    run.kube.apply(&manifests)?;
    let result = parts_ready(run).and_then(|()| {
        until("an agent's target to be up", || {
            let up = run.server.query("up{job=\"node-exporter\"} == 1")?;
            ensure!(!up.is_empty(), "no such target: {:?}", run.server.query("up")?);
            Ok(())
        })
    });
    if result.is_err() {
        // Before it is deleted below.
        run.kube.print_state(&[MONITORING]);
    }
    run.server.reconnect();
    run.kube.delete(&["-f", &manifests.to_string_lossy()], &[MONITORING])?;
    result.map(|()| "the same parts are ready and scrape".into())
}

/// Nothing is left: CRDs that were there stay, those that were not go.
pub(crate) fn nothing_left(run: &mut Run) -> Result<String> {
    let Some(before) = run.before.take() else { bail!("what was there before was not recorded") };
    for manifest in std::fs::read_dir(run.root.join("crds")).context("crds/")? {
        let path = manifest?.path();
        let Some(file) =
            path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".yaml"))
        else {
            continue;
        };
        let name = run
            .kube
            .kubectl(&["create", "--dry-run=client", "--output=name", "-f", &path.to_string_lossy()])
            .with_context(|| file.to_owned())?;
        if !before.has(name.trim()) {
            run.kube.kubectl(&["delete", "--ignore-not-found", name.trim()])?;
        }
    }
    until("the cluster to hold what it held before", || {
        let difference = before.difference(&Snapshot::take(&run.kube)?);
        ensure!(difference.is_empty(), "{}", difference.join(" "));
        Ok(())
    })?;
    Ok("no namespace, CRD, role or volume more or less".into())
}
