//! Follows the objects of one kind and hands what changes to those who want to know.

use crate::kube_state::{Kind, KubeState};
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as follow};
use tokio_util::sync::CancellationToken;

/// Somebody who follows a kind.
pub(crate) trait Sink<K>: Send + Sync {
    /// All objects are about to be listed anew.
    fn restart(&self);
    /// One object of that list.
    fn listed(&self, object: &K);
    /// The list is complete: what was not in it is gone.
    fn complete(&self);
    /// An object has changed or is new.
    fn changed(&self, object: &K);
    /// An object is gone.
    fn gone(&self, object: &K);
    /// Nobody follows any more.
    fn stopped(&self);
}

/// Runs until the token is cancelled; failures are told to `state` and tried again, ever more slowly.
pub(crate) async fn run<K: Kind>(
    token: CancellationToken,
    api: Api<K>,
    config: watcher::Config,
    sinks: Vec<Box<dyn Sink<K>>>,
    state: &KubeState,
) {
    let mut events = follow(api, config).default_backoff().map_err(|e| e.to_string()).boxed();
    loop {
        let event = tokio::select! {
            () = token.cancelled() => break,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => sinks.iter().for_each(|sink| hand(sink.as_ref(), &event)),
            Some(Err(error)) => {
                tracing::warn!(kind = K::NAME, %error, "cannot follow objects");
                state.failed(K::NAME, &error);
            }
            None => break,
        }
    }
    sinks.iter().for_each(|sink| sink.stopped());
}

fn hand<K>(sink: &dyn Sink<K>, event: &Event<K>) {
    match event {
        Event::Init => sink.restart(),
        Event::InitApply(object) => sink.listed(object),
        Event::InitDone => sink.complete(),
        Event::Apply(object) => sink.changed(object),
        Event::Delete(object) => sink.gone(object),
    }
}
