//! Parts of Kubernetes' own types within ours.

use crate::prometheus::EmbeddedMetadata;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::marker::PhantomData;

/// Keyword that marks the schema of a Kubernetes type, with the type's name, until [`crate::schema`] has amended it.
pub(crate) const MARK: &str = "title";

/// What the mark begins with, to tell it from other titles.
pub(crate) const MARK_PREFIX: &str = "native:";

/// A value of the Kubernetes type `T`, kept as it was written: a field that a newer cluster knows, and this program's
/// version of the type does not, goes through unharmed.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Native<T> {
    /// As written.
    pub json: serde_json::Value,
    #[serde(skip)]
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Native<T> {
    /// The value as its type.
    ///
    /// # Errors
    /// Where it is none.
    pub fn typed(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.json)
    }
}

impl<T> From<serde_json::Value> for Native<T> {
    fn from(json: serde_json::Value) -> Self {
        Native { json, kind: PhantomData }
    }
}

impl<T> Clone for Native<T> {
    fn clone(&self) -> Self {
        self.json.clone().into()
    }
}

impl<T> std::fmt::Debug for Native<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.json.fmt(f)
    }
}

impl<T> PartialEq for Native<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl<T: JsonSchema> JsonSchema for Native<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let name = T::schema_name();
        let short = name.rsplit('.').next().unwrap_or_default();
        schema.insert(MARK.to_owned(), format!("{MARK_PREFIX}{short}").into());
        schema
    }
}

/// A claim of persistent storage, as the template of a StatefulSet's claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedClaim {
    /// Version of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// PersistentVolumeClaim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and annotations of the claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<EmbeddedMetadata>,
    /// Size, storage class and access of the claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<Native<PersistentVolumeClaimSpec>>,
    /// Not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Native<PersistentVolumeClaimStatus>>,
}
