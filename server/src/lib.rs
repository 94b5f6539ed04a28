//! Joins the stages behind the Prometheus HTTP API: discovery → scrape → tsdb → promql.
//!
//! Invariant: holds no policy of a stage; it wires and translates.

mod adapters;
mod api;
mod budget;
mod features;
mod flags;
mod gate;
mod metrics;
mod reload;
mod storage;
mod web;

pub use flags::{Bytes, CommandLine, Millis, Options};
pub use reload::ConfigSource;

use arc_swap::ArcSwap;
use reload::{Loaded, ReloadRequest};
use runtime::clock::SharedClock;
use runtime::metrics::Registry;
use runtime::room::Room;
use runtime::{CancellationToken, Stage, Supervisor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error("error loading config: {0}")]
    Config(String),
    /// The database cannot be opened.
    #[error("opening storage failed: {0}")]
    Storage(#[from] tsdb::Error),
    /// An address is not to be had.
    #[error("{0}")]
    Bind(#[from] runtime::http::BindError),
    /// A flag's value cannot be used.
    #[error("--{flag}: {why}")]
    Flag {
        /// The flag, without dashes.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What every request handler may use.
pub(crate) struct State {
    options: Options,
    flags: BTreeMap<String, String>,
    clock: SharedClock,
    started_ms: i64,
    registry: Registry,
    metrics: metrics::Metrics,
    db: Arc<tsdb::Db>,
    engine: Arc<promql::Engine>,
    features: features::Features,
    /// Most bytes that one query may hold; 0: no bound.
    query_budget: usize,
    query_slots: Arc<Semaphore>,
    scrape: Arc<scrape::ScrapeManager>,
    config: ArcSwap<Loaded>,
    reloads: mpsc::Sender<ReloadRequest>,
    write_refs: Arc<api::RefCache>,
    gate: Arc<gate::Gate>,
    /// Memory for bodies of scrapes and remote writes.
    bodies: Room,
    cors_origin: model::regex::Regex,
    stop: CancellationToken,
    web: Stage,
}

/// Reloads wait for the one under way; one more in the queue would do the same work again, so few are enough.
const RELOAD_CAPACITY: usize = 4;

/// Builds all stages, in the order in which data travels, and starts them. Returns the addresses it listens on; the
/// supervisor's `run` then waits for the end.
///
/// Stages stop in the order in which they are made here, the source first: a scrape under way may still be stored, a query
/// under way may still read, and storage closes when nobody uses it any more.
///
/// # Errors
/// Where configuration, storage or addresses cannot be used.
pub async fn start(
    line: CommandLine,
    source: ConfigSource,
    clock: SharedClock,
    supervisor: &mut Supervisor,
) -> Result<Vec<std::net::SocketAddr>, Error> {
    let CommandLine { options, mut flags, without_effect } = line;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        revision = api::REVISION,
        prometheus_api = api::COMPATIBLE_VERSION,
        "starting"
    );
    for flag in without_effect {
        tracing::warn!(flag, "this flag has no effect yet");
    }
    options.check_mode()?;
    options.check_web_config()?;
    features::report(&options.enable_feature);
    let features = features::Features::of(&options.enable_feature);
    let budgets = budget::Budgets::new(&options, budget::memory());
    budgets.tell(&mut flags);
    let cors_origin = model::regex::Regex::new(&options.web_cors_origin)
        .map_err(|e| Error::Flag { flag: "web.cors.origin", why: e.to_string() })?;

    let discovery_stage = supervisor.stage("discovery", Duration::from_secs(2));
    let scrape_stage = supervisor.stage("scrape", Duration::from_secs(10));
    let web = supervisor.stage("web", Duration::from_secs(10));
    let storage_stage = supervisor.stage("storage", Duration::from_secs(60));

    budgets.report();
    let first = reload::load(&source, clock.now_ms()).map_err(Error::Config)?;
    tracing::info!(filename = %source, jobs = first.config().scrape_configs.len(), "read the configuration");
    let mut listeners = Vec::new();
    for address in &options.web_listen_address {
        listeners.push(runtime::http::bind(address).await?);
    }
    let registry = Registry::with_process();
    let db = tsdb::Db::open(
        &options.storage_path,
        storage::options(&options, &first.config().storage),
        clock.clone(),
    )?;
    tracing::info!(
        dir = %options.storage_path.display(),
        blocks = db.blocks().len(),
        retention = storage::retention_text(&db.retention()),
        clean_start = db.metrics().clean_start.load(std::sync::atomic::Ordering::Relaxed),
        "opened the storage"
    );
    let engine = Arc::new(promql::Engine::new(promql::EngineOptions {
        lookback_delta_ms: options.query_lookback_delta.0,
        max_samples: options.query_max_samples,
        memory_budget: budgets.all,
        delayed_name_removal: features.delayed_name_removal,
        use_start_timestamps: features.use_start_timestamps,
        type_and_unit_labels: features.type_and_unit_labels,
        ..promql::EngineOptions::default()
    }));
    let bodies = Room::new(budgets.bodies);
    let write_refs = Arc::new(api::RefCache::default());
    let sizes = adapters::Remembered { db: db.clone(), scrape: Arc::default(), write: write_refs.clone() };
    let scraper = sizes.scrape.clone();
    let gate = gate::Gate::new(budgets.head, Box::new(sizes), clock.clone());
    let appendable = Arc::new(adapters::TsdbAppendable { db: db.clone(), gate: gate.clone() });
    let (stage, room) = (scrape_stage.clone(), bodies.clone());
    let scrape = Arc::new(scrape::ScrapeManager::new(stage, appendable, clock.clone(), &registry, room));
    let _ = scraper.set(Arc::downgrade(&scrape));
    scrape.set_timestamp_tolerance(if options.keep_timestamps { 0 } else { options.timestamp_tolerance.0 });
    let (discovery, groups) = discovery::DiscoveryManager::new(discovery_stage.clone(), clock.clone());

    let (reloads, requests) = mpsc::channel(RELOAD_CAPACITY);
    let state = Arc::new(State {
        query_slots: Arc::new(Semaphore::new(options.query_max_concurrency.max(1))),
        metrics: metrics::Metrics::register(
            &registry,
            &metrics::Parts {
                db: &db,
                gate: &gate,
                bodies: &bodies,
                engine: &engine,
                most_queries: options.query_max_concurrency.max(1),
            },
            &clock,
        ),
        options,
        flags,
        started_ms: clock.now_ms(),
        clock,
        registry,
        db: db.clone(),
        engine,
        features,
        query_budget: budgets.query,
        scrape,
        config: ArcSwap::from_pointee(Loaded::default()),
        reloads,
        write_refs,
        gate,
        bodies,
        cors_origin,
        stop: supervisor.stop_token(),
        web: web.clone(),
    });

    let inputs = reload::Inputs { source, first, discovery, groups, requests };
    reload::run(&state, inputs, &discovery_stage)?;
    let mut addresses = Vec::new();
    let millis = |flag: Millis| Duration::from_millis(flag.0.max(0) as u64);
    let limits = runtime::http::Limits {
        patience: runtime::http::Patience {
            read: millis(state.options.web_read_timeout),
            write: millis(state.options.web_write_timeout),
        },
        connections: Some(Arc::new(Semaphore::new(
            state.options.web_max_connections.clamp(1, Semaphore::MAX_PERMITS),
        ))),
    };
    for listener in listeners {
        let address = listener.local_addr();
        if let Ok(address) = address {
            tracing::info!(%address, prefix = state.options.route_prefix(), "listening");
        }
        addresses.extend(address);
        let (router, stop, limits) = (web::router(state.clone()), web.token(), limits.clone());
        web.essential("http", async move {
            if let Err(error) = runtime::http::serve_within(listener, router, stop, limits).await {
                tracing::error!(%error, "HTTP server ended");
            }
        });
    }
    let stop = storage_stage.token();
    let closing = storage_stage.clone();
    storage_stage.essential("database", async move {
        stop.cancelled().await;
        match closing.blocking(move || db.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "closing storage failed"),
            Err(error) => tracing::error!(%error, "closing storage ended abnormally"),
        }
    });
    Ok(addresses)
}
