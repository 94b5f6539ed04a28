//! What a cluster holds, by name, to see that nothing of the test stays behind.

use crate::kube::Kube;
use anyhow::Result;
use std::collections::BTreeSet;

/// Kinds that an installation could leave: those that no namespace takes along when it is deleted, and the namespaces.
const KINDS: [&str; 8] = [
    "namespaces",
    "customresourcedefinitions",
    "clusterroles",
    "clusterrolebindings",
    "persistentvolumes",
    "storageclasses",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
];

/// The names of all objects of these kinds.
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    pub(crate) fn take(kube: &Kube) -> Result<Snapshot> {
        let text = kube.kubectl(&["get", "--output=name", &KINDS.join(",")])?;
        Ok(Snapshot(text.lines().map(str::to_owned).collect()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// What is in one and not in the other, marked with `+` where it is new.
    pub(crate) fn difference(&self, after: &Snapshot) -> Vec<String> {
        let new = after.0.difference(&self.0).map(|name| format!("+{name}"));
        let gone = self.0.difference(&after.0).map(|name| format!("-{name}"));
        new.chain(gone).collect()
    }
}
