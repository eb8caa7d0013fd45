//! `/api/streams`: how each stream is, for people and their tools.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, error};

/// One stream at one moment; names and units as in the API. No secrets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StreamStatus {
    pub stream_id: String,
    pub camera_id: String,
    pub name: String,
    /// It has a run that gives segments.
    pub is_active: bool,
    /// `idle`, `starting`, `live`, `stopping` or `waiting` (for its next try).
    pub phase: &'static str,
    /// `ok`, `idle`, `starting`, `degraded` or `down`.
    pub verdict: &'static str,
    /// What is done with the camera's streams: copied, or encoded anew, and why; `null` until that is known.
    pub mode: Option<String>,
    /// Why it is degraded or down.
    pub reason: Option<String>,
    /// Live without a break for so long.
    pub uptime_s: Option<f64>,
    pub next_try_in_s: Option<f64>,
    pub last_segment_age_s: Option<f64>,
    /// Since the storage confirmed a playlist.
    pub last_upload_age_s: Option<f64>,
    pub health_check_count: u64,
    pub reconnect_count: u64,
    /// The same by cause: `auth`, `unreachable`, `stalled` and the like.
    pub restarts_by_cause: BTreeMap<&'static str, u64>,
    pub segments_published: u64,
    pub segments_given_up: u64,
    pub segments_missed: u64,
    pub bytes_published: u64,
    /// Segments that wait for their upload.
    pub backlog: usize,
    /// `null` while the uplink carries the stream.
    pub uplink: Option<UplinkStatus>,
    /// Another agent publishes this camera, and this one nothing until that one falls silent.
    pub standing_back: bool,
    /// Why the last run ended, and the last line that the engine said.
    pub last_error: Option<String>,
    /// The same for programs: `auth`, `not_found`, `unreachable` and the other words of `restarts_by_cause`.
    pub last_cause: Option<&'static str>,
    /// Why the storage does not take the stream; `null` when it took the last playlist.
    pub storage_error: Option<String>,
    /// `null` for a folder that nothing serves.
    pub playlist_url: Option<String>,
    /// The same on this server, if it serves the stream.
    pub local_url: Option<String>,
    /// `null` where no still pictures are made, too.
    pub snapshot_url: Option<String>,
    /// Since the storage took the last one.
    pub snapshot_age_s: Option<f64>,
    /// Those that could not be made, or that the storage did not take.
    pub snapshots_failed: u64,
}

/// By how much the uplink is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UplinkStatus {
    pub needs_kbps: u32,
    pub carries_kbps: u32,
    pub short_percent: u32,
}

/// Gives the state of all streams as it is now.
#[derive(Clone)]
pub struct Streams(Arc<dyn Fn() -> Vec<StreamStatus> + Send + Sync>);

impl Streams {
    pub fn new(now: impl Fn() -> Vec<StreamStatus> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Vec<StreamStatus> {
        (self.0)()
    }

    pub(super) fn one(&self, id: &str) -> Option<StreamStatus> {
        self.now().into_iter().find(|stream| stream.stream_id == id)
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new(Vec::new)
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streams").finish_non_exhaustive()
    }
}

pub(super) fn router(streams: Streams) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).with_state(streams)
}

/// All streams.
#[utoipa::path(get, path = "/api/streams", tag = "streams",
    responses((status = 200, description = "In the order of the configuration", body = [StreamStatus])))]
async fn list(State(streams): State<Streams>) -> Response {
    ([NOT_STORED], Json(streams.now())).into_response()
}

pub(super) const NO_STREAM: &str = "there is no stream of this id";

/// One stream.
#[utoipa::path(get, path = "/api/streams/status/{id}", tag = "streams",
    params(("id" = String, Path, description = "The stream's id")), responses(
    (status = 200, description = "How it is", body = StreamStatus),
    (status = 404, description = "There is none of this id", body = Trouble)))]
async fn one(State(streams): State<Streams>, id: Result<Path<String>, PathRejection>) -> Response {
    // What is no text is no id.
    let id = id.map(|Path(id)| id).unwrap_or_default();
    match streams.one(&id) {
        Some(stream) => ([NOT_STORED], Json(stream)).into_response(),
        None => error(StatusCode::NOT_FOUND, NO_STREAM),
    }
}
