//! Health, for probes that have no token: is the process alive, can it serve, are its cameras well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, error};
use super::streams::{StreamStatus, Streams};
use super::words::{Overall, Verdict};
use crate::clock;

pub(super) const ALIVE: &str = "/healthz";
pub(super) const READY: &str = "/readyz";
pub(super) const HEALTH: &str = "/api/health";

/// Set once the storage has answered, and never taken back: what fails later is [`HEALTH`]'s to tell.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How all cameras are. Ids and canned words alone: everybody may ask.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// The worst of all cameras of the configuration: `ok`, `degraded` or `down`.
    #[schema(value_type = Overall)]
    status: &'static str,
    active_streams: usize,
    cameras: Vec<CameraHealth>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CameraHealth {
    camera_id: String,
    /// `ok`, `idle`, `starting`, `degraded` or `down`.
    #[schema(value_type = Verdict)]
    verdict: &'static str,
    /// Why it is degraded or down.
    reason: Option<String>,
}

impl Health {
    fn of(streams: Vec<StreamStatus>) -> Self {
        // A caller's typo is nothing that a probe should restart the box for.
        let any = |verdict| streams.iter().any(|stream| stream.verdict == verdict && !stream.is_adhoc);
        let status = if any("down") {
            "down"
        } else if any("degraded") {
            "degraded"
        } else {
            "ok"
        };
        let active_streams = streams.iter().filter(|stream| stream.is_active).count();
        let camera =
            |StreamStatus { camera_id, verdict, reason, .. }| CameraHealth { camera_id, verdict, reason };
        Self { status, active_streams, cameras: streams.into_iter().map(camera).collect() }
    }
}

pub(super) fn router(streams: Streams, ready: Ready) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(alive))
        .routes(routes!(is_ready).with_state(ready))
        .routes(routes!(health).with_state(Board { streams, kept: Arc::default() }))
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
async fn alive() -> impl IntoResponse {
    ([NOT_STORED], "ok")
}

/// The configuration is loaded, and the storage has answered once.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "Ready", body = String, content_type = "text/plain"),
    (status = 503, description = "Not yet", body = Trouble)))]
async fn is_ready(State(ready): State<Ready>) -> Response {
    if ready.is_set() {
        return ([NOT_STORED], "ok").into_response();
    }
    error(StatusCode::SERVICE_UNAVAILABLE, "the storage has not answered yet")
}

/// How all cameras are.
#[utoipa::path(get, path = "/api/health", tag = "health", security(()), responses(
    (status = 200, description = "No camera is down", body = Health),
    (status = 503, description = "A camera that should run is down", body = Health)))]
async fn health(State(board): State<Board>) -> Response {
    let (status, body) = board.now();
    (status, [NOT_STORED, (header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Everybody may ask, as often as they like: all together they cost a twentieth of a core.
const RESTS: u32 = 20;

#[derive(Debug, Clone)]
struct Board {
    streams: Streams,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug, Clone)]
struct Kept {
    until: Instant,
    status: StatusCode,
    body: Bytes,
}

impl Board {
    /// As it was a moment ago, where there are many cameras. One at a time looks.
    fn now(&self) -> (StatusCode, Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let fresh = kept.take().filter(|kept| now < kept.until);
        let Kept { status, body, .. } = kept.insert(fresh.unwrap_or_else(|| Kept::look(&self.streams, now)));
        (*status, body.clone())
    }
}

impl Kept {
    fn look(streams: &Streams, began: Instant) -> Self {
        let health = Health::of(streams.now());
        let status = if health.status == "down" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let body = serde_json::to_vec(&health).unwrap_or_default().into();
        let now = clock::now();
        Self { until: now + RESTS * now.saturating_duration_since(began), status, body }
    }
}
