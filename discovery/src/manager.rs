//! Runs the discoveries that the jobs name, and joins what they find.

use crate::kubernetes::Hub;
use crate::{ADDRESS, TargetGroup, file};
use config::prometheus::{FileSdConfig, KubernetesSdConfig, ServiceDiscoveryConfigs, StaticConfig};
use parking_lot::Mutex;
use runtime::clock::SharedClock;
use runtime::{CancellationToken, Stage};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Target groups of each job.
pub type Groups = HashMap<String, Vec<Arc<TargetGroup>>>;

/// Changes within this time after an update go out together: a rollout of a hundred pods is few updates, not a hundred.
const SETTLE: Duration = Duration::from_millis(50);

/// How one discovery fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it follows, e.g. `file targets/*.json` or `kubernetes endpointslice in monitoring`.
    pub name: String,
    /// Jobs that take targets from it.
    pub jobs: Vec<String>,
    /// Groups that it gives now.
    pub groups: usize,
    /// Why it cannot give what it should; what it gave before stays.
    pub error: Option<String>,
    /// When the error appeared, milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
}

/// Runs discoveries; [`DiscoveryManager::apply`] says which.
pub struct DiscoveryManager {
    stage: Stage,
    hub: Arc<Hub>,
    shared: Arc<Shared>,
}

struct Shared {
    clock: SharedClock,
    jobs: Mutex<HashMap<String, Vec<Arc<Running>>>>,
    changed: Notify,
    groups: watch::Sender<Arc<Groups>>,
}

/// A discovery that runs for one job or several; stops when the last of them is gone.
struct Running {
    provider: Provider,
    name: String,
    output: Arc<Output>,
    _stop: StopOnDrop,
}

struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a discovery writes to.
pub(crate) struct Output {
    state: Mutex<State>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct State {
    groups: Vec<Arc<TargetGroup>>,
    errors: BTreeMap<String, (String, i64)>,
}

impl Output {
    /// Replaces all groups.
    pub(crate) fn set(&self, groups: Vec<Arc<TargetGroup>>) {
        self.state.lock().groups = groups;
        self.shared.changed.notify_one();
    }

    /// Notes that a part of the discovery fails, or (`None`) works again.
    pub(crate) fn set_error(&self, part: &str, error: Option<String>) {
        let mut state = self.state.lock();
        match error {
            None => _ = state.errors.remove(part),
            Some(error) => {
                let now = self.shared.clock.now_ms();
                let entry = state.errors.entry(part.to_owned()).or_insert_with(|| (String::new(), now));
                entry.0 = error;
            }
        }
    }
}

/// One discovery as configured.
#[derive(Clone, Debug, PartialEq)]
enum Provider {
    Static(Vec<StaticConfig>),
    File(FileSdConfig),
    Kubernetes(Box<KubernetesSdConfig>),
}

impl Provider {
    fn of(configs: &ServiceDiscoveryConfigs) -> Vec<Provider> {
        let mut found = Vec::new();
        if !configs.static_configs.is_empty() {
            found.push(Provider::Static(configs.static_configs.clone()));
        }
        found.extend(configs.file_sd_configs.iter().cloned().map(Provider::File));
        found
            .extend(configs.kubernetes_sd_configs.iter().cloned().map(|k| Provider::Kubernetes(Box::new(k))));
        found
    }

    fn name(&self) -> String {
        match self {
            Provider::Static(_) => "static".to_owned(),
            Provider::File(config) => format!("file {}", config.files.join(", ")),
            Provider::Kubernetes(config) => crate::kubernetes::name(config),
        }
    }
}

impl DiscoveryManager {
    /// A manager without jobs, and the channel in which the groups of all jobs appear.
    pub fn new(stage: Stage, clock: SharedClock) -> (Self, watch::Receiver<Arc<Groups>>) {
        let (sender, receiver) = watch::channel(Arc::new(Groups::new()));
        let shared = Arc::new(Shared {
            clock,
            jobs: Mutex::new(HashMap::new()),
            changed: Notify::new(),
            groups: sender,
        });
        let manager =
            DiscoveryManager { hub: Hub::new(stage.clone()), stage: stage.clone(), shared: shared.clone() };
        let token = stage.token();
        stage.essential("join", async move {
            while token.run_until_cancelled(shared.changed.notified()).await.is_some() {
                shared.publish();
                if token.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_none() {
                    return;
                }
            }
        });
        (manager, receiver)
    }

    /// Sets the jobs and their discoveries. Discoveries whose configuration is unchanged run on; jobs with equal
    /// configurations share one.
    pub fn apply(&self, jobs: HashMap<String, ServiceDiscoveryConfigs>) {
        let mut running = self.shared.jobs.lock();
        // by text: finding equal configurations among a thousand jobs must not compare each with each
        let mut known: HashMap<String, Arc<Running>> = HashMap::new();
        for provider in running.values().flatten() {
            known.insert(format!("{:?}", provider.provider), provider.clone());
        }
        let mut next = HashMap::new();
        for (job, configs) in jobs {
            let providers = Provider::of(&configs).into_iter().map(|provider| {
                let key = format!("{:?}", provider);
                match known.get(&key) {
                    // the text masks secrets: only equal values are the same
                    Some(same) if same.provider == provider => same.clone(),
                    _ => {
                        let started = self.start(provider);
                        known.insert(key, started.clone());
                        started
                    }
                }
            });
            let providers = providers.collect();
            next.insert(job, providers);
        }
        *running = next;
        drop(running);
        self.shared.changed.notify_one();
    }

    /// How each discovery fares.
    pub fn status(&self) -> Vec<Status> {
        let jobs = self.shared.jobs.lock();
        let mut found: BTreeMap<(String, usize), Status> = BTreeMap::new();
        for (job, providers) in jobs.iter() {
            for provider in providers {
                let key = (provider.name.clone(), Arc::as_ptr(provider) as usize);
                let status = found.entry(key).or_insert_with(|| provider.status());
                status.jobs.push(job.clone());
            }
        }
        let mut statuses: Vec<Status> = found.into_values().collect();
        for status in &mut statuses {
            status.jobs.sort();
        }
        statuses
    }

    fn start(&self, provider: Provider) -> Arc<Running> {
        let token = self.stage.token().child_token();
        let output = Arc::new(Output { state: Mutex::default(), shared: self.shared.clone() });
        match &provider {
            Provider::Static(configs) => output.state.lock().groups = static_groups(configs),
            Provider::File(config) => {
                self.stage.spawn(file::run(
                    config.clone(),
                    output.clone(),
                    token.clone(),
                    self.stage.clone(),
                ));
            }
            Provider::Kubernetes(config) => {
                let config = (**config).clone();
                self.stage.spawn(crate::kubernetes::run(
                    config,
                    self.hub.clone(),
                    output.clone(),
                    token.clone(),
                ));
            }
        }
        let name = provider.name();
        Arc::new(Running { provider, name, output, _stop: StopOnDrop(token) })
    }
}

impl Running {
    fn status(&self) -> Status {
        let state = self.output.state.lock();
        let first = state.errors.values().next();
        Status {
            name: self.name.clone(),
            jobs: Vec::new(),
            groups: state.groups.len(),
            error: first.map(|(error, _)| error.clone()),
            since_ms: first.map(|(_, since)| *since),
        }
    }
}

impl Shared {
    fn publish(&self) {
        let jobs = self.jobs.lock();
        let groups: Groups = jobs
            .iter()
            .map(|(job, providers)| {
                let groups = providers.iter().flat_map(|p| p.output.state.lock().groups.clone());
                (job.clone(), groups.collect())
            })
            .collect();
        self.groups.send_if_modified(|current| {
            let same = same_groups(current, &groups);
            if !same {
                *current = Arc::new(groups);
            }
            !same
        });
    }
}

fn same_groups(a: &Groups, b: &Groups) -> bool {
    let same = |x: &Vec<Arc<TargetGroup>>, y: &Vec<Arc<TargetGroup>>| {
        x.len() == y.len() && x.iter().zip(y).all(|(x, y)| Arc::ptr_eq(x, y) || x == y)
    };
    a.len() == b.len() && a.iter().all(|(job, groups)| b.get(job).is_some_and(|other| same(groups, other)))
}

fn static_groups(configs: &[StaticConfig]) -> Vec<Arc<TargetGroup>> {
    let groups = configs.iter().enumerate().map(|(i, config)| {
        Arc::new(TargetGroup {
            source: i.to_string(),
            labels: config.labels.clone().into_iter().collect(),
            targets: config.targets.iter().map(|t| [(ADDRESS.to_owned(), t.clone())].into()).collect(),
        })
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statics(targets: &[&str]) -> ServiceDiscoveryConfigs {
        let targets = targets.iter().map(|t| (*t).to_owned()).collect();
        let config =
            StaticConfig { targets, labels: [("env".to_owned(), "x".to_owned())].into_iter().collect() };
        ServiceDiscoveryConfigs { static_configs: vec![config], ..Default::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_come_change_and_go() {
        let (manager, mut groups) =
            DiscoveryManager::new(Stage::detached("t"), runtime::SystemClock::shared());
        manager
            .apply([("a".to_owned(), statics(&["h:1", "h:2"])), ("b".to_owned(), statics(&["h:3"]))].into());
        groups.changed().await.unwrap();
        let first = groups.borrow_and_update().clone();
        assert_eq!(first["a"][0].targets[1][ADDRESS], "h:2");
        assert_eq!(first["b"][0].labels["env"], "x");
        manager.apply([("a".to_owned(), statics(&["h:1", "h:2"]))].into());
        groups.changed().await.unwrap();
        let second = groups.borrow_and_update().clone();
        assert_eq!(second.len(), 1);
        assert!(Arc::ptr_eq(&first["a"][0], &second["a"][0]), "an unchanged discovery keeps its groups");
        assert_eq!(manager.status()[0].jobs, ["a"]);
    }
}
