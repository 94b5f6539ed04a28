//! One namespace (or all) of one discovery: its watches, and the groups made from them.

use super::meta;
use super::reflector::{Object, Reflector};
use super::related::Related;
use super::*;
use crate::TargetGroup;
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use std::cell::RefCell;

macro_rules! objects {
    ($($kind:ty => $trim:path;)*) => {$(
        impl Object for $kind {
            fn trim(&mut self) {
                $trim(self);
            }
        }
    )*};
}
objects! {
    Node => node::trim;
    Pod => pod::trim;
    Service => service::trim;
    Endpoints => endpoints::trim;
    EndpointSlice => endpointslice::trim;
    Ingress => ingress::trim;
    Namespace => trim_namespace;
}

fn trim_namespace(namespace: &mut Namespace) {
    namespace.metadata.managed_fields = None;
    (namespace.spec, namespace.status) = (None, None);
}

/// The watches of the role's own kind.
enum Main {
    Nodes(Arc<Reflector<Node>>),
    Pods(Arc<Reflector<Pod>>),
    Services(Arc<Reflector<Service>>),
    Endpoints(Arc<Reflector<Endpoints>>),
    EndpointSlices(Arc<Reflector<EndpointSlice>>),
    Ingresses(Arc<Reflector<Ingress>>),
}

/// The watches of a scope.
pub(super) struct Scope {
    main: Main,
    others: Others,
    cache: HashMap<(String, String), Cached>,
}

/// Watches of kinds that labels are attached from.
#[derive(Default)]
struct Others {
    pods: Option<Arc<Reflector<Pod>>>,
    services: Option<Arc<Reflector<Service>>>,
    nodes: Option<Arc<Reflector<Node>>>,
    namespaces: Option<Arc<Reflector<Namespace>>>,
}

/// A group, and all that it was made from: it is made again only when one of these changed.
struct Cached {
    object: Answer,
    asked: Vec<(Ask, Answer)>,
    group: Arc<TargetGroup>,
}

type Answer = Option<Arc<dyn Any + Send + Sync>>;

/// A question for another object.
enum Ask {
    Pod(String, String),
    Service(String, String),
    Node(String),
    Namespace(String),
}

/// Makes the watches of one scope.
struct Maker<'a> {
    config: &'a KubernetesSdConfig,
    hub: &'a Hub,
    client: usize,
    kube: &'a kube::Client,
    namespace: Option<&'a str>,
    changed: &'a Arc<Notify>,
}

impl Maker<'_> {
    fn watch<K: Object>(&self, role: Option<KubernetesRole>, api: Api<K>, scope: &str) -> Arc<Reflector<K>> {
        let mut config = watcher::Config::default();
        if let Some(selector) = self.config.selectors.iter().find(|s| role.is_some() && s.role == role) {
            config.label_selector = selector.label.clone().filter(|l| !l.is_empty());
            config.field_selector = selector.field.clone().filter(|f| !f.is_empty());
        }
        let reflector = self.hub.reflector(self.client, scope, api, config);
        reflector.listen(self.changed);
        reflector
    }

    fn namespaced<K>(&self, role: KubernetesRole) -> Arc<Reflector<K>>
    where
        K: Object + kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api = match self.namespace {
            Some(namespace) => Api::namespaced(self.kube.clone(), namespace),
            None => Api::all(self.kube.clone()),
        };
        self.watch(
            Some(role),
            api,
            &self.namespace.map_or("in all namespaces".to_owned(), |n| format!("in {n}")),
        )
    }

    fn cluster<K: Object>(&self, role: Option<KubernetesRole>) -> Arc<Reflector<K>> {
        self.watch(role, Api::all(self.kube.clone()), "in the cluster")
    }

    fn main(&self) -> Main {
        use KubernetesRole as Role;
        match self.config.role {
            Some(Role::Node) | None => Main::Nodes(self.cluster(Some(Role::Node))),
            Some(Role::Pod) => Main::Pods(self.namespaced(Role::Pod)),
            Some(Role::Service) => Main::Services(self.namespaced(Role::Service)),
            Some(Role::Endpoints) => Main::Endpoints(self.namespaced(Role::Endpoints)),
            Some(Role::EndpointSlice) => Main::EndpointSlices(self.namespaced(Role::EndpointSlice)),
            Some(Role::Ingress) => Main::Ingresses(self.namespaced(Role::Ingress)),
        }
    }

    fn others(&self) -> Others {
        use KubernetesRole as Role;
        let attach = self.config.attach_metadata.clone().unwrap_or_default();
        let behind = matches!(self.config.role, Some(Role::Endpoints | Role::EndpointSlice));
        let nodes = attach.node == Some(true) && (behind || self.config.role == Some(Role::Pod));
        let namespaces = attach.namespace == Some(true) && self.config.role != Some(Role::Node);
        Others {
            pods: behind.then(|| self.namespaced(Role::Pod)),
            services: behind.then(|| self.namespaced(Role::Service)),
            nodes: nodes.then(|| self.cluster(Some(Role::Node))),
            namespaces: namespaces.then(|| self.cluster(None)),
        }
    }
}

impl Scope {
    /// Namespaces that the configuration names; `None` is all.
    pub(super) fn namespaces(config: &KubernetesSdConfig, own: &str) -> Vec<Option<String>> {
        let chosen = config.namespaces.clone().unwrap_or_default();
        let mut names = chosen.names;
        if chosen.own_namespace == Some(true) {
            names.push(own.to_owned());
        }
        names.sort();
        names.dedup();
        if names.is_empty() || config.role == Some(KubernetesRole::Node) {
            return vec![None];
        }
        names.into_iter().map(Some).collect()
    }

    /// Begins to follow one namespace, or all.
    pub(super) fn new(
        config: &KubernetesSdConfig,
        hub: &Hub,
        client: usize,
        kube: &kube::Client,
        namespace: Option<String>,
        changed: &Arc<Notify>,
    ) -> Self {
        let maker = Maker { config, hub, client, kube, namespace: namespace.as_deref(), changed };
        Scope { main: maker.main(), others: maker.others(), cache: HashMap::new() }
    }

    /// Whether all watches saw all objects once.
    pub(super) fn is_ready(&self) -> bool {
        let main = match &self.main {
            Main::Nodes(r) => r.is_ready(),
            Main::Pods(r) => r.is_ready(),
            Main::Services(r) => r.is_ready(),
            Main::Endpoints(r) => r.is_ready(),
            Main::EndpointSlices(r) => r.is_ready(),
            Main::Ingresses(r) => r.is_ready(),
        };
        let o = &self.others;
        main && o.pods.as_ref().is_none_or(|r| r.is_ready())
            && o.services.as_ref().is_none_or(|r| r.is_ready())
            && o.nodes.as_ref().is_none_or(|r| r.is_ready())
            && o.namespaces.as_ref().is_none_or(|r| r.is_ready())
    }

    /// Each watch and its error, none where it works.
    pub(super) fn errors(&self) -> Vec<(String, Option<String>)> {
        let main = match &self.main {
            Main::Nodes(r) => r.error(),
            Main::Pods(r) => r.error(),
            Main::Services(r) => r.error(),
            Main::Endpoints(r) => r.error(),
            Main::EndpointSlices(r) => r.error(),
            Main::Ingresses(r) => r.error(),
        };
        let o = &self.others;
        let of = |part: &str, error| (format!("{part} {:p}", self), error);
        vec![
            of("main", main),
            of("pods", o.pods.as_ref().and_then(|r| r.error())),
            of("services", o.services.as_ref().and_then(|r| r.error())),
            of("nodes", o.nodes.as_ref().and_then(|r| r.error())),
            of("namespaces", o.namespaces.as_ref().and_then(|r| r.error())),
        ]
    }

    /// The groups of all objects; none until all are seen.
    pub(super) fn groups(&mut self) -> Vec<Arc<TargetGroup>> {
        if !self.is_ready() {
            return Vec::new();
        }
        let (cache, others) = (&mut self.cache, &self.others);
        match &self.main {
            Main::Nodes(r) => refresh(cache, others, r, |o, _| node_group(o)),
            Main::Pods(r) => refresh(cache, others, r, |o, related| pod_group(o, related)),
            Main::Services(r) => refresh(cache, others, r, |o, related| service_group(o, related)),
            Main::Endpoints(r) => refresh(cache, others, r, |o, related| endpoints_group(o, related)),
            Main::EndpointSlices(r) => {
                refresh(cache, others, r, |o, related| endpointslice_group(o, related))
            }
            Main::Ingresses(r) => refresh(cache, others, r, |o, related| ingress_group(o, related)),
        }
    }
}

/// Makes the groups whose objects changed, takes the others from the cache.
fn refresh<K: Object>(
    cache: &mut HashMap<(String, String), Cached>,
    others: &Others,
    reflector: &Reflector<K>,
    make: impl Fn(&K, &dyn Related) -> TargetGroup,
) -> Vec<Arc<TargetGroup>> {
    let objects: Vec<Arc<K>> = reflector.read(|objects| objects.values().cloned().collect());
    let mut next = HashMap::with_capacity(objects.len());
    let mut groups = Vec::with_capacity(objects.len());
    for object in objects {
        let key = (meta::namespace(object.meta()).to_owned(), meta::name(object.meta()).to_owned());
        let cached = cache.remove(&key).filter(|cached| cached.is_current(&object, others));
        let cached = cached.unwrap_or_else(|| {
            let recorder = Recorder { others, asked: RefCell::default() };
            let group = Arc::new(make(&object, &recorder));
            Cached { object: Some(object.clone()), asked: recorder.asked.into_inner(), group }
        });
        groups.push(cached.group.clone());
        next.insert(key, cached);
    }
    *cache = next;
    groups
}

impl Cached {
    fn is_current<K: Object>(&self, object: &Arc<K>, others: &Others) -> bool {
        let now: Answer = Some(object.clone());
        same(&self.object, &now) && self.asked.iter().all(|(ask, answer)| same(answer, &others.answer(ask)))
    }
}

fn same(a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)),
        (None, None) => true,
        _ => false,
    }
}

fn erase<K: Send + Sync + 'static>(found: Option<Arc<K>>) -> Answer {
    found.map(|object| object as Arc<dyn Any + Send + Sync>)
}

impl Others {
    fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Pod(namespace, name) => erase(self.pods.as_ref().and_then(|r| r.get(namespace, name))),
            Ask::Service(namespace, name) => {
                erase(self.services.as_ref().and_then(|r| r.get(namespace, name)))
            }
            Ask::Node(name) => erase(self.nodes.as_ref().and_then(|r| r.get("", name))),
            Ask::Namespace(name) => erase(self.namespaces.as_ref().and_then(|r| r.get("", name))),
        }
    }
}

/// Answers questions for other objects and remembers them.
struct Recorder<'a> {
    others: &'a Others,
    asked: RefCell<Vec<(Ask, Answer)>>,
}

impl Recorder<'_> {
    fn answer<K: Send + Sync + 'static>(&self, ask: Ask) -> Option<Arc<K>> {
        let answer = self.others.answer(&ask);
        self.asked.borrow_mut().push((ask, answer.clone()));
        answer.and_then(|any| any.downcast().ok())
    }
}

impl Related for Recorder<'_> {
    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.answer(Ask::Pod(namespace.to_owned(), name.to_owned()))
    }
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.answer(Ask::Service(namespace.to_owned(), name.to_owned()))
    }
    fn node(&self, name: &str) -> Option<Arc<Node>> {
        self.answer(Ask::Node(name.to_owned()))
    }
    fn namespace(&self, name: &str) -> Option<Arc<Namespace>> {
        self.answer(Ask::Namespace(name.to_owned()))
    }
}
