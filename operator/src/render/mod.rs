//! From resources to a configuration: pure, so that the same resources give the same bytes.

mod auth;
mod global;
pub(crate) use global::RULE_MAPS;
mod materials;
mod relabel;
mod select;
mod service_monitor;

use config::prometheus::{Config, ScrapeConfig};
use crds::prometheus::PrometheusSpec;
use crds::{Prometheus, ServiceMonitor};
use kube::ResourceExt;
pub use materials::{Kind, Materials, Reference};
pub use select::{Selector, SelectorError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Namespace and name of an object.
pub type Key = (String, String);

/// What a configuration is rendered from, beside the Prometheus itself.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Labels of the namespaces that may be looked into.
    pub namespaces: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// All ServiceMonitors.
    pub monitors: &'a BTreeMap<Key, Arc<ServiceMonitor>>,
    /// Secrets and ConfigMaps that have been fetched.
    pub materials: &'a Materials,
}

/// A resource that is left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The ServiceMonitor.
    pub object: Key,
    /// What is wrong with it, with the path of the field.
    pub reason: String,
}

/// What becomes of a Prometheus.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The configuration.
    pub config: Config,
    /// ServiceMonitors in the configuration.
    pub accepted: Vec<Key>,
    /// ServiceMonitors that are selected and cannot be used.
    pub rejected: Vec<Rejection>,
    /// What is worth knowing of accepted ServiceMonitors.
    pub notes: BTreeMap<Key, String>,
    /// Files of certificates and keys that the configuration names, by name.
    pub tls_assets: BTreeMap<String, Vec<u8>>,
    /// Secrets and ConfigMaps that were looked at.
    pub references: BTreeSet<Reference>,
    /// Fields of the Prometheus that have no effect yet.
    pub unsupported: Vec<&'static str>,
    /// Why the Prometheus as a whole cannot be rendered.
    pub failure: Option<String>,
}

/// Everything that rendering one job needs.
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a PrometheusSpec,
    pub(crate) namespace: &'a str,
    pub(crate) materials: materials::Reader<'a>,
}

/// Renders one Prometheus.
pub fn prometheus(prometheus: &Prometheus, inputs: &Inputs<'_>) -> Rendered {
    let namespace = prometheus.namespace().unwrap_or_default();
    let context = Context {
        spec: &prometheus.spec,
        namespace: &namespace,
        materials: materials::Reader::new(inputs.materials),
    };
    let mut rendered = Rendered { unsupported: unsupported(&prometheus.spec), ..Rendered::default() };
    // without any selector the configuration is left to the user, as by the original: ours is then empty
    if has_selectors(&prometheus.spec) {
        match global::config(&context, &prometheus.name_any()) {
            Ok(config) => rendered.config = config,
            Err(reason) => rendered.failure = Some(reason),
        }
        monitors(&context, inputs, &mut rendered);
        match additional_jobs(&context) {
            Ok(jobs) => rendered.config.scrape_configs.extend(jobs),
            Err(reason) => rendered.failure = Some(format!("additionalScrapeConfigs: {reason}")),
        }
    }
    let (references, assets) = context.materials.finish();
    rendered.references = references;
    rendered.tls_assets = assets;
    rendered
}

fn has_selectors(spec: &PrometheusSpec) -> bool {
    spec.service_monitor_selector.is_some()
        || spec.pod_monitor_selector.is_some()
        || spec.probe_selector.is_some()
        || spec.scrape_config_selector.is_some()
}

fn monitors(context: &Context<'_>, inputs: &Inputs<'_>, rendered: &mut Rendered) {
    let selected = match selected(context, inputs) {
        Ok(selected) => selected,
        Err(reason) => {
            rendered.failure = Some(reason);
            return;
        }
    };
    for (key, monitor) in selected {
        match service_monitor::jobs(context, key, monitor) {
            Ok(jobs) => {
                rendered.config.scrape_configs.extend(jobs);
                rendered.accepted.push(key.clone());
                if let Some(note) = service_monitor::note(monitor) {
                    rendered.notes.insert(key.clone(), note);
                }
            }
            Err(reason) => rendered.rejected.push(Rejection { object: key.clone(), reason }),
        }
    }
}

/// The ServiceMonitors that both selectors choose, by namespace and name.
fn selected<'a>(
    context: &Context<'_>,
    inputs: &'a Inputs<'_>,
) -> Result<Vec<(&'a Key, &'a ServiceMonitor)>, String> {
    let Some(selector) = &context.spec.service_monitor_selector else { return Ok(Vec::new()) };
    let selector = Selector::new(selector).map_err(|e| format!("serviceMonitorSelector: {e}"))?;
    let namespaces = match &context.spec.service_monitor_namespace_selector {
        Some(selector) => {
            Some(Selector::new(selector).map_err(|e| format!("serviceMonitorNamespaceSelector: {e}"))?)
        }
        None => None,
    };
    let none = BTreeMap::new();
    let in_namespace = |namespace: &str| match &namespaces {
        None => namespace == context.namespace,
        Some(selector) => inputs.namespaces.get(namespace).is_some_and(|labels| selector.matches(labels)),
    };
    let mut chosen: Vec<(&Key, &ServiceMonitor)> = inputs
        .monitors
        .iter()
        .filter(|((namespace, _), monitor)| {
            in_namespace(namespace) && selector.matches(monitor.metadata.labels.as_ref().unwrap_or(&none))
        })
        .map(|(key, monitor)| (key, monitor.as_ref()))
        .collect();
    // by the text NAMESPACE/NAME, as the original orders jobs: that is not the order of the pairs
    chosen.sort_by_cached_key(|((namespace, name), _)| format!("{namespace}/{name}"));
    Ok(chosen)
}

/// Jobs that the user wrote, each divided among the shards like the others.
fn additional_jobs(context: &Context<'_>) -> Result<Vec<ScrapeConfig>, String> {
    let Some(selector) = &context.spec.additional_scrape_configs else { return Ok(Vec::new()) };
    let Some(text) = context.materials.optional_secret(context.namespace, selector)? else {
        return Ok(Vec::new());
    };
    let mut jobs: Vec<ScrapeConfig> = config::yaml::from_str(&text).map_err(|e| e.to_string())?;
    for job in &mut jobs {
        relabel::shard(context.spec, &mut job.relabel_configs);
    }
    Ok(jobs)
}

/// Fields that are set and have no effect yet.
fn unsupported(spec: &PrometheusSpec) -> Vec<&'static str> {
    let fields = [
        ("additionalAlertManagerConfigs", spec.additional_alert_manager_configs.is_some()),
        ("additionalAlertRelabelConfigs", spec.additional_alert_relabel_configs.is_some()),
        ("alerting", spec.alerting.is_some()),
        ("apiserverConfig", spec.apiserver_config.is_some()),
        ("remoteRead", spec.remote_read.is_some()),
        ("remoteWrite", spec.remote_write.is_some()),
        ("shardRetentionPolicy", spec.shard_retention_policy.is_some()),
        (
            "shardingStrategy.topology",
            spec.sharding_strategy.as_ref().is_some_and(|strategy| strategy.topology.is_some()),
        ),
        ("thanos", spec.thanos.is_some()),
        ("tracingConfig", spec.tracing_config.is_some()),
        ("web.tlsConfig", spec.web.as_ref().is_some_and(|web| web.tls_config.is_some())),
        ("web.httpConfig", spec.web.as_ref().is_some_and(|web| web.http_config.is_some())),
    ];
    fields.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}
