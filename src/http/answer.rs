//! Answers that many routes give.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

pub(super) const NOT_STORED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Why a request got nothing. Never in the request's own words.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trouble {
    pub(super) error: String,
}

pub(super) fn error(status: StatusCode, error: impl Into<String>) -> Response {
    (status, [NOT_STORED], Json(Trouble { error: error.into() })).into_response()
}

/// The JSON of a request; `None`: it has no body. What is wrong with it is not quoted.
///
/// It must be called `application/json`: pages of other sites can't say that without asking first.
pub(super) async fn body_of<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Response> {
    let lengths = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let is_empty = match lengths.map(|name| request.headers().get(name).cloned()) {
        [Some(length), None] => length == "0",
        [length, transfer] => length.is_none() && transfer.is_none(),
    };
    if is_empty {
        return Ok(None);
    }
    match Json::<T>::from_request(request, &()).await {
        Ok(Json(body)) => Ok(Some(body)),
        Err(rejection) => Err(match rejection {
            JsonRejection::MissingJsonContentType(_) => {
                error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
            }
            JsonRejection::BytesRejection(bytes) if bytes.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")
            }
            _ => error(StatusCode::BAD_REQUEST, "the body is not the JSON that is wanted here"),
        }),
    }
}

/// Nobody keeps it without asking again.
pub(super) fn is_uncached(response: &Response) -> bool {
    let directives = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    directives.is_some_and(|text| text.contains("no-cache") || text.contains("no-store"))
}
