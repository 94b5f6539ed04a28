//! Which exposition format is asked for, and which one came.

use crate::job::Job;
use config::prometheus::ScrapeProtocol;
use exposition::Format;
use std::fmt::Write as _;

/// Why an answer's format is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No content type.
    #[error("target sends no Content-Type, and fallback_scrape_protocol is not set")]
    None,
    /// One that is not understood.
    #[error("received unsupported Content-Type {0:?}, and fallback_scrape_protocol is not set")]
    Unsupported(String),
}

/// The `Accept` header: the protocols with falling weights, then anything. The protobuf format is not read, so it is not
/// asked for.
pub(crate) fn accept(job: &Job) -> String {
    // one more than there are protocols, as Prometheus counts
    let mut weight = 6;
    let mut header = String::new();
    for protocol in &job.protocols {
        let (kind, escapes) = match protocol {
            ScrapeProtocol::PrometheusProto => continue,
            ScrapeProtocol::OpenMetricsText1_0_0 => ("application/openmetrics-text;version=1.0.0", true),
            ScrapeProtocol::OpenMetricsText0_0_1 => ("application/openmetrics-text;version=0.0.1", false),
            ScrapeProtocol::PrometheusText1_0_0 => ("text/plain;version=1.0.0", true),
            ScrapeProtocol::PrometheusText0_0_4 => ("text/plain;version=0.0.4", false),
        };
        header.push_str(kind);
        if escapes {
            let _ = write!(header, ";escaping={}", job.escaping);
        }
        let _ = write!(header, ";q=0.{weight},");
        weight -= 1;
    }
    let _ = write!(header, "*/*;q=0.{weight}");
    header
}

/// The format of an answer.
pub(crate) fn format(content_type: Option<&str>, job: &Job) -> Result<Format, Error> {
    let named = content_type.unwrap_or_default();
    let kind = named.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("text/plain") {
        return Ok(Format::Text);
    }
    if kind.eq_ignore_ascii_case("application/openmetrics-text") {
        return Ok(Format::OpenMetrics);
    }
    match job.fallback {
        Some(ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0) => Ok(Format::Text),
        Some(ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0) => {
            Ok(Format::OpenMetrics)
        }
        _ if kind.is_empty() => Err(Error::None),
        _ => Err(Error::Unsupported(named.to_owned())),
    }
}
