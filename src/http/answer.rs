//! Answers that many routes give.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) const NOT_STORED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Why a request got nothing. Never in the request's own words.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    pub(super) error: String,
}

pub(super) fn error(status: StatusCode, error: impl Into<String>) -> Response {
    (status, [NOT_STORED], Json(Trouble { error: error.into() })).into_response()
}

/// Nobody keeps it without asking again.
pub(super) fn is_uncached(response: &Response) -> bool {
    let directives = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    directives.is_some_and(|text| text.contains("no-cache") || text.contains("no-store"))
}
