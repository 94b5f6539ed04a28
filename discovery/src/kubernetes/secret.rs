//! Follows one key of one Secret: how a server gets its configuration within milliseconds of a change.

use super::client;
use super::reflector::reason;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use runtime::Stage;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;

/// Largest configuration, unpacked: a Secret holds 1 MiB, and configurations pack about 1:30.
const MAX_UNPACKED: u64 = 64 << 20;
/// Pause after a client that could not be made.
const CONNECT_RETRY: Duration = Duration::from_secs(2);

/// What is known of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not read yet.
    Unknown,
    /// The bytes, unpacked where the key ends in `.gz`.
    Present(Arc<Vec<u8>>),
    /// There is no such Secret or key, or it cannot be unpacked: why.
    Absent(String),
    /// It cannot be read now; the last value still counts: why.
    Unreachable(String),
}

/// Follows `key` of the Secret `namespace/name` until the stage stops; reconnects by itself.
///
/// The first value is [`Value::Unknown`]. A change appears as soon as the API server tells of it.
pub fn watch(stage: &Stage, namespace: &str, name: &str, key: &str) -> channel::Receiver<Value> {
    let (sender, receiver) = channel::channel(Value::Unknown);
    let (namespace, name, key) = (namespace.to_owned(), name.to_owned(), key.to_owned());
    let token = stage.token();
    stage.spawn(async move { token.run_until_cancelled(follow(namespace, name, key, sender)).await });
    receiver
}

async fn follow(namespace: String, name: String, key: String, values: channel::Sender<Value>) {
    let connection = loop {
        match client::connect_default().await {
            Ok(connection) => break connection,
            Err(error) => {
                set(&values, Value::Unreachable(reason(&error)));
                tokio::time::sleep(CONNECT_RETRY).await;
            }
        }
    };
    let api: Api<Secret> = Api::namespaced(connection.client, &namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let missing = || Value::Absent(format!("secret `{namespace}/{name}` does not exist"));
    let mut listed = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed = None,
            Ok(watcher::Event::InitApply(secret)) => listed = Some(secret),
            Ok(watcher::Event::InitDone) => {
                set(&values, listed.take().map_or_else(missing, |secret| value(&secret, &key)));
            }
            Ok(watcher::Event::Apply(secret)) => set(&values, value(&secret, &key)),
            Ok(watcher::Event::Delete(_)) => set(&values, missing()),
            Err(error) => {
                let reason = reason(&error);
                tracing::warn!(
                    secret = format!("{namespace}/{name}"),
                    error = reason,
                    "watch failed, trying again"
                );
                set(&values, Value::Unreachable(reason));
            }
        }
    }
}

fn set(values: &channel::Sender<Value>, value: Value) {
    values.send_if_modified(|current| {
        let changed = *current != value;
        *current = value;
        changed
    });
}

/// The value of a key.
fn value(secret: &Secret, key: &str) -> Value {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Value::Absent(format!("the secret has no key `{key}`"));
    };
    if !key.ends_with(".gz") {
        return Value::Present(Arc::new(bytes.0.clone()));
    }
    let mut unpacked = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes.0.as_slice())
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut unpacked);
    match read {
        Err(error) => Value::Absent(format!("key `{key}` is no gzip: {error}")),
        Ok(_) if unpacked.len() as u64 > MAX_UNPACKED => {
            Value::Absent(format!("key `{key}` is larger than {} MiB unpacked", MAX_UNPACKED >> 20))
        }
        Ok(_) => Value::Present(Arc::new(unpacked)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn values() {
        let bomb = gzip(&vec![0; (MAX_UNPACKED + 1) as usize]);
        let data = [
            ("plain".to_owned(), ByteString(b"a: b".to_vec())),
            ("packed.gz".to_owned(), ByteString(gzip(b"a: b"))),
            ("broken.gz".to_owned(), ByteString(b"a: b".to_vec())),
            ("bomb.gz".to_owned(), ByteString(bomb)),
        ];
        let secret = Secret { data: Some(data.into()), ..Default::default() };
        let present = Value::Present(Arc::new(b"a: b".to_vec()));
        assert_eq!(value(&secret, "plain"), present);
        assert_eq!(value(&secret, "packed.gz"), present);
        assert!(matches!(value(&secret, "broken.gz"), Value::Absent(why) if why.contains("no gzip")));
        assert!(matches!(value(&secret, "bomb.gz"), Value::Absent(why) if why.contains("64 MiB")));
        assert!(matches!(value(&secret, "none"), Value::Absent(_)));
    }
}
