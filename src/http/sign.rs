//! `POST /api/streams/{id}/sign`: an address that lets its bearer watch one stream for a while.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, body_of, error};
use super::guard::Access;
use super::limits::{client_of, too_many};
use super::site::{Around, CameraLink, STREAMS_PATH};
use super::streams::NO_STREAM;
use crate::clock;
use crate::domain::signature::folder;

/// Unless more, or less, is asked for.
const USUAL: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// `10m`, or a number of seconds; 10 minutes if it is left out.
    expires_in: Option<Span>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Span {
    Seconds(f64),
    Text(String),
}

#[derive(Debug, Serialize, ToSchema)]
struct Signed {
    /// The playlist's, by the name that this server was asked by.
    url: String,
    /// RFC 3339.
    expires_at: String,
}

#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) access: Access,
    pub(super) cameras: Arc<[CameraLink]>,
    pub(super) around: Around,
}

pub(super) fn router(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(sign)).with_state(desk)
}

/// An address that lets its bearer watch one stream for a while.
#[utoipa::path(post, path = "/api/streams/{id}/sign", tag = "streams",
    params(("id" = String, Path, description = "The stream's id")),
    request_body(content = Option<Wish>, example = json!({"expires_in": "10m"})),
    responses(
    (status = 200, description = "The address", body = Signed),
    (status = 404, description = "There is none of this id", body = Trouble),
    (status = 409, description = "The stream is not served here", body = Trouble)))]
async fn sign(
    State(desk): State<Desk>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if let Err(wait) = desk.around.clients.may_sign(client_of(&request)) {
        return too_many(wait);
    }
    let wish = match body_of::<Wish>(request).await {
        Ok(wish) => wish.unwrap_or_default(),
        Err(refusal) => return refusal,
    };
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let Some(camera) = desk.cameras.iter().find(|camera| camera.id == id) else {
        return error(StatusCode::NOT_FOUND, NO_STREAM);
    };
    if !camera.playlist_url.starts_with(STREAMS_PATH) {
        return error(
            StatusCode::CONFLICT,
            "this server does not serve the streams (http.streams: false), so it can't sign for them",
        );
    }
    let lasts = match wish.lasts(desk.access.sign_max) {
        Ok(lasts) => lasts,
        Err(problem) => return error(StatusCode::BAD_REQUEST, problem),
    };
    let expires_s = clock::wall_ms() / 1000 + lasts.as_secs();
    let Some(query) = desk.access.signing.query(folder(&camera.playlist_url), expires_s) else {
        return error(StatusCode::CONFLICT, "this server has no key to sign with");
    };
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(expires_s);
    let signed = Signed {
        url: format!("{}{}?{query}", origin(&headers), camera.playlist_url),
        expires_at: humantime::format_rfc3339_seconds(expires_at).to_string(),
    };
    ([NOT_STORED], Json(signed)).into_response()
}

impl Wish {
    fn lasts(&self, most: Duration) -> Result<Duration, String> {
        let lasts = match &self.expires_in {
            None => return Ok(USUAL.min(most)),
            Some(Span::Seconds(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
            Some(Span::Text(text)) => humantime::parse_duration(text).ok(),
        };
        let range = Duration::from_secs(1)..=most;
        lasts.filter(|lasts| range.contains(lasts)).ok_or_else(|| {
            let most = humantime::format_duration(most);
            format!("expires_in must be 1s to {most} (http.sign_max): a number of seconds, or text as 10m")
        })
    }
}

/// As the asker sees this server; empty if he does not say.
fn origin(headers: &HeaderMap) -> String {
    let is_host = |host: &&str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(is_host);
    let is_tls = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    host.map(|host| format!("{}://{host}", if is_tls { "https" } else { "http" })).unwrap_or_default()
}
