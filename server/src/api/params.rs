//! Request parameters: from the URL and, for POST, from a form in the body.

use super::error::{ApiError, ErrorType};
use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt as _, Limited};

/// Forms are queries and selectors: what exceeds this is a mistake or an attack.
const MAX_FORM_BYTES: usize = 10 << 20;

/// The parameters of a request in their order: those of the body before those of the URL, and those of a multipart body behind them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::new();
        let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or("");
        let is = |form: &str| kind.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form));
        let multipart = is("multipart/form-data");
        let mut bytes = bytes::Bytes::new();
        if multipart || is("application/x-www-form-urlencoded") {
            bytes = Limited::new(body, MAX_FORM_BYTES)
                .collect()
                .await
                .map_err(|e| ApiError::new(ErrorType::BadData, format!("error parsing form values: {e}")))?
                .to_bytes();
        }
        if !multipart {
            pairs.extend(decode(&bytes));
        }
        pairs.extend(decode(parts.uri.query().unwrap_or("").as_bytes()));
        if multipart {
            pairs.extend(super::multipart::fields(kind, &bytes));
        }
        Ok(Params(pairs))
    }
}

fn decode(encoded: &[u8]) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(encoded).map(|(k, v)| (k.into_owned(), v.into_owned()))
}

impl Params {
    /// The first value, or "".
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A time in milliseconds, or `None` where the parameter is missing or empty.
    ///
    /// # Errors
    /// Where it is neither Unix seconds nor RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_time(text)
                .map(Some)
                .map_err(|e| ApiError::parameter(name, format!("invalid time value for '{name}': {e}"))),
        }
    }

    /// A duration in milliseconds, or `None` where the parameter is missing or empty.
    ///
    /// # Errors
    /// Where it is neither seconds nor a duration such as `5m`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_duration(text).map(Some).map_err(|e| ApiError::parameter(name, e)),
        }
    }

    /// A limit; 0 where the parameter is missing: none.
    ///
    /// # Errors
    /// Where it is no whole number, or negative.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match self.get("limit") {
            "" => Ok(0),
            text => match text.parse::<i64>() {
                Ok(n) if n >= 0 => Ok(n as usize),
                Ok(_) => Err(ApiError::parameter("limit", "limit must be non-negative")),
                Err(_) => {
                    let text = model::float::quote(text);
                    let why = format!("strconv.Atoi: parsing {text}: invalid syntax");
                    Err(ApiError::parameter("limit", why))
                }
            },
        }
    }
}

/// Times beyond this (in seconds) do not fit milliseconds in 64 bits with room for arithmetic.
const MAX_SECONDS: f64 = 9_223_372_036_854.0;

fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.abs() <= MAX_SECONDS {
            Ok((seconds * 1000.0).round() as i64)
        } else {
            Err(format!("cannot parse {text:?} to a valid timestamp: out of range"))
        };
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| format!("cannot parse {text:?} to a valid timestamp"))
}

fn parse_duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.abs() <= MAX_SECONDS {
            // whole nanoseconds, then whole milliseconds, both cut off: 65.457 is 65456 ms, as in Prometheus
            Ok((seconds * 1e9) as i64 / 1_000_000)
        } else {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        };
    }
    model::duration::parse_ms(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        assert_eq!(parse_time("1435781430.781"), Ok(1_435_781_430_781));
        assert_eq!(parse_time("2015-07-01T20:10:51.781Z"), Ok(1_435_781_451_781));
        assert_eq!(parse_time("2015-07-01T20:10:51+02:00"), Ok(1_435_774_251_000));
        assert!(
            parse_time("yesterday").is_err() && parse_time("1e300").is_err() && parse_time("NaN").is_err()
        );
        assert_eq!((parse_duration("15s"), parse_duration("0.5")), (Ok(15_000), Ok(500)));
        assert!(parse_duration("-x").is_err());
    }
}
