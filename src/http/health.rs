//! Health, for probes that have no token: is the process alive, can it serve, are its cameras well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::answer::{NOT_STORED, Trouble, error};
use super::streams::{StreamStatus, Streams};

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
    /// The worst of all cameras: `ok`, `degraded` or `down`.
    status: &'static str,
    active_streams: usize,
    cameras: Vec<CameraHealth>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CameraHealth {
    camera_id: String,
    /// `ok`, `idle`, `starting`, `degraded` or `down`.
    verdict: &'static str,
    /// Why it is degraded or down.
    reason: Option<String>,
}

impl Health {
    fn of(streams: Vec<StreamStatus>) -> Self {
        let any = |verdict: &str| streams.iter().any(|stream| stream.verdict == verdict);
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
        .routes(routes!(health).with_state(streams))
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
async fn health(State(streams): State<Streams>) -> Response {
    let health = Health::of(streams.now());
    let status = if health.status == "down" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, [NOT_STORED], Json(health)).into_response()
}
