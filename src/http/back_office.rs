//! The calls of back offices that were written for another service: the same streams by other names.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, body_of};
use super::control::{BUSY, Desk, Order, Overrides, Start, is_running, why};
use super::limits::again_after;
use super::site::STREAMS_PATH;
use super::start::{AGAIN, STORAGE, wait_of};
use super::streams::StreamStatus;
use super::words::Held;

/// It changes something, though it is a GET: a session of the page is not enough for it, and no page of another site may
/// ask for it.
pub(super) const START: &str = "/api/stream/start";

/// A camera that comes at all comes within it.
const USUAL_WAIT: &str = "10s";

pub(super) fn router(desk: Desk) -> OpenApiRouter {
    let router = OpenApiRouter::new().routes(routes!(start)).routes(routes!(stop)).routes(routes!(status));
    router.with_state(desk)
}

/// A token may stand beside them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StartQuery {
    /// How the stream is called: a `stream_id`.
    #[param(example = "cam_floor")]
    indicator_id: Option<String>,
    /// The camera's URL, percent-encoded or as it is; without it `indicator_id` is a camera of the configuration.
    rtsp_link: Option<String>,
    /// For how long to wait until it can be played: `0` for not at all, 10 seconds if it is left out.
    #[param(example = "0")]
    wait: Option<String>,
}

/// A token may stand beside it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// How the stream is called.
    #[param(example = "cam_floor")]
    indicator_id: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
struct StopCall {
    indicator_id: Option<Name>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Name {
    Number(u64),
    Text(String),
}

#[derive(Debug, Serialize, ToSchema)]
struct StreamStarted {
    /// On this server.
    stream_path: String,
    /// `started`.
    status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct StreamStopped {
    indicator_id: String,
    /// `stopped`.
    status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct StreamState {
    indicator_id: String,
    /// `running`, `starting`, `stopped` or `error` (it tries again by itself).
    #[schema(value_type = Held)]
    status: &'static str,
    is_active: bool,
    stream_path: String,
    uptime_s: Option<f64>,
    /// Why it is in `error`.
    error: Option<String>,
    /// The same for programs.
    cause: Option<&'static str>,
}

/// Why nothing was done.
#[derive(Debug, Serialize, ToSchema)]
struct StreamError {
    /// `error`.
    status: &'static str,
    error: String,
    /// For programs: `auth`, `not_found`, `unreachable` and the like; `null`: it is not the camera's fault.
    cause: Option<&'static str>,
}

fn refused(code: StatusCode, error: impl Into<String>, cause: Option<&'static str>) -> Response {
    let answer = Json(StreamError { status: "error", error: error.into(), cause });
    let answer = (code, [NOT_STORED], answer).into_response();
    match code {
        StatusCode::TOO_MANY_REQUESTS => again_after(BUSY, answer),
        StatusCode::SERVICE_UNAVAILABLE => again_after(AGAIN, answer),
        _ => answer,
    }
}

const NO_ID: &str = "give indicator_id, the stream's id";

/// Starts a stream, or joins it: as `POST /api/streams/start`. Needs the token itself.
#[utoipa::path(get, path = START, tag = "back office", params(StartQuery), responses(
    (status = 200, description = "It can be played, or will soon", body = StreamStarted),
    (status = 400, description = "It names no stream or no camera's URL", body = StreamError),
    (status = 403, description = "The configuration does not allow this URL, or a page of another site asks", body = Trouble),
    (status = 404, description = "There is none of this id", body = StreamError),
    (status = 409, description = "Another stream has this id, or somebody stopped it meanwhile", body = StreamError),
    (status = 502, description = "The camera has failed, and why", body = StreamError),
    (status = 503, description = "Too many wait already, and nothing was done: again after `Retry-After` seconds, or \
        with `wait=0`", body = StreamError)))]
async fn start(
    State(desk): State<Desk>,
    RawQuery(raw): RawQuery,
    query: Result<Query<StartQuery>, QueryRejection>,
) -> Response {
    let bad = |why: &str| refused(StatusCode::BAD_REQUEST, why, None);
    let Ok(Query(StartQuery { indicator_id, rtsp_link, wait })) = query else { return bad(NO_ID) };
    let Some(id) = indicator_id.filter(|id| !id.is_empty()) else { return bad(NO_ID) };
    let wait = match wait_of(Some(wait.unwrap_or_else(|| USUAL_WAIT.into()))) {
        Ok(wait) => wait,
        Err(why) => return bad(why),
    };
    let as_it_is = raw.as_deref().and_then(unencoded_link);
    let rtsp_url = as_it_is.or(rtsp_link).filter(|link| !link.is_empty());
    let start = Start { id: Some(id.clone()), rtsp_url, overrides: Overrides::default() };
    match desk.begin(start, wait).await {
        Ok((stream, _)) => started(&stream),
        Err(unbegun) => {
            let (code, failure) = unbegun.told();
            let here = desk.streams.one(&id).filter(|stream| stream.last_local_age_s.is_some());
            // Their path leads to this box, which has the stream beside the storage.
            if let Some(stream) = here.filter(|_| failure.cause == Some(STORAGE)) {
                return started(&stream);
            }
            // They know the URL by another name.
            refused(code, failure.error.replace("rtsp_url", "rtsp_link"), failure.cause)
        }
    }
}

/// `rtsp_link` where nobody encoded it: a `+` is one, and what follows its `?` is the camera's, up to what is this call's.
fn unencoded_link(query: &str) -> Option<String> {
    let link = query.strip_prefix(LINK).or_else(|| Some(query.split_once(&format!("&{LINK}"))?.1))?;
    let value = link.split('&').next().filter(|value| value.contains("://"))?;
    let own_query = value.split_once('?').map(|(_, query)| query);
    // Only what has to be encoded was: what would end the value.
    let is_encoded = |query: &str| ["%26", "%3D", "%3d"].iter().any(|code| query.contains(code));
    if own_query.is_none_or(is_encoded) {
        let decoded = percent_decode_str(value).decode_utf8().ok().map(String::from);
        // A `%2F` of a password ends the host.
        return decoded.filter(|decoded| Url::parse(decoded).is_ok()).or_else(|| Some(value.to_owned()));
    }
    let end = OWN.into_iter().filter_map(|own| link.find(own)).min();
    Some(link[..end.unwrap_or(link.len())].to_owned())
}

const LINK: &str = "rtsp_link=";
const OWN: [&str; 3] = ["&indicator_id=", "&wait=", "&token="];

fn started(stream: &StreamStatus) -> Response {
    let started = StreamStarted { stream_path: path_of(stream), status: "started" };
    ([NOT_STORED], Json(started)).into_response()
}

/// As `POST /api/streams/stop`.
#[utoipa::path(post, path = "/api/stream/stop", tag = "back office", 
    request_body(content = StopCall, example = json!({"indicator_id": "cam_floor"})), responses(
    (status = 200, description = "It stops, or did not run", body = StreamStopped),
    (status = 404, description = "There is none of this id", body = StreamError),
    (status = 409, description = "It always runs", body = StreamError)))]
async fn stop(State(desk): State<Desk>, request: Request) -> Response {
    let id = match body_of::<StopCall>(request).await {
        Ok(call) => call.unwrap_or_default().indicator_id,
        Err(refusal) => return refusal,
    };
    let id = match id {
        Some(Name::Number(number)) => number.to_string(),
        Some(Name::Text(text)) => text,
        None => return refused(StatusCode::BAD_REQUEST, NO_ID, None),
    };
    match desk.control.order(&id, Order::Stop) {
        Ok(_) => {
            let stopped = StreamStopped { indicator_id: id, status: "stopped" };
            ([NOT_STORED], Json(stopped)).into_response()
        }
        Err(refusal) => {
            let (code, error) = why(refusal);
            refused(code, error, None)
        }
    }
}

/// How a stream is.
#[utoipa::path(get, path = "/api/stream/status", tag = "back office", params(StatusQuery), responses(
    (status = 200, description = "How it is", body = StreamState),
    (status = 400, description = "It names no stream", body = StreamError),
    (status = 404, description = "There is none of this id", body = StreamError)))]
async fn status(State(desk): State<Desk>, query: Result<Query<StatusQuery>, QueryRejection>) -> Response {
    let id = query.ok().and_then(|Query(query)| query.indicator_id).filter(|id| !id.is_empty());
    let Some(id) = id else { return refused(StatusCode::BAD_REQUEST, NO_ID, None) };
    let Some(stream) = desk.streams.one(&id) else {
        return refused(StatusCode::NOT_FOUND, super::streams::NO_STREAM, None);
    };
    let status = match stream.phase {
        _ if is_running(&stream) => "running",
        "idle" | "stopping" => "stopped",
        "waiting" => "error",
        _ => "starting",
    };
    let is_error = status == "error";
    let state = StreamState {
        status,
        is_active: stream.is_active,
        stream_path: path_of(&stream),
        uptime_s: stream.uptime_s,
        error: stream.last_error.filter(|_| is_error),
        cause: stream.last_cause.filter(|_| is_error),
        indicator_id: stream.stream_id,
    };
    ([NOT_STORED], Json(state)).into_response()
}

fn path_of(stream: &StreamStatus) -> String {
    let by_id = || format!("{STREAMS_PATH}/{}/stream.m3u8", stream.stream_id);
    stream.local_url.clone().or_else(|| stream.playlist_url.clone()).unwrap_or_else(by_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_nobody_encoded_keeps_its_own_query() {
        let nvr = "rtsp://u:p+w%40@nvr/cam/realmonitor?channel=3&subtype=1";
        for (query, link) in [
            (format!("indicator_id=7&rtsp_link={nvr}"), Some(nvr)),
            (format!("rtsp_link={nvr}&wait=0&indicator_id=7&token=x"), Some(nvr)),
            ("rtsp_link=rtsp://u:p+w@nvr/a%20b&_=17".into(), Some("rtsp://u:p+w@nvr/a b")),
            ("rtsp_link=rtsp://nvr/a%3Fchannel=3".into(), Some("rtsp://nvr/a?channel=3")),
            ("rtsp_link=rtsp://u:p%2Fw@nvr/a".into(), Some("rtsp://u:p%2Fw@nvr/a")),
            // As some libraries encode.
            (
                "rtsp_link=rtsp://nvr/a?channel%3D3%26subtype%3D1&wait=0".into(),
                Some("rtsp://nvr/a?channel=3&subtype=1"),
            ),
            ("rtsp_link=rtsp://nvr/a?channel=3%26subtype=1".into(), Some("rtsp://nvr/a?channel=3&subtype=1")),
            ("indicator_id=7&rtsp_link=rtsp%3A%2F%2Fnvr%2Fa%3Fchannel%3D3&x=://".into(), None),
            ("indicator_id=7&xrtsp_link=rtsp://nvr/a".into(), None),
            ("indicator_id=7".into(), None),
        ] {
            assert_eq!(unencoded_link(&query).as_deref(), link, "{query}");
        }
    }
}
