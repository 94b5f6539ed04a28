//! API errors: one match from what went wrong to HTTP status and Prometheus' `errorType`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// What kind of error, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    /// The request cannot be understood.
    BadData,
    /// The query was understood and failed.
    Execution,
    /// It took too long.
    Timeout,
    /// The client went away, or the server stops.
    Canceled,
    /// Our fault.
    Internal,
    /// Not now.
    Unavailable,
    /// There is no such thing.
    NotFound,
}

impl ErrorType {
    fn name_and_status(self) -> (&'static str, StatusCode) {
        match self {
            ErrorType::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            ErrorType::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            ErrorType::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            // nginx' "client closed request", as Prometheus answers it
            ErrorType::Canceled => {
                ("canceled", StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
            }
            ErrorType::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            ErrorType::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            ErrorType::NotFound => ("not_found", StatusCode::NOT_FOUND),
        }
    }
}

/// An error as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// Its kind.
    pub(crate) kind: ErrorType,
    /// Its text.
    pub(crate) message: String,
}

impl ApiError {
    /// An error of a kind.
    pub(crate) fn new(kind: ErrorType, message: impl std::fmt::Display) -> Self {
        ApiError { kind, message: message.to_string() }
    }

    /// A request parameter that cannot be used.
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        ApiError::new(ErrorType::BadData, format!("invalid parameter {name:?}: {why}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (name, status) = self.kind.name_and_status();
        let mut body = format!(r#"{{"status":"error","errorType":"{name}","error":"#);
        super::encode::string(&mut body, &self.message);
        body.push('}');
        (status, [(http::header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
