//! The operator's command line.

use crds::select::{LabelRequirement, LabelSelector};

/// Flags of `pharos operator`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Namespaces to watch, separated by commas; all where not given.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Namespaces to leave alone, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACE", conflicts_with = "namespaces")]
    pub deny_namespaces: Vec<String>,
    /// Label selector of the Prometheus resources to act on, such as `team=a,tier!=test`.
    #[arg(long, default_value = "", value_name = "SELECTOR", value_parser = parse_selector)]
    pub prometheus_instance_selector: LabelSelector,
    /// Image of this program, for the pods of servers; $PHAROS_IMAGE where not given.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Image of prometheus-config-reloader, for resources whose image is a stock Prometheus.
    #[arg(long, value_name = "IMAGE")]
    pub prometheus_config_reloader: Option<String>,
    /// Address of /metrics and /healthz.
    #[arg(long = "web.listen-address", default_value = ":8080", value_name = "ADDRESS")]
    pub listen_address: String,
    /// Level of logging: debug, info, warn or error.
    #[arg(long = "log.level", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Form of log lines: logfmt or json.
    #[arg(long = "log.format", default_value = "logfmt", value_name = "FORMAT", value_parser = ["logfmt", "json"])]
    pub log_format: String,
}

impl Options {
    /// Whether resources of this namespace are acted on.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        (self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace))
            && !self.deny_namespaces.iter().any(|n| n == namespace)
    }
}

/// Reads a selector of equalities and existences: `a=b,c!=d,e,!f`.
fn parse_selector(text: &str) -> Result<LabelSelector, String> {
    let mut requirements = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let requirement = |key: &str, operator: &str, value: Option<&str>| LabelRequirement {
            key: key.trim().to_owned(),
            operator: operator.to_owned(),
            values: value.map(|value| vec![value.trim().to_owned()]),
        };
        let parsed = if let Some((key, value)) = part.split_once("!=") {
            requirement(key, "NotIn", Some(value))
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            requirement(key, "In", Some(value))
        } else if let Some(key) = part.strip_prefix('!') {
            requirement(key, "DoesNotExist", None)
        } else {
            requirement(part, "Exists", None)
        };
        if parsed.key.is_empty() || parsed.key.contains(char::is_whitespace) {
            return Err(format!("{part:?} is no requirement: use KEY, !KEY, KEY=VALUE or KEY!=VALUE"));
        }
        requirements.push(parsed);
    }
    Ok(LabelSelector { match_expressions: Some(requirements), match_labels: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let selector = parse_selector("a=b, c!=d,e,!f").unwrap();
        let read: Vec<_> = selector.match_expressions.unwrap();
        let read: Vec<_> = read.iter().map(|r| (r.key.as_str(), r.operator.as_str())).collect();
        assert_eq!(read, [("a", "In"), ("c", "NotIn"), ("e", "Exists"), ("f", "DoesNotExist")]);
        assert!(parse_selector("a in (b)").is_err());
    }
}
