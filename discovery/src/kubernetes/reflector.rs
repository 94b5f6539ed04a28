//! A kind's objects, kept in step with the API server; one watch for all who ask the same.

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use parking_lot::{Mutex, RwLock};
use runtime::{CancellationToken, Stage};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// Objects by namespace and name.
pub(super) type Objects<K> = BTreeMap<(String, String), Arc<K>>;

/// Follows one kind in one scope; stops when dropped.
pub(super) struct Reflector<K> {
    inner: Arc<Inner<K>>,
    stop: CancellationToken,
}

struct Inner<K> {
    objects: RwLock<Objects<K>>,
    ready: AtomicBool,
    error: Mutex<Option<String>>,
    listeners: Mutex<Vec<Weak<Notify>>>,
}

impl<K> Drop for Reflector<K> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An object as the API gives it.
pub(super) trait Object:
    Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + Sync + 'static
{
    /// Drops what no label comes from, before it is kept.
    fn trim(&mut self);
}

impl<K: Object> Reflector<K> {
    /// Begins to follow.
    pub(super) fn start(api: Api<K>, config: watcher::Config, scope: String, stage: &Stage) -> Self {
        let inner = Arc::new(Inner {
            objects: RwLock::default(),
            ready: AtomicBool::new(false),
            error: Mutex::default(),
            listeners: Mutex::default(),
        });
        let stop = stage.token().child_token();
        let (token, shared) = (stop.clone(), inner.clone());
        stage.spawn(async move { token.run_until_cancelled(shared.follow(api, config, scope)).await });
        Reflector { inner, stop }
    }

    /// Whether all objects were seen once.
    pub(super) fn is_ready(&self) -> bool {
        self.inner.ready.load(Ordering::Acquire)
    }

    /// Why it is not in step, where it is not.
    pub(super) fn error(&self) -> Option<String> {
        self.inner.error.lock().clone()
    }

    /// Reads the objects.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Objects<K>) -> T) -> T {
        read(&self.inner.objects.read())
    }

    /// One object.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.inner.objects.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Has `listener` told of every change.
    pub(super) fn listen(&self, listener: &Arc<Notify>) {
        let mut listeners = self.inner.listeners.lock();
        listeners.retain(|l| l.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }
}

impl<K: Object> Inner<K> {
    async fn follow(&self, api: Api<K>, config: watcher::Config, scope: String) {
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut listed = Objects::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if self.apply(event, &mut listed) {
                        self.tell();
                    }
                }
                Err(error) => {
                    let reason = reason(&error);
                    let repeated = self.error.lock().replace(reason.clone()).is_some_and(|old| old == reason);
                    if !repeated {
                        tracing::warn!(%scope, error = reason, "kubernetes watch failed, trying again");
                        self.tell();
                    }
                }
            }
        }
    }

    /// Applies an event; whether the objects changed.
    fn apply(&self, event: watcher::Event<K>, listed: &mut Objects<K>) -> bool {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                let (key, object) = keep(object);
                listed.insert(key, object);
            }
            watcher::Event::InitDone => {
                *self.objects.write() = std::mem::take(listed);
                self.ready.store(true, Ordering::Release);
                *self.error.lock() = None;
                return true;
            }
            watcher::Event::Apply(object) => {
                let (key, object) = keep(object);
                self.objects.write().insert(key, object);
                return true;
            }
            watcher::Event::Delete(object) => {
                self.objects.write().remove(&key(&object));
                return true;
            }
        }
        false
    }

    fn tell(&self) {
        for listener in self.listeners.lock().iter().filter_map(Weak::upgrade) {
            listener.notify_one();
        }
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn keep<K: Object>(mut object: K) -> ((String, String), Arc<K>) {
    object.trim();
    (key(&object), Arc::new(object))
}

/// The error with its causes: kube's outermost text alone says little.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
