//! The web app inside the binary: its page and its files.
//!
//! Invariant: no API of its own; the app speaks the public HTTP API.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file of the app.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its content type.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

/// Shown where the binary was built without the app.
const WITHOUT_APP: &str = "<!doctype html><title>Pharos</title><h1>Pharos runs, without its web app</h1>\
    <p>This binary was built without Node. The HTTP API answers as always. For the app: \
    <code>make build</code>, which needs Node, or <code>(cd ui && npm ci && npm run build)</code> before <code>cargo build --release</code>.</p>";

/// A file by its path below the app's root, e.g. `assets/index.js`.
pub fn asset(path: &str) -> Option<Asset> {
    let (name, bytes) = FILES.iter().find(|(name, _)| *name == path)?;
    Some(Asset { content_type: content_type(name), bytes })
}

/// The app's page. It is told its root by a `<base>` element, so that it works below any prefix, and title and lookback
/// by the placeholders `__PHAROS_TITLE__` and `__PHAROS_LOOKBACK_MS__`. `prefix` is that of the paths
/// as the browser sees them: "" or `/x`, without a slash at the end.
pub fn index_html(prefix: &str, title: &str, lookback_ms: i64) -> String {
    let Some(page) = asset("index.html").and_then(|a| std::str::from_utf8(a.bytes).ok()) else {
        return WITHOUT_APP.to_owned();
    };
    page.replacen("<head>", &format!("<head><base href=\"{}/\">", escape(prefix)), 1)
        .replace("__PHAROS_TITLE__", &escape(title))
        .replace("__PHAROS_LOOKBACK_MS__", &lookback_ms.to_string())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "png" => "image/png",
        "json" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_page_is_answered_with_or_without_the_app() {
        let page = super::index_html("/p", "A <title>", 300_000);
        assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{page}");
        assert!(!page.contains("A <title>"));
    }
}
