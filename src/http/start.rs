//! `POST /api/streams/start`: a stream begins, or is joined.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, body_of, error};
use super::control::{Accepted, Desk, Outcome, Overrides, Refusal, Start, is_running, refused, state, why};
use super::limits::again_after;
use super::streams::StreamStatus;
use super::words::Wanted;

pub(super) fn router(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(start)).with_state(desk)
}

/// A camera of the configuration by its `camera_id` (or `stream_id`, which is the same), or any other by its `rtsp_url`, if
/// the configuration allows that.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartCall {
    camera_id: Option<String>,
    /// Beside `rtsp_url`: how the stream is called; else it has a name that follows from the URL.
    stream_id: Option<String>,
    /// `rtsp://` or `rtsps://`.
    rtsp_url: Option<String>,
    /// As `settings.quality`; so are the two below. They hold until the stream ends.
    quality: Option<String>,
    /// In kbps.
    #[schema(value_type = Option<u32>)]
    max_bitrate: Option<serde_json::Number>,
    profile: Option<String>,
}

impl StartCall {
    fn start(self) -> Result<Start, &'static str> {
        let Self { camera_id, stream_id, rtsp_url, quality, max_bitrate, profile } = self;
        let id = match (camera_id, stream_id, &rtsp_url) {
            (None, id, Some(_)) => id,
            (Some(id), None, None) | (None, Some(id), None) => Some(id),
            (Some(_), _, Some(_)) => return Err("give either camera_id or rtsp_url"),
            _ => return Err("give either camera_id, stream_id or rtsp_url"),
        };
        let max_bitrate = max_bitrate.map(|number| number.to_string());
        Ok(Start { id, rtsp_url, overrides: Overrides { quality, max_bitrate, profile } })
    }
}

/// A token may stand beside it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Patience {
    /// Answer when the stream can be played, or its camera has failed, within so long at most: `10s`, or a number of
    /// seconds.
    wait: Option<String>,
}

/// The stream is wanted from now on.
#[derive(Debug, Serialize, ToSchema)]
struct Started {
    stream_id: String,
    /// `starting` or `running`.
    #[schema(value_type = Wanted)]
    status: &'static str,
    /// `null` for a folder that nothing serves.
    playlist_url: Option<String>,
    /// The same on this server, if it serves the stream.
    local_url: Option<String>,
    /// In effect, also where another caller started the stream; `null`: no preset.
    quality: Option<String>,
    /// In effect, in kbps; `null`: no limit of its own.
    max_bitrate: Option<u32>,
    /// The preset that is nearest to the segments.
    profile: String,
}

/// Why the camera gives no stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// For people.
    pub(super) error: String,
    /// For programs: `auth`, `not_found`, `unreachable`, `disconnected`, `stalled`, `bad_stream` and the other words of
    /// `restarts_by_cause`; `storage`: the camera is well, and the storage does not take its stream. `null`: nobody knows.
    pub(super) cause: Option<&'static str>,
}

/// Until somebody who waits has his answer.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
const NO_PLACE: &str = "too many callers wait for a stream already; ask without wait, or again later";
/// Longer than any camera takes that comes at all.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// Starts a stream that runs on demand, or joins it. It is wanted for its `idle_timeout` from now; say so again, or fetch it
/// from this server, before that is over.
#[utoipa::path(post, path = "/api/streams/start", tag = "streams", params(Patience),
    request_body(content = StartCall, example = json!({"camera_id": "cam_floor", "quality": "low"})), responses(
    (status = 200, description = "It can be played", body = Started),
    (status = 202, description = "It starts", body = Started),
    (status = 403, description = "The configuration does not allow this URL", body = Trouble),
    (status = 404, description = "There is none of this id", body = Trouble),
    (status = 409, description = "Another stream has this id; or it always runs and can't be changed; or somebody stopped it while \
        the caller waited", body = Trouble),
    (status = 502, description = "The camera or the storage has failed while the caller waited, and why", body = Failure),
    (status = 503, description = "Too many wait already, and nothing was done: again after `Retry-After` seconds, or \
        without `wait`", body = Trouble)))]
async fn start(
    State(desk): State<Desk>,
    patience: Result<Query<Patience>, QueryRejection>,
    request: Request,
) -> Response {
    let wait = match patience.map_err(|_| BAD_WAIT).and_then(|Query(patience)| wait_of(patience.wait)) {
        Ok(wait) => wait,
        Err(refusal) => return error(StatusCode::BAD_REQUEST, refusal),
    };
    let call = match body_of::<StartCall>(request).await {
        Ok(call) => call.unwrap_or_default(),
        Err(refusal) => return refusal,
    };
    match call.start() {
        Ok(start) => match desk.begin(start, wait).await {
            Ok((stream, effect)) => started(stream, effect),
            Err(unbegun) => unbegun.into_response(),
        },
        Err(refusal) => error(StatusCode::BAD_REQUEST, refusal),
    }
}

fn started(stream: StreamStatus, effect: Effect) -> Response {
    let (code, status) = state(&stream);
    let StreamStatus { stream_id, playlist_url, local_url, .. } = stream;
    let Effect { quality, max_bitrate, profile } = effect;
    let quality = quality.map(str::to_owned);
    let profile = profile.to_owned();
    let started = Started { stream_id, status, playlist_url, local_url, quality, max_bitrate, profile };
    (code, [NOT_STORED], Json(started)).into_response()
}

/// The settings that a caller may want otherwise, as they are.
pub(super) struct Effect {
    quality: Option<&'static str>,
    max_bitrate: Option<u32>,
    profile: &'static str,
}

/// Why a stream did not begin.
pub(super) enum Unbegun {
    Refused(Refusal),
    /// Too many wait already: nothing was done.
    Crowded,
    /// The camera's fault, not the caller's: as a gateway says it.
    Failed(Failure),
}

impl Unbegun {
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Refused(Refusal::Unreachable(_)) | Self::Failed(_) => {
                let (status, failure) = self.told();
                (status, [NOT_STORED], Json(failure)).into_response()
            }
            Self::Crowded => again_after(AGAIN, error(StatusCode::SERVICE_UNAVAILABLE, NO_PLACE)),
            Self::Refused(refusal) => refused(refusal),
        }
    }

    pub(super) fn told(self) -> (StatusCode, Failure) {
        match self {
            Self::Failed(failure) => (StatusCode::BAD_GATEWAY, failure),
            Self::Crowded => {
                (StatusCode::SERVICE_UNAVAILABLE, Failure { error: NO_PLACE.into(), cause: None })
            }
            Self::Refused(refusal) => {
                let cause = matches!(refusal, Refusal::Unreachable(_)).then_some("unreachable");
                let (status, error) = why(refusal);
                (status, Failure { error, cause })
            }
        }
    }
}

impl Desk {
    /// `wait`: until it can be played, or its camera has failed.
    pub(super) async fn begin(
        &self,
        start: Start,
        wait: Option<Duration>,
    ) -> Result<(StreamStatus, Effect), Unbegun> {
        let wait = wait.filter(|wait| !wait.is_zero());
        // Before the order: what was refused was not done.
        let place = wait.and_then(|_| self.clients.may_wait());
        if wait.is_some() && place.is_none() {
            return Err(Unbegun::Crowded);
        }
        let accepted = self.control.start(start).await.map_err(Unbegun::Refused)?;
        let Accepted { stream_id, settled, quality, max_bitrate, profile } = accepted;
        let outcome = match wait {
            Some(wait) => tokio::time::timeout(wait, settled).await.ok(),
            None => None,
        };
        if outcome == Some(Outcome::Stopped) {
            return Err(Unbegun::Refused(Refusal::Conflict(STOPPED.into())));
        }
        let stream = self.streams.one(&stream_id).ok_or(Unbegun::Refused(Refusal::NoStream))?;
        if outcome == Some(Outcome::Known) && !is_running(&stream) {
            return Err(Unbegun::Failed(failed(stream)));
        }
        Ok((stream, Effect { quality, max_bitrate, profile }))
    }
}

fn failed(stream: StreamStatus) -> Failure {
    let StreamStatus { is_active, last_error, last_cause, storage_error, reason, .. } = stream;
    // What a camera said that is well now is over.
    let (cause, why) = match storage_error.filter(|_| is_active) {
        Some(error) => (Some(STORAGE), Some(format!("the storage does not take the stream: {error}"))),
        None => (last_cause, last_error.or(reason)),
    };
    Failure { error: why.unwrap_or_else(|| "the camera gives no stream".into()), cause }
}

/// A cause that is not the camera's.
pub(super) const STORAGE: &str = "storage";
const STOPPED: &str = "somebody has stopped this stream meanwhile";
const BAD_WAIT: &str = "wait has to be a time of 60s at most, as in ?wait=10s";

pub(super) fn wait_of(wait: Option<String>) -> Result<Option<Duration>, &'static str> {
    let Some(text) = wait else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = seconds.or_else(|| humantime::parse_duration(&text).ok()).filter(|wait| *wait <= MOST_WAIT);
    wait.map(Some).ok_or(BAD_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_names_one_stream() {
        let call =
            |text: &str| serde_json::from_str::<StartCall>(text).unwrap().start().map(|start| start.id);
        assert_eq!(call(r#"{"camera_id": "a"}"#), Ok(Some("a".into())));
        assert_eq!(call(r#"{"stream_id": "a", "rtsp_url": "rtsp://h"}"#), Ok(Some("a".into())));
        assert_eq!(call(r#"{"rtsp_url": "rtsp://h"}"#), Ok(None));
        for bad in [
            "{}",
            r#"{"camera_id": "a", "stream_id": "a"}"#,
            r#"{"camera_id": "a", "rtsp_url": "rtsp://h"}"#,
            r#"{"quality": "low"}"#,
        ] {
            assert!(call(bad).is_err(), "{bad}");
        }
    }
}
