//! Secrets and ConfigMaps that configurations refer to.

use crds::select::{KeySelector, SecretOrConfigMap};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What a reference points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::ConfigMap => "configmap",
        }
    }

    /// Begins the names of files made from such an object.
    fn file_prefix(self) -> u8 {
        match self {
            Kind::Secret => 0,
            Kind::ConfigMap => 1,
        }
    }
}

/// One Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// What it is.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What has been fetched: data by key, none where the object does not exist.
pub type Materials = BTreeMap<Reference, Option<BTreeMap<String, Vec<u8>>>>;

/// Directory in which the server finds TLS assets.
const CERTS: &str = "/etc/prometheus/certs";

/// Reads materials, and notes which were asked for.
pub(crate) struct Reader<'a> {
    materials: &'a Materials,
    asked: RefCell<BTreeSet<Reference>>,
    assets: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(materials: &'a Materials) -> Self {
        Reader { materials, asked: RefCell::default(), assets: RefCell::default() }
    }

    /// What was asked for, and the files of TLS assets.
    pub(crate) fn finish(self) -> (BTreeSet<Reference>, BTreeMap<String, Vec<u8>>) {
        (self.asked.into_inner(), self.assets.into_inner())
    }

    fn get(&self, kind: Kind, namespace: &str, selector: &KeySelector) -> Result<&'a [u8], String> {
        let (name, key, noun) = (&selector.name, &selector.key, kind.noun());
        if name.is_empty() {
            return Err(format!("unable to get {noun} {name:?}: resource name may not be empty"));
        }
        let reference = Reference { kind, namespace: namespace.to_owned(), name: name.clone() };
        let found = self.materials.get(&reference).and_then(Option::as_ref);
        self.asked.borrow_mut().insert(reference);
        let data =
            found.ok_or_else(|| format!("unable to get {noun} {name:?}: {noun}s {name:?} not found"))?;
        data.get(key).map(Vec::as_slice).ok_or_else(|| format!("key {key:?} in {noun} {name:?} not found"))
    }

    fn text(&self, kind: Kind, namespace: &str, selector: &KeySelector) -> Result<String, String> {
        let bytes = self.get(kind, namespace, selector)?;
        let (name, key, noun) = (&selector.name, &selector.key, kind.noun());
        let text =
            std::str::from_utf8(bytes).map_err(|_| format!("key {key:?} in {noun} {name:?} is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// The text of a Secret's key.
    pub(crate) fn secret(&self, namespace: &str, selector: &KeySelector) -> Result<String, String> {
        self.text(Kind::Secret, namespace, selector)
    }

    /// The text of a Secret's key; none where it is missing and may be.
    pub(crate) fn optional_secret(
        &self,
        namespace: &str,
        selector: &KeySelector,
    ) -> Result<Option<String>, String> {
        match self.text(Kind::Secret, namespace, selector) {
            Err(_) if selector.optional == Some(true) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The text of either kind's key.
    pub(crate) fn either(&self, namespace: &str, source: &SecretOrConfigMap) -> Result<String, String> {
        match (&source.secret, &source.config_map) {
            (Some(secret), _) => self.text(Kind::Secret, namespace, secret),
            (None, Some(map)) => self.text(Kind::ConfigMap, namespace, map),
            (None, None) => Err("neither a secret nor a configMap is named".to_owned()),
        }
    }

    /// The path of the file that will hold this key.
    pub(crate) fn asset(
        &self,
        namespace: &str,
        source: &SecretOrConfigMap,
    ) -> Result<Option<String>, String> {
        let (kind, selector) = match (&source.secret, &source.config_map) {
            (Some(_), Some(_)) => return Err("both a secret and a configMap are named".to_owned()),
            (Some(secret), None) => (Kind::Secret, secret),
            (None, Some(map)) => (Kind::ConfigMap, map),
            (None, None) => return Ok(None),
        };
        let bytes = self.get(kind, namespace, selector)?;
        let file = format!("{}_{namespace}_{}_{}", kind.file_prefix(), selector.name, selector.key);
        let path = format!("{CERTS}/{file}");
        self.assets.borrow_mut().insert(file, bytes.to_vec());
        Ok(Some(path))
    }
}
