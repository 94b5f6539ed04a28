//! Fetches one exposition: request, status, decompression, limit.

use crate::inflate::{self, Body, Buffers};
use crate::job::Job;
use crate::protocol;
use exposition::Format;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use runtime::http_client::{HttpClient, Response};
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

/// Bound of an answer where none is configured, bytes: several million samples, and yet no target can take all memory.
const SAFETY_LIMIT: u64 = 512 << 20;
/// A longer answer is worked on apart from the other tasks of its thread: from here on they would wait for milliseconds.
pub(crate) const LONG: usize = 1 << 20;
/// The same for what is still compressed.
const LONG_GZIP: usize = LONG / 10;
/// How Pharos names itself.
const AGENT: &str = concat!("Pharos/", env!("CARGO_PKG_VERSION"));

/// Why there is nothing to parse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error(transparent)]
    Http(#[from] runtime::http_client::Error),
    /// Not within the timeout. The middle words are what runbooks search for.
    #[error("GET \"{url}\": context deadline exceeded (scrape_timeout {timeout})")]
    Timeout {
        /// Where.
        url: String,
        /// After how long.
        timeout: String,
    },
    /// Another status than 200.
    #[error("server returned HTTP status {0}")]
    Status(StatusCode),
    /// Not a known format.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// Compressed in a way that was not offered.
    #[error("unsupported Content-Encoding {0:?}")]
    Encoding(String),
    /// Broken gzip.
    #[error("decompressing the body: {0}")]
    Gzip(String),
    /// Too long.
    #[error("body size limit exceeded ({0} bytes)")]
    BodySize(u64),
}

/// What came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Body,
    pub(crate) format: Format,
}

/// The headers of all requests to a target, made once.
pub(crate) fn headers(job: &Job, timeout_ms: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let timeout = model::float::format_plain(timeout_ms as f64 / 1000.0);
    for (name, value) in [
        (ACCEPT, protocol::accept(job)),
        (ACCEPT_ENCODING, if job.enable_compression { "gzip" } else { "identity" }.to_owned()),
        (USER_AGENT, AGENT.to_owned()),
        (HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), timeout),
    ] {
        // all of them are plain ASCII
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Fetches; the caller bounds the time.
pub(crate) async fn fetch(
    client: &HttpClient,
    url: &Url,
    headers: HeaderMap,
    job: &Job,
    buffers: &Buffers,
) -> Result<Fetched, Error> {
    let response = client.get(url, headers).await?;
    if response.status != StatusCode::OK {
        return Err(Error::Status(response.status));
    }
    let text = |name| response.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let format = protocol::format(text(CONTENT_TYPE), job)?;
    let gzip = match text(CONTENT_ENCODING) {
        None | Some("" | "identity") => false,
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => true,
        Some(other) => return Err(Error::Encoding(other.to_owned())),
    };
    let limit = if job.limits.body_size > 0 { job.limits.body_size } else { SAFETY_LIMIT };
    let received = receive(response, buffers.take(), limit).await?;
    if !gzip {
        return Ok(Fetched { body: buffers.plain(received), format });
    }
    let unzipped = apart(received.len() > LONG_GZIP, || buffers.unzip(&received, limit));
    buffers.put(received);
    let body = unzipped.map_err(|error| match error {
        inflate::Error::TooLong => Error::BodySize(limit),
        inflate::Error::Gzip(error) => Error::Gzip(error.to_string()),
    })?;
    Ok(Fetched { body, format })
}

/// Reads the answer as it comes. What is compressed is no longer than its text, but for a few bytes.
async fn receive(mut response: Response, mut to: Vec<u8>, limit: u64) -> Result<Vec<u8>, Error> {
    let most = limit.saturating_add(if response.headers.contains_key(CONTENT_ENCODING) {
        limit / 1000 + 1024
    } else {
        0
    });
    while let Some(chunk) = response.chunk().await? {
        if (to.len() + chunk.len()) as u64 > most {
            return Err(Error::BodySize(limit));
        }
        to.extend_from_slice(&chunk);
    }
    Ok(to)
}

/// Does work on this thread; where it is long, the other tasks of the thread move to another one first.
pub(crate) fn apart<T>(long: bool, work: impl FnOnce() -> T) -> T {
    let movable = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if long && Handle::try_current().is_ok_and(movable) { tokio::task::block_in_place(work) } else { work() }
}
