//! The server's command line.

use super::Subject;

/// Where the server's volume is mounted.
pub(crate) const DATA: &str = "/prometheus";

/// File that a configuration reloader writes for a stock server.
pub(crate) const STOCK_CONFIG: &str = "/etc/prometheus/config_out/prometheus.env.yaml";

/// The prefix of the web paths: that of the route, or the path of the external URL.
pub(crate) fn route_prefix(subject: &Subject<'_>) -> String {
    let prefix = subject.prometheus.spec.route_prefix.as_deref().filter(|prefix| !prefix.is_empty());
    prefix.unwrap_or("/").to_owned()
}

/// All arguments, in the original's order.
pub(crate) fn arguments(subject: &Subject<'_>) -> Vec<String> {
    let spec = &subject.prometheus.spec;
    let mut out = Vec::new();
    let on = |value: Option<bool>| value == Some(true);
    let mut flag = |condition: bool, text: String| {
        if condition {
            out.push(text);
        }
    };
    if subject.is_pharos() {
        flag(true, "server".to_owned());
        flag(true, format!("--config.file=/etc/prometheus/config/{}", super::CONFIG_KEY));
        flag(true, format!("--config.kubernetes-secret={}/prometheus-{}", subject.namespace, subject.name));
    } else {
        flag(true, format!("--config.file={STOCK_CONFIG}"));
    }
    flag(true, "--web.enable-lifecycle".to_owned());
    flag(on(spec.enable_remote_write_receiver), "--web.enable-remote-write-receiver".to_owned());
    if let Some(versions) = &spec.remote_write_receiver_message_versions {
        let names = versions.iter().map(|version| match &version[..] {
            "V2.0" => "io.prometheus.write.v2.Request",
            _ => "prometheus.WriteRequest",
        });
        let names = names.collect::<Vec<_>>().join(",");
        flag(true, format!("--web.remote-write-receiver.accepted-protobuf-messages={names}"));
    }
    flag(on(spec.enable_otlp_receiver), "--web.enable-otlp-receiver".to_owned());
    if let Some(features) = spec.enable_features.as_ref().filter(|features| !features.is_empty()) {
        let names: Vec<&str> = features.iter().map(|feature| &feature[..]).collect();
        flag(true, format!("--enable-feature={}", names.join(",")));
    }
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            flag(true, format!("--{name}={value}"));
        }
    };
    text("web.external-url", spec.external_url.as_deref());
    text("web.route-prefix", Some(&route_prefix(subject)));
    text("log.level", spec.log_level.as_deref());
    text("log.format", spec.log_format.as_deref());
    text("web.listen-address", (spec.listen_local == Some(true)).then_some("127.0.0.1:9090"));
    text("storage.tsdb.path", Some(DATA));
    if subject.is_pharos() {
        // a stock server takes these from the configuration
        let unlimited = spec.retention.is_none() && spec.retention_size.is_none();
        text("storage.tsdb.retention.time", spec.retention.as_deref().or(unlimited.then_some("24h")));
        text("storage.tsdb.retention.size", spec.retention_size.as_deref());
    }
    if let Some(query) = &spec.query {
        text("query.lookback-delta", query.lookback_delta.as_deref());
        text("query.max-samples", query.max_samples.map(|n| n.to_string()).as_deref());
        text("query.max-concurrency", query.max_concurrency.map(|n| n.to_string()).as_deref());
        text("query.timeout", query.timeout.as_deref());
    }
    if let Some(web) = &spec.web {
        text("web.page-title", web.page_title.as_deref());
        text("web.max-connections", web.max_connections.map(|n| n.to_string()).as_deref());
    }
    if let Some(alert) = spec.rules.as_ref().and_then(|rules| rules.alert.as_ref()) {
        text("rules.alert.for-outage-tolerance", alert.for_outage_tolerance.as_deref());
        text("rules.alert.for-grace-period", alert.for_grace_period.as_deref());
        text("rules.alert.resend-delay", alert.resend_delay.as_deref());
    }
    flag(on(spec.enable_admin_api), "--web.enable-admin-api".to_owned());
    match spec.wal_compression {
        Some(true) => flag(true, "--storage.tsdb.wal-compression".to_owned()),
        Some(false) => flag(true, "--no-storage.tsdb.wal-compression".to_owned()),
        None => {}
    }
    if !subject.is_pharos() {
        flag(true, "--web.config.file=/etc/prometheus/web_config/web-config.yaml".to_owned());
    }
    if on(spec.disable_compaction) {
        flag(true, "--storage.tsdb.max-block-duration=2h".to_owned());
        flag(true, "--storage.tsdb.min-block-duration=2h".to_owned());
    }
    for argument in spec.additional_args.iter().flatten() {
        let value = argument.value.as_ref().filter(|value| !value.is_empty());
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        flag(true, format!("--{}{value}", &argument.name[..]));
    }
    out
}
