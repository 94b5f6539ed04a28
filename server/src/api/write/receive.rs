//! The body of a remote write: what it says it is, and the memory that it takes.

use crate::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use runtime::room::Held;
use std::time::Duration;

/// A request larger than this is refused before it is read whole.
const MAX_COMPRESSED_BYTES: usize = 32 << 20;
/// Snappy compresses zeros 20 times and more: this bounds what a small request can unfold to.
pub(super) const MAX_DECODED_BYTES: usize = 128 << 20;

/// A request waits so long for memory that others hold; then its sender is to come again.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);

/// The body, still compressed, and the memory for it and for what it unfolds to.
///
/// Its length is what the sender says, or else the most that there may be: so nobody waits for more while it holds a part.
pub(super) async fn body(
    state: &State,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<(Bytes, Held), (StatusCode, String)> {
    let refused = |status: StatusCode, why: String| Err((status, why + "\n"));
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let most = announced.unwrap_or(MAX_COMPRESSED_BYTES.min(state.bodies.total().unwrap_or(usize::MAX)));
    if most > MAX_COMPRESSED_BYTES {
        return refused(
            StatusCode::BAD_REQUEST,
            format!("{most} bytes exceed the limit of {MAX_COMPRESSED_BYTES}"),
        );
    }
    let no_room = || {
        let why = "other requests and scrapes hold the memory for bodies (--scrape.memory-budget)";
        refused(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
    };
    let too_large = |e: runtime::room::TooLarge| {
        refused(StatusCode::BAD_REQUEST, format!("{e} (--scrape.memory-budget)"))
    };
    let mut held = state.bodies.hold();
    match tokio::time::timeout(ROOM_PATIENCE, held.reach(most)).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return too_large(e),
        Err(_) => return no_room(),
    }
    let compressed = match Limited::new(body, most).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => return refused(StatusCode::BAD_REQUEST, e.to_string()),
    };
    // a length that cannot be read is told by the decoder
    let decoded = snap::raw::decompress_len(&compressed).unwrap_or(0).min(MAX_DECODED_BYTES);
    if !held.try_reach(compressed.len() + decoded) {
        // what is held could be what another one waits for
        drop(held);
        held = state.bodies.hold();
        match tokio::time::timeout(ROOM_PATIENCE, held.reach(compressed.len() + decoded)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return too_large(e),
            Err(_) => return no_room(),
        }
    }
    Ok((compressed, held))
}

/// Whether a content type is that of remote write 1.0; none at all is, as with Prometheus.
pub(super) fn is_version_1(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let is_other =
        |part: &str| part.strip_prefix("proto=").is_some_and(|proto| proto != "prometheus.WriteRequest");
    kind.is_empty() || (media == "application/x-protobuf" && !parts.any(is_other))
}

#[cfg(test)]
mod tests {
    #[test]
    fn content_types_are_those_of_version_1() {
        for (kind, accepted) in [
            ("", true),
            ("application/x-protobuf", true),
            ("application/x-protobuf;proto=prometheus.WriteRequest", true),
            ("application/x-protobuf; proto=prometheus.WriteRequest; x=y", true),
            ("application/x-protobuf;charset=x", true),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", false),
            ("application/x-protobuf; proto=io.prometheus.write.v2.Request", false),
            ("application/x-protobuf;proto=foo", false),
            ("application/x-protobufx", false),
            ("text/plain", false),
        ] {
            assert_eq!(super::is_version_1(kind), accepted, "{kind:?}");
        }
    }
}
