//! From a Prometheus to the objects that run it: StatefulSets, their Service, Secrets and permissions. Pure.

mod arguments;
mod merge;
mod objects;
mod pod;
mod stateful_set;

use crds::Prometheus;
use kube::ResourceExt;
pub use objects::{config_secret, governing_service, gzip, permissions, tls_assets};
use serde_json::{Map, Value, json};
pub use stateful_set::stateful_set;

/// Version of Prometheus whose configuration is written where a resource names none.
const DEFAULT_VERSION: &str = "3.13.2";

/// Key of the configuration within its Secret.
pub const CONFIG_KEY: &str = "prometheus.yaml.gz";

/// Images that workloads are made with.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The image that holds this program.
    pub pharos: String,
    /// The configuration reloader that a stock Prometheus needs beside it.
    pub reloader: Option<String>,
}

/// Why no workload can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A stock server would not see changes of its configuration.
    #[error(
        "image {0:?} is not Pharos: it needs a configuration reloader beside it, and the operator was started without --prometheus-config-reloader"
    )]
    NoReloader(String),
    /// A container's change has no name.
    #[error("{0}[{1}]: a container needs a name")]
    Nameless(&'static str, usize),
    /// Something could not be written as JSON.
    #[error("cannot write {0}: {1}")]
    Json(&'static str, String),
}

/// A Prometheus, with names and labels of what is made for it.
pub(crate) struct Subject<'a> {
    pub(crate) prometheus: &'a Prometheus,
    pub(crate) images: &'a Images,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(prometheus: &'a Prometheus, images: &'a Images) -> Self {
        let (name, namespace) = (prometheus.name_any(), prometheus.namespace().unwrap_or_default());
        Subject { prometheus, images, name, namespace }
    }

    /// The image of the server's container.
    pub(crate) fn image(&self) -> String {
        let spec = &self.prometheus.spec;
        if let Some(image) = spec.image.as_ref().filter(|image| !image.is_empty()) {
            return image.clone();
        }
        let Some(base) = spec.base_image.as_ref().filter(|base| !base.is_empty()) else {
            return self.images.pharos.clone();
        };
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (set(&spec.sha), set(&spec.tag), set(&spec.version)) {
            (Some(sha), _, _) => format!("{base}@sha256:{sha}"),
            (None, Some(tag), _) => format!("{base}:{tag}"),
            (None, None, version) => format!("{base}:{}", version.unwrap_or(format!("v{DEFAULT_VERSION}"))),
        }
    }

    /// Whether the server's image is this program's: same repository, or a repository of that name.
    pub(crate) fn is_pharos(&self) -> bool {
        let image = self.image();
        let (own, given) = (repository(&self.images.pharos), repository(&image));
        own == given || given.rsplit('/').next() == Some("pharos")
    }

    fn version(&self) -> String {
        let version = self.prometheus.spec.version.as_deref().filter(|version| !version.is_empty());
        version.unwrap_or(DEFAULT_VERSION).trim_start_matches('v').to_owned()
    }

    /// Labels by which the pods of all shards are chosen.
    pub(crate) fn selector(&self) -> Map<String, Value> {
        let labels = json!({
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/managed-by": "prometheus-operator",
            "app.kubernetes.io/name": "prometheus",
            "operator.prometheus.io/name": self.name,
            "prometheus": self.name,
        });
        labels.as_object().cloned().unwrap_or_default()
    }

    /// The same, for the pods of one shard.
    pub(crate) fn shard_selector(&self, shard: u64) -> Map<String, Value> {
        let mut labels = self.selector();
        labels.insert("operator.prometheus.io/shard".to_owned(), shard.to_string().into());
        labels
    }

    /// Name of the StatefulSet of a shard.
    pub(crate) fn set_name(&self, shard: u64) -> String {
        if shard == 0 {
            format!("prometheus-{}", self.name)
        } else {
            format!("prometheus-{}-shard-{shard}", self.name)
        }
    }

    /// Ties an object's life to the resource.
    pub(crate) fn owner(&self) -> Value {
        json!([{
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "name": self.name,
            "uid": self.prometheus.uid().unwrap_or_default(),
            "controller": true,
            "blockOwnerDeletion": true,
        }])
    }

    /// Metadata of an object that is made for the resource.
    pub(crate) fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": managed(),
            "ownerReferences": self.owner(),
        })
    }
}

/// Name of the StatefulSet that runs a shard.
pub fn stateful_set_name(prometheus: &str, shard: u64) -> String {
    if shard == 0 {
        format!("prometheus-{prometheus}")
    } else {
        format!("prometheus-{prometheus}-shard-{shard}")
    }
}

/// The selector of a Prometheus' pods, as text.
pub fn selector_text(prometheus: &Prometheus) -> String {
    let images = Images::default();
    let labels = Subject::new(prometheus, &images).selector();
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    pairs.join(",")
}

/// Labels of everything that the operator makes.
pub(crate) fn managed() -> Value {
    json!({ "app.kubernetes.io/managed-by": "prometheus-operator", "managed-by": "prometheus-operator" })
}

/// An image's name without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn repositories() {
        for (image, expected) in [
            ("pharos", "pharos"),
            ("localhost:5000/a/pharos", "localhost:5000/a/pharos"),
            ("localhost:5000/a/pharos:1", "localhost:5000/a/pharos"),
            ("a/pharos:1@sha256:abc", "a/pharos"),
        ] {
            assert_eq!(super::repository(image), expected);
        }
    }
}
