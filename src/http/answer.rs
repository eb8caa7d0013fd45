//! Answers that many routes give.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

pub(super) const NOT_STORED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// A request's body has to be there in that time.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyWithin(pub(super) Duration);
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// Why a request got nothing. Never in the request's own words.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trouble {
    pub(super) error: String,
}

pub(super) fn error(status: StatusCode, error: impl Into<String>) -> Response {
    (status, [NOT_STORED], Json(Trouble { error: error.into() })).into_response()
}

/// The JSON of a request; `None`: it has no body, or `null`. What is wrong with it is not quoted.
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
    let within = request.extensions().get::<BodyWithin>().map_or(BODY_WITHIN, |within| within.0);
    match tokio::time::timeout(within, Json::<Option<T>>::from_request(request, &())).await {
        Err(_) => {
            let answer = error(StatusCode::REQUEST_TIMEOUT, "the body does not come");
            Err(([(header::CONNECTION, "close")], answer).into_response())
        }
        Ok(Ok(Json(body))) => Ok(body),
        Ok(Err(rejection)) => Err(match rejection {
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
