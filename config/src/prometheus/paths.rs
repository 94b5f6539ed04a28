//! Files that a configuration names relative to itself.

use super::{Config, HttpClientConfig, ScrapeConfig, ServiceDiscoveryConfigs, TlsConfig};
use std::path::Path;

/// Makes a path that is relative one below `dir`.
fn join(dir: &Path, path: &mut String) {
    if !path.is_empty() && Path::new(path).is_relative() {
        *path = dir.join(&*path).display().to_string();
    }
}

fn join_each<'a>(dir: &Path, paths: impl IntoIterator<Item = &'a mut String>) {
    paths.into_iter().for_each(|path| join(dir, path));
}

impl Config {
    /// Resolves all files that the configuration names against the directory it lies in, as Prometheus does: rule files, target
    /// files, certificates, keys, tokens.
    pub fn resolve_paths(&mut self, dir: &Path) {
        join_each(dir, &mut self.rule_files);
        join_each(dir, &mut self.scrape_config_files);
        join_each(dir, &mut self.global.query_log_file);
        join_each(dir, &mut self.global.scrape_failure_log_file);
        self.scrape_configs.iter_mut().for_each(|job| job.resolve_paths(dir));
        for alertmanagers in &mut self.alerting.alertmanagers {
            alertmanagers.http.resolve_paths(dir);
            alertmanagers.sd.resolve_paths(dir);
        }
    }
}

impl ScrapeConfig {
    /// Resolves the files that the job names against the directory of the file that it stands in.
    pub fn resolve_paths(&mut self, dir: &Path) {
        join_each(dir, &mut self.scrape_failure_log_file);
        self.http.resolve_paths(dir);
        self.sd.resolve_paths(dir);
    }
}

impl ServiceDiscoveryConfigs {
    fn resolve_paths(&mut self, dir: &Path) {
        for sd in &mut self.file_sd_configs {
            join_each(dir, &mut sd.files);
        }
        for sd in &mut self.kubernetes_sd_configs {
            join_each(dir, &mut sd.kubeconfig_file);
            sd.http.resolve_paths(dir);
        }
    }
}

impl HttpClientConfig {
    fn resolve_paths(&mut self, dir: &Path) {
        join_each(dir, &mut self.bearer_token_file);
        if let Some(basic) = &mut self.basic_auth {
            join_each(dir, &mut basic.username_file);
            join_each(dir, &mut basic.password_file);
        }
        if let Some(authorization) = &mut self.authorization {
            join_each(dir, &mut authorization.credentials_file);
        }
        if let Some(oauth2) = &mut self.oauth2 {
            join_each(dir, &mut oauth2.client_secret_file);
            join_each(dir, &mut oauth2.client_certificate_key_file);
            if let Some(tls) = &mut oauth2.tls_config {
                tls.resolve_paths(dir);
            }
        }
        if let Some(tls) = &mut self.tls_config {
            tls.resolve_paths(dir);
        }
        for header in self.http_headers.values_mut() {
            join_each(dir, &mut header.files);
        }
    }
}

impl TlsConfig {
    fn resolve_paths(&mut self, dir: &Path) {
        join_each(dir, &mut self.ca_file);
        join_each(dir, &mut self.cert_file);
        join_each(dir, &mut self.key_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_files_lie_beside_the_configuration() {
        let text = "scrape_configs:\n- job_name: a\n  bearer_token_file: t\n  tls_config: {ca_file: /abs/ca, key_file: k, cert_file: c}\n  \
                    file_sd_configs: [{files: ['../targets/*.json', '/x.yml']}]\n";
        let mut config = Config::parse(text, "prometheus.yml").unwrap();
        config.resolve_paths(Path::new("/etc/pharos"));
        let job = &config.scrape_configs[0];
        assert_eq!(job.http.bearer_token_file.as_deref(), Some("/etc/pharos/t"));
        assert_eq!(job.http.tls_config.as_ref().unwrap().ca_file.as_deref(), Some("/abs/ca"));
        assert_eq!(job.http.tls_config.as_ref().unwrap().key_file.as_deref(), Some("/etc/pharos/k"));
        assert_eq!(job.sd.file_sd_configs[0].files, ["/etc/pharos/../targets/*.json", "/x.yml"]);
    }
}
