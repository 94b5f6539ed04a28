//! What the operator knows of the cluster, and which Prometheus a change concerns.

use super::watch::Seen;
use crate::render::{Key, Kind, Materials, Reference};
use crds::{Prometheus, ServiceMonitor};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A change of some object.
#[derive(Debug)]
pub(crate) enum Change {
    Prometheus(Seen<DynamicObject>),
    Monitor(Seen<DynamicObject>),
    Namespace(Seen<DynamicObject>),
    Secret(Seen<DynamicObject>),
    ConfigMap(Seen<DynamicObject>),
    Set(Seen<DynamicObject>),
    Service(Seen<DynamicObject>),
}

impl Change {
    /// The kind, for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Change::Prometheus(_) => "Prometheus",
            Change::Monitor(_) => "ServiceMonitor",
            Change::Namespace(_) => "Namespace",
            Change::Secret(_) => "Secret",
            Change::ConfigMap(_) => "ConfigMap",
            Change::Set(_) => "StatefulSet",
            Change::Service(_) => "Service",
        }
    }
}

/// What was last written of an object.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    /// Hash of what was sent.
    pub(crate) hash: u64,
    /// Generation (StatefulSets) or version (others) that came back.
    pub(crate) mark: String,
}

/// Kind, namespace and name of an object that the operator makes.
pub(crate) type ObjectId = (&'static str, String, String);

/// Everything known.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) prometheuses: BTreeMap<Key, Arc<Prometheus>>,
    pub(crate) monitors: BTreeMap<Key, Arc<ServiceMonitor>>,
    /// Objects that do not fit their type, and why.
    pub(crate) malformed: BTreeMap<(&'static str, Key), String>,
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) sets: BTreeMap<Key, Arc<StatefulSet>>,
    pub(crate) materials: Materials,
    /// Which Prometheus looked at which material when it was last rendered.
    pub(crate) references: BTreeMap<Key, BTreeSet<Reference>>,
    pub(crate) applied: HashMap<ObjectId, Applied>,
    /// Kinds whose first list has come.
    pub(crate) listed: BTreeSet<&'static str>,
    /// To be reconciled.
    pub(crate) dirty: BTreeSet<Key>,
    /// Monitors that may still have a binding of a Prometheus that is gone.
    pub(crate) removed: BTreeSet<Key>,
}

fn key(object: &DynamicObject) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether two versions of a monitor mean the same: the status is our own.
fn same(old: &ServiceMonitor, new: &ServiceMonitor) -> bool {
    old.metadata.generation == new.metadata.generation
        && old.metadata.labels == new.metadata.labels
        && old.metadata.uid == new.metadata.uid
}

impl State {
    /// Whether all lists are there that a configuration is made from.
    pub(crate) fn ready(&self) -> bool {
        ["Prometheus", "ServiceMonitor", "Namespace", "StatefulSet"]
            .iter()
            .all(|kind| self.listed.contains(kind))
    }

    /// Takes a change in, and notes which Prometheus it concerns.
    pub(crate) fn apply(&mut self, change: Change) {
        let kind = change.kind();
        let (Change::Prometheus(seen)
        | Change::Monitor(seen)
        | Change::Namespace(seen)
        | Change::Secret(seen)
        | Change::ConfigMap(seen)
        | Change::Set(seen)
        | Change::Service(seen)) = change;
        match seen {
            Seen::All(scope, objects) => {
                let present: BTreeSet<Key> = objects.iter().map(key).collect();
                let gone = self.known(kind).into_iter().filter(|key| {
                    scope.as_ref().is_none_or(|namespace| *namespace == key.0) && !present.contains(key)
                });
                for key in gone.collect::<Vec<_>>() {
                    self.gone(kind, &key);
                }
                for object in objects {
                    self.present(kind, object);
                }
                self.listed.insert(kind);
            }
            Seen::One(object) => self.present(kind, object),
            Seen::Gone(object) => self.gone(kind, &key(&object)),
        }
    }

    fn known(&self, kind: &str) -> Vec<Key> {
        match kind {
            "Prometheus" => self.prometheuses.keys().cloned().collect(),
            "ServiceMonitor" => self.monitors.keys().cloned().collect(),
            "Namespace" => self.namespaces.keys().map(|name| (String::new(), name.clone())).collect(),
            "StatefulSet" => self.sets.keys().cloned().collect(),
            _ => {
                self.applied.keys().filter(|id| id.0 == kind).map(|id| (id.1.clone(), id.2.clone())).collect()
            }
        }
    }

    fn everything(&mut self) {
        self.dirty.extend(self.prometheuses.keys().cloned());
    }

    fn parse<T: DeserializeOwned + kube::Resource>(
        &mut self,
        kind: &'static str,
        object: DynamicObject,
    ) -> Option<T> {
        let key = key(&object);
        match object.try_parse::<T>() {
            Ok(parsed) => {
                self.malformed.remove(&(kind, key));
                Some(parsed)
            }
            Err(error) => {
                tracing::warn!(kind, namespace = key.0, name = key.1, %error, "object does not fit its type");
                self.malformed.insert((kind, key), error.to_string());
                None
            }
        }
    }

    fn present(&mut self, kind: &'static str, object: DynamicObject) {
        let key = key(&object);
        match kind {
            "Prometheus" => {
                let Some(new) = self.parse::<Prometheus>(kind, object) else { return };
                let old = self.prometheuses.get(&key);
                let same = old.is_some_and(|old| {
                    old.metadata.generation == new.metadata.generation
                        && old.metadata.labels == new.metadata.labels
                        && old.metadata.annotations == new.metadata.annotations
                });
                self.prometheuses.insert(key.clone(), Arc::new(new));
                if !same {
                    self.dirty.insert(key);
                }
            }
            "ServiceMonitor" => {
                let Some(new) = self.parse::<ServiceMonitor>(kind, object) else {
                    self.monitors.remove(&key);
                    self.everything();
                    return;
                };
                let unchanged = self.monitors.get(&key).is_some_and(|old| same(old, &new));
                self.monitors.insert(key, Arc::new(new));
                if !unchanged {
                    self.everything();
                }
            }
            "Namespace" => {
                let labels = object.labels().clone();
                if self.namespaces.insert(key.1, labels.clone()) != Some(labels) {
                    self.everything();
                }
            }
            "StatefulSet" => self.set_present(key, object),
            _ => self.other_present(kind, key, &object),
        }
    }

    fn set_present(&mut self, key: Key, object: DynamicObject) {
        let Some(set) = self.parse::<StatefulSet>("StatefulSet", object) else { return };
        if let Some(owner) = set.labels().get("operator.prometheus.io/name") {
            self.dirty.insert((key.0.clone(), owner.clone()));
        }
        self.forget("StatefulSet", &key, &set.metadata.generation.unwrap_or_default().to_string());
        self.sets.insert(key, Arc::new(set));
    }

    fn other_present(&mut self, kind: &'static str, key: Key, object: &DynamicObject) {
        self.forget(kind, &key, &object.resource_version().unwrap_or_default());
        self.material_changed(kind, &key);
    }

    /// Has an object written again that somebody else changed.
    fn forget(&mut self, kind: &'static str, key: &Key, mark: &str) {
        let id = (kind, key.0.clone(), key.1.clone());
        if self.applied.get(&id).is_some_and(|applied| applied.mark != mark) {
            self.applied.remove(&id);
            let namespace = key.0.clone();
            self.dirty.extend(self.prometheuses.keys().filter(|p| p.0 == namespace).cloned());
        }
    }

    /// Has a Secret or ConfigMap fetched again where somebody looks at it.
    fn material_changed(&mut self, kind: &str, key: &Key) {
        let kind = match kind {
            "Secret" => Kind::Secret,
            "ConfigMap" => Kind::ConfigMap,
            _ => return,
        };
        let reference = Reference { kind, namespace: key.0.clone(), name: key.1.clone() };
        let readers: Vec<Key> = self
            .references
            .iter()
            .filter(|(_, references)| references.contains(&reference))
            .map(|(prometheus, _)| prometheus.clone())
            .collect();
        self.materials.remove(&reference);
        self.dirty.extend(readers);
    }

    fn gone(&mut self, kind: &'static str, key: &Key) {
        self.malformed.remove(&(kind, key.clone()));
        match kind {
            "Prometheus" => {
                self.prometheuses.remove(key);
                self.references.remove(key);
                self.dirty.remove(key);
                self.removed.insert(key.clone());
            }
            "ServiceMonitor" => {
                self.monitors.remove(key);
                self.everything();
            }
            "Namespace" => {
                self.namespaces.remove(&key.1);
                self.everything();
            }
            "StatefulSet" => {
                if let Some(set) = self.sets.remove(key)
                    && let Some(owner) = set.labels().get("operator.prometheus.io/name")
                {
                    self.dirty.insert((key.0.clone(), owner.clone()));
                }
                self.applied.remove(&(kind, key.0.clone(), key.1.clone()));
            }
            _ => {
                self.forget(kind, key, "gone");
                self.material_changed(kind, key);
            }
        }
    }
}
