//! The body of a remote write: what it says it is, and the memory that it takes.

use crate::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use runtime::room::Held;
use std::time::Duration;

/// A request larger than this is refused before it is read whole.
const MAX_COMPRESSED_BYTES: usize = 32 << 20;
/// Snappy compresses zeros 20 times and more: this bounds what a small request can unfold to.
pub(super) const MAX_DECODED_BYTES: usize = 128 << 20;

/// A request waits so long for memory that others hold; then its sender is to come again.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);

/// So much of a refused body is read and dropped, for so long: a connection that ends while its peer still writes is reset, and the peer,
/// which never sees the answer then, comes again for ever.
const MAX_DROPPED_BYTES: usize = 64 << 20;
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// The body, still compressed, and the memory for it and for what it unfolds to.
///
/// Its length is what the sender says, or else the most that there may be: so nobody waits for more while it holds a part.
///
/// # Errors
/// The answer to a body that is refused, after the rest of it has come.
pub(super) async fn body(
    state: &State,
    headers: &HeaderMap,
    mut body: axum::body::Body,
) -> Result<(Bytes, Held), (StatusCode, String)> {
    let received = receive(state, headers, &mut body).await;
    // who asks before it sends has not sent it
    if received.is_err() && !headers.contains_key(http::header::EXPECT) {
        let _ = tokio::time::timeout(DROP_PATIENCE, collect(&mut body, MAX_DROPPED_BYTES, |_| {})).await;
    }
    received
}

/// Reads a body piece by piece, as far as `most` bytes.
async fn collect(
    body: &mut axum::body::Body,
    most: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<(), String> {
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        let Some(data) = frame.data_ref() else { continue };
        len += data.len();
        if len > most {
            return Err(format!("the body is longer than {most} bytes"));
        }
        take(data);
    }
    Ok(())
}

async fn receive(
    state: &State,
    headers: &HeaderMap,
    body: &mut axum::body::Body,
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
    let mut compressed = Vec::with_capacity(announced.unwrap_or(0));
    if let Err(why) = collect(body, most, |data| compressed.extend_from_slice(data)).await {
        return refused(StatusCode::BAD_REQUEST, why);
    }
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
    Ok((compressed.into(), held))
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
