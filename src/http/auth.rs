//! `GET /api/auth`: may this be fetched? For a proxy that has segments in a cache, and no keys.
//!
//! The guard judges the request that the proxy tells of, as if that had come here itself.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, error};
use super::files;
use super::limits::MOST_URI;
use super::site::STREAMS_PATH;

pub(super) const AUTH: &str = "/api/auth";
const ORIGINAL_URI: &str = "x-original-uri";
const ORIGINAL_METHOD: &str = "x-original-method";

/// The request that this one asks about: its address and method with what this one shows. These headers mean nothing
/// elsewhere.
pub(super) fn asked_about(request: &Request) -> Option<Request> {
    if request.uri().path() != AUTH {
        return None;
    }
    let mut asked = Request::new(Body::empty());
    *asked.uri_mut() = original(request.headers())?;
    *asked.method_mut() = match request.headers().get(ORIGINAL_METHOD) {
        Some(method) => Method::from_bytes(method.as_bytes()).ok()?,
        None => Method::GET,
    };
    asked.headers_mut().clone_from(request.headers());
    Some(asked)
}

fn original(headers: &HeaderMap) -> Option<Uri> {
    let mut values = headers.get_all(ORIGINAL_URI).iter();
    let text = values.next()?.to_str().ok()?;
    // One address, and a path: what a request line has.
    let is_one = values.next().is_none() && text.starts_with('/') && text.len() <= MOST_URI;
    text.parse().ok().filter(|_| is_one)
}

pub(super) fn router() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(auth))
}

/// Whether an object of a stream may be fetched, by what this request shows (header, cookie) and by the query of the
/// address that it asks about. For a proxy's `auth_request`.
#[utoipa::path(get, path = "/api/auth", tag = "streams",
    params(
    ("X-Original-URI" = String, Header, description = "Path and query of the request that the proxy has got"),
    ("X-Original-Method" = Option<String>, Header, description = "Its method; GET if it is left out")),
    responses(
    (status = 204, description = "It may"),
    (status = 403, description = "The signature is over or not for this address, or the address is no stream's object, or \
        there is none", body = Trouble)))]
async fn auth(headers: HeaderMap) -> Response {
    let Some(uri) = original(&headers) else {
        // Of other refusals than this one nginx makes a 500.
        return error(StatusCode::FORBIDDEN, "X-Original-URI has to be the path and query of one request");
    };
    let is_object = uri.path().strip_prefix(STREAMS_PATH).is_some_and(|key| files::class_of(key).is_some());
    if !is_object {
        return error(StatusCode::FORBIDDEN, "this is no address of a stream's object");
    }
    (StatusCode::NO_CONTENT, [NOT_STORED]).into_response()
}
