//! Configuration: loaded at the start, and again at SIGHUP, at `/-/reload`, and when its Secret changes. One that cannot be
//! used leaves the old one in force.

use crate::State;
use config::prometheus::Config;
use discovery::kubernetes::secret;
use discovery::{DiscoveryManager, Groups};
use runtime::Stage;
use scrape::Job;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A file, gzipped where its name ends in `.gz`.
    File(PathBuf),
    /// A text made by the program itself (`pharos up`).
    Inline(String),
}

impl ConfigSource {
    /// Where relative paths begin: beside the file.
    fn dir(&self) -> &Path {
        match self {
            ConfigSource::File(path) => path.parent().unwrap_or(Path::new("")),
            ConfigSource::Inline(_) => Path::new(""),
        }
    }
}

impl std::fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConfigSource::File(path) => path.display().fmt(f),
            ConfigSource::Inline(_) => f.write_str(BUILT_IN),
        }
    }
}

/// What stands in the place of a file's name.
const BUILT_IN: &str = "built-in configuration";

/// The configuration in force.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) loaded_ms: i64,
    pub(crate) last_reload_ok: bool,
}

/// A configuration that was read and found usable.
pub(crate) struct Prepared {
    config: Config,
    jobs: Vec<Job>,
    read_ms: i64,
}

impl Prepared {
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

/// A wish to load anew; the answer says why it failed.
pub(crate) struct ReloadRequest {
    pub(crate) reply: Option<oneshot::Sender<Result<(), String>>>,
}

/// A configuration is text that people or an operator wrote: what unfolds to more is an attack.
const MAX_CONFIG_BYTES: u64 = 256 << 20;

/// Reads and parses.
pub(crate) fn load(source: &ConfigSource, now_ms: i64) -> Result<Prepared, String> {
    let (text, name) = match source {
        ConfigSource::Inline(text) => (text.clone(), BUILT_IN.to_owned()),
        ConfigSource::File(path) => (read(path)?, path.display().to_string()),
    };
    parse(&text, &name, source.dir(), now_ms)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("open {}: {e}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(file)
            .take(MAX_CONFIG_BYTES)
            .read_to_string(&mut text)
            .map_err(failed)?;
        text = expand_environment(&text, |name| std::env::var(name).ok());
    } else {
        file.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

/// Replaces `$(NAME)` by the environment's value where it has one. The operator writes one configuration for all pods:
/// `$(POD_NAME)` and `$(SHARD)` stand for what differs. A file that a person wrote is taken as it is.
fn expand_environment(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("$(") {
        let (before, reference) = rest.split_at(at);
        out.push_str(before);
        let found = reference[2..].split_once(')').and_then(|(name, after)| Some((variable(name)?, after)));
        match found {
            Some((value, after)) => {
                out.push_str(&value);
                rest = after;
            }
            None => {
                out.push_str("$(");
                rest = &reference[2..];
            }
        }
    }
    out + rest
}

/// A file with scrape jobs.
struct JobFile {
    name: String,
    text: String,
    /// Number of its first job among all.
    first: usize,
}

impl JobFile {
    /// The error with file, line and field.
    fn place(&self, job: usize, error: &scrape::job::Error) -> String {
        let dot = if error.cause.field.is_empty() { "" } else { "." };
        let path = format!("scrape_configs[{}]{dot}{}", job - self.first, error.cause.field);
        let line =
            config::prometheus::line_of(&self.text, &path).map(|l| format!(":{l}")).unwrap_or_default();
        format!("{}{line}: {path}: {} (job {:?})", self.name, error.cause.reason, error.job)
    }
}

/// `dir` is where relative paths begin.
fn parse(text: &str, name: &str, dir: &Path, now_ms: i64) -> Result<Prepared, String> {
    let mut config = Config::parse(text, name).map_err(|e| e.to_string())?;
    let mut files = vec![JobFile { name: name.to_owned(), text: text.to_owned(), first: 0 }];
    for pattern in config.scrape_config_files.clone() {
        let mut more = discovery::file::matching(&dir.join(pattern).display().to_string());
        more.sort();
        for file in more {
            let (text, name) = (read(&file)?, file.display().to_string());
            let first = config.scrape_configs.len();
            config.add_scrape_config_file(&text, &name).map_err(|e| e.to_string())?;
            files.push(JobFile { name, text, first });
        }
    }
    config.expand_external_labels(|name| std::env::var(name).ok());
    config.resolve_paths(dir);
    for what in config.unsupported() {
        tracing::warn!(what, "this part of the configuration has no effect yet");
    }
    let jobs = Job::all(&config.scrape_configs, &config.global).map_err(|e| {
        let at = config.scrape_configs.iter().position(|job| job.job_name == e.job).unwrap_or_default();
        match files.iter().rev().find(|file| file.first <= at) {
            Some(file) => file.place(at, &e),
            None => e.to_string(),
        }
    })?;
    Ok(Prepared { config, jobs, read_ms: now_ms })
}

/// How often a series gets a sample where no job says it: what is written from outside.
const DEFAULT_INTERVAL_MS: i64 = 15_000;

/// Puts a configuration into force: scraping first, so that a job is known when its first targets arrive.
fn apply(state: &State, discovery: &DiscoveryManager, prepared: Prepared) {
    let Prepared { config, jobs, read_ms } = prepared;
    state.db.set_retention(crate::storage::retention(&state.options, &config.storage));
    state.db.set_out_of_order_window(crate::storage::out_of_order_window(&config.storage));
    state.db.set_exemplar_limit(crate::storage::exemplar_limit(&state.options, &config.storage));
    let mut intervals: Vec<i64> = jobs.iter().map(|job| job.interval_ms).collect();
    intervals.sort_unstable();
    let usual = intervals.get(intervals.len() / 2).copied().unwrap_or(DEFAULT_INTERVAL_MS);
    state.gate.expect(usual, state.options.min_block_duration.0, state.options.samples_per_chunk);
    state.scrape.apply(jobs);
    discovery.apply(config.scrape_configs.iter().map(|job| (job.job_name.clone(), job.sd.clone())).collect());
    state.metrics.config_loaded(true, read_ms);
    state.config.store(Arc::new(Loaded { config, loaded_ms: read_ms, last_reload_ok: true }));
}

/// Keeps the configuration that is in force, and notes that a newer one failed.
fn refuse(state: &State, why: &str) {
    tracing::error!(why, "reloading the configuration failed; the old one stays in force");
    let old = state.config.load();
    state.metrics.config_loaded(false, old.loaded_ms);
    state.config.store(Arc::new(Loaded {
        config: old.config.clone(),
        loaded_ms: old.loaded_ms,
        last_reload_ok: false,
    }));
}

/// What the tasks below work with.
pub(crate) struct Inputs {
    pub(crate) source: ConfigSource,
    pub(crate) first: Prepared,
    pub(crate) discovery: DiscoveryManager,
    pub(crate) groups: watch::Receiver<Arc<Groups>>,
    pub(crate) requests: mpsc::Receiver<ReloadRequest>,
}

/// Starts the tasks that apply configurations and hand discovered targets to scraping.
///
/// # Errors
/// Where the flag that names the Secret cannot be understood.
pub(crate) fn run(state: &Arc<State>, inputs: Inputs, stage: &Stage) -> Result<(), crate::Error> {
    let Inputs { source, first, discovery, mut groups, requests } = inputs;
    let secret = match &state.options.config_kubernetes_secret {
        Some(name) => Some(watch_secret(name, stage)?),
        None => None,
    };
    let (scrape, stop) = (state.scrape.clone(), stage.token());
    stage.essential("targets", async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = groups.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = groups.borrow_and_update().clone();
                    scrape.update_targets((*now).clone());
                }
            }
        }
    });
    let (stop, state) = (stage.token(), state.clone());
    stage.essential("configuration", async move {
        apply(&state, &discovery, first);
        follow(&state, &source, &discovery, requests, secret, stop).await;
    });
    Ok(())
}

type SecretWatch = watch::Receiver<secret::Value>;

/// The key under which the operator keeps the configuration.
const SECRET_KEY: &str = "prometheus.yaml.gz";

fn watch_secret(flag: &str, stage: &Stage) -> Result<SecretWatch, crate::Error> {
    let Some((namespace, name)) = flag.split_once('/') else {
        let why = format!("{flag:?} is not of the form NAMESPACE/NAME");
        return Err(crate::Error::Flag { flag: "config.kubernetes-secret", why });
    };
    Ok(secret::watch(stage, namespace, name, SECRET_KEY))
}

async fn follow(
    state: &State,
    source: &ConfigSource,
    discovery: &DiscoveryManager,
    mut requests: mpsc::Receiver<ReloadRequest>,
    mut secret: Option<SecretWatch>,
    stop: runtime::CancellationToken,
) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    loop {
        let reply = tokio::select! {
            () = stop.cancelled() => return,
            changed = secret_changed(&mut secret) => {
                from_secret(state, discovery, &changed, source.dir());
                continue;
            }
            _ = hangups.recv() => None,
            request = requests.recv() => match request {
                Some(request) => request.reply,
                None => return,
            },
        };
        // on a thread of its own: a file on a dead mount holds up nothing but this
        let (from, now_ms) = (source.clone(), state.clock.now_ms());
        let read = state.web.blocking(move || load(&from, now_ms));
        let loaded = tokio::select! {
            () = stop.cancelled() => return,
            read = read => read.unwrap_or_else(|e| Err(format!("reading ended abnormally: {e}"))),
        };
        let result = loaded.map(|loaded| apply(state, discovery, loaded));
        match &result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(why) => refuse(state, why),
        }
        if let Some(reply) = reply {
            let _ = reply.send(result);
        }
    }
}

/// The next content of the Secret; never, where none is followed. What keeps it from being read is logged.
async fn secret_changed(watch: &mut Option<SecretWatch>) -> Arc<Vec<u8>> {
    loop {
        let Some(changes) = watch else { return std::future::pending().await };
        if changes.changed().await.is_err() {
            *watch = None;
            continue;
        }
        match changes.borrow_and_update().clone() {
            secret::Value::Present(bytes) => return bytes,
            secret::Value::Unknown => {}
            secret::Value::Absent(why) | secret::Value::Unreachable(why) => {
                tracing::warn!(why, "the configuration's Secret cannot be followed; what is in force stays");
            }
        }
    }
}

fn from_secret(state: &State, discovery: &DiscoveryManager, bytes: &[u8], dir: &Path) {
    let name = state.options.config_kubernetes_secret.as_deref().unwrap_or_default();
    let loaded = std::str::from_utf8(bytes)
        .map_err(|e| format!("secret {name}: {e}"))
        .map(|text| expand_environment(text, |name| std::env::var(name).ok()))
        .and_then(|text| parse(&text, &format!("secret {name}"), dir, state.clock.now_ms()));
    match loaded {
        Ok(loaded) => {
            apply(state, discovery, loaded);
            tracing::info!(secret = name, "configuration followed");
        }
        Err(why) => refuse(state, &why),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn references_to_the_environment_are_replaced() {
        let variable = |name: &str| (name == "SHARD").then(|| "1".to_owned());
        for (text, expected) in [
            ("regex: $(SHARD);|.+;.+", "regex: 1;|.+;.+"),
            ("a: $(NONE) $(SHARD)$1 ${x}", "a: $(NONE) 1$1 ${x}"),
            ("a: $(SHARD", "a: $(SHARD"),
        ] {
            assert_eq!(super::expand_environment(text, variable), expected);
        }
    }
}
