//! Objects beside the StatefulSets: configuration, certificates, the governing Service, permissions.

use super::{CONFIG_KEY, Error, Images, Subject, managed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crds::Prometheus;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

/// Compresses a text; the same text gives the same bytes.
///
/// # Errors
/// Where the compressor fails, which memory alone can cause.
pub fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    // level 6, no name and no time in the header
    let mut out = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    out.write_all(text.as_bytes())?;
    out.finish()
}

/// The Secret with the configuration.
///
/// # Errors
/// Where the text cannot be compressed.
pub fn config_secret(prometheus: &Prometheus, yaml: &str) -> Result<Value, Error> {
    let images = Images::default();
    let subject = Subject::new(prometheus, &images);
    let bytes = gzip(yaml).map_err(|e| Error::Json("configuration", e.to_string()))?;
    let mut data = Map::new();
    data.insert(CONFIG_KEY.to_owned(), STANDARD.encode(bytes).into());
    Ok(secret(&subject, &format!("prometheus-{}", subject.name), data))
}

/// The Secret with certificates and keys.
pub fn tls_assets(prometheus: &Prometheus, files: &BTreeMap<String, Vec<u8>>) -> Value {
    let images = Images::default();
    let subject = Subject::new(prometheus, &images);
    let data = files.iter().map(|(name, bytes)| (name.clone(), STANDARD.encode(bytes).into())).collect();
    secret(&subject, &format!("prometheus-{}-tls-assets-0", subject.name), data)
}

fn secret(subject: &Subject<'_>, name: &str, data: Map<String, Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": subject.metadata(name), "type": "Opaque", "data": data })
}

/// The Service that gives pods their names, for those of a namespace's Prometheus that name no Service of their own;
/// none where all do. All share it and own it together, so that it is written alike whichever of them is reconciled.
pub fn governing_service(prometheuses: &[&Prometheus]) -> Option<Value> {
    let images = Images::default();
    let sharing = prometheuses.iter().filter(|prometheus| prometheus.spec.service_name.is_none());
    let subjects: Vec<Subject<'_>> = sharing.map(|prometheus| Subject::new(prometheus, &images)).collect();
    let first = subjects.first()?;
    let owners: Vec<Value> = subjects
        .iter()
        .map(|subject| {
            let mut owner = subject.owner()[0].take();
            owner["controller"] = false.into();
            owner["blockOwnerDeletion"] = false.into();
            owner
        })
        .collect();
    let port = super::pod::port_name(&first.prometheus.spec);
    let mut labels = managed();
    labels["operated-prometheus"] = "true".into();
    Some(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "prometheus-operated",
            "namespace": first.namespace,
            "labels": labels,
            "ownerReferences": owners,
        },
        "spec": {
            "clusterIP": "None",
            "ports": [{ "name": port, "port": 9090, "targetPort": port, "protocol": "TCP" }],
            "selector": { "app.kubernetes.io/name": "prometheus" },
        },
    }))
}

/// Role and RoleBinding by which the server reads its configuration, and nothing else, through the API.
pub fn permissions(prometheus: &Prometheus) -> [Value; 2] {
    let images = Images::default();
    let subject = Subject::new(prometheus, &images);
    let name = format!("prometheus-{}-config", subject.name);
    let account = prometheus.spec.service_account_name.as_deref().filter(|account| !account.is_empty());
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": subject.metadata(&name),
        "rules": [{
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [format!("prometheus-{}", subject.name)],
            "verbs": ["get", "list", "watch"],
        }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": subject.metadata(&name),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{
            "kind": "ServiceAccount",
            "name": account.unwrap_or("default"),
            "namespace": subject.namespace,
        }],
    });
    [role, binding]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_service_is_shared() {
        let named = |name: &str, service: Option<&str>| {
            let service_name = service.map(Into::into);
            crds::Prometheus::new(name, crds::PrometheusSpec { service_name, ..Default::default() })
        };
        let (a, b, own) = (named("a", None), named("b", None), named("c", Some("mine")));
        assert_eq!(super::governing_service(&[&own]), None);
        let service = super::governing_service(&[&a, &b, &own]).unwrap();
        let owners = service["metadata"]["ownerReferences"].as_array().unwrap();
        let owners: Vec<_> = owners.iter().map(|owner| owner["name"].as_str().unwrap()).collect();
        assert_eq!(owners, ["a", "b"]);
    }

    #[test]
    fn equal_texts_give_equal_bytes() {
        let bytes = super::gzip("global: {}\n").unwrap();
        assert_eq!(bytes, super::gzip("global: {}\n").unwrap());
        assert_eq!(bytes[4..8], [0; 4], "no time of modification");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
        assert_eq!(text, "global: {}\n");
    }
}
