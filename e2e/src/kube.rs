//! kubectl and helm, as a user calls them.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The cluster that kubectl reaches.
pub(crate) struct Kube;

impl Kube {
    /// # Errors
    /// When kubectl or helm is missing, or the API server does not answer.
    pub(crate) fn connect() -> Result<Kube> {
        let kube = Kube;
        kube.raw("/readyz").context("the API server is not ready")?;
        output("helm", &["version", "--short"], None).context("helm")?;
        Ok(kube)
    }

    /// Runs kubectl and returns what it prints.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String> {
        output("kubectl", args, None)
    }

    /// Runs helm and returns what it prints.
    pub(crate) fn helm(&self, args: &[&str]) -> Result<String> {
        output("helm", args, None)
    }

    /// Applies a file or a directory.
    pub(crate) fn apply(&self, path: &Path) -> Result<String> {
        self.kubectl(&["apply", "-f", &path.to_string_lossy()])
    }

    /// Applies manifests given as text.
    pub(crate) fn apply_text(&self, yaml: &str) -> Result<String> {
        output("kubectl", &["apply", "-f", "-"], Some(yaml))
    }

    /// One object or a list, as JSON: `get` with these arguments.
    pub(crate) fn get(&self, args: &[&str]) -> Result<Value> {
        let mut all = vec!["get", "--output=json"];
        all.extend(args);
        serde_json::from_str(&self.kubectl(&all)?).context("kubectl's JSON")
    }

    /// The items of a list.
    pub(crate) fn list(&self, args: &[&str]) -> Result<Vec<Value>> {
        match self.get(args)?["items"].take() {
            Value::Array(items) => Ok(items),
            other => bail!("kubectl get {}: not a list: {other}", args.join(" ")),
        }
    }

    /// A path of the API server.
    pub(crate) fn raw(&self, path: &str) -> Result<String> {
        self.kubectl(&["get", "--raw", path])
    }

    /// Changes an object by a JSON merge patch; returns when the API server has it.
    pub(crate) fn patch(&self, namespace: &str, object: &str, patch: &Value) -> Result<()> {
        self.kubectl(&[
            "--namespace",
            namespace,
            "patch",
            object,
            "--type=merge",
            "--patch",
            &patch.to_string(),
        ])
        .map(drop)
    }

    /// Deletes objects and waits until they are gone; pods of these namespaces that do not end by themselves are ended by force.
    ///
    /// # Errors
    /// When force was needed, or even that did not help.
    pub(crate) fn delete(&self, args: &[&str], namespaces: &[&str]) -> Result<()> {
        let mut all = vec!["delete", "--ignore-not-found", "--timeout=45s"];
        all.extend(args);
        let Err(error) = self.kubectl(&all) else { return Ok(()) };
        self.print_state(namespaces);
        for namespace in namespaces {
            self.kubectl(&[
                "--namespace",
                namespace,
                "delete",
                "pods",
                "--all",
                "--force",
                "--grace-period=0",
            ])?;
        }
        self.kubectl(&all)?;
        Err(error.context("pods had to be ended by force"))
    }

    /// Prints what somebody needs who has to find out why a check failed.
    pub(crate) fn print_state(&self, namespaces: &[&str]) {
        for namespace in namespaces {
            self.print(
                "kubectl",
                &[
                    "--namespace",
                    namespace,
                    "get",
                    "prometheus,servicemonitors,statefulsets,pods,pvc",
                    "--output=wide",
                ],
            );
            self.print("kubectl", &["--namespace", namespace, "get", "events", "--sort-by=.lastTimestamp"]);
            let Ok(pods) = self.list(&["--namespace", namespace, "pods"]) else { continue };
            for name in pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()) {
                self.print(
                    "kubectl",
                    &["--namespace", namespace, "logs", "--all-containers", "--tail=25", name],
                );
            }
        }
    }

    fn print(&self, program: &str, args: &[&str]) {
        println!("  $ {program} {}", args.join(" "));
        let text = output(program, args, None).unwrap_or_else(|error| format!("{error:#}"));
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(30)..] {
            println!("    {line}");
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started or fails: with the command line and what it said.
fn output(program: &str, args: &[&str], input: Option<&str>) -> Result<String> {
    let line = || format!("{program} {}", args.join(" "));
    let mut child = Command::new(program)
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).with_context(line)?;
    }
    let Output { status, stdout, stderr } = child.wait_with_output().with_context(line)?;
    if !status.success() {
        bail!("`{}` failed ({status}): {}", line(), String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
