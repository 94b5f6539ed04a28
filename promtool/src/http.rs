//! Asks a server over HTTP.

use crate::{Failure, text};
use config::prometheus::HttpClientConfig;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use runtime::http_client::HttpClient;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// Most bytes of an answer.
const MAX_ANSWER: u64 = 1 << 30;

/// A server.
pub(crate) struct Server {
    client: HttpClient,
    runtime: tokio::runtime::Runtime,
    base: Url,
    headers: HeaderMap,
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// A server at a URL (`http` where it has no scheme), with further headers, and with the client's options in a file.
    pub(crate) fn new(
        url: &str,
        config_file: Option<&Path>,
        headers: &[(String, String)],
    ) -> Result<Self, Failure> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let base = Url::parse(&url).map_err(|e| Failure::new(format!("parse {url:?}: {e}")))?;
        let options = match config_file {
            None => scrape::job::client_options(&HttpClientConfig::default()),
            Some(path) => {
                let failed = |why: String| Failure::new(format!("failed to load HTTP config file: {why}"));
                let content = std::fs::read_to_string(path)
                    .map_err(|e| failed(format!("open {}: {}", path.display(), text::reason(&e))))?;
                let http: HttpClientConfig =
                    config::yaml::from_str(&content).map_err(|e| failed(e.to_string()))?;
                scrape::job::client_options(&http)
            }
        };
        let client = HttpClient::new(options.map_err(Failure::new)?).map_err(Failure::new)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let bad = || Failure::new(format!("invalid header {name:?}"));
            let name: HeaderName = name.parse().map_err(|_| bad())?;
            map.append(name, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        Ok(Server { client, runtime, base, headers: map })
    }

    /// The URL of a path below the server's.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The server's own URL, without a slash at the end.
    pub(crate) fn name(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A GET with parameters.
    pub(crate) fn get(&self, path: &str, params: &[(&str, String)]) -> Result<Answer, Failure> {
        let mut url = self.url(path);
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        self.send(Method::GET, &url, &[], Vec::new())
    }

    /// A POST of a form.
    pub(crate) fn post_form(&self, path: &str, params: &[(&str, String)]) -> Result<Answer, Failure> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, &self.url(path), &headers, form.into_bytes())
    }

    fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        self.runtime.block_on(self.exchange(method, url, headers, body))
    }

    /// A POST of bytes that must be answered within a time.
    pub(crate) fn post_within(
        &self,
        limit: Duration,
        url: &Url,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let late = || Failure::new(format!("{url}: no answer within {} s", limit.as_secs_f64()));
        self.runtime.block_on(async {
            let exchange = self.exchange(Method::POST, url, headers, body);
            tokio::time::timeout(limit, exchange).await.map_err(|_| late())?
        })
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let mut map = self.headers.clone();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let response = self.client.send(method, url, map, body.into()).await.map_err(Failure::new)?;
        let (status, headers) = (response.status, response.headers.clone());
        let body = response.bytes(MAX_ANSWER).await.map_err(Failure::new)?;
        Ok(Answer { status, headers, body })
    }
}
