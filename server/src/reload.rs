//! Configuration: loaded at the start, and again at SIGHUP, at `/-/reload`, and when its Secret changes. One that cannot be
//! used leaves the old one in force.

use crate::State;
use config::prometheus::Config;
use discovery::DiscoveryManager;
use runtime::Stage;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A file, gzipped where its name ends in `.gz`.
    File(PathBuf),
    /// A text made by the program itself (`pharos up`).
    Inline(String),
}

/// The configuration in force.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) loaded_ms: i64,
    pub(crate) last_reload_ok: bool,
}

/// A wish to load anew; the answer says why it failed.
pub(crate) struct ReloadRequest {
    pub(crate) reply: Option<oneshot::Sender<Result<(), String>>>,
}

/// A configuration is text that people or an operator wrote: what unfolds to more is an attack.
const MAX_CONFIG_BYTES: u64 = 256 << 20;

/// Reads and parses.
pub(crate) fn load(source: &ConfigSource, now_ms: i64) -> Result<Loaded, String> {
    let (text, name) = match source {
        ConfigSource::Inline(text) => (text.clone(), "built-in configuration".to_owned()),
        ConfigSource::File(path) => (read(path)?, path.display().to_string()),
    };
    parse(&text, &name, now_ms)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("open {}: {e}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(file).take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(failed)?;
    } else {
        file.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

fn parse(text: &str, name: &str, now_ms: i64) -> Result<Loaded, String> {
    let config = Config::parse(text, name).map_err(|e| e.to_string())?;
    for what in config.unsupported() {
        tracing::warn!(what, "this part of the configuration has no effect yet");
    }
    Ok(Loaded { config, loaded_ms: now_ms, last_reload_ok: true })
}

/// Puts a configuration into force: scraping first, so that a job is known when its first targets arrive.
fn apply(state: &State, discovery: &DiscoveryManager, loaded: Loaded) {
    state.scrape.apply(&loaded.config);
    discovery.apply(&loaded.config);
    state.metrics.config_loaded(true, loaded.loaded_ms);
    state.config.store(Arc::new(loaded));
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

/// Starts the tasks that apply configurations and hand discovered targets to scraping.
pub(crate) fn run(
    state: Arc<State>,
    source: ConfigSource,
    discovery: DiscoveryManager,
    requests: mpsc::Receiver<ReloadRequest>,
    stage: &Stage,
) {
    let mut groups = discovery.subscribe();
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
                    scrape.update_targets(&now);
                }
            }
        }
    });
    let stop = stage.token();
    let secret = state.options.config_kubernetes_secret.clone().map(|name| discovery.watch_secret(&name));
    stage.essential("configuration", async move {
        follow(&state, &source, &discovery, requests, secret, stop).await;
    });
}

type SecretWatch = tokio::sync::watch::Receiver<Option<Arc<[u8]>>>;

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
    let first = state.config.load_full();
    apply(state, discovery, Loaded { config: first.config.clone(), loaded_ms: first.loaded_ms, last_reload_ok: true });
    loop {
        let reply = tokio::select! {
            () = stop.cancelled() => return,
            changed = secret_changed(&mut secret) => {
                from_secret(state, discovery, &changed);
                continue;
            }
            _ = hangups.recv() => None,
            request = requests.recv() => match request {
                Some(request) => request.reply,
                None => return,
            },
        };
        let result = load(source, state.clock.now_ms()).map(|loaded| apply(state, discovery, loaded));
        match &result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(why) => refuse(state, why),
        }
        if let Some(reply) = reply {
            let _ = reply.send(result);
        }
    }
}

/// The next content of the Secret; never, where none is followed.
async fn secret_changed(secret: &mut Option<SecretWatch>) -> Arc<[u8]> {
    loop {
        match secret {
            Some(watch) => {
                if watch.changed().await.is_err() {
                    *secret = None;
                } else if let Some(bytes) = watch.borrow_and_update().clone() {
                    return bytes;
                }
            }
            None => return std::future::pending().await,
        }
    }
}

fn from_secret(state: &State, discovery: &DiscoveryManager, bytes: &[u8]) {
    let name = state.options.config_kubernetes_secret.as_deref().unwrap_or_default();
    let loaded = std::str::from_utf8(bytes)
        .map_err(|e| format!("secret {name}: {e}"))
        .and_then(|text| parse(text, &format!("secret {name}"), state.clock.now_ms()));
    match loaded {
        Ok(loaded) => {
            apply(state, discovery, loaded);
            tracing::info!(secret = name, "configuration followed");
        }
        Err(why) => refuse(state, &why),
    }
}
