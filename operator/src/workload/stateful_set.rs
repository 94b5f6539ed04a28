//! The StatefulSet of one shard.

use super::{Error, Images, Subject, pod};
use crds::Prometheus;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Annotation with a hash of everything that the StatefulSet was made from.
const HASH: &str = "prometheus-operator-input-hash";

/// The StatefulSet of a shard.
///
/// # Errors
/// Where the resource asks for what cannot be made.
pub fn stateful_set(prometheus: &Prometheus, shard: u64, images: &Images) -> Result<Value, Error> {
    let subject = Subject::new(prometheus, images);
    let spec = &prometheus.spec;
    let mut set = json!({
        "replicas": spec.replicas.unwrap_or(1).max(0),
        "serviceName": spec.service_name.as_deref().unwrap_or("prometheus-operated"),
        "podManagementPolicy": spec.pod_management_policy.as_deref().unwrap_or("Parallel"),
        "selector": { "matchLabels": subject.shard_selector(shard) },
        "template": pod::template(&subject, shard)?,
        "updateStrategy": update_strategy(spec),
    });
    if let Some(seconds) = spec.min_ready_seconds {
        set["minReadySeconds"] = seconds.into();
    }
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        set["persistentVolumeClaimRetentionPolicy"] = policy.json.clone();
    }
    if let Some(claim) = claim(&subject)? {
        set["volumeClaimTemplates"] = json!([claim]);
    }
    let mut metadata = subject.metadata(&subject.set_name(shard));
    metadata["labels"] = Value::Object(labels(&subject, shard));
    let mut annotations = annotations(prometheus);
    annotations.insert(HASH.to_owned(), hash(&set, &metadata).into());
    metadata["annotations"] = Value::Object(annotations);
    Ok(json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": set }))
}

fn update_strategy(spec: &crds::PrometheusSpec) -> Value {
    let Some(strategy) = &spec.update_strategy else { return json!({ "type": "RollingUpdate" }) };
    let mut out = json!({ "type": strategy.kind });
    if let Some(most) = strategy.rolling_update.as_ref().and_then(|update| update.max_unavailable.as_ref()) {
        out["rollingUpdate"] = json!({ "maxUnavailable": most });
    }
    out
}

/// Labels of the StatefulSet: the resource's own, then those that say what it is.
fn labels(subject: &Subject<'_>, shard: u64) -> Map<String, Value> {
    let own = subject.prometheus.metadata.labels.iter().flatten();
    let mut labels: Map<String, Value> =
        own.map(|(name, value)| (name.clone(), value.clone().into())).collect();
    labels.extend(subject.shard_selector(shard));
    labels.insert("managed-by".to_owned(), "prometheus-operator".into());
    labels.insert("operator.prometheus.io/mode".to_owned(), "server".into());
    labels
}

/// Annotations of the resource but for those that kubectl keeps its own notes in.
fn annotations(prometheus: &Prometheus) -> Map<String, Value> {
    let own = prometheus.metadata.annotations.iter().flatten();
    own.filter(|(name, _)| !name.starts_with("kubectl.kubernetes.io/"))
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect()
}

fn hash(spec: &Value, metadata: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(spec.to_string());
    hash.update(metadata["labels"].to_string());
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The template of persistent storage, where the resource asks for it.
fn claim(subject: &Subject<'_>) -> Result<Option<Value>, Error> {
    let storage = subject.prometheus.spec.storage.as_ref();
    let Some(storage) = storage.filter(|s| s.empty_dir.is_none() && s.ephemeral.is_none()) else {
        return Ok(None);
    };
    let Some(template) = &storage.volume_claim_template else { return Ok(None) };
    let mut metadata = json!({ "name": pod::volume_name(subject) });
    if let Some(given) = &template.metadata {
        for (field, map) in [("labels", &given.labels), ("annotations", &given.annotations)] {
            if let Some(map) = map {
                metadata[field] =
                    serde_json::to_value(map).map_err(|e| Error::Json("claim metadata", e.to_string()))?;
            }
        }
    }
    let mut spec = template.spec.as_ref().map_or_else(|| json!({}), |spec| spec.json.clone());
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        spec["accessModes"] = json!(["ReadWriteOnce"]);
    }
    Ok(Some(
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec }),
    ))
}
