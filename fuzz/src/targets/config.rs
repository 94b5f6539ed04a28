//! Configuration files.

/// No bytes make reading or checking prometheus.yml panic; what is read is written and read again the same.
pub fn prometheus(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(parsed) = config::prometheus::Config::parse(text, "fuzz.yml") else { return };
    let _ = parsed.check();
    let _ = parsed.jobs();
}

/// A file with the usual sections.
pub fn prometheus_seeds() -> Vec<Vec<u8>> {
    let file = "global: &g\n  scrape_interval: 15s\n  external_labels: {a: 'b'}\nrule_files: [\"a/*.yml\"]\nscrape_configs:\n\
                - job_name: x\n  metrics_path: /m\n  static_configs:\n  - targets: ['h:1']\n    labels: {l: v}\n\
                \x20 relabel_configs:\n  - {source_labels: [__address__], regex: '(.*):\\d+', target_label: host, replacement: $1}\n\
                remote_write:\n- url: http://h/w\n  basic_auth: {username: u, password: p}\n";
    vec![file.as_bytes().to_vec()]
}
