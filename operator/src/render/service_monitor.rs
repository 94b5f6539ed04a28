//! ServiceMonitor to scrape jobs, one an endpoint.

use super::relabel::{copy, copy_present, filter, fixed, rules, sanitize, shard};
use super::select::{Operator, Selector};
use super::{Context, Key, auth};
use config::prometheus as out;
use config::prometheus::{KubernetesRole, RelabelConfig, ScrapeConfig};
use config::{Duration, Size};
use crds::scrape::ScrapeClass;
use crds::service_monitor::Endpoint;
use crds::{ServiceMonitor, ServiceMonitorSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model::relabel::Action;

/// The jobs of a ServiceMonitor.
pub(crate) fn jobs(
    context: &Context<'_>,
    key: &Key,
    monitor: &ServiceMonitor,
) -> Result<Vec<ScrapeConfig>, String> {
    let spec = &monitor.spec;
    let selector = Selector::new(&spec.selector).map_err(|e| e.to_string())?;
    let class =
        scrape_class(context, spec.scrape_class.as_deref()).map_err(|e| format!("scrapeClassName: {e}"))?;
    let job = Job { context, key, spec, selector, class };
    let endpoints = spec.endpoints.iter().enumerate();
    endpoints
        .map(|(i, endpoint)| job.render(i, endpoint).map_err(|e| format!("endpoints[{i}]: {e}")))
        .collect()
}

/// What a user may not have meant.
pub(crate) fn note(monitor: &ServiceMonitor) -> Option<String> {
    let portless = |endpoint: &Endpoint| port_name(endpoint).is_none();
    let index = monitor.spec.endpoints.iter().position(portless)?;
    Some(format!(
        "endpoints[{index}]: neither port nor targetPort is set: every port of the services is scraped"
    ))
}

fn scrape_class<'a>(context: &Context<'a>, name: Option<&str>) -> Result<Option<&'a ScrapeClass>, String> {
    let mut classes = context.spec.scrape_classes.iter().flatten();
    match name {
        Some(name) => classes
            .find(|class| class.name.0 == name)
            .map(Some)
            .ok_or_else(|| format!("scrapeClass {name:?} not found in Prometheus scrapeClasses")),
        None => Ok(classes.find(|class| class.default == Some(true))),
    }
}

/// The port as it shows in the endpoint label.
fn port_name(endpoint: &Endpoint) -> Option<String> {
    match (endpoint.port.as_deref().filter(|port| !port.is_empty()), &endpoint.target_port) {
        (Some(port), _) => Some(port.to_owned()),
        (None, Some(IntOrString::String(port))) if !port.is_empty() => Some(port.clone()),
        (None, Some(IntOrString::Int(port))) if *port != 0 => Some(port.to_string()),
        _ => None,
    }
}

struct Job<'a> {
    context: &'a Context<'a>,
    key: &'a Key,
    spec: &'a ServiceMonitorSpec,
    selector: Selector<'a>,
    class: Option<&'a ScrapeClass>,
}

impl Job<'_> {
    fn render(&self, index: usize, endpoint: &Endpoint) -> Result<ScrapeConfig, String> {
        let (namespace, name) = self.key;
        let prometheus = self.context.spec;
        self.check_files(endpoint)?;
        let (interval, timeout) = self.times(endpoint)?;
        let mut metric_rules = Vec::new();
        if let Some(class) = self.class {
            metric_rules.extend(self.class_rules(class.metric_relabelings.as_deref())?);
        }
        metric_rules.extend(
            rules(endpoint.metric_relabelings.as_deref().unwrap_or_default())
                .map_err(|e| format!("metricRelabelConfigs: {e}"))?,
        );
        metric_rules.extend(self.enforced_namespace());
        let mut job = ScrapeConfig {
            job_name: format!("serviceMonitor/{namespace}/{name}/{index}"),
            honor_labels: Some(
                endpoint.honor_labels == Some(true) && prometheus.override_honor_labels != Some(true),
            ),
            honor_timestamps: match (endpoint.honor_timestamps, prometheus.override_honor_timestamps) {
                (_, Some(true)) => Some(false),
                (honor, _) => honor,
            },
            track_timestamps_staleness: endpoint.track_timestamps_staleness,
            params: endpoint.params.clone().unwrap_or_default().into_iter().collect(),
            scrape_interval: interval,
            scrape_timeout: timeout,
            metrics_path: endpoint.path.clone().filter(|path| !path.is_empty()),
            scheme: endpoint.scheme.as_ref().map(|scheme| scheme.to_lowercase()),
            http: self.http(endpoint)?,
            relabel_configs: self.relabelling(endpoint)?,
            metric_relabel_configs: metric_rules,
            ..ScrapeConfig::default()
        };
        job.sd.kubernetes_sd_configs.push(self.discovery());
        self.limits(&mut job)?;
        self.formats(&mut job)?;
        Ok(job)
    }

    /// Refuses files of the server's container where the Prometheus denies them.
    fn check_files(&self, endpoint: &Endpoint) -> Result<(), String> {
        let deny = self.context.spec.arbitrary_fs_access_through_sms.as_ref().and_then(|access| access.deny);
        if deny != Some(true) {
            return Ok(());
        }
        let denied = |what: &str| {
            Err(format!("it accesses file system via {what} which Prometheus specification prohibits"))
        };
        if endpoint.bearer_token_file.as_ref().is_some_and(|file| !file.is_empty()) {
            return denied("bearer token file");
        }
        if endpoint.tls_config.as_ref().is_some_and(|tls| auth::Tls::from(tls).names_files()) {
            return denied("tls config");
        }
        Ok(())
    }

    fn times(&self, endpoint: &Endpoint) -> Result<(Option<Duration>, Option<Duration>), String> {
        let parse = |field: &str, text: &Option<crds::scalar::Duration>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(str::parse::<Duration>).transpose().map_err(|e| format!("{field}: {e}"))
        };
        let interval = parse("interval", &endpoint.interval)?;
        let timeout = parse("scrapeTimeout", &endpoint.scrape_timeout)?;
        let inherited = match interval {
            Some(interval) => Some(interval),
            None => parse("scrapeInterval", &self.context.spec.scrape_interval)?,
        };
        match (timeout, inherited) {
            (Some(timeout), Some(interval)) if timeout > interval => {
                Err(format!("scrapeTimeout \"{timeout}\" greater than scrapeInterval \"{interval}\""))
            }
            _ => Ok((interval, timeout)),
        }
    }

    fn discovery(&self) -> out::KubernetesSdConfig {
        let own = vec![self.key.0.clone()];
        let chosen = self.spec.namespace_selector.as_ref();
        let names = if self.context.spec.ignore_namespace_selectors == Some(true) {
            own
        } else if chosen.is_some_and(|selector| selector.any == Some(true)) {
            Vec::new()
        } else {
            chosen
                .and_then(|selector| selector.match_names.clone())
                .filter(|names| !names.is_empty())
                .unwrap_or(own)
        };
        let attach =
            self.spec.attach_metadata.as_ref().or(self.class.and_then(|c| c.attach_metadata.as_ref()));
        let role = self.role();
        let mut discovery = out::KubernetesSdConfig {
            role: Some(role),
            namespaces: (!names.is_empty())
                .then(|| out::NamespaceDiscovery { names, ..out::NamespaceDiscovery::default() }),
            attach_metadata: attach
                .and_then(|attach| attach.node)
                .map(|node| out::AttachMetadata { node: Some(node), ..out::AttachMetadata::default() }),
            ..out::KubernetesSdConfig::default()
        };
        if self.by_api_server() {
            let label = self.label_selector();
            if !label.is_empty() {
                discovery.selectors.push(out::KubernetesSelector {
                    role: Some(role),
                    label: Some(label),
                    field: None,
                });
            }
        }
        discovery
    }

    fn role(&self) -> KubernetesRole {
        let role =
            self.spec.service_discovery_role.as_ref().or(self.context.spec.service_discovery_role.as_ref());
        match role.map(|role| &role.0[..]) {
            Some("EndpointSlice") => KubernetesRole::EndpointSlice,
            _ => KubernetesRole::Endpoints,
        }
    }

    fn by_api_server(&self) -> bool {
        self.spec.selector_mechanism.as_ref().is_some_and(|mechanism| mechanism.0 == "RoleSelector")
    }

    /// The selector in the form of the API's query parameter.
    fn label_selector(&self) -> String {
        let mut parts: Vec<String> =
            self.selector.equalities().map(|(name, value)| format!("{name}={value}")).collect();
        for (requirement, operator) in &self.selector.requirements {
            let key = &requirement.key;
            let values = requirement.values.clone().unwrap_or_default().join(",");
            parts.push(match operator {
                Operator::In => format!("{key} in ({values})"),
                Operator::NotIn => format!("{key} notin ({values})"),
                Operator::Exists => key.clone(),
                Operator::DoesNotExist => format!("!{key}"),
            });
        }
        parts.join(",")
    }

    fn http(&self, endpoint: &Endpoint) -> Result<out::HttpClientConfig, String> {
        let (context, namespace) = (self.context, self.key.0.as_str());
        one_way(endpoint)?;
        let mut http = out::HttpClientConfig {
            follow_redirects: endpoint.follow_redirects,
            enable_http2: endpoint.enable_http2,
            bearer_token_file: endpoint.bearer_token_file.clone().filter(|file| !file.is_empty()),
            proxy: auth::proxy(
                context,
                namespace,
                &auth::Proxy {
                    url: endpoint.proxy_url.as_deref(),
                    none: endpoint.no_proxy.as_deref(),
                    environment: endpoint.proxy_from_environment,
                    headers: endpoint.proxy_connect_header.as_ref(),
                },
            )?,
            ..out::HttpClientConfig::default()
        };
        if let Some(oauth2) = &endpoint.oauth2 {
            http.oauth2 = Some(auth::oauth2(context, namespace, oauth2)?);
        }
        if let Some(basic) = &endpoint.basic_auth {
            http.basic_auth = Some(auth::basic(context, namespace, basic)?);
        }
        if let Some(secret) = endpoint.bearer_token_secret.as_ref().filter(|secret| !secret.name.is_empty()) {
            let token = context.materials.secret(namespace, secret);
            http.bearer_token = Some(token.map_err(|e| format!("bearerTokenSecret: {e}"))?.into());
        }
        http.authorization = self.authorization(endpoint, &http)?;
        http.tls_config = self.tls(endpoint)?;
        Ok(http)
    }

    /// The endpoint's own header, or the class' where the endpoint proves itself in no other way.
    fn authorization(
        &self,
        endpoint: &Endpoint,
        http: &out::HttpClientConfig,
    ) -> Result<Option<out::Authorization>, String> {
        let context = self.context;
        if let Some(own) = &endpoint.authorization {
            let kind = own.kind.as_deref();
            return auth::authorization(context, &self.key.0, kind, own.credentials.as_ref(), None).map(Some);
        }
        let proven = http.oauth2.is_some()
            || http.basic_auth.is_some()
            || http.bearer_token.is_some()
            || http.bearer_token_file.is_some();
        match self.class.and_then(|class| class.authorization.as_ref()) {
            Some(class) if !proven => auth::authorization(
                context,
                context.namespace,
                class.kind.as_deref(),
                class.credentials.as_ref(),
                class.credentials_file.as_deref(),
            )
            .map(Some),
            _ => Ok(None),
        }
    }

    fn tls(&self, endpoint: &Endpoint) -> Result<Option<out::TlsConfig>, String> {
        let context = self.context;
        let class = match self.class.and_then(|class| class.tls_config.as_ref()) {
            Some(tls) => Some(auth::tls(context, context.namespace, &auth::Tls::from(tls))?),
            None => None,
        };
        let Some(own) = &endpoint.tls_config else { return Ok(class) };
        let mut tls = auth::tls(context, &self.key.0, &auth::Tls::from(own))?;
        if let Some(class) = &class {
            auth::complete(&mut tls, class);
        }
        auth::check_pair(&tls)?;
        Ok(Some(tls))
    }

    fn relabelling(&self, endpoint: &Endpoint) -> Result<Vec<RelabelConfig>, String> {
        let mut rules = vec![copy("job", "__tmp_prometheus_job_name")];
        if !self.by_api_server() {
            self.select_services(&mut rules);
        }
        self.select_port(endpoint, &mut rules);
        self.name_target(&mut rules);
        if endpoint.filter_running != Some(false) {
            rules.push(filter(Action::Drop, &["__meta_kubernetes_pod_phase"], "(Failed|Succeeded)"));
        }
        self.take_labels(&mut rules);
        rules.push(RelabelConfig {
            replacement: Some("${1}".to_owned()),
            ..copy("__meta_kubernetes_service_name", "job")
        });
        if let Some(label) = self.spec.job_label.as_deref().filter(|label| !label.is_empty()) {
            rules.push(copy_present(&service_label(label), "job"));
        }
        if let Some(port) = port_name(endpoint) {
            rules.push(fixed("endpoint", &port));
        }
        if let Some(class) = self.class {
            rules.extend(self.class_rules(class.relabelings.as_deref())?);
        }
        rules.extend(
            super::relabel::rules(endpoint.relabelings.as_deref().unwrap_or_default())
                .map_err(|e| format!("relabelConfigs: {e}"))?,
        );
        rules.extend(self.enforced_namespace());
        shard(self.context.spec, &mut rules);
        Ok(rules)
    }

    fn class_rules(
        &self,
        given: Option<&[crds::scrape::RelabelConfig]>,
    ) -> Result<Vec<RelabelConfig>, String> {
        let name = self.class.map_or("", |class| &class.name);
        rules(given.unwrap_or_default()).map_err(|e| format!("scrapeClass {name:?}: {e}"))
    }

    /// Keeps the services that the selector chooses.
    fn select_services(&self, rules: &mut Vec<RelabelConfig>) {
        for (name, value) in self.selector.equalities() {
            let sources = [service_label(name), service_label_present(name)];
            rules.push(filter(Action::Keep, &[&sources[0], &sources[1]], &format!("({value});true")));
        }
        for (requirement, operator) in &self.selector.requirements {
            let (label, present) = (service_label(&requirement.key), service_label_present(&requirement.key));
            let values = requirement.values.clone().unwrap_or_default().join("|");
            rules.push(match operator {
                Operator::In => filter(Action::Keep, &[&label, &present], &format!("({values});true")),
                Operator::NotIn => filter(Action::Drop, &[&label, &present], &format!("({values});true")),
                Operator::Exists => filter(Action::Keep, &[&present], "true"),
                Operator::DoesNotExist => filter(Action::Drop, &[&present], "true"),
            });
        }
    }

    fn select_port(&self, endpoint: &Endpoint, rules: &mut Vec<RelabelConfig>) {
        let label = match (endpoint.port.as_deref().filter(|port| !port.is_empty()), &endpoint.target_port) {
            (Some(_), _) => self.endpoint_label("port_name"),
            (None, Some(IntOrString::String(_))) => "__meta_kubernetes_pod_container_port_name".to_owned(),
            (None, Some(IntOrString::Int(_))) => "__meta_kubernetes_pod_container_port_number".to_owned(),
            (None, None) => return,
        };
        if let Some(port) = port_name(endpoint) {
            rules.push(filter(Action::Keep, &[&label], &port));
        }
    }

    /// A meta label of the discovered endpoints.
    fn endpoint_label(&self, name: &str) -> String {
        match self.role() {
            KubernetesRole::EndpointSlice => format!("__meta_kubernetes_endpointslice_{name}"),
            _ => format!("__meta_kubernetes_endpoint_{name}"),
        }
    }

    /// Labels that say what a target is.
    fn name_target(&self, rules: &mut Vec<RelabelConfig>) {
        for (kind, label) in [("Node", "node"), ("Pod", "pod")] {
            rules.push(RelabelConfig {
                source_labels: vec![
                    self.endpoint_label("address_target_kind"),
                    self.endpoint_label("address_target_name"),
                ],
                separator: Some(";".to_owned()),
                regex: Some(format!("{kind};(.*)")),
                replacement: Some("${1}".to_owned()),
                target_label: Some(label.to_owned()),
                ..RelabelConfig::default()
            });
        }
        for (source, target) in [
            ("__meta_kubernetes_namespace", "namespace"),
            ("__meta_kubernetes_service_name", "service"),
            ("__meta_kubernetes_pod_name", "pod"),
            ("__meta_kubernetes_pod_container_name", "container"),
        ] {
            rules.push(copy(source, target));
        }
    }

    /// Labels of services and pods that metrics take over.
    fn take_labels(&self, rules: &mut Vec<RelabelConfig>) {
        for label in self.spec.target_labels.iter().flatten() {
            rules.push(copy_present(&service_label(label), &sanitize(label)));
        }
        let everywhere = self.context.spec.pod_target_labels.iter().flatten();
        for label in self.spec.pod_target_labels.iter().flatten().chain(everywhere) {
            let name = sanitize(label);
            rules.push(copy_present(&format!("__meta_kubernetes_pod_label_{name}"), &name));
        }
    }

    fn enforced_namespace(&self) -> Option<RelabelConfig> {
        let spec = self.context.spec;
        let label = spec.enforced_namespace_label.as_deref().filter(|label| !label.is_empty())?;
        let excluded = spec.excluded_from_enforcement.iter().flatten().any(|object| {
            &object.resource[..] == "servicemonitors"
                && object.namespace.0 == self.key.0
                && object.name.as_deref().is_none_or(|name| name.is_empty() || name == self.key.1)
        });
        (!excluded).then(|| fixed(label, &self.key.0))
    }

    fn limits(&self, job: &mut ScrapeConfig) -> Result<(), String> {
        let (own, all) = (self.spec, self.context.spec);
        job.sample_limit = enforce(own.sample_limit, all.enforced_sample_limit);
        job.target_limit = enforce(own.target_limit, all.enforced_target_limit);
        job.label_limit = enforce(own.label_limit, all.enforced_label_limit);
        job.label_name_length_limit =
            enforce(own.label_name_length_limit, all.enforced_label_name_length_limit);
        job.label_value_length_limit =
            enforce(own.label_value_length_limit, all.enforced_label_value_length_limit);
        job.keep_dropped_targets = enforce(own.keep_dropped_targets, all.enforced_keep_dropped_targets);
        job.body_size_limit =
            body_size(own.body_size_limit.as_deref(), all.enforced_body_size_limit.as_deref())?;
        job.native_histogram_bucket_limit =
            own.native_histogram_bucket_limit.and_then(|n| u64::try_from(n).ok());
        Ok(())
    }

    fn formats(&self, job: &mut ScrapeConfig) -> Result<(), String> {
        let own = self.spec;
        job.scrape_native_histograms = own.scrape_native_histograms;
        job.always_scrape_classic_histograms = own.scrape_classic_histograms;
        job.convert_classic_histograms_to_nhcb = own.convert_classic_histograms_to_nhcb;
        job.native_histogram_min_bucket_factor = match &own.native_histogram_min_bucket_factor {
            Some(quantity) => Some(
                super::global::number(quantity)
                    .map_err(|e| format!("nativeHistogramMinBucketFactor: {e}"))?,
            ),
            None => None,
        };
        job.scrape_protocols = super::global::protocols(own.scrape_protocols.as_deref())?;
        let fallback = own.fallback_scrape_protocol.as_ref();
        let fallback = fallback.or(self.class.and_then(|class| class.fallback_scrape_protocol.as_ref()));
        job.fallback_scrape_protocol = fallback
            .map(|p| p.parse())
            .transpose()
            .map_err(|e: String| format!("fallbackScrapeProtocol: {e}"))?;
        Ok(())
    }
}

/// Refuses more than one way of authentication.
fn one_way(endpoint: &Endpoint) -> Result<(), String> {
    let ways = [
        ("authorization", endpoint.authorization.is_some()),
        ("basicAuth", endpoint.basic_auth.is_some()),
        ("oauth2", endpoint.oauth2.is_some()),
    ];
    let given: Vec<&str> = ways.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    match given[..] {
        [first, second, ..] => Err(format!("{first} and {second} cannot be configured at the same time")),
        _ => Ok(()),
    }
}

/// A monitor's limit under the Prometheus' bound: the lower of the two; 0 is no limit. Where the monitor has none, the
/// global section's holds.
fn enforce(own: Option<i64>, bound: Option<i64>) -> Option<u64> {
    let own = own?;
    let limit = match bound.filter(|bound| *bound > 0) {
        Some(bound) if own == 0 || own > bound => bound,
        _ => own,
    };
    u64::try_from(limit).ok()
}

/// A monitor's body size under the Prometheus' bound; the bound where the monitor has none.
pub(crate) fn body_size(own: Option<&str>, bound: Option<&str>) -> Result<Option<Size>, String> {
    let parse = |text: Option<&str>| {
        let text = text.filter(|text| !text.is_empty());
        text.map(str::parse::<Size>).transpose().map_err(|e| format!("bodySizeLimit: {e}"))
    };
    let (own, bound) = (parse(own)?, parse(bound)?);
    Ok(match (own, bound) {
        (Some(own), Some(bound)) if own.as_bytes() == 0 || own > bound => Some(bound),
        (None, bound) => bound,
        (own, _) => own,
    })
}

fn service_label(name: &str) -> String {
    format!("__meta_kubernetes_service_label_{}", sanitize(name))
}

fn service_label_present(name: &str) -> String {
    format!("__meta_kubernetes_service_labelpresent_{}", sanitize(name))
}
