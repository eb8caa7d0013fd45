//! The player page, built by `player/` and carried in the binary.

use std::borrow::Cow;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::class::PageFile;

#[derive(RustEmbed)]
#[folder = "player/dist"]
struct Dist;

/// `blob:` is how MediaSource reaches the `<video>`, and a fetched still picture its tile; playlist and segments may lie in any bucket (`?src=`).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self'; img-src 'self' blob:; media-src blob: http: https:; connect-src 'self' http: https:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The page's files, by their names below its folder. It asks for its cameras at [`LIST`] there.
pub fn files() -> impl Iterator<Item = (Cow<'static, str>, Bytes)> {
    Dist::iter().filter_map(|name| Some((name.clone(), Bytes::from(Dist::get(&name)?.data.into_owned()))))
}

/// Where the page looks for its cameras.
pub const LIST: &str = "api/cameras.json";

pub(super) fn router() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(asset)).layer(middleware::from_fn(guard))
}

/// The page that plays the cameras.
#[utoipa::path(get, path = "/", tag = "page",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"),
    (status = 304, description = "It is known already")))]
async fn page(headers: HeaderMap) -> Response {
    embedded("index.html", &headers)
}

/// What the page needs.
#[utoipa::path(get, path = "/assets/{name}", tag = "page",
    params(("name" = String, Path, description = "The file's name")),
    responses((status = 200, description = "The file", content((String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"))),
    (status = 304, description = "It is known already"), (status = 404, description = "There is none of this name")))]
async fn asset(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let mut response = embedded(&format!("assets/{name}"), &headers);
    // Pages of other sites may take `edge-player.js` from here: browsers load modules with CORS only.
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn embedded(path: &str, headers: &HeaderMap) -> Response {
    // rust-embed matches whole names of what was there at build time: nothing to climb out of.
    let Some(file) = Dist::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = etag_of(&file);
    // The names stay the same from version to version: a browser may keep them, but must ask.
    let validators = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if is_known(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    let content_type = PageFile::of_name(path).map_or("application/octet-stream", PageFile::content_type);
    (validators, [(header::CONTENT_TYPE, content_type)], file.data).into_response()
}

fn etag_of(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// If-None-Match, by weak comparison (RFC 9110 13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in
        [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY), (header::REFERRER_POLICY, "no-referrer")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
