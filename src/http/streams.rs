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
use super::viewing::Audience;
use super::words::{Mode, Phase, Verdict};
use crate::clock;

/// One stream at one moment; names and units as in the API. No secrets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StreamStatus {
    pub stream_id: String,
    pub camera_id: String,
    pub name: String,
    /// A caller's start added it: the configuration does not know it.
    pub is_adhoc: bool,
    /// It has a run that gives segments.
    pub is_active: bool,
    /// `idle`, `starting`, `live`, `stopping` or `waiting` (for its next try).
    #[schema(value_type = Phase)]
    pub phase: &'static str,
    /// `ok`, `idle`, `starting`, `degraded` or `down`.
    #[schema(value_type = Verdict)]
    pub verdict: &'static str,
    /// The preset of the settings, if there is one.
    pub quality: Option<&'static str>,
    /// Of the video, in kbps as in the settings; the preset's where it is encoded.
    pub max_bitrate: Option<u32>,
    /// `copy` or `transcode`; `null` until that is known.
    #[schema(value_type = Option<Mode>)]
    pub mode: Option<&'static str>,
    /// `software`, `vaapi` and the like; `null` for a copy.
    pub encoder: Option<&'static str>,
    /// The same in words, and why.
    pub mode_reason: Option<String>,
    /// Of what was published last, measured: `1280x720`. `null` while nothing is; with renditions, the first one's.
    pub resolution: Option<String>,
    /// Frames per second, measured.
    pub fps: Option<f64>,
    /// Measured over the last 20 s, with sound and packaging.
    pub bitrate_kbps: Option<u32>,
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
    /// Of a stream in parts.
    pub parts_published: u64,
    /// Those that the storage did not take in time; what is in them is in the segments, too.
    pub parts_given_up: u64,
    /// Of a stream in parts: segments that went in parts alone, as the uplink had no room for the whole beside them.
    pub segments_left_out: u64,
    pub bytes_published: u64,
    /// To the storage, in the last ten minutes; those that no storage charges for are not counted.
    pub requests_per_s: Option<f64>,
    /// What these cost in 30 days, if they go on; `null` where the prices are not known.
    pub request_cost_per_month_usd: Option<f64>,
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
    /// Beside a storage: those that viewers of this server missed (`spool_limit`).
    pub local_segments_given_up: u64,
    /// Beside a storage: since this server's own playlist was last written.
    pub last_local_age_s: Option<f64>,
    /// A path is on this server. `null` for a folder that nothing serves, and where the video stays on this box.
    pub playlist_url: Option<String>,
    /// The stream on this server, if it serves it.
    pub local_url: Option<String>,
    /// Of this server: those who have asked for the playlist a moment ago.
    pub viewers: usize,
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

type All = dyn Fn() -> Vec<StreamStatus> + Send + Sync;
type One = dyn Fn(&str) -> Option<StreamStatus> + Send + Sync;

/// Gives the state of all streams as it is now, or of one by its id.
#[derive(Clone)]
pub struct Streams {
    all: Arc<All>,
    one: Arc<One>,
}

impl Streams {
    pub fn new(now: impl Fn() -> Vec<StreamStatus> + Send + Sync + 'static) -> Self {
        let all: Arc<All> = Arc::new(now);
        let of_all = all.clone();
        let one = move |id: &str| of_all().into_iter().find(|stream| stream.stream_id == id);
        Self { all, one: Arc::new(one) }
    }

    /// The same, where one is found without asking all.
    #[must_use]
    pub fn with_one(self, one: impl Fn(&str) -> Option<StreamStatus> + Send + Sync + 'static) -> Self {
        Self { one: Arc::new(one), ..self }
    }

    /// The same with those who watch.
    pub(super) fn watched_by(self, audience: Audience) -> Self {
        let counted = move |mut stream: StreamStatus| {
            stream.viewers = audience.of(&stream.stream_id, clock::now());
            stream
        };
        let (all, one, of_one) = (self.all, self.one, counted.clone());
        Self::new(move || all().into_iter().map(&counted).collect()).with_one(move |id| one(id).map(&of_one))
    }

    pub(super) fn now(&self) -> Vec<StreamStatus> {
        (self.all)()
    }

    pub(super) fn one(&self, id: &str) -> Option<StreamStatus> {
        (self.one)(id)
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
