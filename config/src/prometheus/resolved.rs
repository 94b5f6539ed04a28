//! The configuration as it is shown to people: with the defaults filled in that hold where the file says nothing.

use super::*;
use crate::{Duration, Size};

impl Config {
    /// The configuration with the defaults that Prometheus shows at `/api/v1/status/config`. Sections that are not there stay away: those of Go
    /// and OTLP, say.
    pub fn resolved(&self) -> Config {
        let mut resolved = self.clone();
        let global = &mut resolved.global;
        global.scrape_interval = Some(self.global.effective_scrape_interval());
        global.scrape_timeout = Some(self.global.effective_scrape_timeout());
        global.evaluation_interval = Some(self.global.effective_evaluation_interval());
        global.metric_name_validation_scheme.get_or_insert(ValidationScheme::Utf8);
        global.scrape_native_histograms.get_or_insert(false);
        global.extra_scrape_metrics.get_or_insert(false);
        for scrape in &mut resolved.scrape_configs {
            scrape.fill(&self.global);
        }
        fill_rules(&mut resolved.alerting.alert_relabel_configs);
        for alertmanager in &mut resolved.alerting.alertmanagers {
            alertmanager.fill();
        }
        if let Some(exemplars) = &mut resolved.storage.exemplars {
            exemplars.max_exemplars.get_or_insert(100_000);
        }
        for remote in &mut resolved.remote_write {
            remote.fill();
        }
        for remote in &mut resolved.remote_read {
            remote.remote_timeout.get_or_insert(Duration::from_secs(60));
            remote.chunked_read_limit.get_or_insert(50_000_000);
            remote.filter_external_labels.get_or_insert(true);
            remote.http.fill(true);
        }
        resolved
    }
}

fn fill_rules(rules: &mut [RelabelConfig]) {
    rules.iter_mut().for_each(RelabelConfig::fill);
}

impl ScrapeConfig {
    fn fill(&mut self, global: &GlobalConfig) {
        let limits = self.limits(global);
        let some = |limit: u64| Some(limit).filter(|limit| *limit > 0);
        self.body_size_limit = some(limits.body_size).map(Size::from_bytes);
        self.sample_limit = some(limits.samples);
        self.target_limit = some(limits.targets);
        self.label_limit = some(limits.labels);
        self.label_name_length_limit = some(limits.label_name_length);
        self.label_value_length_limit = some(limits.label_value_length);
        self.keep_dropped_targets = some(limits.keep_dropped_targets);
        self.scrape_interval = Some(self.effective_interval(global));
        self.scrape_timeout = Some(self.effective_timeout(global));
        self.scrape_protocols = self.effective_protocols(global);
        self.metric_name_escaping_scheme = Some(self.effective_escaping(global));
        let legacy = self.legacy_names(global);
        self.metric_name_validation_scheme =
            Some(if legacy { ValidationScheme::Legacy } else { ValidationScheme::Utf8 });
        self.honor_timestamps.get_or_insert(true);
        self.track_timestamps_staleness.get_or_insert(false);
        let switch = |own: &mut Option<bool>, global: Option<bool>| *own = own.or(global).or(Some(false));
        switch(&mut self.scrape_native_histograms, global.scrape_native_histograms);
        switch(&mut self.always_scrape_classic_histograms, global.always_scrape_classic_histograms);
        switch(&mut self.convert_classic_histograms_to_nhcb, global.convert_classic_histograms_to_nhcb);
        switch(&mut self.extra_scrape_metrics, global.extra_scrape_metrics);
        if self.scrape_failure_log_file.is_none() {
            self.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
        }
        self.metrics_path.get_or_insert_with(|| "/metrics".to_owned());
        self.scheme.get_or_insert_with(|| "http".to_owned());
        self.enable_compression.get_or_insert(true);
        self.http.fill(true);
        fill_rules(&mut self.relabel_configs);
        fill_rules(&mut self.metric_relabel_configs);
        self.sd.fill();
    }
}

impl RelabelConfig {
    fn fill(&mut self) {
        let defaults = model::relabel::Rule::default();
        // the usual expression is not shown by the original either
        self.separator.get_or_insert(defaults.separator);
        self.replacement.get_or_insert(defaults.replacement);
        self.action.get_or_insert(defaults.action);
    }
}

impl HttpClientConfig {
    fn fill(&mut self, http2: bool) {
        self.follow_redirects.get_or_insert(true);
        self.enable_http2.get_or_insert(http2);
        // the older form is another spelling
        if self.bearer_token.is_some() || self.bearer_token_file.is_some() {
            let authorization = self.authorization.get_or_insert_default();
            authorization.credentials = self.bearer_token.take();
            authorization.credentials_file = self.bearer_token_file.take();
        }
        if let Some(authorization) = &mut self.authorization {
            authorization.type_.get_or_insert_with(|| "Bearer".to_owned());
        }
    }
}

impl ServiceDiscoveryConfigs {
    fn fill(&mut self) {
        for kubernetes in &mut self.kubernetes_sd_configs {
            kubernetes.http.fill(true);
        }
        for file in &mut self.file_sd_configs {
            file.refresh_interval.get_or_insert(DEFAULT_FILE_REFRESH);
        }
    }
}

impl AlertmanagerConfig {
    fn fill(&mut self) {
        self.http.fill(true);
        self.scheme.get_or_insert_with(|| "http".to_owned());
        self.timeout.get_or_insert(Duration::from_secs(10));
        self.api_version.get_or_insert(AlertmanagerApiVersion::V2);
        fill_rules(&mut self.relabel_configs);
        fill_rules(&mut self.alert_relabel_configs);
        self.sd.fill();
    }
}

impl RemoteWriteConfig {
    fn fill(&mut self) {
        self.remote_timeout.get_or_insert(Duration::from_secs(30));
        self.protobuf_message.get_or_insert(WriteMessage::V1);
        self.http.fill(false);
        fill_rules(&mut self.write_relabel_configs);
        let queue = self.queue_config.get_or_insert_default();
        queue.capacity.get_or_insert(10_000);
        queue.max_shards.get_or_insert(50);
        queue.min_shards.get_or_insert(1);
        queue.max_samples_per_send.get_or_insert(2000);
        queue.batch_send_deadline.get_or_insert(Duration::from_secs(5));
        queue.min_backoff.get_or_insert(Duration::from_ms(30));
        queue.max_backoff.get_or_insert(Duration::from_secs(5));
        let metadata = self.metadata_config.get_or_insert_default();
        metadata.send.get_or_insert(true);
        metadata.send_interval.get_or_insert(Duration::from_secs(60));
        metadata.max_samples_per_send.get_or_insert(2000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_leaves_open_is_filled_in() {
        let file = "global: {scrape_timeout: 3s, sample_limit: 7}\n\
             scrape_configs:\n\
             - {job_name: a, bearer_token: x, relabel_configs: [{source_labels: [b], target_label: c}]}\n\
             - {job_name: b, scrape_interval: 2s, sample_limit: 9, metrics_path: /m}\n\
             remote_write: [{url: 'http://h/'}]\n";
        let config = Config::parse(file, "test").unwrap();
        let shown = config.resolved().to_yaml_redacted();
        for part in [
            "  scrape_interval: 1m\n  scrape_timeout: 3s\n  evaluation_interval: 1m\n",
            "- job_name: a\n  honor_timestamps: true\n  track_timestamps_staleness: false\n  scrape_interval: 1m\n  scrape_timeout: 3s\n",
            "  metrics_path: /metrics\n  scheme: http\n  enable_compression: true\n  sample_limit: 7\n",
            "  authorization:\n    type: Bearer\n    credentials: <secret>\n  follow_redirects: true\n  enable_http2: true\n",
            "    separator: ';'\n    target_label: c\n    replacement: $1\n    action: replace\n",
            "  scrape_interval: 2s\n  scrape_timeout: 2s\n",
            "  metrics_path: /m\n",
            "  sample_limit: 9\n",
            "  remote_timeout: 30s\n",
            "    batch_send_deadline: 5s\n",
        ] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
        assert!(!shown.contains("bearer_token") && !shown.contains("gogc"), "{shown}");
        let again = Config::parse(&shown, "shown").unwrap();
        assert_eq!(again.resolved().to_yaml_redacted(), shown, "what is shown is a configuration");
        let (same, meant) = (again.jobs().unwrap(), config.resolved().jobs().unwrap());
        assert_eq!(same[1], meant[1], "and means the same");
    }
}
