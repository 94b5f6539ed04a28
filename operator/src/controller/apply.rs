//! Writing objects: only where they differ from what was last written.

use super::state::{Applied, State};
use super::{Controller, Error};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Name under which the operator's fields are kept apart from those of others.
pub(crate) const MANAGER: &str = "pharos-operator";

/// A kind that the operator writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written {
    Secret,
    Service,
    Role,
    RoleBinding,
    StatefulSet,
}

impl Written {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Written::Secret => "Secret",
            Written::Service => "Service",
            Written::Role => "Role",
            Written::RoleBinding => "RoleBinding",
            Written::StatefulSet => "StatefulSet",
        }
    }

    fn resource(self) -> ApiResource {
        match self {
            Written::Secret => ApiResource::erase::<Secret>(&()),
            Written::Service => ApiResource::erase::<Service>(&()),
            Written::Role => ApiResource::erase::<Role>(&()),
            Written::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Written::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        }
    }
}

impl Controller {
    pub(crate) fn api(&self, kind: Written, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// Makes the object be as given; a StatefulSet whose fixed fields changed is replaced, its pods stay.
    pub(crate) async fn write(&self, state: &mut State, kind: Written, object: &Value) -> Result<(), Error> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let mut hasher = DefaultHasher::new();
        object.to_string().hash(&mut hasher);
        let hash = hasher.finish();
        let id = (kind.name(), namespace.clone(), name.clone());
        if state.applied.get(&id).is_some_and(|applied| applied.hash == hash) {
            return Ok(());
        }
        let api = self.api(kind, &namespace);
        let result = self.patch(&api, &name, object).await;
        let result = match result {
            Err(kube::Error::Api(refused)) if refused.code == 422 && matches!(kind, Written::StatefulSet) => {
                tracing::info!(
                    namespace,
                    name,
                    reason = refused.message,
                    "replacing the StatefulSet, keeping its pods"
                );
                let _ = api.delete(&name, &DeleteParams::orphan()).await;
                self.patch(&api, &name, object).await
            }
            other => other,
        };
        let outcome = if result.is_ok() { "ok" } else { "error" };
        self.metrics.writes.with(&[kind.name(), outcome]).inc();
        let written = result.map_err(|source| Error::Write {
            kind: kind.name(),
            namespace,
            name,
            source: Box::new(source),
        })?;
        let mark = match kind {
            Written::StatefulSet => written.meta().generation.unwrap_or_default().to_string(),
            _ => written.resource_version().unwrap_or_default(),
        };
        state.applied.insert(id, Applied { hash, mark });
        Ok(())
    }

    async fn patch(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, kube::Error> {
        api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await
    }
}
