//! TLS of the client: roots, client certificate, server name, versions.

use super::Error;
use super::connect::Connector;
use super::text::{Cache, Stamp, Text, stamp};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::{Arc, OnceLock};

/// How servers are trusted, and what they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Authorities in PEM; the machine's where unset.
    pub ca: Option<Text>,
    /// Client certificate (and chain) in PEM.
    pub cert: Option<Text>,
    /// Its key in PEM.
    pub key: Option<Text>,
    /// Name that the server's certificate must have; the URL's host where unset.
    pub server_name: Option<String>,
    /// Takes any certificate.
    pub insecure_skip_verify: bool,
    /// Oldest version.
    pub min_version: Option<TlsVersion>,
    /// Newest version.
    pub max_version: Option<TlsVersion>,
}

/// A version of TLS; older ones than these are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

fn invalid(what: &'static str, reason: impl ToString) -> Error {
    Error::Option { what, reason: reason.to_string() }
}

/// The states of all files in the options.
pub(super) fn stamps(options: &TlsOptions) -> Vec<Stamp> {
    [&options.ca, &options.cert, &options.key]
        .into_iter()
        .flatten()
        .map(|text| match text {
            Text::File(path) => stamp(path),
            Text::Inline(_) => None,
        })
        .collect()
}

/// Looks at what can be checked without reading a file.
pub(super) fn check_inline(options: &TlsOptions) -> Result<(), Error> {
    if let Some(name) = &options.server_name {
        ServerName::try_from(name.clone()).map_err(|e| invalid("server_name", e))?;
    }
    if options.cert.is_some() != options.key.is_some() {
        return Err(invalid("client certificate", "certificate and key must be given together"));
    }
    if let Some(Text::Inline(pem)) = &options.ca {
        roots(pem)?;
    }
    Ok(())
}

/// Whether a certificate and a key can be read and belong together.
///
/// # Errors
/// Why they cannot be used.
pub fn check_key_pair(cert: &Text, key: &Text) -> Result<(), Error> {
    let options = TlsOptions {
        cert: Some(cert.clone()),
        key: Some(key.clone()),
        insecure_skip_verify: true, // no authorities are needed for this
        ..TlsOptions::default()
    };
    client_config(&options, &Cache::default()).map(|_| ())
}

/// Speaks TLS over the connections of `inner`.
pub(super) fn connector(
    options: &TlsOptions,
    texts: &Cache,
    inner: Connector,
) -> Result<HttpsConnector<Connector>, Error> {
    let builder =
        HttpsConnectorBuilder::new().with_tls_config(client_config(options, texts)?).https_or_http();
    let Some(name) = &options.server_name else { return Ok(builder.enable_http1().wrap_connector(inner)) };
    let name = ServerName::try_from(name.clone()).map_err(|e| invalid("server_name", e))?;
    let builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    Ok(builder.enable_http1().wrap_connector(inner))
}

fn client_config(options: &TlsOptions, texts: &Cache) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(options))
        .map_err(|e| invalid("TLS version", e))?;
    let builder = if options.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll::new(&provider)))
    } else {
        builder.with_root_certificates(match &options.ca {
            Some(ca) => Arc::new(roots(&texts.get("ca", ca)?)?),
            None => machine_roots(),
        })
    };
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("cert", &texts.get("cert", cert)?)?;
    let key =
        PrivateKeyDer::from_pem_slice(texts.get("key", key)?.as_bytes()).map_err(|e| invalid("key", e))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| invalid("client certificate", e))
}

fn versions(options: &TlsOptions) -> Vec<&'static SupportedProtocolVersion> {
    let allowed =
        |v| options.min_version.is_none_or(|m| v >= m) && options.max_version.is_none_or(|m| v <= m);
    [(TlsVersion::Tls13, &rustls::version::TLS13), (TlsVersion::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter_map(|(version, supported)| allowed(version).then_some(supported))
        .collect()
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|e| invalid(what, e))?;
    if found.is_empty() { Err(invalid(what, "no certificate in the PEM text")) } else { Ok(found) }
}

fn roots(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for cert in certificates("ca", pem)? {
        roots.add(cert).map_err(|e| invalid("ca", e))?;
    }
    Ok(roots)
}

/// The machine's authorities, read once; those that cannot be read are left out.
fn machine_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}

/// Checks signatures, so that the exchange is sound, but believes any certificate.
#[derive(Debug)]
struct TrustAll(WebPkiSupportedAlgorithms);

impl TrustAll {
    fn new(provider: &CryptoProvider) -> Self {
        TrustAll(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
