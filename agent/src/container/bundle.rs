//! What containerd wrote about a container when it started it: the annotations of its OCI bundle. They name pod and
//! container without asking anybody, and are the only place that tells a pod's sandbox and its image.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where containerd keeps the bundles of running containers, below the root file system.
const BUNDLES: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// Names from a bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bundle {
    pub(crate) sandbox: bool,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) image: String,
}

impl Bundle {
    /// Of a container of this machine, where containerd runs it and its directory can be read.
    pub(crate) fn read(rootfs: &Path, id: &str) -> Option<Self> {
        let path = rootfs.join(BUNDLES).join(id).join("config.json");
        parse(&runtime::file::read(path).ok()?)
    }
}

fn parse(json: &[u8]) -> Option<Bundle> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    let Config { mut annotations } = serde_json::from_slice(json).ok()?;
    let mut get = |key: &str| annotations.remove(&format!("io.kubernetes.cri.{key}")).unwrap_or_default();
    let sandbox = match get("container-type").as_str() {
        "sandbox" => true,
        "container" => false,
        _ => return None,
    };
    Some(Bundle {
        sandbox,
        namespace: get("sandbox-namespace"),
        pod: get("sandbox-name"),
        container: get("container-name"),
        image: get(if sandbox { "podsandbox.image-name" } else { "image-name" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pod_and_container() {
        let json = br#"{"ociVersion": "1.1.0", "annotations": {
            "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "nginx",
            "io.kubernetes.cri.image-name": "nginx:1", "io.kubernetes.cri.sandbox-name": "web",
            "io.kubernetes.cri.sandbox-namespace": "shop"}}"#;
        let expected = Bundle {
            sandbox: false,
            namespace: "shop".into(),
            pod: "web".into(),
            container: "nginx".into(),
            image: "nginx:1".into(),
        };
        assert_eq!(parse(json), Some(expected));
        assert_eq!(parse(br#"{"ociVersion": "1.1.0"}"#), None, "not made for Kubernetes");
        assert_eq!(parse(b"{"), None);
    }
}
