//! The HTTP/1.1 client: TLS, authentication, proxies, redirects, streamed bodies with limits.
//!
//! Certificates, tokens and passwords may stand in files; they are read again when a file changes (seen by one `stat` a
//! request). There is no deadline for the whole of a request here: callers wrap requests in `tokio::time::timeout`.

mod connect;
mod text;
mod tls;

use base64::Engine as _;
use bytes::Bytes;
use connect::{Connector, Proxy};
use http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
pub use text::Text;
pub use tls::{TlsOptions, TlsVersion, check_key_pair};
use url::Url;

/// As many as Go's client follows.
const MAX_REDIRECTS: usize = 10;
/// Idle connections longer than the longest usual scrape interval are of use; this is Prometheus' figure.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Most that a connection buffers, bytes: idle ones keep theirs, and there is one for each target. Bounds the head of an
/// answer too.
const READ_BUFFER: usize = 32 << 10;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the options could not be read.
    #[error("cannot read {what} `{path}`: {source}")]
    File {
        /// Which option.
        what: &'static str,
        /// Its file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// An option has a value that cannot be used.
    #[error("invalid {what}: {reason}")]
    Option {
        /// Which option.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// Not an HTTP URL.
    #[error("invalid URL `{url}`: {reason}")]
    Url {
        /// As given.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The connection or the exchange failed.
    #[error("{method} \"{url}\": {reason}")]
    Request {
        /// The method.
        method: Method,
        /// Where to.
        url: String,
        /// The chain of causes.
        reason: String,
    },
    /// Redirected in circles.
    #[error("{method} \"{url}\": stopped after 10 redirects")]
    Redirects {
        /// The method.
        method: Method,
        /// The last place.
        url: String,
    },
    /// The body could not be read to its end.
    #[error("reading the body: {0}")]
    Body(String),
    /// The body is longer than allowed.
    #[error("body exceeds {0} bytes")]
    BodyTooLarge(u64),
}

/// How to reach servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// TLS, for https URLs.
    pub tls: TlsOptions,
    /// The `Authorization` header.
    pub auth: Option<Auth>,
    /// Further request headers; they replace those of the request.
    pub headers: Vec<(String, Vec<Text>)>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// `http://[user:password@]host:port`: a proxy; https goes through it by CONNECT.
    pub proxy_url: Option<String>,
    /// Hosts and domains that are reached without the proxy.
    pub no_proxy: Vec<String>,
    /// Headers of CONNECT requests.
    pub proxy_connect_headers: Vec<(String, Text)>,
    /// Longest time to connect, TLS excluded; none means as long as the request may take.
    pub connect_timeout: Option<Duration>,
}

/// What goes into the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Basic`.
    Basic {
        /// The user.
        username: Text,
        /// The password.
        password: Text,
    },
    /// Any scheme, e.g. `Bearer`, and what follows it.
    Scheme {
        /// The scheme.
        scheme: String,
        /// Token or other credentials.
        credentials: Text,
    },
}

type TlsClient = Client<HttpsConnector<Connector>, Full<Bytes>>;

/// A client with a pool of connections, for one set of options. Clones share it.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    options: Options,
    proxy: Option<Proxy>,
    connector: Connector,
    plain: Client<Connector, Full<Bytes>>,
    /// Made at the first https request, made anew when a file of it changes.
    tls: Mutex<Option<(Vec<text::Stamp>, TlsClient)>>,
    texts: text::Cache,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HttpClient").field(&self.0.options).finish()
    }
}

impl HttpClient {
    /// A client. Files are read at the first request, so one that is missing now may come later.
    ///
    /// # Errors
    /// Where an option that is given inline cannot be used.
    pub fn new(options: Options) -> Result<Self, Error> {
        let proxy = options.proxy_url.as_deref().map(|url| Proxy::new(url, &options.no_proxy)).transpose()?;
        for (name, _) in &options.headers {
            header_name(name)?;
        }
        tls::check_inline(&options.tls)?;
        let texts = text::Cache::default();
        let connect_headers = options.proxy_connect_headers.clone();
        let connector =
            connect::connector(proxy.clone(), connect_headers, texts.clone(), options.connect_timeout);
        let plain = builder().build(connector.clone());
        Ok(HttpClient(Arc::new(Inner { options, proxy, connector, plain, tls: Mutex::new(None), texts })))
    }

    /// A client without any option set but redirects.
    ///
    /// # Errors
    /// None in practice; the form is that of [`HttpClient::new`].
    pub fn plain() -> Result<Self, Error> {
        HttpClient::new(Options { follow_redirects: true, ..Options::default() })
    }

    /// A GET.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, Error> {
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a request, follows redirects where allowed, and returns with the head of the answer. Any status is an answer.
    ///
    /// # Errors
    /// Where no answer came, or a file of the options cannot be read.
    pub async fn send(
        &self,
        mut method: Method,
        url: &Url,
        headers: HeaderMap,
        mut body: Bytes,
    ) -> Result<Response, Error> {
        let mut at = url.clone();
        let mut headers = headers;
        self.add_headers(&mut headers)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&method, &at, headers.clone(), body.clone()).await?;
            let Some(next) = self.redirect(&at, &response) else { return Ok(response) };
            if !matches!(response.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
                && method != Method::HEAD
            {
                (method, body) = (Method::GET, Bytes::new());
            }
            if next.host_str() != at.host_str() || next.scheme() != at.scheme() || next.port() != at.port() {
                for secret in [AUTHORIZATION, COOKIE, WWW_AUTHENTICATE] {
                    headers.remove(secret);
                }
            }
            at = next;
        }
        Err(Error::Redirects { method, url: at.to_string() })
    }

    fn redirect(&self, at: &Url, response: &Response) -> Option<Url> {
        let redirects = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        if !redirects || !self.0.options.follow_redirects {
            return None;
        }
        at.join(response.headers.get(LOCATION)?.to_str().ok()?).ok()
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Error> {
        let invalid = |reason: String| Error::Url { url: url.to_string(), reason };
        let uri: Uri = url.as_str().parse().map_err(|e: http::uri::InvalidUri| invalid(e.to_string()))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let answer = match url.scheme() {
            "https" => self.tls_client()?.request(request).await,
            "http" => {
                if let Some(auth) = self.0.proxy.as_ref().and_then(|p| p.authorization(url)) {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, auth);
                }
                self.0.plain.request(request).await
            }
            other => return Err(invalid(format!("scheme {other:?} is neither http nor https"))),
        };
        let answer = answer.map_err(|e| Error::Request {
            method: method.clone(),
            url: url.to_string(),
            reason: chain(&e),
        })?;
        let (head, body) = answer.into_parts();
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    fn tls_client(&self) -> Result<TlsClient, Error> {
        let options = &self.0.options.tls;
        let stamps = tls::stamps(options);
        let mut made = self.0.tls.lock();
        if let Some((of, client)) = made.as_ref()
            && *of == stamps
        {
            return Ok(client.clone());
        }
        let client = builder().build(tls::connector(options, &self.0.texts, self.0.connector.clone())?);
        *made = Some((stamps, client.clone()));
        Ok(client)
    }

    fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let texts = &self.0.texts;
        if let Some(auth) = &self.0.options.auth {
            let value = match auth {
                Auth::Basic { username, password } => {
                    let (user, password) =
                        (texts.get("username", username)?, texts.get("password", password)?);
                    basic(&user, &password)
                }
                Auth::Scheme { scheme, credentials } => {
                    format!("{scheme} {}", texts.get("credentials", credentials)?)
                }
            };
            headers.insert(AUTHORIZATION, secret_value("credentials", &value)?);
        }
        for (name, values) in &self.0.options.headers {
            let name = header_name(name)?;
            headers.remove(&name);
            for value in values {
                headers.append(&name, secret_value("http_headers", &texts.get("http_headers", value)?)?);
            }
        }
        // hyper writes it from the URL
        if headers.get(HOST).is_some_and(HeaderValue::is_empty) {
            headers.remove(HOST);
        }
        Ok(())
    }
}

impl Response {
    /// The next part of the body; none at its end.
    ///
    /// # Errors
    /// Where the connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(e)) => return Err(Error::Body(chain(&e))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// Where the connection broke, or the body is longer.
    pub async fn bytes(mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (all.len() + chunk.len()) as u64 > limit {
                return Err(Error::BodyTooLarge(limit));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_idle_timeout(IDLE_TIMEOUT).pool_timer(TokioTimer::new()).http1_max_buf_size(READ_BUFFER);
    builder
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    name.parse().map_err(|_| Error::Option { what: "header name", reason: format!("{name:?}") })
}

fn secret_value(what: &'static str, value: &str) -> Result<HeaderValue, Error> {
    // the value stays out of the message: it is a secret
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::Option { what, reason: "not a value for a header".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error with its causes, each once: the outer ones often say no more than "error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !said.iter().any(|s: &String| s.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    // the first is hyper's own frame, e.g. "client error (Connect)"
    if said.len() > 1 {
        said.remove(0);
    }
    said.join(": ")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
