//! One Prometheus: render, write what differs, say what came of it.

use super::apply::Written;
use super::state::State;
use super::status::{self, Outcome};
use super::{Controller, Error};
use crate::render::{self, Inputs, Key, Kind, Reference, Rendered, Selector};
use crate::workload;
use crds::status::{Binding, ConfigResourceStatus};
use crds::{Prometheus, ServiceMonitor};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Requests for statuses of monitors that are under way at a time: many monitors change at once at the start only, and
/// the API server's fairness gives one client a few seats.
const STATUS_CONCURRENCY: usize = 8;

/// How often rendering may find that it needs a further material: a reference names no reference.
const RENDER_ROUNDS: usize = 3;

/// A monitor, its new bindings, and why it is left out if it is.
type Rebinding = (Key, Arc<ServiceMonitor>, Vec<Binding>, Option<String>);

impl Controller {
    /// Brings the cluster in step with a Prometheus; false where it must be tried again.
    pub(crate) async fn reconcile(&self, state: &mut State, key: &Key) -> bool {
        let Some(prometheus) = state.prometheuses.get(key).cloned() else { return true };
        if !self.acts_on(&prometheus, key) {
            return true;
        }
        let began = self.clock.monotonic();
        self.metrics.operations.with(&["prometheus"]).inc();
        let mut outcome = Outcome::default();
        let mut rendered = None;
        if prometheus.spec.paused != Some(true) && prometheus.metadata.deletion_timestamp.is_none() {
            match self.bring_about(state, &prometheus, key).await {
                Ok(done) => {
                    outcome.note = note(&done);
                    rendered = Some(done);
                }
                Err(error) => {
                    tracing::error!(namespace = key.0, name = key.1, %error, "reconciling failed");
                    self.metrics.errors.with(&["prometheus"]).inc();
                    outcome.failure = Some(error.to_string());
                }
            }
        }
        let mut done = outcome.failure.is_none();
        if let Some(rendered) = rendered {
            done &= self.bind(state, key, &rendered).await;
        }
        done &= self.report(state, &prometheus, key, &outcome).await;
        let seconds = self.clock.monotonic().saturating_sub(began).as_secs_f64();
        self.metrics.duration.observe(seconds);
        tracing::debug!(namespace = key.0, name = key.1, seconds, done, "reconciled");
        done
    }

    fn acts_on(&self, prometheus: &Prometheus, key: &Key) -> bool {
        let none = BTreeMap::new();
        let labels = prometheus.metadata.labels.as_ref().unwrap_or(&none);
        let selected =
            Selector::new(&self.options.prometheus_instance_selector).is_ok_and(|s| s.matches(labels));
        selected && self.options.watches(&key.0)
    }

    /// Renders and writes.
    async fn bring_about(
        &self,
        state: &mut State,
        prometheus: &Prometheus,
        key: &Key,
    ) -> Result<Rendered, Error> {
        let rendered = self.render(state, prometheus, key).await?;
        if let Some(failure) = &rendered.failure {
            return Err(Error::Render(failure.clone()));
        }
        let count = shards(prometheus);
        let sets: Result<Vec<_>, _> =
            (0..count).map(|shard| workload::stateful_set(prometheus, shard, &self.images)).collect();
        let sets = sets?;
        self.write(state, Written::Secret, &workload::tls_assets(prometheus, &rendered.tls_assets)).await?;
        let secret = workload::config_secret(prometheus, &rendered.config.to_yaml())?;
        self.write(state, Written::Secret, &secret).await?;
        let [role, binding] = workload::permissions(prometheus);
        self.write(state, Written::Role, &role).await?;
        self.write(state, Written::RoleBinding, &binding).await?;
        let beside: Vec<Arc<Prometheus>> = state
            .prometheuses
            .iter()
            .filter(|((namespace, _), other)| {
                *namespace == key.0 && other.metadata.deletion_timestamp.is_none()
            })
            .map(|(_, other)| other.clone())
            .collect();
        let beside: Vec<&Prometheus> = beside.iter().map(Arc::as_ref).collect();
        if let Some(service) = workload::governing_service(&beside) {
            self.write(state, Written::Service, &service).await?;
        }
        for set in sets {
            self.write(state, Written::StatefulSet, &set).await?;
        }
        self.drop_shards(state, prometheus, key, count).await?;
        Ok(rendered)
    }

    /// Renders, fetching what the configuration refers to as it shows.
    async fn render(&self, state: &mut State, prometheus: &Prometheus, key: &Key) -> Result<Rendered, Error> {
        let namespaces: BTreeMap<_, _> = state
            .namespaces
            .iter()
            .filter(|(name, _)| self.options.watches(name))
            .map(|(name, labels)| (name.clone(), labels.clone()))
            .collect();
        let mut rounds = 0;
        loop {
            let inputs =
                Inputs { namespaces: &namespaces, monitors: &state.monitors, materials: &state.materials };
            let rendered = render::prometheus(prometheus, &inputs);
            let missing: Vec<Reference> =
                rendered.references.iter().filter(|r| !state.materials.contains_key(*r)).cloned().collect();
            rounds += 1;
            if missing.is_empty() || rounds == RENDER_ROUNDS {
                state.references.insert(key.clone(), rendered.references.clone());
                return Ok(rendered);
            }
            for reference in missing {
                let data = self.fetch(&reference).await?;
                state.materials.insert(reference, data);
            }
        }
    }

    /// The data of a Secret or ConfigMap; none where it does not exist.
    async fn fetch(&self, reference: &Reference) -> Result<Option<BTreeMap<String, Vec<u8>>>, Error> {
        let (namespace, name) = (reference.namespace.as_str(), reference.name.as_str());
        let (kind, found) = match reference.kind {
            Kind::Secret => {
                let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
                let data =
                    |secret: Secret| secret.data.into_iter().flatten().map(|(k, v)| (k, v.0)).collect();
                ("Secret", api.get_opt(name).await.map(|found| found.map(data)))
            }
            Kind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
                let data = |map: ConfigMap| {
                    let text = map.data.into_iter().flatten().map(|(k, v)| (k, v.into_bytes()));
                    text.chain(map.binary_data.into_iter().flatten().map(|(k, v)| (k, v.0))).collect()
                };
                ("ConfigMap", api.get_opt(name).await.map(|found| found.map(data)))
            }
        };
        found.map_err(|source| Error::Read {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            source: Box::new(source),
        })
    }

    /// Deletes the StatefulSets of shards that are no longer wanted.
    async fn drop_shards(
        &self,
        state: &State,
        prometheus: &Prometheus,
        key: &Key,
        count: u64,
    ) -> Result<(), Error> {
        let retained = prometheus
            .spec
            .shard_retention_policy
            .as_ref()
            .and_then(|policy| policy.when_scaled.as_ref())
            .is_some_and(|when| &when[..] == "Retain");
        let wanted: BTreeSet<String> = (0..count).map(|i| workload::stateful_set_name(&key.1, i)).collect();
        let surplus: Vec<String> = state
            .sets
            .iter()
            .filter(|((namespace, name), set)| {
                *namespace == key.0 && owned_by(set, prometheus) && !wanted.contains(name)
            })
            .map(|((_, name), _)| name.clone())
            .collect();
        if retained {
            return Ok(());
        }
        for name in surplus {
            let api = self.api(Written::StatefulSet, &key.0);
            match api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => tracing::info!(namespace = key.0, name, "deleted a shard"),
                Err(kube::Error::Api(gone)) if gone.code == 404 => {}
                Err(source) => {
                    let (kind, namespace) = ("StatefulSet", key.0.clone());
                    return Err(Error::Write { kind, namespace, name, source: Box::new(source) });
                }
            }
        }
        Ok(())
    }

    /// Writes the status of the Prometheus where it changed.
    async fn report(&self, state: &mut State, prometheus: &Prometheus, key: &Key, outcome: &Outcome) -> bool {
        let sets: Vec<Option<Arc<StatefulSet>>> = (0..shards(prometheus))
            .map(|shard| {
                state.sets.get(&(key.0.clone(), workload::stateful_set_name(&key.1, shard))).cloned()
            })
            .collect();
        let new = status::prometheus(prometheus, &sets, outcome, self.clock.now_ms());
        if prometheus.status.as_ref() == Some(&new) {
            return true;
        }
        let api: Api<Prometheus> = Api::namespaced(self.client.clone(), &key.0);
        let patch = json!({ "status": new });
        match api.patch_status(&key.1, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(written) => {
                if let Some(known) = state.prometheuses.get_mut(key) {
                    Arc::make_mut(known).status = written.status;
                }
                true
            }
            Err(kube::Error::Api(gone)) if gone.code == 404 => true,
            Err(error) => {
                tracing::warn!(namespace = key.0, name = key.1, %error, "cannot write the status");
                false
            }
        }
    }

    /// Says on each monitor what the Prometheus made of it, and takes back what it said on those no longer selected.
    async fn bind(&self, state: &mut State, key: &Key, rendered: &Rendered) -> bool {
        let count = |n: usize, kind: &str| {
            self.metrics.managed.with(&[&key.0, &key.1, "ServiceMonitor", kind]).set(n as f64);
        };
        count(rendered.accepted.len(), "selected");
        count(rendered.rejected.len(), "rejected");
        let mut verdicts: BTreeMap<&Key, Result<Option<&str>, &str>> = BTreeMap::new();
        for object in &rendered.accepted {
            verdicts.insert(object, Ok(rendered.notes.get(object).map(String::as_str)));
        }
        for rejection in &rendered.rejected {
            verdicts.insert(&rejection.object, Err(&rejection.reason));
        }
        let now_ms = self.clock.now_ms();
        let mut changed = Vec::new();
        for (object, monitor) in &state.monitors {
            let old = bindings(monitor);
            let mine = old.iter().find(|binding| status::is_of(binding, key));
            let new = verdicts
                .get(object)
                .map(|verdict| status::binding(key, *verdict, monitor.metadata.generation, mine, now_ms));
            if mine == new.as_ref() {
                continue;
            }
            let mut all: Vec<Binding> = old.iter().filter(|b| !status::is_of(b, key)).cloned().collect();
            all.extend(new);
            let reason = verdicts.get(object).and_then(|verdict| verdict.err()).map(str::to_owned);
            changed.push((object.clone(), monitor.clone(), all, reason));
        }
        self.write_bindings(state, changed).await
    }

    /// Takes back what a Prometheus that is gone said on monitors.
    pub(crate) async fn unbind(&self, state: &mut State, key: &Key) {
        for kind in ["selected", "rejected"] {
            self.metrics.managed.remove(&[&key.0, &key.1, "ServiceMonitor", kind]);
        }
        let changed = state
            .monitors
            .iter()
            .filter(|(_, monitor)| bindings(monitor).iter().any(|binding| status::is_of(binding, key)))
            .map(|(object, monitor)| {
                let rest = bindings(monitor).iter().filter(|b| !status::is_of(b, key)).cloned().collect();
                (object.clone(), monitor.clone(), rest, None)
            })
            .collect();
        self.write_bindings(state, changed).await;
    }

    async fn write_bindings(&self, state: &mut State, changed: Vec<Rebinding>) -> bool {
        let writes = changed.into_iter().map(|(object, monitor, bindings, reason)| async move {
            if let Some(reason) = reason {
                self.tell(&object, &monitor, &reason).await;
            }
            let api: Api<ServiceMonitor> = Api::namespaced(self.client.clone(), &object.0);
            let patch = json!({ "status": ConfigResourceStatus { bindings: Some(bindings.clone()) } });
            let result = api.patch_status(&object.1, &PatchParams::default(), &Patch::Merge(&patch)).await;
            (object, bindings, result)
        });
        let results: Vec<_> = stream::iter(writes).buffer_unordered(STATUS_CONCURRENCY).collect().await;
        let mut done = true;
        for (object, bindings, result) in results {
            match result {
                Ok(_) => {
                    if let Some(known) = state.monitors.get_mut(&object) {
                        Arc::make_mut(known).status = Some(ConfigResourceStatus { bindings: Some(bindings) });
                    }
                }
                Err(kube::Error::Api(gone)) if gone.code == 404 => {}
                Err(error) => {
                    tracing::warn!(namespace = object.0, name = object.1, %error, "cannot write the status");
                    done = false;
                }
            }
        }
        done
    }

    /// An event that says why a monitor is left out.
    async fn tell(&self, object: &Key, monitor: &ServiceMonitor, reason: &str) {
        let (namespace, name) = object;
        let event = Event {
            type_: EventType::Warning,
            reason: "InvalidConfiguration".to_owned(),
            note: Some(cut(format!(
                "\"{namespace}/{name}\" was rejected due to invalid configuration: {reason}"
            ))),
            action: "SelectingConfigurationResources".to_owned(),
            secondary: None,
        };
        tracing::warn!(namespace, name, reason, "ServiceMonitor cannot be used");
        if let Err(error) = self.recorder.publish(&event, &monitor.object_ref(&())).await {
            tracing::warn!(namespace, name, %error, "cannot write the event");
        }
    }
}

/// Events hold at most 1 kB of text.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(1000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn bindings(monitor: &ServiceMonitor) -> &[Binding] {
    monitor.status.as_ref().and_then(|status| status.bindings.as_deref()).unwrap_or_default()
}

fn shards(prometheus: &Prometheus) -> u64 {
    u64::try_from(prometheus.spec.shards.unwrap_or(1)).unwrap_or(0).max(1)
}

fn owned_by(set: &StatefulSet, prometheus: &Prometheus) -> bool {
    set.owner_references().iter().any(|owner| Some(&owner.uid) == prometheus.metadata.uid.as_ref())
}

/// What is worth saying though nothing failed.
fn note(rendered: &Rendered) -> String {
    let mut parts = Vec::new();
    if !rendered.unsupported.is_empty() {
        parts.push(format!("without effect yet: {}", rendered.unsupported.join(", ")));
    }
    if !rendered.rejected.is_empty() {
        let of = rendered.rejected.len() + rendered.accepted.len();
        parts.push(format!("{} of {of} ServiceMonitors rejected: see their status", rendered.rejected.len()));
    }
    parts.join("; ")
}
