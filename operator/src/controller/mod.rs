//! The control loop: watches feed one task, which reconciles each Prometheus that a change concerns.

mod apply;
mod reconcile;
mod state;
mod status;
mod watch;

use crate::metrics::Metrics;
use crate::options::Options;
use crate::render::Key;
use crate::workload::Images;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use crds::{Prometheus, ServiceMonitor};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::Client;
use kube::api::ApiResource;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use runtime::clock::SharedClock;
use runtime::{Stage, Supervisor, logs};
use state::{Change, State};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use watch::Watch;

/// Changes on their way to the loop: a watch waits while it is full, so that a slow API server slows the watches down
/// and memory stays bounded.
const CHANGES_CAPACITY: usize = 1024;
/// Pause after the first change, for those that come with it.
const SETTLE: Duration = Duration::from_millis(20);
/// Longest time that further changes hold a reconciliation up.
const SETTLE_LIMIT: Duration = Duration::from_millis(100);
/// First pause before a failed reconciliation is tried again; doubles up to [`RETRY_LIMIT`].
const RETRY: Duration = Duration::from_secs(1);
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// Time that the operator's tasks have to end.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Why the operator cannot start, or could not write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to an API server.
    #[error("no cluster: {0}")]
    Cluster(Box<dyn std::error::Error + Send + Sync>),
    /// Pods need an image.
    #[error("no image for the pods of servers: give --image or set PHAROS_IMAGE")]
    NoImage,
    /// The port is taken.
    #[error(transparent)]
    Listen(#[from] runtime::http::BindError),
    /// Logging cannot be turned on.
    #[error("{0}")]
    Log(String),
    /// An object could not be written.
    #[error("cannot write {kind} {namespace}/{name}: {}", brief(.source))]
    Write {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// An object could not be read.
    #[error("cannot read {kind} {namespace}/{name}: {}", brief(.source))]
    Read {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The Prometheus cannot be rendered as a whole.
    #[error("{0}")]
    Render(String),
    /// No workload can be made of the Prometheus.
    #[error(transparent)]
    Workload(#[from] crate::workload::Error),
}

/// The API server's own words where it answered.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Everything that reconciliations share.
pub(crate) struct Controller {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) images: Images,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) clock: SharedClock,
}

/// Starts the operator: turns logging on, connects to the cluster, serves `/metrics` and `/healthz`, and follows the
/// resources in the background until the supervisor stops it.
///
/// # Errors
/// Where there is no cluster to talk to, the port is taken, or the log level is none.
pub async fn start(options: Options, clock: SharedClock, supervisor: &mut Supervisor) -> Result<(), Error> {
    let format = if options.log_format == "json" { logs::Format::Json } else { logs::Format::Logfmt };
    logs::init(&options.log_level, format).map_err(Error::Log)?;
    let image =
        options.image.clone().or_else(|| std::env::var("PHAROS_IMAGE").ok()).filter(|i| !i.is_empty());
    let pharos = image.ok_or(Error::NoImage)?;
    let client = Client::try_default().await.map_err(|e| Error::Cluster(e.into()))?;
    let listener = runtime::http::bind(&options.listen_address).await?;
    let stage = supervisor.stage("operator", STOP_DEADLINE);
    let metrics = Metrics::new();
    serve(&stage, listener, &metrics);
    let changes = watches(&options, &client, &stage);
    let reporter =
        Reporter { controller: apply::MANAGER.to_owned(), instance: std::env::var("POD_NAME").ok() };
    let controller = Controller {
        recorder: Recorder::new(client.clone(), reporter),
        images: Images { pharos, reloader: options.prometheus_config_reloader.clone() },
        client,
        options,
        metrics,
        clock,
    };
    let stop = stage.token();
    stage.essential("loop", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = controller.run(changes) => {}
        }
    });
    tracing::info!("operator follows the cluster");
    Ok(())
}

fn serve(stage: &Stage, listener: tokio::net::TcpListener, metrics: &Metrics) {
    let registry = metrics.registry.clone();
    let text = move || async move {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], registry.render())
    };
    let router = Router::new().route("/metrics", get(text)).route("/healthz", get(|| async { "ok\n" }));
    let stop = stage.token();
    stage.essential("http", async move {
        if let Err(error) = runtime::http::serve(listener, router, stop).await {
            tracing::error!(%error, "HTTP server ended");
        }
    });
}

fn watches(options: &Options, client: &Client, stage: &Stage) -> mpsc::Receiver<Change> {
    let (sender, receiver) = mpsc::channel(CHANGES_CAPACITY);
    let made = || watcher::Config::default().labels("app.kubernetes.io/managed-by=prometheus-operator");
    let all = watcher::Config::default;
    let scopes: Vec<Option<String>> = if options.namespaces.is_empty() {
        vec![None]
    } else {
        options.namespaces.iter().cloned().map(Some).collect()
    };
    let start = |name, resource, namespace, config, metadata, wrap| {
        Watch { name, resource, namespace, config, metadata, wrap }.start(client, stage, sender.clone());
    };
    start("namespaces", ApiResource::erase::<Namespace>(&()), None, all(), true, Change::Namespace);
    for scope in scopes {
        let s = || scope.clone();
        start("prometheuses", ApiResource::erase::<Prometheus>(&()), s(), all(), false, Change::Prometheus);
        start(
            "servicemonitors",
            ApiResource::erase::<ServiceMonitor>(&()),
            s(),
            all(),
            false,
            Change::Monitor,
        );
        start("statefulsets", ApiResource::erase::<StatefulSet>(&()), s(), made(), false, Change::Set);
        start("services", ApiResource::erase::<Service>(&()), s(), made(), true, Change::Service);
        start("secrets", ApiResource::erase::<Secret>(&()), s(), all(), true, Change::Secret);
        start("configmaps", ApiResource::erase::<ConfigMap>(&()), s(), all(), true, Change::ConfigMap);
    }
    receiver
}

impl Controller {
    async fn run(&self, mut changes: mpsc::Receiver<Change>) {
        let mut state = State::default();
        let mut retries: BTreeMap<Key, (Duration, Instant)> = BTreeMap::new();
        loop {
            let wake = retries.values().map(|(_, at)| *at).min();
            tokio::select! {
                change = changes.recv() => {
                    let Some(change) = change else { return };
                    self.take(&mut state, change);
                    self.settle(&mut state, &mut changes).await;
                }
                () = until(wake) => {}
            }
            // not before all lists are in: a configuration without its monitors would drop targets
            if !state.ready() {
                continue;
            }
            let due: Vec<Key> = retries
                .iter()
                .filter(|(_, (_, at))| *at <= Instant::now())
                .map(|(key, _)| key.clone())
                .collect();
            state.dirty.extend(due);
            for key in std::mem::take(&mut state.dirty) {
                if self.reconcile(&mut state, &key).await {
                    retries.remove(&key);
                } else {
                    let pause = retries.get(&key).map_or(RETRY, |(pause, _)| (*pause * 2).min(RETRY_LIMIT));
                    retries.insert(key, (pause, Instant::now() + pause));
                }
            }
            let failed = retries.len();
            self.metrics.syncs.with(&["prometheus", "failed"]).set(failed as f64);
            let ok = state.prometheuses.len().saturating_sub(failed);
            self.metrics.syncs.with(&["prometheus", "ok"]).set(ok as f64);
            for key in std::mem::take(&mut state.removed) {
                retries.remove(&key);
                self.unbind(&mut state, &key).await;
            }
        }
    }

    /// Takes in what comes within a short time, so that many changes cost one reconciliation.
    async fn settle(&self, state: &mut State, changes: &mut mpsc::Receiver<Change>) {
        let limit = Instant::now() + SETTLE_LIMIT;
        loop {
            let quiet = (Instant::now() + SETTLE).min(limit);
            match tokio::time::timeout_at(quiet, changes.recv()).await {
                Ok(Some(change)) => self.take(state, change),
                Ok(None) | Err(_) => return,
            }
            if Instant::now() >= limit {
                return;
            }
        }
    }

    fn take(&self, state: &mut State, change: Change) {
        self.metrics.changes.with(&[change.kind()]).inc();
        state.apply(change);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
