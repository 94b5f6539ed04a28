//! The pod template: containers, volumes, and what the resource says about where and how pods run.

use super::arguments::{DATA, STOCK_CONFIG, arguments, route_prefix};
use super::{CONFIG_KEY, Error, Subject, merge};
use crate::render::RULE_MAPS;
use crds::PrometheusSpec;
use serde_json::{Map, Value, json};

/// Time that a pod has to stop where the resource says none: a large server writes for long.
const GRACE_SECONDS: i64 = 600;
/// Time that a server has to start where the resource says none.
const STARTUP_SECONDS: i64 = 900;
/// Longest pause between two checks at the start.
const STARTUP_PERIOD: i64 = 60;

/// Name of the web port.
pub(crate) fn port_name(spec: &PrometheusSpec) -> &str {
    spec.port_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("web")
}

/// Name of the volume with the data.
pub(crate) fn volume_name(subject: &Subject<'_>) -> String {
    let template = subject.prometheus.spec.storage.as_ref().and_then(|s| s.volume_claim_template.as_ref());
    let given = template.and_then(|t| t.metadata.as_ref()).and_then(|metadata| metadata.name.clone());
    given.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("prometheus-{}-db", subject.name))
}

/// The template of a shard's pods.
pub(crate) fn template(subject: &Subject<'_>, shard: u64) -> Result<Value, Error> {
    let spec = &subject.prometheus.spec;
    let mut labels = Map::new();
    let mut annotations = Map::new();
    if let Some(given) = &spec.pod_metadata {
        let values = |map: &Option<std::collections::BTreeMap<String, String>>| {
            map.iter().flatten().map(|(name, value)| (name.clone(), value.clone().into())).collect::<Vec<_>>()
        };
        labels.extend(values(&given.labels));
        annotations.extend(values(&given.annotations));
    }
    labels.extend(subject.shard_selector(shard));
    labels.insert("app.kubernetes.io/version".to_owned(), subject.version().into());
    annotations.insert("kubectl.kubernetes.io/default-container".to_owned(), "prometheus".into());
    let mut pod = json!({
        "automountServiceAccountToken": spec.automount_service_account_token.unwrap_or(true),
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS),
        "shareProcessNamespace": false,
        "volumes": volumes(subject),
    });
    containers(subject, shard, &mut pod)?;
    placement(subject, shard, &mut pod)?;
    Ok(json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": pod }))
}

fn containers(subject: &Subject<'_>, shard: u64, pod: &mut Value) -> Result<(), Error> {
    let spec = &subject.prometheus.spec;
    let (mut containers, mut init) = (vec![server(subject, shard)], Vec::new());
    if !subject.is_pharos() {
        let Some(image) = &subject.images.reloader else { return Err(Error::NoReloader(subject.image())) };
        containers.push(reloader(subject, shard, image, false));
        init.push(reloader(subject, shard, image, true));
    }
    let changes = |list: &Option<Vec<crds::Native<k8s_openapi::api::core::v1::Container>>>| {
        list.iter().flatten().map(|container| container.json.clone()).collect::<Vec<_>>()
    };
    let given = changes(&spec.containers);
    merge::containers(&mut containers, &given.iter().collect::<Vec<_>>())
        .map_err(|i| Error::Nameless("containers", i))?;
    let given = changes(&spec.init_containers);
    merge::containers(&mut init, &given.iter().collect::<Vec<_>>())
        .map_err(|i| Error::Nameless("initContainers", i))?;
    pod["containers"] = containers.into();
    if !init.is_empty() {
        pod["initContainers"] = init.into();
    }
    Ok(())
}

fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
    })
}

/// The environment that `$(POD_NAME)` and `$(SHARD)` in the configuration refer to.
fn environment(shard: u64) -> Value {
    json!([
        { "name": "POD_NAME", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.name" } } },
        { "name": "SHARD", "value": shard.to_string() },
    ])
}

fn server(subject: &Subject<'_>, shard: u64) -> Value {
    let spec = &subject.prometheus.spec;
    let mut container = json!({
        "name": "prometheus",
        "image": subject.image(),
        "args": arguments(subject),
        "volumeMounts": mounts(subject),
        "resources": spec.resources.as_ref().map_or_else(|| json!({}), |resources| resources.json.clone()),
        "securityContext": restricted(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if subject.is_pharos() {
        container["command"] = json!(["/pharos"]);
        container["env"] = environment(shard);
    }
    if let Some(policy) = spec.image_pull_policy.as_deref().filter(|policy| !policy.is_empty()) {
        container["imagePullPolicy"] = policy.into();
    }
    if spec.listen_local == Some(true) {
        // nothing outside of the pod can ask; an image without a shell cannot ask itself
        return container;
    }
    container["ports"] = json!([{ "name": port_name(spec), "containerPort": 9090, "protocol": "TCP" }]);
    let prefix = route_prefix(subject);
    let prefix = prefix.trim_end_matches('/');
    let probe = |path: &str, period: i64, failures: i64| {
        json!({
            "httpGet": { "path": format!("{prefix}{path}"), "port": port_name(spec), "scheme": "HTTP" },
            "timeoutSeconds": 3,
            "periodSeconds": period,
            "failureThreshold": failures,
        })
    };
    let (period, failures) = startup(spec);
    container["livenessProbe"] = probe("/-/healthy", 5, 6);
    container["readinessProbe"] = probe("/-/ready", 5, 3);
    container["startupProbe"] = probe("/-/ready", period, failures);
    container
}

/// Period and number of checks that make up the time a server has to start.
fn startup(spec: &PrometheusSpec) -> (i64, i64) {
    match spec.maximum_startup_duration_seconds.map(i64::from) {
        None => (15, STARTUP_SECONDS / 15),
        Some(seconds) => (STARTUP_PERIOD, (seconds + STARTUP_PERIOD - 1) / STARTUP_PERIOD),
    }
}

fn rule_maps(subject: &Subject<'_>) -> impl Iterator<Item = String> {
    let name = subject.name.clone();
    (0..RULE_MAPS).map(move |i| format!("prometheus-{name}-rulefiles-{i}"))
}

/// The sidecar, or init container, that unpacks the configuration for a stock server.
fn reloader(subject: &Subject<'_>, shard: u64, image: &str, init: bool) -> Value {
    let local = subject.prometheus.spec.listen_local == Some(true);
    let prefix = route_prefix(subject);
    let mut args = if init {
        vec!["--watch-interval=0".to_owned(), "--listen-address=:8081".to_owned()]
    } else {
        vec![
            format!("--listen-address={}:8080", if local { "localhost" } else { "" }),
            format!("--reload-url=http://localhost:9090{}/-/reload", prefix.trim_end_matches('/')),
        ]
    };
    args.push(format!("--config-file=/etc/prometheus/config/{CONFIG_KEY}"));
    args.push(format!("--config-envsubst-file={STOCK_CONFIG}"));
    args.extend(rule_maps(subject).map(|map| format!("--watched-dir=/etc/prometheus/rules/{map}")));
    args.push("--watched-dir=/etc/prometheus/config".to_owned());
    let spec = &subject.prometheus.spec;
    for (name, value) in
        [("log-level", spec.log_level.as_deref()), ("log-format", spec.log_format.as_deref())]
    {
        args.extend(value.filter(|value| !value.is_empty()).map(|value| format!("--{name}={value}")));
    }
    let mut mounts = vec![
        json!({ "name": "config", "mountPath": "/etc/prometheus/config" }),
        json!({ "name": "config-out", "mountPath": "/etc/prometheus/config_out" }),
    ];
    mounts.extend(
        rule_maps(subject)
            .map(|map| json!({ "name": map, "mountPath": format!("/etc/prometheus/rules/{map}") })),
    );
    let small = json!({ "cpu": "10m", "memory": "50Mi" });
    let mut container = json!({
        "name": if init { "init-config-reloader" } else { "config-reloader" },
        "image": image,
        "command": ["/bin/prometheus-config-reloader"],
        "args": args,
        "env": environment(shard),
        "volumeMounts": mounts,
        "resources": { "requests": small, "limits": small },
        "securityContext": restricted(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if init {
        container["ports"] = json!([{ "name": "reloader-init", "containerPort": 8081, "protocol": "TCP" }]);
    } else if !local {
        container["ports"] = json!([{ "name": "reloader-web", "containerPort": 8080, "protocol": "TCP" }]);
    }
    if let Some(policy) = spec.image_pull_policy.as_deref().filter(|policy| !policy.is_empty()) {
        container["imagePullPolicy"] = policy.into();
    }
    container
}

/// Name of the volume of a mounted Secret or ConfigMap.
fn mounted_name(prefix: &str, name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{prefix}-{}", name.to_lowercase())
}

fn volumes(subject: &Subject<'_>) -> Vec<Value> {
    let (spec, name) = (&subject.prometheus.spec, &subject.name);
    let mut volumes = vec![
        json!({ "name": "config", "secret": { "secretName": format!("prometheus-{name}") } }),
        json!({
            "name": "tls-assets",
            "projected": { "sources": [{ "secret": { "name": format!("prometheus-{name}-tls-assets-0") } }] },
        }),
    ];
    if !subject.is_pharos() {
        volumes.push(json!({ "name": "config-out", "emptyDir": { "medium": "Memory" } }));
    }
    for secret in spec.secrets.iter().flatten() {
        volumes.push(json!({ "name": mounted_name("secret", secret), "secret": { "secretName": secret } }));
    }
    for map in spec.config_maps.iter().flatten() {
        volumes.push(json!({ "name": mounted_name("configmap", map), "configMap": { "name": map } }));
    }
    volumes.extend(
        rule_maps(subject).map(|map| json!({ "name": map, "configMap": { "name": map, "optional": true } })),
    );
    if !subject.is_pharos() {
        let secret = format!("prometheus-{name}-web-config");
        volumes.push(json!({ "name": "web-config", "secret": { "secretName": secret, "optional": true } }));
    }
    if needs_logs(spec) {
        volumes.push(json!({ "name": "log-volume", "emptyDir": {} }));
    }
    volumes.extend(data_volume(subject));
    volumes.extend(spec.volumes.iter().flatten().map(|volume| volume.json.clone()));
    volumes
}

/// Whether a log file stands in the directory that the operator provides.
fn needs_logs(spec: &PrometheusSpec) -> bool {
    let bare = |file: Option<&str>| file.is_some_and(|file| !file.is_empty() && !file.contains('/'));
    bare(spec.query_log_file.as_deref()) || bare(spec.scrape_failure_log_file.as_deref())
}

/// The volume with the data, unless it comes from a claim template.
fn data_volume(subject: &Subject<'_>) -> Option<Value> {
    let name = volume_name(subject);
    let Some(storage) = &subject.prometheus.spec.storage else {
        return Some(json!({ "name": name, "emptyDir": {} }));
    };
    match (&storage.empty_dir, &storage.ephemeral, &storage.volume_claim_template) {
        (Some(directory), _, _) => Some(json!({ "name": name, "emptyDir": directory.json })),
        (None, Some(claim), _) => Some(json!({ "name": name, "ephemeral": claim.json })),
        (None, None, Some(_)) => None,
        (None, None, None) => Some(json!({ "name": name, "emptyDir": {} })),
    }
}

fn mounts(subject: &Subject<'_>) -> Vec<Value> {
    let spec = &subject.prometheus.spec;
    let read_only = |name: &str, path: String| json!({ "name": name, "mountPath": path, "readOnly": true });
    let mut mounts = vec![if subject.is_pharos() {
        read_only("config", "/etc/prometheus/config".to_owned())
    } else {
        read_only("config-out", "/etc/prometheus/config_out".to_owned())
    }];
    mounts.push(read_only("tls-assets", "/etc/prometheus/certs".to_owned()));
    let mut data = json!({ "name": volume_name(subject), "mountPath": DATA });
    if spec.storage.as_ref().is_some_and(|storage| storage.disable_mount_sub_path != Some(true)) {
        data["subPath"] = "prometheus-db".into();
    }
    mounts.push(data);
    mounts.extend(spec.volume_mounts.iter().flatten().map(|mount| mount.json.clone()));
    for secret in spec.secrets.iter().flatten() {
        mounts.push(read_only(&mounted_name("secret", secret), format!("/etc/prometheus/secrets/{secret}")));
    }
    for map in spec.config_maps.iter().flatten() {
        mounts.push(read_only(&mounted_name("configmap", map), format!("/etc/prometheus/configmaps/{map}")));
    }
    mounts.extend(rule_maps(subject).map(|map| read_only(&map, format!("/etc/prometheus/rules/{map}"))));
    if !subject.is_pharos() {
        let mut web = read_only("web-config", "/etc/prometheus/web_config/web-config.yaml".to_owned());
        web["subPath"] = "web-config.yaml".into();
        mounts.push(web);
    }
    if needs_logs(spec) {
        mounts.push(json!({ "name": "log-volume", "mountPath": "/var/log/prometheus" }));
    }
    mounts
}

/// Where pods run, and under what rules.
fn placement(subject: &Subject<'_>, shard: u64, pod: &mut Value) -> Result<(), Error> {
    let spec = &subject.prometheus.spec;
    let json_of = |value: Result<Value, serde_json::Error>| {
        value.map_err(|e| Error::Json("pod specification", e.to_string()))
    };
    let fields = [
        ("affinity", spec.affinity.as_ref().map(|v| v.json.clone())),
        (
            "securityContext",
            Some(spec.security_context.as_ref().map_or_else(|| json!({}), |v| v.json.clone())),
        ),
        ("dnsConfig", spec.dns_config.as_ref().map(|v| v.json.clone())),
        ("tolerations", natives(spec.tolerations.as_deref())),
        ("hostAliases", natives(spec.host_aliases.as_deref())),
        ("nodeSelector", spec.node_selector.as_ref().map(serde_json::to_value).map(json_of).transpose()?),
        (
            "imagePullSecrets",
            spec.image_pull_secrets.as_ref().map(serde_json::to_value).map(json_of).transpose()?,
        ),
        ("priorityClassName", text(spec.priority_class_name.as_deref())),
        ("serviceAccountName", text(spec.service_account_name.as_deref())),
        ("schedulerName", text(spec.scheduler_name.as_deref())),
        ("enableServiceLinks", spec.enable_service_links.map(Value::from)),
        ("hostNetwork", spec.host_network.filter(|on| *on).map(Value::from)),
        ("hostUsers", spec.host_users.map(Value::from)),
        ("dnsPolicy", text(spec.dns_policy.as_deref())),
        ("topologySpreadConstraints", spread(subject, shard)?),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            pod[name] = value;
        }
    }
    if spec.host_network == Some(true) && pod.get("dnsPolicy").is_none() {
        pod["dnsPolicy"] = "ClusterFirstWithHostNet".into();
    }
    Ok(())
}

fn text(value: Option<&str>) -> Option<Value> {
    value.filter(|value| !value.is_empty()).map(Value::from)
}

fn natives<T>(list: Option<&[crds::Native<T>]>) -> Option<Value> {
    list.map(|list| list.iter().map(|value| value.json.clone()).collect())
}

fn spread(subject: &Subject<'_>, shard: u64) -> Result<Option<Value>, Error> {
    let Some(constraints) = &subject.prometheus.spec.topology_spread_constraints else { return Ok(None) };
    let mut out = Vec::new();
    for constraint in constraints {
        let mut value = serde_json::to_value(constraint)
            .map_err(|e| Error::Json("topology spread constraint", e.to_string()))?;
        let added = match constraint.additional_label_selectors.as_deref() {
            Some("OnResource") => subject.selector(),
            Some("OnShard") => subject.shard_selector(shard),
            _ => Map::new(),
        };
        for (name, label) in added {
            value["labelSelector"]["matchLabels"][name] = label;
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("additionalLabelSelectors");
        }
        out.push(value);
    }
    Ok(Some(out.into()))
}
