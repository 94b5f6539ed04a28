//! What service discoveries must fulfil beyond the types of their fields.

use super::check::{at_most_one, within};
use super::job::Problem;
use super::*;
use crate::yaml::Raw;

type Checked = Result<(), Problem>;

fn fail(path: impl Into<String>, message: impl Into<String>) -> Checked {
    Err(Problem::new(path, message))
}

impl ServiceDiscoveryConfigs {
    /// `relabelled`: relabelling may yet make addresses of targets that are none.
    pub(super) fn check(&self, relabelled: bool) -> Checked {
        for (i, config) in self.static_configs.iter().enumerate().filter(|_| !relabelled) {
            within(&format!("static_configs[{i}]"), config.check())?;
        }
        for (i, config) in self.file_sd_configs.iter().enumerate() {
            within(&format!("file_sd_configs[{i}]"), config.check())?;
        }
        for (i, config) in self.kubernetes_sd_configs.iter().enumerate() {
            within(&format!("kubernetes_sd_configs[{i}]"), config.check())?;
        }
        self.other.check()
    }
}

impl StaticConfig {
    fn check(&self) -> Checked {
        if let Some(i) = self.targets.iter().position(|t| t.contains('/')) {
            return fail(format!("targets[{i}]"), format!("{:?} is not a valid hostname", self.targets[i]));
        }
        if self.labels.keys().any(String::is_empty) {
            return fail("labels", "a label name must not be empty");
        }
        Ok(())
    }
}

impl FileSdConfig {
    fn check(&self) -> Checked {
        if self.files.is_empty() {
            return fail("files", "file service discovery must contain at least one path name");
        }
        for (i, path) in self.files.iter().enumerate() {
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            let known = ["json", "yml", "yaml"].iter().any(|e| ending.eq_ignore_ascii_case(e));
            let pattern_in_folder = path.find('*').is_some_and(|at| path[at..].contains('/'));
            if !known || pattern_in_folder {
                return fail(
                    format!("files[{i}]"),
                    format!("path name {path:?} is not valid for file discovery"),
                );
            }
        }
        Ok(())
    }
}

impl KubernetesSdConfig {
    fn check(&self) -> Checked {
        let Some(role) = self.role else {
            return fail("role", "missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
        };
        self.http.check()?;
        let kubeconfig = self.kubeconfig_file.as_deref().is_some_and(|f| !f.is_empty());
        let api_server = self.api_server.as_deref().is_some_and(|s| !s.is_empty());
        if kubeconfig && api_server {
            return fail("kubeconfig_file", "cannot be set together with api_server");
        }
        let mut plain = self.http.clone();
        (plain.follow_redirects, plain.enable_http2) =
            (plain.follow_redirects.filter(|f| !f), plain.enable_http2.filter(|h| !h));
        let custom_client = plain != HttpClientConfig::default();
        if kubeconfig && custom_client {
            return fail("kubeconfig_file", "cannot be set together with a custom HTTP client configuration");
        }
        if !api_server && custom_client {
            return fail("api_server", "must be set where the HTTP client configuration is custom");
        }
        let own = self.namespaces.as_ref().is_some_and(|n| n.own_namespace == Some(true));
        if own && (api_server || kubeconfig) {
            let with = if api_server { "api_server" } else { "kubeconfig_file" };
            return fail("namespaces.own_namespace", format!("cannot be set together with {with}"));
        }
        self.check_selectors(role)
    }

    fn check_selectors(&self, role: KubernetesRole) -> Checked {
        use KubernetesRole::{EndpointSlice, Endpoints, Node, Pod, Service};
        let allowed: &[KubernetesRole] = match role {
            Endpoints => &[Pod, Service, Endpoints],
            EndpointSlice => &[Pod, Service, EndpointSlice],
            Pod => &[Pod, Node],
            _ => &[role],
        };
        for (i, selector) in self.selectors.iter().enumerate() {
            let path = format!("selectors[{i}]");
            let Some(of) = selector.role else { return fail(path + ".role", "missing") };
            if !allowed.contains(&of) {
                return fail(path + ".role", format!("role {role} takes no selector of role {of}"));
            }
            if self.selectors[..i].iter().any(|s| s.role == selector.role) {
                return fail(path + ".role", format!("duplicated selector role {of}"));
            }
            if let Some(bad) = selector.field.as_deref().and_then(bad_field_term) {
                return fail(path + ".field", format!("{bad:?} is not a field selector"));
            }
            if let Some(bad) = selector.label.as_deref().and_then(bad_label_term) {
                return fail(path + ".label", format!("{bad:?} is not a label selector"));
            }
        }
        Ok(())
    }
}

/// The first term that is not `path=value`, `path==value` or `path!=value`.
fn bad_field_term(selector: &str) -> Option<&str> {
    selector.split(',').find(|term| !term.is_empty() && !term.contains('='))
}

/// The first term that is none of `key`, `!key`, `key=value`, `key!=value`, `key in (…)`, `key notin (…)`.
fn bad_label_term(selector: &str) -> Option<&str> {
    let mut depth = 0i32;
    let terms = selector.split(move |c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    let is_key = |key: &str| {
        let key = key.trim();
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    let is_good = |term: &str| {
        let term = term.trim();
        if let Some((key, set)) = term.split_once('(') {
            let key = key.trim_end();
            let key = key.strip_suffix(" notin").or_else(|| key.strip_suffix(" in"));
            return key.is_some_and(is_key) && set.ends_with(')');
        }
        if let Some((key, value)) = term.split_once('=') {
            let value = value.strip_prefix('=').unwrap_or(value).trim();
            return is_key(key.strip_suffix('!').unwrap_or(key)) && (value.is_empty() || is_key(value));
        }
        if let Some((key, number)) = term.split_once(['<', '>']) {
            return is_key(key) && number.trim().parse::<i64>().is_ok();
        }
        is_key(term.strip_prefix('!').unwrap_or(term))
    };
    if selector.trim().is_empty() {
        return None;
    }
    let mut terms = terms;
    terms.find(|term| !is_good(term))
}

impl OtherDiscoveryConfigs {
    fn check(&self) -> Checked {
        for (name, configs) in self.present() {
            for (i, config) in configs.iter().enumerate() {
                let path = format!("{name}[{i}]");
                let Raw::Map(fields) = config else { return fail(path, "expected a map") };
                let set = |field: &'static str| (field, fields.contains_key(field));
                within(&path, at_most_one(&[set("bearer_token"), set("bearer_token_file")]))?;
                within(
                    &path,
                    at_most_one(&[
                        set("basic_auth"),
                        set("authorization"),
                        set("oauth2"),
                        set("bearer_token"),
                    ]),
                )?;
                within(&path, super::check_other::check(name, config))?;
            }
        }
        Ok(())
    }
}
