//! Fetches one exposition: request, status, decompression, limit.

use crate::job::Job;
use crate::protocol;
use exposition::Format;
use flate2::write::GzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use runtime::http_client::{HttpClient, Response};
use std::io::{self, Write};
use url::Url;

/// Bound of an answer where none is configured, bytes: several million samples, and yet no target can take all memory.
const SAFETY_LIMIT: u64 = 512 << 20;
/// Buffers that wait for the next answer: as many as are usually read at the same time on few cores.
const SPARE_BUFFERS: usize = 4;
/// A larger buffer than this is given back, bytes.
const SPARE_CAPACITY: usize = 4 << 20;
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
    pub(crate) body: Vec<u8>,
    pub(crate) format: Format,
}

/// Buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        let mut spare = self.0.lock();
        if spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_CAPACITY {
            buffer.clear();
            spare.push(buffer);
        }
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
    let to = Limited { buffer: buffers.take(), limit };
    let body = if gzip { unzip(response, to).await? } else { copy(response, to).await? };
    Ok(Fetched { body, format })
}

async fn copy(mut response: Response, mut to: Limited) -> Result<Vec<u8>, Error> {
    while let Some(chunk) = response.chunk().await? {
        to.write_all(&chunk).map_err(|_| Error::BodySize(to.limit))?;
    }
    Ok(to.buffer)
}

/// Decompresses as parts come, so that the compressed form is never held as a whole.
async fn unzip(mut response: Response, to: Limited) -> Result<Vec<u8>, Error> {
    let limit = to.limit;
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::FileTooLarge => Error::BodySize(limit),
        _ => Error::Gzip(e.to_string()),
    };
    let mut decoder = GzDecoder::new(to);
    while let Some(chunk) = response.chunk().await? {
        decoder.write_all(&chunk).map_err(failed)?;
    }
    Ok(decoder.finish().map_err(failed)?.buffer)
}

/// A buffer that refuses to grow beyond its limit.
struct Limited {
    buffer: Vec<u8>,
    limit: u64,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.buffer.len() + bytes.len()) as u64 > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
