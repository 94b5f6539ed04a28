//! Makes connections: directly, or through an HTTP proxy.

use super::text::{Cache, Text};
use super::{Error, basic};
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;
use url::Url;

/// Longest answer to CONNECT: some headers.
const CONNECT_ANSWER: usize = 8 << 10;

/// Gives a connection for a URI.
pub(super) type Connector = BoxCloneSyncService<Uri, Stream, io::Error>;

/// A proxy and who is reached without it.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
    exceptions: Vec<String>,
}

impl Proxy {
    pub(super) fn new(url: &str, no_proxy: &[String]) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Option { what: "proxy_url", reason };
        let url = Url::parse(url).map_err(|e| invalid(e.to_string()))?;
        if url.scheme() != "http" {
            return Err(invalid(format!("scheme {:?} is not supported, only http", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| invalid("no host".to_owned()))?.to_owned();
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let authorization = (!url.username().is_empty())
            .then(|| basic(&decode(url.username()), &decode(url.password().unwrap_or_default())));
        let port = url.port_or_known_default().unwrap_or(80);
        let exceptions = no_proxy.iter().map(|s| s.trim().trim_start_matches('.').to_ascii_lowercase());
        let exceptions = exceptions.filter(|s| !s.is_empty()).collect();
        Ok(Proxy { host, port, authorization, exceptions })
    }

    fn serves(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        !self.exceptions.iter().any(|e| {
            e == "*" || host == *e || host.strip_suffix(e.as_str()).is_some_and(|rest| rest.ends_with('.'))
        })
    }

    /// What a request for `url` must show to this proxy.
    pub(super) fn authorization(&self, url: &Url) -> Option<HeaderValue> {
        if !self.serves(url.host_str()?) {
            return None;
        }
        self.authorization.as_ref()?.parse().ok()
    }
}

/// A TCP connection, to the server or to a proxy.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TokioIo<TcpStream>,
    /// Requests must name the whole URL.
    proxied: bool,
}

/// A connector with these settings.
pub(super) fn connector(
    proxy: Option<Proxy>,
    headers: Vec<(String, Text)>,
    texts: Cache,
    timeout: Option<Duration>,
) -> Connector {
    let settings = Arc::new((proxy, headers, texts));
    BoxCloneSyncService::new(tower::service_fn(move |uri: Uri| {
        let settings = settings.clone();
        async move {
            let (proxy, headers, texts) = &*settings;
            let connecting = connect(&uri, proxy.as_ref(), headers, texts);
            match timeout {
                Some(timeout) => tokio::time::timeout(timeout, connecting).await.map_err(|_| {
                    io::Error::new(io::ErrorKind::TimedOut, format!("connect: not within {timeout:?}"))
                })?,
                None => connecting.await,
            }
        }
    }))
}

async fn connect(
    uri: &Uri,
    proxy: Option<&Proxy>,
    headers: &[(String, Text)],
    texts: &Cache,
) -> io::Result<Stream> {
    let host = uri.host().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no host in the URL"))?;
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let Some(proxy) = proxy.filter(|p| p.serves(host)) else {
        return Ok(Stream { tcp: TokioIo::new(dial(host, port).await?), proxied: false });
    };
    let mut tcp = dial(&proxy.host, proxy.port).await?;
    if tls {
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &proxy.authorization {
            let _ = write!(request, "Proxy-Authorization: {authorization}\r\n");
        }
        for (name, value) in headers {
            let value = texts.get("proxy_connect_header", value).map_err(io::Error::other)?;
            if value.contains(['\r', '\n']) || name.contains(['\r', '\n', ':']) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "proxy_connect_header with a line break",
                ));
            }
            let _ = write!(request, "{name}: {value}\r\n");
        }
        tunnel(&mut tcp, request + "\r\n").await?;
    }
    Ok(Stream { tcp: TokioIo::new(tcp), proxied: !tls })
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((bare, port))
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("connect {host}:{port}: {e}")))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Asks the proxy for a tunnel; reads byte by byte so that nothing of what follows is taken away.
async fn tunnel(tcp: &mut TcpStream, request: String) -> io::Result<()> {
    tcp.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= CONNECT_ANSWER {
            return Err(io::Error::other("proxy answers CONNECT with more than 8 KiB of headers"));
        }
        answer.push(tcp.read_u8().await.map_err(|e| io::Error::new(e.kind(), format!("proxy: {e}")))?);
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(io::Error::other(format!("proxy refuses CONNECT: {status}")))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
}
