//! The sections of a configuration that are no jobs.

use super::Context;
use super::service_monitor::body_size;
use config::Duration;
use config::prometheus as out;
use config::prometheus::{Config, GlobalConfig, ScrapeProtocol};
use crds::prometheus::PrometheusSpec;
use crds::scalar::Quantity;

/// Number of ConfigMaps that rule files are divided among: as many are mounted from the beginning, so that a new rule
/// needs no new pod.
pub(crate) const RULE_MAPS: usize = 3;

/// Directory of log files that are named without one.
const LOGS: &str = "/var/log/prometheus";

/// All sections but the jobs.
pub(crate) fn config(context: &Context<'_>, name: &str) -> Result<Config, String> {
    let spec = context.spec;
    let rules =
        (0..RULE_MAPS).map(|i| format!("/etc/prometheus/rules/prometheus-{name}-rulefiles-{i}/*.yaml"));
    Ok(Config {
        global: global(context, name)?,
        runtime: out::RuntimeConfig { gogc: spec.runtime.as_ref().and_then(|r| r.go_gc).map(i64::from) },
        rule_files: rules.collect(),
        storage: storage(spec)?,
        otlp: otlp(spec)?,
        ..Config::default()
    })
}

fn global(context: &Context<'_>, name: &str) -> Result<GlobalConfig, String> {
    let spec = context.spec;
    let mut global = GlobalConfig {
        // the API server fills in 30s; so do we where it has not
        scrape_interval: Some(
            time("scrapeInterval", spec.scrape_interval.as_deref())?.unwrap_or(HALF_A_MINUTE),
        ),
        scrape_timeout: time("scrapeTimeout", spec.scrape_timeout.as_deref())?,
        evaluation_interval: Some(
            time("evaluationInterval", spec.evaluation_interval.as_deref())?.unwrap_or(HALF_A_MINUTE),
        ),
        rule_query_offset: time("ruleQueryOffset", spec.rule_query_offset.as_deref())?,
        scrape_protocols: protocols(spec.scrape_protocols.as_deref())?,
        query_log_file: log_file(spec.query_log_file.as_deref()),
        scrape_failure_log_file: log_file(spec.scrape_failure_log_file.as_deref()),
        scrape_native_histograms: spec.scrape_native_histograms,
        always_scrape_classic_histograms: spec.scrape_classic_histograms,
        convert_classic_histograms_to_nhcb: spec.convert_classic_histograms_to_nhcb,
        body_size_limit: body_size(
            spec.body_size_limit.as_deref(),
            spec.enforced_body_size_limit.as_deref(),
        )?,
        sample_limit: limit(spec.sample_limit, spec.enforced_sample_limit),
        target_limit: limit(spec.target_limit, spec.enforced_target_limit),
        label_limit: limit(spec.label_limit, spec.enforced_label_limit),
        label_name_length_limit: limit(spec.label_name_length_limit, spec.enforced_label_name_length_limit),
        label_value_length_limit: limit(
            spec.label_value_length_limit,
            spec.enforced_label_value_length_limit,
        ),
        keep_dropped_targets: limit(spec.keep_dropped_targets, spec.enforced_keep_dropped_targets),
        ..GlobalConfig::default()
    };
    match (global.scrape_timeout, global.scrape_interval) {
        (Some(timeout), Some(interval)) if timeout > interval => {
            return Err(format!("scrapeTimeout \"{timeout}\" greater than scrapeInterval \"{interval}\""));
        }
        _ => {}
    }
    if let Some(scheme) = &spec.name_validation_scheme {
        global.metric_name_validation_scheme = Some(scheme.to_lowercase().parse()?);
    }
    if let Some(scheme) = &spec.name_escaping_scheme {
        let word = if scheme.0 == "AllowUTF8" { "allow-utf-8".to_owned() } else { scheme.to_lowercase() };
        global.metric_name_escaping_scheme = Some(word.parse()?);
    }
    external_labels(context, name, &mut global);
    Ok(global)
}

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// The user's labels, and those that name the Prometheus and, in the place of `$(POD_NAME)`, the replica.
fn external_labels(context: &Context<'_>, name: &str, global: &mut GlobalConfig) {
    let spec = context.spec;
    let mut labels = spec.external_labels.clone().unwrap_or_default();
    let named = |label: &Option<String>, default: &str| label.clone().unwrap_or_else(|| default.to_owned());
    let prometheus = named(&spec.prometheus_external_label_name, "prometheus");
    let replica = named(&spec.replica_external_label_name, "prometheus_replica");
    if !prometheus.is_empty() {
        labels.insert(prometheus, format!("{}/{name}", context.namespace));
    }
    if !replica.is_empty() {
        labels.insert(replica, "$(POD_NAME)".to_owned());
    }
    global.external_labels = labels.into_iter().collect();
}

/// The global limit: the user's under the enforced bound, or the bound itself.
fn limit(own: Option<i64>, bound: Option<i64>) -> Option<u64> {
    let bound = bound.filter(|bound| *bound > 0);
    let limit = match (own, bound) {
        (Some(own), Some(bound)) if own == 0 || own > bound => Some(bound),
        (None, bound) => bound,
        (own, _) => own,
    };
    limit.and_then(|limit| u64::try_from(limit).ok())
}

fn log_file(path: Option<&str>) -> Option<String> {
    let path = path.filter(|path| !path.is_empty())?;
    Some(if path.contains('/') { path.to_owned() } else { format!("{LOGS}/{path}") })
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    let text = text.filter(|text| !text.is_empty());
    text.map(str::parse::<Duration>).transpose().map_err(|e| format!("{field}: {e}"))
}

/// How long a server without any retention keeps its data.
const DEFAULT_RETENTION: Duration = Duration::from_secs(24 * 3600);

fn storage(spec: &PrometheusSpec) -> Result<out::StorageConfig, String> {
    let mut retention = out::RetentionConfig {
        time: time("retention", spec.retention.as_deref())?,
        size: spec
            .retention_size
            .as_deref()
            .filter(|size| !size.is_empty())
            .map(str::parse)
            .transpose()
            .map_err(|e: String| format!("retentionSize: {e}"))?,
        percentage: None,
    };
    if retention.time.is_none() && retention.size.is_none() {
        retention.time = Some(DEFAULT_RETENTION);
    }
    let tsdb = spec.tsdb.as_ref();
    let threshold = tsdb.and_then(|tsdb| tsdb.stale_series_compaction_threshold.as_ref());
    let encoding = tsdb.and_then(|tsdb| tsdb.chunk_encoding.as_ref()).and_then(|e| e.floats.as_ref());
    Ok(out::StorageConfig {
        tsdb: Some(out::TsdbConfig {
            out_of_order_time_window: time(
                "tsdb.outOfOrderTimeWindow",
                tsdb.and_then(|tsdb| tsdb.out_of_order_time_window.as_deref()),
            )?,
            stale_series_compaction_threshold: threshold.map(number).transpose()?,
            chunk_encoding: encoding
                .map(|floats| floats.to_lowercase().parse())
                .transpose()?
                .map(|floats| out::ChunkEncodingConfig { floats: Some(floats) }),
            retention: Some(retention),
        }),
        exemplars: spec
            .exemplars
            .as_ref()
            .and_then(|exemplars| exemplars.max_size)
            .map(|max| out::ExemplarsConfig { max_exemplars: Some(max) }),
    })
}

fn otlp(spec: &PrometheusSpec) -> Result<out::OtlpConfig, String> {
    let Some(otlp) = &spec.otlp else { return Ok(out::OtlpConfig::default()) };
    let names = |names: &Option<Vec<crds::scalar::NonEmpty>>| {
        names.iter().flatten().map(|name| name.0.clone()).collect::<Vec<_>>()
    };
    Ok(out::OtlpConfig {
        promote_all_resource_attributes: otlp.promote_all_resource_attributes,
        promote_resource_attributes: names(&otlp.promote_resource_attributes),
        ignore_resource_attributes: names(&otlp.ignore_resource_attributes),
        translation_strategy: otlp.translation_strategy.as_ref().map(|s| s.parse()).transpose()?,
        keep_identifying_resource_attributes: otlp.keep_identifying_resource_attributes,
        convert_histograms_to_nhcb: otlp.convert_histograms_to_nhcb,
        promote_scope_metadata: otlp.promote_scope_metadata,
        label_name_underscore_sanitization: otlp.label_name_underscore_sanitization,
        label_name_preserve_multiple_underscores: otlp.label_name_preserve_multiple_underscores,
    })
}

/// Formats by name.
pub(crate) fn protocols(
    given: Option<&[crds::scalar::ScrapeProtocol]>,
) -> Result<Vec<ScrapeProtocol>, String> {
    let given = given.unwrap_or_default().iter();
    given.map(|protocol| protocol.parse().map_err(|e: String| format!("scrapeProtocols: {e}"))).collect()
}

/// A quantity as a number: `1.1`, `250m`, `2k`. Digits times a power, so that the result is, to the last bit, what
/// Kubernetes' own arithmetic gives.
pub(crate) fn number(quantity: &Quantity) -> Result<f64, String> {
    let text = match quantity {
        Quantity::Integer(whole) => return Ok(*whole as f64),
        Quantity::Text(text) => text,
    };
    let invalid = || format!("invalid quantity {text:?}");
    let at = text.find(|c: char| !c.is_ascii_digit() && !".+-".contains(c)).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(at);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa: f64 = format!("{whole}{fraction}").parse().map_err(|_| invalid())?;
    let scale = -i32::try_from(fraction.len()).map_err(|_| invalid())?;
    let (decimal, binary) = match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 1),
        "Mi" => (0, 2),
        "Gi" => (0, 3),
        "Ti" => (0, 4),
        "Pi" => (0, 5),
        "Ei" => (0, 6),
        exponent => {
            let exponent = exponent.strip_prefix(['e', 'E']).ok_or_else(invalid)?;
            (exponent.parse().map_err(|_| invalid())?, 0)
        }
    };
    Ok(mantissa * 10f64.powi(scale + decimal) * 1024f64.powi(binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, expected) in
            [("1.1", 1.1), ("250m", 0.25), ("2k", 2000.0), ("1.5Ki", 1536.0), ("1e3", 1000.0)]
        {
            assert_eq!(number(&Quantity::Text(text.to_owned())), Ok(expected), "{text}");
        }
        assert!(number(&Quantity::Text("1x".to_owned())).is_err());
        assert_eq!(number(&Quantity::Integer(2)), Ok(2.0));
    }
}
