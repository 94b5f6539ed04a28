//! The client against servers in this process.

use super::*;
use axum::Router;
use axum::extract::Request as Asked;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Serves until the test's runtime ends.
async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let stage = crate::Stage::detached("server");
    stage.spawn(crate::http::serve(listener, router, stage.token()));
    url
}

/// Answers with the request's head: method, URI, and the named header.
fn echo(header: &'static str) -> Router {
    Router::new().fallback(move |request: Asked| async move {
        let value = request.headers().get(header).map_or("none", |v| v.to_str().unwrap()).to_owned();
        format!("{} {} {value}", request.method(), request.uri())
    })
}

async fn fetch(options: Options, url: &Url) -> Result<String, Error> {
    let response = HttpClient::new(options)?.get(url, HeaderMap::new()).await?;
    Ok(String::from_utf8(response.bytes(10_000).await?).unwrap())
}

#[tokio::test]
async fn authenticates() {
    let url = serve(echo("authorization")).await;
    let basic = Auth::Basic { username: "u".into(), password: "p".into() };
    let told = fetch(Options { auth: Some(basic), ..Options::default() }, &url).await.unwrap();
    assert_eq!(told, "GET / Basic dTpw");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "one\n").unwrap();
    let auth = Auth::Scheme { scheme: "Bearer".into(), credentials: Text::File(file.path().to_owned()) };
    let client = HttpClient::new(Options { auth: Some(auth), ..Options::default() }).unwrap();
    for token in ["one", "another"] {
        std::fs::write(file.path(), token).unwrap();
        let answer = client.get(&url, HeaderMap::new()).await.unwrap().bytes(100).await.unwrap();
        assert_eq!(answer, format!("GET / Bearer {token}").into_bytes());
    }
    let path = file.path().display().to_string();
    drop(file);
    let missing = client.get(&url, HeaderMap::new()).await.unwrap_err().to_string();
    assert!(missing.starts_with(&format!("cannot read credentials `{path}`: ")), "{missing}");
}

#[tokio::test]
async fn own_headers_replace() {
    let url = serve(echo("x-scope")).await;
    let headers = vec![("X-Scope".to_owned(), vec!["tenant".into()])];
    let told = fetch(Options { headers, ..Options::default() }, &url).await.unwrap();
    assert_eq!(told, "GET / tenant");
}

#[tokio::test]
async fn redirects_only_where_allowed_and_without_secrets_elsewhere() {
    let target = serve(echo("authorization")).await;
    let there = target.clone();
    let from = Router::new()
        .route("/", get(move || async move { Redirect::temporary(there.as_str()) }))
        .route("/loop", get(|| async { Redirect::to("/loop").into_response() }));
    let url = serve(from).await;
    let auth = Some(Auth::Scheme { scheme: "Bearer".into(), credentials: "t".into() });
    let follow = Options { follow_redirects: true, auth, ..Options::default() };
    assert_eq!(fetch(follow.clone(), &url).await.unwrap(), "GET / none");
    let client = HttpClient::new(Options::default()).unwrap();
    assert_eq!(client.get(&url, HeaderMap::new()).await.unwrap().status, 307);
    let circle = fetch(follow, &url.join("/loop").unwrap()).await.unwrap_err();
    assert!(matches!(circle, Error::Redirects { .. }));
}

#[tokio::test]
async fn limits_the_body() {
    let url = serve(Router::new().route("/", get(|| async { "x".repeat(1000) }))).await;
    let client = HttpClient::plain().unwrap();
    let response = client.get(&url, HeaderMap::new()).await.unwrap();
    assert_eq!(response.bytes(999).await.unwrap_err().to_string(), "body exceeds 999 bytes");
}

#[tokio::test]
async fn goes_through_a_proxy() {
    let proxy = serve(echo("proxy-authorization")).await;
    let proxy_url = Some(format!("http://u:p%40@{}", proxy.authority()));
    let options = Options { proxy_url, no_proxy: vec!["127.0.0.1".into()], ..Options::default() };
    let far = "http://far.example:81/metrics".parse().unwrap();
    assert_eq!(
        fetch(options.clone(), &far).await.unwrap(),
        "GET http://far.example:81/metrics Basic dTpwQA=="
    );
    assert_eq!(fetch(options, &proxy).await.unwrap(), "GET / none");
}

#[tokio::test]
async fn asks_a_proxy_for_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    let options = Options { proxy_url, ..Options::default() };
    let url = "https://far.example/".parse().unwrap();
    let proxy = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1000];
        let n = tcp.read(&mut asked).await.unwrap();
        tcp.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&asked[..n]).into_owned()
    };
    let (told, asked) = tokio::join!(fetch(options, &url), proxy);
    assert_eq!(asked, "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n");
    let told = told.unwrap_err().to_string();
    assert_eq!(told, "GET \"https://far.example/\": proxy refuses CONNECT: HTTP/1.1 403 Forbidden");
}

#[tokio::test]
async fn says_why_it_cannot_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/").parse().unwrap();
    let told = fetch(Options::default(), &url).await.unwrap_err().to_string();
    assert_eq!(
        told,
        format!("GET \"http://{address}/\": connect {address}: Connection refused (os error 111)")
    );
    let told = fetch(Options::default(), &"ftp://x/".parse().unwrap()).await.unwrap_err().to_string();
    assert_eq!(told, "invalid URL `ftp://x/`: scheme \"ftp\" is neither http nor https");
}

#[test]
fn refuses_bad_options() {
    let told = |options| HttpClient::new(options).unwrap_err().to_string();
    let tls = TlsOptions { ca: Some("no PEM".into()), ..TlsOptions::default() };
    assert_eq!(told(Options { tls, ..Options::default() }), "invalid ca: no certificate in the PEM text");
    let tls = TlsOptions { cert: Some("x".into()), ..TlsOptions::default() };
    assert_eq!(
        told(Options { tls, ..Options::default() }),
        "invalid client certificate: certificate and key must be given together"
    );
    let proxy_url = Some("socks5://x".to_owned());
    assert_eq!(
        told(Options { proxy_url, ..Options::default() }),
        "invalid proxy_url: scheme \"socks5\" is not supported, only http"
    );
}
