//! Watches of kinds, as changes of one stream.

use super::state::Change;
use futures::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use runtime::Stage;
use tokio::sync::mpsc;

/// What a watch saw.
#[derive(Debug)]
pub(crate) enum Seen<T> {
    /// All objects there are, within the namespace if one is given.
    All(Option<String>, Vec<T>),
    /// One object, new or changed.
    One(T),
    /// One object is gone.
    Gone(T),
}

/// A watch of one kind.
pub(crate) struct Watch {
    pub(crate) name: &'static str,
    pub(crate) resource: ApiResource,
    pub(crate) namespace: Option<String>,
    pub(crate) config: watcher::Config,
    /// Whether metadata is enough.
    pub(crate) metadata: bool,
    pub(crate) wrap: fn(Seen<DynamicObject>) -> Change,
}

impl Watch {
    /// Follows the kind until the stage stops; errors are logged, and tried again with growing pauses.
    pub(crate) fn start(self, client: &Client, stage: &Stage, changes: mpsc::Sender<Change>) {
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        };
        let stop = stage.token();
        stage.essential(self.name, async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.follow(api, changes) => {}
            }
        });
    }

    async fn follow(self, api: Api<DynamicObject>, changes: mpsc::Sender<Change>) {
        let stream = if self.metadata {
            let resource = self.resource.clone();
            #[allow(deprecated)] // its successor takes the kind from a type; here kinds are data
            let meta = kube::runtime::metadata_watcher(api, self.config.clone());
            meta.map(move |event| event.map(|event| bare(event, &resource))).boxed()
        } else {
            watcher(api, self.config.clone()).boxed()
        };
        let stream = stream.default_backoff();
        pin_mut!(stream);
        let mut listed = Vec::new();
        while let Some(event) = stream.next().await {
            let seen = match event {
                Ok(watcher::Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(watcher::Event::InitApply(object)) => {
                    listed.push(slim(object));
                    continue;
                }
                Ok(watcher::Event::InitDone) => {
                    Seen::All(self.namespace.clone(), std::mem::take(&mut listed))
                }
                Ok(watcher::Event::Apply(object)) => Seen::One(slim(object)),
                Ok(watcher::Event::Delete(object)) => Seen::Gone(slim(object)),
                Err(error) => {
                    tracing::warn!(kind = self.name, %error, "watch failed; trying again");
                    continue;
                }
            };
            if changes.send((self.wrap)(seen)).await.is_err() {
                return;
            }
        }
    }
}

/// Leaves out what nobody here reads.
fn slim(mut object: DynamicObject) -> DynamicObject {
    object.metadata.managed_fields = None;
    object.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
    object
}

/// An object of which only the metadata is known.
fn bare(
    event: watcher::Event<kube::core::PartialObjectMeta<DynamicObject>>,
    resource: &ApiResource,
) -> watcher::Event<DynamicObject> {
    let object = |meta: kube::core::PartialObjectMeta<DynamicObject>| DynamicObject {
        metadata: meta.metadata,
        ..DynamicObject::new("", resource)
    };
    match event {
        watcher::Event::Apply(meta) => watcher::Event::Apply(object(meta)),
        watcher::Event::Delete(meta) => watcher::Event::Delete(object(meta)),
        watcher::Event::InitApply(meta) => watcher::Event::InitApply(object(meta)),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    }
}
