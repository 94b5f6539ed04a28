//! `check web-config`: TLS, users and headers of the server's own HTTP.

use super::{must_exist, read};
use crate::{Failure, Outcome, text};
use clap::Args;
use runtime::http_client::Text;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `check web-config` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Web configuration files.
    #[arg(value_name = "WEB CONFIG FILES", required = true)]
    files: Vec<PathBuf>,
}

/// A web configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebConfig {
    tls_server_config: Option<Tls>,
    http_server_config: Http,
    basic_auth_users: BTreeMap<String, String>,
    rate_limit: RateLimit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    cert: String,
    key: String,
    client_ca: String,
    cert_file: String,
    key_file: String,
    client_auth_type: String,
    client_ca_file: String,
    client_allowed_sans: Vec<String>,
    cipher_suites: Vec<String>,
    curve_preferences: Vec<String>,
    min_version: String,
    max_version: String,
    prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    http2: Option<bool>,
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RateLimit {
    interval: String,
    burst: u64,
}

/// How clients are asked for certificates.
const CLIENT_AUTH: [&str; 7] = [
    "",
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];
/// The types that look at the certificate, and so need authorities.
const VERIFYING: [&str; 3] = ["RequireClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"];
/// Versions of TLS.
const VERSIONS: [&str; 5] = ["", "TLS10", "TLS11", "TLS12", "TLS13"];
/// Cipher suites by their names in Go.
const CIPHERS: [&str; 17] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
/// Elliptic curves by their names in Go.
const CURVES: [&str; 5] = ["CurveP256", "CurveP384", "CurveP521", "X25519", "X25519MLKEM768"];
/// Headers that can be set; those with a list take its values only.
const HEADERS: [(&str, &[&str]); 6] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
    ("Cross-Origin-Opener-Policy", &[]),
];

pub(crate) fn run(options: &Options) -> Outcome {
    must_exist(&options.files)?;
    let mut failed = false;
    for file in &options.files {
        match check(file) {
            Ok(()) => println!("{} SUCCESS", file.display()),
            Err(error) => {
                eprintln!("{} FAILED: {error}", file.display());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Said(1)) } else { Ok(()) }
}

fn check(file: &Path) -> Result<(), String> {
    let config: WebConfig = config::yaml::from_str(&read(file)?).map_err(|e| e.to_string())?;
    let dir = file.parent().unwrap_or(Path::new(""));
    if let Some(tls) = &config.tls_server_config {
        tls.check(dir)?;
    }
    for (name, value) in &config.http_server_config.headers {
        let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| known == name) else {
            return Err(format!("HTTP header {name:?} can not be configured"));
        };
        if !value.is_empty() && !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            return Err(format!("invalid value for {name}. Expected one of: {allowed:?}, but got: {value}"));
        }
    }
    for (user, hash) in &config.basic_auth_users {
        if !is_bcrypt(hash) {
            return Err(format!("basic_auth_users: the password of {user:?} is not hashed with bcrypt"));
        }
    }
    let rate = &config.rate_limit;
    if !rate.interval.is_empty() {
        model::duration::parse_ms(&rate.interval).map_err(|e| format!("rate_limit: interval: {e}"))?;
    } else if rate.burst > 0 {
        return Err("rate_limit: burst without an interval".to_owned());
    }
    let _ = config.http_server_config.http2; // both values are in order
    Ok(())
}

/// `$2a$10$` and 53 characters of its own base64.
fn is_bcrypt(hash: &str) -> bool {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", version, cost, rest] = parts[..] else { return false };
    version.starts_with('2')
        && cost.parse::<u8>().is_ok_and(|c| (4..=31).contains(&c))
        && rest.len() == 53
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
}

impl Tls {
    fn check(&self, dir: &Path) -> Result<(), String> {
        if self.cert.is_empty() && self.cert_file.is_empty() {
            return Err("missing one of cert or cert_file".to_owned());
        }
        if self.key.is_empty() && self.key_file.is_empty() {
            return Err("missing one of key or key_file".to_owned());
        }
        let cert = pem("cert", &self.cert, &self.cert_file, dir)?;
        let key = pem("key", &self.key, &self.key_file, dir)?;
        runtime::http_client::check_key_pair(&cert, &key)
            .map_err(|e| format!("failed to load X509KeyPair: {e}"))?;
        if !VERSIONS.contains(&self.min_version.as_str()) {
            return Err(format!("unknown TLS version: {}", self.min_version));
        }
        if !VERSIONS.contains(&self.max_version.as_str()) {
            return Err(format!("unknown TLS version: {}", self.max_version));
        }
        if let Some(unknown) = self.cipher_suites.iter().find(|c| !CIPHERS.contains(&c.as_str())) {
            return Err(format!("unknown cipher: {unknown}"));
        }
        if let Some(unknown) = self.curve_preferences.iter().find(|c| !CURVES.contains(&c.as_str())) {
            return Err(format!("unknown curve: {unknown}"));
        }
        let auth = self.client_auth_type.as_str();
        if !CLIENT_AUTH.contains(&auth) {
            return Err(format!("invalid ClientAuth: {auth}"));
        }
        let authorities = !self.client_ca.is_empty() || !self.client_ca_file.is_empty();
        if authorities {
            pem("client_ca", &self.client_ca, &self.client_ca_file, dir)?;
            if matches!(auth, "" | "NoClientCert") {
                return Err("client CAs have been configured without a Client Auth Policy".to_owned());
            }
        }
        if !self.client_allowed_sans.is_empty() && !VERIFYING.contains(&auth) {
            return Err("client_allowed_sans need a client_auth_type that verifies certificates".to_owned());
        }
        let _ = self.prefer_server_cipher_suites; // both values are in order
        Ok(())
    }
}

/// A text in PEM, inline or in a file beside the configuration.
fn pem(what: &str, inline: &str, file: &str, dir: &Path) -> Result<Text, String> {
    if file.is_empty() {
        return Ok(Text::Inline(inline.to_owned()));
    }
    let path = dir.join(file);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(Text::File(path)),
        Err(e) => {
            let path = path.display();
            Err(format!("failed to read {what}_file ({path}): open {path}: {}", text::reason(&e)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("web.yml");
        for (text, expected) in [
            ("", None),
            ("basic_auth_users: {a: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze}\n", None),
            ("http_server_config: {http2: false, headers: {X-Frame-Options: deny}}\n", None),
            ("tls_server_config: {foo: 1}\n", Some("line 1: tls_server_config.foo: unknown field")),
            ("tls_server_config: {cert_file: a}\n", Some("missing one of key or key_file")),
            ("tls_server_config: {key_file: a}\n", Some("missing one of cert or cert_file")),
            (
                "basic_auth_users: {a: plain}\n",
                Some("basic_auth_users: the password of \"a\" is not hashed with bcrypt"),
            ),
            (
                "http_server_config: {headers: {X-Foo: a}}\n",
                Some("HTTP header \"X-Foo\" can not be configured"),
            ),
            (
                "http_server_config: {headers: {X-Frame-Options: a}}\n",
                Some(
                    "invalid value for X-Frame-Options. Expected one of: [\"deny\", \"sameorigin\"], but got: a",
                ),
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(check(&file).err().as_deref(), expected, "{text}");
        }
    }
}
