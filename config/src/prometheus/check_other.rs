//! What is known of discoveries that are not acted on: what they require, and which words they take.

use super::job::Problem;
use crate::yaml::Raw;

/// One thing that must hold.
enum Rule {
    /// The field must have a value.
    Needs(&'static str),
    /// The field's value, where set, is one of these.
    Word(&'static str, &'static [&'static str]),
    /// Not both may be set.
    NotBoth(&'static str, &'static str),
    /// One of them must be set.
    Either(&'static str, &'static str),
    /// The field is an `http` or `https` URL with a host.
    Url(&'static str),
}
use Rule::{Either, Needs, NotBoth, Url, Word};

const RULES: &[(&str, &[Rule])] = &[
    (
        "azure_sd_configs",
        &[
            Word("authentication_method", &["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"]),
            Needs("subscription_id"),
        ],
    ),
    ("dns_sd_configs", &[Needs("names"), Word("type", &["A", "AAAA", "MX", "NS", "SRV"])]),
    ("eureka_sd_configs", &[Url("server")]),
    ("gce_sd_configs", &[Needs("project"), Needs("zone")]),
    ("hetzner_sd_configs", &[Word("role", &["robot", "hcloud"]), Needs("role")]),
    ("http_sd_configs", &[Url("url")]),
    ("kuma_sd_configs", &[Needs("server")]),
    (
        "marathon_sd_configs",
        &[
            Needs("servers"),
            NotBoth("auth_token", "auth_token_file"),
            NotBoth("auth_token", "basic_auth"),
            NotBoth("auth_token", "bearer_token"),
            NotBoth("auth_token", "authorization"),
            NotBoth("auth_token_file", "basic_auth"),
            NotBoth("auth_token_file", "bearer_token"),
        ],
    ),
    ("nerve_sd_configs", &[Needs("servers"), Needs("paths")]),
    ("serverset_sd_configs", &[Needs("servers"), Needs("paths")]),
    (
        "oci_sd_configs",
        &[Word("auth", &["api_key", "instance_principal", "workload_identity", "resource_principal"])],
    ),
    (
        "openstack_sd_configs",
        &[
            Word("availability", &["public", "internal", "admin"]),
            Needs("role"),
            Word("role", &["hypervisor", "instance", "loadbalancer"]),
            Needs("region"),
        ],
    ),
    (
        "outscale_sd_configs",
        &[Either("secret_key", "secret_key_file"), NotBoth("secret_key", "secret_key_file")],
    ),
    (
        "ovhcloud_sd_configs",
        &[Needs("endpoint"), Needs("application_key"), Needs("application_secret"), Needs("consumer_key")],
    ),
    ("puppetdb_sd_configs", &[Url("url"), Needs("query")]),
    (
        "scaleway_sd_configs",
        &[
            Word("role", &["baremetal", "instance"]),
            Needs("role"),
            Either("secret_key", "secret_key_file"),
            NotBoth("secret_key", "secret_key_file"),
        ],
    ),
    ("uyuni_sd_configs", &[Needs("server"), Needs("username"), Needs("password")]),
    ("triton_sd_configs", &[Needs("account"), Needs("dns_suffix"), Needs("endpoint")]),
];

/// Checks one configuration of the discovery called `name`.
pub(super) fn check(name: &str, config: &Raw) -> Result<(), Problem> {
    let rules = RULES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, rules)| rules);
    let has = |field: &str| config.get(field).is_some_and(|value| !value.is_empty());
    for rule in rules {
        match rule {
            Needs(field) if !has(field) => return Err(Problem::new(*field, "missing")),
            Word(field, words) => {
                let word = config.get(field).and_then(Raw::as_str).unwrap_or("");
                if !word.is_empty() && !words.contains(&word) {
                    let message = format!("unknown value {word:?}, expected one of {}", words.join(", "));
                    return Err(Problem::new(*field, message));
                }
            }
            NotBoth(a, b) if has(a) && has(b) => {
                return Err(Problem::new(*b, format!("cannot be set together with {a}")));
            }
            Either(a, b) if !has(a) && !has(b) => {
                return Err(Problem::new(*a, format!("{a} or {b} must be set")));
            }
            Url(field) => check_url(field, config.get(field).and_then(Raw::as_str).unwrap_or(""))?,
            _ => {}
        }
    }
    if name == "azure_sd_configs" { check_azure(config) } else { check_filters(config) }
}

fn check_url(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::new(field, "missing"));
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        None => Err(Problem::new(field, "the URL scheme must be `http` or `https`")),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => {
            Err(Problem::new(field, "the URL has no host"))
        }
        Some(_) => Ok(()),
    }
}

/// OAuth, the default method, needs the client's identity.
fn check_azure(config: &Raw) -> Result<(), Problem> {
    let text = |field: &str| config.get(field).and_then(Raw::as_str).unwrap_or("");
    if !matches!(text("authentication_method"), "" | "OAuth") {
        return Ok(());
    }
    match ["tenant_id", "client_id", "client_secret"].into_iter().find(|field| text(field).is_empty()) {
        Some(field) => Err(Problem::new(field, "authentication method OAuth needs it")),
        None => Ok(()),
    }
}

/// Filters of Amazon's discoveries need values.
fn check_filters(config: &Raw) -> Result<(), Problem> {
    let Some(Raw::List(filters)) = config.get("filters") else { return Ok(()) };
    for (i, filter) in filters.iter().enumerate() {
        let empty = filter.get("values").is_none_or(Raw::is_empty);
        if empty && filter.get("name").is_some() {
            return Err(Problem::new(format!("filters[{i}].values"), "an EC2 filter must have values"));
        }
    }
    Ok(())
}
