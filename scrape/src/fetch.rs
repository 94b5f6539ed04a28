//! Fetches one exposition: request, status, decompression, limit.

use crate::inflate::{self, Body, Buffers};
use crate::job::Job;
use crate::protocol;
use exposition::Format;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use runtime::http_client::{HttpClient, Response};
use runtime::room::{Held, Room};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

/// Bound of an answer where neither the job nor the memory for bodies has one, bytes: several million samples.
const SAFETY_LIMIT: u64 = 512 << 20;
/// A longer answer is worked on apart from the other tasks of its thread: from here on they would wait for milliseconds.
pub(crate) const LONG: usize = 1 << 20;
/// The same for what is still compressed.
const LONG_GZIP: usize = LONG / 10;
/// The first room of a body that does not say how long it is, bytes.
const FIRST_ROOM: usize = 64 << 10;
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
    /// Longer than all bodies together may be.
    #[error("body size limit exceeded ({0} bytes: all that bodies may hold, see --scrape.memory-budget)")]
    BodyBudget(u64),
    /// Others hold the memory.
    #[error(
        "no memory for the body within the scrape's time: others hold the {0} bytes that bodies may have, see --scrape.memory-budget"
    )]
    NoRoom(usize),
}

/// What came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Body,
    pub(crate) format: Format,
    /// The memory of the body.
    pub(crate) held: Held,
}

/// What bodies may take, of one target and of all.
pub(crate) struct Bounds<'a> {
    pub(crate) room: &'a Room,
    /// Whether the fetch stands still for want of room: what a timeout then says.
    pub(crate) waits: &'a AtomicBool,
}

impl Bounds<'_> {
    /// The longest body, bytes, and what is said of one that is longer.
    fn limit(&self, job: &Job) -> (u64, fn(u64) -> Error) {
        let own = if job.limits.body_size > 0 { job.limits.body_size } else { u64::MAX };
        match self.room.total() {
            Some(all) if (all as u64) < own => (all as u64, Error::BodyBudget),
            None if own == u64::MAX => (SAFETY_LIMIT, Error::BodySize),
            _ => (own, Error::BodySize),
        }
    }

    /// Waits for room.
    async fn reach(&self, held: &mut Held, bytes: usize) -> Result<(), Error> {
        if held.try_reach(bytes) {
            return Ok(());
        }
        self.waits.store(true, Relaxed);
        let reached = held.reach(bytes).await;
        self.waits.store(false, Relaxed);
        reached.map_err(|too_large| Error::BodyBudget(too_large.total as u64))
    }
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
    bounds: &Bounds<'_>,
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
    let (limit, too_long) = bounds.limit(job);
    let (received, held) = receive(response, buffers.take(), (limit, too_long), bounds).await?;
    if !gzip {
        return Ok(Fetched { body: buffers.plain(received), format, held });
    }
    // the received bytes are a part of what the text may take: they are soon gone, and no text is shorter
    let mut held = held;
    if let Some(len) = inflate::announced_len(&received).filter(|len| *len as u64 <= limit) {
        bounds.reach(&mut held, len).await?;
    }
    let unzipped = apart(received.len() > LONG_GZIP, || buffers.unzip(&received, limit, &mut held));
    buffers.put(received);
    let body = unzipped.map_err(|error| match error {
        inflate::Error::TooLong => too_long(limit),
        inflate::Error::NoRoom => Error::NoRoom(bounds.room.total().unwrap_or_default()),
        inflate::Error::Gzip(error) => Error::Gzip(error.to_string()),
    })?;
    Ok(Fetched { body, format, held })
}

/// Reads the answer as it comes. What is compressed is no longer than its text, but for a few bytes.
async fn receive(
    mut response: Response,
    mut to: Vec<u8>,
    (limit, too_long): (u64, fn(u64) -> Error),
    bounds: &Bounds<'_>,
) -> Result<(Vec<u8>, Held), Error> {
    let mut held = bounds.room.hold();
    let most = limit.saturating_add(if response.headers.contains_key(CONTENT_ENCODING) {
        limit / 1000 + 1024
    } else {
        0
    });
    let announced = response.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if let Some(announced) = announced {
        if announced > most {
            return Err(too_long(limit));
        }
        bounds.reach(&mut held, announced as usize).await?;
        to.reserve_exact(announced as usize);
    }
    while let Some(chunk) = response.chunk().await? {
        let len = to.len() + chunk.len();
        if len as u64 > most {
            return Err(too_long(limit));
        }
        if len > held.bytes() {
            // what a vector grows to, so that neither is asked for with every chunk
            let grown = (len + len / 2).min(most as usize).max(FIRST_ROOM);
            bounds.reach(&mut held, grown.min(bounds.room.total().unwrap_or(usize::MAX)).max(len)).await?;
            to.reserve_exact(grown.saturating_sub(to.len()));
        }
        to.extend_from_slice(&chunk);
    }
    Ok((to, held))
}

/// Does work on this thread; where it is long, the other tasks of the thread move to another one first.
pub(crate) fn apart<T>(long: bool, work: impl FnOnce() -> T) -> T {
    let movable = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if long && Handle::try_current().is_ok_and(movable) { tokio::task::block_in_place(work) } else { work() }
}
