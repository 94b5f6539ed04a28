//! TLS against a server in this process. The certificates are for tests alone: `testdata/leaf.pem` for the name `pharos.test`
//! (server and client), issued by `testdata/ca.pem`.

use super::*;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

const CA: &str = include_str!("testdata/ca.pem");
const LEAF: &str = include_str!("testdata/leaf.pem");
const KEY: &str = include_str!("testdata/leaf.key");

/// Answers one request, over TLS; gives its URL.
fn serve(client_certificate: bool) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if client_certificate { verifier } else { verifier.allow_unauthenticated() };
    let chain = vec![CertificateDer::from_pem_slice(LEAF.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = builder.unwrap().with_client_cert_verifier(verifier.build().unwrap());
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    crate::Stage::detached("server").blocking(move || {
        let (tcp, _) = listener.accept().unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        // a refused handshake is what some tests are after
        if tls.read(&mut [0; 1000]).is_ok() {
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    url
}

fn trusting() -> TlsOptions {
    TlsOptions { ca: Some(CA.into()), server_name: Some("pharos.test".to_owned()), ..TlsOptions::default() }
}

async fn fetch(tls: TlsOptions, url: &Url) -> Result<Vec<u8>, String> {
    let client = HttpClient::new(Options { tls, ..Options::default() }).map_err(|e| e.to_string())?;
    let response = client.get(url, HeaderMap::new()).await.map_err(|e| e.to_string())?;
    response.bytes(100).await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn trusts_the_given_authority_alone() {
    assert_eq!(fetch(trusting(), &serve(false)).await.unwrap(), b"ok");
    let refused = fetch(TlsOptions { ca: None, ..trusting() }, &serve(false)).await.unwrap_err();
    assert!(refused.contains("invalid peer certificate: UnknownIssuer"), "{refused}");
    let elsewhere = fetch(TlsOptions { server_name: None, ..trusting() }, &serve(false)).await.unwrap_err();
    assert!(elsewhere.contains("certificate not valid for name"), "{elsewhere}");
    let insecure = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
    assert_eq!(fetch(insecure, &serve(false)).await.unwrap(), b"ok");
}

#[tokio::test]
async fn shows_its_certificate_and_reads_changed_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        std::fs::write(dir.path().join(name), pem).unwrap();
        Some(Text::File(dir.path().join(name)))
    };
    let tls = TlsOptions { cert: file("cert", LEAF), key: file("key", "nothing yet"), ..trusting() };
    let client = HttpClient::new(Options { tls, ..Options::default() }).unwrap();
    let nowhere = "https://127.0.0.1:1/".parse().unwrap();
    let early = client.get(&nowhere, HeaderMap::new()).await.unwrap_err().to_string();
    assert!(early.starts_with("invalid key: "), "{early}");
    file("key", KEY);
    let answer = client.get(&serve(true), HeaderMap::new()).await.unwrap();
    assert_eq!(answer.bytes(100).await.unwrap(), b"ok");
    assert!(fetch(trusting(), &serve(true)).await.is_err(), "accepted without a certificate");
}
